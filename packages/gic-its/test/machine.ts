/** A host with a GIC, a VM on it, and the guest's own ITS driver: what the tests of this package share. */
import { EventFdContext, highHalf, Host, IrqBypassManager, lowHalf, PhysicalMemory, toBigint, type IrqBypassProducer, type ProfileName, type TraceEvent } from '@vsim/vfio-core';
import {
  ADDR_TYPE,
  CTRL,
  encode,
  Gic,
  GRP,
  ItsDriver,
  KvmVm,
  SPURIOUS,
  type GicVersion,
  type ImplementationChoices,
  type ItsIrq,
  type MigrationSwitches,
  type Vcpu,
  type Vgic,
  type VgicIts,
} from '../src/index.ts';

export const GUEST = {
  DIST: 0x0800_0000,
  REDIST: 0x080a_0000,
  ITS: 0x0808_0000,
  RAM: 0x4000_0000,
  QUEUE: 0x4001_0000,
  PROPERTIES: 0x4002_0000,
  COLLECTIONS: 0x4003_0000,
  PENDING: 0x4008_0000,
  DEVICES: 0x4010_0000,
  ITT: 0x4020_0000,
} as const;

export const DOORBELL: number = GUEST.ITS + 0x1_0040;
const RAM_BYTES = 0x80_0000;

export interface MachineInit {
  readonly version?: GicVersion;
  readonly profile?: ProfileName | undefined;
  readonly choices?: Partial<ImplementationChoices>;
  readonly switches?: Partial<MigrationSwitches>;
  readonly vcpus?: number;
  /** Their ids, if they are not 0 and so on. */
  readonly ids?: readonly number[];
  readonly its?: readonly number[];
  /** A machine on whose host this VM is to be. */
  readonly on?: Machine;
  /** RAM that another machine's guest left. */
  readonly ram?: PhysicalMemory;
}

export class Machine {
  readonly host: Host;
  readonly gic: Gic;
  readonly driver: ItsDriver;
  readonly bypass: IrqBypassManager;
  readonly vm: KvmVm;
  readonly vgic: Vgic;
  readonly its: VgicIts;
  readonly ram: PhysicalMemory;
  #queue = 0;

  constructor(init: MachineInit = {}) {
    this.host = init.on?.host ?? new Host({ profile: init.profile, ram: [{ base: 0x8000_0000, size: 0x200_0000 }] });
    this.gic = init.on?.gic ?? new Gic(this.host, { version: init.version ?? 'gicv4.1', cpus: 2, choices: init.choices, its: init.its });
    this.driver = init.on?.driver ?? new ItsDriver(this.host, this.gic, { switches: init.switches });
    this.bypass = init.on?.bypass ?? new IrqBypassManager();
    this.vm = new KvmVm(this.host, { driver: this.driver, irqBypass: this.bypass });
    this.ram = init.ram ?? new PhysicalMemory([{ base: GUEST.RAM, size: RAM_BYTES }]);
    this.vm.memory.addSlot({ gpa: GUEST.RAM, size: RAM_BYTES, memory: this.ram, offset: GUEST.RAM });
    for (const id of init.ids ?? Array.from({ length: init.vcpus ?? 2 }, (_, n) => n)) made(this.vm.createVcpu(id));
    this.vgic = made(this.vm.createVgic());
    this.its = made(this.vm.createIts());
    this.vgic.setAttr(GRP.ADDR, ADDR_TYPE.DIST, GUEST.DIST);
    this.vgic.setAttr(GRP.ADDR, ADDR_TYPE.REDIST, GUEST.REDIST);
    this.vgic.setAttr(GRP.CTRL, CTRL.INIT, 0);
    this.its.setAttr(GRP.ADDR, ADDR_TYPE.ITS, GUEST.ITS);
  }

  vcpu(n: number): Vcpu {
    return this.vm.vcpus[n]!;
  }

  // The guest's side

  /** The guest's GIC driver comes up: LPIs on every vCPU, the ITS with one queue, collections n -> vCPU n. */
  boot(property = 0xa1): void {
    const { vm } = this;
    this.ram.writeBytes(GUEST.PROPERTIES, new Uint8Array(0xe000).fill(property));
    const [boot] = vm.vcpus;
    vm.store(boot!, GUEST.DIST, 4, 2n);
    vm.vcpus.forEach((vcpu, n) => {
      const rd = GUEST.REDIST + n * 0x2_0000;
      vm.store(vcpu, rd + 0x70, 8, BigInt(GUEST.PROPERTIES) | 0x78fn);
      vm.store(vcpu, rd + 0x78, 8, BigInt(GUEST.PENDING + n * 0x1_0000) | 0x780n);
      vm.store(vcpu, rd, 4, 1n);
      vcpu.setPriorityMask(0xff);
      vcpu.setGroup1(true);
    });
    vm.store(boot!, GUEST.ITS + 0x80, 8, 0xb800_0000_0000_0400n | BigInt(GUEST.QUEUE));
    vm.store(boot!, GUEST.ITS + 0x100, 8, 0xb800_0000_0000_0607n | BigInt(GUEST.DEVICES));
    vm.store(boot!, GUEST.ITS + 0x108, 8, 0xb800_0000_0000_0600n | BigInt(GUEST.COLLECTIONS));
    vm.store(boot!, GUEST.ITS, 4, 1n);
    vm.vcpus.forEach((_vcpu, n) => this.command((to) => encode.mapc(to, n, n, true)));
  }

  /** The guest posts one command to its ITS. */
  command(build: (to: Uint32Array) => void): void {
    const words = new Uint32Array(8);
    build(words);
    words.forEach((word, i) => this.ram.write32(GUEST.QUEUE + this.#queue + 4 * i, word));
    this.#queue = (this.#queue + 32) % 4096;
    this.vm.store(this.vcpu(0), GUEST.ITS + 0x88, 8, BigInt(this.#queue));
  }

  /** The guest maps a device with one event per LPI, event n -> lpis[n] on vCPU n % count. */
  mapDevice(device: number, lpis: readonly number[]): void {
    this.command((to) => encode.mapd(to, device, 4, GUEST.ITT + device * 0x1000, true));
    lpis.forEach((lpi, event) => this.command((to) => encode.mapti(to, device, event, lpi, event % this.vm.vcpus.length)));
  }

  /** LPI `intid`'s bit in a vCPU's pending table in guest memory. */
  pendingBit(vcpu: number, intid: number): number {
    return (this.ram.read8(GUEST.PENDING + vcpu * 0x1_0000 + (intid >>> 3)) >>> (intid & 7)) & 1;
  }

  setPendingBit(vcpu: number, intid: number): void {
    const at = GUEST.PENDING + vcpu * 0x1_0000 + (intid >>> 3);
    this.ram.write8(at, this.ram.read8(at) | (1 << (intid & 7)));
  }

  /** A 64-bit word of guest memory. */
  word(gpa: number): bigint {
    return toBigint(this.ram.read32(gpa), this.ram.read32(gpa + 4));
  }

  setWord(gpa: number, value: bigint): void {
    this.ram.write32(gpa, lowHalf(value));
    this.ram.write32(gpa + 4, highHalf(value));
  }

  /** KVM_SIGNAL_MSI with a DeviceID. */
  msi(device: number, event: number): number {
    return this.vm.signalMsi(DOORBELL, event, 1, device);
  }

  // The VMM's side

  /** A register of the ITS, through its device attribute. */
  its64(offset: number): bigint | number {
    return this.its.getAttr(GRP.ITS_REGS, offset);
  }

  setIts(offset: number, value: bigint): number {
    return this.its.setAttr(GRP.ITS_REGS, offset, value);
  }

  gicd(offset: number): bigint | number {
    return this.vgic.getAttr(GRP.DIST_REGS, offset);
  }

  setGicd(offset: number, value: number): number {
    return this.vgic.setAttr(GRP.DIST_REGS, offset, value);
  }

  gicr(vcpu: number, offset: number): bigint | number {
    return this.vgic.getAttr(GRP.REDIST_REGS, (BigInt(vcpu) << 32n) | BigInt(offset));
  }

  setGicr(vcpu: number, offset: number, value: number): number {
    return this.vgic.setAttr(GRP.REDIST_REGS, (BigInt(vcpu) << 32n) | BigInt(offset), value);
  }

  saveTables(): number {
    return this.its.setAttr(GRP.CTRL, CTRL.ITS_SAVE_TABLES, 0);
  }

  restoreTables(): number {
    return this.its.setAttr(GRP.CTRL, CTRL.ITS_RESTORE_TABLES, 0);
  }

  savePending(): number {
    return this.vgic.setAttr(GRP.CTRL, CTRL.SAVE_PENDING_TABLES, 0);
  }

  /** KVM_DEV_ARM_ITS_CTRL_RESET, then the registers as boot() has them; the ITS stays disabled. */
  resetIts(): void {
    this.its.setAttr(GRP.CTRL, CTRL.ITS_RESET, 0);
    this.setTables();
  }

  /** BASER0 and BASER1 as boot() has them, by user space. */
  setTables(): void {
    this.setIts(0x100, 0xb800_0000_0000_0607n | BigInt(GUEST.DEVICES));
    this.setIts(0x108, 0xb800_0000_0000_0600n | BigInt(GUEST.COLLECTIONS));
  }

  /** A device's vector: host interrupt, eventfd, irqfd, and the two joined by irqbypass. */
  vector(device: number, event: number, irq: ItsIrq): Vector {
    const eventfd = new EventFdContext(`vector ${device}.${event}`);
    irq.setHandler(() => eventfd.signal());
    const gsi = device * 32 + event;
    this.#routes.push({ gsi, address: DOORBELL, data: event, device });
    this.vm.setRouting(this.#routes);
    this.vm.irqfd(eventfd, gsi);
    const producer: IrqBypassProducer = { token: eventfd, irq };
    const connected = this.bypass.registerProducer(producer);
    return { eventfd, gsi, producer, connected, irq, device };
  }

  readonly #routes: { gsi: number; address: number; data: number; device: number }[] = [];

  /** The device sends its MSI. */
  raise({ irq, device }: Vector): void {
    this.host.memory.write32(irq.message.address, irq.message.data, device);
  }

  /** Registers and tables in the order in which QEMU saves them, after the vCPUs stopped. */
  save(): Saved {
    const tables = this.its.setAttr(GRP.CTRL, CTRL.ITS_SAVE_TABLES, 0);
    const pending = this.vgic.setAttr(GRP.CTRL, CTRL.SAVE_PENDING_TABLES, 0);
    const gicr = this.vm.vcpus.map((_vcpu, n) => GICR_SAVED.map((offset) => got(this.vgic.getAttr(GRP.REDIST_REGS, (BigInt(n) << 32n) | BigInt(offset)))));
    const its = ITS_SAVED.map((offset) => got(this.its.getAttr(GRP.ITS_REGS, offset)));
    return { tables, pending, gicd: got(this.vgic.getAttr(GRP.DIST_REGS, 0)), gicr, its };
  }

  restore(saved: Saved): number {
    this.vgic.setAttr(GRP.DIST_REGS, 0, saved.gicd);
    saved.gicr.forEach((values, n) => {
      GICR_SAVED.forEach((offset, i) => this.vgic.setAttr(GRP.REDIST_REGS, (BigInt(n) << 32n) | BigInt(offset), values[i]));
    });
    ITS_SAVED.slice(0, -1).forEach((offset, i) => this.its.setAttr(GRP.ITS_REGS, offset, saved.its[i]));
    const result = this.its.setAttr(GRP.CTRL, CTRL.ITS_RESTORE_TABLES, 0);
    this.its.setAttr(GRP.ITS_REGS, 0, saved.its.at(-1));
    for (const vcpu of this.vm.vcpus) {
      vcpu.setPriorityMask(0xff);
      vcpu.setGroup1(true);
    }
    return result;
  }
}

export interface Vector {
  readonly eventfd: EventFdContext;
  readonly gsi: number;
  readonly producer: IrqBypassProducer;
  /** What irqbypass answered. */
  readonly connected: number;
  readonly irq: ItsIrq;
  readonly device: number;
}

export interface Saved {
  readonly tables: number;
  readonly pending: number;
  readonly gicd: bigint;
  readonly gicr: readonly (readonly bigint[])[];
  readonly its: readonly bigint[];
}

/** PROPBASER and PENDBASER before CTLR. */
const GICR_SAVED = [0x70, 0x74, 0x78, 0x7c, 0x00];
/** IIDR, CBASER, CREADR, CWRITER, BASER0, BASER1, and CTLR last. */
const ITS_SAVED = [0x04, 0x80, 0x90, 0x88, 0x100, 0x108, 0x00];

/** No test has so many pending. */
const MOST_TAKEN = 10_000;

/** Everything that a guest's vCPU takes until there is no more. A fault that brings one back for ever fails the test instead of hanging it. */
export function takeAll(vcpu: Vcpu): number[] {
  const taken: number[] = [];
  for (let intid = vcpu.acknowledge(); intid !== SPURIOUS; intid = vcpu.acknowledge()) {
    taken.push(intid);
    vcpu.endOfInterrupt(intid);
    if (taken.length > MOST_TAKEN) throw new Error(`more than ${MOST_TAKEN} interrupts, INTID ${intid} the last`);
  }
  return taken;
}

export function made<T>(value: T | number): T {
  if (typeof value === 'number') throw new Error(`errno ${value}`);
  return value;
}

function got(value: bigint | number): bigint {
  if (typeof value === 'number') throw new Error(`errno ${value}`);
  return value;
}

/** Names of the commands that the host's ITSs took. */
export function commandNames(events: readonly TraceEvent[]): string[] {
  return events.flatMap(({ id, fields }) => (id === 'gic/command' ? [(fields as { name: string }).name] : []));
}
