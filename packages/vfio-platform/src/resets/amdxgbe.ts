import { ENOMEM, eventKind, type EventKind, type Sleeps } from '@vsim/vfio-core';
import type { PlatformDevice } from '../bus/platform-device.ts';
import { poll, Registers } from './registers.ts';

/** A part of the chip is still in reset when the time is up. */
export const XGBE_TIMEOUT: EventKind<{ readonly device: string; readonly part: 'phy' | 'mac' }> = eventKind(
  'vfio-platform/xgbe-timeout',
  'warn',
  ({ device, part }) => `${device}: ${part} reset timed out`,
);

const MS = 1_000_000;
/** Selects a page of 256 MDIO registers. */
const PCS_SELECT = 0xff << 2;
const MMD_PCS = 3;
const MMD_AN = 7;
const MDIO_CTRL1 = 0;
const CTRL1_RESET = 0x8000;
const AN_CTRL1_ENABLE = 0x1000;
const AN_INTMASK = 0x8001;
const AN_INT = 0x8002;
const DMA_MR = 0x3000;
const DMA_MR_SWR = 1;

/**
 * Reset of AMD's XGBE: PHY, then auto-negotiation and its interrupt, then the MAC. A part that does not answer is told of, and no error.
 * Kernel: vfio_platform_amdxgbe.c. Registers of the PHY (MDIO, IEEE 802.3 clause 45) are reached through a window.
 *
 * @returns 0 or -ENOMEM
 */
export function* resetAmdXgbe(device: PlatformDevice): Sleeps<number> {
  const mac = Registers.of(device, 0);
  const pcs = mac === undefined ? undefined : Registers.of(device, 1);
  if (mac === undefined || pcs === undefined) return -ENOMEM;
  const readMdio = (mmd: number, register: number): number => pcs.read(select(pcs, mmd, register));
  const writeMdio = (mmd: number, register: number, value: number): void => { pcs.write(select(pcs, mmd, register), value); };

  writeMdio(MMD_PCS, MDIO_CTRL1, readMdio(MMD_PCS, MDIO_CTRL1) | CTRL1_RESET);
  const phyDone = yield* poll(device, 50, 20 * MS, () => (readMdio(MMD_PCS, MDIO_CTRL1) & CTRL1_RESET) === 0);
  if (!phyDone) device.host.trace.emit(XGBE_TIMEOUT, { device: device.name, part: 'phy' });

  writeMdio(MMD_AN, MDIO_CTRL1, readMdio(MMD_AN, MDIO_CTRL1) & ~AN_CTRL1_ENABLE);
  writeMdio(MMD_AN, AN_INTMASK, 0);
  writeMdio(MMD_AN, AN_INT, 0);

  mac.change(DMA_MR, 0, DMA_MR_SWR);
  const macDone = yield* poll(device, 2000, MS / 2, () => (mac.read(DMA_MR) & DMA_MR_SWR) === 0);
  if (!macDone) device.host.trace.emit(XGBE_TIMEOUT, { device: device.name, part: 'mac' });
  return 0;
}

/** Selects the page of an MDIO register. @returns the register's offset in the window */
function select(pcs: Registers, mmd: number, register: number): number {
  const address = (mmd << 16) | register;
  pcs.write(PCS_SELECT, address >>> 8);
  return (address & 0xff) << 2;
}
