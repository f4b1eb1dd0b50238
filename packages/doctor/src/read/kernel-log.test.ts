import { describe, expect, it } from 'vitest';
import { readPaste } from './read-paste.ts';

describe('a log', () => {
  it.each([
    '[    0.427880] ',
    '[  +0.000010] ',
    '[  +0,000010] ',
    '[    0.427880] [    T1] ',
    '[Tue Mar 24 06:42:54 2026] ',
    '[Di Mär 24 06:42:54 2026] ',
    '<6>[    1.000000] ',
    'kern  :info  : [    0.427880] ',
    'May 30 17:32:17 localhost kernel: [    2.574608] ',
    'Nov 30 12:00:00 host kernel: ',
    'Nov 30 12:00:00.123456 host kernel: ',
    '30. Nov 12:00:00 host kernel: ',
    '2026-11-30T12:00:00.123456+01:00 pve kernel: [    1.000000] ',
    '2026-11-30T12:00:00,123456+01:00 ',
    '[    0.500000] host kernel: ',
    'kern.log:Nov 30 12:00:00 host kernel: [ 1.000000] ',
    'kernel: ',
    '',
  ])('tells groups and messages behind "%s"', (stamp) => {
    const { devices, machine, unread } = readPaste(`${stamp}pci 0000:01:00.0: Adding to iommu group 1\n${stamp}vfio-pci 0000:01:00.0: BAR 0: can't reserve [mem 0x2800000000-0x2fffffffff 64bit pref]\n`);
    expect(devices.map(({ address, groups }) => [address, groups[0]?.number])).toEqual([['0000:01:00.0', 1]]);
    expect(machine.log).toEqual([{ line: 2, text: "vfio-pci 0000:01:00.0: BAR 0: can't reserve [mem 0x2800000000-0x2fffffffff 64bit pref]", address: '0000:01:00.0' }]);
    expect(unread).toEqual([]);
  });

  it.each([
    'DMAR: RMRR base: 0x0000009c0f1000 end: 0x0000009c107fff',
    'AMD-Vi: Interrupt remapping enabled',
    'pci 0000:00:02.0: DMAR: Disabling IOMMU for graphics on this chipset',
    'vfio-pci 0000:01:00.0: not ready 1023ms after FLR; waiting',
    'vfio-pci 0000:01:00.0: Unable to change power state from D3cold to D0, device inaccessible',
    'vfio-pci 0000:01:00.0: vfio_bar_restore: reset recovery - restoring BARs',
    'simple-framebuffer simple-framebuffer.0: framebuffer at 0xe0000000, 0x300000 bytes',
    'vmd 0000:00:0e.0: PCI host bridge to bus 10000:e0',
  ])('keeps "%s"', (text) => {
    expect(readPaste(`[    1.000000] ${text}\n`).machine.log.map((entry) => entry.text)).toEqual([text]);
  });

  it('passes over what does not concern passthrough, and what other programs say', () => {
    const text = '[    1.000000] usb 1-1: new high-speed USB device\n[    1.100000] EXT4-fs (sda1): mounted\nNov 30 12:00:00 host systemd[1]: Started iommu-nonsense.service\n';
    expect(readPaste(text)).toMatchObject({ devices: [], machine: { log: [] }, unread: [] });
  });

  it('tells what the kernel found: ids, classes, buses, the graphics of the boot', () => {
    const text = '[    0.4] pci 0000:00:01.0: [8086:1901] type 01 class 0x060400 PCIe Root Port\n[    0.4] pci 0000:00:01.0: PCI bridge to [bus 01]\n[    0.4] pci 0000:01:00.0: [10de:1b81] type 00 class 0x030000\n[    0.5] pci 0000:01:00.0: vgaarb: setting as boot VGA device\n';
    const [port, gpu] = readPaste(text).devices;
    expect(port).toMatchObject({ vendor: 0x8086, device: 0x1901, classCode: 0x604, secondaryBus: 1 });
    expect(gpu).toMatchObject({ vendor: 0x10de, classCode: 0x300, progIf: 0, bootVga: true });
  });

  it('has what QEMU says of groups and resets', () => {
    const text = 'kvm: -device vfio-pci,host=0000:01:00.0,id=hostpci0: vfio 0000:01:00.0: group 1 is not viable\nPlease ensure all devices within the iommu_group are bound to their vfio bus driver.\nqemu-system-x86_64: vfio: Cannot reset device 0000:00:1f.3, no available reset mechanism.\n';
    expect(readPaste(text)).toMatchObject({ devices: [], machine: { log: [{ line: 1, address: '0000:01:00.0' }, { line: 2 }, { line: 3, address: '0000:00:1f.3' }] }, unread: [] });
  });
});
