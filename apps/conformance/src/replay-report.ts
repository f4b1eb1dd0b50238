/** Replays recordings and says how far the model agrees with them: what `vsim replay` runs. */
import type { ProfileName } from '@vsim/vfio-core';
import type { MakeServed, WatchHosts } from './format.ts';
import { MalformedRecording } from './json.ts';
import { UnreadableFile, findRecordings, replayFile, type FileReport } from './replay.ts';

/** Where the words go. */
export interface ReplayIo {
  /** A line of the result. */
  out(line: string): void;
  /** What relative paths are relative to. */
  readonly cwd: string;
}

export interface ReplayChoices {
  /** Recordings, folders of them, or `-` for standard input. */
  readonly paths: readonly string[];
  /** The kernel that answers. @default the one that was recorded */
  readonly profile: ProfileName | undefined;
  /** The machine of recordings that stand alone: a host.json. */
  readonly hostFile: string | undefined;
  /** Divergences shown of each file. */
  readonly first: number;
  /** Only the cases whose names begin so. */
  readonly casePrefix: string | undefined;
  /** One object of JSON instead of lines. */
  readonly json: boolean;
  /** A line more for each command of a conversation with a Management Complex; not with `json`. */
  readonly mcLog: boolean;
  /** Hears of each host, by its recording and case. */
  readonly watch?: WatchHosts | undefined;
  /** What conversations of vfio-user are said to, one each. @default what they tell of */
  readonly device?: MakeServed | undefined;
}

/** What cannot be replayed: `message` is one line and names it. */
export class ReplayError extends Error {
  override readonly name = 'ReplayError';
}

/** Replays, and prints. @returns whether the model agrees with everything. @throws ReplayError for recordings that are none, or that there are not */
export function replay(choices: ReplayChoices, io: ReplayIo): boolean {
  try {
    return run(choices, io);
  } catch (error) {
    throw error instanceof Error ? new ReplayError(oneLine(error)) : error;
  }
}

function run(options: ReplayChoices, io: ReplayIo): boolean {
  const paths = options.paths.flatMap((path) => findRecordings(path, io.cwd));
  if (paths.length === 0) throw new UnreadableFile(`${options.paths.join(', ')}: no recordings there`);
  const reports: FileReport[] = [];
  for (const path of paths) {
    const report = replayFile(path, { profile: options.profile, casePrefix: options.casePrefix, hostFile: options.hostFile, cwd: io.cwd, mcLog: options.mcLog && !options.json ? (said) => { io.out(`  ${said}`); } : undefined, watch: watchOf(options, paths, path), device: options.device });
    reports.push(report);
    if (!options.json) tell(report, options.first, io);
  }
  if (reports.every(({ cases }) => cases === 0)) {
    throw new UnreadableFile(options.casePrefix === undefined ? 'no case in any file' : `no case begins with ${options.casePrefix}`);
  }
  const total = sum(reports);
  if (options.json) io.out(JSON.stringify({ files: reports.map((report) => fileJson(report, options.first)), total: totalJson(total) }));
  else io.out(line('TOTAL', total));
  return total.divergences === 0;
}

/** With more than one recording a host's name begins with that of its own. */
function watchOf({ watch }: ReplayChoices, paths: readonly string[], path: string): WatchHosts | undefined {
  return watch === undefined || paths.length === 1 ? watch : (name, host) => { watch(`${path} ${name}`, host); };
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

function tell(report: FileReport, first: number, io: ReplayIo): void {
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
