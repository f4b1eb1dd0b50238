/**
 * The SGIs of a GICv4.1 vPE: configuration and pending state, which no table in memory describes.
 *
 * Reference: Arm IHI 0069, VSGI, GITS_SGIR, GICR_VSGIR, GICR_VSGIPENDR. vSGIs have no active state.
 * Modelled: 16 SGIs with enable, group and 4 bits of priority. While the vPE is unmapped they are in the first KiB of its VPT,
 * which is IMPLEMENTATION DEFINED: bytes 0 to 15 hold priority [7:4], group 1, enable 0; bytes 16 and 17 the pending bits.
 * Software that unmaps a vPE and maps it again without PTZ finds its SGIs as they were, as Linux expects.
 */
import type { Memory } from '@vsim/vfio-core';
import type { Candidate } from './pending-bits.ts';

const COUNT = 16;
const ENABLE = 1;
const GROUP1 = 2;

export class VirtualSgis {
  readonly #config = new Uint8Array(COUNT);
  #pending = 0;

  /** Pending bits of SGIs 0 to 15. */
  get pending(): number {
    return this.#pending;
  }

  /** VSGI with Clear = 0. Pending state stays. @param priority bits [7:4] of it count @param sgi 0 to 15 */
  configure(sgi: number, enabled: boolean, group1: boolean, priority: number): void {
    this.#config[sgi] = (priority & 0xf0) | (group1 ? GROUP1 : 0) | (enabled ? ENABLE : 0);
  }

  /** An SGI arrives. @param sgi 0 to 15 @returns whether it became pending */
  set(sgi: number): boolean {
    const old = this.#pending;
    this.#pending |= 1 << sgi;
    return old !== this.#pending;
  }

  clear(sgi: number): void {
    this.#pending &= ~(1 << sgi);
  }

  enabled(sgi: number): boolean {
    return (this.#config[sgi]! & ENABLE) !== 0;
  }

  /** Offers the pending, enabled SGIs of a group; one goes before a VLPI of equal priority. @param group1 Group 1, or else Group 0 */
  offer(best: Candidate, group1: boolean): void {
    for (let rest = this.#pending; rest !== 0; rest &= rest - 1) {
      const sgi = 31 - Math.clz32(rest & -rest);
      const config = this.#config[sgi]!;
      if ((config & ENABLE) !== 0 && ((config & GROUP1) !== 0) === group1) best.offer(sgi, (config & 0xf0) | ENABLE);
    }
  }

  load(memory: Memory, vpt: number): void {
    if (!memory.accessible(vpt, COUNT + 2)) return;
    for (let sgi = 0; sgi < COUNT; sgi += 1) this.#config[sgi] = memory.read8(vpt + sgi);
    this.#pending = memory.read16(vpt + COUNT);
  }

  store(memory: Memory, vpt: number): void {
    if (!memory.accessible(vpt, COUNT + 2)) return;
    for (let sgi = 0; sgi < COUNT; sgi += 1) if (memory.read8(vpt + sgi) !== this.#config[sgi]) memory.write8(vpt + sgi, this.#config[sgi]!);
    if (memory.read16(vpt + COUNT) !== this.#pending) memory.write16(vpt + COUNT, this.#pending);
  }
}
