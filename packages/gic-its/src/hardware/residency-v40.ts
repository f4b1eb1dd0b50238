/**
 * Residency of GICv4.0: GICR_VPROPBASER is a VM's configuration table, GICR_VPENDBASER the resident vPE's pending table.
 *
 * Reference: Arm IHI 0069, "Redistributor and vPE residency". A vPE is its VPT's address: the bits of one that is not resident are
 * in memory, those of the resident one may be held until Valid is cleared.
 * Modelled: PendingLast, Dirty, individual doorbells. Not modelled: a coarse map, so IDAI is kept as written.
 */
import { toNumber, type Memory, type Trace } from '@vsim/vfio-core';
import { Busy } from './busy.ts';
import type { ImplementationChoices } from './choices.ts';
import { UNPREDICTABLE, VLPI_PENDING } from './events.ts';
import { HeldLpis } from './held-lpis.ts';
import { LpiTables, type LpiBank } from './lpi-bank.ts';
import { Candidate, MemoryPendingBits, NO_PRIORITY } from './pending-bits.ts';

// High half of GICR_VPENDBASER.
const VALID = 0x8000_0000;
const PENDING_LAST = 0x2000_0000;
const DIRTY = 0x1000_0000;

/** Whom the best virtual interrupts concern: the redistributor. */
export interface ResidencyOwner {
  /** The best one may be another. */
  virtualChanged(): void;
}

/** What residency needs of the GIC. */
export interface ResidencyHost {
  readonly memory: Memory;
  readonly trace: Trace;
  readonly choices: ImplementationChoices;
}

export class ResidencyV40 {
  /** The best VLPI of the resident vPE. */
  readonly best: Candidate = new Candidate();
  readonly #host: ResidencyHost;
  readonly #owner: ResidencyOwner;
  readonly #bank: LpiBank;
  readonly #vpt: MemoryPendingBits;
  readonly #dirty: Busy;
  /** VPROPBASER and VPENDBASER in halves. */
  readonly #base = new Uint32Array(4);
  #pendingLast = false;

  constructor(host: ResidencyHost, owner: ResidencyOwner) {
    this.#host = host;
    this.#owner = owner;
    this.#bank = host.choices.cacheVpt ? new HeldLpis(host.memory) : new LpiTables(host.memory);
    this.#vpt = new MemoryPendingBits(host.memory);
    this.#dirty = new Busy(host.choices.busyReads);
  }

  /** Registers as after a warm reset. */
  reset(): void {
    this.#base.fill(0);
    this.#pendingLast = false;
    this.#dirty.reset();
    this.#bank.reset();
    this.best.clear();
  }

  /** Whether the vPE with this VPT is resident here. @param vptAddress physical address */
  holds(vptAddress: number): boolean {
    return this.#valid && this.#address === vptAddress;
  }

  get #valid(): boolean {
    return (this.#base[3]! & VALID) !== 0;
  }

  get #address(): number {
    return toNumber(this.#base[2]! & 0xffff_0000, this.#base[3]! & 0x000f_ffff);
  }

  get #bits(): number {
    return Math.min((this.#base[0]! & 0x1f) + 1, 16);
  }

  /**
   * A VLPI arrives for the vPE with this VPT, of which this is the redistributor.
   *
   * @param vpeid for the trace alone
   * @param vptAddress physical address
   * @param vintid 8192 or more
   * @returns whether the individual doorbell rings
   */
  deliver(vpeid: number, vptAddress: number, vintid: number): boolean {
    if (this.holds(vptAddress)) {
      if (vintid < 2 ** this.#bits && this.#bank.set(vintid)) {
        this.#tell(vpeid, vintid);
        this.#refresh();
      }
      return false;
    }
    if (this.#host.choices.vlpisBounded && vintid >= 2 ** this.#bits) return false;
    const came = this.#vpt.at(vptAddress).change(vintid, true);
    if (came) this.#tell(vpeid, vintid);
    return came || this.#host.choices.individualDoorbell === 'every-arrival';
  }

  #tell(vpe: number, vintid: number): void {
    const { trace } = this.#host;
    if (trace.on) trace.emit(VLPI_PENDING, { vpe, vintid });
  }

  /**
   * A VLPI of the vPE with this VPT is pending no more.
   *
   * @param vptAddress physical address
   * @param vintid 8192 or more
   * @returns whether it was pending
   */
  clear(vptAddress: number, vintid: number): boolean {
    if (!this.holds(vptAddress)) return this.#vpt.at(vptAddress).change(vintid, false);
    if (vintid >= 2 ** this.#bits || !this.#bank.clear(vintid)) return false;
    this.#refresh();
    return true;
  }

  /**
   * VMOVI away.
   *
   * @param vptAddress physical address
   * @param vintid 8192 or more
   * @returns whether it was pending
   */
  takeAway(vptAddress: number, vintid: number): boolean {
    if (this.holds(vptAddress) && vintid < 2 ** this.#bits) return this.clear(vptAddress, vintid);
    return this.#vpt.at(vptAddress).change(vintid, false);
  }

  /**
   * A VLPI that is mapped to this vPE no longer: its configuration is not held.
   *
   * @param vptAddress physical address
   * @param vintid 8192 or more
   */
  forget(vptAddress: number, vintid: number): void {
    if (this.holds(vptAddress) && vintid < 2 ** this.#bits) this.#bank.forget(vintid);
  }

  /** A guest took the best one. @param vintid of `best` */
  take(vintid: number): void {
    this.#bank.take(vintid);
    this.#refresh();
  }

  /** Configuration of the resident vPE's VLPIs is read again. */
  invalidateAll(): void {
    if (!this.#valid) return;
    this.#bank.invalidateAll();
    this.#refresh();
  }

  invalidate(vintid: number): void {
    if (!this.#valid) return;
    this.#bank.invalidate(vintid);
    this.#refresh();
  }

  /** @param half 0 to 3: VPROPBASER, VPENDBASER, low half first */
  read(half: number): number {
    if (half !== 3) return this.#base[half]!;
    const dirty = this.#dirty.poll();
    return (this.#base[3]! | (dirty ? DIRTY : this.#pendingLast ? PENDING_LAST : 0)) >>> 0;
  }

  write(half: number, value: number): void {
    if (half < 2) {
      this.#base[half] = value;
      if (this.#valid) this.#place();
    } else if (half === 2) this.#setVpendbaser(value, (this.#base[3]! | (this.#pendingLast ? PENDING_LAST : 0)) >>> 0);
    else this.#setVpendbaser(this.#base[2]!, value);
  }

  write64(half: number, lo: number, hi: number): void {
    if (half === 2) this.#setVpendbaser(lo, hi);
    else {
      this.write(half, lo);
      this.write(half + 1, hi);
    }
  }

  #setVpendbaser(lo: number, hi: number): void {
    const wasValid = this.#valid;
    const valid = (hi & VALID) !== 0;
    if (wasValid && valid) {
      const same = (lo & 0xffff_0f80) >>> 0 === this.#base[2] && ((hi ^ this.#base[3]!) & 0xc70f_ffff) === 0;
      if (!same) this.#unpredictable('VPENDBASER changed while Valid is 1');
      return;
    }
    if (valid !== wasValid && this.#dirty.set) this.#unpredictable('VPENDBASER.Valid changed while Dirty is 1');
    let pendingLast = (hi & PENDING_LAST) !== 0;
    if (valid) pendingLast = true;
    if (wasValid) {
      pendingLast = this.#bank.best.priority !== NO_PRIORITY;
      this.#bank.close();
    }
    this.#pendingLast = pendingLast;
    this.#base[2] = lo & 0xffff_0f80;
    this.#base[3] = hi & 0xc70f_ffff;
    if (valid === wasValid) return;
    this.#dirty.start();
    if (valid) {
      this.#place();
      this.#bank.open(false);
    }
    this.#refresh();
  }

  #place(): void {
    const properties = toNumber(this.#base[0]! & 0xffff_f000, this.#base[1]! & 0x000f_ffff);
    this.#bank.place(this.#address, properties, this.#bits);
  }

  #refresh(): void {
    this.best.set(this.#bank.best);
    this.#owner.virtualChanged();
  }

  #unpredictable(what: string): void {
    const { trace } = this.#host;
    if (trace.on) trace.emit(UNPREDICTABLE, { what });
  }
}
