import { ApicMsi, getDeviceFd, getDeviceInfo, Host, openDevice, Process, Vfio, VtdIommu } from '@vsim/vfio-core';
import { describe, expect, it } from 'vitest';
import { createEdu, NativeDriver, pciId, PciBus, VfioPciDriver } from '../src/index.ts';

const ONE = '0000:00:02.0';
const OTHER = '0000:00:03.0';
const FIRST_OF_PAIR = '0000:00:04.0';
const SECOND_OF_PAIR = '0000:00:04.1';

function machine({ iommu = true } = {}) {
  const host = new Host();
  const vfio = new Vfio(host);
  const bus = new PciBus(host, { msi: new ApicMsi(host), iommu: iommu ? new VtdIommu(host) : undefined });
  for (const address of [ONE, OTHER, FIRST_OF_PAIR, SECOND_OF_PAIR]) bus.plug(createEdu(host, address));
  host.scheduler.call('modprobe vfio-pci', bus.addDriver(new VfioPciDriver(vfio)));
  return { host, vfio, bus, root: new Process(host) };
}

describe('openDevice', () => {
  it('binds, opens container, group and device; close() gives all back', () => {
    const { root, bus } = machine();
    const { container, group, device, close } = openDevice(root, ONE, { driver: 'vfio-pci' });
    expect(bus.device(ONE)?.driverName).toBe('vfio-pci');
    expect(getDeviceInfo(root, device).numRegions).toBe(9);
    expect(root.fds).toEqual([container, group, device]);
    close();
    expect(root.fds).toEqual([]);
  });

  it('takes the device away from another driver, and leaves one alone that is bound already', () => {
    const { root, bus, host } = machine();
    host.scheduler.call('modprobe edu', bus.addDriver(new NativeDriver('edu', { ids: [pciId(0x1234, 0x11e8)] })));
    expect(bus.device(ONE)?.driverName).toBe('edu');
    openDevice(root, ONE, { driver: 'vfio-pci' }).close();
    openDevice(root, ONE, { driver: 'vfio-pci' }).close();
    expect([bus.device(ONE)?.driverName, bus.device(OTHER)?.driverName]).toEqual(['vfio-pci', 'edu']);
  });

  it('shares a container: it stays open with the device that has it', () => {
    const { root } = machine();
    const one = openDevice(root, ONE, { driver: 'vfio-pci' });
    const other = openDevice(root, OTHER, { driver: 'vfio-pci', container: one.container });
    expect(other.container).toBe(one.container);
    other.close();
    expect(root.fds).toEqual([one.container, one.group, one.device]);
  });

  it('opens a group without an IOMMU as one', () => {
    const { root, vfio } = machine({ iommu: false });
    vfio.noiommu = true;
    const { device } = openDevice(root, ONE, { driver: 'vfio-pci' });
    expect(getDeviceInfo(root, device).numRegions).toBe(9);
  });

  it('says which call was refused and why, and closes what it had opened', () => {
    const { root, bus } = machine();
    expect(() => openDevice(root, FIRST_OF_PAIR)).toThrow('open /dev/vfio/2: ENOENT');
    root.writeFile(`/sys/bus/pci/devices/${FIRST_OF_PAIR}/driver_override`, 'vfio-pci');
    expect(() => openDevice(root, '0000:00:1f.0')).toThrow('open 0000:00:1f.0: ENODEV');
    expect(() => openDevice(root, ONE, { driver: 'vfio-nothing' })).toThrow(/drivers\/vfio-nothing\/bind/);
    expect(root.fds).toEqual([]);
    expect(bus.device(ONE)?.driverName).toBeUndefined();
  });

  it('a second device of a group comes through the first one\'s', () => {
    const { root } = machine();
    for (const name of [FIRST_OF_PAIR, SECOND_OF_PAIR]) {
      root.writeFile(`/sys/bus/pci/devices/${name}/driver_override`, 'vfio-pci');
      root.writeFile('/sys/bus/pci/drivers_probe', name);
    }
    const first = openDevice(root, FIRST_OF_PAIR);
    expect(() => openDevice(root, SECOND_OF_PAIR)).toThrow('EBUSY');
    expect(root.fds).toEqual([first.container, first.group, first.device]);
    expect(getDeviceInfo(root, getDeviceFd(root, first.group, SECOND_OF_PAIR)).numRegions).toBe(9);
  });

  it('fails without a group: a machine without IOMMU, and no leave to do without', () => {
    const { root } = machine({ iommu: false });
    expect(() => openDevice(root, ONE, { driver: 'vfio-pci' })).toThrow(/bind: EINVAL/);
    expect(() => openDevice(root, ONE)).toThrow('iommu_group: ENOENT');
  });
});
