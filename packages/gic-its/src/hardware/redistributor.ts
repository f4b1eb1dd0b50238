import type { Memory, MmioDevice, Trace } from '@vsim/vfio-core';
import { Busy } from './busy.ts';
import type { ImplementationChoices } from './choices.ts';
import { CpuInterface, type CpuInterfaceSource } from './cpu-interface.ts';
import type { Distributor } from './distributor.ts';
import { ACCESS_IGNORED, ACKNOWLEDGED, LPI_SET, UNPREDICTABLE, VLPI_ACKNOWLEDGED } from './events.ts';
import { Candidate, FIRST_LPI, NO_PRIORITY } from './pending-bits.ts';
import { PhysicalLpis, type LpisOwner } from './physical-lpis.ts';
import { ResidencyV40, type ResidencyOwner } from './residency-v40.ts';
import { ResidencyV41 } from './residency-v41.ts';
import type { VpeContext } from './vpe.ts';
import { WiredInterrupts } from './wired.ts';

// V8 folds a module's own constants, but loads what is imported or exported at each use.
const LEAST = NO_PRIORITY;

/** Bytes of a frame: 64 KiB. A redistributor of GICv3 has two, of GICv4 four. */
export const FRAME_BYTES = 0x1_0000;

/**
 * Offsets of registers in a redistributor, in bytes (Arm IHI 0069, GICR_*). SGI_FRAME is where the registers of SGIs and PPIs begin; those
 * of VLPIs are in the third frame; IDREGS is PIDR4.
 */
export const GICR = {
  CTLR: 0x0000,
  IIDR: 0x0004,
  TYPER: 0x0008,
  STATUSR: 0x0010,
  WAKER: 0x0014,
  SETLPIR: 0x0040,
  CLRLPIR: 0x0048,
  PROPBASER: 0x0070,
  PENDBASER: 0x0078,
  INVLPIR: 0x00a0,
  INVALLR: 0x00b0,
  SYNCR: 0x00c0,
  IDREGS: 0xffd0,
  SGI_FRAME: 0x1_0000,
  VPROPBASER: 0x2_0070,
  VPENDBASER: 0x2_0078,
  VSGIR: 0x2_0080,
  VSGIPENDR: 0x2_0088,
} as const;

const CTLR_ENABLE_LPIS = 1;
const CTLR_CES = 2;
const CTLR_IR = 4;

/** GICR_WAKER: ProcessorSleep, which ChildrenAsleep follows. */
const WAKER_SLEEP = 2;
const WAKER_ASLEEP = 4;

/** INVLPIR.V and INVALLR.V: a VLPI of a vPE. High half. */
const VIRTUAL = 0x8000_0000;

/** Identification: Arm's implementer code, as the recorded machine has it. */
export const IIDR = 0x43b;

/** What a redistributor needs of the GIC that it is part of. */
export interface RedistributorHost {
  readonly memory: Memory;
  readonly trace: Trace;
  readonly choices: ImplementationChoices;
  readonly version: 'gicv3' | 'gicv4' | 'gicv4.1';
  readonly distributor: Distributor;
  /** GICv4.1: a mapped vPE. @param vpeid 16 bits */
  vpe(vpeid: number): VpeContext | undefined;
  /** GICv4.1: configuration of one VLPI, or of all with vintid 0, is read again. @param vintid a VLPI, or 0 */
  invalidateVpe(vpe: VpeContext, vintid: number): void;
}

/**
 * A redistributor: the RD, SGI and VLPI frames of one PE, and which interrupt goes to its CPU interface next.
 *
 * Reference: Arm IHI 0069, GICR_* registers. Physical LPIs, and the residency of vPEs in its two versions, are in files of their own.
 * Modelled: SGIs and PPIs; DirectLPI; GICR_INVLPIR, INVALLR, SYNCR; GICR_VSGIR and VSGIPENDR.
 * Not modelled: MPAM, DPG, power management beyond GICR_WAKER; RWP is never seen set.
 */
export class Redistributor implements MmioDevice, CpuInterfaceSource, LpisOwner, ResidencyOwner {
  /** The number of its PE. */
  readonly index: number;
  /** The best interrupt of Group 1 for its CPU interface. */
  readonly best: Candidate = new Candidate();
  /** The best interrupt of Group 0, an SGI, PPI or SPI. */
  readonly best0: Candidate = new Candidate();
  /** The best VLPI or vSGI of Group 1 of the resident vPE. */
  readonly bestVlpi: Candidate;
  /** The best vSGI of Group 0 of the resident vPE; none before GICv4.1. */
  readonly bestVsgi0: Candidate;
  /** The CPU interface of its PE. */
  readonly cpu: CpuInterface;
  /** SGIs and PPIs: INTIDs 0 to 31. */
  readonly wired: WiredInterrupts = new WiredInterrupts(0, 32);
  /** Physical LPIs, with GICR_PROPBASER and GICR_PENDBASER. */
  readonly lpis: PhysicalLpis;
  /** Residency of vPEs as GICv4.0 has it; idle in other versions. */
  readonly v40: ResidencyV40;
  /** Residency of vPEs as GICv4.1 has it; idle in other versions. */
  readonly v41: ResidencyV41;
  readonly #host: RedistributorHost;
  readonly #last: boolean;
  /** The best SGI or PPI, and the best SPI, of Group 1 and Group 0. */
  readonly #private = new Candidate();
  readonly #private0 = new Candidate();
  readonly #spi = new Candidate();
  readonly #spi0 = new Candidate();
  readonly #sync: Busy;
  /** An invalidation that has not taken effect: the register's offset (0 for none) and the value in halves. */
  #posted = 0;
  #postedLow = 0;
  #postedHigh = 0;
  #waker: number = WAKER_SLEEP;

  /** Made by Gic. @param index number of the PE @param last GICR_TYPER.Last */
  constructor(host: RedistributorHost, index: number, last: boolean) {
    this.#host = host;
    this.index = index;
    this.#last = last;
    this.#sync = new Busy(host.choices.busyReads);
    this.lpis = new PhysicalLpis(host, index, this);
    this.v40 = new ResidencyV40(host, this);
    this.v41 = new ResidencyV41(host, index, this);
    this.bestVlpi = host.version === 'gicv4.1' ? this.v41.best : this.v40.best;
    this.bestVsgi0 = this.v41.best0;
    this.cpu = new CpuInterface(this);
  }

  /** Registers as after a warm reset, but nobody is told of lines: settle() has to follow. PPIs keep their levels. */
  reset(): void {
    this.#posted = 0;
    this.#sync.reset();
    this.#waker = WAKER_SLEEP;
    this.lpis.reset();
    this.v40.reset();
    this.v41.reset();
    this.wired.reset();
    this.wired.setLevel(this.choices.maintenancePpi, false);
    this.cpu.reset();
  }

  /** Tells the PE of its lines after a reset. */
  settle(): void {
    this.refreshWired();
    this.cpu.updateVirtual();
  }

  /** Version of the GIC that it is part of. */
  get version(): 'gicv3' | 'gicv4' | 'gicv4.1' {
    return this.#host.version;
  }

  /** What the chip's implementer chose. */
  get choices(): ImplementationChoices {
    return this.#host.choices;
  }

  // The CPU interface's side

  /** Emits `gic/unpredictable` with this PE's number before the text. */
  unpredictable(what: string): void {
    const { trace } = this.#host;
    if (trace.on) trace.emit(UNPREDICTABLE, { what: `cpu ${this.index}: ${what}` });
  }

  /** The CPU interface took an interrupt: it becomes active, an LPI is no longer pending. @param intid what was the best candidate */
  acknowledge(intid: number): void {
    if (this.#host.trace.followed) this.#host.trace.step(ACKNOWLEDGED, { cpu: this.index, intid });
    if (intid >= FIRST_LPI) {
      this.lpis.bank.take(intid);
      this.#select();
    } else if (intid < 32) {
      this.wired.acknowledge(intid);
      if (intid < 16 && this.#host.distributor.sgisWithoutActive) this.wired.active[intid] = 0;
      this.#refreshPrivate();
    } else {
      this.#host.distributor.acknowledge(intid);
    }
  }

  /** An interrupt is no longer active. @param intid SGI, PPI or SPI; others do nothing */
  deactivate(intid: number): void {
    if (intid < 32) {
      this.wired.active[intid] = 0;
      this.#refreshPrivate();
    } else {
      this.#host.distributor.deactivate(intid);
    }
  }

  /** The guest took a VLPI or vSGI of the resident vPE. @param vintid what was the best virtual candidate */
  acknowledgeVlpi(vintid: number): void {
    if (this.#host.trace.followed) this.#host.trace.step(VLPI_ACKNOWLEDGED, { cpu: this.index, intid: vintid });
    if (this.#host.version === 'gicv4.1') this.v41.take(vintid);
    else this.v40.take(vintid);
  }

  /** Drives the PPI of the maintenance interrupt, ImplementationChoices.maintenancePpi. */
  maintenance(level: boolean): void {
    this.setPpi(this.#host.choices.maintenancePpi, level);
  }

  /**
   * The PE sends an SGI, which the distributor hands on.
   *
   * @param sgi 0 to 15
   * @param targets one bit for each Aff0, 16 bits
   * @param cluster Aff3.Aff2.Aff1 with 8 bits each
   * @param others all PEs but this, whatever `targets` says
   * @param group0Only it arrives only where it is of Group 0
   */
  sendSgi(sgi: number, targets: number, cluster: number, others: boolean, group0Only: boolean): void {
    this.#host.distributor.sendSgi(this.index, sgi, targets, cluster, others, group0Only);
  }

  /** An SGI arrives, from any PE. @param sgi 0 to 15 @param group0Only nothing happens if it is of Group 1 here */
  setSgi(sgi: number, group0Only: boolean): void {
    if (group0Only && this.wired.group[sgi] !== 0) return;
    this.wired.latch[sgi] = 1;
    this.#refreshPrivate();
  }

  /** A PPI's input. @param intid in [16, 32) */
  setPpi(intid: number, level: boolean): void {
    this.wired.setLevel(intid, level);
    this.#refreshPrivate();
  }

  /** Looks again for the best SGI, PPI and SPI. */
  refreshWired(): void {
    this.#spi.clear();
    this.#spi0.clear();
    this.#host.distributor.offerSpis(this.#spi, this.#spi0, this.index);
    this.#refreshPrivate();
  }

  #refreshPrivate(): void {
    this.#private.clear();
    this.#private0.clear();
    this.wired.scan(this.#private, this.#private0);
    this.#select();
  }

  /** Distributor enables changed, or a candidate did. */
  #select(): void {
    const { distributor } = this.#host;
    if (distributor.group0Enabled) this.best0.set(this.#spi0.priority < this.#private0.priority ? this.#spi0 : this.#private0);
    else this.best0.clear();
    this.lpisChanged();
  }

  /** The same for Group 1, which is what LPIs are in. @internal */
  lpisChanged(): void {
    if (this.#host.distributor.group1Enabled) {
      const lpi = this.lpis.bank.best;
      const wired = this.#spi.priority < this.#private.priority ? this.#spi : this.#private;
      this.best.set(wired.priority !== LEAST && wired.priority <= lpi.priority ? wired : lpi);
    } else {
      this.best.clear();
    }
    this.cpu.update();
  }

  /** The best virtual interrupt may be another one. @internal */
  virtualChanged(): void {
    this.cpu.updateVirtual();
  }

  // Registers

  /**
   * A load of less than 8 bytes; what has no register reads as zero.
   *
   * @param offset bytes from the RD frame
   * @param width 1, 2 or 4 bytes: outside the SGI frame only 4 reads a register
   */
  read(offset: number, width: number): number {
    if (offset % width !== 0) return this.#ignored(offset);
    if (offset >= GICR.SGI_FRAME && offset < GICR.SGI_FRAME + FRAME_BYTES) return this.wired.read(offset - GICR.SGI_FRAME, width);
    if (width !== 4) return this.#ignored(offset);
    const { version, distributor } = this.#host;
    switch (offset) {
      case GICR.CTLR:
        return this.#ctlr();
      case GICR.IIDR:
        return IIDR;
      case GICR.TYPER:
        return this.#typer();
      case GICR.TYPER + 4:
        return affinity(this.index);
      case GICR.STATUSR:
        return 0;
      case GICR.SYNCR:
        return this.#invalidates ? this.#syncr() : this.#ignored(offset);
      case GICR.WAKER:
        return this.#waker === 0 ? 0 : WAKER_SLEEP | WAKER_ASLEEP;
      case GICR.PROPBASER:
      case GICR.PROPBASER + 4:
      case GICR.PENDBASER:
      case GICR.PENDBASER + 4:
        return this.lpis.read((offset - GICR.PROPBASER) / 4);
      case GICR.VPROPBASER:
      case GICR.VPROPBASER + 4:
      case GICR.VPENDBASER:
      case GICR.VPENDBASER + 4: {
        const half = (offset - GICR.VPROPBASER) / 4;
        if (version === 'gicv3') return this.#ignored(offset);
        return version === 'gicv4' ? this.v40.read(half) : this.v41.read(half);
      }
      case GICR.VSGIPENDR:
        return version === 'gicv4.1' ? this.v41.answer() : this.#ignored(offset);
      default:
        return offset >= GICR.IDREGS && offset < FRAME_BYTES ? distributor.idRegister(offset, 0x93) : this.#ignored(offset);
    }
  }

  /**
   * A store of less than 8 bytes; what has no register ignores it.
   *
   * @param offset bytes from the RD frame
   * @param width 1, 2 or 4 bytes: outside the SGI frame only 4 writes a register
   * @param value unsigned, of that width
   */
  write(offset: number, width: number, value: number): void {
    if (offset % width !== 0) {
      this.#ignored(offset);
      return;
    }
    if (offset >= GICR.SGI_FRAME && offset < GICR.SGI_FRAME + FRAME_BYTES) {
      this.wired.write(offset - GICR.SGI_FRAME, width, value);
      this.#refreshPrivate();
      return;
    }
    if (width !== 4) {
      this.#ignored(offset);
      return;
    }
    const { version } = this.#host;
    switch (offset) {
      case GICR.CTLR:
        this.lpis.setEnabled((value & CTLR_ENABLE_LPIS) !== 0);
        return;
      case GICR.WAKER:
        this.#waker = value & WAKER_SLEEP;
        return;
      case GICR.SETLPIR:
      case GICR.CLRLPIR:
        this.#direct(offset, value);
        return;
      case GICR.PROPBASER:
      case GICR.PROPBASER + 4:
      case GICR.PENDBASER:
      case GICR.PENDBASER + 4:
        this.lpis.write((offset - GICR.PROPBASER) / 4, value);
        return;
      case GICR.INVLPIR:
      case GICR.INVALLR:
        this.#post(offset, value, 0);
        return;
      case GICR.VPROPBASER:
      case GICR.VPROPBASER + 4:
      case GICR.VPENDBASER:
      case GICR.VPENDBASER + 4:
        if (version === 'gicv3') this.#ignored(offset);
        else if (version === 'gicv4') this.v40.write((offset - GICR.VPROPBASER) / 4, value);
        else this.v41.write((offset - GICR.VPROPBASER) / 4, value);
        return;
      case GICR.VSGIR:
        if (version === 'gicv4.1') this.v41.query(value & 0xffff);
        else this.#ignored(offset);
        return;
      case GICR.STATUSR:
        return;
      default:
        this.#ignored(offset);
    }
  }

  /** An 8-byte load, as two of 4, the low half first. @param offset bytes from the RD frame @param into gets bits [31:0] and [63:32] */
  read64(offset: number, into: Uint32Array): void {
    into[0] = this.read(offset, 4);
    into[1] = this.read(offset + 4, 4);
  }

  /**
   * An 8-byte store; GICR_INVLPIR, INVALLR, SETLPIR, CLRLPIR, VPROPBASER and VPENDBASER take it at once.
   *
   * @param offset bytes from the RD frame
   * @param lo bits [31:0]
   * @param hi bits [63:32]
   */
  write64(offset: number, lo: number, hi: number): void {
    const { version } = this.#host;
    if (offset === GICR.INVLPIR || offset === GICR.INVALLR) this.#post(offset, lo, hi);
    else if ((offset === GICR.VPROPBASER || offset === GICR.VPENDBASER) && version !== 'gicv3') {
      const half = (offset - GICR.VPROPBASER) / 4;
      if (version === 'gicv4') this.v40.write64(half, lo, hi);
      else this.v41.write64(half, lo, hi);
    } else if (offset === GICR.SETLPIR || offset === GICR.CLRLPIR) this.#direct(offset, lo);
    else {
      this.write(offset, 4, lo);
      this.write(offset + 4, 4, hi);
    }
  }

  #ctlr(): number {
    const { clearableLpis, invalidateRegisters } = this.#host.choices;
    return (this.lpis.enabled ? CTLR_ENABLE_LPIS : 0) | (clearableLpis ? CTLR_CES : 0) | (invalidateRegisters ? CTLR_IR : 0);
  }

  #typer(): number {
    const { version, choices } = this.#host;
    const virtual = version === 'gicv3' ? 0 : 2;
    const v41 = version === 'gicv4.1' ? 0x0400_0084 : 0; // VSGI, RVPEID and Dirty
    const direct = choices.directLpi ? 8 : 0;
    return (1 | virtual | v41 | direct | (this.#last ? 0x10 : 0) | (this.index << 8) | (1 << 24)) >>> 0;
  }

  // DirectLPI and invalidation

  /** Whether INVLPIR, INVALLR and SYNCR are there: with DirectLPI or RVPEID always, else by choice. */
  get #invalidates(): boolean {
    const { version, choices } = this.#host;
    return version === 'gicv4.1' || choices.directLpi || choices.invalidateRegisters;
  }

  #direct(offset: number, intid: number): void {
    if (!this.#host.choices.directLpi) this.#ignored(offset);
    else if (offset === GICR.SETLPIR) this.#setLpi(intid);
    else this.lpis.clear(intid);
  }

  #setLpi(intid: number): void {
    const { trace } = this.#host;
    if (trace.followed) trace.step(LPI_SET, { cpu: this.index, intid });
    this.lpis.deliver(intid);
  }

  #post(offset: number, lo: number, hi: number): void {
    const { trace } = this.#host;
    if (!this.#invalidates) {
      this.#ignored(offset);
      return;
    }
    if (this.#posted !== 0) {
      if (trace.on) trace.emit(UNPREDICTABLE, { what: 'INVLPIR or INVALLR written while SYNCR.Busy is 1' });
      this.#finish();
    }
    this.#posted = offset;
    this.#postedLow = lo;
    this.#postedHigh = hi;
    this.#sync.start();
    if (!this.#sync.set) this.#finish();
  }

  #syncr(): number {
    if (this.#sync.poll()) return 1;
    if (this.#posted !== 0) this.#finish();
    return 0;
  }

  #finish(): void {
    const lo = this.#postedLow;
    const hi = this.#postedHigh;
    const one = this.#posted === GICR.INVLPIR;
    this.#posted = 0;
    if ((hi & VIRTUAL) === 0 || this.#host.version !== 'gicv4.1') {
      if (one) this.lpis.invalidate(lo);
      else this.lpis.invalidateAll();
      return;
    }
    const vpe = this.#host.vpe(hi & 0xffff);
    if (vpe === undefined || this.v41.mappedTo(vpe.vpeid) !== this.index) {
      const { trace } = this.#host;
      if (trace.on) trace.emit(UNPREDICTABLE, { what: `invalidation for vpe ${hi & 0xffff} on ${this.index}, where it is not mapped` });
    } else if (!one) this.#host.invalidateVpe(vpe, 0);
    else if (lo >= FIRST_LPI && lo < vpe.end) this.#host.invalidateVpe(vpe, lo);
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
