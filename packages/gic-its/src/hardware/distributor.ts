import type { MmioDevice, Trace } from '@vsim/vfio-core';
import type { ImplementationChoices } from './choices.ts';
import { ACCESS_IGNORED } from './events.ts';
import type { Candidate } from './pending-bits.ts';
import { WiredInterrupts, type SpiRouter } from './wired.ts';

/** SPIs run from INTID 32 up. */
export const SPI_COUNT = 256;

/**
 * Offsets of registers in the distributor's frame, in bytes (Arm IHI 0069, GICD_*). IROUTER is that of INTID 0, 8 bytes for each INTID;
 * IDREGS is PIDR4, the first of the identification registers.
 */
export const GICD = { CTLR: 0x0000, TYPER: 0x0004, IIDR: 0x0008, TYPER2: 0x000c, IROUTER: 0x6000, IDREGS: 0xffd0 } as const;

const CTLR_GRP0 = 1;
const CTLR_GRP1 = 2;
const CTLR_NASSGIREQ = 0x100;
const CTLR_FIXED = 0x50; // ARE, DS

/** (ITLines + 1) * 32 INTIDs, LPIS, 16 ID bits, A3V, No1N. */
const TYPER = 0x037a_0000;
const TYPER_DVIS = 0x0004_0000;
/** SGIs of guests can be without active state: vSGIs. */
const TYPER2_NASSGICAP = 0x100;

/** What the distributor needs of its GIC. */
export interface DistributorHost {
  /** Where ignored accesses are told. */
  readonly trace: Trace;
  /** What the chip's implementer chose: `numLpis` for GICD_TYPER. */
  readonly choices: ImplementationChoices;
  /** Version of the GIC, for GICD_TYPER.DVIS and GICD_CTLR.nASSGIreq. */
  readonly version: 'gicv3' | 'gicv4' | 'gicv4.1';
  /** Every redistributor looks again for its best interrupt. */
  refreshAll(): void;
  readonly redistributors: readonly { setSgi(sgi: number, group0Only: boolean): void }[];
}

/**
 * The distributor: SPIs, and what every PE shares.
 *
 * Reference: Arm IHI 0069, GICD_* registers.
 * Modelled: CTLR with one security state (DS and ARE fixed to 1), identification, SPIs with affinity routing.
 * Not modelled: message-based SPIs, extended ranges, 1 of N distribution (an SPI with Interrupt_Routing_Mode goes to PE 0).
 */
export class Distributor implements MmioDevice, SpiRouter {
  readonly spis: WiredInterrupts = new WiredInterrupts(32, SPI_COUNT);
  readonly #host: DistributorHost;
  /** GICD_IROUTER<n> in halves. */
  readonly #router = new Uint32Array(2 * SPI_COUNT);
  #ctlr = 0;

  constructor(host: DistributorHost) {
    this.#host = host;
  }

  /** Registers as after a warm reset. */
  reset(): void {
    this.#ctlr = 0;
    this.#router.fill(0);
    this.spis.reset();
  }

  get group0Enabled(): boolean {
    return (this.#ctlr & CTLR_GRP0) !== 0;
  }

  get group1Enabled(): boolean {
    return (this.#ctlr & CTLR_GRP1) !== 0;
  }

  /** GICD_CTLR.nASSGIreq: SGIs have no active state. */
  get sgisWithoutActive(): boolean {
    return (this.#ctlr & CTLR_NASSGIREQ) !== 0;
  }

  /** Offers the SPIs that are routed to PE `cpu`. */
  offerSpis(best1: Candidate, best0: Candidate, cpu: number): void {
    this.spis.scan(best1, best0, this, cpu);
  }

  /** An SPI's input. @param intid in [32, 288) */
  setSpi(intid: number, level: boolean): void {
    this.spis.setLevel(intid - 32, level);
    this.#host.refreshAll();
  }

  acknowledge(intid: number): void {
    this.spis.acknowledge(intid - 32);
    this.#host.refreshAll();
  }

  deactivate(intid: number): void {
    if (intid - 32 < SPI_COUNT) this.spis.active[intid - 32] = 0;
    this.#host.refreshAll();
  }

  /**
   * An SGI that a PE sends.
   *
   * @param targets one bit for each Aff0 below 16 of the cluster
   * @param others IRM: all PEs but `from`
   * @param group0Only it arrives where it is of Group 0: ICC_SGI0R_EL1 and ASGI1R_EL1, but not SGI1R_EL1
   * @param from number of the PE that sends it
   * @param sgi 0 to 15
   * @param cluster Aff3.Aff2.Aff1 with 8 bits each
   */
  sendSgi(from: number, sgi: number, targets: number, cluster: number, others: boolean, group0Only: boolean): void {
    const { redistributors } = this.#host;
    if (others) redistributors.forEach((redistributor, n) => n !== from && redistributor.setSgi(sgi, group0Only));
    else for (let n = 0; n < 16; n += 1) if ((targets & (1 << n)) !== 0) redistributors[cluster * 16 + n]?.setSgi(sgi, group0Only);
  }

  /**
   * PIDR and CIDR registers, which all frames have.
   *
   * @param offset bytes from the frame's start, 0xffd0 to 0xfffc
   * @param part PIDR0 of the frame, 8 bits
   */
  idRegister(offset: number, part: number): number {
    const gic = this.#host.version === 'gicv3' ? 0x3b : 0x4b;
    return [0x44, 0, 0, 0, part, 0xb4, gic, 0, 0x0d, 0xf0, 0x05, 0xb1][(offset - GICD.IDREGS) / 4] ?? 0;
  }

  read(offset: number, width: number): number {
    if (offset % width !== 0) return this.#ignored(offset);
    if (offset >= 0x80 && offset < 0x1000) return this.spis.read(offset, width);
    if (width !== 4) return this.#ignored(offset);
    switch (offset) {
      case GICD.CTLR:
        return CTLR_FIXED | this.#ctlr;
      case GICD.TYPER:
        return (TYPER | SPI_COUNT / 32 | (this.#host.choices.numLpis << 11) | (this.#host.version === 'gicv3' ? 0 : TYPER_DVIS)) >>> 0;
      case GICD.IIDR:
        return 0x43b;
      case GICD.TYPER2:
        return this.#host.version === 'gicv4.1' ? TYPER2_NASSGICAP : 0;
      default:
        if (offset >= GICD.IROUTER && offset < GICD.IROUTER + 8 * (32 + SPI_COUNT)) {
          return this.#router[(offset - GICD.IROUTER) / 4 - 64] ?? 0;
        }
        return offset >= GICD.IDREGS ? this.idRegister(offset, 0x92) : this.#ignored(offset);
    }
  }

  read64(offset: number, into: Uint32Array): void {
    into[0] = this.read(offset, 4);
    into[1] = this.read(offset + 4, 4);
  }

  write64(offset: number, lo: number, hi: number): void {
    this.write(offset, 4, lo);
    this.write(offset + 4, 4, hi);
  }

  write(offset: number, width: number, value: number): void {
    if (offset % width !== 0) this.#ignored(offset);
    else if (offset >= 0x80 && offset < 0x1000) this.spis.write(offset, width, value);
    else if (width === 4 && offset === GICD.CTLR) this.#setCtlr(value);
    else if (width === 4 && offset >= GICD.IROUTER + 256 && offset < GICD.IROUTER + 8 * (32 + SPI_COUNT)) {
      this.#router[(offset - GICD.IROUTER) / 4 - 64] = value;
    } else {
      this.#ignored(offset);
      return;
    }
    this.#host.refreshAll();
  }

  /** nASSGIreq is read-only while a group is enabled. */
  #setCtlr(value: number): void {
    const groups = CTLR_GRP0 | CTLR_GRP1;
    const writable = this.#host.version === 'gicv4.1' && (this.#ctlr & groups) === 0;
    this.#ctlr = (value & groups) | ((writable ? value : this.#ctlr) & CTLR_NASSGIREQ);
  }

  /** The PE to which an SPI goes, -1 for one that does not exist. @param index the SPI's INTID less 32 */
  target(index: number): number {
    const lo = this.#router[2 * index]!;
    if ((lo & 0x8000_0000) !== 0) return 0;
    return ((lo >>> 8) & 0xff) * 16 + (lo & 0xff);
  }

  #ignored(offset: number): number {
    if (this.#host.trace.on) this.#host.trace.emit(ACCESS_IGNORED, { frame: 'distributor', offset });
    return 0;
  }
}
