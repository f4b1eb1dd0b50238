/** /dev/kvm, and who may use what it gives. Catalogue: linux/kvm.h, virt/kvm/kvm_main.c. */
import { EBUSY, EEXIST, EFAULT, EINVAL, EIO, EMFILE, ENODEV, ENOTTY, ENXIO, EPERM, Host, Process, SyscallError, set } from '@vsim/vfio-core';
import { why } from '../../../testing/why.ts';
import { describe, expect, it } from 'vitest';
import {
  ADDR_TYPE,
  CTRL,
  GRP,
  Gic,
  ItsDriver,
  KVM_API_VERSION,
  KVM_CAP_ARM_VM_IPA_SIZE,
  KVM_CAP_IRQCHIP,
  KVM_CAP_IRQ_ROUTING,
  KVM_CAP_MAX_VCPUS,
  KVM_CAP_MSI_DEVID,
  KVM_CAP_NR_MEMSLOTS,
  KVM_CAP_NR_VCPUS,
  KVM_CAP_USER_MEMORY2,
  KVM_CHECK_EXTENSION,
  KVM_CREATE_VCPU,
  KVM_CREATE_DEVICE,
  KVM_CREATE_DEVICE_TEST,
  KVM_CREATE_IRQCHIP,
  KVM_CREATE_VM,
  KVM_DEV_TYPE_ARM_VGIC_ITS,
  KVM_DEV_TYPE_ARM_VGIC_V2,
  KVM_DEV_TYPE_ARM_VGIC_V3,
  KVM_DEV_TYPE_VFIO,
  KVM_DEV_VFIO_GROUP,
  KVM_DEV_VFIO_GROUP_ADD,
  KVM_GET_API_VERSION,
  KVM_GET_DEVICE_ATTR,
  KVM_GET_VCPU_MMAP_SIZE,
  KVM_HAS_DEVICE_ATTR,
  KVM_IRQ_LINE,
  KVM_RUN,
  Kvm,
  kvm_create_device,
  kvm_device_attr,
} from '../src/index.ts';
import { AT, Booted, Vmm, attribute } from './kvm-fds.ts';

describe('/dev/kvm', () => {
  it('is opened by everybody and knows its version', () => {
    const vmm = new Vmm();
    const user = new Process(vmm.host, { uid: 1000 });
    const fd = user.open('/dev/kvm');
    expect([user.ioctl(fd, KVM_GET_API_VERSION), user.ioctl(fd, KVM_GET_VCPU_MMAP_SIZE)]).toEqual([KVM_API_VERSION, 0x2000]);
  });

  it('refuses an argument where there is none, and unknown requests with EINVAL', () => {
    const vmm = new Vmm();
    const events = vmm.host.trace.record();
    expect(why(events, () => vmm.ioctl(vmm.fd, KVM_GET_API_VERSION, 1))).toBe('EINVAL kvm/argument: KVM_GET_API_VERSION has the argument 1');
    expect(why(events, () => vmm.ioctl(vmm.fd, KVM_RUN))).toBe('EINVAL process/unknown-request: /dev/kvm does not know KVM_RUN');
  });

  it('has VMs of 40 bits, or of 32 up to what the host has', () => {
    const vmm = new Vmm({ ipaBits: 44 });
    const events = vmm.host.trace.record();
    expect([0, 32, 44].map((type) => [vmm.ioctl(vmm.fd, KVM_CREATE_VM, type) >= 0, vmm.last.ipaBits])).toEqual([[true, 40], [true, 32], [true, 44]]);
    for (const type of [31, 45, 0x100, 0x128]) expect(why(events, () => vmm.ioctl(vmm.fd, KVM_CREATE_VM, type))).toContain('EINVAL kvm/vm-type');
  });

  it('a host of less than 40 bits has no VMs of type 0', () => {
    const vmm = new Vmm({ ipaBits: 36 });
    expect([vmm.ioctl(vmm.fd, KVM_CREATE_VM, 0), vmm.ioctl(vmm.fd, KVM_CREATE_VM, 36) >= 0]).toEqual([-EINVAL, true]);
    expect(() => new Kvm(vmm.host, { driver: vmm.driver, ipaBits: 31 })).toThrow(RangeError);
  });

  it('a process without an fd left gets no VM, whatever its type', () => {
    const vmm = new Vmm();
    const small = new Process(vmm.host, { maxFiles: 4 });
    const fd = small.open('/dev/kvm');
    expect(small.tryIoctl(fd, KVM_CREATE_VM, 0x100)).toBe(-EMFILE);
    expect(vmm.kvm.vms).toEqual([]);
  });

  it('answers KVM_CHECK_EXTENSION, of a VM where it depends on one', () => {
    const vmm = new Vmm();
    const caps = (fd: number, ...all: readonly number[]): number[] => all.map((cap) => vmm.ioctl(fd, KVM_CHECK_EXTENSION, cap));
    expect(caps(vmm.fd, KVM_CAP_IRQCHIP, KVM_CAP_NR_VCPUS, KVM_CAP_MAX_VCPUS, KVM_CAP_NR_MEMSLOTS, KVM_CAP_IRQ_ROUTING, KVM_CAP_ARM_VM_IPA_SIZE, 9999)).toEqual([1, 4, 512, 0x7fff, 4096, 48, 0]);
    const vm = vmm.vm();
    expect([vmm.ioctl(vmm.fd, KVM_CHECK_EXTENSION, KVM_CAP_MSI_DEVID), vmm.ioctl(vm, KVM_CHECK_EXTENSION, KVM_CAP_MSI_DEVID)]).toEqual([-EINVAL, 0]);
    vmm.device(vm, KVM_DEV_TYPE_ARM_VGIC_ITS);
    expect(vmm.ioctl(vm, KVM_CHECK_EXTENSION, KVM_CAP_MSI_DEVID)).toBe(1);
  });

  it.each([['linux-6.1', 0], ['linux-6.12', 1], ['linux-7.3', 1]] as const)('%s has KVM_CAP_USER_MEMORY2: %i', (profile, has) => {
    const vmm = new Vmm({ profile });
    expect(vmm.ioctl(vmm.fd, KVM_CHECK_EXTENSION, KVM_CAP_USER_MEMORY2)).toBe(has);
  });
});

describe('devices of a VM', () => {
  it('KVM_CREATE_DEVICE_TEST makes none', () => {
    const vmm = new Vmm();
    const vm = vmm.vm();
    expect([KVM_DEV_TYPE_ARM_VGIC_V3, KVM_DEV_TYPE_ARM_VGIC_ITS, KVM_DEV_TYPE_VFIO].map((type) => vmm.device(vm, type, KVM_CREATE_DEVICE_TEST))).toEqual([0, 0, 0]);
    expect([vmm.last.vgic, vmm.last.itss]).toEqual([undefined, []]);
  });

  it('there is no GICv2, and no other kind', () => {
    const vmm = new Vmm();
    const vm = vmm.vm();
    const events = vmm.host.trace.record();
    for (const type of [0, KVM_DEV_TYPE_ARM_VGIC_V2, 99]) expect(why(events, () => vmm.device(vm, type))).toBe(`ENODEV kvm/device-type: there is no device of type ${type}`);
    expect(vmm.ioctl(vm, KVM_CREATE_IRQCHIP)).toBe(-ENODEV);
  });

  it('a GIC is made once, and needs an fd', () => {
    const vmm = new Vmm();
    const vm = vmm.vm();
    expect([vmm.device(vm, KVM_DEV_TYPE_ARM_VGIC_V3) >= 0, vmm.device(vm, KVM_DEV_TYPE_ARM_VGIC_V3)]).toEqual([true, -EEXIST]);
  });

  it('other requests are ENOTTY; kvm-vfio has nothing that is read', () => {
    const vmm = new Vmm();
    const vm = vmm.vm();
    const events = vmm.host.trace.record();
    const vfio = vmm.device(vm, KVM_DEV_TYPE_VFIO);
    expect(why(events, () => vmm.ioctl(vfio, KVM_RUN))).toBe('ENOTTY kvm/device-request: kvm-vfio has no KVM_RUN');
    expect(why(events, () => vmm.ioctl(vfio, KVM_GET_DEVICE_ATTR, attribute(KVM_DEV_VFIO_GROUP, KVM_DEV_VFIO_GROUP_ADD, 0)))).toBe(
      'EPERM kvm/device-operation: kvm-vfio has no KVM_GET_DEVICE_ATTR',
    );
    expect([-ENOTTY, -EPERM]).toEqual([vmm.ioctl(vfio, KVM_RUN), vmm.ioctl(vfio, KVM_GET_DEVICE_ATTR, 0)]);
  });

  it('an attribute comes and goes through the caller\'s memory', () => {
    const vmm = new Vmm();
    const gic = vmm.device(vmm.vm(), KVM_DEV_TYPE_ARM_VGIC_V3);
    expect([vmm.set(gic, GRP.ADDR, ADDR_TYPE.DIST, AT.DIST), vmm.get(gic, GRP.ADDR, ADDR_TYPE.DIST, 0n, 8)]).toEqual([0, BigInt(AT.DIST)]);
    expect([vmm.set(gic, GRP.NR_IRQS, 0, 128), vmm.get(gic, GRP.NR_IRQS, 0)]).toEqual([0, 128n]);
    expect([vmm.set(gic, GRP.CTRL, CTRL.INIT, undefined), vmm.last.vgic?.initialized]).toEqual([0, true]);
  });

  it('a number of 4 bytes leaves what lies behind it', () => {
    const vmm = new Vmm();
    const gic = vmm.device(vmm.vm(), KVM_DEV_TYPE_ARM_VGIC_V3);
    expect(vmm.get(gic, GRP.NR_IRQS, 0, 0xffff_ffff_ffff_ffffn, 8)).toBe(0xffff_ffff_0000_0020n);
  });

  it('a pointer that leads nowhere is EFAULT, with nothing done', () => {
    const vmm = new Vmm();
    const gic = vmm.device(vmm.vm(), KVM_DEV_TYPE_ARM_VGIC_V3);
    const events = vmm.host.trace.record();
    expect(why(events, () => vmm.set(gic, GRP.ADDR, ADDR_TYPE.DIST, undefined))).toContain('EFAULT kvm-vgic/attribute-memory');
    expect(why(events, () => vmm.ioctl(gic, KVM_GET_DEVICE_ATTR, attribute(GRP.NR_IRQS, 0, 0)))).toContain('EFAULT uapi/argument-fault');
    expect(vmm.ioctl(gic, KVM_HAS_DEVICE_ATTR, new Uint8Array(kvm_device_attr.size - 1))).toBe(-EFAULT);
    expect(vmm.get(gic, GRP.ADDR, ADDR_TYPE.DIST, 0n, 8)).toBe(0xffff_ffff_ffff_ffffn);
  });

  it.each([['linux-5.13', false], ['linux-6.1', true]] as const)('%s: another kvm-vfio can be made once the first is closed: %s', (profile, again) => {
    const vmm = new Vmm({ profile });
    const vm = vmm.vm();
    const first = vmm.device(vm, KVM_DEV_TYPE_VFIO);
    expect(vmm.device(vm, KVM_DEV_TYPE_VFIO)).toBe(-EBUSY);
    vmm.process.close(first);
    const second = vmm.device(vm, KVM_DEV_TYPE_VFIO);
    expect(again ? second >= 0 : second === -EBUSY).toBe(true);
  });
});

describe('a caller without an fd left', () => {
  it.each(['linux-5.13', 'linux-6.1'] as const)('%s: gets no kvm-vfio, and one as soon as it has an fd', (profile) => {
    const vmm = new Vmm({ profile });
    const { small, kvm, vm } = vmm.full();
    const request = new Uint8Array(kvm_create_device.size);
    set(request, kvm_create_device.type, KVM_DEV_TYPE_VFIO);
    expect(small.tryIoctl(vm, KVM_CREATE_DEVICE, request)).toBe(-EMFILE);
    small.close(kvm);
    expect(small.tryIoctl(vm, KVM_CREATE_DEVICE, request)).toBe(0);
  });
});

describe('who may use a VM', () => {
  it('a child of fork() has the fds, and EIO from each', () => {
    const vmm = new Booted();
    const child = vmm.process.fork();
    const events = vmm.host.trace.record();
    for (const [fd, request] of [[vmm.vmFd, KVM_CREATE_VCPU], [vmm.vcpus[0]!, KVM_RUN], [vmm.gicFd, KVM_HAS_DEVICE_ATTR]] as const) {
      expect(why(events, () => child.tryIoctl(fd, request, 0))).toBe('EIO kvm/other-process: vmm child asks, the VM is that of vmm');
    }
    expect(child.tryIoctl(vmm.fd, KVM_CREATE_VM, 0)).toBeGreaterThan(0);
  });

  it('a child of the same name is another process all the same', () => {
    const vmm = new Booted();
    const events = vmm.host.trace.record();
    expect(why(events, () => vmm.process.fork('vmm').tryIoctl(vmm.vmFd, KVM_CREATE_VCPU, 0))).toBe('EIO kvm/other-process: vmm asks, the VM is that of vmm');
  });

  it('the VM goes with its last fd, whichever that is', () => {
    const vmm = new Booted();
    const { vmFd, vcpus, gicFd, itsFd } = vmm;
    for (const fd of [vmFd, vcpus[0]!, gicFd, itsFd]) vmm.process.close(fd);
    expect(vmm.kvm.vms).toHaveLength(1);
    vmm.process.close(vcpus[1]!);
    // What is mapped of a vCPU keeps it.
    expect(vmm.kvm.vms).toHaveLength(1);
    for (const run of vmm.runs) run.unmap();
    expect(vmm.kvm.vms).toEqual([]);
  });

  it('a VM whose first KVM_RUN could not map the GIC is dead on 6.1', () => {
    const vmm = new Vmm();
    const vm = vmm.vm();
    const vcpu = vmm.vcpu(vm, 0);
    vmm.device(vm, KVM_DEV_TYPE_ARM_VGIC_V3);
    expect(vmm.run(vcpu)).toBe(-ENXIO);
    const events = vmm.host.trace.record();
    expect(why(events, () => vmm.ioctl(vm, KVM_IRQ_LINE))).toBe('EIO kvm/vm-dead: the first KVM_RUN failed with ENXIO');
    expect([vmm.run(vcpu), vmm.ioctl(vm, KVM_CREATE_VCPU, 1)]).toEqual([-EIO, -EIO]);
  });

  it('an error says which request, on what', () => {
    const vmm = new Vmm();
    const vm = vmm.vm();
    let message = '';
    try {
      vmm.process.ioctl(vm, KVM_CREATE_IRQCHIP);
    } catch (error) {
      if (error instanceof SyscallError) ({ message } = error);
    }
    expect(message).toContain('KVM_CREATE_IRQCHIP');
    expect(message).toContain('anon_inode:kvm-vm');
  });

  it('one /dev/kvm a host', () => {
    const host = new Host();
    const driver = new ItsDriver(host, new Gic(host, { version: 'gicv3', cpus: 1 }));
    expect(new Kvm(host, { driver }).vms).toEqual([]);
    expect(() => new Kvm(host, { driver })).toThrow(RangeError);
  });
});
