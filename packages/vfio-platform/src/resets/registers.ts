/** The registers of a device's region, as a reset function reaches them. */
import type { Sleeps } from '@vsim/vfio-core';
import type { PlatformDevice } from '../bus/platform-device.ts';

export class Registers {
  readonly #device: PlatformDevice;
  readonly #start: number;
  /** In bytes. */
  readonly size: number;

  private constructor(device: PlatformDevice, start: number, size: number) {
    this.#device = device;
    this.#start = start;
    this.size = size;
  }

  /** ioremap() of the memory region `index`; undefined where the device has none. */
  static of(device: PlatformDevice, index: number): Registers | undefined {
    const resource = device.resources[index];
    return resource?.kind === 'mem' ? new Registers(device, resource.start, resource.size) : undefined;
  }

  read(offset: number): number {
    return this.#device.host.memory.read32(this.#start + offset);
  }

  write(offset: number, value: number): void {
    this.#device.host.memory.write32(this.#start + offset, value);
  }

  /** Clears some bits of a register, then sets others. */
  change(offset: number, clear: number, set: number): void {
    this.write(offset, ((this.read(offset) & ~clear) | set) >>> 0);
  }
}

/** Looks up to `times` times, `interval` ns apart. @returns whether it was done in time */
export function* poll(device: PlatformDevice, times: number, interval: number, done: () => boolean): Sleeps<boolean> {
  for (let i = 0; i < times; i += 1) {
    if (done()) return true;
    yield* device.host.scheduler.sleep(interval);
  }
  return done();
}
