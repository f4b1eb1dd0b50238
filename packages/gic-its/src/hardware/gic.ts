import type { Memory, MmioDevice, Trace } from '@vsim/vfio-core';
import { implementationChoices, type GicPreset, type ImplementationChoices } from './choices.ts';
import type { CpuInterface } from './cpu-interface.ts';
import { Distributor, SPI_COUNT } from './distributor.ts';
import { Its, ITS_BYTES } from './its.ts';
import { FRAME_BYTES, Redistributor } from './redistributor.ts';
import type { Refusal, VpeMove } from './its-lookup.ts';
import { SPURIOUS } from './pending-bits.ts';
import type { VpeContext } from './vpe.ts';
import { VpeMoves } from './vpe-moves.ts';

/** GICv3 has LPIs; GICv4 (4.0) has VLPIs with individual doorbells; GICv4.1 has vPE tables, default doorbells and vSGIs. */
export type GicVersion = (typeof GIC_VERSIONS)[number];

const GIC_VERSIONS = ['gicv3', 'gicv4', 'gicv4.1'] as const;

/** What a GIC is built with: its version, its PEs, where its frames are, and what its implementer chose. */
export interface GicInit {
  /** Version of the architecture that all parts follow. */
  readonly version: GicVersion;
  /** How many PEs there are, each with a redistributor: 1 to 4096. */
  readonly cpus: number;
  /** Physical address of the distributor. @default 0x0800_0000 */
  readonly distributor?: number | undefined;
  /** Physical address of the first redistributor. @default 0x080a_0000, 0x080c_0000 with GICv4.1 */
  readonly redistributors?: number | undefined;
  /** Bytes from one redistributor to the next. @default 2 frames of 64 KiB, 4 with GICv4 */
  readonly stride?: number | undefined;
  /** Physical addresses of the ITSs, 128 KiB each, 256 KiB with GICv4.1; at most 16 with GICv4. @default one at 0x0808_0000 */
  readonly its?: readonly number[] | undefined;
  /** Implementation choices to begin with. @default 'arm' */
  readonly preset?: GicPreset | undefined;
  /** Single choices over the preset. */
  readonly choices?: Partial<ImplementationChoices> | undefined;
}

/** Memory with places for devices: AddressSpace is one. */
export interface GicBus extends Memory {
  /**
   * Makes a device answer in a range of physical addresses.
   *
   * @param base its first address
   * @param size bytes
   * @param device what answers; offsets count from `base`
   */
  map(base: number, size: number, device: MmioDevice): unknown;
  /** The part in which tables and queues can be. */
  readonly ram: Memory;
}

/** What a GIC needs of the machine that it is in. A Host is one. */
export interface GicSystem {
  /** RAM, with the tables and queues; or a bus, which then has the frames too. */
  readonly memory: Memory | GicBus;
  /** Where the events of the hardware go. */
  readonly trace: Trace;
}

/** A range of addresses at which a part of the GIC answers. Offsets go from `base`. */
export interface GicFrame {
  /** Physical address of its first byte. */
  readonly base: number;
  /** How many bytes it has. */
  readonly size: number;
  /** What answers loads and stores there. */
  readonly device: Required<MmioDevice>;
}

/**
 * A GIC: one distributor, a redistributor and a CPU interface for each PE, and any number of ITSs, in a machine's memory.
 *
 * Reference: Arm IHI 0069. Versions: GICv3; GICv4 (4.0: VLPIs with individual doorbells); GICv4.1 (vPE tables, default doorbells).
 * Tables are read and written in RAM, never in device memory: an ITT placed over registers reaches none of them.
 *
 * @example
 * ```ts
 * import { Host } from '@vsim/vfio-core';
 * import { Gic } from '@vsim/gic-its';
 *
 * const gic = new Gic(new Host(), { version: 'gicv4.1', cpus: 4 });
 * console.log(gic.frames.length, gic.redistributors.length, gic.its.length); // 6 4 1
 * ```
 */
export class Gic {
  /** The version that it was made with. */
  readonly version: GicVersion;
  /** The preset with single choices over it. */
  readonly choices: ImplementationChoices;
  /** RAM, as the GIC sees it. */
  readonly memory: Memory;
  /** Where its events go. */
  readonly trace: Trace;
  /** GICD_* registers, and the SPIs. */
  readonly distributor: Distributor;
  /** One for each PE, in the order of their numbers. */
  readonly redistributors: readonly Redistributor[];
  /** The ITSs, in the order of GicInit.its. */
  readonly its: readonly Its[];
  /** Physical address of each PE's redistributor. */
  readonly redistributorBase: readonly number[];
  /** Physical address of the distributor's frame. */
  readonly distributorBase: number;
  /** Every frame: what a bus without `map` has to reach. */
  readonly frames: readonly GicFrame[];
  readonly #vpes = new Map<number, VpeContext>();
  readonly #moves: VpeMoves;

  /** Maps every frame where memory is a bus. @throws RangeError if frames overlap, or a count or number is none. */
  constructor(system: GicSystem, init: GicInit) {
    if (!GIC_VERSIONS.includes(init.version)) throw new RangeError(`"version" expected one of ${GIC_VERSIONS.join(', ')}, got ${init.version}`);
    checkRange('cpus', init.cpus, 1, 4096);
    const itss = init.its ?? [0x0808_0000];
    if (init.version !== 'gicv3' && itss.length > 16) throw new RangeError(`"its" expected at most 16 addresses, got ${itss.length}`);
    this.version = init.version;
    this.choices = implementationChoices(init.preset ?? 'arm', init.choices);
    const { listRegisters, maintenancePpi } = this.choices;
    checkRange('listRegisters', listRegisters, 1, 16);
    checkRange('maintenancePpi', maintenancePpi, 16, 31);
    const { memory } = system;
    this.memory = 'map' in memory ? memory.ram : memory;
    this.trace = system.trace;
    this.distributor = new Distributor(this);
    this.distributorBase = init.distributor ?? 0x0800_0000;
    const frames: GicFrame[] = [{ base: this.distributorBase, size: FRAME_BYTES, device: this.distributor }];
    const stride = init.stride ?? (init.version === 'gicv3' ? 2 : 4) * FRAME_BYTES;
    const first = init.redistributors ?? (init.version === 'gicv4.1' ? 0x080c_0000 : 0x080a_0000);
    this.redistributors = Array.from({ length: init.cpus }, (_, n) => new Redistributor(this, n, n === init.cpus - 1));
    this.redistributorBase = this.redistributors.map((_, n) => first + n * stride);
    this.redistributors.forEach((device, n) => frames.push({ base: this.redistributorBase[n]!, size: stride, device }));
    this.its = itss.map((base, n) => new Its(this, n, base));
    for (const device of this.its) frames.push({ base: device.base, size: init.version === 'gicv4.1' ? 2 * ITS_BYTES : ITS_BYTES, device });
    this.frames = frames;
    if ('map' in memory) for (const { base, size, device } of frames) memory.map(base, size, device);
    this.#moves = new VpeMoves(this.its, this.choices, this.trace);
  }

  /**
   * A warm reset: every register has its reset value, and what caches held is lost, pending interrupts among it. RAM is as it was, and
   * inputs keep their levels. Not to be called from onLines.
   */
  reset(): void {
    this.#vpes.clear();
    this.#moves.reset();
    this.distributor.reset();
    for (const its of this.its) its.reset();
    for (const redistributor of this.redistributors) redistributor.reset();
    for (const redistributor of this.redistributors) redistributor.settle();
  }

  /**
   * Drives an SPI's input.
   *
   * @param intid 32 to 287
   * @param level true for asserted
   * @throws RangeError if there is no such SPI
   */
  setSpi(intid: number, level: boolean): void {
    checkRange('intid', intid, 32, 31 + SPI_COUNT);
    this.distributor.setSpi(intid, level);
  }

  /**
   * Drives a PPI's input at one PE.
   *
   * @param n the PE, below GicInit.cpus
   * @param intid 16 to 31
   * @param level true for asserted
   * @throws RangeError if there is no such PE or PPI
   */
  setPpi(n: number, intid: number, level: boolean): void {
    checkRange('intid', intid, 16, 31);
    this.#redistributor(n).setPpi(intid, level);
  }

  /** The CPU interface of PE `n`, counted from 0. @throws RangeError if there is no such PE. */
  cpu(n: number): CpuInterface {
    return this.#redistributor(n).cpu;
  }

  #redistributor(n: number): Redistributor {
    const redistributor = this.redistributors[n];
    if (redistributor === undefined) throw new RangeError(`"n" expected a PE below ${this.redistributors.length}, got ${n}`);
    return redistributor;
  }

  /** What the GIC keeps of a vPE of GICv4.1, undefined while no ITS maps it. @param vpeid 16 bits */
  vpe(vpeid: number): VpeContext | undefined {
    return this.#vpes.get(vpeid);
  }

  /** A vPE of GICv4.1 is mapped for the first time, or with undefined unmapped for the last. Called by the ITSs. @param vpeid 16 bits */
  setVpe(vpeid: number, vpe: VpeContext | undefined): void {
    if (vpe === undefined) this.#vpes.delete(vpeid);
    else this.#vpes.set(vpeid, vpe);
  }

  /**
   * The number of the redistributor at an address, as GITS_TYPER.PTA needs it; 0xffff if there is none.
   *
   * @param address physical, of its RD frame
   */
  redistributorAt(address: number): number {
    const n = this.redistributorBase.indexOf(address);
    return n < 0 ? 0xffff : n;
  }

  /** Rings the doorbell of a vPE that asked for it, at the redistributor where it is mapped. */
  ringDefaultDoorbell(vpe: VpeContext): void {
    vpe.doorbellArmed = false;
    for (const its of this.its) {
      const doorbell = its.translation.virtual.doorbellOf(vpe.vpeid);
      if (doorbell === undefined) continue;
      if (doorbell.lpi !== SPURIOUS) this.redistributors[doorbell.rdbase]?.lpis.deliver(doorbell.lpi);
      return;
    }
  }

  /**
   * Configuration of a vPE's VLPI, or of all, is read again; a doorbell that was asked for rings if one is now enabled.
   *
   * @param vintid the VLPI, 0 for all
   */
  invalidateVpe(vpe: VpeContext, vintid: number): void {
    if (vintid === 0) vpe.lpis.invalidateAll();
    else vpe.lpis.invalidate(vintid);
    if (vpe.residency !== undefined) vpe.residency.refresh();
    else if (vpe.doorbellArmed && vpe.somethingPending) this.ringDefaultDoorbell(vpe);
  }

  /** Every ITS forgets what it kept of a vPE's place. @param vpeid 16 bits */
  forgetVpe(vpeid: number): void {
    for (const its of this.its) its.translation.forgetRoute(vpeid);
  }

  /** One ITS took a VMOVP: the vPE moves now, or when the last ITS of the list took it. @returns '' or why the command does nothing */
  moveVpe(move: VpeMove): Refusal {
    return this.#moves.take(move);
  }

  /** Every redistributor looks again for its best SGI, PPI and SPI: the distributor changed. */
  refreshAll(): void {
    for (const redistributor of this.redistributors) redistributor.refreshWired();
  }

  /**
   * PIDR and CIDR registers, which all frames have.
   *
   * @param offset bytes from the frame's start, 0xffd0 to 0xfffc
   * @param part PIDR0 of the frame, 8 bits
   */
  idRegister(offset: number, part: number): number {
    return this.distributor.idRegister(offset, part);
  }
}

function checkRange(name: string, value: number, least: number, most: number): void {
  if (!(Number.isInteger(value) && value >= least && value <= most)) throw new RangeError(`"${name}" expected a whole number in [${least}, ${most}], got ${value}`);
}
