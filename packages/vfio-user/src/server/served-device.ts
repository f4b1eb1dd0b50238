/** What a server serves. */
import type { Descriptor, SharedMemory } from '../wire/descriptor.ts';

/** A range of the client's memory that the device may reach. */
export interface ClientMemory {
  /** The first address that the device uses, in bytes: a multiple of 4096, of 64 bits. */
  readonly iova: bigint;
  /** In bytes: a multiple of 4096, above 0. */
  readonly size: number;
  /** The device may read it. */
  readonly read: boolean;
  /** The device may write it. */
  readonly write: boolean;
  /** The bytes: mapped from a descriptor, or moved by messages. */
  readonly memory: SharedMemory;
}

/**
 * A VFIO device as the protocol sees it: what its fd answers, in the bytes of linux/vfio.h. `servedDevice()` makes one of any device that a process of a
 * simulated host can open. Numbers below 0 are negative errnos.
 */
export interface ServedDevice {
  /**
   * A request of its fd: GET_INFO, GET_REGION_INFO, GET_IRQ_INFO, RESET, FEATURE.
   *
   * What the kernel's structs of FEATURE point to is in the argument, as the protocol has it: the ranges of DMA_LOGGING_START follow page_size, num_ranges
   * and reserved, the bitmap of DMA_LOGGING_REPORT follows iova, length and page_size. The stream's fd of MIG_DEVICE_STATE stays with the device.
   *
   * @param request VFIO_DEVICE_*
   * @param argument the struct, which is changed in place; its argsz is its length
   */
  ioctl(request: number, argument: Uint8Array): number;
  /**
   * Reads a region: the server has looked that `into` ends within it.
   *
   * @param region its index
   * @param offset in bytes, within the region
   * @param into the server's, until the call is done
   * @returns bytes read, which may be fewer, or a negative errno
   */
  read(region: number, offset: number, into: Uint8Array): number;
  /**
   * Writes a region: the server has looked that `from` ends within it.
   *
   * @param region its index
   * @param offset in bytes, within the region
   * @param from the server's, until the call is done
   * @returns bytes written, or a negative errno
   */
  write(region: number, offset: number, from: Uint8Array): number;
  /**
   * VFIO_DEVICE_SET_IRQS.
   *
   * @param argument vfio_irq_set, with a byte for each interrupt behind it for DATA_BOOL, and nothing for DATA_EVENTFD
   * @param eventfds for DATA_EVENTFD one for each interrupt; undefined takes one away. Those that are given are the device's from now on, also on an error
   */
  setIrqs(argument: Uint8Array, eventfds: readonly (Descriptor | undefined)[]): number;
  /** Gives the device a range of memory; what overlaps another is -EEXIST. On an error the memory stays the caller's. */
  mapDma(memory: ClientMemory): number;
  /** Takes away all ranges that lie inside [iova, iova + size), and ends their memory. @param iova in bytes @param size in bytes @returns bytes taken away */
  unmapDma(iova: bigint, size: bigint): number;
  /** The memory behind a region that may be mapped, as a descriptor of its own for each call; undefined: the region goes by messages alone. @param region its index */
  regionMemory(region: number): Descriptor | undefined;
  /** Bytes of the state that the device saves (VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE has made the stream). @returns bytes, 0 at the end, or a negative errno */
  readState(into: Uint8Array): number;
  /** Takes bytes of a state. @returns bytes taken, or a negative errno */
  writeState(from: Uint8Array): number;
  /** A client is gone: interrupts are off, its memory is no more the device's. What the device holds else stays, for the next client. */
  disconnect(): void;
}
