import {
  Virqfd,
  get,
  lowHalf,
  highHalf,
  vfio_device_ioeventfd,
  type Process,
  type UserArgument,
  type VfioDevice,
} from '@vsim/vfio-core';
import type { PciDevice } from '../bus/pci-device.ts';
import type { PciFunction } from '../pci/pci-function.ts';
import { PCI_STD_NUM_BARS } from '../pci/registers.ts';
import { refuseNonMappable } from './bar-region.ts';
import type { MemoryLock } from './memory-lock.ts';
import { IOEVENTFD_LIMIT, IOEVENTFD_NONE, IOEVENTFD_REQUEST, IOEVENTFD_TWICE } from './vfio-pci-reasons.ts';

const MINIMUM = 28;
const SIZES = 0xf;
const LIMIT = 1000;
const REGION_SHIFT = 2n ** 40n;

export interface IoeventfdOwner extends VfioDevice {
  readonly device: PciDevice;
  readonly function: PciFunction;
  readonly memoryEnabled: boolean;
  readonly memoryLock: MemoryLock;
}

interface Registration {
  readonly bar: number;
  readonly offset: number;
  readonly data: bigint;
  readonly size: number;
  readonly virqfd: Virqfd;
}

/** VFIO_DEVICE_IOEVENTFD: an eventfd whose signal is a write to a BAR. */
export class Ioeventfds {
  readonly #owner: IoeventfdOwner;
  readonly #registered: Registration[] = [];

  constructor(owner: IoeventfdOwner) {
    this.#owner = owner;
  }

  ioctl(process: Process, argument: UserArgument): number {
    const bytes = argument.copyIn(MINIMUM);
    if (bytes === undefined) return argument.fault();
    const argsz = get(bytes, vfio_device_ioeventfd.argsz);
    if (argsz < MINIMUM) return argument.tooShort(argsz, MINIMUM);
    const flags = get(bytes, vfio_device_ioeventfd.flags);
    const fd = get(bytes, vfio_device_ioeventfd.fd);
    const wide = get(bytes, vfio_device_ioeventfd.offset);
    const bar = Number(wide / REGION_SHIFT);
    const offset = Number(wide % REGION_SHIFT);
    const found = this.#owner.function.bar(bar);
    const oneSize = (flags & ~SIZES) === 0 && flags !== 0 && (flags & (flags - 1)) === 0;
    // The flag bits are the sizes 1, 2, 4 and 8.
    const outside = bar >= PCI_STD_NUM_BARS || found === undefined || offset + flags > found.size;
    const { profile } = this.#owner.function.host;
    if (!oneSize || fd < -1 || outside || this.#inMsixTable(bar, offset, flags) || (flags === 8 && !profile.ioeventfd64)) {
      return argument.refuse(IOEVENTFD_REQUEST, { device: this.#owner.name, flags, region: bar, at: offset });
    }
    return this.#change(process, { bar, offset, size: flags, data: get(bytes, vfio_device_ioeventfd.data) }, fd);
  }

  /** The last close of the device. */
  clear(): void {
    for (const { virqfd } of this.#registered.splice(0)) virqfd.disable();
  }

  #change(process: Process, wanted: Omit<Registration, 'virqfd'>, fd: number): number {
    const { bar, offset, size, data } = wanted;
    const { device } = this.#owner;
    if (device.nonMappableBars) return refuseNonMappable(device, bar);
    const at = this.#registered.findIndex((r) => r.bar === bar && r.offset === offset && r.data === data && r.size === size);
    const found = this.#registered[at];
    if (found !== undefined) {
      if (fd >= 0) return process.host.refusals.refuse(IOEVENTFD_TWICE, { device: device.name, region: bar, at: offset });
      found.virqfd.disable();
      this.#registered.splice(at, 1);
      return 0;
    }
    if (fd < 0) return process.host.refusals.refuse(IOEVENTFD_NONE, { device: device.name, region: bar, at: offset });
    if (this.#registered.length >= LIMIT) return process.host.refusals.refuse(IOEVENTFD_LIMIT, { device: device.name, limit: LIMIT });
    const context = process.eventFdContext(fd);
    if (typeof context === 'number') return context;
    const fire = (): void => this.#fire(wanted);
    const gone = (): void => {
      // The eventfd is closed; the entry stays until it is taken away, as the kernel's does.
    };
    this.#registered.push({ ...wanted, virqfd: new Virqfd(this.#owner, context, fire, gone) });
    return 0;
  }

  /** The write; while a reset has the memory, a worker does it after that. */
  #fire(wanted: Omit<Registration, 'virqfd'>): void {
    const { function: fn, memoryLock } = this.#owner;
    const { bar, offset, size, data } = wanted;
    if (!memoryLock.tryNow(() => this.#fire(wanted))) return;
    if (fn.bar(bar)?.kind !== 'io' && !this.#owner.memoryEnabled) return;
    if (size === 8) fn.writeBar64(bar, offset, lowHalf(data), highHalf(data));
    else fn.writeBar(bar, offset, size, size === 4 ? lowHalf(data) : lowHalf(data) & (size === 1 ? 0xff : 0xffff));
  }

  #inMsixTable(bar: number, offset: number, size: number): boolean {
    const { msix } = this.#owner.function;
    return msix?.tableBar === bar && offset < msix.tableOffset + msix.tableBytes && offset + size > msix.tableOffset;
  }
}
