/** What a program finds of parts that are not modelled: what it finds on a kernel that was built without them. */
// #region machine
import { ApicMsi, getRegionInfo, Host, openDevice, Process, SyscallError, Vfio, VtdIommu, VFIO_CHECK_EXTENSION, VFIO_SPAPR_TCE_IOMMU } from '@vsim/vfio-core';
import { Gic, ItsDriver, Kvm, KVM_CAP_COALESCED_MMIO, KVM_CHECK_EXTENSION } from '@vsim/gic-its';
import { createEdu, PciBus, VfioPciDriver } from '@vsim/vfio-pci';

const host = new Host({ profile: 'linux-7.3' });
new Kvm(host, { driver: new ItsDriver(host, new Gic(host, { version: 'gicv4.1', cpus: 1 })) });
const bus = new PciBus(host, { msi: new ApicMsi(host), iommu: new VtdIommu(host) });
bus.plug(createEdu(host, '0000:00:02.0'));
host.scheduler.call('modprobe vfio-pci', bus.addDriver(new VfioPciDriver(new Vfio(host))));
const root = new Process(host, { name: 'program' });
const { container, device } = openDevice(root, '0000:00:02.0', { driver: 'vfio-pci' });
// #endregion machine

// #region files
try {
  root.open('/dev/iommu');
} catch (error) {
  if (!(error instanceof SyscallError)) throw error;
  console.log('iommufd:', error.message);
}
console.log('/dev/vfio has', root.readdir('/dev/vfio').join(' and ')); // no folder devices
// #endregion files

// #region extensions
console.log('SPAPR TCE:', root.ioctl(container, VFIO_CHECK_EXTENSION, VFIO_SPAPR_TCE_IOMMU));
console.log('coalesced MMIO:', root.ioctl(root.open('/dev/kvm'), KVM_CHECK_EXTENSION, KVM_CAP_COALESCED_MMIO));
// #endregion extensions

// #region time
const registers = root.mmap(device, 0x1000, Number(getRegionInfo(root, device, 0).offset));
for (let n = 0; n < 1000; n += 1) registers.read(0, 4);
console.log('after a thousand loads:', host.scheduler.now, 'ns');
host.scheduler.advance(1_000_000);
console.log('and when the program says so:', host.scheduler.now, 'ns');
// #endregion time
