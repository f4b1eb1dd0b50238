/** The permission map: a fixed series of writes to one dword, with what the user and the hardware show after each. */
import type { Process } from '@vsim/vfio-core';
import { extendedStructureLength, structureLength, type PciBus } from '@vsim/vfio-pci';
import { fromHex, toHex, type Fields, type Json } from '../json.ts';
import type { CaseRecorder } from '../report.ts';
import { VENDOR_BYTES_RULE, isVendorByte } from './relaxed.ts';

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

/** What one probe found, as the recording writes it. */
interface Probe {
  readonly orig: string;
  readonly phys: string;
  readonly writes: readonly (readonly [at: number, pattern: string, virtual: string, physical: string])[];
  readonly after: string;
  readonly physAfter: string;
}

const CONFIG_BYTES = 4096;

export class PermissionMap {
  readonly #report: CaseRecorder;
  readonly #process: Process;
  readonly #bus: PciBus;
  /** Expected probes of this scenario, for repeats. */
  readonly #seen = new Map<number, Fields>();

  constructor(report: CaseRecorder, process: Process, bus: PciBus) {
    this.#report = report;
    this.#process = process;
    this.#bus = bus;
  }

  probe(step: Fields, fd: number, device: string): void {
    const at = step.number('at');
    this.#seen.set(at, step);
    this.#compare(step, this.#run(fd, device, at), device, at);
  }

  probeRepeat(step: Fields, fd: number, device: string): void {
    const like = this.#seen.get(step.number('like')) ?? step.fail('like', 'a dword that was probed before');
    for (let at = step.count('from', CONFIG_BYTES); at < step.count('to', CONFIG_BYTES); at += 4) this.#compare(like, this.#run(fd, device, at), device, at);
  }

  probeZero(step: Fields, fd: number, device: string): void {
    for (let at = step.count('from', CONFIG_BYTES); at < step.count('to', CONFIG_BYTES); at += 4) {
      const probe = this.#run(fd, device, at);
      const zero = '00000000';
      const clean = probe.orig === zero && probe.phys === zero && probe.writes.every(([, , v, p]) => v === '' && p === '');
      this.#report.compare(`dword 0x${at.toString(16)}`, 'zero', clean ? 'zero' : JSON.stringify(probe.writes));
    }
  }

  #compare(step: Fields, probe: Probe, device: string, at: number): void {
    const report = this.#report;
    report.compare(`orig 0x${at.toString(16)}`, toHex(step.bytes('orig')), probe.orig);
    this.#comparePhysical(`phys 0x${at.toString(16)}`, device, at, toHex(step.bytes('phys')), probe.phys);
    const writes = step.has('writes') ? step.list('writes') : [];
    probe.writes.forEach(([offset, pattern, virtual, physical], i) => {
      const [, , v, p] = writesRow(writes[i], step);
      const where = `0x${at.toString(16)}+${offset}=${pattern}`;
      report.compare(`v ${where}`, v, virtual);
      this.#comparePhysical(`p ${where}`, device, at, p === '' ? step.string('phys') : p, physical === '' ? probe.phys : physical);
    });
    report.compare(`after 0x${at.toString(16)}`, step.has('after') ? step.string('after') : probe.orig, probe.after);
    this.#comparePhysical(`phys_after 0x${at.toString(16)}`, device, at, step.has('phys_after') ? step.string('phys_after') : step.string('phys'), probe.physAfter);
  }

  /** Bytes of the vendor's may differ: the hardware's own bits are not known. */
  #comparePhysical(field: string, device: string, at: number, expected: string, actual: string): void {
    if (expected === actual) {
      this.#report.compare(field, expected, actual);
      return;
    }
    const config = this.#bus.device(device)?.function.config.bytes ?? new Uint8Array(256);
    const want = fromHex(expected) ?? new Uint8Array(4);
    const have = fromHex(actual) ?? new Uint8Array(4);
    const lengthOf = (id: number, start: number, extended: boolean): number =>
      extended ? extendedStructureLength(config, id, start) : structureLength(config, id, start);
    for (let i = 0; i < 4; i += 1) {
      if (want[i] === have[i] || !isVendorByte(config, lengthOf, at + i)) continue;
      this.#report.relax(VENDOR_BYTES_RULE);
      have[i] = want[i]!;
    }
    this.#report.compare(field, expected, toHex(have));
  }

  #run(fd: number, device: string, at: number): Probe {
    const orig = this.#virtual(fd, at);
    const phys = this.#physical(device, at);
    const restore = fromHex(orig) ?? new Uint8Array(4);
    const writes = PATTERNS.map(([offset, bytes]): [number, string, string, string] => {
      const pattern = Uint8Array.from(bytes);
      this.#process.tryPwrite(fd, pattern, CONFIG_REGION + at + offset);
      const virtual = this.#virtual(fd, at);
      const physical = this.#physical(device, at);
      this.#process.tryPwrite(fd, restore, CONFIG_REGION + at);
      return [offset, toHex(pattern), virtual === orig ? '' : virtual, physical === phys ? '' : physical];
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

/** A row of `writes`; a dword that is read-only has none, and nothing changes. */
function writesRow(row: Json | undefined, step: Fields): readonly [number, string, string, string] {
  if (row === undefined) return [0, '', '', ''];
  if (!Array.isArray(row)) return step.fail('writes', 'rows of offset, pattern, v, p');
  const [at, pattern, v, p] = row as readonly Json[];
  if (typeof at !== 'number' || typeof pattern !== 'string' || typeof v !== 'string' || typeof p !== 'string') {
    return step.fail('writes', 'rows of offset, pattern, v, p');
  }
  if ([pattern, v, p].some((text) => fromHex(text) === undefined)) return step.fail('writes', 'an even number of hex digits');
  return [at, pattern, v, p];
}
