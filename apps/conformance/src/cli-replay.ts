/** `vsim replay`: replays recordings and says how far the model agrees with them. */
import { parseArgs } from 'node:util';
import { kernelProfile, type ProfileName } from '@vsim/vfio-core';
import { MalformedRecording } from './json.ts';
import { UnreadableFile, findRecordings, replayFile, type FileReport } from './replay.ts';

export const REPLAY_USAGE = 'vsim replay PATH... [--profile NAME] [--host FILE] [--first N] [--case PREFIX] [--json]';

/** Where the command's words go. */
export interface CommandIo {
  /** A line of the result. */
  out(line: string): void;
  /** A line for people, when something is wrong. */
  err(line: string): void;
  /** What relative paths are relative to. */
  readonly cwd: string;
}

interface Options {
  readonly paths: readonly string[];
  readonly profile: ProfileName | undefined;
  readonly hostFile: string | undefined;
  /** Divergences shown of each file. */
  readonly first: number;
  readonly casePrefix: string | undefined;
  readonly json: boolean;
}

/** The command line is not one of this command. */
class UsageError extends Error {
  override readonly name = 'UsageError';
}

const AGREES = 0;
const DIVERGES = 1;
const WRONG_USE = 2;

/** Runs the command. @returns its exit code: 0 without divergence, 1 with, 2 for bad usage or input */
export function replayCommand(args: readonly string[], io: CommandIo): number {
  try {
    return run(parse(args), io);
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    io.err(error instanceof UsageError ? `vsim replay: ${error.message}; usage: ${REPLAY_USAGE}` : `vsim replay: ${oneLine(error)}`);
    return WRONG_USE;
  }
}

function run(options: Options, io: CommandIo): number {
  const paths = options.paths.flatMap((path) => findRecordings(path, io.cwd));
  if (paths.length === 0) throw new UnreadableFile(`${options.paths.join(', ')}: no recordings there`);
  const reports: FileReport[] = [];
  for (const path of paths) {
    const report = replayFile(path, { profile: options.profile, casePrefix: options.casePrefix, hostFile: options.hostFile, cwd: io.cwd });
    reports.push(report);
    if (!options.json) tell(report, options.first, io);
  }
  if (reports.every(({ cases }) => cases === 0)) {
    throw new UnreadableFile(options.casePrefix === undefined ? 'no case in any file' : `no case begins with ${options.casePrefix}`);
  }
  const total = sum(reports);
  if (options.json) io.out(JSON.stringify({ files: reports.map((report) => fileJson(report, options.first)), total: totalJson(total) }));
  else io.out(line('TOTAL', total));
  return total.divergences === 0 ? AGREES : DIVERGES;
}

function parse(args: readonly string[]): Options {
  const { values, positionals } = parsing(() =>
    parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        profile: { type: 'string' },
        host: { type: 'string' },
        first: { type: 'string' },
        case: { type: 'string' },
        json: { type: 'boolean' },
      },
    }),
  );
  if (positionals.length === 0) throw new UsageError('expected a file or folder');
  const first = values.first ?? '0';
  if (!/^[0-9]+$/.test(first)) throw new UsageError(`--first: expected a number, got ${first}`);
  return {
    paths: positionals,
    profile: profileNamed(values.profile),
    hostFile: values.host,
    first: Number(first),
    casePrefix: values.case,
    json: values.json ?? false,
  };
}

/** parseArgs() throws a TypeError of several sentences: the first is enough. */
function parsing<T>(body: () => T): T {
  try {
    return body();
  } catch (error) {
    throw new UsageError(error instanceof Error ? (error.message.split(/\. |\n/, 1)[0] ?? '') : 'bad arguments');
  }
}

const PROFILES: readonly ProfileName[] = ['linux-5.10', 'linux-5.13', 'linux-6.1', 'linux-6.12', 'linux-6.12.117', 'linux-7.3'];

function profileNamed(name: string | undefined): ProfileName | undefined {
  if (name === undefined) return undefined;
  const found = PROFILES.find((profile) => kernelProfile(profile).name === name);
  if (found === undefined) throw new UsageError(`--profile: expected one of ${PROFILES.join(', ')}, got ${name}`);
  return found;
}

interface Counts {
  readonly cases: number;
  readonly steps: number;
  readonly compared: number;
  readonly relaxed: ReadonlyMap<string, number>;
  readonly divergences: number;
}

function countsOf(report: FileReport): Counts {
  return { ...report, divergences: report.divergences.length };
}

function sum(reports: readonly FileReport[]): Counts {
  const relaxed = new Map<string, number>();
  let cases = 0;
  let steps = 0;
  let compared = 0;
  let divergences = 0;
  for (const report of reports) {
    cases += report.cases;
    steps += report.steps;
    compared += report.compared;
    divergences += report.divergences.length;
    for (const [rule, count] of report.relaxed) relaxed.set(rule, (relaxed.get(rule) ?? 0) + count);
  }
  return { cases, steps, compared, relaxed, divergences };
}

function tell(report: FileReport, first: number, io: CommandIo): void {
  io.out(line(report.path, countsOf(report)));
  for (const [failure, count] of report.untold) io.out(`  reasons of a failure, ${count} times: ${failure}`);
  for (const { case: name, step, field, expected, actual } of report.divergences.slice(0, first)) {
    io.out(`  case ${name} step ${step} ${field}: expected ${expected}, got ${actual}`);
  }
}

function line(name: string, counts: Counts): string {
  const relaxed = [...counts.relaxed.values()].reduce((total, count) => total + count, 0);
  return `${name} cases=${counts.cases} steps=${counts.steps} compared=${counts.compared} relaxed=${relaxed} divergences=${counts.divergences}`;
}

function totalJson({ cases, steps, compared, relaxed, divergences }: Counts): object {
  return { cases, steps, compared, relaxed: Object.fromEntries(relaxed), divergences };
}

function fileJson(report: FileReport, first: number): object {
  const { path, format, profile, divergences } = report;
  return { path, format, profile, ...totalJson(countsOf(report)), first: divergences.slice(0, first) };
}

/** What went wrong, on one line. A recording that the model cannot even be built from is told as such. */
function oneLine(error: Error): string {
  const known = error instanceof MalformedRecording || error instanceof UnreadableFile;
  const text = error.message.replaceAll(/\s+/g, ' ');
  return known ? text : `recording cannot be replayed: ${text}`;
}
