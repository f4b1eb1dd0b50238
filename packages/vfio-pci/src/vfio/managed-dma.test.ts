import { describe, expect, it } from 'vitest';
import { MANAGED_DMA_DRIVERS, leavesGroupViable } from './managed-dma.ts';

describe('leavesGroupViable', () => {
  it('no driver, and those of PCI that do no DMA for the host', () => {
    for (const driver of [undefined, 'vfio-pci', 'pci-stub', 'pcieport', 'mlx5_vfio_pci', 'hisi_acc_vfio_pci', 'nvgrace_gpu_vfio_pci']) expect(leavesGroupViable(driver, false)).toBe(true);
    for (const driver of ['nvme', 'vfio-platform', 'pciback', 'shpchp', 'toString', '']) expect(leavesGroupViable(driver, false)).toBe(false);
  });

  it('a driver of a bridge: before 5.19 any, from then on by what it says', () => {
    expect(leavesGroupViable('shpchp', true, { major: 5, minor: 18 })).toBe(true);
    expect(leavesGroupViable('shpchp', true, { major: 5, minor: 19 })).toBe(false);
    expect(leavesGroupViable('pcieport', true, { major: 5, minor: 19 })).toBe(true);
    expect(leavesGroupViable('nvme', false, { major: 5, minor: 18 })).toBe(false);
    expect(leavesGroupViable('pcieport', false, { major: 5, minor: 18 })).toBe(false);
  });

  it('none before the kernel that has it', () => {
    expect(leavesGroupViable('pds_vfio_pci', false, { major: 6, minor: 5 })).toBe(false);
    expect(leavesGroupViable('pds_vfio_pci', false, { major: 6, minor: 6 })).toBe(true);
    expect(leavesGroupViable('vfio-pci', false, { major: 5, minor: 4 })).toBe(true);
    expect(new Set(MANAGED_DMA_DRIVERS.map(({ name }) => name)).size).toBe(MANAGED_DMA_DRIVERS.length);
  });
});
