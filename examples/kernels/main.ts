/** The same calls on four kernels, as a table of what each of them answers. */
import {
  ApicMsi, getDeviceFd, getIrqInfo, getMigrationFlags, getRegionInfo, Host, mapDma, openDevice, Process, set, setContainer, setIrqTriggers, SyscallError, Vfio, VtdIommu,
  VFIO_CHECK_EXTENSION, VFIO_DEVICE_FEATURE, VFIO_DEVICE_FEATURE_DMA_BUF, VFIO_DEVICE_FEATURE_GET, VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY, VFIO_DEVICE_FEATURE_PROBE, VFIO_DEVICE_FEATURE_SET,
  VFIO_DEVICE_IOEVENTFD, VFIO_DMA_MAP_FLAG_READ, VFIO_PCI_CONFIG_REGION_INDEX, VFIO_PCI_MSIX_IRQ_INDEX, VFIO_SET_IOMMU, VFIO_TYPE1_NESTING_IOMMU, VFIO_TYPE1v2_IOMMU, VFIO_UNMAP_ALL,
  vfio_device_feature, vfio_device_ioeventfd, type OpenedDevice, type ProfileName,
} from '@vsim/vfio-core';
import { MdevBus, Mtty } from '@vsim/mdev';
import { buildConfig, NativeDriver, PciBus, PciFunction, VfioPciDriver } from '@vsim/vfio-pci';

// #region machine
const KERNELS: readonly ProfileName[] = ['linux-5.10', 'linux-6.1', 'linux-6.12', 'linux-7.3'];
const CARD = '0000:00:01.0';
const HALVES = ['0000:00:02.0', '0000:00:02.1'] as const;

/** A card with MSI-X, a device whose two functions are one IOMMU group, and mtty, the kernel's sample of a mediated device. */
function machine(profile: ProfileName): Process {
  const host = new Host({ profile });
  const vfio = new Vfio(host);
  const bus = new PciBus(host, { msi: new ApicMsi(host), iommu: new VtdIommu(host) });
  const bars = [{ index: 0, size: 0x2000 }] as const;
  for (const address of [CARD, ...HALVES]) {
    const config = buildConfig({ vendor: 0x1234, device: 1, express: true, bars, msix: { vectors: 4, bar: 0, tableOffset: 0x1000, pbaOffset: 0x1800 } });
    if (address !== CARD) config[0x0e] = 0x80; // header type: a device of several functions
    bus.plug(new PciFunction(host, { address, config, bars }));
  }
  host.scheduler.call('modprobe vfio-pci', bus.addDriver(new VfioPciDriver(vfio)));
  host.scheduler.call('modprobe nic', bus.addDriver(new NativeDriver('nic')));
  host.scheduler.call('modprobe mtty', new Mtty(new MdevBus(host), vfio).register());
  return new Process(host, { name: 'program' });
}
// #endregion machine

// #region outcome
/** What a call gives, or the errno that it is refused with. */
function outcome(call: () => string | number | bigint): string {
  try {
    return String(call());
  } catch (error) {
    if (!(error instanceof SyscallError)) throw error;
    return error.code;
  }
}
// #endregion outcome

/** Asks something of the card, opened by vfio-pci. */
function ofCard(call: (root: Process, fds: OpenedDevice) => string | number | bigint): (root: Process) => string {
  return (root) => {
    const fds = openDevice(root, CARD, { driver: 'vfio-pci' });
    return outcome(() => call(root, fds));
  };
}

/** CHECK_EXTENSION, of a container that has its IOMMU. */
function extension(id: number): (root: Process) => string {
  return ofCard((root, { container }) => root.ioctl(container, VFIO_CHECK_EXTENSION, id));
}

/** Whether the card has a feature: a PROBE changes nothing. */
function probe(feature: number): (root: Process) => string {
  return ofCard((root, { device }) => {
    const request = new Uint8Array(vfio_device_feature.size);
    set(request, vfio_device_feature.argsz, request.length);
    set(request, vfio_device_feature.flags, feature | VFIO_DEVICE_FEATURE_PROBE);
    return root.ioctl(device, VFIO_DEVICE_FEATURE, request);
  });
}

// #region groups
/** The neighbour of a device has a driver of the host's: what do the calls say that a program makes one after another? */
function shared(name: 'SET_CONTAINER' | 'GET_DEVICE_FD'): (root: Process) => string {
  return (root) => {
    for (const [n, driver] of ['vfio-pci', 'nic'].entries()) {
      root.writeFile(`/sys/bus/pci/devices/${HALVES[n]}/driver_override`, driver);
      root.writeFile('/sys/bus/pci/drivers_probe', HALVES[n]!);
    }
    const number = root.readlink(`/sys/bus/pci/devices/${HALVES[0]}/iommu_group`).split('/').at(-1);
    const [container, group] = [root.open('/dev/vfio/vfio'), root.open(`/dev/vfio/${number}`)];
    const joined = outcome(() => {
      setContainer(root, group, container);
      return root.ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU);
    });
    if (name === 'SET_CONTAINER') return joined;
    return joined === '0' ? outcome(() => getDeviceFd(root, group, HALVES[0])) : '-';
  };
}

/** A group that is in no container is told to join one. */
function joining(fd: (root: Process) => number): (root: Process) => string {
  return (root) => {
    openDevice(root, CARD, { driver: 'vfio-pci' }).close();
    const group = root.open('/dev/vfio/0');
    return outcome(() => {
      setContainer(root, group, fd(root));
      return 0;
    });
  };
}

const GROUPS = [
  ['SET_CONTAINER, fd -1', joining(() => -1)],
  ['SET_CONTAINER, fd of no container', joining((root) => root.eventfd())],
  ['shared group: SET_CONTAINER', shared('SET_CONTAINER')],
  ['shared group: GET_DEVICE_FD', shared('GET_DEVICE_FD')],
  ['/sys/class/vfio-dev', ofCard((root) => root.readdir('/sys/class/vfio-dev').join())],
] as const;
// #endregion groups

// #region iommu
const IOMMU = [
  ['extension UNMAP_ALL', extension(VFIO_UNMAP_ALL)],
  ['extension NESTING', extension(VFIO_TYPE1_NESTING_IOMMU)],
  ['MAP_DMA past 2^64', ofCard((root, { container }) => {
    const { address } = root.mmap(-1, 0x2000);
    mapDma(root, container, { iova: 0xffff_ffff_ffff_f000n, vaddr: address, size: 0x2000, flags: VFIO_DMA_MAP_FLAG_READ });
    return 0;
  })],
] as const;
// #endregion iommu

// #region interrupts
const INTERRUPTS = [
  ['MSI-X: flags of GET_IRQ_INFO', ofCard((root, { device }) => `0x${getIrqInfo(root, device, VFIO_PCI_MSIX_IRQ_INDEX).flags.toString(16)}`)],
  ['MSI-X: a second vector, while on', ofCard((root, { device }) => {
    setIrqTriggers(root, device, VFIO_PCI_MSIX_IRQ_INDEX, 0, [root.eventfd()]);
    return setIrqTriggers(root, device, VFIO_PCI_MSIX_IRQ_INDEX, 1, [root.eventfd()]);
  })],
  ['ioeventfd of 8 bytes', ofCard((root, { device }) => {
    const request = new Uint8Array(vfio_device_ioeventfd.size);
    set(request, vfio_device_ioeventfd.argsz, request.length);
    set(request, vfio_device_ioeventfd.flags, 8);
    set(request, vfio_device_ioeventfd.fd, root.eventfd());
    return root.ioctl(device, VFIO_DEVICE_IOEVENTFD, request);
  })],
] as const;
// #endregion interrupts

// #region features
const FEATURES = [
  ['read of BAR 0 in D3hot', ofCard((root, { device }) => {
    const offset = (index: number): number => Number(getRegionInfo(root, device, index).offset);
    const config = offset(VFIO_PCI_CONFIG_REGION_INDEX);
    const pointer = new Uint8Array(1);
    root.pread(device, pointer, config + 0x34); // the first capability is power management
    root.pwrite(device, Uint8Array.of(3, 0), config + pointer[0]! + 4); // PMCSR: D3hot
    return `${root.pread(device, new Uint8Array(4), offset(0))} bytes`;
  })],
  ['feature LOW_POWER_ENTRY', probe(VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY | VFIO_DEVICE_FEATURE_SET)],
  ['feature DMA_BUF', probe(VFIO_DEVICE_FEATURE_DMA_BUF | VFIO_DEVICE_FEATURE_GET)],
  ['feature MIGRATION, of mtty', (root: Process) => {
    const uuid = '83b8f4f2-509f-382f-3c1e-e6bfe0fa1001';
    root.writeFile('/sys/class/mdev_bus/mtty/mdev_supported_types/mtty-1/create', uuid);
    const { device } = openDevice(root, uuid);
    return outcome(() => `flags ${getMigrationFlags(root, device)}`);
  }],
  ['vfio in /proc/iomem', ofCard((root) => (root.readFile('/proc/iomem').includes('vfio') ? 'yes' : 'no'))],
] as const;
// #endregion features

// #region table
function line(question: string, answers: readonly string[]): string {
  return [question.padEnd(34), ...answers.map((answer) => answer.padEnd(11))].join('').trimEnd();
}

console.log(line('', KERNELS));
for (const [question, ask] of [...GROUPS, ...IOMMU, ...INTERRUPTS, ...FEATURES]) console.log(line(question, KERNELS.map((kernel) => ask(machine(kernel)))));
// #endregion table
