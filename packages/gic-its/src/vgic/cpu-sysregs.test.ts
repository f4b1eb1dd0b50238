import { EBUSY, EINVAL, ENOENT, ENXIO } from '@vsim/vfio-core';
import { expect, it } from 'vitest';
import { Machine } from '../../test/machine.ts';
import { SYSREG } from './cpu-sysregs.ts';
import { GRP } from './uapi.ts';

const of = (cpu: number, register: number) => (BigInt(cpu) << 32n) | BigInt(register);

it('carries the CPU interface of a vCPU from one VM to another', () => {
  const from = new Machine();
  const vcpu = from.vcpu(1);
  vcpu.setPriorityMask(0xb7);
  vcpu.setGroup1(true);
  vcpu.run(0);
  vcpu.stop();
  const to = new Machine();
  for (const register of Object.values(SYSREG)) {
    const value = from.vgic.getAttr(GRP.CPU_SYSREGS, of(1, register));
    expect(typeof value).toBe('bigint');
    expect(to.vgic.setAttr(GRP.CPU_SYSREGS, of(1, register), value)).toBe(0);
    expect(to.vgic.getAttr(GRP.CPU_SYSREGS, of(1, register))).toBe(value);
  }
  expect(to.vgic.getAttr(GRP.CPU_SYSREGS, of(1, SYSREG.ICC_PMR_EL1))).toBe(0xb0n);
  expect(to.vgic.getAttr(GRP.CPU_SYSREGS, of(1, SYSREG.ICC_IGRPEN1_EL1))).toBe(1n);
  expect(to.vgic.getAttr(GRP.CPU_SYSREGS, of(0, SYSREG.ICC_IGRPEN1_EL1))).toBe(0n);
});

it('refuses what is not a register, not a vCPU, not a value, or not the time', () => {
  const { vgic, vm } = new Machine();
  expect(vgic.hasAttr(GRP.CPU_SYSREGS, SYSREG.ICC_PMR_EL1)).toBe(0);
  expect(vgic.hasAttr(GRP.CPU_SYSREGS, 0xc64c)).toBe(-ENXIO);
  // Before 6.0 it was -ENXIO here, too.
  expect(vgic.getAttr(GRP.CPU_SYSREGS, of(0, 0xc64c))).toBe(-ENOENT);
  expect(vgic.setAttr(GRP.CPU_SYSREGS, of(0, 0), 0)).toBe(-ENOENT);
  expect(new Machine({ profile: 'linux-5.13' }).vgic.getAttr(GRP.CPU_SYSREGS, of(0, 0xc64c))).toBe(-ENXIO);
  expect(vgic.getAttr(GRP.CPU_SYSREGS, of(2, SYSREG.ICC_PMR_EL1))).toBe(-EINVAL);
  expect(vgic.setAttr(GRP.CPU_SYSREGS, of(0, SYSREG.ICC_SRE_EL1), 0)).toBe(-EINVAL);
  expect(vgic.setAttr(GRP.CPU_SYSREGS, of(0, SYSREG.ICC_CTLR_EL1), 0x700)).toBe(-EINVAL);
  vm.vcpus[1]!.run(1);
  expect(vgic.getAttr(GRP.CPU_SYSREGS, of(0, SYSREG.ICC_PMR_EL1))).toBe(-EBUSY);
  expect(vgic.setAttr(GRP.CPU_SYSREGS, of(0, SYSREG.ICC_PMR_EL1), 0)).toBe(-EBUSY);
});

it('active priorities: one register a group; the other three are there and cannot be read', () => {
  const { vgic } = new Machine();
  const aprs = [0xc644, 0xc645, 0xc646, 0xc647, 0xc648, 0xc649, 0xc64a, 0xc64b];
  expect(aprs.map((register) => vgic.hasAttr(GRP.CPU_SYSREGS, register))).toEqual(aprs.map(() => 0));
  expect(aprs.map((register) => vgic.setAttr(GRP.CPU_SYSREGS, register, 0x11))).toEqual([0, -EINVAL, -EINVAL, -EINVAL, 0, -EINVAL, -EINVAL, -EINVAL]);
  expect(aprs.map((register) => vgic.getAttr(GRP.CPU_SYSREGS, register))).toEqual([0x11n, -EINVAL, -EINVAL, -EINVAL, 0x11n, -EINVAL, -EINVAL, -EINVAL]);
});

it('active priorities of both groups go where the vCPU runs, and come back', () => {
  const { vgic, vm } = new Machine();
  vgic.setAttr(GRP.CPU_SYSREGS, SYSREG.ICC_AP0R0_EL1, 0x3);
  vgic.setAttr(GRP.CPU_SYSREGS, SYSREG.ICC_AP1R0_EL1, 0x5);
  vm.vcpus[0]!.run(1);
  const { virtual } = vm.driver.gic.cpu(1);
  expect([virtual.read('ICH_AP0R0_EL2'), virtual.read('ICH_AP1R0_EL2')]).toEqual([3n, 5n]);
  vm.vcpus[0]!.stop();
  expect([vgic.getAttr(GRP.CPU_SYSREGS, SYSREG.ICC_AP0R0_EL1), vgic.getAttr(GRP.CPU_SYSREGS, SYSREG.ICC_AP1R0_EL1)]).toEqual([3n, 5n]);
});
