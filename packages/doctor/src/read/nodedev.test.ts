import { describe, expect, it } from 'vitest';
import { readPaste } from './read-paste.ts';

const XML = `<device>
  <name>pci_0000_01_00_0</name>
  <path>/sys/devices/pci0000:00/0000:00:01.0/0000:01:00.0</path>
  <parent>pci_0000_00_01_0</parent>
  <driver>
    <name>vfio-pci</name>
  </driver>
  <capability type='pci'>
    <class>0x030000</class>
    <domain>0</domain>
    <bus>1</bus>
    <slot>0</slot>
    <function>0</function>
    <product id='0x1b81'>GP104 [GeForce GTX 1070]</product>
    <vendor id='0x10de'>NVIDIA Corporation</vendor>
    <iommuGroup number='1'>
      <address domain='0x0000' bus='0x00' slot='0x01' function='0x0'/>
      <address domain='0x0000' bus='0x01' slot='0x00' function='0x0'/>
    </iommuGroup>
  </capability>
</device>
`;
const VF = `<device>
  <name>pci_0000_02_10_1</name>
  <parent>computer</parent>
  <capability type='pci'>
    <domain>0</domain> <bus>2</bus> <slot>16</slot> <function>1</function>
    <capability type='phys_function'>
      <address domain='0x0000' bus='0x02' slot='0x00' function='0x1'/>
    </capability>
  </capability>
</device>
`;

describe('virsh nodedev-dumpxml', () => {
  it('tells driver, class, ids, bridge, and the group of all its members', () => {
    const { devices, unread, parts } = readPaste(XML);
    expect(devices.map(({ address, groups }) => [address, groups[0]?.number])).toEqual([['0000:00:01.0', 1], ['0000:01:00.0', 1]]);
    expect(devices[1]).toMatchObject({ driver: 'vfio-pci', classCode: 0x300, progIf: 0, vendor: 0x10de, device: 0x1b81, parent: '0000:00:01.0', name: 'NVIDIA Corporation GP104 [GeForce GTX 1070]' });
    expect([unread, parts]).toEqual([[], [{ form: 'nodedev', line: 1, lastLine: 21, command: undefined }]]);
  });

  it('may be several, with none of a driver, on a root bus, of a virtual function', () => {
    const { devices } = readPaste(XML + VF);
    expect(devices.at(-1)).toMatchObject({ address: '0000:02:10.1', driver: null, parent: null, physfn: '0000:02:00.1' });
  });

  it('is read without its line ends, and escaped', () => {
    expect(readPaste(XML.replaceAll('\n', ' ')).devices).toHaveLength(2);
    expect(readPaste(XML.replaceAll('<', '&lt;').replaceAll('>', '&gt;')).devices).toHaveLength(2);
  });

  it('without its end is used as far as it goes, and told', () => {
    const { devices, unread } = readPaste(XML.slice(0, XML.indexOf('    <iommuGroup')));
    expect(devices.map(({ address, device }) => [address, device])).toEqual([['0000:01:00.0', 0x1b81]]);
    expect(unread).toEqual([{ line: 1, text: '<device>', why: 'its </device> is missing' }]);
  });
});

describe('virsh nodedev-list', () => {
  it('as a tree tells the bridges', () => {
    const { devices, unread } = readPaste('computer\n  |\n  +- net_lo_00_00\n  +- pci_0000_00_01_0\n  |   |\n  |   +- pci_0000_01_00_0\n  |   |   |\n  |   |   +- drm_card0\n  |   +- pci_0000_01_00_1\n  +- pci_0000_00_1f_0\n');
    expect(devices.map(({ address, parent }) => [address, parent])).toEqual([['0000:00:01.0', null], ['0000:00:1f.0', null], ['0000:01:00.0', '0000:00:01.0'], ['0000:01:00.1', '0000:00:01.0']]);
    expect(unread).toEqual([]);
  });

  it('as names tells devices alone', () => {
    expect(readPaste('pci_0000_00_01_0\npci_0000_01_00_0\n').devices.map(({ address, parent }) => [address, parent])).toEqual([['0000:00:01.0', undefined], ['0000:01:00.0', undefined]]);
  });
});
