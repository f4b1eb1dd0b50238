import { eventKind, PAGE_SIZE, type EventKind, type Sleeps } from '@vsim/vfio-core';
import type { PlatformDevice } from '../bus/platform-device.ts';

/**
 * A reset function goes past the end of its region, whose size it does not look at. What is mapped are whole pages: up to their end the access goes to whatever
 * is there, behind it the kernel faults, and nothing is touched here. Kernel: ioremap().
 */
export const RESET_OVERRUN: EventKind<{ readonly device: string; readonly region: number; readonly offset: number; readonly mapped: boolean }> = eventKind(
  'vfio-platform/reset-overrun',
  'bug',
  ({ device, region, offset, mapped }) => `${device}: reset: access to region ${region} at 0x${offset.toString(16)}, past its end${mapped ? '' : ' and its last page'}`,
);
/** A reset function needs a region that the device has not: the kernel follows a bad pointer, here the reset is -ENOMEM. */
export const RESET_WITHOUT_REGION: EventKind<{ readonly device: string; readonly region: number }> = eventKind(
  'vfio-platform/reset-without-region',
  'bug',
  ({ device, region }) => `${device}: reset: there is no region ${region} of memory`,
);

/** The registers of a device's region, as a reset function reaches them. What a reset does past their end is RESET_OVERRUN. */
export class Registers {
  readonly #device: PlatformDevice;
  readonly #region: number;
  readonly #start: number;
  /** In bytes. */
  readonly size: number;
  /** Where its last page ends. */
  readonly #mapped: number;

  private constructor(device: PlatformDevice, region: number, start: number, size: number) {
    this.#device = device;
    this.#region = region;
    this.#start = start;
    this.size = size;
    this.#mapped = Math.ceil(size / PAGE_SIZE + (start % PAGE_SIZE) / PAGE_SIZE) * PAGE_SIZE - (start % PAGE_SIZE);
  }

  /**
   * ioremap() of a region.
   *
   * @param index as VFIO counts regions, from 0
   * @returns undefined where the device has none of memory: RESET_WITHOUT_REGION
   */
  static of(device: PlatformDevice, index: number): Registers | undefined {
    const resource = device.resources.filter(({ kind }) => kind !== 'bus')[index];
    if (resource?.kind === 'mem') return new Registers(device, index, resource.start, resource.size);
    device.host.trace.emit(RESET_WITHOUT_REGION, { device: device.name, region: index });
    return undefined;
  }

  /** A word of 32 bits; all ones behind the region's last page. @param offset bytes */
  read(offset: number): number {
    return this.#reaches(offset) ? this.#device.host.memory.read32(this.#start + offset) : 0xffff_ffff;
  }

  /** Stores a word. @param offset bytes @param value 32 bits */
  write(offset: number, value: number): void {
    if (this.#reaches(offset)) this.#device.host.memory.write32(this.#start + offset, value);
  }

  #reaches(offset: number): boolean {
    if (offset + 4 <= this.size) return true;
    const mapped = offset + 4 <= this.#mapped;
    this.#device.host.trace.emit(RESET_OVERRUN, { device: this.#device.name, region: this.#region, offset, mapped });
    return mapped;
  }

  /**
   * Clears some bits of a register, then sets others.
   *
   * @param offset bytes
   * @param clear 32 bits
   * @param set 32 bits
   */
  change(offset: number, clear: number, set: number): void {
    this.write(offset, ((this.read(offset) & ~clear) | set) >>> 0);
  }
}

/**
 * Looks until it is done.
 *
 * @param times how often at most, and once more at the end
 * @param interval ns between two looks
 * @returns whether it was done in time
 */
export function* poll(device: PlatformDevice, times: number, interval: number, done: () => boolean): Sleeps<boolean> {
  for (let i = 0; i < times; i += 1) {
    if (done()) return true;
    yield* device.host.scheduler.sleep(interval);
  }
  return done();
}
