/** Reads, writes and their like on fds: what moves, how much, and what is compared less strictly. */
import { KERNEL_MEMORY_SHOWN } from '@vsim/mdev';
import { toHex, type Fields } from '../json.ts';
import type { MappingSteps } from './mapping-steps.ts';
import { EDU_DMA_REGISTERS, EDU_LEFTOVER_RULE, KERNEL_MEMORY_RULE, REGISTERS_RULE } from './relaxed.ts';
import type { Session } from './session.ts';

/** The VFIO region of a configuration space, as recordings name it. */
const CONFIG = 'CONFIG';
const REGIONS: readonly string[] = ['BAR0', 'BAR1', 'BAR2', 'BAR3', 'BAR4', 'BAR5', 'ROM', CONFIG, 'VGA'];
const REGION_SHIFT = 40n;
/** An offset with bit 63 is a negative one. */
const TOP_BIT = 1n << 63n;

export class AccessSteps {
  readonly #session: Session;
  readonly #mappings: MappingSteps;
  #eduDmaWritten = false;

  constructor(session: Session, mappings: MappingSteps) {
    this.#session = session;
    this.#mappings = mappings;
  }

  pread(step: Fields): void {
    const { machine, report } = this.#session;
    const off = offset(step);
    if (step.has('buffer')) {
      this.#session.result(step, machine.process.tryPreadTo(this.#session.fd(step), this.#address(step.object('buffer')), step.count('len'), off));
      return;
    }
    const into = new Uint8Array(step.count('len'));
    const unknown = new Set<number>();
    const stop = machine.host.trace.listen(({ id, fields }) => {
      if (id !== KERNEL_MEMORY_SHOWN.id || !('offset' in fields && 'length' in fields)) return;
      for (let i = 0; i < Number(fields.length); i += 1) unknown.add(Number(fields.offset) + i - off);
    });
    const result = machine.process.tryPread(this.#session.fd(step), into, off);
    stop();
    this.#session.result(step, result);
    const expected = step.has('out') ? step.bytes('out') : new Uint8Array(0);
    const actual = into.subarray(0, Math.max(result, 0));
    if (expected.length === actual.length) this.#relax(step, expected, actual, unknown);
    if (expected.length > 0 || actual.length > 0) report.compare('out', toHex(expected), toHex(actual));
  }

  pwrite(step: Fields): void {
    const { process } = this.#session.machine;
    if (step.has('buffer')) {
      this.#session.result(step, process.tryPwriteFrom(this.#session.fd(step), this.#address(step.object('buffer')), step.count('len'), offset(step)));
      return;
    }
    const bytes = step.bytes('in');
    if (isEduDma(step, bytes.length)) this.#eduDmaWritten = true;
    this.#session.result(step, process.tryPwrite(this.#session.fd(step), bytes, offset(step)));
  }

  /** At the fd's own position. */
  read(step: Fields): void {
    if (step.has('at')) {
      this.#session.result(step, this.#session.machine.process.tryPreadTo(this.#session.fd(step), nullPointer(step), step.count('len'), 0));
      return;
    }
    const into = new Uint8Array(step.count('len'));
    const result = this.#session.machine.process.tryRead(this.#session.fd(step), into);
    this.#session.result(step, result);
    const actual = toHex(into.subarray(0, Math.max(result, 0)));
    if (step.has('out') || actual !== '') this.#session.report.compare('out', toHex(step.bytes('out')), actual);
  }

  write(step: Fields): void {
    if (step.has('at')) {
      this.#session.result(step, this.#session.machine.process.tryPwriteFrom(this.#session.fd(step), nullPointer(step), step.count('len'), 0));
      return;
    }
    this.#session.result(step, this.#session.machine.process.tryWrite(this.#session.fd(step), step.bytes('in')));
  }

  seek(step: Fields): void {
    this.#session.result(step, this.#session.machine.process.tryLseek(this.#session.fd(step), offset(step), step.number('whence')));
  }

  /** One fd, without waiting. */
  poll(step: Fields): void {
    const [found = 0] = this.#session.machine.process.poll([{ fd: this.#session.fd(step), events: step.number('events') }]);
    this.#session.result(step, found === 0 ? 0 : 1);
    this.#session.report.compare('revents', step.number('revents'), found);
  }

  /** `region` and `at` say the same as `off`. */
  comparePosition(step: Fields): void {
    const { report } = this.#session;
    const region = step.raw('region');
    const index = typeof region === 'string' ? REGIONS.indexOf(region) : step.number('region');
    const off = step.bigint('off');
    const actual = Number(off >> REGION_SHIFT);
    // An offset that is a little below its region has no `at`.
    if (step.has('at') || actual + 1 !== index) report.compare('region', index, actual);
    if (step.has('at')) report.compare('at', step.bigint('at'), off & ((1n << REGION_SHIFT) - 1n));
  }

  /** A buffer that is not there, or ends in the middle. */
  #address(buffer: Fields): number {
    return buffer.has('ptr') ? buffer.number('ptr') : (this.#mappings.named(buffer)?.mapping.address ?? 0) + buffer.number('add');
  }

  /** Bytes that a rule lets differ become the recorded ones; it is counted where they were not. */
  #relax(step: Fields, expected: Uint8Array, actual: Uint8Array, unknown: ReadonlySet<number>): void {
    const rule = unknown.size > 0 ? KERNEL_MEMORY_RULE : this.#registerRule(step, actual);
    if (rule === undefined) return;
    let relaxed = false;
    for (const [i, byte] of expected.entries()) {
      if (byte === actual[i] || (rule === KERNEL_MEMORY_RULE && !unknown.has(i))) continue;
      actual[i] = byte;
      relaxed = true;
    }
    if (relaxed) this.#session.report.relax(rule);
  }

  /** The rule for the registers that were read; undefined: they are compared. */
  #registerRule(step: Fields, actual: Uint8Array): string | undefined {
    if (!step.has('region') || step.raw('region') === CONFIG) return undefined;
    if (!this.#session.isModelled(this.#session.devices.get(step.string('fd')))) return REGISTERS_RULE;
    const untouched = !this.#eduDmaWritten && isEduDma(step, actual.length) && actual.every((byte) => byte === 0 || byte === 0xff);
    return untouched ? EDU_LEFTOVER_RULE : undefined;
  }
}

/** A buffer that is not there; the position of such a file is where it begins. */
function nullPointer(step: Fields): number {
  return step.string('at') === 'null pointer' ? 0 : step.fail('at', 'a null pointer');
}

/** A file offset: negative ones are recorded as two's complement of 64 bits. */
function offset(step: Fields): number {
  const off = step.bigint('off');
  return Number(off >= TOP_BIT ? BigInt.asIntN(64, off) : off);
}

/** Whether an access is one of BAR 0's at edu's DMA registers. */
function isEduDma(step: Fields, length: number): boolean {
  if (!step.has('at') || step.raw('region') !== 'BAR0' || !step.string('fd').includes('0000:00:02.0')) return false;
  const at = step.number('at');
  return at <= EDU_DMA_REGISTERS.last && at + length > EDU_DMA_REGISTERS.first;
}
