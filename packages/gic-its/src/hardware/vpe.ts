/**
 * What the GIC keeps of a GICv4.1 vPE between its first mapping and its last unmapping: what is pending, and its doorbell.
 *
 * Reference: Arm IHI 0069, VMAPP, "Default doorbells". Everything else about a vPE is in the vPE table, in memory.
 */
import type { Memory } from '@vsim/vfio-core';
import { HeldLpis } from './held-lpis.ts';
import type { VpeEntry } from './its-tables.ts';
import { LpiTables, type LpiBank } from './lpi-bank.ts';
import { FIRST_LPI, NO_PRIORITY, type Candidate } from './pending-bits.ts';
import type { ResidencyV41 } from './residency-v41.ts';
import { VirtualSgis } from './vsgi.ts';

export class VpeContext {
  readonly vpeid: number;
  readonly lpis: LpiBank;
  readonly sgis: VirtualSgis = new VirtualSgis();
  readonly vptAddress: number;
  readonly vconfAddress: number;
  /** VLPIs are below this: 2 ** INTID bits of the VPT, at most 65536. */
  readonly end: number;
  /** The default doorbell is requested: set by a descheduling, taken by the first enabled interrupt that then becomes pending. */
  doorbellArmed = false;
  /** Of the redistributor on which the vPE is resident. */
  residency: ResidencyV41 | undefined;
  readonly #memory: Memory;

  /**
   * Takes the VPT over from memory.
   *
   * @param vpeid 16 bits
   * @param hold it is cached while mapped
   * @param zero PTZ was 1: the table is taken to be empty, whatever it holds
   */
  constructor(memory: Memory, vpeid: number, entry: VpeEntry, hold: boolean, zero: boolean) {
    this.#memory = memory;
    this.vpeid = vpeid;
    const bits = Math.min(entry.vptSize + 1, 16);
    this.end = 1 << bits;
    this.vptAddress = entry.vptAddress;
    this.vconfAddress = entry.vconfAddress;
    this.lpis = hold ? new HeldLpis(memory) : new LpiTables(memory);
    this.lpis.place(entry.vptAddress, entry.vconfAddress, bits);
    this.lpis.open(zero);
    if (!zero) this.sgis.load(memory, entry.vptAddress);
  }

  /** The redistributor on which the vPE is resident, -1 for none. */
  get residentOn(): number {
    return this.residency?.index ?? -1;
  }

  /** Whether the VPT in memory has a bit set: what PTZ = 1 must not be said of. */
  tableHasBits(): boolean {
    const { vptAddress } = this;
    if (!this.#memory.accessible(vptAddress, this.end / 8)) return false;
    for (let i = FIRST_LPI / 8; i < this.end / 8; i += 4) if (this.#memory.read32(vptAddress + i) !== 0) return true;
    return false;
  }

  /** The best enabled, pending VLPI or SGI of Group 1. */
  best(into: Candidate): void {
    into.set(this.lpis.best);
    this.sgis.offer(into, true);
  }

  /** The best enabled, pending SGI of Group 0. */
  best0(into: Candidate): void {
    into.clear();
    this.sgis.offer(into, false);
  }

  /** Whether something that is enabled is pending. */
  get somethingPending(): boolean {
    if (this.lpis.best.priority !== NO_PRIORITY) return true;
    for (let sgi = 0; sgi < 16; sgi += 1) if ((this.sgis.pending & (1 << sgi)) !== 0 && this.sgis.enabled(sgi)) return true;
    return false;
  }

  /** Writes back what is held: from now on the VPT in memory is the truth. */
  writeBack(): void {
    this.lpis.close();
    this.sgis.store(this.#memory, this.vptAddress);
  }
}
