/** A device that a process of a simulated host has open, as a server serves it. */
import {
  EINVAL,
  ENOTTY,
  get,
  set,
  VFIO_DEVICE_FEATURE,
  VFIO_DEVICE_GET_INFO,
  VFIO_DEVICE_GET_IRQ_INFO,
  VFIO_DEVICE_GET_REGION_INFO,
  VFIO_DEVICE_RESET,
  vfio_device_info,
  vfio_region_info,
  type Process,
} from '@vsim/vfio-core';
import type { ClientMemory, ServedDevice } from '../server/served-device.ts';
import type { Descriptor } from '../wire/descriptor.ts';
import { ClientMappings } from './client-mappings.ts';
import { DeviceFeatures } from './device-features.ts';
import { finish, unlessBlocked } from './finish.ts';
import { IrqBridges } from './irq-bridges.ts';

const END = 1n << 64n;

/** The open files of a process behind a device, as openDevice() of vfio-core gives them. */
export interface DeviceFds {
  /** That of the device. */
  readonly device: number;
  /** That of the container that its group is in, which has type1. */
  readonly container: number;
}

/** A region in the device's fd. */
interface Region {
  /** In bytes. */
  readonly offset: number;
  /** In bytes. */
  readonly size: number;
}

/**
 * The device behind an fd: any that a process can open, whatever its bus. All that a client asks is a system call of the process, so that the driver, the
 * limits and the events are those of any user of the device.
 *
 * Nothing of it is mapped by clients: regions go by messages.
 *
 * @param process who has it open; its IRQs and memory take fds and addresses of the process
 * @param fds as openDevice() of vfio-core gives them, with the IOMMU type1
 */
export function servedDevice(process: Process, fds: DeviceFds): ServedDevice {
  return new ProcessDevice(process, fds);
}

class ProcessDevice implements ServedDevice {
  readonly #process: Process;
  readonly #device: number;
  readonly #mappings: ClientMappings;
  readonly #irqs: IrqBridges;
  readonly #features: DeviceFeatures;
  readonly #regions = new Map<number, Region>();

  constructor(process: Process, { device, container }: DeviceFds) {
    this.#process = process;
    this.#device = device;
    this.#mappings = new ClientMappings(process, container);
    this.#irqs = new IrqBridges(process, device);
    this.#features = new DeviceFeatures(process, device);
  }

  ioctl(request: number, argument: Uint8Array): number {
    switch (request) {
      case VFIO_DEVICE_GET_INFO:
      case VFIO_DEVICE_GET_REGION_INFO:
      case VFIO_DEVICE_GET_IRQ_INFO:
        return this.#call(request, argument);
      case VFIO_DEVICE_RESET:
        return this.#call(request, 0);
      case VFIO_DEVICE_FEATURE:
        return this.#features.ioctl(argument);
      default:
        return -ENOTTY;
    }
  }

  read(region: number, offset: number, into: Uint8Array): number {
    const at = this.#region(region);
    if (typeof at === 'number') return at;
    if (!(offset >= 0 && offset < at.size)) return -EINVAL;
    // What lies behind a region in the fd is another one.
    const part = into.subarray(0, Math.min(into.length, at.size - offset));
    return unlessBlocked(() => this.#process.tryPread(this.#device, part, at.offset + offset));
  }

  write(region: number, offset: number, from: Uint8Array): number {
    const at = this.#region(region);
    if (typeof at === 'number') return at;
    if (!(offset >= 0 && offset < at.size)) return -EINVAL;
    const part = from.subarray(0, Math.min(from.length, at.size - offset));
    return unlessBlocked(() => this.#process.tryPwrite(this.#device, part, at.offset + offset));
  }

  setIrqs(argument: Uint8Array, eventfds: readonly (Descriptor | undefined)[]): number {
    return this.#irqs.set(argument, eventfds);
  }

  mapDma(memory: ClientMemory): number {
    return this.#mappings.map(memory);
  }

  unmapDma(iova: bigint, size: bigint): number {
    return this.#mappings.unmap(iova, size);
  }

  regionMemory(): Descriptor | undefined {
    return undefined;
  }

  readState(into: Uint8Array): number {
    return this.#features.readState(into);
  }

  writeState(from: Uint8Array): number {
    return this.#features.writeState(from);
  }

  disconnect(): void {
    const info = new Uint8Array(vfio_device_info.num_irqs[0] + 4);
    set(info, vfio_device_info.argsz, info.length);
    const result = this.#call(VFIO_DEVICE_GET_INFO, info);
    this.#irqs.disable(result < 0 ? 0 : get(info, vfio_device_info.num_irqs));
    this.#mappings.unmap(0n, END);
  }

  #call(request: number, argument: Uint8Array | number): number {
    return finish(this.#process, 'ioctl', this.#process.sys.ioctl(this.#device, request, argument));
  }

  /** Where a region is; asked once, as they stay. */
  #region(index: number): Region | number {
    const known = this.#regions.get(index);
    if (known !== undefined) return known;
    const info = new Uint8Array(vfio_region_info.size);
    set(info, vfio_region_info.argsz, info.length);
    set(info, vfio_region_info.index, index);
    const result = this.#call(VFIO_DEVICE_GET_REGION_INFO, info);
    if (result < 0) return result;
    const region = { offset: Number(get(info, vfio_region_info.offset)), size: Number(get(info, vfio_region_info.region_size)) };
    this.#regions.set(index, region);
    return region;
  }
}
