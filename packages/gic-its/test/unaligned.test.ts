/** Loads and stores that no register takes: of any width, anywhere in a frame. They read as zero, change nothing, and are told. */
import type { TraceEvent } from '@vsim/vfio-core';
import { describe, expect, it } from 'vitest';
import { encode, GRP } from '../src/index.ts';
import { GUEST, Machine } from './machine.ts';

const WIDTHS = [1, 2, 3, 4, 5, 8, 16];
const FRAMES: readonly (readonly [base: number, bytes: number])[] = [
  [GUEST.DIST, 0x1_0000],
  [GUEST.REDIST, 0x4_0000],
  [GUEST.ITS, 0x2_0000],
];

function booted(): Machine {
  const machine = new Machine({ version: 'gicv3', profile: 'linux-6.1' });
  machine.boot();
  machine.mapDevice(1, [8192]);
  return machine;
}

function refused(events: readonly TraceEvent[]): number {
  return events.filter(({ id }) => id === 'kvm/access-refused').length;
}

/** Every register that a VMM sees, and what is mapped. */
function state(machine: Machine): string {
  const gicd = Array.from({ length: 0x380 }, (_, n) => machine.gicd(0x80 + 4 * n));
  const gicr = [0, 1].flatMap((vcpu) => [0, 0x70, 0x74, 0x78, 0x7c, 0x1_0080, 0x1_0100, 0x1_0200, 0x1_0300, 0x1_0400, 0x1_0c00].map((offset) => machine.gicr(vcpu, offset)));
  const its = [0, 0x80, 0x88, 0x90, 0x100, 0x108].map((offset) => machine.its64(offset));
  const mapped = machine.its.mappings.devices.map(({ id, events }) => [id, [...events.keys()]]);
  return [machine.gicd(0), ...gicd, ...gicr, ...its, JSON.stringify(mapped)].join();
}

describe('accesses of a guest that no register takes', () => {
  it('a load of 4 bytes at 0x82 of the ITS is 0 and an event [R8]', () => {
    const machine = booted();
    const events = machine.host.trace.record();
    expect([machine.vm.load(machine.vcpu(0), GUEST.ITS + 0x82, 4), events.map(({ id }) => id)]).toEqual([0n, ['kvm/access-refused']]);
  });

  it('unaligned loads of every width, all over every frame, are 0, and each is told [R8]', () => {
    const machine = booted();
    const events = machine.host.trace.record();
    let unaligned = 0;
    for (const [base, bytes] of FRAMES) {
      for (let offset = 0; offset < bytes; offset += offset % 0x1_0000 < 0x120 ? 1 : 37) {
        for (const width of WIDTHS) {
          const value = machine.vm.load(machine.vcpu(0), base + offset, width);
          if (offset % width === 0 && [1, 4, 8].includes(width)) continue;
          unaligned += 1;
          if (value !== 0n) throw new Error(`load of ${width} at ${offset.toString(16)}: ${value}`);
        }
      }
    }
    expect(refused(events)).toBeGreaterThanOrEqual(unaligned);
  });

  it('unaligned stores change nothing [R8]', () => {
    const machine = booted();
    const before = state(machine);
    for (const [base, bytes] of FRAMES) {
      for (let offset = 0; offset < bytes; offset += offset % 0x1_0000 < 0x120 ? 1 : 37) {
        for (const width of WIDTHS) {
          if (offset % width !== 0 || ![1, 4, 8].includes(width)) machine.vm.store(machine.vcpu(0), base + offset, width, 0xffff_ffff_ffff_ffffn);
        }
      }
    }
    expect(state(machine)).toBe(before);
  });

  it('an access has a width that its register has: 8 bytes of GICD_CTLR or GICR_CTLR are 0, 4 of half an IROUTER are not refused [R8]', () => {
    const machine = booted();
    const [vcpu] = machine.vm.vcpus;
    const events = machine.host.trace.record();
    const load = (at: number, width: number): bigint => machine.vm.load(vcpu!, at, width);
    expect([load(GUEST.DIST, 4), load(GUEST.DIST, 8), load(GUEST.DIST, 1), load(GUEST.REDIST, 8), load(GUEST.ITS, 8)]).toEqual([0x52n, 0n, 0n, 0n, 0n]);
    expect(refused(events)).toBe(4);
    expect([load(GUEST.DIST + 0x6104, 4), load(GUEST.REDIST + 0xc, 4), load(GUEST.ITS + 0xc, 4), load(GUEST.REDIST + 0x1_0401, 1)]).toEqual([0n, 0n, 0n, 0n]);
    expect(refused(events)).toBe(4);
  });

  it('a load over the end of a frame is refused [R8]', () => {
    const machine = booted();
    const events = machine.host.trace.record();
    expect([machine.vm.load(machine.vcpu(0), GUEST.DIST + 0xfffe, 4), machine.vm.load(machine.vcpu(0), GUEST.ITS + 0x1_fffc, 8), refused(events)]).toEqual([0n, 0n, 2]);
  });
});

describe('accesses of the host and of devices that no register takes', () => {
  for (const version of ['gicv3', 'gicv4', 'gicv4.1'] as const) {
    it(`unaligned loads of a ${version}'s frames are 0, and stores change nothing [R8]`, () => {
      const { host, gic } = new Machine({ version });
      const { memory } = host;
      const wide = new Uint32Array(2);
      const bases = [gic.distributorBase, ...gic.redistributorBase, ...gic.its.map(({ base }) => base)];
      const sum = (): number => bases.reduce((total, base) => total + [0, 0x80, 0x100, 0x200, 0x70, 0x74, 0x78, 0x7c, 0x108].reduce((sub, offset) => sub + memory.read32(base + offset), 0), 0);
      const before = sum();
      for (const base of bases) {
        for (let offset = 1; offset < 0x1_0000; offset += offset < 0x120 ? 1 : 37) {
          memory.read64(base + offset, wide);
          const values = [offset % 2 === 0 ? 0 : memory.read16(base + offset), offset % 4 === 0 ? 0 : memory.read32(base + offset)];
          if (values.some((value) => value !== 0)) throw new Error(`${base.toString(16)} + ${offset.toString(16)}: ${values.join()}`);
          if (offset % 2 !== 0) memory.write16(base + offset, 0xffff);
          if (offset % 4 !== 0) memory.write32(base + offset, 0xffff_ffff);
        }
      }
      expect(sum()).toBe(before);
    });
  }

  it('a message beside GITS_TRANSLATER, or over its edge, raises nothing [R8]', () => {
    const machine = new Machine({ version: 'gicv3' });
    const irqs = machine.driver.allocate(1, 4, false);
    let taken = 0;
    for (const irq of irqs) irq.setHandler(() => (taken += 1));
    const at = irqs[0]!.message.address;
    for (const offset of [-3, -2, -1, 1, 2, 3]) machine.host.memory.write32(at + offset, 1, 1);
    for (const offset of [-4, -2, -1, 2, 4]) machine.host.memory.write64(at + offset, 1, 1, 1);
    for (const offset of [-1, 1]) machine.host.memory.write16(at + offset, 1, 1);
    expect(taken).toBe(0);
    machine.host.memory.write32(at, 1, 1);
    expect(taken).toBe(1);
  });

  it('attributes at odd offsets are refused by the ITS and zero in the GIC, and 64-bit attributes count their low half [R8]', () => {
    const machine = booted();
    expect([machine.its.getAttr(GRP.ITS_REGS, 0x82), machine.its.setAttr(GRP.ITS_REGS, 0x84, 0n), machine.gicd(0x82), machine.gicr(0, 0x72)]).toEqual([-22, -22, 0n, 0n]);
    expect(machine.its.getAttr(GRP.ITS_REGS, 0x1_0000_0080n)).toBe(machine.its64(0x80));
    expect(machine.its.getAttr(GRP.ITS_REGS, 0xffff_ffff_ffff_ffffn)).toBe(-22);
  });
});

it('stores beside CWRITER move nothing: commands go on [R8]', () => {
  const machine = booted();
  for (const [offset, width] of [[0x8a, 4], [0x89, 1], [0x86, 8], [0x90, 8]] as const) machine.vm.store(machine.vcpu(0), GUEST.ITS + offset, width, 0x20n);
  machine.command((to) => encode.mapti(to, 1, 1, 8193, 0));
  expect(machine.vm.lpis.find(8193)).toBeDefined();
});
