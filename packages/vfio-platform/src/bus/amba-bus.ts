/**
 * The AMBA bus: PrimeCells, which say in their registers what they are. Kernel: drivers/amba/bus.c.
 *
 * Around each driver it finds the device's interrupts and keeps the device awake. Not modelled: clocks (apb_pclk), reset lines.
 */
import { Bus, EAGAIN, type Driver, type Host, type Sleeps } from '@vsim/vfio-core';
import type { PlatformDevice } from './platform-device.ts';

export class AmbaBus extends Bus<PlatformDevice> {
  constructor(host: Host) {
    super(host, 'amba');
  }

  /** amba_match(): what cannot be identified is to be tried later, which `bind` takes for a match. */
  protected override matchOf(driver: Driver<PlatformDevice>, device: PlatformDevice): number {
    return device.identify() ? super.matchOf(driver, device) : -EAGAIN;
  }

  /** amba_probe() */
  protected override *probeWith(driver: Driver<PlatformDevice>, device: PlatformDevice): Sleeps<number> {
    device.keepLines();
    device.runtimePm.holdActive();
    const error = yield* driver.probe(device);
    if (error < 0) device.runtimePm.letGo();
    return error;
  }

  /** amba_remove() */
  protected override *removeFrom(driver: Driver<PlatformDevice>, device: PlatformDevice): Sleeps<void> {
    yield* driver.remove(device);
    device.runtimePm.letGo();
  }
}
