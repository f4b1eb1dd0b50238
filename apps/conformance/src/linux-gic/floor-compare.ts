/** Lines of a recording beside those of the model: equal, or equal but for the order of threads, or told field by field. */
import type { CaseRecorder } from '../report.ts';

/** Two threads of the recorded kernel: their lines may change places, each thread's own may not. */
const THREADS = 'threads';
/** An ITT is where the kernel's page allocator put it. */
const ITT_ADDRESS = 'itt-address';

/** A recorded line as the model's are: an ITT has no number. */
export function normalised(line: string, report: CaseRecorder): string {
  const text = line.replace(/itt(\d+| kept)/, 'itt');
  if (text !== line) report.relax(ITT_ADDRESS);
  return text;
}

/** @param threads whether several threads ran: only then may lines change places */
export function compareLines(report: CaseRecorder, recorded: readonly string[], made: readonly string[], threads: boolean): void {
  if (same(recorded, made)) {
    for (const line of recorded) compareLine(report, line, line);
    return;
  }
  if (threads) {
    const expected = byThread(recorded);
    const actual = byThread(made);
    if ([...expected].every(([thread, lines]) => same(lines, actual.get(thread) ?? [])) && recorded.length === made.length) {
      recorded.forEach((line, n) => {
        if (line === made[n]) compareLine(report, line, line);
        else report.relax(THREADS);
      });
      return;
    }
  }
  tellDifferences(report, recorded, made);
}

function same(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((line, n) => line === b[n]);
}

/** Field by field: a command's name, then each field. */
function compareLine(report: CaseRecorder, recorded: string, made: string): void {
  const actual = made.trim().split(' ');
  const name = recorded.trim().split(' ')[0] ?? '';
  recorded.trim().split(' ').forEach((field, n) => report.compare(`${name}.${n}`, field, actual[n] ?? ''));
  if (actual.length > recorded.trim().split(' ').length) report.diverge(name, recorded.trim(), made.trim());
}

/** The longest common lines stand; a line beside another of the same command differs in fields, the rest is missing or surplus. */
function tellDifferences(report: CaseRecorder, recorded: readonly string[], made: readonly string[]): void {
  const width = made.length + 1;
  const common = new Uint32Array((recorded.length + 1) * width);
  for (let i = recorded.length - 1; i >= 0; i -= 1) {
    for (let j = made.length - 1; j >= 0; j -= 1) {
      const best = recorded[i] === made[j] ? common[(i + 1) * width + j + 1]! + 1 : Math.max(common[(i + 1) * width + j]!, common[i * width + j + 1]!);
      common[i * width + j] = best;
    }
  }
  let i = 0;
  let j = 0;
  while (i < recorded.length || j < made.length) {
    const [expected, actual] = [recorded[i], made[j]];
    if (expected === actual && expected !== undefined) {
      compareLine(report, expected, expected);
      i += 1;
      j += 1;
    } else if (expected !== undefined && actual !== undefined && expected.trim().split(' ')[0] === actual.trim().split(' ')[0]) {
      compareLine(report, expected, actual);
      i += 1;
      j += 1;
    } else if (expected !== undefined && (actual === undefined || common[(i + 1) * width + j]! >= common[i * width + j + 1]!)) {
      report.diverge('missing', expected.trim(), '');
      i += 1;
    } else {
      report.diverge('surplus', '', (actual ?? '').trim());
      j += 1;
    }
  }
}

/** Lines by whose thread they are: a vCPU's by its vPE, a device's by its DeviceID or LPI, the test program's. */
function byThread(lines: readonly string[]): ReadonlyMap<string, readonly string[]> {
  const threads = new Map<string, string[]>();
  const residents = new Map<string, string>();
  const owners = new Map<string, string>();
  for (const [, gicr, vpe] of matches(lines, /^ {2}(GICR\d) VPENDBASER vp[et](\d+) Valid/)) if (!residents.has(gicr)) residents.set(gicr, vpe);
  for (const [, device, lpi] of matches(lines, /MAPTI (dev\d+) ev=\d+ (lpi\d+)/)) owners.set(lpi, device);
  let last = 'program';
  for (const line of lines) {
    const thread = threadOf(line, last, residents, owners);
    last = thread;
    const own = threads.get(thread);
    if (own === undefined) threads.set(thread, [line]);
    else own.push(line);
  }
  return threads;
}

function matches(lines: readonly string[], pattern: RegExp): readonly (readonly [string, string, string])[] {
  return lines.flatMap((line) => {
    const match = pattern.exec(line);
    return match === null ? [] : [[match[0], match[1] ?? '', match[2] ?? ''] as const];
  });
}

function threadOf(line: string, last: string, residents: Map<string, string>, owners: ReadonlyMap<string, string>): string {
  const done = /^vcpu (\d) done/.exec(line);
  if (done !== null) return `vpe${done[1] ?? ''}`;
  if (!line.startsWith('  ')) return 'program';
  // What a command waits for, and what the hardware says of the access before it.
  if (/^ {2}(SYNC|VSYNC|!!|\(maint)/.test(line)) return last;
  const lpi = /physical intid=(lpi\d+)/.exec(line)?.[1];
  if (lpi !== undefined) return owners.get(lpi) ?? lpi;
  const gicr = /^ {2}(GICR\d) (VPENDBASER|VPROPBASER)/.exec(line)?.[1];
  if (gicr !== undefined) {
    const valid = /VPENDBASER vp[et](\d+) Valid/.exec(line)?.[1];
    if (valid !== undefined) residents.set(gicr, valid);
    return `vpe${residents.get(gicr) ?? ''}`;
  }
  return /\b(vpe\d+|dev\d+)/.exec(line)?.[1] ?? 'program';
}
