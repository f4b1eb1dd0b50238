/** SGIs of a guest, by list registers or, on GICv4.1, as vSGIs; and when they change hands. */
import { describe, expect, it, vi } from 'vitest';
import { encode, GRP, GITS } from '../src/index.ts';
import { commandNames, GUEST, Machine, takeAll, type MachineInit } from './machine.ts';

const [GICD_CTLR, NASSGIREQ] = [0x0, 0x100];
const ISPENDR0 = 0x1_0200;

function booted(init: MachineInit = {}): Machine {
  const machine = new Machine(init);
  machine.boot();
  machine.vm.vcpus.forEach((_vcpu, n) => machine.setGicr(n, 0x1_0080, 0xffff_ffff));
  return machine;
}

/** The guest asks for SGIs without active state, or takes that back. */
function request(machine: Machine, on: boolean): void {
  machine.vm.store(machine.vcpu(0), GUEST.DIST, 4, 0n);
  machine.vm.store(machine.vcpu(0), GUEST.DIST, 4, on ? 0x102n : 2n);
}

function withVsgis(init: MachineInit = {}): Machine {
  const machine = booted(init);
  request(machine, true);
  return machine;
}

/** To vCPU 1. */
const send = (machine: Machine, sgi: number, from = 0): void => machine.vcpu(from).sendSgi((BigInt(sgi) << 24n) | 2n);


describe('SGIs by software', () => {
  it('go through latch and list register, and are active until EOI [gic A-43]', () => {
    const machine = booted({ version: 'gicv3' });
    const vcpu = machine.vcpu(1);
    send(machine, 5);
    expect(machine.gicr(1, ISPENDR0)).toBe(1n << 5n);
    vcpu.run(0);
    expect(machine.driver.gic.cpu(0).virtual.listLow(0)).toBe(5);
    expect([vcpu.acknowledge(), vcpu.acknowledge()]).toEqual([5, 1023]);
    send(machine, 5);
    expect(vcpu.acknowledge()).toBe(1023);
    // Active and pending travel with the vCPU.
    vcpu.stop();
    expect([machine.gicr(1, 0x1_0300), machine.gicr(1, ISPENDR0)]).toEqual([1n << 5n, 1n << 5n]);
    vcpu.run(1);
    vcpu.endOfInterrupt(5);
    expect(takeAll(vcpu)).toEqual([5]);
  });

  it('wake a vCPU that waits, unless they are disabled or its mask hides them [gic K-13]', () => {
    const machine = booted({ version: 'gicv3' });
    const vcpu = machine.vcpu(1);
    vcpu.run(1);
    machine.vm.store(vcpu, GUEST.REDIST + 0x2_0000 + 0x1_0180, 4, 1n << 6n);
    vcpu.wfi();
    send(machine, 6);
    expect(vcpu.state).toBe('blocked');
    send(machine, 5);
    expect([vcpu.state, takeAll(vcpu)]).toEqual(['running', [5]]);
    machine.vm.store(vcpu, GUEST.REDIST + 0x2_0000 + 0x1_0405, 1, 0xf0n);
    vcpu.setPriorityMask(0x80);
    vcpu.wfi();
    send(machine, 5);
    expect(vcpu.state).toBe('blocked');
  });

  it('to all but the sender', () => {
    const machine = booted({ version: 'gicv3', vcpus: 3 });
    machine.vcpu(1).sendSgi((7n << 24n) | (1n << 40n));
    expect([0, 1, 2].map((n) => machine.gicr(n, ISPENDR0))).toEqual([0x80n, 0n, 0x80n]);
  });
});

describe('vSGIs', () => {
  it('nASSGIreq set: per vCPU and SGI, VSGI with the configuration, then what is pending [gic TR-04] [gic K-27]', () => {
    const machine = booted();
    send(machine, 5);
    machine.setGicr(1, 0x1_0404, 0x0000_9000);
    machine.setGicr(1, 0x1_0180, 1 << 6);
    const sgir = vi.spyOn(machine.driver.nodes[0]!, 'raiseSgi');
    const events = machine.host.trace.record();
    request(machine, true);
    expect(machine.gicd(GICD_CTLR)).toBe(0x152n);
    // 16 of each vCPU: VSGI and VSYNC, then VSGI with Clear and VSYNC, or a store to GITS_SGIR.
    const words = events.flatMap(({ id, fields }) => {
      const { name, words: w } = fields as { name: string; words: bigint[] };
      return id === 'gic/command' && name === 'VSGI' ? [w[0]! & 0x7_ffff_ffffn] : [];
    });
    expect(words).toHaveLength(16 * 2 * 2 - 1);
    expect(commandNames(events)).toHaveLength(2 * words.length);
    expect(words.slice(0, 2)).toEqual([0x523n, 0x723n]);
    const vpe = machine.vcpu(1).vpe!;
    expect(sgir.mock.calls).toEqual([[vpe.vpeid, 5]]);
    expect(words.slice(32 + 10, 32 + 13)).toEqual([(5n << 32n) | 0x90_0523n, (6n << 32n) | 0x423n, (6n << 32n) | 0x623n]);
    // The latch is clear: the hardware has it.
    machine.vcpu(1).run(1);
    expect(takeAll(machine.vcpu(1))).toEqual([5]);
  });

  it('nASSGIreq cleared: per SGI the hardware is asked, disabled, cleared; what is pending is a latch again [gic TR-05]', () => {
    const machine = withVsgis();
    send(machine, 5);
    expect(commandNames(machine.host.trace.record())).toEqual([]);
    const writes = vi.spyOn(machine.driver, 'writeRedistributor32');
    const events = machine.host.trace.record();
    request(machine, false);
    expect(writes.mock.calls.map(([, offset, value]) => [offset, value])).toEqual([0, 1].flatMap((n) => Array.from({ length: 16 }, () => [0x2_0080, machine.vcpu(n).vpe!.vpeid])));
    // Of 2 vCPUs, 16 SGIs each: VSGI with Enable 0, VSGI with Clear, each with its VSYNC.
    expect(commandNames(events)).toEqual(Array.from({ length: 128 }, (_, i) => (i % 2 === 0 ? 'VSGI' : 'VSYNC')));
    // Nobody queues it: it is pending in the registers, and comes with whatever has KVM look at it again.
    machine.vcpu(1).run(1);
    expect([machine.vm.load(machine.vcpu(1), GUEST.REDIST + 0x3_0200, 4), takeAll(machine.vcpu(1))]).toEqual([0x20n, []]);
    machine.vm.store(machine.vcpu(1), GUEST.REDIST + 0x3_0100, 4, 0x20n);
    expect(takeAll(machine.vcpu(1))).toEqual([5]);
  });

  it('nASSGIreq is read-only while the distributor stays enabled, and is not there without a GICv4.1 [gic K-27]', () => {
    const machine = booted();
    machine.vm.store(machine.vcpu(0), GUEST.DIST, 4, 0x102n);
    expect(machine.gicd(GICD_CTLR)).toBe(0x52n);
    request(machine, true);
    machine.vm.store(machine.vcpu(0), GUEST.DIST, 4, 2n);
    expect(machine.gicd(GICD_CTLR)).toBe(0x152n);
    const v3 = booted({ version: 'gicv3' });
    request(v3, true);
    expect(v3.gicd(GICD_CTLR)).toBe(0x52n);
  });

  it('user space sets nASSGIreq without an effect: SGIs are set up at the first run [gic 5.8/7] [gic K-27]', () => {
    const machine = new Machine();
    machine.setGicr(0, 0x1_0080, 0xffff_ffff);
    const events = machine.host.trace.record();
    machine.setGicd(GICD_CTLR, 2 | NASSGIREQ);
    machine.setGicr(0, ISPENDR0, 1 << 5);
    expect([machine.gicd(GICD_CTLR), commandNames(events)]).toEqual([0x152n, []]);
    machine.vcpu(0).setPriorityMask(0xff);
    machine.vcpu(0).setGroup1(true);
    machine.vcpu(0).run(0);
    expect(commandNames(events).filter((name) => name === 'VSGI')).toHaveLength(16 * 2 * 2 - 1);
    expect(takeAll(machine.vcpu(0))).toEqual([5]);
  });

  it('a guest\'s SGI is a store to GITS_SGIR, and in no list register [gic A-43] [gic K-12]', () => {
    const machine = withVsgis();
    const sgir = vi.spyOn(machine.driver.nodes[0]!, 'raiseSgi');
    machine.vcpu(1).irqsMasked = true;
    machine.vcpu(1).run(1);
    send(machine, 9);
    expect(sgir.mock.calls).toEqual([[machine.vcpu(1).vpe!.vpeid, 9]]);
    expect(machine.driver.gic.cpu(1).virtual.read('ICH_ELRSR_EL2')).toBe(0xfn);
    expect(takeAll(machine.vcpu(1))).toEqual([9]);
    expect(GITS.SGIR).toBe(0x2_0020);
  });

  it('enable, group, priority and pending go to the hardware as the guest writes them [gic K-12]', () => {
    const machine = withVsgis();
    const [vcpu, frame] = [machine.vcpu(1), GUEST.REDIST + 0x3_0000];
    const sent = (offset: number, value: bigint, width = 4): bigint[] => {
      const events = machine.host.trace.record();
      machine.vm.store(vcpu, frame + offset, width, value);
      return events.flatMap(({ id, fields }) => {
        const { name, words } = fields as { name: string; words: bigint[] };
        return id === 'gic/command' && name === 'VSGI' ? [words[0]! & 0xf_ffff_ffffn] : [];
      });
    };
    // The first disable only counts; the enable after it unmasks.
    expect(sent(0x180, 1n << 5n)).toEqual([]);
    expect(sent(0x100, 1n << 5n)).toEqual([(5n << 32n) | 0x523n]);
    expect(sent(0x100, 1n << 5n)).toEqual([]);
    expect(sent(0x180, 1n << 5n)).toEqual([(5n << 32n) | 0x423n]);
    expect(sent(0x100, 1n << 5n)).toEqual([(5n << 32n) | 0x523n]);
    expect(sent(0x405, 0xa0n, 1)).toEqual([(5n << 32n) | 0xa0_0523n]);
    expect(sent(0x80, 0xffff_ffdfn)[5]).toBe((5n << 32n) | 0xa0_0123n);
    sent(0x80, 0xffff_ffffn);
    expect(sent(0x200, 1n << 5n)).toEqual([]);
    expect(machine.vm.load(vcpu, frame + 0x200, 4)).toBe(1n << 5n);
    expect(sent(0x280, 1n << 5n)).toEqual([(5n << 32n) | 0xa0_0723n]);
    expect(machine.vm.load(vcpu, frame + 0x280, 4)).toBe(0n);
  });

  it('GICR_ISPENDR0 of user space is asked of the hardware, a write sets and clears there, the latch stays clear [gic A-28]', () => {
    const machine = withVsgis();
    send(machine, 9);
    expect(machine.gicr(1, ISPENDR0)).toBe(1n << 9n);
    machine.setGicr(1, ISPENDR0, (1 << 4) | (1 << 20));
    expect(machine.gicr(1, ISPENDR0)).toBe((1n << 4n) | (1n << 20n));
    expect([machine.vcpu(1).vpe!.sgis.pending(9), machine.vcpu(1).vpe!.sgis.pending(4)]).toEqual([false, true]);
    // No latch that a list register would take: taken back, only what the hardware has is there.
    machine.vcpu(1).vpe!.sgis.setPending(4, false);
    request(machine, false);
    expect(machine.gicr(1, ISPENDR0)).toBe(1n << 20n);
  });

  it('one that is pending at the stop is read after SAVE_PENDING as before it, and comes at the destination [gic A-44] [gic L11]', () => {
    const machine = withVsgis();
    machine.vcpu(1).run(1);
    machine.vcpu(1).irqsMasked = true;
    send(machine, 9);
    machine.vcpu(1).stop();
    const before = machine.gicr(1, ISPENDR0);
    const saved = machine.save();
    expect([before, machine.gicr(1, ISPENDR0), saved.gicd]).toEqual([1n << 9n, 1n << 9n, 0x152n]);
    for (const version of ['gicv4.1', 'gicv3'] as const) {
      const there = new Machine({ version, ram: machine.ram });
      there.restore(saved);
      there.setGicr(1, 0x1_0080, 0xffff_ffff);
      there.setGicr(1, ISPENDR0, Number(before));
      // nASSGIreq is dropped where there are no vSGIs.
      expect(there.gicd(GICD_CTLR)).toBe(version === 'gicv3' ? 0x52n : 0x152n);
      there.vcpu(1).run(0);
      expect(takeAll(there.vcpu(1))).toEqual([9]);
    }
  });

  it('while the vPEs are unmapped the registers answer wrong, and a vCPU that runs has no vPE: map_all_vpes is needed [gic F-V7]', () => {
    const machine = withVsgis();
    send(machine, 9);
    for (const vcpu of machine.vm.vcpus) vcpu.vpe!.freeDoorbell();
    const events = machine.host.trace.record();
    expect(machine.gicr(1, ISPENDR0)).toBe(0n);
    expect(events.map(({ id }) => id)).toContain('gic/unpredictable');
    expect(machine.vcpu(1).vpe!.setAffinity(1)).toBe(-22);
    const later = machine.host.trace.record();
    machine.vcpu(1).run(1);
    expect([later.map(({ id }) => id), takeAll(machine.vcpu(1))]).toEqual([['kvm/vpe-not-mapped'], []]);
    machine.vcpu(1).stop();
    // In the right order it is as it was.
    for (const vcpu of machine.vm.vcpus) vcpu.vpe!.requestDoorbell();
    expect(machine.gicr(1, ISPENDR0)).toBe(1n << 9n);
    machine.vcpu(1).run(1);
    expect(takeAll(machine.vcpu(1))).toEqual([9]);
  });

  it('a VM with vSGIs alone is unmapped and mapped like any other [gic P4-T7] [gic 1.4/2] [gic 11/4]', () => {
    const machine = withVsgis({ choices: { coherent: false } });
    const events = machine.host.trace.record();
    expect(machine.savePending()).toBe(0);
    const unmap = ['INVDB', 'VSYNC', 'VMAPP'];
    const map = ['VMAPP', 'VSYNC', 'VINVALL', 'VSYNC', 'INVDB', 'VSYNC'];
    expect(commandNames(events)).toEqual([...unmap, ...unmap, ...map, ...map]);
    expect(events.filter(({ id }) => id === 'gic-host/vpt-flushed')).toHaveLength(2);
  });

  it('a doorbell rings for one while the vCPU waits', () => {
    const machine = withVsgis();
    machine.vcpu(1).run(1);
    machine.vcpu(1).wfi();
    send(machine, 9);
    expect([machine.vcpu(1).state, takeAll(machine.vcpu(1))]).toEqual(['running', [9]]);
    machine.command((to) => encode.sync(to, 0));
    expect(machine.vgic.hasAttr(GRP.DIST_REGS, 0xc)).toBe(0);
  });
});
