/**
 * A redistributor: the RD, SGI and VLPI frames of one PE, its LPIs, and the vPE that is resident on it.
 *
 * Reference: Arm IHI 0069, GICR_* registers; "LPIs", "Redistributor and vPE residency".
 * Modelled: SGIs and PPIs; LPIs with tables in memory; GICv4.0 residency by VPT address and GICv4.1 residency by vPEID;
 * GICR_INVLPIR, INVALLR, SYNCR (GICR_CTLR.IR). The configuration of an LPI is read when it becomes pending, when the
 * best candidate goes away, and at an invalidation; between these the best candidate keeps the priority it had.
 * Not modelled: GICR_SETLPIR and CLRLPIR (no DirectLPI), vSGIs, MPAM, power management beyond GICR_WAKER.
 */
import { toNumber, type Memory, type MmioDevice, type Trace } from '@vsim/vfio-core';
import type { ImplementationChoices } from './choices.ts';
import { CpuInterface, type CpuInterfaceSource } from './cpu-interface.ts';
import type { Distributor } from './distributor.ts';
import { ACCESS_IGNORED, LPI_DROPPED, UNPREDICTABLE } from './events.ts';
import { ItsTable, VpeEntry, VPE_ENTRY_BYTES_V41 } from './its-tables.ts';
import { Candidate, configByte, FIRST_LPI, MemoryPendingBits, NO_PRIORITY, SPURIOUS, type PendingBits } from './pending-bits.ts';
import type { VpeContext } from './vpe.ts';
import { WiredInterrupts } from './wired.ts';

export const FRAME_BYTES = 0x1_0000;

/** Offsets in a redistributor. */
export const GICR = {
  CTLR: 0x0000,
  IIDR: 0x0004,
  TYPER: 0x0008,
  STATUSR: 0x0010,
  WAKER: 0x0014,
  PROPBASER: 0x0070,
  PENDBASER: 0x0078,
  INVLPIR: 0x00a0,
  INVALLR: 0x00b0,
  SYNCR: 0x00c0,
  IDREGS: 0xffd0,
  SGI_FRAME: 0x1_0000,
  VPROPBASER: 0x2_0070,
  VPENDBASER: 0x2_0078,
} as const;

const CTLR_ENABLE_LPIS = 1;
const CTLR_CES = 2;
const CTLR_IR = 4;

/** GICR_WAKER: ProcessorSleep, which ChildrenAsleep follows. */
const WAKER_SLEEP = 2;
const WAKER_ASLEEP = 4;

// High halves.
const PENDBASER_PTZ = 0x4000_0000;
const VALID = 0x8000_0000;
const VPENDBASER_DOORBELL = 0x4000_0000; // GICv4.1; IDAI in GICv4.0
const VPENDBASER_PENDING_LAST = 0x2000_0000;
const VPENDBASER_VGRP1EN = 0x0400_0000;

/** Identification: Arm's implementer code, as the recorded machine has it. */
export const IIDR = 0x43b;

/** What a redistributor needs of the GIC that it is part of. */
export interface RedistributorHost {
  readonly memory: Memory;
  readonly trace: Trace;
  readonly choices: ImplementationChoices;
  readonly version: 'gicv3' | 'gicv4' | 'gicv4.1';
  readonly distributor: Distributor;
  /** GICv4.1: a mapped vPE. */
  vpe(vpeid: number): VpeContext | undefined;
}

export class Redistributor implements MmioDevice, CpuInterfaceSource {
  readonly index: number;
  readonly best: Candidate = new Candidate();
  readonly bestVlpi: Candidate = new Candidate();
  readonly cpu: CpuInterface;
  readonly wired: WiredInterrupts = new WiredInterrupts(0, 32);
  readonly #host: RedistributorHost;
  readonly #last: boolean;
  readonly #lpi = new Candidate();
  readonly #wiredBest = new Candidate();
  readonly #pending: MemoryPendingBits;
  readonly #vpt: MemoryPendingBits;
  readonly #vpeTable: ItsTable;
  readonly #vpeEntry = new VpeEntry();
  #enableLpis = false;
  #waker: number = WAKER_SLEEP;
  #ptz = false;
  /** PROPBASER, PENDBASER, VPROPBASER, VPENDBASER in halves. */
  readonly #base = new Uint32Array(8);
  /** The resident vPE of GICv4.1. */
  #resident: VpeContext | undefined;

  constructor(host: RedistributorHost, index: number, last: boolean) {
    this.#host = host;
    this.index = index;
    this.#last = last;
    this.#pending = new MemoryPendingBits(host.memory);
    this.#vpt = new MemoryPendingBits(host.memory);
    this.#vpeTable = new ItsTable(host.memory, VPE_ENTRY_BYTES_V41, 0x1_0000);
    this.cpu = new CpuInterface(this);
  }

  /** INTID bits of physical LPIs, at most 16. */
  get lpiBits(): number {
    return Math.min((this.#base[0]! & 0x1f) + 1, 16);
  }

  get lpisEnabled(): boolean {
    return this.#enableLpis;
  }

  get #propertyTable(): number {
    return toNumber(this.#base[0]! & 0xffff_f000, this.#base[1]! & 0x000f_ffff);
  }

  get #pendingTable(): number {
    return toNumber(this.#base[2]! & 0xffff_0000, this.#base[3]! & 0x000f_ffff);
  }

  // Physical LPIs

  /** An LPI arrives (a translated MSI, INT, or a doorbell). */
  deliverLpi(intid: number): void {
    if (!this.#takesLpi(intid)) return;
    const pending = this.#pending.at(this.#pendingTable);
    if (!pending.change(intid, true)) return;
    this.#lpi.offer(intid, configByte(this.#host.memory, this.#propertyTable, intid));
    this.#select();
  }

  /** CLEAR and DISCARD. */
  clearLpi(intid: number): void {
    if (!this.#takesLpi(intid)) return;
    if (!this.#pending.at(this.#pendingTable).change(intid, false) || intid !== this.#lpi.intid) return;
    this.rescanLpis();
  }

  /** Takes one pending LPI away for another redistributor. @returns whether it was pending. */
  moveLpiTo(target: Redistributor, intid: number): void {
    if (!this.#enableLpis || !target.#enableLpis) return;
    if (intid >= 2 ** Math.min(this.lpiBits, target.lpiBits)) return;
    if (!this.#pending.at(this.#pendingTable).change(intid, false)) return;
    if (intid === this.#lpi.intid) this.rescanLpis();
    target.deliverLpi(intid);
  }

  /** MOVALL. */
  moveAllLpisTo(target: Redistributor): void {
    if (!this.#enableLpis || !target.#enableLpis) return;
    const words = 2 ** Math.min(this.lpiBits, target.lpiBits) / 32;
    const from = this.#pending.at(this.#pendingTable);
    const to = target.#pending.at(target.#pendingTable);
    for (let index = FIRST_LPI / 32; index < words; index += 1) {
      let word = from.word(index);
      while (word !== 0) {
        const intid = index * 32 + 31 - Math.clz32(word & -word);
        from.change(intid, false);
        to.change(intid, true);
        word = (word & (word - 1)) >>> 0;
      }
    }
    this.rescanLpis();
    target.rescanLpis();
  }

  /** Reads configuration and pending bits of all LPIs again. */
  rescanLpis(): void {
    if (this.#enableLpis) this.#lpi.scan(this.#pending.at(this.#pendingTable), this.#host.memory, this.#propertyTable, this.lpiBits);
    else this.#lpi.clear();
    this.#select();
  }

  #takesLpi(intid: number): boolean {
    if (this.#enableLpis && intid >= FIRST_LPI && intid < 2 ** this.lpiBits) return true;
    const trace = this.#host.trace;
    if (trace.on) trace.emit(LPI_DROPPED, { cpu: this.index, intid, why: this.#enableLpis ? 'beyond PROPBASER.IDbits' : 'EnableLPIs is 0' });
    return false;
  }

  // VLPIs, GICv4.0: a vPE is its VPT address

  /** Whether the vPE with this VPT is resident here. */
  holdsVpt(vptAddress: number): boolean {
    return (this.#base[7]! & VALID) !== 0 && this.#residentVpt === vptAddress;
  }

  get #residentVpt(): number {
    return toNumber(this.#base[6]! & 0xffff_0000, this.#base[7]! & 0x000f_ffff);
  }

  get #residentBits(): number {
    return Math.min((this.#base[4]! & 0x1f) + 1, 16);
  }

  /** A VLPI arrives for the vPE with this VPT, of which this is the redistributor. */
  deliverVlpi(vptAddress: number, vintid: number, doorbell: number): void {
    if (this.holdsVpt(vptAddress)) {
      if (vintid >= 2 ** this.#residentBits) return;
      if (this.#vpt.at(vptAddress).change(vintid, true)) this.#offerVlpi(vintid, this.#virtualPropertyTable);
      return;
    }
    const changed = this.#vpt.at(vptAddress).change(vintid, true);
    if (doorbell === SPURIOUS || (!changed && this.#host.choices.individualDoorbell === 'becomes-pending')) return;
    this.deliverLpi(doorbell);
  }

  clearVlpi(vptAddress: number, vintid: number): void {
    const resident = this.holdsVpt(vptAddress);
    if (resident && vintid >= 2 ** this.#residentBits) return;
    if (this.#vpt.at(vptAddress).change(vintid, false) && resident && vintid === this.bestVlpi.intid) this.rescanVlpis();
  }

  /** VMOVI: hands a pending VLPI to another vPE. */
  moveVlpiTo(target: Redistributor, vptAddress: number, targetVpt: number, vintid: number, doorbell: number): void {
    if (target === this && vptAddress === targetVpt) return;
    if (!this.#vpt.at(vptAddress).change(vintid, false)) return;
    if (this.holdsVpt(vptAddress) && vintid === this.bestVlpi.intid) this.rescanVlpis();
    target.deliverVlpi(targetVpt, vintid, doorbell);
  }

  get #virtualPropertyTable(): number {
    return toNumber(this.#base[4]! & 0xffff_f000, this.#base[5]! & 0x000f_ffff);
  }

  // VLPIs, GICv4.1: a vPE is its vPEID

  get resident(): VpeContext | undefined {
    return this.#resident;
  }

  /** A VLPI of the resident vPE became pending. */
  vlpiBecamePending(vintid: number): void {
    if (this.#resident !== undefined && this.#groupEnabled) this.#offerVlpi(vintid, this.#resident.vconfAddress);
  }

  /** A VLPI of the resident vPE is not pending any more. */
  vlpiCleared(vintid: number): void {
    if (vintid === this.bestVlpi.intid) this.rescanVlpis();
  }

  get #groupEnabled(): boolean {
    return (this.#base[7]! & VPENDBASER_VGRP1EN) !== 0;
  }

  /** Reads configuration and pending bits of the resident vPE's VLPIs again. */
  rescanVlpis(): void {
    const { memory, version } = this.#host;
    if (version === 'gicv4.1') {
      const vpe = this.#resident;
      if (vpe === undefined || !this.#groupEnabled) this.bestVlpi.clear();
      else this.bestVlpi.scan(vpe.pending, memory, vpe.vconfAddress, vpe.bits);
    } else if ((this.#base[7]! & VALID) !== 0) {
      this.bestVlpi.scan(this.#vpt.at(this.#residentVpt), memory, this.#virtualPropertyTable, this.#residentBits);
    } else {
      this.bestVlpi.clear();
    }
    this.cpu.update();
  }

  #offerVlpi(vintid: number, propertyTable: number): void {
    this.bestVlpi.offer(vintid, configByte(this.#host.memory, propertyTable, vintid));
    this.cpu.update();
  }

  // The CPU interface's side

  acknowledge(intid: number): void {
    if (intid >= FIRST_LPI) {
      this.#pending.at(this.#pendingTable).change(intid, false);
      this.rescanLpis();
    } else if (intid < 32) {
      this.wired.acknowledge(intid);
      this.refreshWired();
    } else {
      this.#host.distributor.acknowledge(intid);
    }
  }

  deactivate(intid: number): void {
    if (intid < 32) {
      this.wired.active[intid] = 0;
      this.refreshWired();
    } else {
      this.#host.distributor.deactivate(intid);
    }
  }

  acknowledgeVlpi(vintid: number): void {
    const bits: PendingBits = this.#resident?.pending ?? this.#vpt.at(this.#residentVpt);
    bits.change(vintid, false);
    this.rescanVlpis();
  }

  /** A PPI's input. @param intid in [16, 32) */
  setPpi(intid: number, level: boolean): void {
    this.wired.setLevel(intid, level);
    this.refreshWired();
  }

  /** Looks again for the best SGI, PPI and SPI. */
  refreshWired(): void {
    this.#wiredBest.clear();
    this.wired.scan(this.#wiredBest, () => true);
    this.#host.distributor.offerSpis(this.#wiredBest, this.index);
    this.#select();
  }

  /** Distributor enables changed, or a candidate did. */
  #select(): void {
    this.best.clear();
    if (this.#host.distributor.group1Enabled) {
      const wiredFirst = this.#wiredBest.priority !== NO_PRIORITY && this.#wiredBest.priority <= this.#lpi.priority;
      const from = wiredFirst ? this.#wiredBest : this.#lpi;
      this.best.intid = from.intid;
      this.best.priority = from.priority;
    }
    this.cpu.update();
  }

  // Registers

  read(offset: number, width: number): number {
    if (offset >= GICR.SGI_FRAME && offset < GICR.SGI_FRAME + FRAME_BYTES) return this.wired.read(offset - GICR.SGI_FRAME, width);
    if (width !== 4) return this.#ignored(offset);
    const { version, choices, distributor } = this.#host;
    switch (offset) {
      case GICR.CTLR:
        return CTLR_CES | (this.#enableLpis ? CTLR_ENABLE_LPIS : 0) | (choices.invalidateRegisters ? CTLR_IR : 0);
      case GICR.IIDR:
        return IIDR;
      case GICR.TYPER:
        return this.#typer();
      case GICR.TYPER + 4:
        return affinity(this.index);
      case GICR.STATUSR:
      case GICR.SYNCR:
        return 0;
      case GICR.WAKER:
        return this.#waker === 0 ? 0 : WAKER_SLEEP | WAKER_ASLEEP;
      case GICR.PROPBASER:
      case GICR.PROPBASER + 4:
      case GICR.PENDBASER:
      case GICR.PENDBASER + 4:
        return this.#base[(offset - GICR.PROPBASER) / 4]!;
      case GICR.VPROPBASER:
      case GICR.VPROPBASER + 4:
      case GICR.VPENDBASER:
      case GICR.VPENDBASER + 4:
        return version === 'gicv3' ? this.#ignored(offset) : this.#base[4 + (offset - GICR.VPROPBASER) / 4]!;
      default:
        return offset >= GICR.IDREGS && offset < FRAME_BYTES ? distributor.idRegister(offset, 0x93) : this.#ignored(offset);
    }
  }

  write(offset: number, width: number, value: number): void {
    if (offset >= GICR.SGI_FRAME && offset < GICR.SGI_FRAME + FRAME_BYTES) {
      this.wired.write(offset - GICR.SGI_FRAME, width, value);
      this.refreshWired();
      return;
    }
    if (width !== 4) {
      this.#ignored(offset);
      return;
    }
    switch (offset) {
      case GICR.CTLR:
        this.#setEnableLpis((value & CTLR_ENABLE_LPIS) !== 0);
        return;
      case GICR.WAKER:
        this.#waker = value & WAKER_SLEEP;
        return;
      case GICR.PROPBASER:
        this.#setLpiBase(0, value, 0xffff_ff9f);
        return;
      case GICR.PROPBASER + 4:
        this.#setLpiBase(1, value, 0x070f_ffff);
        return;
      case GICR.PENDBASER:
        this.#setLpiBase(2, value, 0xffff_0f80);
        return;
      case GICR.PENDBASER + 4:
        this.#ptz = (value & PENDBASER_PTZ) !== 0;
        this.#setLpiBase(3, value, 0x070f_ffff);
        return;
      case GICR.INVLPIR:
      case GICR.INVALLR:
        this.#invalidate(offset, value, 0);
        return;
      case GICR.VPROPBASER:
        this.#setVpropbaser(value, this.#base[5]!);
        return;
      case GICR.VPROPBASER + 4:
        this.#setVpropbaser(this.#base[4]!, value);
        return;
      case GICR.VPENDBASER:
        this.#setVpendbaser(value, this.#base[7]!);
        return;
      case GICR.VPENDBASER + 4:
        this.#setVpendbaser(this.#base[6]!, value);
        return;
      case GICR.STATUSR:
        return;
      default:
        this.#ignored(offset);
    }
  }

  write64(offset: number, lo: number, hi: number): void {
    switch (offset) {
      case GICR.VPROPBASER:
        this.#setVpropbaser(lo, hi);
        return;
      case GICR.VPENDBASER:
        this.#setVpendbaser(lo, hi);
        return;
      case GICR.INVLPIR:
      case GICR.INVALLR:
        this.#invalidate(offset, lo, hi);
        return;
      default:
        this.write(offset, 4, lo);
        this.write(offset + 4, 4, hi);
    }
  }

  #typer(): number {
    const { version } = this.#host;
    const virtual = version === 'gicv3' ? 0 : 2;
    const v41 = version === 'gicv4.1' ? 0x84 : 0; // RVPEID and Dirty
    return (1 | virtual | v41 | (this.#last ? 0x10 : 0) | (this.index << 8) | (1 << 24)) >>> 0;
  }

  #setEnableLpis(enable: boolean): void {
    if (enable === this.#enableLpis) return;
    this.#enableLpis = enable;
    if (enable && this.#ptz && this.#host.choices.honourPtz) {
      const table = this.#pending.at(this.#pendingTable);
      for (let intid = FIRST_LPI; intid < 2 ** this.lpiBits; intid += 1) table.change(intid, false);
    }
    this.rescanLpis();
  }

  #setLpiBase(half: number, value: number, mask: number): void {
    const { choices } = this.#host;
    if (this.#enableLpis && !choices.lpiTablesAlwaysWritable) {
      this.#ignored(GICR.PROPBASER + 4 * half);
      return;
    }
    if (choices.keepReservedBits) this.#base[half] = value;
    else this.#base[half] = value & mask & (choices.coherent || half % 2 === 1 ? 0xffff_ffff : ~0xc00);
  }

  #invalidate(offset: number, lo: number, hi: number): void {
    if (!this.#host.choices.invalidateRegisters) {
      this.#ignored(offset);
      return;
    }
    if ((hi & VALID) === 0) {
      this.rescanLpis();
      return;
    }
    const vpe = this.#host.vpe(hi & 0xffff);
    if (vpe === undefined || lo < 0) return;
    this.invalidateVpe(vpe);
  }

  /** GICv4.1: configuration of this vPE's VLPIs is read again; a requested doorbell rings if one of them is now enabled. */
  invalidateVpe(vpe: VpeContext): void {
    if (vpe === this.#resident) {
      this.rescanVlpis();
      return;
    }
    if (!vpe.doorbellArmed) return;
    const found = new Candidate();
    found.scan(vpe.pending, this.#host.memory, vpe.vconfAddress, vpe.bits);
    if (found.priority !== NO_PRIORITY) this.#host.distributor.ringDefaultDoorbell(vpe);
  }

  // vPE residency

  #setVpropbaser(lo: number, hi: number): void {
    if (this.#host.version === 'gicv3') {
      this.#ignored(GICR.VPROPBASER);
      return;
    }
    if (this.#host.version === 'gicv4') {
      this.#base[4] = lo;
      this.#base[5] = hi;
      return;
    }
    // Entry_Size (bits [61:59]) is read-only: 32 bytes.
    this.#base[4] = lo & 0xffff_ff7f & (this.#host.choices.coherent ? 0xffff_ffff : ~0xc00);
    this.#base[5] = ((hi & 0x87ff_ffff) | (3 << 27)) >>> 0;
    const valid = (hi & VALID) !== 0;
    const pageBytes = [4096, 16384, 65536, 65536][(hi >>> 21) & 3]!;
    const base = toNumber(lo & 0xffff_f000, hi & 0x000f_ffff);
    this.#vpeTable.configure(base, valid ? (lo & 0x7f) + 1 : 0, pageBytes, (hi & 0x0080_0000) !== 0);
  }

  #setVpendbaser(lo: number, hi: number): void {
    if (this.#host.version === 'gicv3') {
      this.#ignored(GICR.VPENDBASER);
      return;
    }
    const wasValid = (this.#base[7]! & VALID) !== 0;
    const valid = (hi & VALID) !== 0;
    if (wasValid && valid) {
      const same = lo === this.#base[6] && ((hi ^ this.#base[7]!) & 0xcf0f_ffff) === 0;
      if (!same) this.#unpredictable('VPENDBASER changed while Valid is 1');
      return;
    }
    if (this.#host.version === 'gicv4') this.#setResidencyV40(lo, hi, wasValid, valid);
    else if (valid) this.#makeResident(lo, hi);
    else if (wasValid) this.#deschedule(lo, hi);
    else this.#store(lo & 0xffff, hi & 0x6c00_0000);
  }

  #store(lo: number, hi: number): void {
    this.#base[6] = lo;
    this.#base[7] = hi;
  }

  #setResidencyV40(lo: number, hi: number, wasValid: boolean, valid: boolean): void {
    let pendingLast = (hi & VPENDBASER_PENDING_LAST) !== 0;
    if (valid) pendingLast = true;
    if (wasValid) pendingLast = this.bestVlpi.priority !== NO_PRIORITY;
    this.#store(lo & 0xffff_0f80, ((hi & 0xc70f_ffff) | (pendingLast ? VPENDBASER_PENDING_LAST : 0)) >>> 0);
    if (valid !== wasValid) this.rescanVlpis();
  }

  #makeResident(lo: number, hi: number): void {
    const vpeid = lo & 0xffff;
    const vpe = this.#host.vpe(vpeid);
    this.#store(vpeid, (hi & 0x8c00_0000) >>> 0);
    this.#vpeEntry.read(this.#host.memory, this.#vpeTable, vpeid, true);
    if (vpe === undefined || !this.#vpeEntry.valid) {
      this.#unpredictable(`vpe ${vpeid} made resident, but it is not mapped in the table of VPROPBASER`);
    } else if (this.#vpeEntry.rdbase !== this.index) {
      this.#unpredictable(`vpe ${vpeid} made resident on ${this.index}, mapped to ${this.#vpeEntry.rdbase}`);
    } else if (vpe.residentOn >= 0) {
      this.#unpredictable(`vpe ${vpeid} made resident on ${this.index}, resident on ${vpe.residentOn}`);
    } else {
      this.#resident = vpe;
      vpe.residentOn = this.index;
      vpe.doorbellArmed = false;
    }
    this.rescanVlpis();
  }

  /** Table "descheduling a vPE": PendingLast and the doorbell request. */
  #deschedule(lo: number, hi: number): void {
    const vpe = this.#resident;
    let pendingLast = (hi & VPENDBASER_PENDING_LAST) !== 0;
    if (vpe !== undefined) {
      const found = new Candidate();
      found.scan(vpe.pending, this.#host.memory, vpe.vconfAddress, vpe.bits);
      const some = found.priority !== NO_PRIORITY;
      vpe.doorbellArmed = (hi & VPENDBASER_DOORBELL) !== 0 && !pendingLast && !some;
      pendingLast ||= some;
      vpe.residentOn = -1;
      this.#resident = undefined;
    }
    this.#store(lo & 0xffff, ((hi & 0x4c00_0000) | (pendingLast ? VPENDBASER_PENDING_LAST : 0)) >>> 0);
    this.rescanVlpis();
  }

  /** The last VMAPP with V = 0 on a resident vPE. */
  evict(vpe: VpeContext): void {
    this.#unpredictable(`vpe ${vpe.vpeid} unmapped or moved while it is resident`);
    this.#resident = undefined;
    vpe.residentOn = -1;
    this.rescanVlpis();
  }

  #unpredictable(what: string): void {
    const { trace } = this.#host;
    if (trace.on) trace.emit(UNPREDICTABLE, { what });
  }

  #ignored(offset: number): number {
    const { trace } = this.#host;
    if (trace.on) trace.emit(ACCESS_IGNORED, { frame: `redistributor ${this.index}`, offset });
    return 0;
  }
}

/** Aff3.Aff2.Aff1.Aff0 of PE `index`: 16 PEs to a cluster. */
export function affinity(index: number): number {
  return (((index >>> 4) << 8) | (index & 0xf)) >>> 0;
}
