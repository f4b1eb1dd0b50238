import { ENOMEM, type Sleeps } from '@vsim/vfio-core';
import type { PlatformDevice } from '../bus/platform-device.ts';
import { Registers } from './registers.ts';

const CONTROL = 0x0;
const CONTROL_TX_RX = 0xc;
const DMA_CONTROL = 0xf18;
const DMA_CONTROL_ST_SR = 0x2002;
const DMA_INTR_ENA = 0xf1c;

/**
 * Reset of the Calxeda XGMAC: interrupts, DMA and MAC are turned off. Kernel: vfio_platform_calxedaxgmac.c.
 *
 * @returns 0 or -ENOMEM
 */
export function* resetCalxedaXgmac(device: PlatformDevice): Sleeps<number> {
  const mac = Registers.of(device, 0);
  if (mac === undefined) return -ENOMEM;
  mac.write(DMA_INTR_ENA, 0);
  mac.change(DMA_CONTROL, DMA_CONTROL_ST_SR, 0);
  mac.change(CONTROL, CONTROL_TX_RX, 0);
  return 0;
}
