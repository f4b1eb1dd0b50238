/** Patch 5: an LPI is pending in KVM, as a restore leaves it, when its interrupt is forwarded. Then its device raises it once more. */
import { EventFdContext, Host, IrqBypassManager } from '@vsim/vfio-core';
import { CTRL, Gic, GRP, ItsDriver } from '@vsim/gic-its';
import { GuestGicDriver, lpiOf, translaterOf, VirtualMachine } from '@vsim/vmm';

const DEVICE = 0x10;

function forwardPending(title: string, transferPendingOnForward: boolean): void {
  const host = new Host({ ram: [{ base: 0x8000_0000, size: 0x1000_0000 }] });
  const its = new ItsDriver(host, new Gic(host, { version: 'gicv4.1', cpus: 1 }), { switches: { transferPendingOnForward } });
  const irqBypass = new IrqBypassManager();
  const vm = new VirtualMachine({ host, its, irqBypass, groupOf: () => -1 }, { vcpus: 1 });
  const taken: number[] = [];
  const guest = new GuestGicDriver(vm, (lpi) => taken.push(lpi));
  guest.boot();
  guest.mapDevice(0, DEVICE);
  guest.mapEvent(0, DEVICE, 0, 0);
  vm.kvm.signalMsi(translaterOf(vm.layout), 0, 1, DEVICE); // the latch

  const irq = its.allocate(DEVICE, 1, false)[0];
  if (irq === undefined) throw new Error('no interrupt');
  const eventfd = new EventFdContext('vector 0');
  irq.setHandler(() => eventfd.signal());
  vm.kvm.setRouting([{ gsi: 0, address: translaterOf(vm.layout), data: 0, device: DEVICE }]);
  vm.kvm.irqfd(eventfd, 0);
  const events = host.trace.record();
  irqBypass.registerProducer({ token: eventfd, irq });
  const commands = events.flatMap(({ id, fields }) => (id === 'gic/command' && 'name' in fields ? [fields.name] : []));
  console.log(`${title}: forwarded by ${commands.join(' ')}`);

  vm.vgic.setAttr(GRP.CTRL, CTRL.SAVE_PENDING_TABLES, 0);
  const lpi = lpiOf(0, 0);
  console.log('  saved now, its bit is', (vm.kvm.memory.read8(guest.tables.pendingTables + (lpi >> 3)) >> (lpi & 7)) & 1);
  host.memory.write32(irq.message.address, irq.message.data, DEVICE); // still pending: this adds nothing
  vm.run(() => 0);
  console.log('  the guest takes it', taken.length, 'times');
}

forwardPending('before', false);
forwardPending('after', true);
