/**
 * The machine of the recordings, on the model's own kernel floors: a host's ITS driver with three devices of one MSI each, and a VM whose
 * guest maps each device to an LPI. Guest memory is laid out as the recorded test program had it.
 */
import { EventFdContext, Host, IrqBypassManager, PhysicalMemory, type IrqBypassProducer, type ProfileName } from '@vsim/vfio-core';
import { ADDR_TYPE, CTRL, Gic, GRP, IRQFD_INJECT, IRQFD_LOCK, ItsDriver, KvmVm, type GicVersion, type ItsIrq, type Vgic, type VgicIts } from '@vsim/gic-its';
import { FloorStream } from './floor-stream.ts';

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

const RAM_BYTES = 0x80_0000;
const MOST_VCPUS = 16;
const QUEUE_BYTES = 4096;
const CWRITER = 0x88n;
const TABLE = (1n << 63n) | (7n << 59n);
/** GICR_PROPBASER, PENDBASER and CTLR; and of the ITS CBASER, CREADR, CWRITER, BASER0, BASER1. */
const GICR_SAVED = [0x70, 0x74, 0x78, 0x7c] as const;
const ITS_SAVED = [0x80, 0x90, 0x88, 0x100, 0x108] as const;
const SGI = 0x1_0000;

/** Devices of the host, and of the guest: their DeviceIDs, the guest's event and LPI. */
export const DEVICES = 3;
export const guestDevice = (n: number): number => 0x10 + n;
export const guestEvent = (n: number): number => 5 + n;
export const guestLpi = (n: number): number => 8192 + 3 + 16 * n;

interface HostDevice {
  readonly id: number;
  eventfd: EventFdContext | undefined;
  irq: ItsIrq | undefined;
  producer: IrqBypassProducer | undefined;
}

interface SavedRegisters {
  readonly queue: number;
  readonly gicd: number;
  readonly itsCtlr: bigint;
  readonly its: readonly bigint[];
  readonly vcpus: readonly { readonly ctlr: number; readonly tables: readonly number[]; readonly pending: number; readonly enabled: number; readonly priorities: readonly number[] }[];
}

export class FloorMachine {
  readonly host: Host;
  readonly gic: Gic;
  readonly driver: ItsDriver;
  readonly stream: FloorStream;
  readonly #bypass = new IrqBypassManager();
  readonly #devices: readonly HostDevice[] = Array.from({ length: DEVICES }, (_, n) => ({ id: 8 * (n + 3), eventfd: undefined, irq: undefined, producer: undefined }));
  #ram: PhysicalMemory = newRam();
  #vm: KvmVm | undefined;
  #vgic: Vgic | undefined;
  #its: VgicIts | undefined;
  #queue = 0;
  #saved: SavedRegisters | undefined;
  #readable = true;

  /** @param made hears of the host before anything is in it */
  constructor(version: GicVersion, profile: ProfileName, made?: (host: Host) => void) {
    this.host = new Host({ profile, ram: [{ base: 0x8000_0000, size: 0x1000_0000 }] });
    made?.(this.host);
    this.gic = new Gic(this.host, { version, cpus: 2 });
    this.driver = new ItsDriver(this.host, this.gic);
    this.stream = new FloorStream(this.host, this.gic);
    // An irqfd's work runs when time passes.
    this.host.scheduler.stopAt(IRQFD_INJECT);
    this.host.scheduler.stopAt(IRQFD_LOCK);
  }

  get vm(): KvmVm {
    return this.#vm ?? fail('a VM');
  }

  get #guestIts(): VgicIts {
    return this.#its ?? fail('an ITS');
  }

  get #guestGic(): Vgic {
    return this.#vgic ?? fail('a vgic');
  }

  /** What was queued runs. */
  timePasses(): void {
    this.#workLooks();
    this.host.scheduler.release(IRQFD_LOCK);
    this.host.scheduler.stopAt(IRQFD_LOCK);
  }

  /** What was queued runs as far as the lock of the guest's ITS. */
  #workLooks(): void {
    this.host.scheduler.release(IRQFD_INJECT);
    this.host.scheduler.stopAt(IRQFD_INJECT);
  }

  // The VM

  create(vcpus: number, keepRam: boolean): void {
    if (!(vcpus >= 1 && vcpus <= MOST_VCPUS)) fail(`1 to ${MOST_VCPUS} vCPUs`);
    this.stream.names.newVm();
    if (!keepRam) this.#ram = newRam();
    const vm = new KvmVm(this.host, { driver: this.driver, irqBypass: this.#bypass });
    this.#vm = vm;
    vm.memory.addSlot({ gpa: GUEST.RAM, size: RAM_BYTES, memory: this.#ram, offset: GUEST.RAM });
    for (let n = 0; n < vcpus; n += 1) vm.createVcpu();
    this.#vgic = made(vm.createVgic());
    this.#its = made(vm.createIts());
    this.#queue = 0;
    for (let n = 0; n < DEVICES; n += 1) if (!keepRam) this.configure(guestLpi(n), 0xa1);
  }

  /** @returns as the recording says it */
  init(): string {
    this.#guestGic.setAttr(GRP.ADDR, ADDR_TYPE.DIST, GUEST.DIST);
    this.#guestGic.setAttr(GRP.ADDR, ADDR_TYPE.REDIST, GUEST.REDIST);
    const vgic = this.#guestGic.setAttr(GRP.CTRL, CTRL.INIT, 0);
    const address = this.#guestIts.setAttr(GRP.ADDR, ADDR_TYPE.ITS, GUEST.ITS);
    return `vgic init ${vgic}, its addr ${address} init ${this.#guestIts.setAttr(GRP.CTRL, CTRL.INIT, 0)}`;
  }

  close(): void {
    this.timePasses();
    this.vm.destroy();
  }

  /** The guest's distributor, redistributors and ITS, set up by user space; and routes for the devices. */
  setUp(gicd: number): void {
    this.#guestGic.setAttr(GRP.DIST_REGS, 0, gicd);
    this.vm.vcpus.forEach((_, n) => {
      if (n === 0) this.#setTable(n, 0x70, GUEST.PROPERTIES + 0x78f);
      this.#setTable(n, 0x78, GUEST.PENDING + n * 0x1_0000 + 0x780);
      this.#setGicr(n, 0, 1);
      this.#setGicr(n, SGI + 0x80, 0xffff_ffff);
    });
    this.#setIts(0x80, TABLE | BigInt(GUEST.QUEUE) | 0x400n);
    this.#setIts(0x100, TABLE | BigInt(GUEST.DEVICES) | 0x607n);
    this.#setIts(0x108, TABLE | BigInt(GUEST.COLLECTIONS) | 0x600n);
    this.#setIts(0, 1n);
    this.#queue = 0;
    this.route();
  }

  route(): void {
    this.vm.setRouting(this.#devices.map((_, n) => ({ gsi: 300 + n, address: GUEST.ITS + 0x1_0040, data: guestEvent(n), device: guestDevice(n) })));
  }

  #setGicr(vcpu: number, offset: number, value: number): void {
    this.#guestGic.setAttr(GRP.REDIST_REGS, (BigInt(vcpu) << 32n) | BigInt(offset), value >>> 0);
  }

  #setTable(vcpu: number, offset: number, value: number): void {
    this.#setGicr(vcpu, offset, value);
    this.#setGicr(vcpu, offset + 4, 0);
  }

  gicr(vcpu: number, offset: number): number {
    return Number(this.#guestGic.getAttr(GRP.REDIST_REGS, (BigInt(vcpu) << 32n) | BigInt(offset)));
  }

  gicd(offset: number): number {
    return Number(this.#guestGic.getAttr(GRP.DIST_REGS, offset));
  }

  #setIts(offset: number, value: bigint): void {
    this.#guestIts.setAttr(GRP.ITS_REGS, offset, value);
  }

  // The guest's ITS and tables

  /** Puts a command into the guest's queue. */
  place(build: (to: Uint32Array) => void): void {
    const words = new Uint32Array(8);
    build(words);
    words.forEach((word, i) => this.#ram.write32(GUEST.QUEUE + this.#queue + 4 * i, word));
    this.#queue = (this.#queue + 32) % QUEUE_BYTES;
  }

  /** place(), and the ITS takes it. */
  command(build: (to: Uint32Array) => void): void {
    this.place(build);
    this.#guestIts.setAttr(GRP.ITS_REGS, CWRITER, BigInt(this.#queue));
  }

  /** The configuration byte of an LPI in guest memory. */
  configure(lpi: number, value: number): void {
    this.#ram.write8(GUEST.PROPERTIES + lpi - 8192, value);
  }

  setPendingBit(vcpu: number, lpi: number): void {
    const at = GUEST.PENDING + vcpu * 0x1_0000 + (lpi >>> 3);
    this.#ram.write8(at, this.#ram.read8(at) | (1 << (lpi & 7)));
  }

  pendingBit(vcpu: number, lpi: number): number {
    return (this.#ram.read8(GUEST.PENDING + vcpu * 0x1_0000 + (lpi >>> 3)) >>> (lpi & 7)) & 1;
  }

  /** KVM_SIGNAL_MSI. */
  signalMsi(device: number, event: number): void {
    this.vm.signalMsi(GUEST.ITS + 0x1_0040, event, 1, device);
  }

  /** The memory slot goes, or comes back. */
  setSlot(there: boolean): void {
    if (there === this.#readable) return;
    this.#readable = there;
    if (there) this.vm.memory.addSlot({ gpa: GUEST.RAM, size: RAM_BYTES, memory: this.#ram, offset: GUEST.RAM });
    else this.vm.memory.removeSlot(GUEST.RAM);
  }

  // Devices of the host

  device(n: number): HostDevice {
    return this.#devices[n] ?? fail(`device ${n}`);
  }

  newEventfd(n: number): void {
    this.device(n).eventfd = new EventFdContext(`edu${n}`);
  }

  irqfd(n: number): void {
    this.vm.irqfd(this.#eventfd(n), 300 + n);
  }

  deassign(n: number): void {
    this.vm.deassignIrqfd(this.#eventfd(n), 300 + n);
  }

  #eventfd(n: number): EventFdContext {
    return this.device(n).eventfd ?? fail('an eventfd');
  }

  signal(n: number): void {
    this.#eventfd(n).signal();
  }

  /** VFIO sets the trigger of the device's MSI. */
  trigger(n: number): void {
    const device = this.device(n);
    const eventfd = this.#eventfd(n);
    const [irq] = this.driver.allocate(device.id, 1, true);
    if (irq === undefined) fail('an interrupt');
    irq.setHandler(() => eventfd.signal());
    // An interrupt that waited comes at once, and its work beside this thread, which then forwards it.
    this.#workLooks();
    device.irq = irq;
    device.producer = { token: eventfd, irq };
    this.#bypass.registerProducer(device.producer);
  }

  untrigger(n: number): void {
    const device = this.device(n);
    if (device.irq === undefined || device.producer === undefined) return;
    this.#bypass.unregisterProducer(device.producer);
    device.irq.setHandler(undefined);
    this.driver.release(device.id, [device.irq]);
    device.irq = undefined;
    device.producer = undefined;
  }

  /** The device sends its MSI. */
  raise(n: number): void {
    const { irq, id } = this.device(n);
    if (irq !== undefined) this.host.memory.write32(irq.message.address, irq.message.data, id);
  }

  // Saving and restoring

  saveTables(): string {
    return `save its tables: ${this.#guestIts.setAttr(GRP.CTRL, CTRL.ITS_SAVE_TABLES, 0)}`;
  }

  savePending(): string {
    const result = this.#guestGic.setAttr(GRP.CTRL, CTRL.SAVE_PENDING_TABLES, 0);
    const bits = this.vm.vcpus.flatMap((_, vcpu) => this.#devices.map((__, n) => `vcpu${vcpu}/lpi${guestLpi(n)}=${this.pendingBit(vcpu, guestLpi(n))}`));
    return `save pending tables: ${result}: ${bits.join(' ')}`;
  }

  readRegisters(): string {
    const saved: SavedRegisters = {
      queue: this.#queue,
      gicd: this.gicd(0),
      itsCtlr: BigInt(this.#guestIts.getAttr(GRP.ITS_REGS, 0)),
      its: ITS_SAVED.map((offset) => BigInt(this.#guestIts.getAttr(GRP.ITS_REGS, offset))),
      vcpus: this.vm.vcpus.map((_, n) => ({
        ctlr: this.gicr(n, 0),
        tables: GICR_SAVED.map((offset) => this.gicr(n, offset)),
        pending: this.gicr(n, SGI + 0x200),
        enabled: this.gicr(n, SGI + 0x100),
        priorities: [0, 4, 8, 12].map((offset) => this.gicr(n, SGI + 0x400 + offset)),
      })),
    };
    this.#saved = saved;
    const hex = (value: number): string => `0x${value.toString(16)}`;
    return `gicd_ctlr ${hex(saved.gicd)} ispendr0 ${saved.vcpus.map(({ pending }) => hex(pending)).join(' ')} isenabler0 ${saved.vcpus.map(({ enabled }) => hex(enabled)).join(' ')}`;
  }

  restoreRegisters(): void {
    const saved = this.#saved ?? fail('saved registers');
    this.#guestGic.setAttr(GRP.DIST_REGS, 0, saved.gicd);
    saved.vcpus.forEach(({ ctlr, tables, pending, enabled, priorities }, n) => {
      // GICR_PROPBASER is one for all.
      GICR_SAVED.forEach((offset, i) => {
        if (n === 0 || i >= 2) this.#setGicr(n, offset, tables[i] ?? 0);
      });
      this.#setGicr(n, 0, ctlr);
      this.#setGicr(n, SGI + 0x80, 0xffff_ffff);
      this.#setGicr(n, SGI + 0x100, enabled);
      priorities.forEach((value, i) => this.#setGicr(n, SGI + 0x400 + 4 * i, value));
      this.#setGicr(n, SGI + 0x200, pending);
    });
    ITS_SAVED.forEach((offset, i) => this.#setIts(offset, saved.its[i] ?? 0n));
  }

  restoreTables(): string {
    const saved = this.#saved ?? fail('saved registers');
    const result = this.#guestIts.setAttr(GRP.CTRL, CTRL.ITS_RESTORE_TABLES, 0);
    this.#setIts(0, saved.itsCtlr);
    this.#queue = saved.queue;
    this.route();
    return `restore its tables: ${result}`;
  }
}

function newRam(): PhysicalMemory {
  return new PhysicalMemory([{ base: GUEST.RAM, size: RAM_BYTES }]);
}

function made<T extends object>(value: T | number): T {
  return typeof value === 'number' ? fail(`a device, not errno ${value}`) : value;
}

/** The recording asks for what its own actions have not made, or for what the replayer does not know. */
export class NotReplayable extends Error {
  override readonly name = 'NotReplayable';
}

function fail(what: string): never {
  throw new NotReplayable(`expected ${what}, got none`);
}
