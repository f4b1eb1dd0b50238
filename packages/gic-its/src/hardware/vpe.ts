/**
 * What the GIC keeps of a GICv4.1 vPE between its first mapping and its last unmapping: its pending VLPIs and its doorbell.
 *
 * Reference: Arm IHI 0069, VMAPP, "Default doorbells". Everything else about a vPE is in the vPE table, in memory.
 */
import type { Memory } from '@vsim/vfio-core';
import { configByte, FIRST_LPI, HeldPendingBits, MemoryPendingBits, type PendingBits } from './pending-bits.ts';
import type { VpeEntry } from './its-tables.ts';

export class VpeContext {
  readonly vpeid: number;
  readonly pending: PendingBits;
  /** The default doorbell is requested: set by a descheduling, taken by the first enabled VLPI that then becomes pending. */
  doorbellArmed = false;
  /** The redistributor on which the vPE is resident, -1 for none. */
  residentOn = -1;
  readonly #memory: Memory;
  readonly #vptAddress: number;
  readonly #vptBytes: number;
  readonly #held: HeldPendingBits | undefined;
  vconfAddress: number;
  /** INTID bits of the VPT, at most 16. */
  readonly bits: number;

  /** @param zero PTZ was 1: the table is taken to be empty, whatever it holds. */
  constructor(memory: Memory, vpeid: number, entry: VpeEntry, hold: boolean, zero: boolean) {
    this.#memory = memory;
    this.vpeid = vpeid;
    this.bits = Math.min(entry.vptSize + 1, 16);
    this.#vptAddress = entry.vptAddress;
    this.#vptBytes = 2 ** this.bits / 8;
    this.vconfAddress = entry.vconfAddress;
    this.#held = hold ? new HeldPendingBits() : undefined;
    if (!zero) this.#held?.load(memory, entry.vptAddress, this.#vptBytes);
    this.pending = this.#held ?? new MemoryPendingBits(memory).at(entry.vptAddress);
    if (zero && this.#held === undefined) new HeldPendingBits().store(memory, entry.vptAddress, this.#vptBytes);
  }

  /** Whether the VPT in memory has a bit set: what PTZ = 1 must not be said of. */
  get tableHasBits(): boolean {
    for (let i = FIRST_LPI / 8; i < this.#vptBytes; i += 1) if (this.#memory.read8(this.#vptAddress + i) !== 0) return true;
    return false;
  }

  /** Writes back what is held: from now on the VPT in memory is the truth. */
  writeBack(): void {
    this.#held?.store(this.#memory, this.#vptAddress, this.#vptBytes);
  }

  enabled(vintid: number): boolean {
    return (configByte(this.#memory, this.vconfAddress, vintid) & 1) !== 0;
  }
}
