import {
  EBADF,
  EINVAL,
  IRQ_ACTION_LACKS,
  IRQ_ALONE,
  IRQ_RANGE,
  PAGE_SIZE,
  deviceInfo,
  eventKind,
  get,
  inPieces,
  irqInfo,
  readIrqSet,
  regionInfo,
  set,
  VFIO_DEVICE_FLAGS_AMBA,
  VFIO_DEVICE_FLAGS_PLATFORM,
  VFIO_DEVICE_FLAGS_RESET,
  VFIO_DEVICE_GET_INFO,
  VFIO_DEVICE_GET_IRQ_INFO,
  VFIO_DEVICE_GET_REGION_INFO,
  VFIO_DEVICE_RESET,
  VFIO_DEVICE_SET_IRQS,
  VFIO_IRQ_INFO_AUTOMASKED,
  VFIO_IRQ_INFO_EVENTFD,
  VFIO_IRQ_INFO_MASKABLE,
  VFIO_IRQ_SET_ACTION_MASK,
  VFIO_IRQ_SET_ACTION_TRIGGER,
  VFIO_IRQ_SET_ACTION_UNMASK,
  VFIO_IRQ_SET_DATA_BOOL,
  VFIO_IRQ_SET_DATA_EVENTFD,
  VFIO_IRQ_SET_DATA_NONE,
  VFIO_REGION_INFO_FLAG_MMAP,
  VFIO_REGION_INFO_FLAG_READ,
  VFIO_REGION_INFO_FLAG_WRITE,
  VfioDevice,
  WOULD_SLEEP,
  type EventFdContext,
  type EventKind,
  type IrqAnswer,
  type IrqSet,
  type Mapping,
  type MmapRequest,
  type Process,
  type RegionAnswer,
  type Sleeps,
  type UserArgument,
  type Vfio,
} from '@vsim/vfio-core';
import { hexId, type PlatformDevice } from '../bus/platform-device.ts';
import { PlatformIrq } from './platform-irq.ts';
import { IRQ_NOT_GRANTED, MASK_TAKEN, NOT_AWAKE, NO_RESET, RESET_ERROR } from './vfio-platform-reasons.ts';

const SPAN = 2 ** 40;
/** The file offset 2^63 and beyond is no offset. */
const MAX_OFFSET = 2 ** 53;

/** An access went past its region: the kernel of this profile does not look. Nothing outside is touched here. */
export const REGION_OVERRUN: EventKind<{ readonly device: string; readonly region: number; readonly offset: number }> = eventKind(
  'vfio-platform/region-overrun',
  'bug',
  ({ device, region, offset }) => `${device}: access to region ${region} at 0x${offset.toString(16)}, past its end`,
);
/** A reset failed that was required: the kernel's WARN at the last close. */
export const RESET_FAILED: EventKind<{ readonly device: string; readonly error: number }> = eventKind(
  'vfio-platform/reset-failed',
  'warn',
  ({ device, error }) => `${device}: reset failed: ${error}`,
);

interface Region {
  readonly start: number;
  readonly size: number;
  readonly flags: number;
}

/** An open failed, and the driver can never be unloaded again: its error path puts another module's reference. */
export const MODULE_LEAKED: EventKind<{ readonly device: string }> = eventKind(
  'vfio-platform/module-leaked',
  'bug',
  ({ device }) => `${device}: a failed open keeps the module of its driver in use`,
);
/** SET_IRQS takes a mutex that the probe of 5.13 initialises only after it has registered the device. */
export const UNINITIALISED_MUTEX: EventKind<{ readonly device: string }> = eventKind(
  'vfio-platform/uninitialised-mutex',
  'bug',
  ({ device }) => `${device}: the mutex of its interrupts is not initialised`,
);
/** A loopback of an interrupt that has no trigger: the kernel follows a NULL pointer. */
export const NULL_TRIGGER: EventKind<{ readonly device: string; readonly index: number }> = eventKind(
  'vfio-platform/null-trigger',
  'bug',
  ({ device, index }) => `${device}: interrupt ${index}: NULL pointer dereference of its trigger`,
);

/** How a device is reset, as its probe found out: undefined is not at all. */
export type Reset = (() => Sleeps<number>) | undefined;

/**
 * A platform or AMBA device given to user space: regions and interrupts as they are at the first open. Kernel: vfio_platform_common.c.
 */
export class VfioPlatformDevice extends VfioDevice {
  /** The device of the platform or AMBA bus behind it. */
  override readonly device: PlatformDevice;
  readonly #reset: Reset;
  readonly #resetRequired: boolean;
  #regions: readonly Region[] = [];
  #irqs: readonly PlatformIrq[] = [];
  #flags: number;
  #hasMutex: boolean;

  /**
   * @param reset its reset function; undefined, it has none and VFIO_DEVICE_RESET is -EINVAL
   * @param resetRequired the first open fails where `reset` does
   */
  constructor(vfio: Vfio, device: PlatformDevice, reset: Reset, resetRequired: boolean) {
    super(vfio, device);
    this.device = device;
    this.#reset = reset;
    this.#resetRequired = resetRequired;
    this.#flags = device.isAmba ? VFIO_DEVICE_FLAGS_AMBA : VFIO_DEVICE_FLAGS_PLATFORM;
    this.#hasMutex = !device.host.profile.platformLateIgate;
  }

  /** 5.13 has one lock for all: the key is what all devices of a host share. */
  override get deviceSet(): object {
    return this.device.host.profile.platformGlobalLock ? this.vfio : this;
  }

  /** mutex_init() of the interrupts' mutex, where the probe does it. @internal */
  initMutex(): void {
    this.#hasMutex = true;
  }

  /**
   * vfio_platform_open_device(): takes regions and interrupts as they are now, wakes the device, resets it.
   *
   * @returns 0; -EACCES, -EINVAL or -EIO where it does not wake; what a required reset answers
   */
  protected override *openDevice(): Sleeps<number> {
    const error = yield* this.#firstOpen();
    const { module, host } = this.device;
    if (error < 0 && module !== undefined && host.profile.platformLeaksModule) {
      module.users += 1;
      host.trace.emit(MODULE_LEAKED, { device: this.name });
    }
    return error;
  }

  *#firstOpen(): Sleeps<number> {
    this.#regions = this.device.resources.filter(({ kind }) => kind !== 'bus').map(regionOf);
    this.#irqs = this.device.lines().map((line) => new PlatformIrq(this, line, this.#ownName));
    // The probe enables runtime PM only after it has registered the device: who is faster is refused.
    const { runtimePm } = this.device;
    const asleep = runtimePm.getSync();
    let error = asleep === 0 ? 0 : this.device.host.refusals.refuse(NOT_AWAKE, { device: this.name, status: runtimePm.status }, -asleep);
    if (error === 0) {
      error = yield* this.#callReset();
      if (error === 0 || !this.#resetRequired) return 0;
      this.#refuseReset(error);
    }
    runtimePm.put();
    return this.#closed(error);
  }

  /**
   * vfio_platform_close_device(): resets the device, lets it sleep, gives its interrupts back. A required reset that fails is RESET_FAILED.
   */
  protected override *closeDevice(): Sleeps<void> {
    const error = yield* this.#callReset();
    if (error < 0 && this.#resetRequired) this.device.host.trace.emit(RESET_FAILED, { device: this.name, error });
    this.device.runtimePm.put();
    this.#closed(0);
  }

  /**
   * GET_INFO, GET_REGION_INFO, GET_IRQ_INFO, SET_IRQS and RESET.
   *
   * @param request number of the ioctl
   * @returns 0 or more; WOULD_SLEEP for a reset; -EINVAL for an index or an action that the device has not, -ENOTTY for another request,
   * -EBUSY for a second mask eventfd or a line that is taken, -EFAULT
   */
  override ioctl(process: Process, request: number, argument: UserArgument): number {
    switch (request) {
      case VFIO_DEVICE_GET_INFO:
        if (this.#reset !== undefined) this.#flags |= VFIO_DEVICE_FLAGS_RESET;
        return deviceInfo(argument, this.#flags, this.#regions.length, this.#irqs.length);
      case VFIO_DEVICE_GET_REGION_INFO:
        return regionInfo(argument, (index) => this.#region(index));
      case VFIO_DEVICE_GET_IRQ_INFO:
        return irqInfo(argument, (index) => this.#irq(index));
      case VFIO_DEVICE_SET_IRQS: {
        if (!this.#hasMutex) this.device.host.trace.emit(UNINITIALISED_MUTEX, { device: this.name });
        const count = this.#irqs.length;
        const irqs = readIrqSet(argument, count, () => count);
        return typeof irqs === 'number' ? irqs : this.#setIrqs(process, argument, irqs);
      }
      case VFIO_DEVICE_RESET:
        return this.#reset === undefined ? argument.refuse(NO_RESET, { device: this.name }, EINVAL) : WOULD_SLEEP;
      default:
        return argument.unknown();
    }
  }

  /**
   * VFIO_DEVICE_RESET, whose function may wait for the device; any other request as ioctl().
   *
   * @param request number of the ioctl
   * @returns 0, or what the reset function answers
   */
  override *ioctlSleeps(process: Process, request: number, argument: UserArgument): Sleeps<number> {
    if (request !== VFIO_DEVICE_RESET) return this.ioctl(process, request, argument);
    const error = yield* this.#callReset();
    return error < 0 ? this.#refuseReset(error) : error;
  }

  /** False: vfio_platform_read() and _write() leave the file's position where it is. */
  override readonly movesPosition: boolean = false;

  /**
   * Reads a region by 4, 2 and 1 bytes, as they align.
   *
   * @param offset region index times 2^40, plus bytes from its start
   * @returns bytes read; -EINVAL where there is no region, or it cannot be read, or (from 6.14 on) `offset` is past its end
   */
  override read(into: Uint8Array, offset: number): number {
    return this.#access(into, offset, VFIO_REGION_INFO_FLAG_READ);
  }

  /**
   * Writes a region by 4, 2 and 1 bytes, as they align.
   *
   * @param offset region index times 2^40, plus bytes from its start
   * @returns bytes written; -EINVAL where there is no region, or it is read-only, or (from 6.14 on) `offset` is past its end
   */
  override write(from: Uint8Array, offset: number): number {
    return this.#access(from, offset, VFIO_REGION_INFO_FLAG_WRITE);
  }

  /**
   * Maps a part of a memory region, shared.
   *
   * @returns the mapping; -EINVAL where it is private, past the region's end, or of a region that is no whole pages or cannot be accessed
   * so
   */
  override mmap(process: Process, { offset, length, shared, read, write }: MmapRequest): Mapping | number {
    const index = Math.floor(offset / SPAN);
    const region = this.#regions[index];
    const refuse = (why?: string): number => this.refuseOffset(offset, length, EINVAL, why);
    if (region === undefined) return refuse();
    if (!shared) return refuse('the mapping is private');
    if ((region.flags & VFIO_REGION_INFO_FLAG_MMAP) === 0) return refuse('the region cannot be mapped');
    if ((read && (region.flags & VFIO_REGION_INFO_FLAG_READ) === 0) || (write && (region.flags & VFIO_REGION_INFO_FLAG_WRITE) === 0)) return refuse('the region cannot be accessed so');
    const at = offset - index * SPAN;
    if (region.size < PAGE_SIZE || at + length > region.size) return refuse('they leave the region');
    return process.mm.mapDevice(length, { physical: region.start + at, live: () => true }, read, write);
  }

  /** What the driver calls the device, which only /proc/interrupts shows. */
  get #ownName(): string {
    const { isAmba, name, peripheralId } = this.device;
    return isAmba ? `vfio-amba-${hexId(peripheralId)}` : name;
  }

  /** Everything that the open made is gone. @returns `result` */
  #closed(result: number): number {
    for (const irq of this.#irqs) irq.release();
    this.#irqs = [];
    this.#regions = [];
    return result;
  }

  *#callReset(): Sleeps<number> {
    return this.#reset === undefined ? 0 : yield* this.#reset();
  }

  #region(index: number): RegionAnswer | undefined {
    const region = this.#regions[index];
    return region === undefined ? undefined : { flags: region.flags, size: region.size, offset: index * SPAN };
  }

  #irq(index: number): IrqAnswer | undefined {
    const irq = this.#irqs[index];
    if (irq === undefined) return undefined;
    return { flags: VFIO_IRQ_INFO_EVENTFD | (irq.maskable ? VFIO_IRQ_INFO_MASKABLE | VFIO_IRQ_INFO_AUTOMASKED : 0), count: 1 };
  }

  #setIrqs(process: Process, argument: UserArgument, request: IrqSet): number {
    const irq = this.#irqs[request.index];
    if (irq === undefined) return argument.refuse(IRQ_RANGE, { index: request.index, start: request.start, count: request.count, irqs: 0 });
    if (irq.error < 0) return argument.refuse(IRQ_NOT_GRANTED, { device: this.name, index: request.index, line: irq.line.number, trigger: irq.line.trigger }, -irq.error);
    switch (request.action) {
      case VFIO_IRQ_SET_ACTION_TRIGGER:
        return this.#trigger(process, argument, irq, request);
      case VFIO_IRQ_SET_ACTION_MASK:
        return this.#maskAction(process, argument, irq, request, 'mask');
      case VFIO_IRQ_SET_ACTION_UNMASK:
        return this.#maskAction(process, argument, irq, request, 'unmask');
      default:
        return argument.refuse(IRQ_ACTION_LACKS, { device: this.name, index: request.index, action: request.action });
    }
  }

  #trigger(process: Process, argument: UserArgument, irq: PlatformIrq, { index, dataType, start, count, data }: IrqSet): number {
    if (count === 0 && dataType === VFIO_IRQ_SET_DATA_NONE) return irq.setTrigger(undefined);
    if (start !== 0 || count !== 1) return argument.refuse(IRQ_ALONE, { device: this.name, index, start, count });
    switch (dataType) {
      case VFIO_IRQ_SET_DATA_EVENTFD: {
        const eventfd = eventfdOf(process, data);
        const error = irq.setTrigger(typeof eventfd === 'number' ? undefined : eventfd);
        if (typeof eventfd === 'number') return eventfd;
        return error < 0 ? argument.refuse(IRQ_NOT_GRANTED, { device: this.name, index, line: irq.line.number, trigger: irq.line.trigger }, -error) : 0;
      }
      case VFIO_IRQ_SET_DATA_NONE:
        return this.#loopBack(irq);
      case VFIO_IRQ_SET_DATA_BOOL:
        return data[0] === 0 ? 0 : this.#loopBack(irq);
      default:
        return 0;
    }
  }

  /** Calls the handler as if the line had. @returns 0 */
  #loopBack(irq: PlatformIrq): number {
    const { profile, trace } = this.device.host;
    if (!irq.fire() && !profile.platformKeepsHandlers) trace.emit(NULL_TRIGGER, { device: this.name, index: this.#irqs.indexOf(irq) });
    return 0;
  }

  #maskAction(process: Process, argument: UserArgument, irq: PlatformIrq, { index, action, dataType, start, count, data }: IrqSet, which: 'mask' | 'unmask'): number {
    if (!irq.maskable) return argument.refuse(IRQ_ACTION_LACKS, { device: this.name, index, action }, EINVAL);
    if (start !== 0 || count !== 1) return argument.refuse(IRQ_ALONE, { device: this.name, index, start, count });
    if (dataType === VFIO_IRQ_SET_DATA_EVENTFD) {
      const eventfd = eventfdOf(process, data);
      if (typeof eventfd === 'number') return eventfd;
      return irq.setVirqfd(which, eventfd) < 0 ? argument.refuse(MASK_TAKEN, { device: this.name, index, action: which }) : 0;
    }
    if (dataType === VFIO_IRQ_SET_DATA_NONE || data[0] !== 0) {
      if (which === 'mask') irq.mask();
      else irq.unmask();
    }
    return 0;
  }

  /** Accesses of 4, 2 and 1 bytes, as they align. */
  #access(bytes: Uint8Array, offset: number, direction: number): number {
    const index = Math.floor(offset / SPAN);
    const region = offset < 0 || offset >= MAX_OFFSET ? undefined : this.#regions[index];
    if (region === undefined) return this.refuseOffset(offset, bytes.length);
    if ((region.flags & direction) === 0) return this.refuseOffset(offset, bytes.length, EINVAL, 'the region cannot be accessed so');
    const { memory, profile } = this.device.host;
    const start = offset - index * SPAN;
    if (profile.platformChecksBounds && start >= region.size) return this.refuseOffset(offset, bytes.length, EINVAL, 'it is past the end of the region');
    const length = profile.platformChecksBounds ? Math.min(bytes.length, region.size - start) : bytes.length;
    return inPieces(bytes.subarray(0, length), start, (piece, at) => {
      if (at + piece.length > region.size) this.#overrun(index, at, piece, direction);
      else if (direction === VFIO_REGION_INFO_FLAG_READ) load(memory, region.start + at, piece);
      else store(memory, region.start + at, piece);
      return 0;
    });
  }

  #refuseReset(error: number): number {
    return this.device.host.refusals.refuse(RESET_ERROR, { device: this.name, error }, -error);
  }

  #overrun(region: number, offset: number, piece: Uint8Array, direction: number): void {
    if (direction === VFIO_REGION_INFO_FLAG_READ) piece.fill(0xff);
    this.device.host.trace.emit(REGION_OVERRUN, { device: this.name, region, offset });
  }
}

/** The eventfd behind the fd in `data`; undefined for a negative one, which takes away. */
function eventfdOf(process: Process, data: Uint8Array): EventFdContext | undefined | number {
  const fd = get(data, [0, 's32']);
  if (fd < 0) return undefined;
  const eventfd = process.eventFdContext(fd);
  return typeof eventfd === 'number' && eventfd !== -EBADF ? -EINVAL : eventfd;
}

interface Registers {
  read8(address: number): number;
  read16(address: number): number;
  read32(address: number): number;
  write8(address: number, value: number): void;
  write16(address: number, value: number): void;
  write32(address: number, value: number): void;
}

function load(memory: Registers, address: number, piece: Uint8Array): void {
  if (piece.length === 4) set(piece, [0, 'u32'], memory.read32(address));
  else if (piece.length === 2) set(piece, [0, 'u16'], memory.read16(address));
  else piece[0] = memory.read8(address);
}

function store(memory: Registers, address: number, piece: Uint8Array): void {
  if (piece.length === 4) memory.write32(address, get(piece, [0, 'u32']));
  else if (piece.length === 2) memory.write16(address, get(piece, [0, 'u16']));
  else memory.write8(address, piece[0]!);
}

function regionOf({ kind, start, size, readOnly }: PlatformDevice['resources'][number]): Region {
  if (kind === 'io') return { start, size, flags: 0 };
  const mappable = start % PAGE_SIZE === 0 && size % PAGE_SIZE === 0;
  const flags = VFIO_REGION_INFO_FLAG_READ | (readOnly === true ? 0 : VFIO_REGION_INFO_FLAG_WRITE) | (mappable ? VFIO_REGION_INFO_FLAG_MMAP : 0);
  return { start, size, flags };
}
