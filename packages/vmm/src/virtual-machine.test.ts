import { EINVAL, Host, IrqBypassManager } from '@vsim/vfio-core';
import { Gic, ItsDriver } from '@vsim/gic-its';
import { describe, expect, it } from 'vitest';
import { GuestGicDriver, lpiOf } from './guest-gic-driver.ts';
import { translaterOf, VIRT_MACHINE, type MachineLayout } from './layout.ts';
import { VirtualMachine, VmmError, type VmHost } from './virtual-machine.ts';

const KVM_MSI_VALID_DEVID = 1;

function vmHost(): VmHost {
  const host = new Host();
  const gic = new Gic(host, { version: 'gicv4.1', cpus: 4 });
  return { host, its: new ItsDriver(host, gic), irqBypass: new IrqBypassManager(), groupOf: () => 0 };
}

/** Boots a guest, and lets event 3 of its device 0x10 come. @returns the LPIs that it took */
function takenBy(vm: VirtualMachine): number[] {
  const taken: number[] = [];
  const guest = new GuestGicDriver(vm, (lpi) => taken.push(lpi));
  guest.boot();
  guest.mapDevice(0, 0x10);
  guest.mapEvent(0, 0x10, 3, 0);
  vm.run((vcpu) => vcpu);
  vm.kvm.signalMsi(translaterOf(vm.layout), 3, KVM_MSI_VALID_DEVID, 0x10);
  expect(guest.count(lpiOf(0, 3))).toBe(taken.length);
  return taken;
}

describe('a VM', () => {
  it.each<[string, MachineLayout]>([
    ['as QEMU has it', VIRT_MACHINE],
    ['of another layout', { ram: { base: 0x1_0000_0000, size: 0x40_0000 }, distributor: 0x3000_0000, redistributors: 0x3010_0000, its: 0x3200_0000 }],
  ])('%s takes the LPI of a message', (_name, layout) => {
    expect(takenBy(new VirtualMachine(vmHost(), { vcpus: 2, layout }))).toEqual([lpiOf(0, 3)]);
  });

  it('leaves no file and no thread behind', () => {
    const host = vmHost();
    const vm = new VirtualMachine(host, { vcpus: 2 });
    takenBy(vm);
    vm.destroy();
    expect(vm.process.fds).toEqual([]);
    expect(host.host.scheduler.threads).toEqual([]);
  });

  it('says which part of a layout KVM refuses, with its errno', () => {
    const overlapping = { ...VIRT_MACHINE, redistributors: VIRT_MACHINE.distributor };
    const made = (): VirtualMachine => new VirtualMachine(vmHost(), { vcpus: 2, layout: overlapping });
    expect(made).toThrow(VmmError);
    expect(made).toThrow('the redistributors: EINVAL');
    expect(made).toThrow(expect.objectContaining({ errno: -EINVAL }));
  });
});

describe('the guest\'s GIC driver', () => {
  it('has room for eight vCPUs', () => {
    const vm = new VirtualMachine(vmHost(), { vcpus: 9 });
    expect(() => new GuestGicDriver(vm, () => undefined)).toThrow('"kvm" expected at most 8 vCPUs, got 9');
  });

  it('needs 4 MiB of RAM', () => {
    const vm = new VirtualMachine(vmHost(), { vcpus: 1, layout: { ...VIRT_MACHINE, ram: { base: 0x4000_0000, size: 0x20_0000 } } });
    expect(() => new GuestGicDriver(vm, () => undefined)).toThrow('"layout" expected at least 4 MiB of RAM, got 2097152 bytes');
  });

  it.each([256, -1, Number.NaN])('has no slot %d', (slot) => {
    const guest = new GuestGicDriver(new VirtualMachine(vmHost(), { vcpus: 1 }), () => undefined);
    expect(() => { guest.mapDevice(slot, 0x10); }).toThrow('"slot" expected a number in [0, 256)');
  });
});
