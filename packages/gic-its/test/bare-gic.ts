/** A GIC without a driver: tables at fixed places, commands posted one by one. For tests of the hardware floor. */
import { Host, type TraceEvent } from '@vsim/vfio-core';
import { encode, Gic, GICR, GITS, OPCODE, type GicPreset, type GicVersion, type ImplementationChoices, type VmappFields } from '../src/index.ts';

const BASE = 0x8000_0000;

export const AT = {
  PROPERTIES: 0x8001_0000,
  /** One for each VM: all vPEs here are of one. */
  VPROPERTIES: 0x8002_0000,
  PENDING: 0x8010_0000,
  VPT: 0x8020_0000,
  QUEUE: 0x8030_0000,
  TABLES: 0x8040_0000,
  ITT: 0x8060_0000,
} as const;

export const PENDING_LAST = 0x2000_0000;
export const DOORBELL = 0x4000_0000;
export const DIRTY = 0x1000_0000;
export const VALID = 0x8000_0000;
export const RESIDENT_GRP1 = 0x8400_0000;
/** The default doorbell of vPE n is DOORBELL_LPI + n. */
export const DOORBELL_LPI = 9000;
const QUEUE_BYTES = 4096;

export interface BareGicInit {
  readonly version?: GicVersion;
  readonly cpus?: number;
  readonly itss?: number;
  readonly preset?: GicPreset;
  readonly choices?: Partial<ImplementationChoices>;
  /** INTID bits of LPIs and VLPIs, less one. */
  readonly idBits?: number;
}

export class BareGic {
  readonly host: Host;
  readonly gic: Gic;
  readonly #idBits: number;
  readonly #tails: number[];
  readonly #words = new Uint32Array(8);

  constructor({ version = 'gicv4.1', cpus = 2, itss = 1, preset = 'arm', choices = {}, idBits = 15 }: BareGicInit = {}) {
    this.#idBits = idBits;
    this.host = new Host({ ram: [{ base: BASE, size: 0x80_0000 }] });
    const its = Array.from({ length: itss }, (_, n) => 0x1000_0000 + n * 0x10_0000);
    this.gic = new Gic(this.host, { version, cpus, its, preset, choices });
    this.#tails = its.map(() => 0);
    const { memory } = this.host;
    memory.writeBytes(AT.PROPERTIES, new Uint8Array(0xe000).fill(0xa1));
    memory.writeBytes(AT.VPROPERTIES, new Uint8Array(0xe000).fill(0xa1));
    memory.write32(this.gic.distributorBase, 2);
    for (let cpu = 0; cpu < cpus; cpu += 1) {
      this.rd64(cpu, GICR.PROPBASER, AT.PROPERTIES + idBits, 0);
      this.rd64(cpu, GICR.PENDBASER, AT.PENDING + cpu * 0x1_0000, 0);
      memory.write32(this.gic.redistributorBase[cpu]!, 1);
      if (version === 'gicv4.1') this.rd64(cpu, GICR.VPROPBASER, AT.TABLES + 0x2_0000, VALID + (2 << 21));
      if (version === 'gicv4') this.rd64(cpu, GICR.VPROPBASER, AT.VPROPERTIES + idBits, 0);
      this.gic.cpu(cpu).write('ICC_PMR_EL1', 0xf0n);
      this.gic.cpu(cpu).write('ICC_IGRPEN1_EL1', 1n);
      this.gic.cpu(cpu).virtual.write('ICH_HCR_EL2', 1n);
      this.gic.cpu(cpu).virtual.write('ICC_PMR_EL1', 0xf0n);
      this.gic.cpu(cpu).virtual.write('ICC_IGRPEN1_EL1', 1n);
    }
    its.forEach((at, n) => {
      // Devices and collections of each ITS are its own; the vPE table is shared by all of GICv4.1.
      const vpes = AT.TABLES + 0x2_0000 + (version === 'gicv4.1' ? 0 : n * 0x1_0000);
      memory.write64(at + GITS.BASER, AT.TABLES + 0x10_0000 + n * 0x2_0000 + 0x200, VALID);
      memory.write64(at + GITS.BASER + 8, AT.TABLES + 0x11_0000 + n * 0x2_0000 + 0x200, VALID);
      memory.write64(at + GITS.BASER + 16, vpes + 0x200, VALID);
      memory.write64(at + GITS.CBASER, AT.QUEUE + n * 0x1_0000, VALID);
      memory.write32(at, 1);
      for (let cpu = 0; cpu < cpus; cpu += 1) this.on(n, (to) => encode.mapc(to, cpu, cpu, true), (to) => encode.sync(to, cpu));
    });
  }

  /** Posts commands to ITS `its`. */
  on(its: number, ...builders: readonly ((to: Uint32Array) => void)[]): void {
    const { memory } = this.host;
    for (const build of builders) {
      build(this.#words);
      const tail = this.#tails[its]!;
      this.#words.forEach((word, i) => memory.write32(AT.QUEUE + its * 0x1_0000 + tail + 4 * i, word));
      this.#tails[its] = (tail + 32) % QUEUE_BYTES;
      memory.write64(this.gic.its[its]!.base + GITS.CWRITER, this.#tails[its], 0);
    }
  }

  /** Posts commands to the first ITS. */
  post(...builders: readonly ((to: Uint32Array) => void)[]): void {
    this.on(0, ...builders);
  }

  sync(cpu: number): void {
    this.post((to) => encode.sync(to, cpu));
  }

  vsync(vpeid: number): void {
    this.post((to) => encode.vpe(to, OPCODE.VSYNC, vpeid));
  }

  /** A device with 32 events. */
  mapDevice(device: number, its = 0): void {
    this.on(its, (to) => encode.mapd(to, device, 4, AT.ITT + its * 0x10_0000 + device * 0x1000, true));
  }

  vmapp(vpeid: number, fields: Partial<VmappFields> = {}): (to: Uint32Array) => void {
    return (to) =>
      encode.vmapp(to, {
        vpeid,
        valid: true,
        rdbase: 0,
        vptAddress: AT.VPT + vpeid * 0x1_0000,
        vptSize: this.#idBits,
        alloc: this.gic.version === 'gicv4.1',
        ptz: false,
        vconfAddress: this.gic.version === 'gicv4.1' ? AT.VPROPERTIES : 0,
        defaultDoorbell: this.gic.version === 'gicv4.1' ? DOORBELL_LPI + vpeid : 0,
        ...fields,
      });
  }

  msi(device: number, event: number, its = 0): void {
    this.host.memory.write32(this.gic.its[its]!.translater, event, device);
  }

  rd64(cpu: number, offset: number, lo: number, hi: number): void {
    this.host.memory.write64(this.gic.redistributorBase[cpu]! + offset, lo, hi);
  }

  rd32(cpu: number, offset: number): number {
    return this.host.memory.read32(this.gic.redistributorBase[cpu]! + offset);
  }

  /** Makes a GICv4.1 vPE resident, Group 1 enabled. */
  resident(cpu: number, vpeid: number): void {
    this.rd64(cpu, GICR.VPENDBASER, vpeid, RESIDENT_GRP1);
  }

  /** Takes it off; the high half of VPENDBASER. */
  deschedule(cpu: number, vpeid: number, bits = 0): number {
    this.rd64(cpu, GICR.VPENDBASER, vpeid, bits);
    return this.rd32(cpu, GICR.VPENDBASER + 4);
  }

  property(lpi: number, byte: number): void {
    this.host.memory.write8(AT.PROPERTIES + lpi - 8192, byte);
  }

  vproperty(vintid: number, byte: number): void {
    this.host.memory.write8(AT.VPROPERTIES + vintid - 8192, byte);
  }

  pending(cpu: number, lpi: number): boolean {
    return this.gic.redistributors[cpu]!.lpis.bank.test(lpi);
  }

  vpending(vpeid: number, vintid: number): boolean {
    return this.gic.vpe(vpeid)?.lpis.test(vintid) ?? false;
  }

  /** IAR and EOI of a CPU. */
  take(cpu: number): number {
    const port = this.gic.cpu(cpu);
    const intid = port.acknowledge();
    port.endOfInterrupt(intid);
    return intid;
  }

  vtake(cpu: number): number {
    const port = this.gic.cpu(cpu).virtual;
    const intid = port.acknowledge();
    port.endOfInterrupt(intid);
    return intid;
  }
}

/** What was unpredictable. */
export function unpredictable(events: readonly TraceEvent[]): string[] {
  return events.filter(({ id }) => id === 'gic/unpredictable').map(({ text }) => text.replace('unpredictable use: ', ''));
}

export function ids(events: readonly TraceEvent[]): string[] {
  return events.map(({ id }) => id);
}
