/** Replaying files: which there are, how they are read, which format they have. What is printed is replay-report.ts. */
import { existsSync, readdirSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ProfileName } from '@vsim/vfio-core';
import type { Format, MakeServed, ReplayOptions, WatchHosts } from './format.ts';
import { MalformedRecording, parseLines, type Fields } from './json.ts';
import { kvmItsFormat } from './kvm-its/format.ts';
import { floorProfileOf, isCommandsFile, replayFloor } from './linux-gic/floor.ts';
import { linuxGicFormat } from './linux-gic/hardware.ts';
import { qemuGicFormat } from './qemu-gic/format.ts';
import * as text from './read-text.ts';
import { parseHost } from './recorded-machine.ts';
import type { CaseReport, Divergence } from './report.ts';
import { fslmcBootFormat } from './vfio/fslmc-boot.ts';
import { vfioFormat } from './vfio/format.ts';
import { mcSessionFormat } from './vfio/mc-session.ts';
import { vfioUserFormat } from './vfio-user/format.ts';

const FORMATS: readonly Format[] = [vfioFormat, qemuGicFormat, kvmItsFormat, linuxGicFormat, vfioUserFormat, mcSessionFormat, fslmcBootFormat];
/** Formats whose machines lie beside the recordings. */
const HOSTED: readonly Format['name'][] = ['vfio', 'mc-session', 'fslmc-boot'];
/** The name of standard input. */
const STDIN = '-';
const EXTENSIONS = ['.jsonl', '.jsonl.gz'];
const HOST_NAMES = ['host.json', 'host.json.gz'];

/** What the project has itself, where nothing lies beside a recording: the first machine, and the Management Complex's commands, which no kernel changes. */
const OWN: ReadonlyMap<string | undefined, string> = new Map([
  [undefined, join('vfio', 'host.json.gz')],
  ['commands.json', join('fslmc', 'commands.json.gz')],
]);

/** A file or folder that cannot be read. `message` is one line and names it. */
export class UnreadableFile extends Error {
  override readonly name = 'UnreadableFile';
}

/** What one file came to. */
export interface FileReport {
  readonly path: string;
  readonly format: Format['name'];
  readonly profile: string;
  readonly cases: number;
  readonly steps: number;
  readonly compared: number;
  readonly relaxed: ReadonlyMap<string, number>;
  readonly divergences: readonly Divergence[];
  /** Steps that failed as recorded. */
  readonly refused: number;
  /** Those for which the model did not tell exactly one reason, by `call errno: reasons`. */
  readonly untold: ReadonlyMap<string, number>;
  /** The ids of the reasons that it told. */
  readonly reasons: ReadonlySet<string>;
}

export interface ReplayFileOptions {
  readonly profile?: ProfileName | undefined;
  readonly casePrefix?: string | undefined;
  /** The machine, where none lies beside the recording. */
  readonly hostFile?: string | undefined;
  /** What relative paths are relative to. @default the process' own */
  readonly cwd?: string | undefined;
  /** Where a line goes for each command that a Management Complex gets. */
  readonly mcLog?: ((line: string) => void) | undefined;
  /** Hears of each host. Recordings of a GIC's registers alone have none. */
  readonly watch?: WatchHosts | undefined;
  /** What conversations of vfio-user are said to. @default what they tell of */
  readonly device?: MakeServed | undefined;
}

/** The recordings of the project. */
export const RECORDINGS: string = fileURLToPath(new URL('../recordings', import.meta.url));

/** The recordings at `path`: itself, or a folder's files, recursively, sorted; `-` is standard input. @throws UnreadableFile */
export function findRecordings(path: string, cwd = '.'): readonly string[] {
  if (path === STDIN) return [path];
  const at = resolve(cwd, path);
  if (!reading(path, () => statSync(at)).isDirectory()) return [path];
  const entries = reading(path, () => readdirSync(at, { withFileTypes: true }));
  return entries
    .flatMap((entry) => {
      const inside = join(path, entry.name);
      if (entry.isDirectory()) return findRecordings(inside, cwd);
      // A conversation, beside its recording; alone, it is a session.
      if (entry.name.includes('.mc.jsonl') && entries.some(({ name }) => name === entry.name.replace('.mc.jsonl', '.jsonl'))) return [];
      return isCommandsFile(entry.name) || EXTENSIONS.some((extension) => entry.name.endsWith(extension)) ? [inside] : [];
    })
    .sort();
}

/** The cases of one file, one after the other. @throws UnreadableFile, MalformedRecording */
export function* replayCases(path: string, options: ReplayFileOptions = {}): Generator<CaseReport, { format: Format['name']; profile: string }> {
  const cwd = options.cwd ?? '.';
  if (isCommandsFile(path)) {
    yield* replayFloor(path, readText(path, cwd), { profile: options.profile, casePrefix: options.casePrefix, watch: options.watch });
    return { format: 'linux-gic', profile: options.profile ?? floorProfileOf(path).profile };
  }
  const lines = parseLines(path, readText(path, cwd));
  const [first] = lines;
  const format = FORMATS.find((candidate) => first !== undefined && candidate.recognises(first));
  if (first === undefined || format === undefined) throw new MalformedRecording(path, 1, 'the first line is none of a known format');
  if (options.device !== undefined && format.name !== 'vfio-user') throw new MalformedRecording(path, 1, 'no conversation of vfio-user, to be said to a device');
  const replay: ReplayOptions = {
    profile: options.profile,
    casePrefix: options.casePrefix,
    mcLog: options.mcLog,
    watch: options.watch,
    device: options.device,
    hosts: HOSTED.includes(format.name) ? hostsOf(path, options.hostFile, cwd) : undefined,
    conversation: () => readConversation(path, cwd),
  };
  yield* format.run(lines, replay);
  const chosen = format.name === 'kvm-its' || HOSTED.includes(format.name) ? options.profile : undefined;
  const profile = chosen ?? format.profileOf(first, replay);
  return { format: format.name, profile };
}

/** Replays all of a file. @throws UnreadableFile, MalformedRecording */
export function replayFile(path: string, options: ReplayFileOptions = {}): FileReport {
  const relaxed = new Map<string, number>();
  const divergences: Divergence[] = [];
  const untold = new Map<string, number>();
  const reasons = new Set<string>();
  let refused = 0;
  let cases = 0;
  let steps = 0;
  let compared = 0;
  const run = replayCases(path, options);
  for (;;) {
    const next = run.next();
    if (next.done === true) return { path, ...next.value, cases, steps, compared, relaxed, divergences, refused, untold, reasons };
    const report = next.value;
    cases += 1;
    steps += report.steps;
    compared += report.compared;
    refused += report.refused;
    for (const id of report.reasons) reasons.add(id);
    for (const [row, count] of report.untold) untold.set(row, (untold.get(row) ?? 0) + count);
    for (const [rule, count] of report.relaxed) relaxed.set(rule, (relaxed.get(rule) ?? 0) + count);
    for (const divergence of report.divergences) divergences.push(divergence);
  }
}

/** `X.mc.jsonl.gz` beside `X.jsonl.gz`. */
function readConversation(path: string, cwd: string): readonly Fields[] | undefined {
  const beside = path.replace(/\.jsonl(\.gz)?$/, '.mc.jsonl$1');
  return existsSync(resolve(cwd, beside)) ? parseLines(beside, readText(beside, cwd)) : undefined;
}

/** The machines of a recording by the names that its scenarios give them, each read once. */
function hostsOf(path: string, hostFile: string | undefined, cwd: string): (name: string | undefined) => Fields {
  const read = new Map<string | undefined, Fields>();
  return (name) => {
    const host = read.get(name) ?? readHost(path, name, hostFile, cwd);
    read.set(name, host);
    return host;
  };
}

/** A machine: beside the file, else the file that was named, else, where the scenario names none, the project's own. */
function readHost(path: string, name: string | undefined, hostFile: string | undefined, cwd: string): Fields {
  const names = name === undefined ? HOST_NAMES : [name, `${name}.gz`];
  // A folder of recordings has what they share at its top.
  const folders = [dirname(path), join(dirname(path), '..')];
  const beside = folders.flatMap((folder) => names.map((each) => join(folder, each))).find((candidate) => existsSync(resolve(cwd, candidate)));
  const file = beside ?? hostFile ?? own(name) ?? join(dirname(path), name ?? '');
  return parseHost(file, readText(file, cwd));
}

function own(name: string | undefined): string | undefined {
  const found = OWN.get(name);
  return found === undefined ? undefined : join(RECORDINGS, found);
}

/** The text of a file, unpacked if it is packed. */
function readText(path: string, cwd: string): string {
  return reading(path, () => text.readText(path === STDIN ? 0 : resolve(cwd, path)));
}

/** Runs a read; its failure becomes one line. */
function reading<T>(path: string, read: () => T): T {
  try {
    return text.reading(read);
  } catch (error) {
    if (error instanceof text.UnreadableText) throw new UnreadableFile(`${path}: ${error.message}`);
    throw error;
  }
}
