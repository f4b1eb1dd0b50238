/** The GIC of @vsim/gic-its in this process, without a host, as a recording of Linux drives it. */
import { highHalf, lowHalf, toBigint, Trace, type Memory, type MmioDevice } from '@vsim/vfio-core';
import { AS_GUEST, AT_EL2, Gic, registerNamed } from '@vsim/gic-its';
import type { GicUnderTest, RecordedGic } from './hardware.ts';

/** Where the recorded machine has its redistributors, whatever the version. */
const REDISTRIBUTORS = 0x080c_0000;

export class LocalGic implements GicUnderTest {
  readonly #gic: Gic;
  readonly #wide = new Uint32Array(2);
  #events: string[] = [];

  /** @param memory the RAM of the recording, or a way to it */
  constructor({ version, cpus, its, ram }: RecordedGic, memory: Memory = ram) {
    const trace = new Trace(() => 0);
    this.#gic = new Gic({ memory, trace }, { version, cpus, its, redistributors: REDISTRIBUTORS });
    trace.listen(({ id, text }) => {
      if (id !== 'gic/vlpi-pending') this.#events.push(`${id} ${text}`);
    });
  }

  load(address: number, size: number): bigint {
    const [device, offset] = this.#at(address);
    if (size !== 8) return BigInt(device.read(offset, size));
    device.read64(offset, this.#wide);
    return toBigint(this.#wide[0]!, this.#wide[1]!);
  }

  store(address: number, size: number, value: bigint, requester: number): void {
    const [device, offset] = this.#at(address);
    if (size === 8) device.write64(offset, lowHalf(value), highHalf(value), requester);
    else device.write(offset, size, lowHalf(value), requester);
  }

  readRegister(cpu: number, name: string, virtual: boolean): bigint {
    const outcome = this.#gic.cpu(cpu).readRegister(encodingOf(name), virtual ? AS_GUEST : AT_EL2, this.#wide);
    if (outcome !== 'done') throw new RangeError(`MRS of ${name}: ${outcome}`);
    return toBigint(this.#wide[0]!, this.#wide[1]!);
  }

  writeRegister(cpu: number, name: string, virtual: boolean, value: bigint): void {
    const outcome = this.#gic.cpu(cpu).writeRegister(encodingOf(name), virtual ? AS_GUEST : AT_EL2, lowHalf(value), highHalf(value));
    if (outcome !== 'done') throw new RangeError(`MSR of ${name}: ${outcome}`);
  }

  setPpi(cpu: number, intid: number, level: boolean): void {
    this.#gic.redistributors[cpu]!.setPpi(intid, level);
  }

  setSpi(intid: number, level: boolean): void {
    this.#gic.distributor.setSpi(intid, level);
  }

  lines(): bigint {
    let lines = 0n;
    this.#gic.redistributors.forEach(({ cpu }, n) => {
      lines |= BigInt(cpu.lines) << BigInt(8 * n);
    });
    return lines;
  }

  events(): readonly string[] {
    const events = this.#events;
    this.#events = [];
    return events;
  }

  #at(address: number): readonly [device: Required<MmioDevice>, offset: number] {
    const frame = this.#gic.frames.find(({ base, size }) => address >= base && address < base + size);
    if (frame === undefined) throw new RangeError(`"address" expected one of the GIC, got ${address}`);
    return [frame.device, address - frame.base];
  }
}

function encodingOf(name: string): number {
  const register = registerNamed(name);
  if (register === undefined) throw new RangeError(`"g" expected a register of the CPU interface, got ${name}`);
  return register.encoding;
}
