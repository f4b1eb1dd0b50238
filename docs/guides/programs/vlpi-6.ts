/** Patch 6: KVM_DEV_ARM_ITS_SAVE_TABLES of a VM with a forwarded interrupt. */
import { errnoName, EventFdContext, Host, IrqBypassManager } from '@vsim/vfio-core';
import { CTRL, Gic, GRP, ItsDriver, type GicVersion } from '@vsim/gic-its';
import { GuestGicDriver, translaterOf, VirtualMachine } from '@vsim/vmm';

const DEVICE = 0x10;

function save(version: GicVersion, allowSaveForwardedV41: boolean): void {
  const host = new Host({ ram: [{ base: 0x8000_0000, size: 0x1000_0000 }] });
  const its = new ItsDriver(host, new Gic(host, { version, cpus: 1 }), { switches: { allowSaveForwardedV41 } });
  const irqBypass = new IrqBypassManager();
  const vm = new VirtualMachine({ host, its, irqBypass, groupOf: () => -1 }, { vcpus: 1 });
  const guest = new GuestGicDriver(vm, () => undefined);
  guest.boot();
  guest.mapDevice(0, DEVICE);
  guest.mapEvent(0, DEVICE, 0, 0);
  const irq = its.allocate(DEVICE, 1, false)[0];
  if (irq === undefined) throw new Error('no interrupt');
  const eventfd = new EventFdContext('vector 0');
  irq.setHandler(() => eventfd.signal());
  vm.kvm.setRouting([{ gsi: 0, address: translaterOf(vm.layout), data: 0, device: DEVICE }]);
  vm.kvm.irqfd(eventfd, 0);
  irqBypass.registerProducer({ token: eventfd, irq });

  const answer = vm.its.setAttr(GRP.CTRL, CTRL.ITS_SAVE_TABLES, 0);
  console.log(`  host with ${version}: the interrupt is ${irq.forwarded ? 'forwarded' : 'not forwarded'}, save answers`, answer === 0 ? 0 : errnoName(answer));
}

for (const [title, patched] of [['before', false], ['after', true]] as const) {
  console.log(title);
  for (const version of ['gicv3', 'gicv4', 'gicv4.1'] as const) save(version, patched);
}
