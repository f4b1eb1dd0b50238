/** A VFIO device whose operations are messages to a server. */
import {
  deviceInfo,
  EINVAL,
  EIO,
  InfoCaps,
  irqInfo,
  type Mapping,
  type MigrationDriver,
  type MmapRequest,
  type Process,
  readIrqSet,
  regionInfo,
  type RegionAnswer,
  type Sleeps,
  type UserArgument,
  type Vfio,
  VFIO_DEVICE_FLAGS_PCI,
  VFIO_DEVICE_FLAGS_RESET,
  VFIO_DEVICE_GET_INFO,
  VFIO_DEVICE_GET_IRQ_INFO,
  VFIO_DEVICE_GET_REGION_INFO,
  VFIO_DEVICE_RESET,
  VFIO_DEVICE_SET_IRQS,
  vfio_info_cap_header,
  VFIO_PCI_ERR_IRQ_INDEX,
  VFIO_PCI_REQ_IRQ_INDEX,
  VFIO_REGION_INFO_FLAG_CAPS,
  VFIO_REGION_INFO_FLAG_MMAP,
  vfio_region_info,
  VfioDevice,
} from '@vsim/vfio-core';
import type { ClientSession } from '../client/client-session.ts';
import { RemoteDevice, type RemoteRegion } from '../client/remote-device.ts';
import type { DeviceInfoMessage, IrqInfoMessage } from '../wire/messages.ts';
import type { SharedMemory } from '../wire/descriptor.ts';
import { closeAll } from '../wire/descriptor.ts';
import { CONNECTION_LOST } from './events.ts';
import { connected } from './remote-iommu.ts';
import { RemoteIrqs } from './remote-irqs.ts';
import { remoteMigration } from './remote-migration.ts';
import type { VfioUserDevice } from './vfio-user-bus.ts';

/** Bytes of the fd for each region, as vfio-pci has them. */
const REGION_STEP = 2 ** 40;
/** More regions or kinds of interrupts than any device has: what a server may say and still be believed. */
const MOST_PARTS = 256;

/** What a server says of its device, which keeps it. */
interface Parts {
  readonly info: DeviceInfoMessage;
  readonly regions: readonly RemoteRegion[];
  readonly irqs: readonly IrqInfoMessage[];
}

/** Made by the driver's probe: asks the server for all that does not change. */
export class RemoteVfioDevice extends VfioDevice {
  readonly #session: ClientSession;
  readonly #remote: RemoteDevice;
  readonly #parts: Parts;
  readonly #irqs: RemoteIrqs;
  readonly #migration: MigrationDriver | undefined;
  /** Maps of regions' memory, by region, offset, length and right: they go when the device does, as a process may map beyond its last close. */
  readonly #maps = new Map<string, SharedMemory>();
  #lost = false;

  private constructor(vfio: Vfio, device: VfioUserDevice, remote: RemoteDevice, parts: Parts) {
    super(vfio, device);
    this.#session = device.session;
    this.#remote = remote;
    this.#parts = parts;
    this.#irqs = new RemoteIrqs(remote, () => this.#session.agreement?.peer.maxMsgFds ?? 1, device.eventfd);
    this.#migration = remoteMigration(remote);
  }

  /** @returns -EINVAL where the server tells what cannot be, -EIO without a connection, or what it refuses */
  static create(vfio: Vfio, device: VfioUserDevice): RemoteVfioDevice | number {
    const remote = new RemoteDevice(device.session);
    const parts = ask(remote);
    return typeof parts === 'number' ? connected(parts) : new RemoteVfioDevice(vfio, device, remote, parts);
  }

  override get migration(): MigrationDriver | undefined {
    return this.#migration;
  }

  protected override *openDevice(): Sleeps<number> {
    return this.#session.over === undefined ? 0 : -EIO;
  }

  protected override *closeDevice(): Sleeps<void> {
    this.#irqs.disable(this.#parts.irqs.length);
    this.#look();
  }

  override read(into: Uint8Array, offset: number): number {
    const at = this.#at(offset, into.length);
    return typeof at === 'number' ? at : this.#done(this.#remote.read(at.index, at.offset, at.part(into)));
  }

  override write(from: Uint8Array, offset: number): number {
    const at = this.#at(offset, from.length);
    return typeof at === 'number' ? at : this.#done(this.#remote.write(at.index, at.offset, at.part(from)));
  }

  override ioctl(process: Process, request: number, argument: UserArgument): number {
    const { info, irqs, regions } = this.#parts;
    switch (request) {
      case VFIO_DEVICE_GET_INFO:
        return deviceInfo(argument, info.flags, regions.length, irqs.length);
      case VFIO_DEVICE_GET_REGION_INFO:
        return regionInfo(argument, (index) => this.#region(index));
      case VFIO_DEVICE_GET_IRQ_INFO:
        return irqInfo(argument, (index) => irqs[index]);
      case VFIO_DEVICE_SET_IRQS: {
        const asked = readIrqSet(argument, irqs.length, (index) => irqs[index]?.count ?? 0);
        return typeof asked === 'number' ? asked : this.#done(this.#irqs.set(process, asked));
      }
      case VFIO_DEVICE_RESET:
        return (info.flags & VFIO_DEVICE_FLAGS_RESET) === 0 ? argument.unknown() : this.#reset();
      default:
        return argument.unknown();
    }
  }

  override mmap(process: Process, { offset, length, shared, read, write }: MmapRequest): Mapping | number {
    const at = this.#at(offset, length);
    if (typeof at === 'number') return at;
    const memory = this.#parts.regions[at.index]?.memory;
    if (memory === undefined || !shared || length > at.room) return this.refuseOffset(offset, length);
    const key = `${at.index} ${at.offset} ${length} ${write}`;
    const mapped = this.#maps.get(key) ?? memory.map(Number((this.#parts.regions[at.index]?.offset ?? 0n) + at.offset), length, write);
    if (typeof mapped === 'number') return mapped;
    this.#maps.set(key, mapped);
    return process.mm.mapForeign(mapped, read, write);
  }

  /** Tells the user by the device's request interrupt, which is this side's: the server knows of no unbind. */
  override request(): void {
    if (this.#isPci) this.#irqs.signal(VFIO_PCI_REQ_IRQ_INDEX);
  }

  /** Gives back what the server lent; maps of its memory read ones from now on. */
  override free(): void {
    for (const memory of this.#maps.values()) memory.unmap();
    this.#maps.clear();
    closeAll(memoriesOf(this.#parts.regions));
    super.free();
  }

  get #isPci(): boolean {
    return (this.#parts.info.flags & VFIO_DEVICE_FLAGS_PCI) !== 0;
  }

  #reset(): number {
    const result = this.#done(this.#remote.reset());
    if (result === 0) this.#migration?.reset();
    return result;
  }

  /** The result as a process has it. The first that meets the end of the connection tells of it. */
  #done(code: number): number {
    this.#look();
    return connected(code);
  }

  #look(): void {
    const { over } = this.#session;
    if (over === undefined || this.#lost) return;
    this.#lost = true;
    this.device.host.trace.emit(CONNECTION_LOST, { device: this.name, why: over });
    if (this.#isPci) this.#irqs.signal(VFIO_PCI_ERR_IRQ_INDEX);
  }

  #region(index: number): RegionAnswer | undefined {
    const region = this.#parts.regions[index];
    if (region === undefined) return undefined;
    const { capabilities, length, memory } = region;
    const flags = region.flags & ~VFIO_REGION_INFO_FLAG_CAPS & (memory === undefined ? ~VFIO_REGION_INFO_FLAG_MMAP : -1);
    return { flags, size: Number(length), offset: index * REGION_STEP, caps: capabilities.length === 0 ? undefined : chain(capabilities) };
  }

  /** Where in which region an offset of the fd lies. */
  #at(offset: number, length: number): Place | number {
    const index = Math.floor(offset / REGION_STEP);
    const within = offset - index * REGION_STEP;
    const room = Number(this.#parts.regions[index]?.length ?? 0n) - within;
    if (room <= 0) return this.refuseOffset(offset, length);
    return { index, offset: BigInt(within), room, part: (bytes) => bytes.subarray(0, room) };
  }
}

interface Place {
  readonly index: number;
  /** In the region, in bytes. */
  readonly offset: bigint;
  /** Bytes from there to its end. */
  readonly room: number;
  part(bytes: Uint8Array): Uint8Array;
}

/** All that a device is asked for once. */
function ask(remote: RemoteDevice): Parts | number {
  const info = remote.info();
  if (typeof info === 'number') return info;
  if (info.regions > MOST_PARTS || info.irqs > MOST_PARTS) return -EINVAL;
  const regions: RemoteRegion[] = [];
  const irqs: IrqInfoMessage[] = [];
  let refused = 0;
  for (let index = 0; index < info.regions && refused === 0; index += 1) {
    const region = remote.region(index);
    // What a server does not know is no region; its index stays, as user space counts them.
    if (typeof region !== 'number') regions.push(region);
    else if (region === -EINVAL) regions.push(NO_REGION);
    else refused = region;
    if ((regions[index]?.length ?? 0n) > BigInt(REGION_STEP)) refused = -EINVAL;
  }
  for (let index = 0; index < info.irqs && refused === 0; index += 1) {
    const irq = remote.irq(index);
    if (typeof irq !== 'number') irqs.push(irq);
    else if (irq === -EINVAL) irqs.push({ name: 'DEVICE_GET_IRQ_INFO', argsz: 16, flags: 0, index, count: 0 });
    else refused = irq;
  }
  if (refused === 0) return { info, regions, irqs };
  closeAll(memoriesOf(regions));
  return refused;
}

const NO_REGION: RemoteRegion = { flags: 0, length: 0n, offset: 0n, capabilities: [], memory: undefined };

function memoriesOf(regions: readonly RemoteRegion[]) {
  return regions.flatMap(({ memory }) => (memory === undefined ? [] : [memory]));
}

function chain(capabilities: RemoteRegion['capabilities']): InfoCaps {
  const caps = new InfoCaps(vfio_region_info.size, 8);
  for (const { id, version, body } of capabilities) caps.add(id, version, vfio_info_cap_header.size + body.length).set(body, vfio_info_cap_header.size);
  return caps;
}
