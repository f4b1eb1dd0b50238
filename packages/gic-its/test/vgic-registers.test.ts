/** Registers and device attributes of the virtual GIC and ITS: values, rules of access, and every errno. */
import { Host } from '@vsim/vfio-core';
import { describe, expect, it } from 'vitest';
import { ADDR_TYPE, CREATE_VCPU, CTRL, encode, Gic, GRP, isSysreg, ItsDriver, KvmVm, LEVEL_INFO, OPCODE, SYSREG, type Vgic } from '../src/index.ts';
import { GUEST, Machine, made, type MachineInit } from './machine.ts';

const ALL = (1n << 64n) - 1n;
const DEVICE = 0x10;
const [EBUSY, EEXIST, EINVAL, ENXIO, ENODEV, E2BIG, EFAULT] = [-16, -17, -22, -6, -19, -7, -14];

function machine(init: MachineInit = {}): Machine {
  return new Machine({ version: 'gicv3', ...init });
}

function booted(init: MachineInit = {}): Machine {
  const made = machine(init);
  made.boot();
  return made;
}

/** A VM with two vCPUs and a GIC that is not initialised. */
function bare(): { vm: KvmVm; vgic: Vgic } {
  const host = new Host({ ram: [{ base: 0x8000_0000, size: 0x200_0000 }] });
  const vm = new KvmVm(host, { driver: new ItsDriver(host, new Gic(host, { version: 'gicv4.1', cpus: 1 })) });
  vm.createVcpu();
  vm.createVcpu();
  return { vm, vgic: made(vm.createVgic()) };
}

describe('registers of the virtual ITS', () => {
  it('at creation [gic K-16] [gic 9.2/7] [gic 9.2/8]', () => {
    const vm = machine();
    // PLPIS, 16 DeviceID and EventID bits, ITT entries of 8 bytes, PTA 0, no VLPIS.
    expect(vm.its64(0x8)).toBe(0x1_ef71n);
    expect([vm.its64(0x4), vm.its64(0x0)]).toEqual([0x4b00_043bn, 0x8000_0000n]);
    expect([0x80, 0x88, 0x90].map((offset) => vm.its64(offset))).toEqual([0n, 0n, 0n]);
    expect([vm.its64(0x100), vm.its64(0x108)]).toEqual([0x1907_0000_0000_0600n, 0x1c07_0000_0000_0600n]);
    expect([0xffe0, 0xffe4, 0xffe8, 0xffd0].map((offset) => vm.its64(offset))).toEqual([0x92n, 0xb4n, 0x3bn, 0x40n]);
    expect([0xfff0, 0xfff4, 0xfff8, 0xfffc].map((offset) => vm.its64(offset))).toEqual([0x0dn, 0xf0n, 0x05n, 0xb1n]);
    for (const hole of [0x10, 0x40, 0x78, 0x98, 0xf8, 0x140, 0x1_0000]) expect(vm.its64(hole)).toBe(ENXIO);
  });

  it('CBASER: ignored while enabled, zeroes both pointers, clears [15:12], sanitises attributes [gic K-17] [gic A-16] [gic 11/15]', () => {
    const vm = machine();
    vm.setIts(0x80, ALL);
    vm.setIts(0x88, 0x60n);
    vm.setIts(0x90, 0x40n);
    vm.setIts(0x80, ALL);
    expect([vm.its64(0x80), vm.its64(0x88), vm.its64(0x90)]).toEqual([0xff1f_ffff_ffff_0fffn, 0n, 0n]);
    for (const [share, kept] of [[0n, 0n], [1n, 1n], [2n, 1n], [3n, 3n]] as const) {
      vm.setIts(0x80, share << 10n);
      expect((BigInt(vm.its64(0x80)) >> 10n) & 3n).toBe(kept);
    }
    for (let cacheability = 0n; cacheability < 8n; cacheability += 1n) {
      vm.setIts(0x80, (cacheability << 59n) | (cacheability << 53n));
      const value = BigInt(vm.its64(0x80));
      expect([(value >> 59n) & 7n, (value >> 53n) & 7n]).toEqual([cacheability < 2n ? 3n : cacheability, cacheability >= 2n ? 0n : cacheability]);
    }
    const on = booted();
    const before = on.its64(0x80);
    on.setIts(0x80, 0n);
    expect(on.its64(0x80)).toBe(before);
  });

  it('CWRITER and CREADR: [19:5], within the queue; the guest cannot write CREADR [gic K-18] [gic A-15]', () => {
    const vm = machine();
    expect(vm.setIts(0x88, 0xfffn)).toBe(0);
    expect(vm.its64(0x88)).toBe(0xfe0n);
    // CBASER 0 is a queue of one page; what is beyond leaves the old value.
    expect([vm.setIts(0x88, 0x1000n), vm.its64(0x88)]).toEqual([0, 0xfe0n]);
    expect([vm.setIts(0x90, 0x1000n), vm.setIts(0x90, 0xfffn), vm.its64(0x90)]).toEqual([EINVAL, 0, 0xfe0n]);
    vm.vm.store(vm.vcpu(0), GUEST.ITS + 0x90, 8, 0x20n);
    expect(vm.its64(0x90)).toBe(0xfe0n);
    const on = booted();
    const at = on.its64(0x90);
    expect([on.setIts(0x90, 0n), on.its64(0x90)]).toEqual([EBUSY, at]);
  });

  it('commands run within the write of CWRITER; a queue outside of memory is skipped [gic K-18]', () => {
    const vm = booted();
    vm.mapDevice(DEVICE, [8195]);
    vm.command((to) => encode.event(to, OPCODE.INT, DEVICE, 0));
    expect(vm.vm.lpis.find(8195)!.pendingLatch).toBe(true);
    vm.setIts(0x0, 0n);
    vm.setIts(0x80, (1n << 63n) | 0x7000_0000n);
    vm.setIts(0x0, 1n);
    vm.setIts(0x88, 0x80n);
    expect(vm.its64(0x90)).toBe(0x80n);
  });

  it('BASER0 and BASER1: fixed fields, Valid=0 frees, another address keeps; the others are RAZ/WI [gic K-19]', () => {
    const vm = machine();
    for (let n = 0; n < 8; n += 1) vm.setIts(0x100 + 8 * n, ALL);
    expect([vm.its64(0x100), vm.its64(0x108)]).toEqual([0xf907_ffff_ffff_feffn, 0xbc07_ffff_ffff_feffn]);
    for (let n = 2; n < 8; n += 1) expect(vm.its64(0x100 + 8 * n)).toBe(0n);
    const on = booted();
    on.mapDevice(DEVICE, [8195]);
    on.setIts(0x100, 0n);
    expect(on.msi(DEVICE, 0)).toBe(1);
    on.setIts(0x0, 0n);
    on.setIts(0x100, (1n << 63n) | BigInt(GUEST.DEVICES + 0x8_0000));
    on.setIts(0x0, 1n);
    expect(on.msi(DEVICE, 0)).toBe(1);
    expect([on.saveTables(), on.word(GUEST.DEVICES + 0x8_0000 + DEVICE * 8) >> 63n, on.word(GUEST.DEVICES + DEVICE * 8)]).toEqual([0, 1n, 0n]);
    on.setIts(0x0, 0n);
    on.setIts(0x100, 0n);
    expect(on.its.mappings.devices).toEqual([]);
    on.setIts(0x108, 0n);
    expect(on.its.mappings.collections).toEqual([]);
  });

  it('CTLR: enabled only with valid tables and queue; Quiescent is CREADR = CWRITER [gic K-20] [gic A-19] [gic A-20]', () => {
    const vm = booted();
    expect(vm.its64(0x0)).toBe(0x8000_0001n);
    vm.mapDevice(DEVICE, [8195]);
    vm.msi(DEVICE, 0);
    expect(vm.vm.cache.size).toBe(1);
    vm.setIts(0x0, 0n);
    expect([vm.its64(0x0), vm.vm.cache.size]).toEqual([0x8000_0000n, 0]);
    // Commands that were posted meanwhile run as it is enabled.
    vm.vm.lpis.find(8195)!.pendingLatch = false;
    vm.command((to) => encode.event(to, OPCODE.INT, DEVICE, 0));
    expect([vm.its64(0x0), vm.vm.lpis.find(8195)!.pendingLatch]).toEqual([0n, false]);
    expect(vm.setIts(0x0, 1n)).toBe(0);
    expect([vm.its64(0x0), vm.vm.lpis.find(8195)!.pendingLatch]).toEqual([0x8000_0001n, true]);
    for (const register of [0x80, 0x100, 0x108]) {
      const other = booted();
      const was = BigInt(other.its64(register));
      other.setIts(0x0, 0n);
      other.setIts(register, was & ~(1n << 63n));
      expect(other.setIts(0x0, 1n)).toBe(0);
      expect(BigInt(other.its64(0x0)) & 1n).toBe(0n);
    }
  });

  it('takes 32 or 64 bits of a 64-bit register from the guest, and no store to GITS_TRANSLATER [gic K-21] [gic 3.1/2]', () => {
    const vm = booted();
    const guest = vm.vcpu(0);
    vm.setIts(0x0, 0n);
    vm.vm.store(guest, GUEST.ITS + 0x80, 4, 0x4001_0000n);
    vm.vm.store(guest, GUEST.ITS + 0x84, 4, 0x8000_0000n);
    expect(vm.vm.load(guest, GUEST.ITS + 0x80, 8)).toBe(0x9800_0000_4001_0000n);
    expect([vm.vm.load(guest, GUEST.ITS + 0x80, 4), vm.vm.load(guest, GUEST.ITS + 0x84, 4)]).toEqual([0x4001_0000n, 0x9800_0000n]);
    vm.vm.store(guest, GUEST.ITS + 0x80, 2, 0xffffn);
    expect(vm.vm.load(guest, GUEST.ITS + 0x80, 4)).toBe(0x4001_0000n);
    vm.setIts(0x0, 1n);
    vm.mapDevice(DEVICE, [8195]);
    vm.vm.store(guest, GUEST.ITS + 0x1_0040, 4, 0n);
    expect(vm.vm.lpis.find(8195)!.pendingLatch).toBe(false);
    // The ITS has 128 KiB and no GITS_SGIR, a redistributor 128 KiB and no VLPI frame, also on a GICv4.1.
    const v41 = booted({ version: 'gicv4.1' });
    expect([v41.its.contains(GUEST.ITS + 0x1_ffff), v41.its.contains(GUEST.ITS + 0x2_0020)]).toEqual([true, false]);
    expect([v41.gicr(0, 0x2_0078), v41.vgic.hasAttr(GRP.REDIST_REGS, 0x2_0078)]).toEqual([0n, ENXIO]);
    expect((BigInt(v41.gicr(0, 0x8)) >> 1n) & 1n).toBe(0n);
    // The second redistributor begins where the VLPI frame of the first would be: GICR_TYPER.Processor_Number says so.
    expect((v41.vm.load(v41.vcpu(0), GUEST.REDIST + 0x2_0008, 4) >> 8n) & 0xffffn).toBe(1n);
  });
});

describe('registers of the redistributor', () => {
  it('PROPBASER is one for the VM, PENDBASER one for each vCPU; sanitised, and closed while LPIs are enabled [gic K-24] [gic A-23] [gic A-24] [gic 9.2/9]', () => {
    const vm = machine();
    const both = (cpu: number, offset: number): bigint => BigInt(vm.gicr(cpu, offset)) | (BigInt(vm.gicr(cpu, offset + 4)) << 32n);
    expect([both(0, 0x70), both(0, 0x78), both(1, 0x78)]).toEqual([0x580n, 0x580n, 0x580n]);
    for (const offset of [0x70, 0x74, 0x78, 0x7c]) vm.setGicr(0, offset, 0xffff_ffff);
    expect([both(0, 0x70), both(1, 0x70)]).toEqual([0x000f_ffff_ffff_ff9fn, 0x000f_ffff_ffff_ff9fn]);
    expect([both(0, 0x78), both(1, 0x78)]).toEqual([0x000f_ffff_ffff_0f80n, 0x580n]);
    vm.setGicr(0, 0x70, 0x4002_0801);
    expect(vm.gicr(0, 0x70)).toBe(0x4002_0581n);
    vm.setGicr(0, 0x0, 1);
    vm.setGicr(0, 0x70, 0);
    vm.setGicr(0, 0x78, 0);
    expect([vm.gicr(0, 0x70), vm.gicr(0, 0x78)]).toEqual([0x4002_0581n, 0xffff_0f80n]);
    // Another vCPU, whose LPIs are not enabled, can still change the table of all.
    vm.setGicr(1, 0x70, 0x5000_058f);
    expect(vm.gicr(0, 0x70)).toBe(0x5000_058fn);
  });

  it('PENDBASER.PTZ reads 0 and is kept: EnableLPIs then leaves the table alone [gic A-23]', () => {
    for (const ptz of [false, true]) {
      const vm = booted();
      vm.mapDevice(DEVICE, [8195]);
      vm.setGicr(0, 0x0, 0);
      vm.setPendingBit(0, 8195);
      vm.setGicr(0, 0x7c, ptz ? 0x4000_0000 : 0);
      expect(vm.gicr(0, 0x7c)).toBe(0n);
      vm.setGicr(0, 0x0, 1);
      expect([vm.vm.lpis.find(8195)!.pendingLatch, vm.pendingBit(0, 8195)]).toEqual([!ptz, 1]);
    }
  });

  it('CTLR: EnableLPIs is dropped before there is an ITS; IR and CES by revision [gic A-25] [gic F-V11] [gic 11/18]', () => {
    const { vm, vgic } = bare();
    vgic.setAttr(GRP.CTRL, CTRL.INIT, 0);
    vgic.setAttr(GRP.REDIST_REGS, 0, 1);
    expect(vgic.getAttr(GRP.REDIST_REGS, 0)).toBe(6n);
    expect(BigInt(vgic.getAttr(GRP.REDIST_REGS, 8)) & 1n).toBe(0n);
    const its = made(vm.createIts());
    expect(its.enabled).toBe(false);
    vgic.setAttr(GRP.REDIST_REGS, 0, 1);
    expect([vgic.getAttr(GRP.REDIST_REGS, 0), BigInt(vgic.getAttr(GRP.REDIST_REGS, 8)) & 1n]).toEqual([7n, 1n]);
    vgic.setAttr(GRP.DIST_REGS, 8, 0x4b00_243b);
    expect(vgic.getAttr(GRP.REDIST_REGS, 0)).toBe(1n);
  });

  it('LPIs that stay disabled: every MSI and every forwarding is -EBUSY [gic F-V11]', () => {
    const vm = booted({ version: 'gicv4.1' });
    vm.mapDevice(DEVICE, [8195]);
    vm.setGicr(0, 0x0, 0);
    expect(vm.msi(DEVICE, 0)).toBe(EBUSY);
    const [irq] = vm.driver.allocate(DEVICE, 1, false);
    expect(vm.vector(DEVICE, 0, irq!).connected).toBe(EBUSY);
  });

  it('INVLPIR of what is no LPI, of an unknown one, of the upper half, or with LPIs disabled is ignored; SYNCR reads 0 [gic A-27] [gic K-25]', () => {
    const vm = booted();
    vm.mapDevice(DEVICE, [8195]);
    vm.ram.write8(GUEST.PROPERTIES + 3, 0x50);
    const lpi = vm.vm.lpis.find(8195)!;
    const guest = vm.vcpu(0);
    for (const intid of [0n, 31n, 1023n, 8191n, 8196n, 0xffff_ffffn]) vm.vm.store(guest, GUEST.REDIST + 0xa0, 8, intid);
    vm.vm.store(guest, GUEST.REDIST + 0xa4, 4, 8195n);
    vm.vm.store(guest, GUEST.REDIST + 0xb4, 4, 0n);
    vm.setGicr(0, 0x0, 0);
    vm.vm.store(guest, GUEST.REDIST + 0xa0, 8, 8195n);
    vm.vm.store(guest, GUEST.REDIST + 0xb0, 8, 0n);
    expect([lpi.enabled, lpi.priority, vm.vm.load(guest, GUEST.REDIST + 0xc0, 4)]).toEqual([true, 0xa0, 0n]);
    vm.setGicr(0, 0x0, 1);
    vm.vm.store(guest, GUEST.REDIST + 0xa0, 8, 8195n);
    expect([lpi.enabled, lpi.priority]).toEqual([false, 0x50]);
  });

  it('TYPER: affinity, vCPU number, PLPIS with an ITS, Last; STATUSR reads 0, GICD_STATUSR all ones [gic K-26]', () => {
    const vm = machine({ vcpus: 3 });
    expect([0, 1, 2].map((n) => [vm.gicr(n, 0x8), vm.gicr(n, 0xc)])).toEqual([
      [0x001n, 0n],
      [0x101n, 1n],
      [0x211n, 2n],
    ]);
    expect([vm.gicr(0, 0x10), vm.gicd(0x10)]).toEqual([0n, 0xffff_ffffn]);
  });
});

describe('registers of the distributor', () => {
  it('TYPER, CTLR, TYPER2 [gic K-27]', () => {
    const vm = machine();
    expect([vm.gicd(0x0), vm.gicd(0xc)]).toEqual([0x50n, 0n]);
    vm.setGicd(0, 2);
    expect(vm.gicd(0)).toBe(0x52n);
    // 256 INTIDs; with an ITS LPIS and 16 INTID bits, else 10.
    expect(vm.gicd(0x4)).toBe(BigInt((15 << 19) | (1 << 17) | 7));
    const { vgic } = bare();
    vgic.setAttr(GRP.CTRL, CTRL.INIT, 0);
    expect([vgic.getAttr(GRP.DIST_REGS, 0x4), vgic.getAttr(GRP.DIST_REGS, 0xc)]).toEqual([BigInt((9 << 19) | 7), 0x100n]);
  });

  it('IIDR and TYPER2 are checked, other read-only registers ignore what user space writes [gic A-29] [gic F-V22]', () => {
    const vm = machine();
    expect([vm.setGicd(8, 0x4b00_343b), vm.setGicd(8, 0x4b00_243b), vm.setGicd(8, 0x4b00_343a), vm.setGicd(8, 0x4c00_343b)]).toEqual([0, 0, EINVAL, EINVAL]);
    expect([vm.setGicd(0xc, 0), vm.setGicd(0xc, 0x100)]).toEqual([0, EINVAL]);
    // From a host without vSGIs to one with them, nASSGIcap does not fit; nASSGIreq of the other direction is dropped.
    const v41 = machine({ version: 'gicv4.1' });
    expect([v41.setGicd(0xc, 0x100), v41.setGicd(0xc, 0)]).toEqual([0, EINVAL]);
    expect([v41.setGicd(0, 0x102), v41.gicd(0)]).toEqual([0, 0x152n]);
    expect([vm.setGicd(0, 0x102), vm.gicd(0)]).toEqual([0, 0x52n]);
    const typer = vm.gicd(4);
    expect([vm.setGicd(4, 0), vm.gicd(4)]).toEqual([0, typer]);
  });

  it('ISPENDR takes the latches as given, ICPENDR reads 0 and ignores writes, of user space [gic 5.8/7]', () => {
    const vm = machine();
    vm.setGicd(0x204, 0xff);
    vm.setGicd(0x204, 0x0f);
    vm.setGicd(0x284, 0x03);
    expect([vm.gicd(0x204), vm.gicd(0x284)]).toEqual([0x0fn, 0n]);
    vm.setGicr(0, 0x1_0200, 0xff);
    vm.setGicr(0, 0x1_0200, 0xf0);
    vm.setGicr(0, 0x1_0280, 0xffff);
    expect([vm.gicr(0, 0x1_0200), vm.gicr(0, 0x1_0280)]).toEqual([0xf0n, 0n]);
    // The guest's writes are those of the architecture.
    vm.vm.store(vm.vcpu(0), GUEST.REDIST + 0x1_0280, 4, 0x30n);
    expect(vm.gicr(0, 0x1_0200)).toBe(0xc0n);
  });
});

describe('attributes of the GICv3', () => {
  it('INIT: after all vCPUs exist, again without effect [gic 5.8/1] [gic F-V12]', () => {
    const { vm, vgic } = bare();
    expect(vgic.getAttr(GRP.DIST_REGS, 0)).toBe(EBUSY);
    vm.host.scheduler.stopAt(CREATE_VCPU);
    vm.host.scheduler.spawn('KVM_CREATE_VCPU', vm.createVcpuSlowly());
    expect(vgic.setAttr(GRP.CTRL, CTRL.INIT, 0)).toBe(EBUSY);
    vm.host.scheduler.release(CREATE_VCPU);
    expect(vgic.setAttr(GRP.CTRL, CTRL.INIT, 0)).toBe(0);
    const { itsVm } = vm;
    expect(itsVm?.vpes.length).toBe(3);
    expect([vgic.setAttr(GRP.CTRL, CTRL.INIT, 0), vm.itsVm]).toEqual([0, itsVm]);
    expect(vgic.getAttr(GRP.DIST_REGS, 0)).toBe(0x50n);
  });

  it('SAVE_PENDING_TABLES: -ENXIO before INIT, without a side effect; -EBUSY; 0 without any ITS [gic 5.8/4] [gic A-21] [gic P4-T3] [gic 1.4/1] [gic F-V12]', () => {
    const { vm, vgic } = bare();
    const events = vm.host.trace.record();
    expect(vgic.setAttr(GRP.CTRL, CTRL.SAVE_PENDING_TABLES, 0)).toBe(ENXIO);
    expect(events.map(({ id }) => id)).toEqual(['kvm-vgic/not-initialised']);
    expect(vgic.setAttr(GRP.CTRL, CTRL.INIT, 0)).toBe(0);
    expect(vgic.setAttr(GRP.CTRL, CTRL.SAVE_PENDING_TABLES, 0)).toBe(0);
    vgic.setAttr(GRP.ADDR, ADDR_TYPE.DIST, GUEST.DIST);
    vgic.setAttr(GRP.ADDR, ADDR_TYPE.REDIST, GUEST.REDIST);
    expect(vm.vcpus[1]!.run(0)).toBe(0);
    expect(vgic.setAttr(GRP.CTRL, CTRL.SAVE_PENDING_TABLES, 0)).toBe(EBUSY);
    // What is not a GICv3's attribute is unknown.
    expect(vgic.setAttr(GRP.CTRL, CTRL.ITS_SAVE_TABLES, 0)).toBe(ENXIO);
  });

  it('ADDR: twice, not aligned, wrapping, beyond the IPA range, a bad pointer, unknown, on the distributor [gic 5.8/5]', () => {
    const { vgic } = bare();
    const set = (type: number, address: bigint | undefined): number => vgic.setAttr(GRP.ADDR, type, address);
    expect([set(ADDR_TYPE.DIST, 0x800_1000n), set(ADDR_TYPE.DIST, 0xffff_ffff_ffff_0000n), set(ADDR_TYPE.DIST, 1n << 40n)]).toEqual([EINVAL, EINVAL, E2BIG]);
    expect([set(ADDR_TYPE.DIST, undefined), set(9, 0n)]).toEqual([EFAULT, ENXIO]);
    // Two redistributors of 128 KiB do not fit below the limit.
    expect(set(ADDR_TYPE.REDIST, (1n << 40n) - 0x2_0000n)).toBe(E2BIG);
    expect([set(ADDR_TYPE.DIST, 0x4000_0000n), set(ADDR_TYPE.REDIST, 0x4000_0000n), set(ADDR_TYPE.DIST, 0x5000_0000n)]).toEqual([0, EINVAL, EEXIST]);
    expect(vgic.getAttr(GRP.ADDR, ADDR_TYPE.DIST)).toBe(0x4000_0000n);
    const vm = machine();
    const its = made(vm.vm.createIts());
    expect([its.setAttr(GRP.ADDR, 9, 0), its.setAttr(GRP.ADDR, ADDR_TYPE.ITS, undefined), its.setAttr(GRP.ADDR, ADDR_TYPE.ITS, GUEST.RAM)]).toEqual([ENODEV, EFAULT, 0]);
    expect(its.setAttr(GRP.ADDR, ADDR_TYPE.ITS, 0x900_0000)).toBe(EEXIST);
  });

  it('NR_IRQS: 64 to 1023 in steps of 32, once, before INIT [gic 5.8/6] [gic A-30]', () => {
    const { vgic } = bare();
    for (const count of [0, 32, 63, 65, 1024, 1056]) expect(vgic.setAttr(GRP.NR_IRQS, 0, count)).toBe(EINVAL);
    expect([vgic.setAttr(GRP.NR_IRQS, 0, 96), vgic.setAttr(GRP.NR_IRQS, 0, 96), vgic.getAttr(GRP.NR_IRQS, 0)]).toEqual([0, EBUSY, 96n]);
    const other = bare().vgic;
    other.setAttr(GRP.CTRL, CTRL.INIT, 0);
    expect(other.setAttr(GRP.NR_IRQS, 0, 96)).toBe(EBUSY);
    expect(bare().vgic.setAttr(GRP.NR_IRQS, 0, 992)).toBe(0);
  });

  it('DIST_REGS and REDIST_REGS: 32 bits, unknown MPIDR, holes, misaligned, before INIT, running [gic 5.8/7] [gic F-V12]', () => {
    const { vgic } = bare();
    expect([vgic.getAttr(GRP.DIST_REGS, 0), vgic.getAttr(GRP.REDIST_REGS, 0), vgic.setAttr(GRP.DIST_REGS, 0, 0)]).toEqual([EBUSY, EBUSY, EBUSY]);
    const vm = machine();
    expect([vm.gicr(2, 0), vm.setGicr(2, 0, 0)]).toEqual([EINVAL, EINVAL]);
    // vgic_uaccess(): where there is no register it is zero, and HAS tells that there is none.
    expect([vm.gicd(0x2), vm.gicd(0x40), vm.gicr(0, 0x72), vm.gicr(0, 0x90), vm.gicd(0x1_0000)]).toEqual([0n, 0n, 0n, 0n, 0n]);
    expect([vm.setGicd(0x40, 1), vm.setGicr(0, 0x90, 1), vm.setGicd(0x204 + 0x40, 1)]).toEqual([0, 0, 0]);
    expect([0x0, 0x2, 0x40].map((offset) => vm.vgic.hasAttr(GRP.DIST_REGS, offset))).toEqual([0, ENXIO, ENXIO]);
    expect(vm.vgic.setAttr(GRP.DIST_REGS, 0, undefined)).toBe(EFAULT);
    vm.vcpu(1).run(0);
    expect([vm.gicd(0), vm.setGicr(0, 0, 0)]).toEqual([EBUSY, EBUSY]);
  });

  it('LEVEL_INFO: 32 lines from a multiple of 32; no LPIs [gic 5.8/9]', () => {
    const vm = machine();
    const { vgic } = vm;
    for (const intid of [1, 40, 1000]) expect(vgic.getAttr(GRP.LEVEL_INFO, intid)).toBe(EINVAL);
    expect(vgic.getAttr(GRP.LEVEL_INFO, 1 << LEVEL_INFO.INFO_SHIFT)).toBe(EINVAL);
    expect([vgic.hasAttr(GRP.LEVEL_INFO, 32), vgic.hasAttr(GRP.LEVEL_INFO, 1 << LEVEL_INFO.INFO_SHIFT)]).toEqual([0, ENXIO]);
    expect([vgic.setAttr(GRP.LEVEL_INFO, 32, 0x8000_0001), vgic.getAttr(GRP.LEVEL_INFO, 32), vgic.getAttr(GRP.LEVEL_INFO, 64)]).toEqual([0, 0x8000_0001n, 0n]);
    // Private ones are the vCPU's. 10 bits of INTID: an LPI cannot even be named.
    vgic.setAttr(GRP.LEVEL_INFO, 1n << 32n, 1 << 27);
    expect([vgic.getAttr(GRP.LEVEL_INFO, 0), vgic.getAttr(GRP.LEVEL_INFO, 1n << 32n)]).toEqual([0n, BigInt(1 << 27)]);
    // A line that is up makes a level-sensitive interrupt pending for the guest; a VMM sees the latch alone.
    expect([vm.vm.load(vm.vcpu(1), GUEST.REDIST + 0x3_0200, 4), vm.gicr(1, 0x1_0200)]).toEqual([BigInt(1 << 27), 0n]);
    expect(vgic.getAttr(GRP.LEVEL_INFO, 8192)).toBe(EINVAL);
    vm.vcpu(0).run(0);
    expect(vgic.getAttr(GRP.LEVEL_INFO, 32)).toBe(EBUSY);
  });

  it('CPU_SYSREGS: known registers alone', () => {
    const vm = machine();
    expect([isSysreg(SYSREG.ICC_PMR_EL1), vm.vgic.hasAttr(GRP.CPU_SYSREGS, SYSREG.ICC_PMR_EL1), vm.vgic.hasAttr(GRP.CPU_SYSREGS, 0)]).toEqual([true, 0, ENXIO]);
  });
});

describe('attributes of the ITS', () => {
  it('INIT does nothing, before the address and the GIC\'s INIT too [gic 5.8/2]', () => {
    const { vm } = bare();
    const its = made(vm.createIts());
    const events = vm.host.trace.record();
    expect([its.setAttr(GRP.CTRL, CTRL.INIT, 0), events]).toEqual([0, []]);
  });

  it('SAVE, RESTORE and RESET: 0 before the address, -EBUSY with a vCPU running; an unknown one is 0, and unknown [gic 5.8/3] [gic A-13]', () => {
    const vm = machine();
    const its = made(vm.vm.createIts());
    const calls = [CTRL.ITS_SAVE_TABLES, CTRL.ITS_RESTORE_TABLES, CTRL.ITS_RESET, 77];
    expect(calls.map((attr) => its.setAttr(GRP.CTRL, attr, 0))).toEqual([0, 0, 0, 0]);
    expect(calls.map((attr) => its.hasAttr(GRP.CTRL, attr))).toEqual([0, 0, 0, ENXIO]);
    vm.vcpu(1).run(0);
    expect(calls.map((attr) => its.setAttr(GRP.CTRL, attr, 0))).toEqual([EBUSY, EBUSY, EBUSY, EBUSY]);
    expect(its.setAttr(GRP.CTRL, CTRL.INIT, 0)).toBe(0);
  });

  it('RESET: BASERs keep all but Valid, pointers and CTLR are 0, lists empty; memory and GICR stay [gic A-12] [gic 5.8/3]', () => {
    const vm = booted();
    vm.mapDevice(DEVICE, [8195]);
    vm.saveTables();
    const [dte, propbaser] = [vm.word(GUEST.DEVICES + DEVICE * 8), vm.gicr(0, 0x70)];
    const baser = [0x100, 0x108].map((offset) => BigInt(vm.its64(offset)) & ~(1n << 63n));
    expect(vm.its.setAttr(GRP.CTRL, CTRL.ITS_RESET, 0)).toBe(0);
    expect([vm.its64(0x8), vm.its64(0x4), vm.its64(0x0)]).toEqual([0x1_ef71n, 0x4b00_043bn, 0x8000_0000n]);
    expect([0x100, 0x108].map((offset) => vm.its64(offset))).toEqual(baser);
    expect([0x80, 0x88, 0x90].map((offset) => vm.its64(offset))).toEqual([0n, 0n, 0n]);
    expect([vm.its.mappings.devices.length, vm.its.mappings.collections.length]).toEqual([0, 0]);
    expect(vm.msi(DEVICE, 0)).toBe(EBUSY);
    expect([vm.word(GUEST.DEVICES + DEVICE * 8), vm.gicr(0, 0x70), vm.gicr(0, 0)]).toEqual([dte, propbaser, 7n]);
  });

  it('ITS_REGS: alignment, holes, before the address, running; IIDR chooses ABI 0 alone [gic 5.8/8] [gic A-17] [gic A-18] [gic F-V12]', () => {
    const vm = booted();
    expect([vm.its64(0x0c), vm.its64(0x84), vm.its64(0x2), vm.its64(0xffe2), vm.its64(0x40)]).toEqual([EINVAL, EINVAL, EINVAL, EINVAL, ENXIO]);
    expect(vm.its64(0x4)).toBe(0x4b00_043bn);
    expect([vm.setIts(0x4, 0x4b00_143bn), vm.setIts(0x4, 0x4b00_043bn), vm.setIts(0x4, 0n)]).toEqual([EINVAL, 0, 0]);
    const other = made(vm.vm.createIts());
    expect([other.getAttr(GRP.ITS_REGS, 0), other.setAttr(GRP.ITS_REGS, 0x80, 0n)]).toEqual([ENXIO, ENXIO]);
    expect(vm.its.setAttr(GRP.ITS_REGS, 0x80, undefined)).toBe(EFAULT);
    vm.mapDevice(DEVICE, [8195]);
    vm.vcpu(0).run(0);
    expect([vm.its64(0x0), vm.setIts(0x88, 0n)]).toEqual([EBUSY, EBUSY]);
    // With a vCPU running only INIT, HAS_ATTR, the address and MSIs work.
    expect([vm.its.hasAttr(GRP.ITS_REGS, 0x80), vm.its.getAttr(GRP.ADDR, ADDR_TYPE.ITS), vm.msi(DEVICE, 0)]).toEqual([0, BigInt(GUEST.ITS), 1]);
  });
});
