/** A guest with forwarded interrupts, and what an act makes the kernel floors write to the GIC. */
import type { ProfileName } from '@vsim/vfio-core';
import type { ItsIrq } from '../src/index.ts';
import { GUEST, Machine, type MachineInit, type Vector } from './machine.ts';

export const DEVICE = 0x10;
export const LPI = 8195;
export const SGI_FRAME: number = GUEST.REDIST + 0x1_0000;
export const KERNELS: readonly ProfileName[] = ['linux-5.10', 'linux-5.13', 'linux-6.1', 'linux-6.12', 'linux-7.3'];

/** A guest that has mapped events of one device, and the device's vectors. */
export function forwarded(init: MachineInit = {}, lpis: readonly number[] = [LPI]): { machine: Machine; vectors: readonly Vector[]; irqs: readonly ItsIrq[] } {
  const machine = new Machine(init);
  machine.boot();
  machine.mapDevice(DEVICE, lpis);
  const irqs = machine.driver.allocate(DEVICE, lpis.length, false);
  return { machine, irqs, vectors: irqs.map((irq, event) => machine.vector(DEVICE, event, irq)) };
}

/** Commands as `ITS:NAME`, and stores to one register of any redistributor as `CPU:value`. */
export function seen(machine: Machine, act: () => void, register?: number): { commands: string[]; words: bigint[][]; stores: string[] } {
  const commands: string[] = [];
  const words: bigint[][] = [];
  const stores: string[] = [];
  const stop = machine.host.trace.listen(({ id, fields }) => {
    if (id !== 'gic/command') return;
    const command = fields as { name: string; its: number; words: bigint[] };
    commands.push(machine.gic.its.length === 1 ? command.name : `${command.its}:${command.name}`);
    words.push(command.words);
  });
  const { memory } = machine.host;
  const write64 = memory.write64.bind(memory);
  memory.write64 = (address, lo, hi, requester): void => {
    const cpu = machine.gic.redistributorBase.findIndex((base) => register !== undefined && address === base + register);
    if (cpu >= 0) {
      const value = (BigInt(hi >>> 0) << 32n) | BigInt(lo >>> 0);
      stores.push(`${cpu}:0x${value.toString(16)}`);
    }
    write64(address, lo, hi, requester);
  };
  act();
  stop();
  memory.write64 = write64;
  return { commands, words, stores };
}

export const idsOf = (machine: Machine, act: () => void): readonly string[] => {
  const events = machine.host.trace.record();
  act();
  return events.map(({ id }) => id);
};
