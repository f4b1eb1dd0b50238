/** What an unmodified Linux does to interrupts that are latched, taken back or come twice, and what it loses (ids D, K, M: notes on Linux). */
import type { ProfileName } from '@vsim/vfio-core';
import { describe, expect, it } from 'vitest';
import { CTRL, encode, GRP, IRQ_HANDLED, IRQFD_INJECT, LINE, OPCODE, type ItsIrq } from '../src/index.ts';
import { GUEST, Machine, takeAll, type Vector } from './machine.ts';
import { DEVICE, forwarded, idsOf, KERNELS, LPI, seen, SGI_FRAME } from './seen.ts';

describe('list registers', () => {
  it.each(KERNELS)('[D9] %s: what was latched before it is forwarded is delivered once', (profile) => {
    const machine = new Machine({ profile });
    machine.boot();
    machine.mapDevice(DEVICE, [LPI]);
    machine.msi(DEVICE, 0);
    const [irq] = machine.driver.allocate(DEVICE, 1, false);
    const { commands } = seen(machine, () => machine.vector(DEVICE, 0, irq!));
    expect(commands.includes('INT')).toBe(profile !== 'linux-5.10');
    const vcpu = machine.vcpu(0);
    vcpu.run(0);
    // HW set, of physical INTID 0: a list register of a forwarded interrupt.
    if (profile === 'linux-5.10') expect(machine.gic.cpu(0).virtual.read('ICH_LR0_EL2')).toBe(0x70a0_0000_0000_2003n);
    expect(takeAll(vcpu)).toEqual([LPI]);
    vcpu.stop();
    vcpu.run(0);
    expect(takeAll(vcpu)).toEqual([]);
  });

  it('[M4] are folded at each exit: a guest reads what is pending for itself, and can take it away', () => {
    const machine = new Machine({ version: 'gicv3' });
    machine.boot();
    machine.vm.store(machine.vcpu(0), SGI_FRAME + 0x80, 4, 0xffff_ffffn);
    const vcpu = machine.vcpu(0);
    vcpu.run(0);
    vcpu.sendSgi((5n << 24n) | 1n);
    expect(machine.gic.cpu(0).virtual.irq).toBe(true);
    expect(machine.vm.load(vcpu, SGI_FRAME + 0x200, 4)).toBe(0x20n);
    expect(machine.gic.cpu(0).virtual.irq).toBe(true);
    machine.vm.store(vcpu, SGI_FRAME + 0x280, 4, 0x20n);
    expect([machine.vm.load(vcpu, SGI_FRAME + 0x200, 4), vcpu.acknowledge()]).toEqual([0n, 1023]);
  });

  it('[M4] an SGI that is sent again while a list register holds it is one', () => {
    const machine = new Machine({ version: 'gicv3' });
    machine.boot();
    machine.vm.store(machine.vcpu(0), SGI_FRAME + 0x80, 4, 0xffff_ffffn);
    const vcpu = machine.vcpu(0);
    vcpu.run(0);
    for (let n = 0; n < 2; n += 1) vcpu.sendSgi((5n << 24n) | 1n);
    expect(takeAll(vcpu)).toEqual([5]);
  });
});

describe('maintenance interrupts', () => {
  /** Levels of the maintenance interrupt of CPU 0, as they change. */
  function watch(machine: Machine): number[] {
    const { cpu } = machine.gic.redistributors[0]!;
    const host = cpu.onLines;
    const levels: number[] = [];
    cpu.onLines = (lines): void => {
      const level = (lines & LINE.MAINTENANCE) === 0 ? 0 : 1;
      if (level !== (levels.at(-1) ?? 0)) levels.push(level);
      host?.(lines);
    };
    return levels;
  }

  it.each(KERNELS)('[D11] %s: turning a group on is told to 7.3 alone', (profile) => {
    const { machine } = forwarded({ profile });
    const vcpu = machine.vcpu(0);
    vcpu.setGroup1(false);
    vcpu.run(0);
    const levels = watch(machine);
    vcpu.setGroup1(true);
    expect(levels).toEqual(profile === 'linux-7.3' ? [1, 0] : []);
    vcpu.setGroup1(false);
    expect(levels).toEqual(profile === 'linux-7.3' ? [1, 0, 1, 0] : []);
  });

  it.each(KERNELS)('[D11] %s: what does not fit in list registers comes when one at most is in use', (profile) => {
    const machine = new Machine({ version: 'gicv3', profile });
    machine.boot();
    machine.mapDevice(DEVICE, [8192, 8193, 8194, 8195, 8196, 8197].flatMap((lpi) => [lpi, lpi + 100]));
    for (let event = 0; event < 12; event += 2) machine.msi(DEVICE, event);
    const vcpu = machine.vcpu(0);
    vcpu.run(0);
    const elrsr = (): bigint => machine.gic.cpu(0).virtual.read('ICH_ELRSR_EL2');
    const levels = watch(machine);
    for (let n = 0; n < 2; n += 1) vcpu.endOfInterrupt(vcpu.acknowledge());
    expect([elrsr(), levels]).toEqual([3n, []]);
    vcpu.endOfInterrupt(vcpu.acknowledge());
    expect([elrsr(), levels]).toEqual([8n, [1, 0]]);
    expect(takeAll(vcpu).length).toBe(3);
  });
});

describe('a doorbell that comes on another PE while the old one is in its handler', () => {
  /** vCPU 0 sleeps, its doorbell on PE 0, whose handler wakes it on PE 1 and does not return; there it takes its interrupt and sleeps again. */
  function overlapping(profile: ProfileName): { machine: Machine; vectors: readonly Vector[] } {
    const { machine, vectors } = forwarded({ profile });
    const vcpu = machine.vcpu(0);
    vcpu.run(0);
    vcpu.wfi();
    machine.vcpu(1).run(0);
    machine.host.scheduler.stopAt(IRQ_HANDLED);
    machine.raise(vectors[0]!);
    expect([vcpu.state, vcpu.cpu, takeAll(vcpu)]).toEqual(['running', 1, [LPI]]);
    vcpu.wfi();
    expect(vcpu.state).toBe('blocked');
    return { machine, vectors };
  }

  it.each<ProfileName>(['linux-5.10', 'linux-5.13', 'linux-6.1'])('[K1] [D12] %s loses it: the vCPU sleeps on with its VLPI pending', (profile) => {
    const { machine, vectors } = overlapping(profile);
    const ids = idsOf(machine, () => {
      machine.raise(vectors[0]!);
      machine.host.scheduler.release(IRQ_HANDLED);
    });
    expect([machine.vcpu(0).state, ids.filter((id) => id === 'gic-host/interrupt-lost').length]).toEqual(['blocked', 1]);
    // Nothing but another reason to run wakes it.
    machine.raise(vectors[0]!);
    expect(machine.vcpu(0).state).toBe('blocked');
    machine.vcpu(0).stop();
    machine.vcpu(0).run(1);
    expect(takeAll(machine.vcpu(0))).toEqual([LPI]);
  });

  it.each<ProfileName>(['linux-6.12', 'linux-7.3'])('[K1] [D12] %s handles it again when the first handler returns', (profile) => {
    const { machine, vectors } = overlapping(profile);
    const ids = idsOf(machine, () => {
      machine.raise(vectors[0]!);
      expect(machine.vcpu(0).state).toBe('blocked');
      machine.host.scheduler.release(IRQ_HANDLED);
    });
    expect(ids).not.toContain('gic-host/interrupt-lost');
    expect([machine.vcpu(0).state, takeAll(machine.vcpu(0))]).toEqual(['running', [LPI]]);
  });

  it('[D12] a CPU whose handler is held takes nothing else until it returns; the others do', () => {
    const machine = new Machine({ version: 'gicv3' });
    const taken: number[] = [];
    const irqs = machine.driver.allocate(DEVICE, 3, false);
    irqs.forEach((irq, n) => irq.setHandler(() => taken.push(n)));
    const [first, other, second] = irqs;
    expect([first!.cpu, other!.cpu, second!.cpu]).toEqual([0, 1, 0]);
    const raise = (irq: ItsIrq): void => machine.host.memory.write32(irq.message.address, irq.message.data, DEVICE);
    machine.host.scheduler.stopAt(IRQ_HANDLED);
    raise(first!);
    raise(second!);
    expect(taken).toEqual([0]);
    machine.host.scheduler.release(IRQ_HANDLED);
    expect(taken).toEqual([0, 2]);
    raise(other!);
    expect(taken).toEqual([0, 2, 1]);
  });
});

describe('taking an interrupt back', () => {
  const closings: readonly (readonly [string, (machine: Machine) => void])[] = [
    ['its ITS disabled', (machine): void => { machine.vm.store(machine.vcpu(0), GUEST.ITS, 4, 0n); }],
    ['LPIs off', (machine): void => { machine.vm.store(machine.vcpu(0), GUEST.REDIST, 4, 0n); }],
  ];
  for (const [what, close] of closings) {
    it.each(KERNELS)(`[M17] from a guest with ${what}, %s: the VLPI stays mapped, but with 7.3`, (profile) => {
      const { machine, vectors, irqs } = forwarded({ profile });
      const lpi = machine.vm.lpis.find(LPI)!;
      close(machine);
      const { commands } = seen(machine, () => machine.bypass.unregisterProducer(vectors[0]!.producer));
      const stays = profile !== 'linux-7.3';
      expect([irqs[0]!.forwarded, lpi.hw, commands.length === 0]).toEqual([stays, stays, stays]);
    });
  }

  it('[M17] what stays mapped goes with its event: by a DISCARD, and no MAPTI; the LPI says for ever that it is forwarded', () => {
    const { machine, vectors, irqs } = forwarded({ profile: 'linux-6.1' });
    machine.vm.store(machine.vcpu(0), GUEST.ITS, 4, 0n);
    machine.bypass.unregisterProducer(vectors[0]!.producer);
    expect(seen(machine, () => machine.driver.release(DEVICE, irqs)).commands).toEqual(['DISCARD', 'SYNC', 'MAPD']);
    expect(machine.vm.lpis.find(LPI)!.hw).toBe(true);
    machine.vm.store(machine.vcpu(0), GUEST.ITS, 4, 1n);
    expect(seen(machine, () => machine.command((to) => encode.event(to, OPCODE.INT, DEVICE, 0))).commands).toEqual([]);
    expect(idsOf(machine, () => machine.vm.destroy())).not.toContain('gic-host/vlpi-left');
  });

  it.each(KERNELS)('[K9] after the guest has unmapped the event and mapped it again, %s: a warning, but with 7.3', (profile) => {
    const { machine, vectors } = forwarded({ profile });
    machine.command((to) => encode.event(to, OPCODE.DISCARD, DEVICE, 0));
    machine.command((to) => encode.mapti(to, DEVICE, 0, LPI, 0));
    const ids = idsOf(machine, () => machine.bypass.unregisterProducer(vectors[0]!.producer));
    expect(ids.includes('kvm/vlpi-mismatch')).toBe(profile !== 'linux-7.3');
  });
});

describe('what Linux loses', () => {
  it.each(KERNELS)('[K4] a vCPU that runs before its first VLPI, with an ITSList, %s: a warning, until 6.12', (profile) => {
    const machine = new Machine({ version: 'gicv4', profile, its: [0x0808_0000, 0x0900_0000], choices: { vmovpOnce: false } });
    machine.boot();
    expect(idsOf(machine, () => machine.vcpu(0).run(1)).includes('kvm/vpe-not-mapped')).toBe(profile !== 'linux-6.12' && profile !== 'linux-7.3');
  });

  it('[K5] a save right after an MSI finds the irqfd\'s work not run: it is in no table', () => {
    const { machine, vectors } = forwarded({ version: 'gicv3' });
    machine.host.scheduler.stopAt(IRQFD_INJECT);
    machine.raise(vectors[0]!);
    machine.savePending();
    expect(machine.pendingBit(0, LPI)).toBe(0);
    machine.host.scheduler.release(IRQFD_INJECT);
    machine.savePending();
    expect(machine.pendingBit(0, LPI)).toBe(1);
  });

  it.each(KERNELS)('[K6] %s: MOVALL, then a migration: the bit is in the table of its target, and its event comes back to its collection', (profile) => {
    const init = { version: 'gicv3', profile } as const;
    const machine = new Machine(init);
    machine.boot();
    machine.mapDevice(DEVICE, [LPI]);
    machine.command((to) => encode.movall(to, 0, 1));
    machine.msi(DEVICE, 0);
    const saved = machine.save();
    expect([machine.pendingBit(0, LPI), machine.pendingBit(1, LPI)]).toEqual([0, 1]);
    const there = new Machine({ ...init, ram: machine.ram });
    there.restore(saved);
    there.vcpu(0).run(0);
    there.vcpu(1).run(1);
    expect([takeAll(there.vcpu(0)), takeAll(there.vcpu(1))]).toEqual([[], []]);
  });

  it('[K7] GICv4.0 without DirectLPI: GICR_CLRLPIR is written all the same, and a doorbell that waits rings for a device that is given its number', () => {
    const { machine, vectors, irqs } = forwarded({ version: 'gicv4', vcpus: 1 });
    machine.vcpu(0).run(0);
    machine.vcpu(0).stop();
    // Disabled, it waits at the redistributor.
    machine.raise(vectors[0]!);
    expect(idsOf(machine, () => machine.vcpu(0).run(0))).toContain('gic/access-ignored');
    machine.vcpu(0).stop();
    const { doorbell } = machine.vcpu(0).vpe!;
    machine.bypass.unregisterProducer(vectors[0]!.producer);
    machine.driver.release(DEVICE, irqs);
    machine.vm.destroy();
    let rings = 0;
    const [irq] = machine.driver.allocate(0x20, 1, false);
    expect(irq!.lpi).toBe(doorbell);
    irq!.setHandler(() => (rings += 1));
    expect(rings).toBe(1);
  });

  it('[K8] GICv4.0: a vCPU that sleeps is not woken by an INV that enables what is pending', () => {
    const { machine, vectors } = forwarded({ version: 'gicv4' });
    machine.ram.write8(GUEST.PROPERTIES + LPI - 8192, 0xa0);
    machine.command((to) => encode.event(to, OPCODE.INV, DEVICE, 0));
    const vcpu = machine.vcpu(0);
    vcpu.run(0);
    machine.raise(vectors[0]!);
    vcpu.wfi();
    machine.ram.write8(GUEST.PROPERTIES + LPI - 8192, 0xa1);
    const { commands } = seen(machine, () => machine.command((to) => encode.event(to, OPCODE.INV, DEVICE, 0)));
    expect(commands).toContain('VMOVI');
    expect(vcpu.state).toBe('blocked');
    vcpu.stop();
    vcpu.run(0);
    expect(takeAll(vcpu)).toEqual([LPI]);
  });
});

describe('GICv4.0\'s individual doorbells', () => {
  it('follow the enable bit: of one that was disabled when it was forwarded, too', () => {
    const machine = new Machine({ version: 'gicv4' });
    machine.boot(0xa0);
    machine.mapDevice(DEVICE, [LPI]);
    const [irq] = machine.driver.allocate(DEVICE, 1, false);
    machine.vector(DEVICE, 0, irq!);
    const inv = (): string[] => seen(machine, () => machine.command((to) => encode.event(to, OPCODE.INV, DEVICE, 0))).commands;
    expect(inv()).toEqual(['INV', 'VSYNC', 'VMOVI', 'VSYNC']);
    expect(inv()).toEqual(['INV', 'VSYNC']);
    // its_mask_irq(): the doorbell first.
    irq!.updateVlpi(0xa3, false);
    expect(seen(machine, () => { irq!.mask(); }).commands).toEqual(['VMOVI', 'VSYNC', 'INV', 'VSYNC']);
  });

  it('save does not unmap vPEs of GICv4.0, and flushes no VPT [gic P4-T6]', () => {
    const { machine } = forwarded({ version: 'gicv4' });
    expect(seen(machine, () => machine.vgic.setAttr(GRP.CTRL, CTRL.SAVE_PENDING_TABLES, 0)).commands).toEqual([]);
    expect(idsOf(machine, () => machine.vm.destroy())).not.toContain('gic-host/vpt-flushed');
  });
});
