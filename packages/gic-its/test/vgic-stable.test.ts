/** What the virtual GIC of 6.12.117 and of 7.3 does otherwise than that of 6.12.107, row by row: the ids are those of the catalogue's part on 7.3. */
import { Host, type ProfileName } from '@vsim/vfio-core';
import { describe, expect, it } from 'vitest';
import { CTRL, encode, Gic, GRP, ItsDriver, KvmVm, OPCODE, type Vgic } from '../src/index.ts';
import { GUEST, Machine, made, type MachineInit } from './machine.ts';

const DEVICE = 0x10;
const OTHER = 0x11;
const ITT = GUEST.ITT + DEVICE * 0x1000;
const KERNELS = ['linux-6.1', 'linux-6.12', 'linux-6.12.117', 'linux-7.3'] as const;
const [ENXIO, EBUSY, EINVAL, EFAULT] = [-6, -16, -22, -14];

/** What each kernel answers, in the order of KERNELS. */
function perKernel<T>(run: (profile: ProfileName) => T): T[] {
  return KERNELS.map(run);
}

function booted(profile: ProfileName, init: MachineInit = {}): Machine {
  const machine = new Machine({ version: 'gicv3', profile, ...init });
  machine.boot();
  return machine;
}

/** A VM with a vCPU and a GIC that is not initialised. */
function bare(profile: ProfileName, version: 'gicv3' | 'gicv4.1' = 'gicv3'): { vm: KvmVm; vgic: Vgic } {
  const host = new Host({ profile, ram: [{ base: 0x8000_0000, size: 0x200_0000 }] });
  const vm = new KvmVm(host, { driver: new ItsDriver(host, new Gic(host, { version, cpus: 1 })) });
  made(vm.createVcpu());
  return { vm, vgic: made(vm.createVgic()) };
}

const numbers = (machine: Machine): [devices: number, collections: number] => [machine.its.mappings.devices.length, machine.its.mappings.collections.length];

describe('kernels from 6.12.113 on', () => {
  it('EnableLPIs 1 to 0 clears the latch again, MOVALL looks at the target again [gic V-8] [gic V-9]', () => {
    const results = perKernel((profile) => {
      const machine = booted(profile);
      machine.mapDevice(DEVICE, [8195, 8196]);
      machine.command((to) => encode.mapc(to, 9, 0, true));
      machine.command((to) => encode.movall(to, 1, 0));
      machine.command((to) => encode.movall(to, 0, 1));
      machine.msi(DEVICE, 0);
      machine.setGicr(1, 0, 0);
      return machine.vm.lpis.find(8195)!.pendingLatch;
    });
    expect(results).toEqual([false, true, false, false]);
    const moved = perKernel((profile) => {
      const machine = booted(profile, { vcpus: 3 });
      machine.mapDevice(DEVICE, [8195, 8196, 8197]);
      machine.command((to) => encode.movall(to, 0, 1));
      return machine.vm.lpis.find(8197)!.target!.id;
    });
    expect(moved).toEqual([2, 1, 2, 2]);
  });

  it('a BASER that changes while it stays valid frees what its table had; the same value does not [V-23]', () => {
    const results = perKernel((profile) => {
      const machine = booted(profile);
      machine.mapDevice(DEVICE, [8195]);
      machine.msi(DEVICE, 0);
      machine.setIts(0, 0n);
      machine.setTables();
      const same = numbers(machine);
      machine.setIts(0x108, 0xb800_0000_0000_0600n | BigInt(GUEST.COLLECTIONS + 0x1_0000));
      const collections = numbers(machine);
      machine.setIts(0x100, 0xb800_0000_0000_0606n | BigInt(GUEST.DEVICES));
      return [same, collections, numbers(machine)];
    });
    const [keeps, frees] = [[[1, 2], [1, 2], [1, 2]], [[1, 2], [1, 0], [0, 0]]];
    expect(results).toEqual([keeps, keeps, frees, frees]);
  });

  it('only the value after sanitising counts, and Valid going away frees as before [V-23]', () => {
    const results = perKernel((profile) => {
      const machine = booted(profile);
      machine.setIts(0, 0n);
      // Outer shareable becomes inner.
      machine.setIts(0x108, 0xb800_0000_0000_0a00n | BigInt(GUEST.COLLECTIONS));
      const sanitised = machine.its.mappings.collections.length;
      machine.setIts(0x108, 0n);
      return [sanitised, machine.its.mappings.collections.length];
    });
    expect(results).toEqual([[2, 0], [2, 0], [2, 0], [2, 0]]);
  });

  it('SAVE_TABLES leaves out a device whose DTE cannot be reached, and `next` leads past it [V-24]', () => {
    const results = perKernel((profile) => {
      const machine = booted(profile);
      for (const device of [1, 8192, 8193]) machine.mapDevice(device, []);
      machine.setIts(0, 0n);
      // One page of 64 KiB: 8192 devices.
      const registers = machine.its.registers;
      expect(registers.tableBytes(6)).toBe(0x8_0000);
      machine.vm.memory.removeSlot(GUEST.RAM);
      machine.vm.memory.addSlot({ gpa: GUEST.RAM, size: GUEST.DEVICES + 0x1_0000 - GUEST.RAM, memory: machine.ram, offset: GUEST.RAM });
      const result = machine.saveTables();
      return [result, machine.word(GUEST.DEVICES + 8) >> 49n];
    });
    const refused = [EINVAL, (1n << 14n) | 8191n];
    expect(results).toEqual([refused, refused, [0, 1n << 14n], [0, 1n << 14n]]);
  });

  it('a RAM slot that is gone: every device is left out, the collections\' write fails [V-33]', () => {
    const results = perKernel((profile) => {
      const machine = booted(profile);
      machine.mapDevice(DEVICE, [8195]);
      machine.vm.memory.removeSlot(GUEST.RAM);
      return machine.saveTables();
    });
    expect(results).toEqual([EINVAL, EINVAL, EFAULT, EFAULT]);
  });
});

describe('kernel 7.3', () => {
  it('`next` of an ITE leads past orphans; the last has none [V-25]', () => {
    const results = perKernel((profile) => {
      const machine = booted(profile);
      machine.mapDevice(DEVICE, [8195, 8196, 8197, 8198]);
      // Events 1 and 3 lose their collection.
      machine.command((to) => encode.mapc(to, 1, 1, false));
      expect(machine.saveTables()).toBe(0);
      return [0, 1, 2, 3].map((event) => machine.word(ITT + 8 * event) >> 48n);
    });
    const old = [1n, 0n, 1n, 0n];
    expect(results).toEqual([old, old, old, [2n, 0n, 0n, 0n]]);
  });

  it('MAPTI of an LPI that another event has is refused, with the collection that it would have made [V-26]', () => {
    const results = perKernel((profile) => {
      const machine = booted(profile);
      machine.mapDevice(DEVICE, [8195]);
      machine.mapDevice(OTHER, []);
      machine.command((to) => encode.mapti(to, OTHER, 3, 8195, 40));
      const shared = machine.its.mappings.findEvent(OTHER, 3) !== undefined;
      const collection = machine.its.mappings.findCollection(40) !== undefined;
      // Free again once the first event goes.
      machine.command((to) => encode.event(to, OPCODE.DISCARD, DEVICE, 0));
      machine.command((to) => encode.mapti(to, OTHER, 4, 8195, 0));
      return [shared, collection, machine.its.mappings.findEvent(OTHER, 4) !== undefined, machine.vm.lpis.find(8195)!.references];
    });
    // One reference of each event, and none of the one that was refused.
    const old = [true, true, true, 2];
    expect(results).toEqual([old, old, old, [false, false, true, 1]]);
  });

  it('RESTORE_TABLES with an LPI in two ITEs: the first keeps it, the second is dropped [V-27]', () => {
    const results = perKernel((profile) => {
      const machine = booted(profile);
      machine.mapDevice(DEVICE, [8195, 8196, 8197]);
      machine.saveTables();
      machine.setWord(ITT + 8, (1n << 48n) | (8195n << 16n) | 1n);
      machine.resetIts();
      expect(machine.restoreTables()).toBe(0);
      return [...machine.its.mappings.findDevice(DEVICE)!.events.keys()];
    });
    expect(results).toEqual([[0, 1, 2], [0, 1, 2], [0, 1, 2], [0, 2]]);
  });

  it('an LPI that is still queued and is mapped again takes the new target at once [V-28]', () => {
    const results = perKernel((profile) => {
      const machine = booted(profile);
      machine.mapDevice(DEVICE, [8195]);
      machine.msi(DEVICE, 0);
      machine.command((to) => encode.event(to, OPCODE.DISCARD, DEVICE, 0));
      expect(machine.vm.lpis.find(8195)?.queuedOn?.id).toBe(0);
      machine.command((to) => encode.mapti(to, DEVICE, 1, 8195, 1));
      const target = machine.vm.lpis.find(8195)!.target?.id;
      machine.command((to) => encode.event(to, OPCODE.DISCARD, DEVICE, 1));
      // To a collection that is not mapped: to nobody.
      machine.command((to) => encode.mapti(to, DEVICE, 2, 8195, 50));
      return [target, machine.vm.lpis.find(8195)!.target?.id];
    });
    expect(results).toEqual([[0, 0], [0, 0], [0, 0], [1, undefined]]);
  });

  it('an unknown CTRL attribute of the ITS, after what a running vCPU answers [V-29]', () => {
    const results = perKernel((profile) => {
      const { its, vm } = new Machine({ version: 'gicv3', profile });
      const unknown = [3, 5, (1n << 32n) | 1n].map((attr) => [its.setAttr(GRP.CTRL, attr, 0), its.hasAttr(GRP.CTRL, attr)]);
      expect(vm.vcpus[0]!.run(0)).toBe(0);
      return [unknown, its.setAttr(GRP.CTRL, 5, 0)];
    });
    const [old, now] = [[0, ENXIO], [ENXIO, ENXIO]].map((each) => [[each, each, each], EBUSY]);
    expect(results).toEqual([old, old, old, now]);
  });

  it('GICD_IIDR and GICD_TYPER2 alone are there before INIT [V-30]', () => {
    const results = perKernel((profile) => {
      const { vgic } = bare(profile);
      return [0, 4, 8, 0xc, 0x10].map((offset) => vgic.getAttr(GRP.DIST_REGS, offset));
    });
    const old = [EBUSY, EBUSY, EBUSY, EBUSY, EBUSY];
    expect(results).toEqual([old, old, old, [EBUSY, EBUSY, 0x4b00_343bn, 0n, EBUSY]]);
    const { vgic } = bare('linux-7.3');
    expect([0x4b00_143b, 0x4b00_243b].map((value) => vgic.setAttr(GRP.DIST_REGS, 8, value))).toEqual([EINVAL, 0]);
    vgic.setAttr(GRP.CTRL, CTRL.INIT, 0);
    expect(vgic.getAttr(GRP.DIST_REGS, 8)).toBe(0x4b00_243bn);
  });

  it('GICD_TYPER2: before INIT nASSGIcap may go, and come back where the host has vSGIs; after INIT nothing changes [V-31]', () => {
    const write = ({ vgic }: { vgic: Vgic }, value: number): number => vgic.setAttr(GRP.DIST_REGS, 0xc, value);
    const old = new Machine({ version: 'gicv4.1', profile: 'linux-6.12' });
    expect([write(old, 0x100), write(old, 0)]).toEqual([0, EINVAL]);
    const software = bare('linux-7.3');
    expect([write(software, 0x100), write(software, 0), write(software, 1)]).toEqual([EINVAL, 0, EINVAL]);
    const hardware = bare('linux-7.3', 'gicv4.1');
    expect([write(hardware, 0x101), write(hardware, 0), hardware.vgic.getAttr(GRP.DIST_REGS, 0xc), write(hardware, 0x100)]).toEqual([EINVAL, 0, 0n, 0]);
    hardware.vgic.setAttr(GRP.CTRL, CTRL.INIT, 0);
    expect([write(hardware, 0x100), write(hardware, 0)]).toEqual([0, EBUSY]);
    expect(hardware.vm.itsVm?.vpes.length).toBe(1);
  });

  it('without nASSGIcap a VM on GICv4.1 has no vPEs, and nASSGIreq cannot be set [V-31]', () => {
    const { vm, vgic } = bare('linux-7.3', 'gicv4.1');
    vgic.setAttr(GRP.DIST_REGS, 0xc, 0);
    vgic.setAttr(GRP.CTRL, CTRL.INIT, 0);
    expect(vm.itsVm).toBeUndefined();
    vgic.setAttr(GRP.DIST_REGS, 0, 0x102);
    expect(vgic.getAttr(GRP.DIST_REGS, 0)).toBe(0x52n);
    made(vm.createIts());
    expect(vm.itsVm).toBeUndefined();
  });

  it('MAINT_IRQ: a PPI, before INIT [V-32]', () => {
    const results = perKernel((profile) => {
      const { vgic } = bare(profile);
      const set = (value: number | undefined): number => vgic.setAttr(GRP.MAINT_IRQ, 0, value);
      const before = [vgic.hasAttr(GRP.MAINT_IRQ, 7), vgic.getAttr(GRP.MAINT_IRQ, 0), set(15), set(16), set(31), set(32), set(undefined)];
      vgic.setAttr(GRP.CTRL, CTRL.INIT, 0);
      return [...before, set(25), set(3), vgic.getAttr(GRP.MAINT_IRQ, 9)];
    });
    const old = new Array<number>(10).fill(ENXIO);
    expect(results).toEqual([old, old, old, [0, 0n, EINVAL, 0, 0, EINVAL, EFAULT, EBUSY, EBUSY, 31n]]);
  });
});
