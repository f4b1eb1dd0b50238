/** What runs inside the VM: a kernel's GIC driver and an interrupt handler, as the accesses that they would make. */
import { rangeEnd, writeWords } from '@vsim/vfio-core';
import { encode, OPCODE, type KvmVm, type Vcpu } from '@vsim/gic-its';
import { REDISTRIBUTOR_STRIDE, type MachineLayout } from './layout.ts';

const FIRST_LPI = 8192;
const SPURIOUS = 1023;
/** LPIs have 14 bits of INTID here: 8192 to 16383. */
const ID_BITS = 14;

const GICD_CTLR = 0x0;
const GICD_CTLR_ARE_GRP1 = 0x12n;
const GICR_CTLR = 0x0;
const GICR_PROPBASER = 0x70;
const GICR_PENDBASER = 0x78;
const ENABLE_LPIS = 1n;
const GITS_CTLR = 0x0;
const GITS_CBASER = 0x80;
const GITS_CWRITER = 0x88;
const GITS_BASER0 = 0x100;
const GITS_BASER1 = 0x108;

const VALID = 1n << 63n;
/** Inner shareable, inner write-back cacheable. */
const SHARED_CACHEABLE = 0x780n;
const BASER_SHARED_CACHEABLE = 0x3800_0000_0000_0400n;
const QUEUE_BYTES = 0x1_0000;
/** DEFAULT_PMR_VALUE of the kernel's driver. */
const PRIORITY_MASK = 0xf0;
const LPI_CONFIG = 0xa1; // priority 0xa0, enabled
const LPI_DISABLED = 0xa0;

/** The LPI of a device's event: INTIDs in the order of (slot, vector). @param slot in [0, 256) @param vector in [0, 16) */
export function lpiOf(slot: number, vector: number): number {
  return FIRST_LPI + 16 * slot + vector;
}

/** Where the driver keeps its things: guest physical addresses. */
export interface GuestTables {
  /** 64 KiB. */
  readonly commandQueue: number;
  /** LPI configuration, a byte for each LPI from 8192 on. */
  readonly propertyTable: number;
  /** GITS_BASER1. */
  readonly collectionTable: number;
  /** One for each vCPU, PENDING_STRIDE apart. */
  readonly pendingTables: number;
  /** GITS_BASER0, a flat table. */
  readonly deviceTable: number;
  /** An interrupt translation table for each slot, ITT_STRIDE apart. */
  readonly itts: number;
  /** How often each LPI was taken: a word for each LPI from 8192 on. */
  readonly counters: number;
  /** What lies behind is the guest's own. */
  readonly end: number;
}

/** Bytes from one vCPU's pending table to the next. */
export const PENDING_STRIDE = 0x1_0000;
/** Bytes from one slot's interrupt translation table to the next. */
export const ITT_STRIDE = 0x1000;
/** vCPUs and slots for which there is room. */
const MOST_VCPUS = 8;
const MOST_SLOTS = 256;

/**
 * A guest's GIC driver. Its state is in guest memory (tables, command queue, counters), so that a guest that has migrated goes on where it
 * was; it counts each LPI that it takes there. A device has a slot in [0, 256), by which its LPIs are numbered: see lpiOf().
 *
 * @example
 * ```ts
 * import { Host, IrqBypassManager } from '@vsim/vfio-core';
 * import { Gic, ItsDriver } from '@vsim/gic-its';
 * import { GuestGicDriver, lpiOf, translaterOf, VirtualMachine } from '@vsim/vmm';
 *
 * const host = new Host();
 * const its = new ItsDriver(host, new Gic(host, { version: 'gicv3', cpus: 1 }));
 * const vm = new VirtualMachine({ host, its, irqBypass: new IrqBypassManager(), groupOf: () => 0 }, { vcpus: 1 });
 * const guest = new GuestGicDriver(vm, () => undefined);
 * guest.boot();
 * guest.mapDevice(0, 0x10);
 * guest.mapEvent(0, 0x10, 3, 0);
 * vm.run(() => 0);
 * vm.kvm.signalMsi(translaterOf(vm.layout), 3, 1, 0x10); // 1: KVM_MSI_VALID_DEVID
 * console.log(guest.count(lpiOf(0, 3))); // 1
 * ```
 */
export class GuestGicDriver {
  /** Where in the guest's RAM the driver keeps its things. */
  readonly tables: GuestTables;
  readonly #vm: KvmVm;
  readonly #layout: MachineLayout;
  readonly #taken: (lpi: number) => void;

  /**
   * Installs the interrupt handler on every vCPU; nothing is stored yet.
   *
   * @param taken hears of each LPI that the guest acknowledges
   * @throws RangeError for more than 8 vCPUs, or for RAM without room for the tables
   */
  constructor({ kvm: vm, layout }: { readonly kvm: KvmVm; readonly layout: MachineLayout }, taken: (lpi: number) => void) {
    const { base, size } = layout.ram;
    this.tables = {
      commandQueue: base + 0x1_0000,
      propertyTable: base + 0x2_0000,
      collectionTable: base + 0x3_0000,
      pendingTables: base + 0x8_0000,
      deviceTable: base + 0x10_0000,
      itts: base + 0x20_0000,
      counters: base + 0x30_0000,
      end: base + 0x40_0000,
    };
    if (vm.vcpus.length > MOST_VCPUS) throw new RangeError(`"kvm" expected at most ${MOST_VCPUS} vCPUs, got ${vm.vcpus.length}`);
    if (this.tables.end > rangeEnd(base, size)) throw new RangeError(`"layout" expected at least 4 MiB of RAM, got ${size} bytes`);
    this.#vm = vm;
    this.#layout = layout;
    this.#taken = taken;
    for (const vcpu of vm.vcpus) {
      const onInterrupt = (): void => { this.#handle(vcpu); };
      vcpu.onInterrupt = onInterrupt;
    }
  }

  /** The kernel brings up distributor, redistributors, CPU interfaces and ITS. */
  boot(): void {
    const { memory } = this.#vm;
    const { distributor, redistributors, its } = this.#layout;
    const { commandQueue, propertyTable, collectionTable, pendingTables, deviceTable } = this.tables;
    this.#store(distributor + GICD_CTLR, 4, GICD_CTLR_ARE_GRP1);
    memory.writeBytes(propertyTable, new Uint8Array(2 ** ID_BITS - FIRST_LPI).fill(LPI_CONFIG));
    this.#vm.vcpus.forEach((_, cpu) => {
      const frame = redistributors + cpu * REDISTRIBUTOR_STRIDE;
      this.#store(frame + GICR_PROPBASER, 8, BigInt(propertyTable) | SHARED_CACHEABLE | BigInt(ID_BITS - 1));
      this.#store(frame + GICR_PENDBASER, 8, BigInt(pendingTables + cpu * PENDING_STRIDE) | SHARED_CACHEABLE);
      this.#store(frame + GICR_CTLR, 4, ENABLE_LPIS);
    });
    for (const vcpu of this.#vm.vcpus) {
      vcpu.setPriorityMask(PRIORITY_MASK);
      vcpu.setGroup1(true);
    }
    this.#store(its + GITS_CBASER, 8, VALID | BASER_SHARED_CACHEABLE | BigInt(commandQueue) | BigInt(QUEUE_BYTES / 4096 - 1));
    this.#store(its + GITS_BASER0, 8, VALID | BASER_SHARED_CACHEABLE | BigInt(deviceTable) | 7n);
    this.#store(its + GITS_BASER1, 8, VALID | BASER_SHARED_CACHEABLE | BigInt(collectionTable));
    this.#store(its + GITS_CTLR, 4, 1n);
    this.#vm.vcpus.forEach((_, cpu) => {
      this.#command((to) => { encode.mapc(to, cpu, cpu, true); });
      this.#command((to) => { encode.sync(to, cpu); });
    });
  }

  /** MAPD for a device with 4 bits of EventID. @param slot in [0, 256) @param device its DeviceID, 32 bits */
  mapDevice(slot: number, device: number): void {
    this.#command((to) => { encode.mapd(to, device, 3, this.#ittOf(slot), true); });
  }

  /**
   * MAPTI: a device's event becomes an LPI of a vCPU.
   *
   * @param slot in [0, 256)
   * @param device its DeviceID, 32 bits
   * @param event EventID in [0, 16)
   * @param cpu vCPU, from 0
   */
  mapEvent(slot: number, device: number, event: number, cpu: number): void {
    this.#command((to) => { encode.mapti(to, device, event, lpiOf(slot, event), cpu); });
    this.#command((to) => { encode.sync(to, cpu); });
  }

  /**
   * MOVI: a device's event goes to another vCPU.
   *
   * @param device its DeviceID, 32 bits
   * @param event EventID in [0, 16)
   * @param cpu vCPU, from 0
   */
  moveEvent(device: number, event: number, cpu: number): void {
    this.#command((to) => { encode.movi(to, device, event, cpu); });
    this.#command((to) => { encode.sync(to, cpu); });
  }

  /**
   * The property byte, then INV: an LPI that is disabled stays pending until it is enabled.
   *
   * @param slot in [0, 256)
   * @param device its DeviceID, 32 bits
   * @param event EventID in [0, 16)
   */
  enableEvent(slot: number, device: number, event: number, enabled: boolean): void {
    this.#vm.memory.write8(this.tables.propertyTable + lpiOf(slot, event) - FIRST_LPI, enabled ? LPI_CONFIG : LPI_DISABLED);
    this.#command((to) => { encode.event(to, OPCODE.INV, device, event); });
    this.#command((to) => { encode.sync(to, 0); });
  }

  /** MAPD V=0. @param slot in [0, 256) @param device its DeviceID, 32 bits */
  unmapDevice(slot: number, device: number): void {
    this.#command((to) => { encode.mapd(to, device, 3, this.#ittOf(slot), false); });
  }

  /** How often the guest has taken an LPI, as its memory says. @param lpi INTID from 8192 on */
  count(lpi: number): number {
    return this.#vm.memory.read32(this.#counterOf(lpi));
  }

  /** The vector at VBAR_EL1: takes one interrupt. */
  #handle(vcpu: Vcpu): void {
    const intid = vcpu.acknowledge();
    if (intid === SPURIOUS) return;
    this.#taken(intid);
    this.#vm.memory.write32(this.#counterOf(intid), this.count(intid) + 1);
    vcpu.endOfInterrupt(intid);
  }

  #command(write: (to: Uint32Array) => void): void {
    const words = new Uint32Array(8);
    write(words);
    const at = Number(this.#load(this.#layout.its + GITS_CWRITER, 8));
    writeWords(this.#vm.memory, this.tables.commandQueue + at, words, 8);
    this.#store(this.#layout.its + GITS_CWRITER, 8, BigInt((at + 32) % QUEUE_BYTES));
  }

  #load(gpa: number, width: number): bigint {
    return this.#vm.load(this.#vm.vcpus[0]!, gpa, width);
  }

  #store(gpa: number, width: number, value: bigint): void {
    this.#vm.store(this.#vm.vcpus[0]!, gpa, width, value);
  }

  #ittOf(slot: number): number {
    if (!(slot >= 0 && slot < MOST_SLOTS)) throw new RangeError(`"slot" expected a number in [0, ${MOST_SLOTS}), got ${slot}`);
    return this.tables.itts + slot * ITT_STRIDE;
  }

  #counterOf(lpi: number): number {
    return this.tables.counters + 4 * (lpi - FIRST_LPI);
  }
}
