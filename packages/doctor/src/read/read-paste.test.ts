import { describe, expect, it } from 'vitest';
import type { Paste } from './paste.ts';
import { readPaste } from './read-paste.ts';

/** Address, group and driver of each device. */
function told({ devices }: Paste): unknown[] {
  return devices.map(({ address, groups, driver }) => [address, groups.map(({ number }) => number).join(' then '), driver]);
}

const GPU = '01:00.0 VGA compatible controller [0300]: NVIDIA Corporation GP104 [GeForce GTX 1070] [10de:1b81] (rev a1) (prog-if 00 [VGA controller])';

describe('lspci', () => {
  it('gives names, numbers and ids of a heading', () => {
    expect(readPaste(GPU).devices[0]).toMatchObject({
      address: '0000:01:00.0',
      line: 1,
      className: 'VGA compatible controller',
      classCode: 0x0300,
      progIf: 0,
      revision: 0xa1,
      name: 'NVIDIA Corporation GP104 [GeForce GTX 1070]',
      vendor: 0x10de,
      device: 0x1b81,
      driver: undefined,
      config: undefined,
    });
  });

  it('says that a device has no driver only where others show theirs', () => {
    const lspci = '00:1f.0 ISA bridge: Intel Corporation LPC\n00:1f.3 Audio device: Intel Corporation HDA\n\tKernel driver in use: snd_hda_intel\n';
    expect(told(readPaste(lspci))).toEqual([['0000:00:1f.0', '', null], ['0000:00:1f.3', '', 'snd_hda_intel']]);
    expect(told(readPaste(`$ lspci | grep -A1 bridge\n${lspci}`))[0]).toEqual(['0000:00:1f.0', '', undefined]);
    expect(told(readPaste('$ lspci -k\n00:1f.0 ISA bridge: Intel Corporation LPC\n'))).toEqual([['0000:00:1f.0', '', null]]);
  });

  it('does not say so of a device that what nobody understood may belong to, or that the text breaks off in', () => {
    const port = '00:1c.0 PCI bridge: Intel\n\tKernel driver in use: pcieport\n';
    expect(told(readPaste(`${port}01:00.0 Ethernet controller: Intel\n\tSubsystem: Int`))[1]).toEqual(['0000:01:00.0', '', undefined]);
    expect(told(readPaste(`${port}01:00.0 Ethernet controller: Intel\n\tSubsystem: Intel\n`))[1]).toEqual(['0000:01:00.0', '', null]);
    expect(told(readPaste(`${port}01:00.0 Ethernet controller: Intel\nwhat is this\n02:00.0 Audio device: Intel\n`))[1]).toEqual(['0000:01:00.0', '', undefined]);
  });

  it('takes two outputs about one device together', () => {
    const rows = '00: 86 80 38 a3 07 04 10 00 f0 00 04 06 10 00 81 00\n10: 00 00 00 00 00 00 00 00 00 01 01 00 f0 00 00 00\n20: f0 ff 00 00 f1 ff 01 00 00 00 00 00 00 00 00 00\n30: 00 00 00 00 40 00 00 00 00 00 00 00 ff 01 12 00\n';
    const { devices, unread } = readPaste(`lspci -vvv -s 1c.0\n00:1c.0 PCI bridge: Intel\n\tKernel driver in use: pcieport\nlspci -xxx -s 1c.0\n00:1c.0 PCI bridge: Intel\n${rows}`);
    expect(devices).toHaveLength(1);
    expect([devices[0]!.driver, devices[0]!.config?.length, unread]).toEqual(['pcieport', 64, []]);
  });

  it('keeps the whole bytes before a row that cannot be used, and says which', () => {
    const { devices, unread } = readPaste('01:00.0 Ethernet controller [0200]: Intel 82574L [8086:10d3]\n00: 86 80 d3 10 07 00 10 00 02 00 00 02 00 00 00 00\n10: 00 00 40 fe\n');
    expect(devices[0]!.config).toBeUndefined();
    expect(unread).toEqual([{ line: 3, text: '10: 00 00 40 fe', why: '0000:01:00.0: expected 16 bytes, got 4' }]);
  });

  it('joins what a mailer wrapped, flush or indented', () => {
    const { devices } = readPaste(
      '00:01.0 PCI bridge [0604]: Intel Corporation Xeon E7 v3/Xeon E5 v3/Core i7 PCI \nExpress Root Port 1 [8086:2f02] (rev 02)\n         ACSCtl: SrcValid+ TransBlk- ReqRedir+ CmpltRedir+ \nUpstreamFwd+ EgressCtrl- DirectTrans-\n         Latency: 0\n',
    );
    expect(devices[0]!.name).toBe('Intel Corporation Xeon E7 v3/Xeon E5 v3/Core i7 PCI Express Root Port 1');
    expect(devices[0]!.decoded).toEqual(['ACSCtl: SrcValid+ TransBlk- ReqRedir+ CmpltRedir+ UpstreamFwd+ EgressCtrl- DirectTrans-', 'Latency: 0']);
  });
});

describe('groups', () => {
  it.each([
    ['a shell loop with headings', 'IOMMU Group 1:\n\t00:01.0 PCI bridge [0604]: Intel [8086:1901]\n\t01:00.0 VGA compatible controller [0300]: NVIDIA [10de:1b81]\n'],
    ['one line each', 'IOMMU group 1 00:01.0 PCI bridge [0604]: Intel [8086:1901]\nIOMMU group 1 01:00.0 VGA compatible controller [0300]: NVIDIA [10de:1b81]\n'],
    ['ls-iommu', 'Group 1:\t[8086:1901] [R] 00:01.0  PCI bridge     Device 1901\n        \t[10de:1b81]     01:00.0  VGA compatible controller   GP104 [GeForce]\n'],
    ['numbers in parentheses', 'IOMMU GROUP 1\n (1) 00:01.0 PCI bridge [0604]: Intel [8086:1901]\n (1) 01:00.0 VGA compatible controller [0300]: NVIDIA [10de:1b81]\n'],
    ['find', '/sys/kernel/iommu_groups/1/devices/0000:00:01.0\n/sys/kernel/iommu_groups/1/devices/0000:01:00.0\n'],
    ['ls -l', '/sys/kernel/iommu_groups/1/devices:\ntotal 0\nlrwxrwxrwx 1 root root 0 Nov 30 12:00 0000:00:01.0 -> ../../../../devices/pci0000:00/0000:00:01.0\nlrwxrwxrwx 1 root root 0 Nov 30 12:00 0000:01:00.0 -> ../../../../devices/pci0000:00/0000:00:01.0/0000:01:00.0\n'],
    ['the log', '[    0.427880] pci 0000:00:01.0: Adding to iommu group 1\n[    0.427906] pci 0000:01:00.0: Adding to iommu group 1\n'],
    ['the log before 5.4', 'iommu: Adding device 0000:00:01.0 to group 1\niommu: Adding device 0000:01:00.0 to group 1\n'],
    ['flags', '00:01.0 PCI bridge: Intel\n\tFlags: bus master, fast devsel, latency 0, IRQ 122, IOMMU group 1\n01:00.0 VGA compatible controller: NVIDIA\n\tFlags: IOMMU group 1\n'],
  ])('are read from %s', (_name, text) => {
    const paste = readPaste(text);
    expect(told(paste)).toEqual([['0000:00:01.0', '1', undefined], ['0000:01:00.0', '1', undefined]]);
    expect(paste.unread).toEqual([]);
  });

  it('that differ are all kept, and told', () => {
    const { devices, unread } = readPaste(`IOMMU Group 1:\n\t${GPU}\nAnd with 5.9:\nIOMMU Group 2:\n\t${GPU}\n`);
    expect(devices[0]!.groups).toEqual([{ number: 1, line: 2, form: 'groups' }, { number: 2, line: 5, form: 'groups' }]);
    expect(unread.map(({ line, why }) => [line, why])).toEqual([[3, undefined], [5, '0000:01:00.0 is in group 1 above, in 2 here']]);
  });

  it('end where lspci begins', () => {
    expect(told(readPaste(`IOMMU Group 1:\n\t${GPU}\n\n02:00.0 Ethernet controller: Intel\n`))).toEqual([['0000:01:00.0', '1', undefined], ['0000:02:00.0', '', undefined]]);
  });
});

describe('what people write between', () => {
  it('is named by line, and is no device', () => {
    const { devices, unread } = readPaste('Hello,\n01:00.0 is the one that I want\nsee group 5\n');
    expect(devices).toEqual([]);
    expect(unread.map(({ line }) => line)).toEqual([1, 2, 3]);
  });
});
