/** A device that a process of a simulated host has open, as a server serves it. */
import {
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
import { finish, wouldBlock } from './finish.ts';
import { IrqBridges } from './irq-bridges.ts';

const END = 1n << 64n;

/** The open files of a process behind a device, as openDevice() of vfio-core gives them. */
export interface DeviceFds {
  /** That of the device. */
  readonly device: number;
  /** That of the container that its group is in, which has type1. */
  readonly container: number;
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
  /** Where regions begin in the device's fd, in bytes. */
  readonly #regions = new Map<number, number>();

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
    const start = this.#start(region);
    if (start < 0) return start;
    try {
      return this.#process.tryPread(this.#device, into, start + offset);
    } catch (error) {
      return wouldBlock(error);
    }
  }

  write(region: number, offset: number, from: Uint8Array): number {
    const start = this.#start(region);
    if (start < 0) return start;
    try {
      return this.#process.tryPwrite(this.#device, from, start + offset);
    } catch (error) {
      return wouldBlock(error);
    }
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

  /** Where a region begins, in bytes; asked once, as they stay. @returns a negative errno where there is no such region */
  #start(index: number): number {
    const known = this.#regions.get(index);
    if (known !== undefined) return known;
    const info = new Uint8Array(vfio_region_info.size);
    set(info, vfio_region_info.argsz, info.length);
    set(info, vfio_region_info.index, index);
    const result = this.#call(VFIO_DEVICE_GET_REGION_INFO, info);
    if (result < 0) return result;
    const start = Number(get(info, vfio_region_info.offset));
    this.#regions.set(index, start);
    return start;
  }
}
