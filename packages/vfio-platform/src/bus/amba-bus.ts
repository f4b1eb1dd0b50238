import { Bus, EAGAIN, type Driver, type Host, type Sleeps } from '@vsim/vfio-core';
import type { PlatformDevice } from './platform-device.ts';

/**
 * The AMBA bus: PrimeCells, which say in their registers what they are. Kernel: drivers/amba/bus.c.
 *
 * Around each driver it finds the device's interrupts and keeps the device awake. Not modelled: clocks (apb_pclk), reset lines.
 */
export class AmbaBus extends Bus<PlatformDevice> {
  constructor(host: Host) {
    super(host, 'amba');
  }

  /**
   * amba_match().
   *
   * @returns 1 or 0, as the driver matches; -EAGAIN for a device whose registers give no peripheral id: it is to be tried later, and `bind`
   * takes that for a match
   */
  protected override matchOf(driver: Driver<PlatformDevice>, device: PlatformDevice): number {
    return device.identify() ? super.matchOf(driver, device) : -EAGAIN;
  }

  /**
   * amba_probe(): finds the interrupts, holds the device awake, then calls the driver.
   *
   * @returns what the driver's probe answers; negative, the device may sleep again
   */
  protected override *probeWith(driver: Driver<PlatformDevice>, device: PlatformDevice): Sleeps<number> {
    device.keepLines();
    device.runtimePm.holdActive();
    const error = yield* driver.probe(device);
    if (error < 0) device.runtimePm.letGo();
    return error;
  }

  /** amba_remove(): the driver leaves, then the bus lets the device sleep. */
  protected override *removeFrom(driver: Driver<PlatformDevice>, device: PlatformDevice): Sleeps<void> {
    yield* driver.remove(device);
    device.runtimePm.letGo();
  }
}
