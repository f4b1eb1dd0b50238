/** Which BARs can be mapped into a process. */
import type { PciDevice } from '../bus/pci-device.ts';

const PAGE = 4096;

/**
 * vfio_pci_probe_mmaps(): memory BARs of a page or more; smaller ones if they have their page to themselves, so that a user gets nothing of
 * another device.
 *
 * @param index 0 to 5
 */
export function canMmap(device: PciDevice, index: number): boolean {
  const bar = device.function.bar(index);
  if (bar === undefined || bar.kind === 'io' || bar.address === 0 || device.nonMappableBars) return false;
  if (bar.size >= PAGE) return true;
  if (bar.address % PAGE !== 0) return false;
  const end = bar.address + PAGE;
  return !device.bus.devices.some((other) =>
    other.function.bars.some((another) => another !== bar && another.kind !== 'io' && another.address >= bar.address && another.address < end),
  );
}
