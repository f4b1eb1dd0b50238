/**
 * Residency of GICv4.1: GICR_VPROPBASER is the vPE table, GICR_VPENDBASER names the resident vPE by its vPEID.
 *
 * Reference: Arm IHI 0069, GICR_VPROPBASER, GICR_VPENDBASER, GICR_VSGIR, GICR_VSGIPENDR, "Default doorbells".
 * Modelled: the group enables, PendingLast, Dirty, the doorbell request, the query of vSGIs. Not modelled: VPROPBASER.Z.
 */
import { toNumber } from '@vsim/vfio-core';
import { Busy } from './busy.ts';
import { UNPREDICTABLE } from './events.ts';
import { ItsTable, VpeEntry, VPE_ENTRY_BYTES_V41 } from './its-tables.ts';
import { Candidate, SPURIOUS } from './pending-bits.ts';
import type { ResidencyHost, ResidencyOwner } from './residency-v40.ts';
import type { VpeContext } from './vpe.ts';

// V8 folds a module's own constants, but loads what is imported or exported at each use.
const NOTHING = SPURIOUS;

// High half of GICR_VPENDBASER.
const VALID = 0x8000_0000;
const DOORBELL = 0x4000_0000;
const PENDING_LAST = 0x2000_0000;
const DIRTY = 0x1000_0000;
const VGRP0EN = 0x0800_0000;
const VGRP1EN = 0x0400_0000;
const GROUPS = 0x0c00_0000;

/** GICR_VSGIPENDR.Busy. */
const VSGIPENDR_BUSY = 0x8000_0000;

export interface ResidencyV41Host extends ResidencyHost {
  /** A mapped vPE. @param vpeid 16 bits */
  vpe(vpeid: number): VpeContext | undefined;
}

export class ResidencyV41 {
  /** The best VLPI or vSGI of Group 1 of the resident vPE, and its best vSGI of Group 0. */
  readonly best: Candidate = new Candidate();
  readonly best0: Candidate = new Candidate();
  readonly #host: ResidencyV41Host;
  /** The redistributor's number. */
  readonly index: number;
  readonly #owner: ResidencyOwner;
  readonly #table: ItsTable;
  readonly #entry = new VpeEntry();
  readonly #dirty: Busy;
  readonly #querying: Busy;
  /** VPROPBASER and VPENDBASER in halves. */
  readonly #base = new Uint32Array(4);
  #pendingLast = false;
  #resident: VpeContext | undefined;
  /** The best one is the best VLPI: Group 1 is enabled, and no vSGI is pending. */
  #vlpisAlone = false;
  #queried = 0;

  constructor(host: ResidencyV41Host, index: number, owner: ResidencyOwner) {
    this.#host = host;
    this.index = index;
    this.#owner = owner;
    this.#table = new ItsTable(host.memory, VPE_ENTRY_BYTES_V41, 0x1_0000);
    this.#dirty = new Busy(host.choices.busyReads);
    this.#querying = new Busy(host.choices.busyReads);
  }

  /** Registers as after a warm reset. */
  reset(): void {
    this.#base.fill(0);
    this.#pendingLast = false;
    this.#resident = undefined;
    this.#vlpisAlone = false;
    this.#queried = 0;
    this.#dirty.reset();
    this.#querying.reset();
    this.#table.configure(0, 0, 4096, false);
    this.best.clear();
    this.best0.clear();
  }

  get resident(): VpeContext | undefined {
    return this.#resident;
  }

  /** The resident vPE's interrupts changed. */
  refresh(): void {
    const vpe = this.#resident;
    this.#vlpisAlone = false;
    if (vpe?.sgis.pending !== 0 || this.best0.intid !== NOTHING) this.#refreshGroups(vpe);
    else if ((this.#base[3]! & VGRP1EN) !== 0) {
      this.#vlpisAlone = true;
      this.best.set(vpe.lpis.best);
    } else this.best.clear();
    this.#owner.virtualChanged();
  }

  /** The resident vPE has a new best VLPI: refresh() with fewer looks, where none other can be meant. */
  vlpiCame(best: Candidate): void {
    if (!this.#vlpisAlone) {
      this.refresh();
      return;
    }
    this.best.set(best);
    this.#owner.virtualChanged();
  }

  /** refresh() where a vSGI is pending, or was. */
  #refreshGroups(vpe: VpeContext | undefined): void {
    const groups = this.#base[3]!;
    if (vpe !== undefined && (groups & VGRP1EN) !== 0) vpe.best(this.best);
    else this.best.clear();
    if (vpe !== undefined && (groups & VGRP0EN) !== 0) vpe.best0(this.best0);
    else this.best0.clear();
  }

  /** A guest took the best one. @param vintid of `best` */
  take(vintid: number): void {
    if (vintid < 16) this.#resident?.sgis.clear(vintid);
    else this.#resident?.lpis.take(vintid);
    this.refresh();
  }

  /** VMAPP with V = 0, or VMOVP, of the resident vPE. */
  evict(vpe: VpeContext): void {
    this.#unpredictable(`vpe ${vpe.vpeid} unmapped or moved while it is resident`);
    this.#resident = undefined;
    vpe.residency = undefined;
    this.refresh();
  }

  /** Where the vPE table of this redistributor maps a vPE, -1 for nowhere. @param vpeid 16 bits */
  mappedTo(vpeid: number): number {
    this.#entry.read(this.#table, vpeid, true);
    return this.#entry.valid ? this.#entry.rdbase : -1;
  }

  /** @param half 0 to 3: VPROPBASER, VPENDBASER, low half first */
  read(half: number): number {
    if (half !== 3) return this.#base[half]!;
    const dirty = this.#dirty.poll();
    return (this.#base[3]! | (dirty ? DIRTY : this.#pendingLast ? PENDING_LAST : 0)) >>> 0;
  }

  write(half: number, value: number): void {
    if (half === 0) this.#setVpropbaser(value, this.#base[1]!);
    else if (half === 1) this.#setVpropbaser(this.#base[0]!, value);
    else if (half === 2) this.#setVpendbaser(value, (this.#base[3]! | (this.#pendingLast ? PENDING_LAST : 0)) >>> 0);
    else this.#setVpendbaser(this.#base[2]!, value);
  }

  write64(half: number, lo: number, hi: number): void {
    if (half === 0) this.#setVpropbaser(lo, hi);
    else this.#setVpendbaser(lo, hi);
  }

  /** GICR_VSGIR: asks for the pending SGIs of a vPE that is mapped to this redistributor. @param vpeid 16 bits */
  query(vpeid: number): void {
    const vpe = this.#host.vpe(vpeid);
    const here = vpe !== undefined && this.mappedTo(vpeid) === this.index;
    if (!here) this.#unpredictable(`VSGIR of vpe ${vpeid} on ${this.index}, where it is not mapped`);
    this.#queried = here ? vpe.sgis.pending : 0;
    this.#querying.start();
  }

  /** GICR_VSGIPENDR. */
  answer(): number {
    return this.#querying.poll() ? VSGIPENDR_BUSY : this.#queried;
  }

  #setVpropbaser(lo: number, hi: number): void {
    // Size is [6:0], InnerCache [9:7]. Entry_Size (bits [61:59]) is read-only: 32 bytes.
    this.#base[0] = lo & (this.#host.choices.coherent ? 0xffff_ffff : ~0xc00);
    this.#base[1] = (hi & 0x87ff_ffff) | (3 << 27);
    const valid = (hi & VALID) !== 0;
    const pageBytes = [4096, 16384, 65536, 65536][(hi >>> 21) & 3]!;
    const base = toNumber(lo & 0xffff_f000, hi & 0x000f_ffff);
    this.#table.configure(base, valid ? (lo & 0x7f) + 1 : 0, pageBytes, (hi & 0x0080_0000) !== 0);
  }

  #setVpendbaser(lo: number, hi: number): void {
    const wasValid = (this.#base[3]! & VALID) !== 0;
    const valid = (hi & VALID) !== 0;
    if (wasValid && valid) {
      const same = (lo & 0xffff) === this.#base[2] && ((hi ^ this.#base[3]!) & GROUPS) === 0;
      if (!same) this.#unpredictable('VPENDBASER changed while Valid is 1');
      return;
    }
    if (valid !== wasValid && this.#dirty.set) this.#unpredictable('VPENDBASER.Valid changed while Dirty is 1');
    if (valid) this.#makeResident(lo & 0xffff, hi);
    else if (wasValid) this.#deschedule(lo & 0xffff, hi);
    else {
      this.#pendingLast = (hi & PENDING_LAST) !== 0;
      this.#base[2] = lo & 0xffff;
      this.#base[3] = hi & (GROUPS | DOORBELL);
    }
  }

  #makeResident(vpeid: number, hi: number): void {
    const vpe = this.#host.vpe(vpeid);
    this.#base[2] = vpeid;
    this.#base[3] = hi & (VALID | GROUPS);
    this.#pendingLast = false;
    const mappedTo = this.mappedTo(vpeid);
    if (vpe === undefined || mappedTo < 0) {
      this.#unpredictable(`vpe ${vpeid} made resident, but it is not mapped in the table of VPROPBASER`);
    } else if (mappedTo !== this.index) {
      this.#unpredictable(`vpe ${vpeid} made resident on ${this.index}, mapped to ${mappedTo}`);
    } else if (vpe.residency !== undefined) {
      this.#unpredictable(`vpe ${vpeid} made resident on ${this.index}, resident on ${vpe.residentOn}`);
    } else {
      this.#resident = vpe;
      vpe.residency = this;
      vpe.doorbellArmed = false;
    }
    this.#dirty.start();
    this.refresh();
  }

  /** Table "descheduling a vPE": PendingLast and the doorbell request. */
  #deschedule(lo: number, hi: number): void {
    const vpe = this.#resident;
    let pendingLast = (hi & PENDING_LAST) !== 0;
    if (vpe !== undefined) {
      const some = vpe.somethingPending;
      vpe.doorbellArmed = (hi & DOORBELL) !== 0 && !pendingLast && !some;
      pendingLast ||= some;
      vpe.residency = undefined;
      this.#resident = undefined;
    }
    this.#pendingLast = pendingLast;
    this.#base[2] = lo;
    this.#base[3] = hi & (DOORBELL | GROUPS);
    this.#dirty.start();
    this.refresh();
  }

  #unpredictable(what: string): void {
    const { trace } = this.#host;
    if (trace.on) trace.emit(UNPREDICTABLE, { what });
  }
}
