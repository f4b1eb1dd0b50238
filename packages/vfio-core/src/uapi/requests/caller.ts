/** What the requests of this folder stand on: who makes the calls, the memory that some answer into, and the shapes that several share. */
import { get, set } from '../struct.ts';
import { VFIO_DEVICE_FEATURE, vfio_device_feature, vfio_info_cap_header } from '../vfio.ts';

/** Makes ioctl calls: throws on an error, as Process does. `argument` is changed in place. */
export interface IoctlCaller {
  /**
   * One ioctl(2).
   *
   * @param fd an open file descriptor
   * @param request the request's number, VFIO_*
   * @param argument bytes of the struct, or the number itself where the request takes one
   * @returns the kernel's answer, 0 or more
   * @throws an error with the errno where the kernel refuses; a Process throws SyscallError
   */
  ioctl(fd: number, request: number, argument?: number | Uint8Array): number;
}

/** Memory of the caller that the kernel reads or fills, as Process.mmap() gives it. */
export interface UserBuffer {
  /** Its address in the caller. */
  readonly address: number;
  /** Loads bytes. @param offset in bytes from its start @param length in bytes */
  readBytes(offset: number, length: number): Uint8Array;
  /** Stores bytes. @param offset in bytes from its start */
  writeBytes(offset: number, bytes: Uint8Array): void;
  /** Gives it back. */
  unmap(): void;
}

/** A caller with memory: for requests whose argument points to some. */
export interface MemoryCaller extends IoctlCaller {
  /** Private memory that is zero. @param fd -1 @param length in bytes @throws as ioctl() does */
  mmap(fd: number, length: number): UserBuffer;
}

/** One link of a capability chain; `data` starts behind the header. */
export interface InfoCapability {
  /** The capability's id, of 16 bits, in the numbering of the request that gave it. */
  readonly id: number;
  /** The version of the capability's layout, of 16 bits. */
  readonly version: number;
  /** A copy of the bytes between this header and the next one, or the end of the answer. */
  readonly data: Uint8Array;
}

/** Runs `use` with memory of its own, which is given back whatever comes. @param length in bytes, above 0 @internal */
export function withBuffer<T>(sys: MemoryCaller, length: number, use: (buffer: UserBuffer) => T): T {
  const buffer = sys.mmap(-1, length);
  try {
    return use(buffer);
  } finally {
    buffer.unmap();
  }
}

/**
 * VFIO_DEVICE_FEATURE.
 *
 * @param device the device's fd
 * @param flags a VFIO_DEVICE_FEATURE_* with GET, SET or PROBE
 * @param data the feature's data, as the request gives it
 * @returns the data as the kernel left it
 */
export function feature(sys: IoctlCaller, device: number, flags: number, data: Uint8Array): Uint8Array {
  const request = new Uint8Array(vfio_device_feature.size + data.length);
  set(request, vfio_device_feature.argsz, request.length);
  set(request, vfio_device_feature.flags, flags);
  request.set(data, vfio_device_feature.size);
  sys.ioctl(device, VFIO_DEVICE_FEATURE, request);
  return request.subarray(vfio_device_feature.size);
}

/** A zeroed struct whose first field, argsz, is its size. @param size in bytes @internal */
export function sized(size: number): Uint8Array {
  const bytes = new Uint8Array(size);
  set(bytes, [0, 'u32'], size);
  return bytes;
}

/** The chain that starts at `offset`, 0 for none. A link that points backwards ends it. @internal */
export function capabilities(info: Uint8Array, offset: number): InfoCapability[] {
  const found: InfoCapability[] = [];
  for (let at = offset; at >= vfio_info_cap_header.size && at + vfio_info_cap_header.size <= info.length; ) {
    const header = info.subarray(at);
    const next = get(header, vfio_info_cap_header.next);
    const end = next > at ? next : info.length;
    found.push({
      id: get(header, vfio_info_cap_header.id),
      version: get(header, vfio_info_cap_header.version),
      data: info.slice(at + vfio_info_cap_header.size, end),
    });
    if (next <= at) break;
    at = next;
  }
  return found;
}

/** Bytes of a bitmap with one bit for each page, in whole words of 64 bits, as the kernel counts them. @param pageSize bytes of a page @internal */
export function bitmapBytes(size: number | bigint, pageSize: number): number {
  return 8 * Math.ceil(Math.ceil(Number(size) / pageSize) / 64);
}
