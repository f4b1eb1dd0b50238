/** SR-IOV under vfio-pci: the token table, capture, and who waits for whom when a PF goes. Recorded: apps/conformance, sriov. */
import {
  EACCES,
  EBUSY,
  EINVAL,
  ENOENT,
  ENODEV,
  ERANGE,
  REQUEST_INTERVAL,
  VFIO_PCI_REQ_IRQ_INDEX,
  VFIO_GROUP_GET_DEVICE_FD,
  VFIO_TYPE1v2_IOMMU,
  VFIO_SET_IOMMU,
  setContainer,
  setIrqTriggers,
} from '@vsim/vfio-core';
import { describe, expect, it } from 'vitest';
import { NativeDriver, PciFunction, buildConfig, pciId, virtualFunctionConfig, type BarInit, type PciFunctionInit } from '../src/index.ts';
import { CONFIG, bind, eduHost, read32, type EduHostInit } from './edu-host.ts';

const PF = '0000:00:05.0';
const VFS = ['0000:00:06.0', '0000:00:06.1', '0000:00:06.2', '0000:00:06.3'] as const;
const BARS: readonly BarInit[] = [{ index: 0, size: 0x1000 }];
const TOKEN = '2ab74924-c335-45f4-9b16-8569e5b08258';
const OTHER = '01020304-0506-0708-090a-0b0c0d0e0f10';

class Vf extends PciFunction {
  readonly #index: number;

  constructor(host: PciFunction['host'], init: PciFunctionInit, index: number) {
    super(host, init);
    this.#index = index;
  }

  protected override barRead(): number {
    return 0x100 + this.#index;
  }
}

function sriovHost(init: EduHostInit = {}) {
  const made = eduHost({ parameters: { enableSriov: true }, ...init });
  const config = buildConfig({ vendor: 0x1d55, device: 2, class: 0x02_0000, bars: BARS, express: true, flr: true, sriov: { totalVfs: 4, vfDevice: 3 } });
  const pf = new PciFunction(made.host, {
    address: PF,
    config,
    bars: BARS,
    virtualFunctions: { ...virtualFunctionConfig(config), bars: BARS, create: (host, vf, index) => new Vf(host, vf, index) },
  });
  const device = made.bus.plug(pf);
  const numVfs = (count: number | string): number => made.host.scheduler.call('numvfs', made.process.sys.writeFile(`${device.sysfs}/sriov_numvfs`, `${count}`));
  /** The fd, or the errno. */
  const get = (group: number, name: string): number =>
    made.host.scheduler.call('get', made.process.sys.ioctl(group, VFIO_GROUP_GET_DEVICE_FD, new TextEncoder().encode(`${name}\0`)));
  return { ...made, pf, device, numVfs, get };
}

/** A PF of vfio-pci with two VFs, and all groups in one container. */
function openHost(init: EduHostInit = {}) {
  const made = sriovHost(init);
  const { process, bus } = made;
  bind(process, PF);
  expect(made.numVfs(2)).toBe(1);
  const container = process.open('/dev/vfio/vfio');
  const groups = [PF, VFS[0], VFS[1]].map((name) => {
    const fd = process.open(`/dev/vfio/${bus.device(name)?.iommuGroup?.id ?? -1}`);
    setContainer(process, fd, container);
    return fd;
  });
  process.ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU);
  const [pfGroup, vf0Group, vf1Group] = groups;
  return { ...made, container, pfGroup: pfGroup!, vf0Group: vf0Group!, vf1Group: vf1Group! };
}

describe('sysfs', () => {
  it('makes and removes VFs, with their links, ids and slices', () => {
    const { process, bus, numVfs, pf, host } = sriovHost();
    bind(process, PF);
    expect(process.readFile(`/sys/bus/pci/devices/${PF}/sriov_totalvfs`)).toBe('4\n');
    expect(numVfs(2)).toBe(1);
    expect(process.readlink(`/sys/bus/pci/devices/${PF}/virtfn1`)).toBe(bus.device(VFS[1])?.sysfs);
    expect(process.readlink(`/sys/bus/pci/devices/${VFS[0]}/physfn`)).toBe(bus.device(PF)?.sysfs);
    expect(process.readFile(`/sys/bus/pci/devices/${VFS[0]}/vendor`)).toBe('0x1d55\n');
    expect(process.readFile(`/sys/bus/pci/devices/${VFS[0]}/device`)).toBe('0x0003\n');
    expect(pf.sriov?.control).toBe(0x09);
    const bar = (name: string): number => bus.device(name)?.function.bar(0)?.address ?? 0;
    expect(bar(VFS[1]) - bar(VFS[0])).toBe(0x1000);
    expect(host.memory.read32(bar(VFS[1]))).toBe(0x101);
    expect(numVfs(0)).toBe(1);
    expect(bus.device(VFS[0])).toBeUndefined();
    expect(pf.sriov?.control).toBe(0);
    expect(process.readFile(`/sys/bus/pci/devices/${PF}/sriov_numvfs`)).toBe('0\n');
  });

  it('answers the errno of each mistake, the PCI core before the driver', () => {
    const { process, numVfs, driver, device } = sriovHost({ parameters: {} });
    expect(numVfs(1)).toBe(-ENOENT); // no driver
    bind(process, PF);
    expect(numVfs(1)).toBe(-ENOENT); // enable_sriov is off
    expect(numVfs(0)).toBe(1); // what it is already
    process.writeFile('/sys/module/vfio_pci/parameters/enable_sriov', 'Y');
    expect(driver.parameters.enableSriov).toBe(true);
    expect([numVfs(5), numVfs('-1'), numVfs('x'), numVfs(70_000)]).toEqual([-ERANGE, -EINVAL, -EINVAL, -ERANGE]);
    expect([numVfs(2), numVfs(2), numVfs(3), device.virtualFunctions]).toEqual([1, 1, -EBUSY, 2]);
  });

  it('captures the VFs of its PF, also where drivers are not to be asked [vfio 3.2/4]', () => {
    const { process, bus, numVfs, host, events } = sriovHost();
    host.scheduler.call('modprobe', bus.addDriver(new NativeDriver('vfdriver', { ids: [pciId(0x1d55, 3)] })));
    bind(process, PF);
    process.writeFile(`/sys/bus/pci/devices/${PF}/sriov_drivers_autoprobe`, '0');
    expect(numVfs(1)).toBe(1);
    expect(bus.device(VFS[0])).toMatchObject({ driverOverride: 'vfio-pci', driverName: 'vfio-pci' });
    expect(events.filter(({ id }) => id === 'vfio-pci/vf-captured')).toHaveLength(1);
    process.writeFile(`/sys/bus/pci/drivers/vfio-pci/unbind`, VFS[0]);
    bind(process, VFS[0], 'vfdriver');
    expect(bus.device(VFS[0])?.driverName).toBe('vfdriver');
    expect(events.find(({ id }) => id === 'vfio-pci/vf-native-driver')).toMatchObject({ fields: { device: VFS[0], pf: PF, driver: 'vfdriver' } });
  });

  it('captures no VF of another PF, though its own has VFs as well', () => {
    const { process, bus, numVfs, host, events } = sriovHost();
    const other = '0000:00:08.0';
    const config = buildConfig({ vendor: 0x1d55, device: 4, class: 0x02_0000, bars: BARS, express: true, flr: true, sriov: { totalVfs: 1, vfDevice: 5 } });
    bus.plug(new PciFunction(host, { address: other, config, bars: BARS, virtualFunctions: { ...virtualFunctionConfig(config), bars: BARS } }));
    host.scheduler.call('modprobe', bus.addDriver(new NativeDriver('pfdriver', { ids: [pciId(0x1d55, 4)], sriov: 'taken-away' })));
    host.scheduler.call('modprobe', bus.addDriver(new NativeDriver('vfdriver', { ids: [pciId(0x1d55, 5)] })));
    bind(process, PF);
    expect([numVfs(1), process.writeFile(`/sys/bus/pci/devices/${other}/sriov_numvfs`, '1')]).toEqual([1, 1]);
    const vf = bus.devices.find(({ physicalFunction }) => physicalFunction === bus.device(other));
    expect(vf).toMatchObject({ driverOverride: undefined, driverName: 'vfdriver' });
    const told = events.filter(({ id }) => id === 'vfio-pci/vf-captured' || id === 'vfio-pci/vf-native-driver');
    expect(told.map(({ fields }) => fields)).toEqual([{ device: VFS[0], pf: PF, driver: 'vfio-pci' }]);
  });

  it('asks no driver for the VFs of a PF whose sriov_drivers_autoprobe is 0', () => {
    const { process, bus, numVfs, host } = sriovHost();
    host.scheduler.call('modprobe', bus.addDriver(new NativeDriver('pfdriver', { ids: [pciId(0x1d55, 2)], sriov: 'taken-away' })));
    host.scheduler.call('modprobe', bus.addDriver(new NativeDriver('vfdriver', { ids: [pciId(0x1d55, 3)] })));
    process.writeFile(`/sys/bus/pci/devices/${PF}/sriov_drivers_autoprobe`, '0');
    expect([numVfs(1), bus.device(VFS[0])?.driverName]).toEqual([1, undefined]);
    expect(numVfs(0)).toBe(1);
    process.writeFile(`/sys/bus/pci/devices/${PF}/sriov_drivers_autoprobe`, '1');
    expect([numVfs(1), bus.device(VFS[0])?.driverName]).toEqual([1, 'vfdriver']);
  });

  it('refuses a PF that has VFs, whose driver left them [vfio 3.2/3]', () => {
    const { process, bus, numVfs, host } = sriovHost();
    host.scheduler.call('modprobe', bus.addDriver(new NativeDriver('pfdriver', { ids: [pciId(0x1d55, 2)], sriov: 'left' })));
    expect(bus.device(PF)?.driverName).toBe('pfdriver');
    expect(numVfs(1)).toBe(1);
    process.writeFile('/sys/bus/pci/drivers/pfdriver/unbind', PF);
    process.writeFile(`/sys/bus/pci/devices/${PF}/driver_override`, 'vfio-pci');
    const error = host.scheduler.call('bind', process.sys.writeFile('/sys/bus/pci/drivers/vfio-pci/bind', PF));
    expect(error).toBe(-EBUSY);
    expect(bus.device(VFS[0])).toBeDefined();
  });
});

describe('VF tokens', () => {
  it('neither PF nor VF: none is needed, one given is a mistake [vfio 3.12/1]', () => {
    const made = sriovHost();
    bind(made.process, '0000:00:02.0');
    const container = made.process.open('/dev/vfio/vfio');
    const group = made.process.open('/dev/vfio/0');
    setContainer(made.process, group, container);
    made.process.ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU);
    expect(made.get(group, `0000:00:02.0 vf_token=${TOKEN}`)).toBe(-EINVAL);
    expect(made.get(group, '0000:00:02.0')).toBeGreaterThanOrEqual(0);
  });

  it('a VF whose PF has another driver: none is needed, one given is a mistake [vfio 3.12/2]', () => {
    const made = sriovHost();
    const { process, bus, host } = made;
    host.scheduler.call('modprobe', bus.addDriver(new NativeDriver('pfdriver', { ids: [pciId(0x1d55, 2)], sriov: 'taken-away' })));
    expect(made.numVfs(1)).toBe(1);
    bind(process, VFS[0]);
    const container = process.open('/dev/vfio/vfio');
    const group = process.open(`/dev/vfio/${bus.device(VFS[0])?.iommuGroup?.id ?? -1}`);
    setContainer(process, group, container);
    process.ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU);
    expect(made.get(group, `${VFS[0]} vf_token=${TOKEN}`)).toBe(-EINVAL);
    expect(made.get(group, VFS[0])).toBeGreaterThanOrEqual(0);
  });

  it('a VF of a PF of vfio-pci: the PF\'s token, or EACCES [vfio 3.12/3] [vfio P13/2]', () => {
    const { get, pfGroup, vf0Group, process, events } = openHost();
    expect(get(vf0Group, VFS[0])).toBe(-EACCES);
    process.close(get(pfGroup, `${PF} vf_token=${TOKEN}`));
    expect(get(vf0Group, VFS[0])).toBe(-EACCES);
    expect(get(vf0Group, `${VFS[0]} vf_token=${OTHER}`)).toBe(-EACCES);
    expect(events.filter(({ id }) => id === 'vfio-pci/vf-token-refused')).toHaveLength(3);
    const vf = get(vf0Group, `${VFS[0]} vf_token=${TOKEN.toUpperCase()}`);
    expect(vf).toBeGreaterThanOrEqual(0);
    expect(read32(process, vf, 0)).toBe(0x100);
  });

  it('a PF sets its token while no VF is open, and has to show it after that [vfio 3.12/4] [vfio 3.12/5]', () => {
    const { get, pfGroup, vf0Group, vf1Group, process } = openHost();
    for (const token of [OTHER, TOKEN]) process.close(get(pfGroup, `${PF} vf_token=${token}`));
    process.close(get(pfGroup, PF));
    const vf0 = get(vf0Group, `${VFS[0]} vf_token=${TOKEN}`);
    const vf1 = get(vf1Group, `${VFS[1]} vf_token=${TOKEN}`);
    expect([get(pfGroup, PF), get(pfGroup, `${PF} vf_token=${OTHER}`)]).toEqual([-EACCES, -EACCES]);
    process.close(get(pfGroup, `${PF} vf_token=${TOKEN}`));
    process.close(vf0);
    expect(get(pfGroup, PF)).toBe(-EACCES); // the other VF is open yet
    process.close(vf1);
    expect(get(pfGroup, `${PF} vf_token=${OTHER}`)).toBeGreaterThanOrEqual(0);
    expect(get(vf0Group, `${VFS[0]} vf_token=${TOKEN}`)).toBe(-EACCES);
  });

  it('an open VF reads its memory with COMMAND.MEM cleared: a VF has no such bit', () => {
    const { get, pfGroup, vf0Group, process } = openHost();
    process.close(get(pfGroup, `${PF} vf_token=${TOKEN}`));
    const vf = get(vf0Group, `${VFS[0]} vf_token=${TOKEN}`);
    const command = new Uint8Array(2);
    process.pread(vf, command, CONFIG + 4);
    expect(command[0]! & 2).toBe(2);
    process.pwrite(vf, Uint8Array.of(0, 0), CONFIG + 4);
    expect(read32(process, vf, 0)).toBe(0x100);
  });

  it('leaves the PF no busier than before, whatever the answer [vfio P13/3]', () => {
    const { get, vf0Group, process, bus, host } = openHost();
    for (const name of [VFS[0], `${VFS[0]} vf_token=${OTHER}`, `${VFS[0]} bad`]) expect(get(vf0Group, name)).toBeLessThan(0);
    host.scheduler.call('unbind', process.sys.writeFile('/sys/bus/pci/drivers/vfio-pci/unbind', PF));
    expect(bus.device(PF)?.driverName).toBeUndefined();
    expect(bus.device(VFS[0])).toBeUndefined();
    expect(get(vf0Group, VFS[0])).toBe(-ENODEV);
  });
});

describe('unbinding a PF', () => {
  it.each(['linux-5.13', 'linux-6.1'] as const)('%s: waits for the VF that is open, which alone hears of it [vfio P9/1] [vfio P9/3]', (profile) => {
    const { get, pfGroup, vf0Group, vf1Group, container, process, bus, host } = openHost({ profile });
    const pf = get(pfGroup, `${PF} vf_token=${TOKEN}`);
    const vf = get(vf0Group, `${VFS[0]} vf_token=${TOKEN}`);
    const heard = { pf: process.eventfd(), vf: process.eventfd() };
    setIrqTriggers(process, pf, VFIO_PCI_REQ_IRQ_INDEX, 0, [heard.pf]);
    setIrqTriggers(process, vf, VFIO_PCI_REQ_IRQ_INDEX, 0, [heard.vf]);
    const unbind = process.start('unbind', process.sys.writeFile('/sys/bus/pci/drivers/vfio-pci/unbind', PF));
    host.scheduler.advance(REQUEST_INTERVAL / 10);
    expect([process.readEventfd(heard.vf), process.readEventfd(heard.pf)]).toEqual([1n, 0n]);
    host.scheduler.advance(REQUEST_INTERVAL);
    expect([process.readEventfd(heard.vf), process.readEventfd(heard.pf)]).toEqual([1n, 0n]);
    expect(unbind.finished).toBe(false);
    expect(read32(process, vf, 0)).toBe(0x100);
    process.close(vf);
    for (const fd of [vf0Group, vf1Group]) process.close(fd);
    host.scheduler.advance(REQUEST_INTERVAL / 10);
    expect(bus.device(VFS[0])).toBeUndefined();
    expect([unbind.finished, process.readEventfd(heard.pf)]).toEqual([false, 1n]);
    for (const fd of [pf, pfGroup, container]) process.close(fd);
    host.scheduler.advance(REQUEST_INTERVAL);
    expect(unbind.finished).toBe(true);
    expect(bus.device(PF)).toMatchObject({ driverName: undefined, virtualFunctions: 0 });
  });

  it('keeps VFs over a reset of the PF, and keeps the PF awake', () => {
    const { get, pfGroup, process, pf, device } = openHost();
    expect(device.powerState).toBe('D0');
    const fd = get(pfGroup, `${PF} vf_token=${TOKEN}`);
    expect(pf.sriov).toMatchObject({ numVfs: 2, control: 0x09 }); // the open reset it
    process.close(fd);
    expect(pf.sriov).toMatchObject({ numVfs: 2, control: 0x09 });
    expect(pf.powerState).toBe(0);
  });
});
