/** The permission map: a fixed series of writes to one dword, with what the user and the hardware show after each. */
import type { Process } from '@vsim/vfio-core';
import { fromHex, toHex, type Fields, type Json } from '../json.ts';
import type { CaseRecorder } from '../report.ts';

const CONFIG_REGION = 7 * 0x100_0000_0000;

/** Offset in the dword and bytes, in the order in which they are written. */
const PATTERNS: readonly (readonly [at: number, bytes: readonly number[]])[] = [
  [0, [0xff, 0xff, 0xff, 0xff]],
  [0, [0, 0, 0, 0]],
  [0, [0x5a, 0x5a, 0x5a, 0x5a]],
  ...[0, 2].flatMap((at): [number, number[]][] => [
    [at, [0xff, 0xff]],
    [at, [0, 0]],
    [at, [0x5a, 0xa5]],
  ]),
  ...[0, 1, 2, 3].flatMap((at): [number, number[]][] => [
    [at, [0xff]],
    [at, [0]],
    [at, [0xa5]],
  ]),
];

/** One write of a probe and what was there after it; empty: as before. */
interface Write {
  readonly at: number;
  readonly pattern: string;
  readonly v: string;
  readonly p: string;
  /** Return values that are not the lengths. */
  readonly ret: string;
}

/** What one probe found, as the recording writes it. */
interface Probe {
  readonly orig: string;
  readonly phys: string;
  readonly writes: readonly Write[];
  readonly after: string;
  readonly physAfter: string;
}

const CONFIG_BYTES = 4096;

export class PermissionMap {
  readonly #report: CaseRecorder;
  readonly #process: Process;
  /** Expected probes of this scenario, for repeats. */
  readonly #seen = new Map<number, Fields>();

  constructor(report: CaseRecorder, process: Process) {
    this.#report = report;
    this.#process = process;
  }

  probe(step: Fields, fd: number, device: string): void {
    const at = step.number('at');
    this.#seen.set(at, step);
    this.#compare(step, this.#run(fd, device, at), at);
  }

  probeRepeat(step: Fields, fd: number, device: string): void {
    const like = this.#seen.get(step.number('like')) ?? step.fail('like', 'a dword that was probed before');
    for (let at = step.count('from', CONFIG_BYTES); at < step.count('to', CONFIG_BYTES); at += 4) this.#compare(like, this.#run(fd, device, at), at);
  }

  probeZero(step: Fields, fd: number, device: string): void {
    for (let at = step.count('from', CONFIG_BYTES); at < step.count('to', CONFIG_BYTES); at += 4) {
      const probe = this.#run(fd, device, at);
      const zero = '00000000';
      const still = probe.after === zero && probe.physAfter === zero && probe.writes.every(({ v, p, ret }) => v === '' && p === '' && ret === '');
      const clean = probe.orig === zero && probe.phys === zero && still;
      this.#report.compare(`dword 0x${at.toString(16)}`, 'zero', clean ? 'zero' : JSON.stringify(probe));
    }
  }

  #compare(step: Fields, probe: Probe, at: number): void {
    const report = this.#report;
    const orig = toHex(step.bytes('orig'));
    const phys = toHex(step.bytes('phys'));
    report.compare(`orig 0x${at.toString(16)}`, orig, probe.orig);
    report.compare(`phys 0x${at.toString(16)}`, phys, probe.phys);
    const rows = writesOf(step);
    report.compare(`writes 0x${at.toString(16)}`, rows.length, probe.writes.length);
    probe.writes.forEach((write, i) => {
      const row = rows[i];
      if (row === undefined) return;
      const where = `0x${at.toString(16)}+${write.at}=${write.pattern}`;
      report.compare(`write ${where}`, `${row.at} ${row.pattern}`, `${write.at} ${write.pattern}`);
      report.compare(`v ${where}`, row.v, write.v);
      report.compare(`p ${where}`, row.p, write.p);
      report.compare(`ret ${where}`, row.ret, write.ret);
    });
    report.compare(`after 0x${at.toString(16)}`, step.has('after') ? toHex(step.bytes('after')) : orig, probe.after);
    report.compare(`phys_after 0x${at.toString(16)}`, step.has('phys_after') ? toHex(step.bytes('phys_after')) : phys, probe.physAfter);
  }

  #run(fd: number, device: string, at: number): Probe {
    const orig = this.#virtual(fd, at);
    const phys = this.#physical(device, at);
    const restore = fromHex(orig) ?? new Uint8Array(4);
    const writes = PATTERNS.map(([offset, bytes]): Write => {
      const pattern = Uint8Array.from(bytes);
      const written = this.#process.tryPwrite(fd, pattern, CONFIG_REGION + at + offset);
      const v = this.#virtual(fd, at);
      const p = this.#physical(device, at);
      const restored = this.#process.tryPwrite(fd, restore, CONFIG_REGION + at);
      const usual = written === pattern.length && restored === restore.length;
      return { at: offset, pattern: toHex(pattern), v: v === orig ? '' : v, p: p === phys ? '' : p, ret: usual ? '' : `[${written},${restored}]` };
    });
    return { orig, phys, writes, after: this.#virtual(fd, at), physAfter: this.#physical(device, at) };
  }

  #virtual(fd: number, at: number): string {
    const into = new Uint8Array(4);
    const result = this.#process.tryPread(fd, into, CONFIG_REGION + at);
    return result === 4 ? toHex(into) : `ret ${result}`;
  }

  #physical(device: string, at: number): string {
    const content = this.#process.host.scheduler.call('config', this.#process.sys.readFile(`/sys/bus/pci/devices/${device}/config`));
    return content instanceof Uint8Array ? toHex(content.subarray(at, at + 4)) : '';
  }
}

/** The rows of a probe. A dword that is `readonly` has none: nothing changed for any pattern. */
function writesOf(step: Fields): readonly Write[] {
  if (step.has('readonly') === step.has('writes')) return step.fail('writes', 'either these or readonly');
  if (step.has('readonly')) {
    if (!step.boolean('readonly')) return step.fail('readonly', 'true');
    return PATTERNS.map(([at, bytes]) => ({ at, pattern: toHex(Uint8Array.from(bytes)), v: '', p: '', ret: '' }));
  }
  return step.list('writes').map((row) => writeOf(row, step));
}

function writeOf(row: Json, step: Fields): Write {
  if (!Array.isArray(row)) return step.fail('writes', 'rows of offset, pattern, v, p');
  const [at, pattern, v, p, ret, ...more] = row as readonly Json[];
  if (typeof at !== 'number' || typeof pattern !== 'string' || typeof v !== 'string' || typeof p !== 'string' || more.length > 0) {
    return step.fail('writes', 'rows of offset, pattern, v, p');
  }
  if ([pattern, v, p].some((text) => fromHex(text) === undefined)) return step.fail('writes', 'an even number of hex digits');
  return { at, pattern, v, p, ret: ret === undefined ? '' : JSON.stringify(ret) };
}
