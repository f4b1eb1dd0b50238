/**
 * Devices whose resets are not what their capabilities say. Kernel: pci_dev_reset_methods[], quirk_no_flr(), quirk_no_pm_reset(),
 * quirk_no_bus_reset().
 */
import { PCI_CLASS_DISPLAY_VGA } from '../pci/registers.ts';
import { classOf } from './class-of.ts';
import type { IdentifiedFunction } from './intx-masking.ts';

const ids = (...list: readonly string[]): ReadonlySet<string> => new Set(list);

/** A reset of their own, whatever they announce: 82599 and hinic VFs, Ivy Bridge graphics. */
const OWN_RESET = ids('8086:10ed', '8086:0156', '8086:0166', '19e5:375e');
/** NVMe controllers that want care around their FLR. */
const OWN_FLR = ids('144d:a804', '8086:0953', '8086:0a54', '025e:f1ac');
/** FLR hangs: AMD Starship and Matisse, Intel 82579. */
const NO_FLR = ids('1022:1487', '1022:148c', '1022:149c', '1022:7901', '8086:1502', '8086:1503');
/** D3hot to D0 resets nothing: Mellanox Spectrum. */
const NO_PM = ids('15b3:cb84', '15b3:cf6c', '15b3:cf70', '15b3:cf80');
/** Does not come back from a bus reset. */
const NO_BUS = ids(
  ...['10de:22ce', '10de:22d0', '168c:0030', '168c:0032', '168c:003c', '168c:0033', '168c:0034', '168c:003e'],
  ...['17cb:1103', '17cb:1107', '17cb:0308', '177d:a100', '104c:b005', '1b21:1164'],
);
const ATI = 0x1002;
const NVIDIA = 0x10de;
const CHELSIO = 0x1425;

/** @param flr whether function level reset works */
export function hasOwnReset(device: IdentifiedFunction, flr: boolean): boolean {
  if (device.vendor === CHELSIO) return (device.deviceId & 0xf000) === 0x4000; // T4
  return OWN_RESET.has(device.idText) || (flr && OWN_FLR.has(device.idText));
}

export function breaksFlr(device: IdentifiedFunction): boolean {
  return NO_FLR.has(device.idText);
}

/** On a root bus, where there is no bus reset, a reset without effect is better than none. */
export function breaksPmReset(device: IdentifiedFunction, onRootBus: boolean): boolean {
  const listed = NO_PM.has(device.idText) || (device.vendor === ATI && classOf(device) >>> 8 === PCI_CLASS_DISPLAY_VGA);
  return listed && !onRootBus;
}

export function breaksBusReset(device: IdentifiedFunction): boolean {
  return NO_BUS.has(device.idText) || (device.vendor === NVIDIA && (device.deviceId & 0xffc0) === 0x2340);
}
