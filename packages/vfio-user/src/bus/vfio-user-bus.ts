/** Devices of vfio-user servers in a simulated host. The kernel has no such bus: its clients are VMMs. */
import { Bus, Device, DmaPort, Driver, EINVAL, EIO, type Host, type Sleeps, type Vfio } from '@vsim/vfio-core';
import { ClientSession, type DmaTarget } from '../client/client-session.ts';
import { RemoteDevice } from '../client/remote-device.ts';
import type { Capabilities } from '../negotiation/capabilities.ts';
import type { Channel } from '../wire/channel.ts';
import type { Descriptor } from '../wire/descriptor.ts';
import { RemoteIommu } from './remote-iommu.ts';
import { RemoteVfioDevice } from './remote-vfio-device.ts';

/** A server's device as the host has it. */
export class VfioUserDevice extends Device {
  /** The connection. */
  readonly session: ClientSession;
  /** As Channel.eventfd(). */
  readonly eventfd: (() => Descriptor) | undefined;

  /** Made by VfioUserBus.connect(). @param options what this side can, otherwise than by default */
  constructor(host: Host, name: string, channel: Channel, options?: Partial<Capabilities>) {
    super(host, name, `/sys/devices/vfio-user/${name}`);
    const port = new DmaPort(host, name, 0, () => this.iommuGroup);
    this.eventfd = channel.eventfd?.bind(channel);
    this.session = new ClientSession(channel, memoryOf(port, () => this.iommuGroup?.translation !== undefined), options);
  }
}

/** The host's memory as the server reaches it: through what is mapped for the device, as any DMA. Refusals are EINVAL; where nobody owns the group, as a port would go around its IOMMU. */
function memoryOf(port: DmaPort, owned: () => boolean): DmaTarget {
  return {
    read: (iova, into) => (owned() && port.readWide(low(iova), high(iova), into) ? 0 : -EINVAL),
    write: (iova, from) => (owned() && port.writeWide(low(iova), high(iova), from) ? 0 : -EINVAL),
  };
}

function low(iova: bigint): number {
  return Number(iova & 0xffff_ffffn);
}

function high(iova: bigint): number {
  return Number(iova >> 32n);
}

/** The driver of such devices, `vfio-user`: each is a VFIO device in a group of its own. */
export class VfioUserDriver extends Driver<VfioUserDevice> {
  /** As in /sys/bus/vfio-user/drivers. */
  override readonly name: string = 'vfio-user';
  /** All DMA of its devices is their user's. */
  override readonly managesDma: boolean = true;
  /** The host of its VFIO. */
  override readonly host: Host;
  readonly #vfio: Vfio;
  readonly #bound = new Map<VfioUserDevice, RemoteVfioDevice>();

  constructor(vfio: Vfio) {
    super();
    this.#vfio = vfio;
    this.host = vfio.host;
  }

  /** Always: the bus has no other devices. */
  override match(): boolean {
    return true;
  }

  /** Asks the server what its device has, and registers it. @returns 0 or a negative errno: what the server refuses, EIO without a connection */
  override *probe(device: VfioUserDevice): Sleeps<number> {
    const made = RemoteVfioDevice.create(this.#vfio, device);
    if (typeof made === 'number') return made;
    const error = yield* made.register();
    if (error < 0) made.free();
    else this.#bound.set(device, made);
    return error;
  }

  /** Waits for the device's user, and gives back what the server lent. */
  override *remove(device: VfioUserDevice): Sleeps<void> {
    const bound = this.#bound.get(device);
    if (bound === undefined) return;
    yield* bound.unregister();
    this.#bound.delete(device);
    bound.free();
  }
}

/**
 * The bus `vfio-user`: a connection to a server becomes a device that processes open by /dev/vfio/N. Its driver is there from the start.
 *
 * @example
 * ```ts
 * import { Host, Vfio } from '@vsim/vfio-core';
 * import { JoinedChannel, VfioUserBus } from '@vsim/vfio-user';
 *
 * const host = new Host();
 * const bus = new VfioUserBus(host, new Vfio(host));
 * const [client] = JoinedChannel.pair();
 * // No server is at the other end: -EIO.
 * console.log(host.scheduler.call('connect', bus.connect('disk', client))); // -5
 * ```
 */
export class VfioUserBus extends Bus<VfioUserDevice> {
  constructor(host: Host, vfio: Vfio) {
    super(host, 'vfio-user');
    host.scheduler.call('modprobe vfio-user', this.addDriver(new VfioUserDriver(vfio)));
  }

  /**
   * Agrees with the server at the other end, and offers its device to the driver. The device's group has an IOMMU of its own: what is mapped there is DMA_MAP.
   *
   * @param name unique on the bus
   * @param channel whose reading waits; the session that holds it is the device's
   * @param options what this side can, otherwise than by default
   * @returns the device; EIO where no server agrees
   */
  *connect(name: string, channel: Channel, options?: Partial<Capabilities>): Sleeps<VfioUserDevice | number> {
    const device = new VfioUserDevice(this.host, name, channel, options);
    if ('errno' in device.session.negotiate()) return -EIO;
    this.announce(device);
    new RemoteIommu(this.host, `vfio-user-${name}`, new RemoteDevice(device.session)).addGroup([device]);
    yield* this.probe(device);
    return device;
  }

  /** Takes a device away, which waits for its user, and ends its connection. */
  *disconnect(device: VfioUserDevice): Sleeps<void> {
    yield* this.remove(device);
    device.session.close();
  }
}
