import type { Host } from '@vsim/vfio-core';
import { buildConfig, type BarInit, type MsixInit } from '@vsim/vfio-pci';
import { NvmeController } from './controller.ts';
import { limitsOf, type NvmeInit } from './limits.ts';
import { NVME_REGISTER } from './registers.ts';

/** Mass storage, non-volatile memory, NVM Express. */
const CLASS = 0x01_0802;
const PAGE = 4096;

/**
 * An NVMe controller, 1d55:0011, with PCI Express, FLR, AER, MSI-X, MSI and INTA. BAR 0 has registers, doorbells, and, each on pages of its
 * own, the MSI-X table and the pending bits.
 *
 * @param address as `0000:00:04.0`
 * @throws RangeError for limits or namespaces that there cannot be
 *
 * @example
 * ```ts
 * import { Host } from '@vsim/vfio-core';
 * import { MemoryStore, createNvme } from '@vsim/devices';
 *
 * const disk = createNvme(new Host(), '0000:00:04.0', { namespaces: [{ store: new MemoryStore(2 ** 30) }] });
 * console.log(disk.name, disk.isReady); // 0000:00:04.0 false
 * ```
 */
export function createNvme(host: Host, address: string, init: NvmeInit = {}): NvmeController {
  const { ioQueues, vectors, doorbellStride } = limitsOf(init, address);
  const tableOffset = roundUp(NVME_REGISTER.DOORBELLS + 2 * (ioQueues + 1) * (4 << doorbellStride));
  const pbaOffset = tableOffset + roundUp(16 * vectors);
  const msix: MsixInit = { vectors, bar: 0, tableOffset, pbaOffset };
  const bars: readonly BarInit[] = [{ index: 0, kind: 'mem64', size: 2 ** Math.ceil(Math.log2(pbaOffset + PAGE)) }];
  const msi = 2 ** Math.floor(Math.log2(Math.min(vectors, 32)));
  const config = buildConfig({ vendor: 0x1d55, device: 0x0011, subsystemVendor: 0x1d55, subsystem: 0x0011, class: CLASS, revision: 1, interruptPin: 1, bars, msi, msix, express: true, flr: true, aer: true });
  return new NvmeController(host, { address, config, bars }, init);
}

function roundUp(bytes: number): number {
  return Math.ceil(bytes / PAGE) * PAGE;
}
