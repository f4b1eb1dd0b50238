/** kvm-vfio: which groups a VM uses, told to KVM by the VMM and to VFIO by KVM. */
import {
  Device,
  EBADF,
  EBUSY,
  EEXIST,
  EFAULT,
  EINVAL,
  ENOENT,
  ENXIO,
  GroupFile,
  Process,
  Vfio,
  VfioDevice,
  VFIO_GROUP_UNSET_CONTAINER,
  VFIO_SET_IOMMU,
  VFIO_TYPE1v2_IOMMU,
  VtdIommu,
  getDeviceFd,
  setContainer,
  type ProfileName,
  type Sleeps,
} from '@vsim/vfio-core';
import { describe, expect, it } from 'vitest';
import { KVM_DEV_VFIO_GROUP, KVM_DEV_VFIO_GROUP_ADD as ADD, KVM_DEV_VFIO_GROUP_DEL as DEL, KvmVfio } from '../src/index.ts';
import { Machine } from './machine.ts';

/** Remembers the VM that it was opened for. */
class Card extends VfioDevice {
  openedFor: object | undefined;

  protected override *openDevice(): Sleeps<number> {
    this.openedFor = this.group?.kvm;
    return 0;
  }

  protected override *closeDevice(): Sleeps<void> {
    this.openedFor = undefined;
  }
}

function setUp(profile: ProfileName, coherent = true) {
  const machine = new Machine({ profile });
  const { host, vm } = machine;
  const vfio = new Vfio(host);
  const device = new (class extends Device {})(host, 'card', '/sys/devices/card');
  new VtdIommu(host, { snoopControl: coherent }).addGroup([device], 3);
  const card = new Card(vfio, device);
  host.scheduler.call('register', card.register());
  const process = new Process(host, { name: 'vmm' });
  const container = process.open('/dev/vfio/vfio');
  const group = process.open('/dev/vfio/3');
  const attach = (): void => {
    setContainer(process, group, container);
    process.ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU);
  };
  const kvmVfio = vm.createVfio();
  if (!(kvmVfio instanceof KvmVfio)) throw new Error('no kvm-vfio');
  const act = (attr: number, fd: number | undefined): number => kvmVfio.setAttr(process, KVM_DEV_VFIO_GROUP, attr, fd);
  return { host, vm, vfio, card, process, container, group, attach, kvmVfio, act };
}

const PROFILES = ['linux-5.10', 'linux-5.13', 'linux-6.1', 'linux-6.12'] satisfies ProfileName[];

describe('kvm-vfio', () => {
  it.each(PROFILES)('%s: a VM has one, and it has two attributes', (profile) => {
    const { vm, kvmVfio, process } = setUp(profile);
    expect(vm.createVfio()).toBe(-EBUSY);
    expect([1, 2, 3].map((attr) => kvmVfio.hasAttr(KVM_DEV_VFIO_GROUP, attr))).toEqual([0, 0, -ENXIO]);
    expect(kvmVfio.hasAttr(0, ADD)).toBe(-ENXIO);
    expect(kvmVfio.setAttr(process, 2, ADD, 0)).toBe(-ENXIO);
    expect(kvmVfio.setAttr(process, KVM_DEV_VFIO_GROUP, 3, 0)).toBe(-ENXIO);
  });

  it.each(PROFILES)('%s: a group comes once and goes once; nothing else is one', (profile) => {
    const { act, attach, group, container, process, vfio, vm } = setUp(profile);
    attach();
    expect(act(ADD, undefined)).toBe(-EFAULT);
    expect(act(ADD, 99)).toBe(-EBADF);
    expect(act(ADD, container)).toBe(-EINVAL);
    expect(act(DEL, group)).toBe(-ENOENT);
    expect(act(ADD, group)).toBe(0);
    expect(act(ADD, group)).toBe(-EEXIST);
    expect(act(ADD, process.dup(group))).toBe(-EEXIST);
    expect(vfio.groups[0]?.kvm).toBe(vm);
    expect(act(DEL, container)).toBe(-ENOENT);
    expect(act(DEL, group)).toBe(0);
    expect(vfio.groups[0]?.kvm).toBeUndefined();
    expect(act(DEL, group)).toBe(-ENOENT);
  });

  it.each([
    ['linux-5.13', -EINVAL],
    ['linux-6.1', 0],
  ] as const)('%s: a group without container is %i', (profile, outcome) => {
    const { act, group } = setUp(profile);
    expect(act(ADD, group)).toBe(outcome);
  });

  it.each(PROFILES)('%s: a device that is opened afterwards knows the VM that it serves', (profile) => {
    const { act, attach, group, process, card, vm } = setUp(profile);
    attach();
    expect(act(ADD, group)).toBe(0);
    getDeviceFd(process, group, 'card');
    expect(card.openedFor).toBe(vm);
  });

  it.each(PROFILES)('%s: holds the group until the VM goes, with every counter as it was', (profile) => {
    const { act, attach, group, process, vfio, vm } = setUp(profile);
    attach();
    const before = { references: vfio.groups[0]?.references, users: vfio.groups[0]?.containerUsers };
    expect(act(ADD, group)).toBe(0);
    if (profile === 'linux-5.10' || profile === 'linux-5.13') {
      // A user of the container keeps the group in it.
      expect(process.tryIoctl(group, VFIO_GROUP_UNSET_CONTAINER)).toBe(-EBUSY);
    } else {
      // The file stays open behind the fd's back: nobody else can open the group.
      process.close(group);
      expect(() => process.open('/dev/vfio/3')).toThrow('EBUSY');
    }
    vm.destroy();
    expect(vfio.groups[0]?.kvm).toBeUndefined();
    if (profile === 'linux-5.10' || profile === 'linux-5.13') {
      expect({ references: vfio.groups[0]?.references, users: vfio.groups[0]?.containerUsers }).toEqual(before);
      process.close(group);
    }
    expect(process.open('/dev/vfio/3')).toBeGreaterThan(0);
  });

  it('a group that is taken out while it is told of its VM is out [vfio V23]', () => {
    const { act, attach, group, process, vm, kvmVfio } = setUp('linux-5.13');
    attach();
    const file = process.file(group);
    if (!(file instanceof GroupFile)) throw new Error('no group');
    const answers: number[] = [];
    file.group.listenKvm((kvm) => {
      if (kvm === vm) answers.push(act(DEL, group));
    });
    expect([act(ADD, group), answers, kvmVfio.files, file.group.kvm]).toEqual([0, [0], [], undefined]);
    expect(act(DEL, group)).toBe(-ENOENT);
  });

  it.each(PROFILES)('%s: knows whether DMA snoops', (profile) => {
    for (const coherent of [true, false]) {
      const { act, attach, group, kvmVfio } = setUp(profile, coherent);
      attach();
      expect(kvmVfio.noncoherent).toBe(false);
      expect(act(ADD, group)).toBe(0);
      expect(kvmVfio.noncoherent).toBe(!coherent);
    }
  });
});
