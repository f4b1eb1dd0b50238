import {
  BEFORE_SERIES,
  EFAULT,
  EINVAL,
  IRQ_ACTION_LACKS,
  IRQ_ALONE,
  ETIMEDOUT,
  PAGE_SIZE,
  deviceInfo,
  eventKind,
  get,
  hex,
  irqInfo,
  reachable,
  readIrqSet,
  regionInfo,
  VFIO_DEVICE_FLAGS_FSL_MC,
  VFIO_DEVICE_FLAGS_RESET,
  VFIO_DEVICE_GET_INFO,
  VFIO_DEVICE_GET_IRQ_INFO,
  VFIO_DEVICE_GET_REGION_INFO,
  VFIO_DEVICE_RESET,
  VFIO_DEVICE_SET_IRQS,
  VFIO_IRQ_INFO_EVENTFD,
  VFIO_IRQ_SET_ACTION_TRIGGER,
  VFIO_IRQ_SET_DATA_EVENTFD,
  VFIO_IRQ_SET_DATA_NONE,
  VFIO_REGION_INFO_FLAG_MMAP,
  VFIO_REGION_INFO_FLAG_READ,
  VFIO_REGION_INFO_FLAG_WRITE,
  VfioDevice,
  type EventFdContext,
  type EventKind,
  type IrqSet,
  type Mapping,
  type MmapRequest,
  type Process,
  type RegionAnswer,
  type Sleeps,
  type UserArgument,
  type Vfio,
} from '@vsim/vfio-core';
import { REGION_CACHEABLE, REGION_SHAREABLE, type FslMcDevice, type FslMcRegion } from '../bus/fslmc-device.ts';
import { CONTAINER_NOT_BOUND, MC_ERROR, NO_IRQS, OBJECT_NO_RESET } from '../bus/fslmc-reasons.ts';
import { IRQ_POOL_MAX, type FslMcIrq } from '../bus/irq-pool.ts';
import { loadCommand, submitCommand, waitForAnswer } from '../bus/mc-io.ts';
import { COMMAND_SIZE, mc_header } from '../mc/command.ts';

const SPAN = 2 ** 40;
/** What a read or write of a region is for. */
const ONLY_COMMANDS = `a region takes whole commands of ${COMMAND_SIZE} bytes, at its start`;
/** How long a write waits for the MC, in ns. */
const WRITE_TIMEOUT = 5_000_000_000;
/** Only a region that has both is mapped through the caches. */
const CACHED = REGION_CACHEABLE | REGION_SHAREABLE;

/** A reset by the MC failed at the last close: the kernel's WARN. */
export const RESET_FAILED: EventKind<{ readonly device: string; readonly error: number }> = eventKind(
  'vfio-fsl-mc/reset-failed',
  'warn',
  ({ device, error }) => `${device}: reset failed: ${error}`,
);
/** The kernel follows a pointer that is not set: interrupts that were never allocated, or a trigger that is not there. */
export const NULL_IRQ: EventKind<{ readonly device: string; readonly index: number; readonly what: 'table' | 'trigger' }> = eventKind(
  'vfio-fsl-mc/null-irq',
  'bug',
  ({ device, index, what }) => `${device}: interrupt ${index}: NULL pointer dereference of its ${what}`,
);

interface Region extends FslMcRegion {
  readonly access: number;
}

interface Vector extends FslMcIrq {
  trigger: EventFdContext | undefined;
  /** As interrupt listings show it. */
  name: string | undefined;
  /** Takes it out of /proc/interrupts. */
  unlist: (() => void) | undefined;
}

/** What a device that is public already may still lack, before patch 5 of the series. */
export type Missing = 'lock' | 'mutex';

/** An object of the Management Complex given to user space. Kernel: vfio_fsl_mc.c, vfio_fsl_mc_intr.c. */
export class VfioFslMcDevice extends VfioDevice {
  /** The object behind it, as the bus knows it. */
  override readonly device: FslMcDevice;
  /** Set by the driver while a probe before patch 5 runs. @internal */
  lacks: readonly Missing[] = [];
  #regions: readonly Region[] = [];
  #vectors: readonly Vector[] = [];

  /** @param vfio where its driver registers it @param device the object behind it */
  constructor(vfio: Vfio, device: FslMcDevice) {
    super(vfio, device);
    this.device = device;
  }

  /** Container and objects are opened and closed under one lock. Kernel: reflck, later the device set. */
  override get deviceSet(): object {
    return this.device.container;
  }

  /** The interrupts of the object that are allocated: hwirq, and the name while one is requested. */
  get interrupts(): readonly { readonly hwirq: number; readonly name: string | undefined }[] {
    return this.#vectors.map(({ hwirq, name }) => ({ hwirq, name }));
  }

  /** vfio_fsl_mc_open_device(): takes the regions as they are now. @returns 0 */
  protected override *openDevice(): Sleeps<number> {
    if (this.lacks.includes('lock')) this.#before('opened before the lock of its container: NULL dereference');
    this.#regions = this.device.regions.slice(0, this.device.descriptor.regionCount).map((region) => ({ ...region, access: accessOf(this.device, region) }));
    return 0;
  }

  /** vfio_fsl_mc_close_device(): resets the object or its container (RESET_FAILED where that fails), and gives the interrupts back. */
  protected override *closeDevice(): Sleeps<void> {
    if (this.device.container.dprc === undefined) this.#before('closed before its portal: a reset through a NULL pointer');
    this.#regions = [];
    const error = this.device.host.profile.fslmcResetsObjects ? this.#reset() : (this.device.container.dprc?.reset() ?? -EINVAL);
    if (error < 0) this.device.host.trace.emit(RESET_FAILED, { device: this.name, error });
    this.#freeVectors();
    this.device.container.dprc?.irqs?.cleanup();
  }

  /**
   * GET_INFO, GET_REGION_INFO, GET_IRQ_INFO, SET_IRQS and RESET.
   *
   * @param request number of the ioctl
   * @returns 0; -EINVAL for an index or an action that the object has not, or without MSI domain; -ENOSPC or -ENODEV where interrupts are
   * not to be had; -EBADF for an eventfd that is none; -ENOTTY for another request, or the reset of an object before 6.1; -EFAULT; what the
   * MC answers
   */
  override ioctl(process: Process, request: number, argument: UserArgument): number {
    switch (request) {
      case VFIO_DEVICE_GET_INFO: {
        // Objects are reset as well, since 6.1, and do not say so.
        const flags = VFIO_DEVICE_FLAGS_FSL_MC | (this.device.isDprc ? VFIO_DEVICE_FLAGS_RESET : 0);
        return deviceInfo(argument, flags, this.device.descriptor.regionCount, this.device.descriptor.irqCount);
      }
      case VFIO_DEVICE_GET_REGION_INFO:
        return regionInfo(argument, (index) => this.#region(index));
      case VFIO_DEVICE_GET_IRQ_INFO:
        return irqInfo(argument, (index) => (index < this.device.descriptor.irqCount ? { flags: VFIO_IRQ_INFO_EVENTFD, count: 1 } : undefined));
      case VFIO_DEVICE_SET_IRQS: {
        if (this.lacks.includes('mutex')) this.#before('SET_IRQS before its mutex is initialised');
        const count = this.device.descriptor.irqCount;
        const irqs = readIrqSet(argument, count, () => count);
        return typeof irqs === 'number' ? irqs : this.#setIrqs(process, argument, irqs);
      }
      case VFIO_DEVICE_RESET:
        return this.#canReset ? this.#resetAsked(argument) : argument.refuse(OBJECT_NO_RESET, { device: this.name });
      default:
        return argument.unknown();
    }
  }

  /**
   * The command or the answer that a portal holds: 64 bytes, at the start of a region.
   *
   * @param offset region index times 2^40
   * @returns 64; -EINVAL for any other place or length
   */
  override read(into: Uint8Array, offset: number): number {
    const region = this.#commandRegion(into, offset, VFIO_REGION_INFO_FLAG_READ);
    if (typeof region === 'number') return region;
    loadCommand(this.device.host.memory, region.start, into);
    return COMMAND_SIZE;
  }

  /**
   * Sends a command and waits for its answer, 5 s at most; how it went is in the status that a read shows.
   *
   * @param offset region index times 2^40
   * @returns 64; -EINVAL for any other place or length; -EFAULT; -ETIMEDOUT without an answer
   */
  override write(from: Uint8Array, offset: number): number {
    const region = this.#commandRegion(from, offset, VFIO_REGION_INFO_FLAG_WRITE);
    if (typeof region === 'number') return region;
    if (!reachable(from)) return -EFAULT;
    const { host } = this.device;
    const command = get(from, mc_header.cmd_id);
    submitCommand(host.memory, region.start, from);
    if (waitForAnswer(host, region.start, command, WRITE_TIMEOUT)) return COMMAND_SIZE;
    return host.refusals.refuse(MC_ERROR, { object: this.name, what: hex(command), error: -ETIMEDOUT }, ETIMEDOUT);
  }

  /**
   * Maps a region of an object, shared and in whole pages; a container's portal never. Cached where the region is both cacheable and
   * shareable.
   *
   * @returns the mapping, or -EINVAL
   */
  override mmap(process: Process, { offset, length, shared, read, write }: MmapRequest): Mapping | number {
    const index = Math.floor(offset / SPAN);
    const region = this.#regions[index];
    const refuse = (why?: string): number => this.refuseOffset(offset, length, EINVAL, why);
    if (region === undefined) return refuse();
    if (!shared) return refuse('the mapping is private');
    const wanted = VFIO_REGION_INFO_FLAG_MMAP | (read ? VFIO_REGION_INFO_FLAG_READ : 0) | (write ? VFIO_REGION_INFO_FLAG_WRITE : 0);
    const at = offset - index * SPAN;
    if ((region.access & wanted) !== wanted) return refuse('the region cannot be mapped');
    if (region.size < PAGE_SIZE || at + length > region.size) return refuse('they leave the region');
    const cacheable = (region.flags & CACHED) === CACHED;
    return process.mm.mapDevice(length, { physical: region.start + at, live: () => true, cacheable }, read, write);
  }

  #before(what: string): void {
    this.device.host.trace.emit(BEFORE_SERIES, { patch: 5, device: this.name, what });
  }

  get #canReset(): boolean {
    return this.device.isDprc || this.device.host.profile.fslmcResetsObjects;
  }

  #resetAsked(argument: UserArgument): number {
    const { dprc, name } = this.device.container;
    if (dprc === undefined) return argument.refuse(CONTAINER_NOT_BOUND, { device: this.name, container: name }, EINVAL);
    const error = this.#reset();
    return error < 0 ? argument.refuse(MC_ERROR, { object: this.name, what: 'reset', error }, -error) : error;
  }

  /** A container alone, not those below it; any other object through a handle of its own (6.1). */
  #reset(): number {
    const dprc = this.device.container.dprc;
    if (dprc === undefined) return -EINVAL;
    if (this.device.isDprc) return dprc.reset();
    const { type, id } = this.device.descriptor;
    const token = dprc.io.open(type, id);
    if (token < 0) return token;
    const error = dprc.io.reset(token);
    const closed = dprc.io.close(token);
    return error < 0 ? error : closed;
  }

  #region(index: number): RegionAnswer | undefined {
    const region = this.#regions[index];
    return region === undefined ? undefined : { flags: region.access, size: region.size, offset: index * SPAN };
  }

  #setIrqs(process: Process, argument: UserArgument, { index, action, dataType, start, count, data }: IrqSet): number {
    if ((action & VFIO_IRQ_SET_ACTION_TRIGGER) === 0) return argument.refuse(IRQ_ACTION_LACKS, { device: this.name, index, action }, EINVAL);
    if (count === 0 && dataType === VFIO_IRQ_SET_DATA_NONE) {
      const vector = this.#vectors[index];
      if (vector === undefined) this.#nullIrq(index, 'table');
      else this.#setTrigger(index, vector, undefined);
      return 0;
    }
    if (start !== 0 || count !== 1) return argument.refuse(IRQ_ALONE, { device: this.name, index, start, count });
    const error = this.#allocateVectors();
    const vector = this.#vectors[index];
    if (error < 0 || vector === undefined) {
      const pool = this.device.container.dprc?.irqs;
      return argument.refuse(NO_IRQS, { device: this.name, wanted: this.device.descriptor.irqCount, free: pool === undefined ? undefined : pool.size - pool.inUse }, error < 0 ? -error : EINVAL);
    }
    if (dataType === VFIO_IRQ_SET_DATA_EVENTFD) {
      const fd = get(data, [0, 's32']);
      this.#setTrigger(index, vector, undefined);
      if (fd < 0) return 0;
      const eventfd = process.eventFdContext(fd);
      if (typeof eventfd === 'number') return eventfd;
      this.#setTrigger(index, vector, eventfd);
      return 0;
    }
    if (dataType !== VFIO_IRQ_SET_DATA_NONE && data[0] === 0) return 0;
    if (vector.trigger === undefined && !this.device.host.profile.loopbackNeedsTrigger) this.#nullIrq(index, 'trigger');
    vector.trigger?.signal();
    return 0;
  }

  /** All interrupts of the object at once, out of its container's pool. @returns 0, -EINVAL without MSI domain, -ENOSPC */
  #allocateVectors(): number {
    if (this.#vectors.length > 0) return 0;
    const pool = this.device.container.dprc?.irqs;
    if (pool === undefined) return -EINVAL;
    const error = pool.populate(IRQ_POOL_MAX);
    if (error < 0) return error;
    const taken = pool.take(this.device.descriptor.irqCount);
    if (typeof taken === 'number') return taken;
    this.#vectors = taken.map((irq) => ({ ...irq, trigger: undefined, name: undefined, unlist: undefined }));
    return 0;
  }

  #freeVectors(): void {
    for (const [index, vector] of this.#vectors.entries()) this.#setTrigger(index, vector, undefined);
    this.device.container.dprc?.irqs?.give(this.#vectors);
    this.#vectors = [];
  }

  /** request_irq() tells the object its message. */
  #setTrigger(index: number, vector: Vector, trigger: EventFdContext | undefined): void {
    if (vector.trigger === undefined && trigger === undefined) return;
    vector.trigger = trigger;
    vector.name = trigger === undefined ? undefined : `vfio-irq[${vector.hwirq}](${this.name})`;
    vector.irq.setHandler(trigger === undefined ? undefined : this.handler('interrupt', () => { trigger.signal(); }));
    vector.unlist?.();
    vector.unlist = trigger === undefined ? undefined : this.#list(vector);
    // free_irq() writes a message of address 0, which the bus does not hand on: the object keeps the one that it has.
    if (trigger === undefined) return;
    const { irq } = vector;
    const dprc = this.device.container.dprc;
    dprc?.io.setIrq(dprc.handle, this.device.isDprc ? undefined : this.device.descriptor, index, irq);
  }

  #list({ hwirq, irq: { number } }: Vector): () => void {
    return this.device.host.interrupts.add({ irq: number, controller: 'ITS-fMSI', hardware: hwirq, level: false, name: `vfio-irq[${number}](${this.name})` });
  }

  #nullIrq(index: number, what: 'table' | 'trigger'): void {
    this.device.host.trace.emit(NULL_IRQ, { device: this.name, index, what });
  }

  #commandRegion(bytes: Uint8Array, offset: number, direction: number): Region | number {
    const index = Math.floor(offset / SPAN);
    const region = offset < 0 ? undefined : this.#regions[index];
    if (region === undefined || (region.access & direction) === 0) return this.refuseOffset(offset, bytes.length);
    return bytes.length === COMMAND_SIZE && offset === index * SPAN ? region : this.refuseOffset(offset, bytes.length, EINVAL, ONLY_COMMANDS);
  }
}

/** A container's portal is never mapped: its commands pass through the kernel. */
function accessOf(device: FslMcDevice, { start, size }: FslMcRegion): number {
  const pages = start % PAGE_SIZE === 0 && size % PAGE_SIZE === 0;
  return VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE | (!device.isDprc && pages ? VFIO_REGION_INFO_FLAG_MMAP : 0);
}
