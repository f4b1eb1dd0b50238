/** Patch 4: KVM_DEV_ARM_VGIC_SAVE_PENDING_TABLES of a VM with a VLPI and an LPI pending, and a VLPI that is not. */
import { EventFdContext, Host, IrqBypassManager } from '@vsim/vfio-core';
import { CTRL, Gic, GRP, ItsDriver, type MigrationSwitches } from '@vsim/gic-its';
import { GuestGicDriver, lpiOf, translaterOf, VirtualMachine } from '@vsim/vmm';

const DEVICE = 0x10;

function save(title: string, switches: Partial<MigrationSwitches>): void {
  const host = new Host({ ram: [{ base: 0x8000_0000, size: 0x1000_0000 }] });
  const its = new ItsDriver(host, new Gic(host, { version: 'gicv4.1', cpus: 1 }), { switches });
  const irqBypass = new IrqBypassManager();
  const vm = new VirtualMachine({ host, its, irqBypass, groupOf: () => -1 }, { vcpus: 1 });
  const guest = new GuestGicDriver(vm, () => undefined);
  guest.boot();
  guest.mapDevice(0, DEVICE);
  for (const event of [0, 1, 2]) guest.mapEvent(0, DEVICE, event, 0);

  // Events 0 and 1 are forwarded: they are VLPIs. Event 2 is an LPI that KVM injects.
  vm.kvm.setRouting([0, 1].map((event) => ({ gsi: event, address: translaterOf(vm.layout), data: event, device: DEVICE })));
  const irqs = its.allocate(DEVICE, 2, false);
  irqs.forEach((irq, event) => {
    const eventfd = new EventFdContext(`vector ${event}`);
    irq.setHandler(() => eventfd.signal());
    vm.kvm.irqfd(eventfd, event);
    irqBypass.registerProducer({ token: eventfd, irq });
  });
  const message = irqs[0]?.message;
  if (message !== undefined) host.memory.write32(message.address, message.data, DEVICE);
  vm.kvm.signalMsi(translaterOf(vm.layout), 2, 1, DEVICE);

  const events = host.trace.record();
  const answer = vm.vgic.setAttr(GRP.CTRL, CTRL.SAVE_PENDING_TABLES, 0);
  const vmapps = events.filter(({ id, text }) => id === 'gic/command' && text.includes('VMAPP')).length;
  const bit = (event: number): number => (vm.kvm.memory.read8(guest.tables.pendingTables + (lpiOf(0, event) >> 3)) >> (lpiOf(0, event) & 7)) & 1;
  console.log(`${title}: save answers ${answer}, with ${vmapps} VMAPP`);
  console.log(`  bits in the guest's table: VLPI that is pending ${bit(0)}, VLPI that is not ${bit(1)}, LPI that is pending ${bit(2)}`);
}

save('before', { vlpiPeek: false, saveVlpiPending: false });
save('after', {});
