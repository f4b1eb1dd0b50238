/**
 * The physical LPIs of a redistributor: GICR_CTLR.EnableLPIs, GICR_PROPBASER and GICR_PENDBASER, and what arrives and goes.
 *
 * Reference: Arm IHI 0069, "LPIs", GICR_CTLR, GICR_PROPBASER, GICR_PENDBASER.
 * Modelled: tables of up to 16 INTID bits, PTZ, EnableLPIs that can be cleared or not, moves between redistributors.
 */
import { toNumber, type Memory, type Trace } from '@vsim/vfio-core';
import type { ImplementationChoices } from './choices.ts';
import { ACCESS_IGNORED, LPI_DROPPED, LPI_PENDING, UNPREDICTABLE } from './events.ts';
import { HeldLpis } from './held-lpis.ts';
import { LpiTables, moveAll, type LpiBank } from './lpi-bank.ts';
import { FIRST_LPI, type Candidate } from './pending-bits.ts';

// V8 folds a module's own constants, but loads what is imported or exported at each use.
const FIRST = FIRST_LPI;

// High half of GICR_PENDBASER.
const PTZ = 0x4000_0000;

/** Architected bits of PROPBASER and PENDBASER in halves. PTZ reads as 0. */
const MASKS: readonly number[] = [0xffff_ff9f, 0x070f_ffff, 0xffff_0f80, 0x070f_ffff];
const SHAREABILITY = 0xc00;

/** Whom the best LPI concerns: the redistributor. An object, and no function, for which V8 would look at each call. */
export interface LpisOwner {
  /** The best LPI may be another one. */
  lpisChanged(): void;
}

/** What these LPIs need of the GIC. */
export interface PhysicalLpisHost {
  readonly memory: Memory;
  readonly trace: Trace;
  readonly choices: ImplementationChoices;
}

export class PhysicalLpis {
  readonly bank: LpiBank;
  readonly #index: number;
  readonly #host: PhysicalLpisHost;
  readonly #owner: LpisOwner;
  readonly #trace: Trace;
  /** The bank's. */
  readonly #best: Candidate;
  /** GICR_PROPBASER and GICR_PENDBASER in halves. */
  readonly #base = new Uint32Array(4);
  /** GICv4.0: individual doorbells that rang here, and the VPT of the vPE for which. */
  readonly #doorbells = new Map<number, number>();
  #enabled = false;
  #ptz = false;
  /** LPIs below this are taken; 0 while EnableLPIs is 0. */
  #end = 0;

  constructor(host: PhysicalLpisHost, index: number, owner: LpisOwner) {
    this.#host = host;
    this.#index = index;
    this.#owner = owner;
    this.#trace = host.trace;
    this.bank = host.choices.cacheLpis ? new HeldLpis(host.memory) : new LpiTables(host.memory);
    this.#best = this.bank.best;
  }

  /** Registers as after a warm reset. */
  reset(): void {
    this.#base.fill(0);
    this.#doorbells.clear();
    this.#enabled = false;
    this.#ptz = false;
    this.#place();
    this.bank.reset();
  }

  get enabled(): boolean {
    return this.#enabled;
  }

  /** INTID bits, at most 16. */
  get bits(): number {
    return Math.min((this.#base[0]! & 0x1f) + 1, 16);
  }

  /** An LPI arrives: a translated MSI, INT, or a doorbell. @param intid any: one that is no LPI here is `gic/lpi-dropped` */
  deliver(intid: number): void {
    if (intid >= FIRST && intid < this.#end) {
      if (!this.bank.set(intid)) return;
      if (this.#trace.followed) this.#tell(intid);
      if (this.#best.intid === intid) this.#owner.lpisChanged();
    } else this.#drop(intid);
  }

  /**
   * GICv4.0: the individual doorbell of a vPE's VLPI.
   *
   * @param doorbell INTID of an LPI
   * @param vptAddress physical address of the vPE's VPT
   */
  ring(doorbell: number, vptAddress: number): void {
    this.#doorbells.set(doorbell, vptAddress);
    this.deliver(doorbell);
  }

  /**
   * GICv4.0: a vPE is here no longer, and its doorbells may become LPIs of a device.
   *
   * @param vptAddress physical address of the vPE's VPT
   */
  forgetDoorbells(vptAddress: number): void {
    for (const [doorbell, vpt] of this.#doorbells) {
      if (vpt !== vptAddress) continue;
      this.#doorbells.delete(doorbell);
      this.forget(doorbell);
    }
  }

  /** CLEAR and DISCARD. @param intid any: one that is no LPI here is `gic/lpi-dropped` */
  clear(intid: number): void {
    const best = this.bank.best.intid === intid;
    if (intid < FIRST || intid >= this.#end) this.#drop(intid);
    else if (this.bank.clear(intid) && best) this.#owner.lpisChanged();
  }

  /** MOVI: takes one LPI away, with its pending state. @param intid any: one that is no LPI of both does nothing */
  moveTo(target: PhysicalLpis, intid: number): void {
    if (intid < FIRST || intid >= Math.min(this.#end, target.#end)) return;
    const pending = this.bank.clear(intid);
    this.bank.forget(intid);
    // The target may know the INTID from before: as a doorbell, or from when the LPI was there.
    target.bank.forget(intid);
    if (!pending) return;
    this.#owner.lpisChanged();
    target.deliver(intid);
  }

  /** MOVALL. */
  moveAllTo(target: PhysicalLpis): void {
    if (!this.#enabled || !target.#enabled) return;
    moveAll(this.bank, target.bank, Math.min(this.bits, target.bits));
    this.#owner.lpisChanged();
    target.#owner.lpisChanged();
  }

  /** Configuration of one LPI is read again. @param intid any: one that is no LPI here does nothing */
  invalidate(intid: number): void {
    if (intid < FIRST || intid >= this.#end) return;
    if (this.bank.invalidate(intid)) this.#owner.lpisChanged();
  }

  /** An LPI that is mapped here no longer. @param intid any: one that is no LPI here does nothing */
  forget(intid: number): void {
    if (intid >= FIRST && intid < this.#end) this.bank.forget(intid);
  }

  invalidateAll(): void {
    if (this.#enabled) this.bank.invalidateAll();
    this.#owner.lpisChanged();
  }

  /** GICR_CTLR.EnableLPIs. */
  setEnabled(enable: boolean): void {
    if (enable === this.#enabled || (!enable && !this.#host.choices.clearableLpis)) return;
    this.#enabled = enable;
    this.#place();
    if (enable) this.bank.open(this.#ptz && this.#host.choices.honourPtz);
    else this.bank.close();
    this.#owner.lpisChanged();
  }

  /** @param half 0 to 3: PROPBASER, PENDBASER, low half first */
  read(half: number): number {
    return this.#base[half]!;
  }

  write(half: number, value: number): void {
    const { choices, trace } = this.#host;
    if (this.#enabled && !choices.lpiTablesAlwaysWritable) {
      if (!trace.on) return;
      trace.emit(ACCESS_IGNORED, { frame: `redistributor ${this.#index}`, offset: 0x70 + 4 * half });
      trace.emit(UNPREDICTABLE, { what: `${half < 2 ? 'PROPBASER' : 'PENDBASER'} written while EnableLPIs is 1` });
      return;
    }
    if (half === 3) this.#ptz = (value & PTZ) !== 0;
    if (choices.keepReservedBits) this.#base[half] = value;
    else this.#base[half] = value & MASKS[half]! & (choices.coherent || half % 2 === 1 ? 0xffff_ffff : ~SHAREABILITY);
    this.#place();
  }

  #place(): void {
    const [propLow = 0, propHigh = 0, pendLow = 0, pendHigh = 0] = this.#base;
    const properties = toNumber(propLow & 0xffff_f000, propHigh & 0x000f_ffff);
    this.bank.place(toNumber(pendLow & 0xffff_0000, pendHigh & 0x000f_ffff), properties, this.bits);
    this.#end = this.#enabled ? 1 << this.bits : 0;
  }

  #tell(intid: number): void {
    this.#trace.step(LPI_PENDING, { cpu: this.#index, intid });
  }

  #drop(intid: number): void {
    const { trace } = this.#host;
    if (trace.on) trace.emit(LPI_DROPPED, { cpu: this.#index, intid, why: this.#enabled ? 'beyond PROPBASER.IDbits' : 'EnableLPIs is 0' });
  }
}
