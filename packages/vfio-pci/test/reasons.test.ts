/** Twenty programs that a user would get wrong: the event and the error's message name the cause [M14]. */
import {
  Process,
  VFIO_DEVICE_IOEVENTFD,
  VFIO_DEVICE_PCI_HOT_RESET,
  VFIO_GROUP_GET_DEVICE_FD,
  VFIO_GROUP_UNSET_CONTAINER,
  VFIO_PCI_INTX_IRQ_INDEX,
  VFIO_PCI_MSI_IRQ_INDEX,
  VFIO_SET_IOMMU,
  VFIO_TYPE1v2_IOMMU,
  getDeviceFd,
  getRegionInfo,
  mapDma,
  setContainer,
  setIrqTriggers,
  setIrqs,
  unmapDma,
} from '@vsim/vfio-core';
import { describe, expect, it } from 'vitest';
import { NativeDriver, PciFunction, REGION_SPAN, buildConfig, pciId } from '../src/index.ts';
import { why } from '../../../testing/why.ts';
import { CARD, CARD_VF, attach, bridge, cardHost } from './card-host.ts';
import { CONFIG, EDU_NAME, bind, eduHost, open, openEdu, write16 } from './edu-host.ts';

const BOTH = 3;
const UNMASK_NONE = 0x11;
const OTHER = '0000:00:05.0';

describe('a program that', () => {
  it('1: opens the group of a device that is bound to nothing', () => {
    const { process, events } = eduHost();
    expect(why(events, () => process.open('/dev/vfio/0'))).toBe('ENOENT process/no-entry: /dev/vfio/0 does not exist');
  });

  it('2: opens a group twice', () => {
    const { process, events } = openEdu();
    expect(why(events, () => process.open('/dev/vfio/0'))).toBe('EBUSY vfio/group-open: group 0 is held by process-1 (group 0)');
  });

  it('3: opens a group that is not its own', () => {
    const { host, process, events } = eduHost();
    bind(process, EDU_NAME);
    const user = new Process(host, { name: 'qemu', uid: 1000 });
    expect(why(events, () => user.open('/dev/vfio/0'))).toBe('EACCES process/not-permitted: /dev/vfio/0 has mode 0600, and qemu is user 1000');
  });

  it('4: asks for the device before its group is in a container', () => {
    const { process, events } = eduHost();
    bind(process, EDU_NAME);
    const group = process.open('/dev/vfio/0');
    expect(why(events, () => getDeviceFd(process, group, EDU_NAME))).toBe('EINVAL vfio/group-not-ready: group 0 is in no container');
  });

  it('5: asks for the device before VFIO_SET_IOMMU, and maps before it', () => {
    const { process, events } = eduHost();
    bind(process, EDU_NAME);
    const group = process.open('/dev/vfio/0');
    const container = process.open('/dev/vfio/vfio');
    setContainer(process, group, container);
    expect(why(events, () => getDeviceFd(process, group, EDU_NAME))).toBe('EINVAL vfio/group-not-ready: the container of group 0 has had no VFIO_SET_IOMMU');
    expect(why(events, () => { mapDma(process, container, { iova: 0, vaddr: 0, size: 4096, flags: BOTH }); })).toBe('EINVAL vfio/container-not-set: VFIO_IOMMU_MAP_DMA comes before VFIO_SET_IOMMU');
  });

  it('6: sets the IOMMU of a container without groups, a second time, and of a type that there is not', () => {
    const { process, events, container } = openEdu();
    const empty = process.open('/dev/vfio/vfio');
    expect(why(events, () => process.ioctl(empty, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU))).toBe('EINVAL vfio/set-iommu-order: the container has 0 groups');
    expect(why(events, () => process.ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU))).toBe('EINVAL vfio/set-iommu-order: the container has its backend already');
  });

  it('7: asks for a device of another group', () => {
    const { process, events, group } = openEdu();
    expect(why(events, () => getDeviceFd(process, group, OTHER))).toBe(`ENODEV vfio/no-such-device: group 0 has no device "${OTHER}": it has ${EDU_NAME}`);
  });

  it('8: takes a group of which a native driver has a function', () => {
    const { host, bus, process, events } = eduHost();
    for (const address of [OTHER, '0000:00:05.1']) bus.plug(new PciFunction(host, { address, config: buildConfig({ vendor: 1, device: 2 }) }), { group: 5 });
    host.scheduler.call('modprobe', bus.addDriver(new NativeDriver('native', { ids: [pciId(1, 2)] })));
    process.writeFile('/sys/bus/pci/drivers/native/unbind', OTHER);
    bind(process, OTHER);
    const group = process.open('/dev/vfio/5');
    const container = process.open('/dev/vfio/vfio');
    expect(why(events, () => { setContainer(process, group, container); })).toBe('EPERM vfio/group-not-viable: group 5 is not viable: unbind 0000:00:05.1 from native');
  });

  it('9: binds a device to its native driver while its group is used', () => {
    const { host, bus, process, events } = eduHost();
    for (const address of [OTHER, '0000:00:05.1']) bus.plug(new PciFunction(host, { address, config: buildConfig({ vendor: 1, device: 2 }) }), { group: 5 });
    bind(process, OTHER);
    open(process, OTHER, 5);
    bus.autoprobe = false;
    host.scheduler.call('modprobe', bus.addDriver(new NativeDriver('native', { ids: [pciId(1, 2)] })));
    expect(why(events, () => process.writeFile('/sys/bus/pci/drivers/native/bind', '0000:00:05.1'))).toBe("EBUSY sysfs/dma-claimed: native does not get 0000:00:05.1: the DMA of group 5 is a user's");
  });

  it('10: binds without driver_override, a name without its domain, a device that has a driver, and unbinds what is not bound', () => {
    const { host, bus, process, events } = eduHost();
    bus.plug(new PciFunction(host, { address: OTHER, config: buildConfig({ vendor: 1, device: 2 }) }), { group: 5 });
    const write = (file: string, text: string) => () => process.writeFile(`/sys/bus/pci/drivers/vfio-pci/${file}`, text);
    expect(why(events, write('bind', EDU_NAME))).toBe(`ENODEV sysfs/no-match: vfio-pci does not know ${EDU_NAME}`);
    expect(why(events, write('bind', '00:05.0'))).toBe('ENODEV sysfs/no-device: bus pci has no device "00:05.0"');
    bind(process, EDU_NAME);
    expect(why(events, write('bind', EDU_NAME))).toBe(`EBUSY sysfs/has-driver: ${EDU_NAME} is bound to vfio-pci`);
    expect(why(events, write('unbind', OTHER))).toBe(`ENODEV sysfs/not-bound: ${OTHER} is bound to no driver, not to vfio-pci`);
    expect(why(events, write('new_id', 'nonsense'))).toBe('EINVAL sysfs/bad-value: new_id takes hexadecimal fields: vendor, device, subvendor, subdevice, class, class mask, data, not "nonsense"');
  });

  it('11: takes a group out of its container while a device is open', () => {
    const { process, events, group } = openEdu();
    expect(why(events, () => process.ioctl(group, VFIO_GROUP_UNSET_CONTAINER))).toBe(`EBUSY vfio/group-in-use: group 0 is used by process-1 fd 5 (${EDU_NAME})`);
  });

  it('12: puts a group into two containers, and into what is no container', () => {
    const { process, events, group, device } = openEdu();
    const second = process.open('/dev/vfio/vfio');
    expect(why(events, () => { setContainer(process, group, second); })).toBe('EINVAL vfio/group-has-container: group 0 is in a container');
    process.close(device);
    process.ioctl(group, VFIO_GROUP_UNSET_CONTAINER);
    expect(why(events, () => { setContainer(process, group, group); })).toBe('EINVAL vfio/not-container: fd 4 is /dev/vfio/0');
    expect(why(events, () => process.ioctl(group, VFIO_GROUP_UNSET_CONTAINER))).toBe('EINVAL vfio/group-no-container: group 0 is in no container');
  });

  it('13: unmaps half of a mapping', () => {
    const { process, events, container } = openEdu();
    const memory = process.mmap(-1, 0x4000);
    mapDma(process, container, { iova: 0x10_0000, vaddr: memory.address, size: 0x4000, flags: BOTH });
    expect(why(events, () => unmapDma(process, container, 0x10_1000, 0x1000))).toBe('EINVAL type1/unmap-cuts: 0x101000 to 0x101fff would cut the mapping 0x100000 to 0x103fff');
    expect(why(events, () => unmapDma(process, container, 0x800, 0x1000))).toBe('EINVAL type1/unmap-range: iova 0x800 and size 0x1000, where the page size is 0x1000');
  });

  it('14: unmasks INTx before it has an eventfd, uses MSI beside INTx, and more vectors than there are', () => {
    const { process, events, device } = openEdu();
    expect(why(events, () => setIrqs(process, device, VFIO_PCI_INTX_IRQ_INDEX, UNMASK_NONE, 0, 1))).toBe(`EINVAL vfio-pci/irq-kind: ${EDU_NAME}: INTx is asked for, and nothing is in use`);
    setIrqTriggers(process, device, VFIO_PCI_INTX_IRQ_INDEX, 0, [process.eventfd()]);
    expect(why(events, () => setIrqTriggers(process, device, VFIO_PCI_MSI_IRQ_INDEX, 0, [process.eventfd()]))).toBe(`EINVAL vfio-pci/irq-kind: ${EDU_NAME}: MSI is asked for, and intx is in use`);
    expect(why(events, () => setIrqTriggers(process, device, VFIO_PCI_MSI_IRQ_INDEX, 1, [process.eventfd()]))).toBe('EINVAL vfio/irq-range: index 1 has 1 interrupts, and start is 1, count 1');
    expect(why(events, () => setIrqTriggers(process, device, VFIO_PCI_INTX_IRQ_INDEX, 0, [device]))).toBe(`EINVAL process/not-eventfd: fd ${device} is ${EDU_NAME}, not an eventfd`);
  });

  it('15: gives the same write two eventfds, and takes one away that there is not', () => {
    const { process, events, device } = openEdu();
    const request = (fd: number, data: number) => {
      const bytes = new Uint8Array(32);
      const view = new DataView(bytes.buffer);
      view.setUint32(0, 32, true);
      view.setUint32(4, 4, true);
      view.setBigUint64(8, 0x20n, true);
      view.setUint32(16, data, true);
      view.setInt32(24, fd, true);
      return process.ioctl(device, VFIO_DEVICE_IOEVENTFD, bytes);
    };
    request(process.eventfd(), 1);
    expect(why(events, () => request(process.eventfd(), 1))).toBe(`EEXIST vfio-pci/ioeventfd-twice: ${EDU_NAME}: the write to 0x20 of region 0 has its eventfd`);
    expect(why(events, () => request(-1, 2))).toBe(`ENODEV vfio-pci/ioeventfd-none: ${EDU_NAME}: no such write to 0x20 of region 0 has an eventfd`);
  });

  it('16: resets a bus without the fd of a group on it, and a device that is on no such bus', () => {
    const { host, bus, process, events } = eduHost();
    bus.plug(bridge(host, '0000:00:1e.0', 1), { group: 19 });
    for (const [address, group] of [['0000:01:00.0', 20], ['0000:01:01.0', 21]] as const) {
      bus.plug(new PciFunction(host, { address, config: buildConfig({ vendor: 0x1d55, device: 1 }) }), { group });
      bind(process, address);
    }
    const { group, device } = open(process, '0000:01:00.0', 20);
    const reset = (fd: number) => () => process.ioctl(fd, VFIO_DEVICE_PCI_HOT_RESET, new Uint8Array(Int32Array.of(16, 0, 1, group).buffer));
    expect(why(events, reset(device))).toBe('EINVAL vfio-pci/hot-reset-missing: the reset of the bus of 0000:01:00.0 hits 0000:01:01.0, and group 21, which has it, is not given');
    bind(process, EDU_NAME);
    expect(why(events, reset(open(process).device))).toBe(`ENODEV vfio-pci/hot-reset-bus: the bus of ${EDU_NAME} cannot be reset`);
  });

  it('17: opens a VF without the token of its PF', () => {
    const made = cardHost();
    const { device, process, events } = made;
    attach(made, device);
    process.writeFile(`${device.sysfs}/sriov_numvfs`, '1');
    const { iommuGroup } = made.bus.device(CARD_VF)!;
    bind(process, CARD_VF);
    const ask = () => open(process, CARD_VF, iommuGroup!.id);
    expect(why(events, ask)).toBe(`EACCES vfio-pci/vf-token-refused: ${CARD_VF}: the vf_token of its PF has to be given as "${CARD_VF} vf_token=UUID"; the PF's user sets it`);
  });

  it('18: makes more VFs than there are, and other VFs while there are some', () => {
    const made = cardHost();
    const { device, process, events } = made;
    const write = (text: string) => () => process.writeFile(`${device.sysfs}/sriov_numvfs`, text);
    expect(why(events, write('1'))).toBe(`ENOENT pci/numvfs-driver: ${CARD} is bound to no driver, which makes no VFs`);
    attach(made, device);
    expect(why(events, write('3'))).toBe(`ERANGE pci/numvfs-range: 3 VFs are wanted of ${CARD}, which has 2 at most`);
    write('1')();
    expect(why(events, write('2'))).toBe(`EBUSY pci/numvfs-set: 2 VFs are wanted of ${CARD}, which has 1`);
  });

  it('19: reads a BAR with memory decoding off, past its end, past the configuration space, and asks for a region that there is not', () => {
    const { process, events, device } = openEdu();
    const read = (offset: number) => () => process.pread(device, new Uint8Array(4), offset);
    write16(process, device, CONFIG + 4, 0);
    expect(why(events, read(0))).toBe(`EIO vfio-pci/memory-off: ${EDU_NAME}: region 0 does not decode: COMMAND has memory space off, or the device sleeps`);
    expect(why(events, read(0x10_0000))).toBe(`EINVAL vfio-pci/region-range: ${EDU_NAME}: offset 0x100000 of region 0, which has 0x100000 bytes to access so`);
    expect(why(events, read(CONFIG + 0x1000))).toBe(`EFAULT vfio-pci/config-range: ${EDU_NAME}: 4 bytes at 0x1000 leave the configuration space of 256 bytes`);
    expect(why(events, () => getRegionInfo(process, device, 99))).toBe('EINVAL vfio/no-index: VFIO_DEVICE_GET_REGION_INFO has no index 99');
    expect(why(events, () => process.mmap(device, 0x1000, 7 * REGION_SPAN))).toBe(`EINVAL vfio-pci/mmap-bar: ${EDU_NAME}: region 7: it cannot be mapped`);
  });

  it('20: uses an fd that it has closed, one fd too many, and the request of another fd', () => {
    const { host, process, events, container, device } = openEdu();
    expect(why(events, () => process.ioctl(container, VFIO_GROUP_GET_DEVICE_FD))).toBe('ENOTTY process/unknown-request: /dev/vfio/vfio does not know 0x3b6a');
    process.close(device);
    expect(why(events, () => process.pread(device, new Uint8Array(4), 0))).toBe('EBADF process/bad-fd: fd 5 is not open in process-1');
    const small = new Process(host, { name: 'small', maxFiles: 4 });
    small.open('/dev/vfio/vfio');
    expect(why(events, () => small.open('/dev/vfio/vfio'))).toBe('EMFILE process/fd-limit: small has its 4 fds');
  });
});
