/**
 * The replayer notices everything: each class of field of each format is spoiled, one value at a time, and the replay must not agree.
 *
 * A result (what the recorded system answered) is noticed wherever it is spoiled; an argument at least once, since a call may be refused
 * for another of them first. UNNOTICED names the classes that are not, each with its reason.
 */
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import type { Format } from './format.ts';
import { Fields, MalformedRecording, fromHex, isObject, parseLines, type Json } from './json.ts';
import { kvmItsFormat } from './kvm-its/format.ts';
import { qemuGicFormat } from './qemu-gic/format.ts';
import { linuxGicFormat } from './linux-gic/hardware.ts';
import { parseHost } from './recorded-machine.ts';
import { RECORDINGS } from './replay.ts';
import { vfioFormat } from './vfio/format.ts';

type JsonObject = Readonly<Record<string, Json>>;

/** Classes of which a wrong value may pass, by what holds them together. At most five. */
const UNNOTICED: Readonly<Record<string, { readonly reason: string; readonly classes: readonly string[] }>> = {
  'words for people': {
    reason: 'say again what other fields say; the READMEs say that they need not be compared',
    classes: [
      ...['ioctl.args', 'pread.note', 'note.text', 'note.t'],
      ...['mem_fill.note', 'mem_write.note', 'mem_seq.note', 'set.note', 'get.note', 'create_device.note', 'cmd.t', 'dump.tag', 'dirty_log.tag', 'wr64.reg', 'wr64.cpu', 'wr64.halves'],
      ...['mmio_write.text', 'mmio_read.text', 'hppi.text', 'vhppi.text', 'ram_dump.text', 'ram_write.cmds', 'pending_dump.what'],
    ],
  },
  'how it was recorded': {
    reason: 'names, seeds and command lines: the steps name every object that they use',
    classes: [
      ...['header.scenario', 'header.group', 'header.cmdline', 'header.device', 'header.devices', 'header.driver', 'header.iommu', 'header.ports', 'header.seed'],
      ...['case.group', 'case.name', 'case.desc', 'case.seed', 'case.tags'],
    ],
  },
  'arguments that nobody looks at': {
    reason: 'a bad pointer is as good as another, root opens every node in every mode, a wrong doorbell is no doorbell, a fill may be longer, a frame does not ask which CPU it is',
    classes: ['ioctl.ptr', 'open.flags', 'msi.addr', 'mem_seq.count', 'mem_fill.len', 'ram_fill.addr', 'r.c', 'w.c'],
  },
  'values under a rule': { reason: 'registers of devices without a model, and the other rules of the READMEs: counted by rule where they differ', classes: [] },
  'how long was waited': { reason: 'a longer wait has the same outcome', classes: ['sleep.ms', 'job_state.wait_ms', 'eventfd_wait.timeout_ms'] },
};
const UNNOTICED_CLASSES = new Set(Object.values(UNNOTICED).flatMap(({ classes }) => classes));

/** What the recorded system answered. */
const RESULTS = new Set([
  ...['ret', 'errno', 'out', 'count', 'sysfs_link.to', 'names', 'present', 'done', 'list', 'orig', 'phys', 'readonly', 'writes', 'after', 'phys_after', 'lines', 'vfio_nodes'],
  ...['err', 'val', 'changed', 'pages', 'exit', 'exit_addr'],
  ...['r.v', 'sr.v', 'l'],
  ...['expect', 'complaint', 'nonzero', 'set', 'sysfs_read.text', 'hppi.cpu', 'vhppi.cpu', 'fdinfo.text'],
]);
/** Instances of a class that are spoiled, in the shortest cases that have it: of a result all are noticed, of an argument one. */
const INSTANCES = { result: 2, argument: 60 } as const;
/** Of each file so many cases are taken, the shortest; and so many instances of an argument of each. */
const CASES = 4;
const PLACES = 3;
/** Lines of a recording of Linux on the GIC: until MSIs are forwarded. */
const CONVERSATION = 8000;
/** A device that every machine has. */
const EDU = '0000:00:02.0';

interface Case {
  /** A header or a machine before it, then the lines or the steps. */
  readonly lines: readonly JsonObject[];
  /** What is spoiled: where it is in `lines`, by its class. */
  readonly places: readonly Place[];
}

interface Place {
  readonly line: number;
  /** Index in the line's `steps`; undefined: the line itself. */
  readonly step: number | undefined;
  readonly kind: string;
  readonly object: JsonObject;
}

function textOf(value: Json | undefined): string {
  return typeof value === 'string' ? value : '';
}

/** Another hex digit at `at`. */
function flipped(hex: string, at: number): string {
  return `${hex.slice(0, at)}${(Number.parseInt(hex[at]!, 16) ^ 1).toString(16)}${hex.slice(at + 1)}`;
}

/** Wrong values in place of a right one. */
function spoiled(value: Json): Json[] {
  if (typeof value === 'number') return [value + 1, 0, value - 0x1_0000].filter((wrong) => wrong !== value);
  if (typeof value === 'boolean') return [!value];
  if (value === null) return ['x'];
  if (typeof value === 'string') {
    if (/^0x[0-9a-f]+$/i.test(value)) return [`0x${(BigInt(value) ^ 1n).toString(16)}`, `0x${(BigInt(value) ^ 0x1000n).toString(16)}`];
    if (/^[0-9a-f]{4}(:[0-9a-f]{2}){2}\.[0-7]$/.test(value) && value !== EDU) return [`${value}x`, EDU];
    if (value !== '' && fromHex(value) !== undefined) return [flipped(value, value.length - 1), flipped(value, 1), `${value}00`];
    return [`${value}x`, `9${value}`];
  }
  if (isObject(value)) return Object.entries(value).flatMap(([key, inner]) => spoiled(inner).map((wrong) => ({ ...value, [key]: wrong })));
  const list = value;
  const first = list[0];
  return [
    ...(first === undefined ? [] : [list.slice(0, -1), [...list, list.at(-1)!]]),
    ...(first === undefined ? [] : spoiled(first).map((wrong) => [wrong, ...list.slice(1)])),
  ];
}

/** Whether a replay agrees; "relaxed" if some values were compared less strictly. */
function outcome(format: Format, lines: readonly JsonObject[], host: Fields | undefined): 'agrees' | 'relaxed' | 'differs' {
  try {
    const fields = lines.map((line, i) => new Fields('spoiled', i + 1, line));
    const reports = [...format.run(fields, { hosts: host === undefined ? undefined : () => host })];
    if (reports.some(({ divergences }) => divergences.length > 0)) return 'differs';
    return reports.some(({ relaxed }) => relaxed.size > 0) ? 'relaxed' : 'agrees';
  } catch (error) {
    if (error instanceof MalformedRecording || error instanceof RangeError || error instanceof TypeError) return 'differs';
    throw error;
  }
}

/** The case with another object at a place. */
function replaced({ lines }: Case, place: Place, object: JsonObject): JsonObject[] {
  return lines.map((line, i) => {
    if (i !== place.line) return line;
    if (place.step === undefined) return object;
    return { ...line, steps: (line['steps'] as readonly Json[]).map((step, at) => (at === place.step ? object : step)) };
  });
}

/** Classes in which a wrong value passed, and how many were spoiled. */
function passing(format: Format, cases: readonly Case[], host?: Fields): { classes: number; passed: readonly string[] } {
  const strict = new Map<Case, boolean>();
  const isStrict = (of: Case): boolean => {
    const known = strict.get(of) ?? outcome(format, of.lines, host) === 'agrees';
    strict.set(of, known);
    return known;
  };
  const spoilt = new Map<string, number>();
  const noticed = new Set<string>();
  const passed = new Set<string>();
  for (const of of cases) {
    if (!isStrict(of)) continue;
    for (const [name, all] of byClass(of)) {
      const key = name.slice(name.indexOf('.') + 1);
      const isResult = key === '+' || RESULTS.has(name) || RESULTS.has(key);
      for (const place of isResult ? all.slice(0, 1) : all) {
        const count = spoilt.get(name) ?? 0;
        if (count >= (isResult ? INSTANCES.result : INSTANCES.argument) || (!isResult && noticed.has(name))) break;
        spoilt.set(name, count + 1);
        const { [key]: value, ...without } = place.object;
        const wrongs = key === '+' ? [{ ...place.object, surplus: 1 }] : spoiled(value ?? null).map((wrong) => ({ ...place.object, [key]: wrong }));
        if (isResult && key !== '+') wrongs.push(without);
        for (const wrong of wrongs) {
          if (!isResult && noticed.has(name)) break;
          if (outcome(format, replaced(of, place, wrong), host) !== 'agrees') noticed.add(name);
          else if (isResult) passed.add(name);
        }
      }
    }
  }
  for (const name of spoilt.keys()) if (!noticed.has(name)) passed.add(name);
  return { classes: spoilt.size, passed: [...passed] };
}

/** The places of each class in a case: the first, the last, and some between. */
function byClass({ places }: Case): ReadonlyMap<string, readonly Place[]> {
  const all = new Map<string, Place[]>();
  for (const place of places) {
    for (const key of [...Object.keys(place.object), '+']) {
      const name = `${place.kind}.${key}`;
      if (key !== 'steps') all.set(name, [...(all.get(name) ?? []), place]);
    }
  }
  const pick = (found: readonly Place[]): Place[] => Array.from({ length: PLACES }, (_, i) => found[Math.round((i * (found.length - 1)) / (PLACES - 1))]!);
  return new Map([...all].map(([name, found]) => [name, [...new Set(pick(found))]]));
}

/** The shortest cases of a file. */
function shortest(cases: readonly Case[]): Case[] {
  return [...cases].sort((a, b) => a.places.length - b.places.length).slice(0, CASES);
}

function linesOf(folder: string, name: string): JsonObject[] {
  const text = gunzipSync(readFileSync(join(RECORDINGS, folder, name))).toString();
  return parseLines(name, text).map((line) => Object.fromEntries(line.keys.map((key) => [key, line.raw(key) ?? null])));
}

function files(folder: string): string[] {
  return readdirSync(join(RECORDINGS, folder)).filter((name) => name.endsWith('.jsonl.gz'));
}

/** The cases of a file of VFIO scenarios. */
function scenarios(lines: readonly JsonObject[]): Case[] {
  const starts = lines.flatMap((line, i) => ('scenario' in line ? [i] : []));
  return starts.map((start, i) => {
    const own = lines.slice(start, starts[i + 1]);
    return { lines: own, places: own.map((object, line) => ({ line, step: undefined, kind: 'scenario' in object ? 'header' : textOf(object['call']), object })) };
  });
}

/** The cases of a file whose lines hold their steps. */
function steppedCases(lines: readonly JsonObject[]): Case[] {
  const before = lines.filter((line) => !('steps' in line));
  return lines
    .filter((line) => 'steps' in line)
    .map((line) => {
      const steps = (line['steps'] as readonly Json[]).filter((step) => isObject(step));
      const at = before.length;
      const places = steps.map((object, step): Place => ({ line: at, step, kind: textOf(object['op']), object }));
      return { lines: [...before, line], places: [{ line: at, step: undefined, kind: 'case', object: line }, ...places] };
    });
}

/** The start of a recording of Linux on the GIC, without the stores that are compared less strictly. */
function conversation(name: string): Case {
  const lines = linesOf('linux-gic', name)
    .slice(0, CONVERSATION)
    .filter(({ m }) => !JSON.stringify(m ?? null).includes('access-ignored'));
  return { lines, places: lines.map((object, line) => ({ line, step: undefined, kind: textOf(object['k']), object })) };
}

const expected = (passed: readonly string[]): readonly string[] => passed.filter((name) => !UNNOTICED_CLASSES.has(name));

describe('a recording with one wrong value is noticed', () => {
  it('the classes that are not are few, and each has a reason', () => {
    for (const [name, { reason, classes }] of Object.entries(UNNOTICED)) console.log(`not compared: ${name} (${classes.join(', ')}): ${reason}`);
    expect(Object.keys(UNNOTICED).length).toBeLessThanOrEqual(5);
  });

  it('vfio', () => {
    const host = parseHost('host.json', gunzipSync(readFileSync(join(RECORDINGS, 'vfio/host.json.gz'))).toString());
    const cases = files('vfio').flatMap((name) => shortest(scenarios(linesOf('vfio', name))));
    const { classes, passed } = passing(vfioFormat, cases, host);
    expect(classes).toBeGreaterThan(150);
    expect(expected(passed)).toEqual([]);
  });

  it('kvm-its', () => {
    const cases = ['scenario', 'errors', 'vcpu', 'dirtylog', 'identity', 'restore'].flatMap((name) => shortest(steppedCases(linesOf('kvm-its', `${name}.jsonl.gz`))));
    const { classes, passed } = passing(kvmItsFormat, cases);
    expect(classes).toBeGreaterThan(80);
    expect(expected(passed)).toEqual([]);
  });

  it('qemu-gic', () => {
    const cases = files('qemu-gic').flatMap((name) => shortest(steppedCases(linesOf('qemu-gic', name))));
    const { classes, passed } = passing(qemuGicFormat, cases);
    expect(classes).toBeGreaterThan(40);
    expect(expected(passed)).toEqual([]);
  });

  it('linux-gic', () => {
    const { classes, passed } = passing(linuxGicFormat, [conversation('linux61-gicv41.jsonl.gz')]);
    expect(classes).toBeGreaterThan(30);
    expect(expected(passed)).toEqual([]);
  });

  it.each([
    ['its end', (lines: readonly JsonObject[]) => lines.slice(0, -1)],
    ['a step after its end', (lines: readonly JsonObject[]) => [...lines, { n: 10_000, call: 'note', text: 'more' }]],
    ['a step twice', (lines: readonly JsonObject[]) => [...lines.slice(0, 3), lines[2]!, ...lines.slice(3)]],
  ])('a scenario without or with %s', (_, change) => {
    const host = parseHost('host.json', gunzipSync(readFileSync(join(RECORDINGS, 'vfio/host.json.gz'))).toString());
    const [first] = scenarios(linesOf('vfio', 'life.jsonl.gz'));
    expect(outcome(vfioFormat, first!.lines, host)).toBe('agrees');
    expect(outcome(vfioFormat, change(first!.lines), host)).toBe('differs');
  });
});
