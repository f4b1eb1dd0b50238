import { describe, expect, it } from 'vitest';
import { idsOfName } from './device-names.ts';

const INTEL = 0x8086;

describe('idsOfName', () => {
  it('finds the id of a device whose name one id has', () => {
    const id = [{ vendor: INTEL, device: 0xa110 }];
    expect(idsOfName('Intel Corporation 100 Series/C230 Series Chipset Family PCI Express Root Port #1')).toEqual(id);
    expect(idsOfName('Intel Corporation 100 Series/C230 Series Chipset Family PCI Express Root Port #1 (rev f1) (prog-if 00 [Normal decode])')).toEqual(id);
    // As the list of 2026 has it.
    expect(idsOfName('Intel Corporation 100/C230 Series Chipset Family PCIe Root Port #1')).toEqual(id);
  });

  it('gives all ids of a name that several have, and of a vendor that has several', () => {
    expect(idsOfName('Intel Corporation 8 Series/C220 Series Chipset Family PCI Express Root Port #1')).toEqual([{ vendor: INTEL, device: 0x8c10 }, { vendor: INTEL, device: 0x8c11 }]);
    expect(idsOfName('Emulex Corporation LPe12000')).toEqual([{ vendor: 0x10df, device: undefined }, { vendor: 0x19a2, device: undefined }]);
  });

  it('knows the vendor of a device that no table has, and of no other vendor anything', () => {
    expect(idsOfName('Intel Corporation Wi-Fi 6 AX201')).toEqual([{ vendor: INTEL, device: undefined }]);
    expect(idsOfName('Advanced Micro Devices, Inc. [AMD] Starship/Matisse IOMMU')).toEqual([{ vendor: 0x1022, device: undefined }]);
    expect(idsOfName('NVIDIA Corporation GA102')).toEqual([]);
    expect(idsOfName('Intel')).toEqual([]);
    expect(idsOfName('')).toEqual([]);
    expect(idsOfName('Intel Corporationx Wi-Fi')).toEqual([]);
  });

  it('takes the longest name of a vendor', () => {
    expect(idsOfName('Qualcomm Atheros QCA9377')).toEqual([{ vendor: 0x168c, device: undefined }]);
    expect(idsOfName('Qualcomm Technologies, Inc QCNFA765')).toEqual([{ vendor: 0x17cb, device: undefined }]);
  });

  it('reads the number where lspci had no name', () => {
    expect(idsOfName('Intel Corporation Device 464d (rev 04)')).toEqual([{ vendor: INTEL, device: 0x464d }]);
    expect(idsOfName('Device 1b36:0013')).toEqual([{ vendor: 0x1b36, device: 0x0013 }]);
    expect(idsOfName('Intel Corporation')).toEqual([{ vendor: INTEL, device: undefined }]);
  });

  it('a long text costs no more than its beginning', () => {
    expect(idsOfName('Qualcomm '.repeat(100_000))).toEqual([{ vendor: 0x17cb, device: undefined }]);
  });
});
