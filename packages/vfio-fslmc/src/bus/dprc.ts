import { EBUSY, EINVAL, ENOMEM, ENOTSUPP, eventKind, Mutex, type Bus, type EventKind, type FaultPoint, type MsiController, type Sleeps } from '@vsim/vfio-core';
import { addCommandDevice } from './command-device.ts';
import type { FslMcDevice } from './fslmc-device.ts';
import { CONTAINER_SET_UP, MC_ERROR, NO_IRQS, NO_PORTAL } from './fslmc-reasons.ts';
import { IRQ_POOL_MAX, IrqPool, type IrqSpace } from './irq-pool.ts';
import { McIo, type ObjectDescriptor } from './mc-io.ts';
import { ALLOCATABLE, ResourcePool } from './resource-pool.ts';

/** An object that could not be read, or made: the scan goes on without it. */
export const OBJECT_SKIPPED: EventKind<{ readonly dprc: string; readonly what: string; readonly error: number }> = eventKind(
  'fsl-mc/object-skipped',
  'warn',
  ({ dprc, what, error }) => `${dprc}: ${what}: error ${error}`,
);
/** A container without MSI domain: the kernel's own driver does not take it. */
export const NO_MSI: EventKind<{ readonly dprc: string }> = eventKind('fsl-mc/no-msi', 'warn', ({ dprc }) => `${dprc}: no MSI domain: interrupts are unavailable`);

/** The objects of a container have more interrupts than the kernel keeps for them. */
export const TOO_MANY_IRQS: EventKind<{ readonly dprc: string; readonly irqs: number }> = eventKind(
  'fsl-mc/too-many-irqs',
  'warn',
  ({ dprc, irqs }) => `${dprc}: ${irqs} interrupts are needed, and ${IRQ_POOL_MAX} are there`,
);
/** A scan that fails when it has added what it found. */
export const SCAN: FaultPoint = { fault: 'fsl-mc/scan', error: ENOMEM };

/** The kernel has 4 MiB at once, and 52 bytes for each object that the MC counts. */
const MOST_OBJECTS = Math.floor(0x40_0000 / 52);
const ALL_CAUSES = 0xffff_ffff;
/** Older dpmcp are not lent. Kernel: DPMCP_MIN_VER_MAJOR. */
const DPMCP_MIN_MAJOR = 3;

/** A portal that fsl_mc_portal_allocate() has lent. */
interface LentPortal {
  readonly dpmcp: FslMcDevice;
  readonly token: number;
}

/** The bus as a container knows it: the portals that are used, and how its objects come and go. */
export interface ContainerBus extends Bus<FslMcDevice> {
  /** Who takes the messages; undefined where there is no MSI domain. */
  readonly msi: MsiController | undefined;
  /** Vectors by requester id. @internal */
  readonly irqSpace: IrqSpace;
  /** Takes a portal's range. @param address physical @param size in bytes @returns false if another has it */
  takePortal(address: number, size: number): boolean;
  /** Gives it back. @param address physical */
  putPortal(address: number): void;
  /** An object of a container appears. @returns 0 or a negative errno */
  addObject(dprc: Dprc, descriptor: ObjectDescriptor): Sleeps<number>;
  /** An object goes, with what is in it. */
  removeObject(device: FslMcDevice): Sleeps<void>;
}

/**
 * A container that a driver has set up: its portal, its handle, its interrupts, and the scan of what is in it. Kernel: dprc_setup(),
 * dprc_cleanup(), dprc_scan_container().
 *
 * What a driver's probe puts together and takes apart.
 */
export class Dprc {
  /** The container's device on the bus. */
  readonly device: FslMcDevice;
  /** Its command portal. */
  readonly io: McIo;
  /** The token of its open session, 16 bits. Kernel: mc_handle. */
  readonly handle: number;
  /** Major and minor of the commands of containers, as its MC tells: 6.0 at least. */
  readonly apiVersion: readonly [number, number];
  /** The interrupts that its objects share; undefined: there is no MSI domain. */
  readonly irqs: IrqPool | undefined;
  readonly #pools = new Map(ALLOCATABLE.map((type) => [type, new ResourcePool()]));
  readonly #portals = new Map<McIo, LentPortal>();
  readonly #removeNode: (() => void) | undefined;
  readonly #bus: ContainerBus;
  readonly #scanLock: Mutex;

  /** Made by setUpDprc(). @internal @param handle token of its open session, 16 bits */
  constructor(bus: ContainerBus, device: FslMcDevice, io: McIo, handle: number, apiVersion: readonly [number, number]) {
    this.#bus = bus;
    this.device = device;
    this.io = io;
    this.handle = handle;
    this.apiVersion = apiVersion;
    this.#scanLock = new Mutex(device.host.scheduler, `the scan lock of ${device.name}`);
    this.irqs = bus.msi === undefined ? undefined : new IrqPool(bus.msi, device, bus.irqSpace);
    // The root's commands are open to user space.
    this.#removeNode = device.parent === undefined ? addCommandDevice(this) : undefined;
  }

  /** The pool of an allocatable type: dpmcp, dpbp or dpcon; undefined for any other. */
  pool(type: string): ResourcePool | undefined {
    return this.#pools.get(type);
  }

  /** fsl_mc_object_allocate(). @returns -EINVAL for a type that is not allocatable, -ENXIO where none is left */
  allocate(type: string): FslMcDevice | number {
    return this.pool(type)?.allocate() ?? -EINVAL;
  }

  /**
   * fsl_mc_portal_allocate(): a portal of its own, on a dpmcp that is opened.
   *
   * @returns -ENXIO where no dpmcp is free, -EBUSY where its memory is taken, -ENOTSUPP for one before version 3, or what the MC answers
   */
  allocatePortal(): McIo | number {
    const { refusals } = this.device.host;
    const pool = this.pool('dpmcp');
    const noPortal = (error: number): number => refusals.refuse(NO_PORTAL, { dprc: this.device.name, lent: pool?.lent ?? 0, all: pool?.size ?? 0 }, -error);
    const dpmcp = this.allocate('dpmcp');
    if (typeof dpmcp === 'number') return noPortal(dpmcp);
    if (dpmcp.descriptor.version[0] < DPMCP_MIN_MAJOR) {
      this.pool('dpmcp')?.give(dpmcp);
      return noPortal(-ENOTSUPP);
    }
    const start = dpmcp.regions[0]?.start ?? 0;
    const io = new McIo(this.device.host, start);
    const taken = this.#bus.takePortal(start, dpmcp.regions[0]?.size ?? 0);
    const token = taken ? io.open('dpmcp', dpmcp.descriptor.id) : -EBUSY;
    if (token < 0) {
      if (taken) this.#bus.putPortal(start);
      this.pool('dpmcp')?.give(dpmcp);
      return taken ? refusals.refuse(MC_ERROR, { object: dpmcp.name, what: 'open', error: token }, -token) : noPortal(token);
    }
    this.#portals.set(io, { dpmcp, token });
    return io;
  }

  /** fsl_mc_portal_free(): closes the dpmcp and gives it back to its pool; a portal that was not lent is left alone. */
  freePortal(io: McIo): void {
    const lent = this.#portals.get(io);
    if (lent === undefined) return;
    this.#portals.delete(io);
    io.close(lent.token);
    this.#bus.putPortal(io.portal);
    this.pool('dpmcp')?.give(lent.dpmcp);
  }

  /** enable_dprc_irq(), disable_dprc_irq(). @returns 0 or a negative errno */
  listen(on: boolean): number {
    return listen(this.device, this.io, on);
  }

  /**
   * dprc_reset_container() of itself, without the containers below it where the API (6.5) knows the option.
   *
   * @returns 0, or what the MC answers
   */
  reset(): number {
    return this.io.resetContainer(this.handle, this.device.descriptor.id, this.#atLeast(5) ? 2 : 1);
  }

  /**
   * dprc_scan_container(): takes away the devices whose objects are gone, and adds what is new; one scan at a time.
   *
   * @param allocatesIrqs fills the pool of interrupts before objects get drivers, as the kernel's own driver has it
   * @returns 0; what the MC answers; -ENOMEM for more objects than the kernel has room for; -ENOSPC, -ENODEV or -EINVAL where interrupts
   * are not to be had
   */
  *scan({ allocatesIrqs = false }: { readonly allocatesIrqs?: boolean } = {}): Sleeps<number> {
    yield* this.#scanLock.lock();
    const error = yield* this.#scanObjects(allocatesIrqs);
    this.#scanLock.unlock();
    return error < 0 ? error : this.device.host.faults.at(SCAN);
  }

  /**
   * dprc_irq0_handler_thread(): asks what has happened when no scan runs, acknowledges it, also that nothing has, and scans for one of
   * `events`.
   *
   * @param events DPRC_IRQ_EVENT_* bits
   */
  *interrupted(events: number): Sleeps<void> {
    yield* this.#scanLock.lock();
    const status = this.io.irqStatus(this.handle, 0);
    const cleared = status < 0 ? status : this.io.clearIrqStatus(this.handle, 0, status);
    if (cleared === 0 && (status & events) !== 0) yield* this.#scanObjects(true);
    this.#scanLock.unlock();
  }

  /** dprc_scan_objects(): takes away what is gone, then adds what is new, allocatable types first. */
  *#scanObjects(allocatesIrqs: boolean): Sleeps<number> {
    const count = this.io.objectCount(this.handle);
    if (count < 0) return this.device.host.refusals.refuse(MC_ERROR, { object: this.device.name, what: 'the count of objects', error: count }, -count);
    if (count > MOST_OBJECTS) return this.device.host.refusals.refuse(MC_ERROR, { object: this.device.name, what: `a count of ${count} objects`, error: -ENOMEM }, ENOMEM);
    const found: ObjectDescriptor[] = [];
    for (let i = 0; i < count; i += 1) {
      const descriptor = this.io.object(this.handle, i);
      if (typeof descriptor === 'number') this.#skip(`object ${i}`, descriptor);
      else found.push(descriptor);
    }
    const irqs = found.reduce((sum, { irqCount }) => sum + irqCount, 0);
    if (this.irqs !== undefined && irqs > IRQ_POOL_MAX) this.device.host.trace.emit(TOO_MANY_IRQS, { dprc: this.device.name, irqs });
    const allocated = allocatesIrqs ? (this.irqs?.populate(IRQ_POOL_MAX) ?? 0) : 0;
    if (allocated < 0) return this.device.host.refusals.refuse(NO_IRQS, { device: this.device.name, wanted: IRQ_POOL_MAX, free: undefined }, -allocated);
    yield* this.#removeMissing(found);
    const first = found.filter(({ type }) => ALLOCATABLE.includes(type));
    for (const descriptor of [...first, ...found.filter(({ type }) => !ALLOCATABLE.includes(type))]) yield* this.#addOrUpdate(descriptor);
    return 0;
  }

  /** dprc_remove_devices() of all, in the order in which they were added. */
  *removeChildren(): Sleeps<void> {
    for (const child of [...this.device.children]) yield* this.#bus.removeObject(child);
  }

  /** dprc_cleanup(). */
  cleanUp(): void {
    this.#removeNode?.();
    this.irqs?.cleanup();
    this.io.close(this.handle);
    // The root's is the bus's.
    if (this.device.parent !== undefined) this.#bus.putPortal(this.io.portal);
    this.device.dprc = undefined;
  }

  *#removeMissing(found: readonly ObjectDescriptor[]): Sleeps<void> {
    for (const child of [...this.device.children]) {
      const { type, id } = child.descriptor;
      if (!found.some((object) => object.type === type && object.id === id)) yield* this.#bus.removeObject(child);
    }
  }

  *#addOrUpdate(descriptor: ObjectDescriptor): Sleeps<void> {
    const child = this.device.children.find(({ descriptor: { type, id } }) => type === descriptor.type && id === descriptor.id);
    if (child === undefined) {
      const error = yield* this.#bus.addObject(this, descriptor);
      if (error < 0) this.#skip(`${descriptor.type}.${descriptor.id}`, error);
      return;
    }
    const plugged = (descriptor.state & 2) !== 0;
    if (plugged === child.plugged) return;
    child.plugged = plugged;
    if (plugged) yield* this.#bus.probe(child);
    else yield* this.#bus.release(child);
  }

  #skip(what: string, error: number): void {
    this.device.host.trace.emit(OBJECT_SKIPPED, { dprc: this.device.name, what, error });
  }

  #atLeast(minor: number): boolean {
    const [major, is] = this.apiVersion;
    return major > 6 || (major === 6 && is >= minor);
  }
}

/** enable_dprc_irq(), disable_dprc_irq(): with the handle that the container has, also a closed one. @returns 0, or what the MC answers */
export function listen(device: FslMcDevice, io: McIo, on: boolean): number {
  const { handle } = device;
  const steps = on
    ? [() => io.setIrqMask(handle, 0, ALL_CAUSES), () => io.setIrqEnable(handle, 0, true)]
    : [() => io.setIrqEnable(handle, 0, false), () => io.setIrqMask(handle, 0, 0), () => io.clearIrqStatus(handle, 0, ALL_CAUSES)];
  for (const step of steps) {
    const error = step();
    if (error < 0) return device.host.refusals.refuse(MC_ERROR, { object: device.name, what: 'its interrupt', error }, -error);
  }
  device.listening = on;
  return 0;
}

/**
 * dprc_setup(): takes the portal, opens the container, asks for its version.
 *
 * @returns 0; -EINVAL for what is no container or is set up; -EBUSY where the portal is taken; -ENOTSUPP for an MC before version 6; what
 * the MC answers. Everything is undone then
 */
export function setUpDprc(bus: ContainerBus, device: FslMcDevice): number {
  const refuse = (why: string, errno = EINVAL): number => device.host.refusals.refuse(CONTAINER_SET_UP, { device: device.name, why }, errno);
  if (!device.isDprc || device.dprc !== undefined) return refuse(device.isDprc ? 'it is set up already' : 'it is no container');
  const [region] = device.regions;
  if (region === undefined) return refuse('it has no portal');
  const isRoot = device.parent === undefined;
  if (!isRoot && !bus.takePortal(region.start, region.size)) return refuse('its portal is taken', EBUSY);
  const io = new McIo(device.host, region.start);
  const opened = open(io, device);
  if (typeof opened === 'number') {
    if (!isRoot) bus.putPortal(region.start);
    return opened;
  }
  if (bus.msi === undefined) device.host.trace.emit(NO_MSI, { dprc: device.name });
  device.dprc = new Dprc(bus, device, io, opened.handle, opened.apiVersion);
  return 0;
}

function open(io: McIo, device: FslMcDevice): { readonly handle: number; readonly apiVersion: readonly [number, number] } | number {
  const { refusals } = device.host;
  const mcError = (what: string, error: number): number => refusals.refuse(MC_ERROR, { object: device.name, what, error }, -error);
  const handle = io.open('dprc', device.descriptor.id);
  if (handle < 0) return mcError('open', handle);
  device.handle = handle;
  const icid = io.icid(handle);
  const version = icid < 0 ? icid : io.apiVersion();
  if (typeof version !== 'number' && version[0] >= 6) return { handle, apiVersion: version };
  io.close(handle);
  if (typeof version === 'number') return mcError(icid < 0 ? 'the attributes' : 'the API version', version);
  return refusals.refuse(CONTAINER_SET_UP, { device: device.name, why: `its API version is ${version.join('.')}` }, ENOTSUPP);
}
