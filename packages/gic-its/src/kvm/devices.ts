/** The kinds of device of KVM_CREATE_DEVICE as their fds see them: what width an attribute's data has, and who answers. */
import type { Process } from '@vsim/vfio-core';
import type { KvmVfio } from '../vgic/kvm-vfio.ts';
import { ADDR_TYPE, GRP } from '../vgic/uapi.ts';
import type { AttributeAccess, KvmDevice } from './device-file.ts';

/** The attributes of the GIC and of the ITS, whose data is a number. */
export interface RegisterDevice {
  hasAttr(group: number, attr: bigint): number;
  setAttr(group: number, attr: bigint, value: bigint | undefined): number;
  getAttr(group: number, attr: bigint, value?: bigint): bigint | number;
}

/** Groups whose data is 8 bytes; of the others it is 4, and of CTRL none. Kernel: get_user() of vgic-kvm-device.c, vgic-its.c */
const WIDE: readonly number[] = [GRP.ADDR, GRP.CPU_SYSREGS, GRP.ITS_REGS];

export function registerDevice(name: string, device: RegisterDevice): KvmDevice {
  const widthOf = ({ group }: AttributeAccess): 4 | 8 => (WIDE.includes(group) ? 8 : 4);
  return {
    name,
    hasAttr: (group, attr) => device.hasAttr(group, attr),
    setAttr: (_process, access) => device.setAttr(access.group, access.attr, access.group === GRP.CTRL ? 0n : access.read(widthOf(access))),
    getAttr: (access) => {
      // Which of the regions is asked for stands where the answer goes.
      const asks = access.group === GRP.ADDR && access.attr === BigInt(ADDR_TYPE.REDIST_REGION);
      const value = device.getAttr(access.group, access.attr, asks ? access.read(8) : undefined);
      return typeof value === 'number' ? value : access.write(widthOf(access), value);
    },
  };
}

/** @param destroy the VM is without it @param closes that happens when the fd is closed, too */
export function vfioDevice(vfio: KvmVfio, destroy: () => void, closes: boolean): KvmDevice {
  return {
    name: 'kvm-vfio',
    hasAttr: (group, attr) => vfio.hasAttr(group, Number(attr)),
    setAttr: (process: Process, access) => {
      const fd = access.read(4);
      return vfio.setAttr(process, access.group, Number(access.attr), fd === undefined ? undefined : Number(BigInt.asIntN(32, fd)));
    },
    getAttr: undefined,
    released: () => {
      if (closes) destroy();
    },
    undone: destroy,
  };
}
