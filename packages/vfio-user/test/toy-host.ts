/** A VFIO device that does all that a server can ask for, in a host of its own: registers that move bytes, interrupts, a log of DMA, migration, a slow reset. */
import type {
  EventFdContext} from '@vsim/vfio-core';
import {
  Bus,
  Device,
  deviceInfo,
  DmaLog,
  DmaPort,
  Driver,
  EBUSY,
  EINVAL,
  ENOTTY,
  Host,
  irqInfo,
  MIG_STATE,
  MigrationDriver,
  Process,
  readIrqSet,
  regionInfo,
  ResumeFile,
  SaveFile,
  Vfio,
  VFIO_DEVICE_GET_INFO,
  VFIO_DEVICE_GET_IRQ_INFO,
  VFIO_DEVICE_GET_REGION_INFO,
  VFIO_DEVICE_RESET,
  VFIO_DEVICE_SET_IRQS,
  VFIO_IRQ_SET_ACTION_TRIGGER,
  VFIO_IRQ_SET_ACTION_UNMASK,
  VFIO_IRQ_SET_DATA_BOOL,
  VFIO_IRQ_SET_DATA_EVENTFD,
  VfioDevice,
  Virqfd,
  VtdIommu,
  WOULD_SLEEP,
  type File,
  type Sleeps,
  type UserArgument,
} from '@vsim/vfio-core';

/** Bytes of region 0. Region 1, with 16 bytes, follows at once in the fd. */
export const REGISTERS = 64;
const SECOND = 16;
const IRQS = 3;
/** What a reset takes, in ns. */
const RESET_TIME = 50_000_000;

class ToyDevice extends Device {
  constructor(host: Host, name: string) {
    super(host, name, `/sys/devices/toy/${name}`);
  }
}

/** Registers: 0 source IOVA, 8 destination IOVA, 16 length; a write at 20 moves them, each byte plus 1, and triggers interrupt 1. */
export class Toy extends VfioDevice {
  readonly registers: Uint8Array = new Uint8Array(REGISTERS + SECOND);
  readonly triggers: (EventFdContext | undefined)[] = new Array<EventFdContext | undefined>(IRQS).fill(undefined);
  readonly unmaskers: (Virqfd | undefined)[] = new Array<Virqfd | undefined>(IRQS).fill(undefined);
  /** Interrupts that an eventfd has unmasked. */
  readonly unmasked: number[] = [];
  /** How long a reset sleeps, in ns. */
  resetTime: number = RESET_TIME;
  readonly log: DmaLog = new DmaLog();
  readonly dma: DmaPort;
  readonly #machine = new MigrationDriver(3, { arc: (_from, to) => this.#arc(to), stopCopyLength: () => REGISTERS });
  #resume: ResumeFile | undefined;

  constructor(vfio: Vfio, device: ToyDevice) {
    super(vfio, device);
    this.dma = new DmaPort(device.host, device.name, 8, () => device.iommuGroup);
    this.dma.written = (frame, offset, length) => { this.log.wroteFrames(frame, offset, length); };
  }

  override get migration(): MigrationDriver {
    return this.#machine;
  }

  override get dmaLogger(): DmaLog {
    return this.log;
  }

  *#arc(to: number): Sleeps<File | number> {
    if (to === MIG_STATE.STOP_COPY) return new SaveFile(this.registers.slice(0, REGISTERS));
    if (to === MIG_STATE.RESUMING) return (this.#resume = new ResumeFile(REGISTERS));
    if (this.#resume !== undefined) this.registers.set(this.#resume.bytes);
    this.#resume = undefined;
    return 0;
  }

  protected override *openDevice(): Sleeps<number> {
    return 0;
  }

  protected override *closeDevice(): Sleeps<void> {
    this.triggers.fill(undefined);
  }

  override read(into: Uint8Array, offset: number): number {
    if (offset + into.length > this.registers.length) return -EINVAL;
    into.set(this.registers.subarray(offset, offset + into.length));
    return into.length;
  }

  override write(from: Uint8Array, offset: number): number {
    if (offset + from.length > this.registers.length) return -EINVAL;
    this.registers.set(from, offset);
    if (offset === 20) this.#move();
    return from.length;
  }

  #move(): void {
    const view = new DataView(this.registers.buffer);
    const bytes = new Uint8Array(view.getUint32(16, true));
    if (!this.dma.read(Number(view.getBigUint64(0, true)), bytes)) return;
    this.dma.write(Number(view.getBigUint64(8, true)), bytes.map((byte) => byte + 1));
    this.triggers[1]?.signal();
  }

  override ioctl(process: Process, request: number, argument: UserArgument): number {
    switch (request) {
      case VFIO_DEVICE_GET_INFO:
        return deviceInfo(argument, 1, 2, 1);
      case VFIO_DEVICE_GET_REGION_INFO:
        return regionInfo(argument, (index) => [{ flags: 3, size: REGISTERS, offset: 0 }, { flags: 3, size: SECOND, offset: REGISTERS }][index]);
      case VFIO_DEVICE_GET_IRQ_INFO:
        return irqInfo(argument, (index) => [{ flags: 1, count: IRQS }][index]);
      case VFIO_DEVICE_SET_IRQS:
        return this.#setIrqs(process, argument);
      case VFIO_DEVICE_RESET:
        return WOULD_SLEEP;
      default:
        return -ENOTTY;
    }
  }

  override *ioctlSleeps(_process: Process, request: number): Sleeps<number> {
    if (request !== VFIO_DEVICE_RESET) return -ENOTTY;
    yield* this.device.host.scheduler.sleep(this.resetTime);
    this.registers.fill(0);
    return 0;
  }

  #setIrqs(process: Process, argument: UserArgument): number {
    const asked = readIrqSet(argument, 1, () => IRQS);
    if (typeof asked === 'number') return asked;
    const { action, count, data, dataType, start } = asked;
    if (count === 0) this.triggers.fill(undefined);
    for (let i = 0; i < count; i += 1) {
      const at = start + i;
      if (dataType === VFIO_IRQ_SET_DATA_EVENTFD) {
        const fd = new DataView(data.buffer, data.byteOffset + 4 * i).getInt32(0, true);
        const context = fd < 0 ? undefined : process.eventFdContext(fd);
        if (typeof context === 'number') return context;
        if (action === VFIO_IRQ_SET_ACTION_TRIGGER) this.triggers[at] = context;
        if (action === VFIO_IRQ_SET_ACTION_UNMASK) {
          // As the kernel has it: one that is there has to be taken away first.
          if (context !== undefined && this.unmaskers[at] !== undefined) return -EBUSY;
          this.unmaskers[at]?.disable();
          this.unmaskers[at] = context === undefined ? undefined : new Virqfd(this, context, () => { this.unmasked.push(at); }, () => { this.unmaskers[at] = undefined; });
        }
      } else if (action === VFIO_IRQ_SET_ACTION_TRIGGER && (dataType !== VFIO_IRQ_SET_DATA_BOOL || data[i] !== 0)) this.triggers[at]?.signal();
    }
    return 0;
  }
}

class ToyDriver extends Driver<ToyDevice> {
  override readonly name: string = 'vfio-toy';
  override readonly managesDma: boolean = true;
  readonly #vfio: Vfio;
  made: Toy | undefined;

  constructor(vfio: Vfio) {
    super();
    this.#vfio = vfio;
  }

  override match(): boolean {
    return true;
  }

  override *probe(device: ToyDevice): Sleeps<number> {
    this.made = new Toy(this.#vfio, device);
    return yield* this.made.register();
  }

  override *remove(): Sleeps<void> {
    yield* this.made!.unregister();
  }
}

/** A host with such a device, `toy`, in group 0, and a process of root. */
export function toyHost(): { readonly host: Host; readonly root: Process; readonly toy: Toy } {
  const host = new Host({ profile: 'linux-6.12' });
  const vfio = new Vfio(host);
  const driver = new ToyDriver(vfio);
  const bus = new Bus<ToyDevice>(host, 'toy');
  const device = new ToyDevice(host, 'toy');
  const iommu = new VtdIommu(host);
  bus.announce(device);
  iommu.addGroup([device]);
  host.scheduler.call('modprobe', bus.addDriver(driver));
  return { host, root: new Process(host, { name: 'server' }), toy: driver.made! };
}
