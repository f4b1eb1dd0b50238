/** What a user gets wrong with a VM, its GIC or its ITS, and what a guest gets wrong with its ITS: one reason each, with what decided. */
import { EventFdContext, Host, IrqBypassManager, Process, set, type ProfileName, type TraceEvent } from '@vsim/vfio-core';
import { describe, expect, it } from 'vitest';
import { why } from '../../../testing/why.ts';
import {
  ADDR_TYPE,
  CREATE_VCPU,
  CTRL,
  encode,
  Gic,
  GRP,
  ItsDriver,
  KVM_CREATE_VCPU,
  KVM_GET_ONE_REG,
  KvmVm,
  OPCODE,
  REGION,
  SYSREG,
  kvm_one_reg,
  type GicVersion,
  type Vgic,
} from '../src/index.ts';
import { Vmm } from './kvm-fds.ts';
import { GUEST, Machine, made, type MachineInit } from './machine.ts';

const DEVICE = 0x10;
const DOORBELL = GUEST.ITS + 0x1_0040;
const ITT = GUEST.ITT + DEVICE * 0x1000;

interface Bare {
  readonly vm: KvmVm;
  readonly vgic: Vgic;
  readonly events: readonly TraceEvent[];
}

/** A VM with two vCPUs and a GIC that is not initialised. */
function bare(profile?: ProfileName, version: GicVersion = 'gicv3'): Bare {
  const vm = empty(profile, version);
  made(vm.createVcpu());
  made(vm.createVcpu());
  const vgic = made(vm.createVgic());
  return { vm, vgic, events: vm.host.trace.record() };
}

function empty(profile?: ProfileName, version: GicVersion = 'gicv3'): KvmVm {
  const host = new Host({ profile, ram: [{ base: 0x8000_0000, size: 0x200_0000 }] });
  return new KvmVm(host, { driver: new ItsDriver(host, new Gic(host, { version, cpus: 2 })), irqBypass: new IrqBypassManager() });
}

function booted(init: MachineInit = {}): { machine: Machine; events: readonly TraceEvent[] } {
  const machine = new Machine({ version: 'gicv3', ...init });
  machine.boot();
  machine.mapDevice(DEVICE, [8195, 8196]);
  return { machine, events: machine.host.trace.record() };
}

describe('a VMM that', () => {
  it('creates vCPUs with ids that are too high, taken, or late', () => {
    const { vm, vgic, events } = bare();
    expect(why(events, () => vm.createVcpu(512))).toBe('EINVAL kvm/vcpu-id: vcpu id 512 of a vm with 2 vcpus: both are below 512');
    expect(why(events, () => vm.createVcpu(1))).toBe('EEXIST kvm/vcpu-taken: the vcpu that was created as number 1 has id 1');
    vgic.setAttr(GRP.CTRL, CTRL.INIT, 0);
    expect(why(events, () => vm.createVcpu(2))).toBe('EBUSY kvm/vcpu-late: vcpu 2 comes after the vgic was initialised');
  });

  it('makes the GIC twice, or too late', () => {
    const { vm, events } = bare();
    expect(why(events, () => vm.createVgic())).toBe('EEXIST kvm/vgic-exists: there is a vgic: no second KVM_DEV_TYPE_ARM_VGIC_V3');
    const other = empty();
    const vcpu = made(other.createVcpu(7));
    vcpu.run(0);
    const told = other.host.trace.record();
    expect(why(told, () => other.createVgic())).toBe('EBUSY kvm/vgic-late: vcpu 7 runs');
    vcpu.stop();
    expect(why(told, () => other.createVgic())).toBe('EBUSY kvm/vgic-late: vcpu 7 has run');
  });

  it.each([['linux-6.12', false], ['linux-7.3', true]] as const)('%s: makes the GIC while a vCPU is being made', (profile, refused) => {
    const vm = empty(profile);
    const events = vm.host.trace.record();
    vm.host.scheduler.stopAt(CREATE_VCPU);
    vm.host.scheduler.spawn('KVM_CREATE_VCPU', vm.createVcpuSlowly());
    if (refused) expect(why(events, () => vm.createVgic())).toBe('EBUSY kvm/vgic-late: vcpu 0 is being created');
    else expect(why(events, () => made(vm.createVgic()).setAttr(GRP.CTRL, CTRL.INIT, 0))).toBe('EBUSY kvm-vgic/vcpu-in-creation: a vcpu is being created beside 0');
    vm.host.scheduler.release(CREATE_VCPU);
  });

  it('has no memory for vPEs', () => {
    const { vm, vgic, events } = bare(undefined, 'gicv4.1');
    const { pages } = vm.host;
    for (let run = pages.allocate(16); run !== undefined; run = pages.allocate(16)) run.get();
    expect(why(events, () => vgic.setAttr(GRP.CTRL, CTRL.INIT, 0))).toBe('ENOMEM kvm/no-vpes: no vpes for 2 vcpus');
  });

  it('makes a second kvm-vfio device, or asks it for what it has not', () => {
    const { vm, events } = bare();
    const vfio = made(vm.createVfio());
    const process = new Process(vm.host, { name: 'vmm' });
    expect(why(events, () => vm.createVfio())).toBe('EBUSY kvm/vfio-exists: there is a kvm-vfio device, with 0 groups');
    expect(why(events, () => vfio.setAttr(process, 1, 1, 9))).toBe('EBADF kvm/vfio-group: fd 9 for attribute 1');
    expect(why(events, () => vfio.setAttr(process, 1, 2, undefined))).toBe('EFAULT kvm/vfio-group: fd -1 for attribute 2');
    expect(why(events, () => vfio.hasAttr(1, 3))).toBe('ENXIO kvm/vfio-group: fd -1 for attribute 3');
  });

  it('runs a vCPU without addresses, and goes on [M3]', () => {
    const { vm, vgic, events } = bare();
    vgic.setAttr(GRP.ADDR, ADDR_TYPE.REDIST, GUEST.REDIST);
    const [vcpu] = vm.vcpus;
    expect(why(events, () => vcpu!.run(0))).toBe('ENXIO kvm-vgic/no-address: the distributor has no address');
    expect(why(events, () => vcpu!.run(0))).toBe('EIO kvm/vm-dead: the first KVM_RUN failed with ENXIO');
    const other = bare();
    other.vgic.setAttr(GRP.ADDR, ADDR_TYPE.DIST, GUEST.DIST);
    expect(why(other.events, () => other.vm.vcpus[0]!.run(0))).toBe('ENXIO kvm-vgic/no-address: the redistributor of vcpu 0 has no address');
  });

  it('puts the distributor on redistributors, or does not initialise the GIC [M3]', () => {
    const { vm, vgic, events } = bare();
    vgic.setAttr(GRP.ADDR, ADDR_TYPE.REDIST, 0);
    vgic.setAttr(GRP.ADDR, ADDR_TYPE.DIST, 0x1_0000);
    const overlap = 'redistributors of region 0 at 0x0, 0x40000 bytes; distributor at 0x10000';
    expect(why(events, () => vm.createVcpu(2))).toBe(`EINVAL kvm-vgic/frames-overlap: ${overlap}`);
    expect(why(events, () => vm.vcpus[0]!.run(0))).toBe(`EINVAL kvm-vgic/frames-overlap: ${overlap}`);
    const other = bare();
    other.vgic.setAttr(GRP.ADDR, ADDR_TYPE.REDIST, 0);
    other.vgic.setAttr(GRP.ADDR, ADDR_TYPE.DIST, 0x10_0000);
    expect(why(other.events, () => other.vm.vcpus[0]!.run(0))).toBe('EBUSY kvm-vgic/not-initialised: KVM_RUN: the vgic is not initialised');
  });

  it('sends MSIs and makes irqfds that nobody takes', () => {
    const { vm, vgic, events } = bare();
    const eventfd = new EventFdContext('a');
    expect(why(events, () => vm.signalMsi(DOORBELL, 0, 2, 0))).toBe('EINVAL kvm/msi-refused: msi to 0x8090040 with flags 0x2');
    expect(why(events, () => vm.signalMsi(DOORBELL, 3, 1, 5))).toBe('ENODEV kvm/msi-address: msi to 0x8090040, device 0x5, event 3: 0 itss');
    expect(why(events, () => vm.irqfd(eventfd, 4, 8))).toBe('EINVAL kvm/irqfd: irqfd for gsi 4 with flags 0x8');
    expect(why(events, () => vm.irqfd(eventfd, 4))).toBe('EAGAIN kvm-vgic/not-initialised: KVM_IRQFD: the vgic is not initialised');
    vgic.setAttr(GRP.CTRL, CTRL.INIT, 0);
    vm.irqfd(eventfd, 4);
    expect(why(events, () => vm.irqfd(eventfd, 5))).toBe('EBUSY kvm/irqfd: irqfd for gsi 5 with flags 0x0');
    made(vm.createIts());
    expect(why(events, () => vm.signalMsi(DOORBELL, 3, 0, 5))).toBe('EINVAL kvm/msi-address: msi to 0x8090040, no device, event 3: 1 itss');
  });

  it('sends MSIs that the guest does not take', () => {
    const { machine, events } = booted();
    const seen = events.length;
    expect([machine.msi(DEVICE, 9), machine.msi(77, 0)]).toEqual([0, 0]);
    expect(events.slice(seen).map(({ id, text }) => `${id}: ${text}`)).toEqual([
      'kvm-its/unmapped: msi of device 0x10, event 9: no event',
      'kvm-its/unmapped: msi of device 0x4d, event 0: no device',
    ]);
    machine.setGicr(1, 0, 0);
    expect(why(events, () => machine.msi(DEVICE, 1))).toBe('EBUSY kvm-its/lpis-off: vcpu 1 takes no lpis: lpi 8196 of device 0x10, event 1');
    machine.setIts(0, 0n);
    expect(why(events, () => machine.msi(DEVICE, 0))).toBe('EBUSY kvm-its/off: its 0 is off: device 0x10, event 0');
  });

  it('names attributes, vCPUs and registers that there are not', () => {
    const { vgic, events, vm } = bare();
    const its = made(vm.createIts());
    expect(why(events, () => vgic.setAttr(GRP.ADDR, 9, 0))).toBe('ENXIO kvm-vgic/attribute-unknown: vgic has no attribute 0x9 in group 0 to set');
    expect(why(events, () => vgic.hasAttr(77, 1))).toBe('ENXIO kvm-vgic/attribute-unknown: vgic has no attribute 0x1 in group 77 to have');
    expect(why(events, () => its.getAttr(GRP.ADDR, 9))).toBe('ENODEV kvm-vgic/attribute-unknown: its 0 has no attribute 0x9 in group 0 to get');
    expect(why(events, () => vgic.setAttr(GRP.NR_IRQS, 0, undefined))).toBe('EFAULT kvm-vgic/attribute-memory: vgic: the value of attribute 0x0 in group 3 cannot be read');
    expect(why(events, () => vgic.getAttr(GRP.REDIST_REGS, 16n << 32n))).toBe('EINVAL kvm-vgic/no-vcpu: no vcpu with affinity 0x10 for group 5');
    expect(why(events, () => vgic.getAttr(GRP.DIST_REGS, 0))).toBe('EBUSY kvm-vgic/not-initialised: register: the vgic is not initialised');
    expect(why(events, () => its.getAttr(GRP.ITS_REGS, 0))).toBe('ENXIO kvm-vgic/no-address: the its 0 has no address');
    vgic.setAttr(GRP.CTRL, CTRL.INIT, 0);
    expect(why(events, () => vgic.hasAttr(GRP.DIST_REGS, 0x40))).toBe('ENXIO kvm-vgic/no-register: distributor has no register at 0x40');
    expect(why(events, () => vgic.hasAttr(GRP.REDIST_REGS, 0x2))).toBe('ENXIO kvm-vgic/no-register: redistributor has no register at 0x2');
    expect(why(events, () => vgic.getAttr(GRP.CPU_SYSREGS, 0x1))).toBe('ENOENT kvm-vgic/no-register: cpu interface has no register at 0x1');
    expect(why(events, () => its.getAttr(GRP.ITS_REGS, 0x84))).toBe('EINVAL kvm-vgic/no-register: its 0 has no register at 0x84');
    expect(why(events, () => vgic.getAttr(GRP.LEVEL_INFO, 33))).toBe('EINVAL kvm-vgic/level-info: level info 0x21');
  });

  it('writes what these registers cannot become', () => {
    const { machine, events } = booted();
    const { vgic, its } = machine;
    expect(why(events, () => machine.setGicd(8, 0x4b00_143b))).toBe('EINVAL kvm-vgic/register-value: GICD_IIDR cannot become 0x4b00143b: 0x4b00343b');
    expect(why(events, () => machine.setGicd(0xc, 1))).toBe('EINVAL kvm-vgic/register-value: GICD_TYPER2 cannot become 0x1: 0x0');
    expect(why(events, () => vgic.setAttr(GRP.CPU_SYSREGS, SYSREG.ICC_SRE_EL1, 0))).toBe('EINVAL kvm-vgic/register-value: ICC_SRE_EL1 cannot become 0x0: 0x7');
    expect(why(events, () => its.setAttr(GRP.ITS_REGS, 4, 0x1000))).toBe('EINVAL kvm-vgic/register-value: GITS_IIDR cannot become 0x1000: 0x4b00043b');
    expect(why(events, () => its.setAttr(GRP.ITS_REGS, 0x90, 0))).toContain('EBUSY kvm-vgic/register-value: GITS_CREADR of an ITS that is on cannot become 0x0');
    machine.setIts(0, 0n);
    expect(why(events, () => its.setAttr(GRP.ITS_REGS, 0x90, 0x1000))).toBe('EINVAL kvm-vgic/register-value: GITS_CREADR beyond the queue cannot become 0x1000: 0x1000');
    machine.vcpu(1).run(0);
    expect(why(events, () => its.setAttr(GRP.ITS_REGS, 0, 0))).toBe('EBUSY kvm-vgic/vcpu-runs: register of an its: vcpu 1 runs');
  });

  it('chooses counts, addresses and regions that do not go', () => {
    const { vgic, events } = bare('linux-7.3');
    const region = (count: number, base: number, index: number): bigint => (BigInt(count) << REGION.COUNT_SHIFT) | BigInt(base) | BigInt(index);
    expect(why(events, () => vgic.setAttr(GRP.NR_IRQS, 0, 63))).toBe('EINVAL kvm-vgic/nr-irqs: 63 interrupts, of a vgic that has 0 spis');
    expect(why(events, () => vgic.setAttr(GRP.MAINT_IRQ, 0, 32))).toBe('EINVAL kvm-vgic/maint-irq: maintenance interrupt 32');
    expect(why(events, () => vgic.setAttr(GRP.ADDR, ADDR_TYPE.DIST, 2 ** 40))).toBe('E2BIG kvm-vgic/address: vgic at 0x10000000000, 0x10000 bytes of 0x10000000000');
    vgic.setAttr(GRP.ADDR, ADDR_TYPE.DIST, 0x20_0000);
    expect(why(events, () => vgic.setAttr(GRP.ADDR, ADDR_TYPE.DIST, 0x30_0000))).toBe('EEXIST kvm-vgic/address: vgic at 0x300000, 0x10000 bytes of 0x10000000000; it is at 0x200000');
    expect(why(events, () => vgic.setAttr(GRP.ADDR, ADDR_TYPE.REDIST_REGION, region(0, 0, 0)))).toBe('EINVAL kvm-vgic/redist-region: region 0 of 0 at 0x0: count 0x0');
    expect(why(events, () => vgic.setAttr(GRP.ADDR, ADDR_TYPE.REDIST_REGION, region(1, 0, 0x2000)))).toBe('EINVAL kvm-vgic/redist-region: region 0 of 1 at 0x0: flags 0x2000');
    expect(why(events, () => vgic.setAttr(GRP.ADDR, ADDR_TYPE.REDIST_REGION, region(1, 0, 3)))).toBe('EINVAL kvm-vgic/redist-region: region 3 of 1 at 0x0: index of the first is 0x3');
    expect(why(events, () => vgic.setAttr(GRP.ADDR, ADDR_TYPE.REDIST, 0x1f_0000))).toBe('EINVAL kvm-vgic/redist-region: region 0 of 0 at 0x1f0000: overlaps the distributor at 0x200000');
    vgic.setAttr(GRP.ADDR, ADDR_TYPE.REDIST_REGION, region(1, 0x30_0000, 0));
    expect(why(events, () => vgic.setAttr(GRP.ADDR, ADDR_TYPE.REDIST_REGION, region(2, 0x2e_0000, 1)))).toBe('EINVAL kvm-vgic/redist-region: region 1 of 2 at 0x2e0000: overlaps the region at 0x300000');
    expect(why(events, () => vgic.setAttr(GRP.ADDR, ADDR_TYPE.REDIST, 0x40_0000))).toBe('EINVAL kvm-vgic/redist-region: region 0 of 0 at 0x400000: beside a region at 0x300000');
    expect(why(events, () => vgic.getAttr(GRP.ADDR, ADDR_TYPE.REDIST_REGION, 6n))).toBe('ENOENT kvm-vgic/redist-region: region 6 of 0 at 0x0: index 0x6');
  });

  it('saves and restores what is not in memory', () => {
    const { machine, events } = booted();
    machine.vm.memory.failWriteAfter(1);
    expect(why(events, () => machine.saveTables())).toBe('EFAULT kvm-its/entry-unwritable: ite of device 0x10, event 1 at ITE cannot be written'.replace('ITE', `0x${(ITT + 8).toString(16)}`));
    machine.saveTables();
    machine.msi(DEVICE, 0);
    machine.setGicr(0, 0x1_0180, 0);
    machine.vm.memory.failWriteAfter(0);
    const address = GUEST.PENDING + (8195 >>> 3);
    expect(why(events, () => machine.savePending())).toBe(`EFAULT kvm-vgic/pending-table: lpi 8195 of vcpu 0: 0x${address.toString(16)} cannot be written`);
    machine.resetIts();
    machine.setIts(0x108, 0xb800_0000_0000_0600n | 0x7000_0000n);
    expect(why(events, () => machine.restoreTables())).toBe('EFAULT kvm-its/entry-unreadable: cte at the end at 0x70000000 cannot be read');
  });

  it('saves an LPI that is forwarded on GICv4.0', () => {
    const machine = new Machine({ version: 'gicv4' });
    machine.boot();
    machine.mapDevice(DEVICE, [8195]);
    const [irq] = machine.driver.allocate(DEVICE, 1, false);
    machine.vector(DEVICE, 0, irq!);
    const events = machine.host.trace.record();
    expect(why(events, () => machine.saveTables())).toBe('EACCES kvm-its/forwarded: lpi 8195 of device 0x10, event 0 is forwarded');
  });

  it.each([
    ['a DTE of 17 bits', GUEST.DEVICES + DEVICE * 8, (word: bigint) => (word & ~0x1fn) | 16n, `EINVAL kvm-its/dte: dte of device 0x10 at 0x${(GUEST.DEVICES + DEVICE * 8).toString(16)}: EventID bits 17`],
    ['a CTE of vCPU 9', GUEST.COLLECTIONS, (word: bigint) => word | (9n << 16n), `EINVAL kvm-its/cte: cte of collection 0 at 0x${GUEST.COLLECTIONS.toString(16)}: RDbase 9`],
    ['a CTE twice', GUEST.COLLECTIONS + 8, () => 1n << 63n, `EEXIST kvm-its/cte: cte of collection 0 at 0x${(GUEST.COLLECTIONS + 8).toString(16)}: ICID 0`],
    ['a CTE beyond the table', GUEST.COLLECTIONS, () => (1n << 63n) | 0x2000n, `EINVAL kvm-its/cte: cte of collection 8192 at 0x${GUEST.COLLECTIONS.toString(16)}: ICID 8192`],
    ['an ITE of SPI 40', ITT, () => 40n << 16n, `EINVAL kvm-its/ite: ite of device 0x10, event 0 at 0x${ITT.toString(16)}: lpi 40`],
    ['an ITE that leads out of the ITT', ITT, (word: bigint) => word | (0xffffn << 48n), `EINVAL kvm-its/ite: ite of device 0x10, event 0 at 0x${ITT.toString(16)}: next 65535`],
    ['an ITE of no collection', ITT, (word: bigint) => word | 77n, `EINVAL kvm-its/ite: ite of device 0x10, event 0 at 0x${ITT.toString(16)}: ICID 77`],
    ['a DTE whose ITT is nowhere', GUEST.DEVICES + DEVICE * 8, () => (1n << 63n) | (0x70_0000n << 5n) | 3n, 'EFAULT kvm-its/entry-unreadable: ite of device 0x10 at 0x70000000 cannot be read'],
    ['an LPI without a property', ITT, (word: bigint) => word | (0xff00_0000n << 16n), 'EFAULT kvm-its/lpi-unreadable: RESTORE_TABLES of device 0x10, event 0: property of lpi 4278198275 at 0x1'],
  ] as const)('restores %s', (_what, at, change, expected) => {
    const { machine, events } = booted();
    machine.saveTables();
    machine.setWord(at, change(machine.word(at)));
    machine.resetIts();
    expect(why(events, () => machine.restoreTables())).toContain(expected);
  });

  it.each(['linux-6.1', 'linux-7.3'] as const)('%s: saves a device that its table does not reach any more', (profile) => {
    const { machine, events } = booted({ profile });
    machine.vm.memory.removeSlot(GUEST.RAM);
    machine.vm.memory.addSlot({ gpa: GUEST.RAM, size: GUEST.DEVICES - GUEST.RAM, memory: machine.ram, offset: GUEST.RAM });
    const seen = events.length;
    const result = machine.saveTables();
    const entry = (GUEST.DEVICES + DEVICE * 8).toString(16);
    const [told] = events.slice(seen);
    if (profile === 'linux-6.1') {
      expect([result, told?.id, told?.text]).toEqual([-22, 'kvm-its/device-range', `SAVE_TABLES of device 0x10: entry at 0x${entry} is not in memory (device table at 0x${GUEST.DEVICES.toString(16)})`]);
    } else {
      expect([told?.id, told?.text]).toEqual(['kvm/its-device-left-out', 'its 0: device 0x10 has no entry in the device table, and is not saved']);
    }
  });

  it('restores an LPI in two ITEs on 7.3: an event says which is dropped [V-27]', () => {
    const { machine, events } = booted({ profile: 'linux-7.3' });
    machine.saveTables();
    machine.setWord(ITT + 8, (8195n << 16n) | 1n);
    machine.resetIts();
    const seen = events.length;
    expect(machine.restoreTables()).toBe(0);
    expect(events.slice(seen).map(({ text }) => text)).toEqual(['event 1 of device 0x10 is not restored: another event has lpi 8195']);
  });
});

describe('a guest whose', () => {
  /** What the ITS says of commands, one after the other. */
  function told(init: MachineInit, ...commands: readonly ((to: Uint32Array) => void)[]): string[] {
    const { machine, events } = booted(init);
    const seen = events.length;
    for (const command of commands) machine.command(command);
    return events.slice(seen).map(({ id, text }) => `${id}: ${text}`);
  }
  const event = (opcode: number, device: number, id: number) => (to: Uint32Array) => { encode.event(to, opcode, device, id); };
  const mapti = (device: number, id: number, lpi: number, icid: number) => (to: Uint32Array) => { encode.mapti(to, device, id, lpi, icid); };

  it('MAPD is wrong', () => {
    expect(told({}, (to) => encode.mapd(to, 0x1_0000, 0, ITT, true), (to) => encode.mapd(to, 5, 16, ITT, true))).toEqual([
      `kvm-its/device-range: MAPD of device 0x10000: beyond the table (device table at 0x${GUEST.DEVICES.toString(16)})`,
      'kvm-its/itt-size: MAPD of device 0x5 with 17 EventID bits',
    ]);
  });

  it('MAPC and MOVALL name a vCPU or collection that is none', () => {
    expect(told({}, (to) => encode.mapc(to, 5, 2, true), (to) => encode.mapc(to, 0x2000, 1, true), (to) => encode.movall(to, 0, 3), (to) => encode.movall(to, 4, 3))).toEqual([
      'kvm-its/vcpu: MAPC to vcpu 2: there are 2',
      `kvm-its/collection-range: MAPC to collection 8192: beyond the table (collection table at 0x${GUEST.COLLECTIONS.toString(16)})`,
      'kvm-its/vcpu: MOVALL to vcpu 3: there are 2',
      'kvm-its/vcpu: MOVALL to vcpu 4: there are 2',
    ]);
  });

  it('MAPTI or MAPI is wrong', () => {
    const mapi = (to: Uint32Array): void => { to.set([OPCODE.MAPI, DEVICE, 5, 0, 0, 0, 0, 0]); };
    expect(told({}, mapti(9, 0, 8200, 0), mapti(DEVICE, 99, 8200, 0), mapti(DEVICE, 5, 4000, 0), mapi, mapti(DEVICE, 1, 8200, 0), mapti(DEVICE, 5, 8200, 0x2000))).toEqual([
      'kvm-its/device: MAPTI: device 0x9 is not mapped',
      `kvm-its/event-range: MAPTI of device 0x10: event 99 of 5 bits, ite at 0x${(ITT + 8 * 99).toString(16)}`,
      'kvm-its/lpi-range: MAPTI of device 0x10, event 5: 4000 is no lpi below 65536',
      'kvm-its/lpi-range: MAPI of device 0x10, event 5: 5 is no lpi below 65536',
      'kvm-its/event-taken: MAPTI: event 1 of device 0x10 is mapped to lpi 8196',
      `kvm-its/collection-range: MAPTI to collection 8192: beyond the table (collection table at 0x${GUEST.COLLECTIONS.toString(16)})`,
    ]);
    expect(told({ profile: 'linux-7.3' }, mapti(DEVICE, 5, 8195, 0))).toEqual(['kvm-its/lpi-taken: MAPTI of device 0x10, event 5: another event has lpi 8195']);
  });

  it('events are not mapped: INT, CLEAR, INV, DISCARD, MOVI', () => {
    const movi = (id: number, icid: number) => (to: Uint32Array) => { encode.movi(to, DEVICE, id, icid); };
    expect(
      told({}, event(OPCODE.INT, 7, 0), event(OPCODE.CLEAR, DEVICE, 7), event(OPCODE.INV, DEVICE, 7), event(OPCODE.DISCARD, DEVICE, 7), movi(7, 0), movi(0, 30), (to) => encode.invall(to, 30)),
    ).toEqual([
      'kvm-its/unmapped: INT of device 0x7, event 0: no device',
      'kvm-its/unmapped: CLEAR of device 0x10, event 7: no event',
      'kvm-its/unmapped: INV of device 0x10, event 7: no event',
      'kvm-its/unmapped: DISCARD of device 0x10, event 7: no event',
      'kvm-its/unmapped: MOVI of device 0x10, event 7: no event',
      'kvm-its/collection: MOVI: collection 30 is not mapped',
      'kvm-its/collection: INVALL: collection 30 is not mapped',
    ]);
    const orphan = [(to: Uint32Array): void => { encode.mapc(to, 0, 0, false); }, event(OPCODE.INT, DEVICE, 0), movi(0, 1)];
    expect(told({}, ...orphan)).toEqual(['kvm-its/unmapped: INT of device 0x10, event 0: no collection', 'kvm-its/unmapped: MOVI of device 0x10, event 0: no collection']);
  });

  it('tables are not in memory, or commands are none', () => {
    const { machine, events } = booted();
    const seen = events.length;
    const at = GUEST.QUEUE + Number(BigInt(machine.its64(0x88)));
    machine.command((to) => to.set([0x2d, 0, 0, 0, 0, 0, 0, 0]));
    machine.setGicr(0, 0, 0);
    machine.command(event(OPCODE.INT, DEVICE, 0));
    // vCPU 0, whose LPIs are off, says where the properties are.
    machine.setGicr(0, 0x70, 0x7000_058f);
    machine.command(event(OPCODE.INV, DEVICE, 1));
    machine.command(mapti(DEVICE, 6, 8300, 0));
    machine.setGicr(0, 0x70, GUEST.PROPERTIES + 0x58f);
    machine.setGicr(0, 0x78, 0x7000_0580);
    machine.command(mapti(DEVICE, 6, 8300, 0));
    machine.setIts(0, 0n);
    machine.setIts(0x80, 0x8000_0000_7000_0000n);
    machine.setIts(0x88, 0x20n);
    machine.setIts(0, 1n);
    const reasons = events.slice(seen).map(({ id, text }) => `${id}: ${text}`);
    expect(reasons).toEqual([
      `kvm-its/command-unknown: its 0: command at 0x${at.toString(16)} has opcode 0x2d`,
      'kvm-its/lpis-off: vcpu 0 takes no lpis: lpi 8195 of device 0x10, event 0',
      'kvm-its/lpi-unreadable: INV of device 0x10, event 1: property of lpi 8196 at 0x70000004 cannot be accessed',
      'kvm-its/lpi-unreadable: MAPTI of device 0x10, event 6: property of lpi 8300 at 0x7000006c cannot be accessed',
      'kvm-its/lpi-unreadable: MAPTI of device 0x10, event 6: pending bit of lpi 8300 at 0x7000040d cannot be accessed',
      'kvm-its/command-unreadable: its 0: command at 0x70000000 cannot be read',
    ]);
  });
});

describe('a VMM by fds that', () => {
  it('has no pages left for kvm_run, or asks for another CPU or register', () => {
    const vmm = new Vmm();
    const vm = vmm.vm();
    const vcpu = vmm.vcpu(vm, 0);
    const events = vmm.host.trace.record();
    expect(why(events, () => vmm.init(vcpu, 4, 99))).toContain('EINVAL kvm/vcpu-target: ');
    const register = new Uint8Array(kvm_one_reg.size);
    set(register, kvm_one_reg.id, 0x6030_0000_0010_ffffn);
    expect(why(events, () => vmm.ioctl(vcpu, KVM_GET_ONE_REG, register))).toContain('ENOENT kvm/register: ');
    const { pages } = vmm.host;
    for (let run = pages.allocate(1); run !== undefined; run = pages.allocate(1)) run.get();
    expect(why(events, () => vmm.ioctl(vm, KVM_CREATE_VCPU, 1))).toContain('ENOMEM kvm/no-pages');
  });
});
