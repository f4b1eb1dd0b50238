import { describe, expect, it } from 'vitest';
import { readPaste } from './read-paste.ts';

describe('lspci for programs', () => {
  it('gives quoted fields with names, numbers, or both', () => {
    const text = `00:02.0 "VGA compatible controller [0300]" "Intel Corporation [8086]" "HD Graphics 530 [1912]" -r06 -p00 "ASUSTeK [1043]" "Device [8694]"
00:1f.0 "ISA bridge" "Intel Corporation" "LPC Controller" -r31 "" ""
01:00.0 "0108" "144d" "a808" -p02 "144d" "a801"
`;
    const [graphics, isa, nvme] = readPaste(text).devices;
    expect(graphics).toMatchObject({ className: 'VGA compatible controller', classCode: 0x300, revision: 6, progIf: 0, vendor: 0x8086, device: 0x1912, subsystemVendor: 0x1043, subsystem: 0x8694, name: 'Intel Corporation HD Graphics 530' });
    expect(isa).toMatchObject({ className: 'ISA bridge', classCode: undefined, vendor: undefined, name: 'Intel Corporation LPC Controller', revision: 0x31 });
    expect(nvme).toMatchObject({ className: undefined, classCode: 0x108, progIf: 2, vendor: 0x144d, device: 0xa808, subsystem: 0xa801, name: undefined });
  });

  it('gives records with drivers, modules and groups', () => {
    const text = 'Slot:\t01:00.0\nClass:\tVGA compatible controller [0300]\nVendor:\tNVIDIA Corporation [10de]\nDevice:\tGP104 [1b81]\nSVendor:\teVga.com. Corp. [3842]\nSDevice:\tDevice [6276]\nRev:\ta1\nProgIf:\t00\nDriver:\tnvidia\nModule:\tnvidiafb\nModule:\tnouveau\nNUMANode:\t0\nIOMMUGroup:\t1\n\nSlot:\t01:00.1\nClass:\tAudio device [0403]\nVendor:\tNVIDIA Corporation [10de]\nDevice:\tGP104 [10f0]\n';
    const { devices, unread } = readPaste(text);
    expect(unread).toEqual([]);
    expect(devices[0]).toMatchObject({ vendor: 0x10de, device: 0x1b81, subsystemVendor: 0x3842, subsystem: 0x6276, revision: 0xa1, driver: 'nvidia', modules: ['nvidiafb', 'nouveau'], groups: [{ number: 1, line: 13, form: 'lspci-machine' }] });
    expect(devices[1]).toMatchObject({ classCode: 0x403, driver: null, groups: [] });
  });

  it('does not say that a device has no driver where none was asked for', () => {
    expect(readPaste('$ lspci -vmm\nSlot:\t01:00.1\nClass:\tAudio device\n').devices[0]!.driver).toBeUndefined();
    expect(readPaste('$ lspci -vmmk\nSlot:\t01:00.1\nClass:\tAudio device\n').devices[0]!.driver).toBeNull();
  });

  it('reads records of the old -vm, whose slot is a device', () => {
    expect(readPaste('Device:\t01:00.0\nClass:\tVGA compatible controller\nVendor:\tNVIDIA Corporation\nDevice:\tGP104\n').devices[0]).toMatchObject({ address: '0000:01:00.0', name: 'NVIDIA Corporation GP104' });
  });
});
