/**
 * What runs inside the VM: a kernel's GIC driver and an interrupt handler, as the accesses that they would make.
 *
 * Its state is in guest memory (tables, command queue, counters), so that a guest that has migrated goes on where it was. It
 * counts each LPI that it takes in a word of its own memory.
 */
import { writeWords } from '@vsim/vfio-core';
import { encode, OPCODE, type KvmVm, type Vcpu } from '@vsim/gic-its';
import { AT, GUEST_GICD, GUEST_GICR, GUEST_GICR_STRIDE, GUEST_ITS } from './layout.ts';

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

/** Where an LPI of a device's event lands: INTIDs in the order of (device slot, vector). */
export function lpiOf(slot: number, vector: number): number {
  return FIRST_LPI + 16 * slot + vector;
}

export class Guest {
  readonly #vm: KvmVm;
  readonly #taken: (lpi: number) => void;

  /** `taken` hears of each LPI that the guest acknowledges. Its handler is installed on every vCPU. */
  constructor(vm: KvmVm, taken: (lpi: number) => void) {
    this.#vm = vm;
    this.#taken = taken;
    for (const vcpu of vm.vcpus) {
      const onInterrupt = (): void => { this.#handle(vcpu); };
      vcpu.onInterrupt = onInterrupt;
    }
  }

  /** The kernel brings up distributor, redistributors, CPU interfaces and ITS. */
  boot(): void {
    const { memory } = this.#vm;
    this.#store(GUEST_GICD + GICD_CTLR, 4, GICD_CTLR_ARE_GRP1);
    memory.writeBytes(AT.propertyTable, new Uint8Array(2 ** ID_BITS - FIRST_LPI).fill(LPI_CONFIG));
    this.#vm.vcpus.forEach((_, cpu) => {
      const frame = GUEST_GICR + cpu * GUEST_GICR_STRIDE;
      this.#store(frame + GICR_PROPBASER, 8, BigInt(AT.propertyTable) | SHARED_CACHEABLE | BigInt(ID_BITS - 1));
      this.#store(frame + GICR_PENDBASER, 8, BigInt(AT.pendingTables + cpu * 0x1_0000) | SHARED_CACHEABLE);
      this.#store(frame + GICR_CTLR, 4, ENABLE_LPIS);
    });
    for (const vcpu of this.#vm.vcpus) {
      vcpu.setPriorityMask(PRIORITY_MASK);
      vcpu.setGroup1(true);
    }
    this.#store(GUEST_ITS + GITS_CBASER, 8, VALID | BASER_SHARED_CACHEABLE | BigInt(AT.commandQueue) | BigInt(QUEUE_BYTES / 4096 - 1));
    this.#store(GUEST_ITS + GITS_BASER0, 8, VALID | BASER_SHARED_CACHEABLE | BigInt(AT.deviceTable) | 7n);
    this.#store(GUEST_ITS + GITS_BASER1, 8, VALID | BASER_SHARED_CACHEABLE | BigInt(AT.collectionTable));
    this.#store(GUEST_ITS + GITS_CTLR, 4, 1n);
    this.#vm.vcpus.forEach((_, cpu) => {
      this.#command((to) => { encode.mapc(to, cpu, cpu, true); });
      this.#command((to) => { encode.sync(to, cpu); });
    });
  }

  /** MAPD for a device with 4 bits of EventID. */
  mapDevice(slot: number, device: number): void {
    this.#command((to) => { encode.mapd(to, device, 3, AT.itts + slot * 0x1000, true); });
  }

  /** MAPTI: a device's event becomes an LPI of a vCPU. */
  mapEvent(slot: number, device: number, event: number, cpu: number): void {
    this.#command((to) => { encode.mapti(to, device, event, lpiOf(slot, event), cpu); });
    this.#command((to) => { encode.sync(to, cpu); });
  }

  /** MOVI: a device's event goes to another vCPU. */
  moveEvent(device: number, event: number, cpu: number): void {
    this.#command((to) => { encode.movi(to, device, event, cpu); });
    this.#command((to) => { encode.sync(to, cpu); });
  }

  /** The property byte, then INV: an LPI that is disabled stays pending until it is enabled. */
  enableEvent(slot: number, device: number, event: number, enabled: boolean): void {
    this.#vm.memory.write8(AT.propertyTable + lpiOf(slot, event) - FIRST_LPI, enabled ? LPI_CONFIG : LPI_DISABLED);
    this.#command((to) => { encode.event(to, OPCODE.INV, device, event); });
    this.#command((to) => { encode.sync(to, 0); });
  }

  /** MAPD V=0. */
  unmapDevice(slot: number, device: number): void {
    this.#command((to) => { encode.mapd(to, device, 3, AT.itts + slot * 0x1000, false); });
  }

  /** How often the guest has taken an LPI, as its memory says. */
  count(lpi: number): number {
    return this.#vm.memory.read32(counterOf(lpi));
  }

  /** The vector at VBAR_EL1: takes one interrupt. */
  #handle(vcpu: Vcpu): void {
    const intid = vcpu.acknowledge();
    if (intid === SPURIOUS) return;
    this.#taken(intid);
    this.#vm.memory.write32(counterOf(intid), this.count(intid) + 1);
    vcpu.endOfInterrupt(intid);
  }

  #command(write: (to: Uint32Array) => void): void {
    const words = new Uint32Array(8);
    write(words);
    const at = Number(this.#load(GUEST_ITS + GITS_CWRITER, 8));
    writeWords(this.#vm.memory, AT.commandQueue + at, words, 8);
    this.#store(GUEST_ITS + GITS_CWRITER, 8, BigInt((at + 32) % QUEUE_BYTES));
  }

  #load(gpa: number, width: number): bigint {
    return this.#vm.load(this.#vm.vcpus[0]!, gpa, width);
  }

  #store(gpa: number, width: number, value: bigint): void {
    this.#vm.store(this.#vm.vcpus[0]!, gpa, width, value);
  }
}

function counterOf(lpi: number): number {
  return AT.counters + 4 * (lpi - FIRST_LPI);
}
