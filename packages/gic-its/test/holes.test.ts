/** Whom a command or register is about, and what the hardware forgets: each would pass unseen where there is one vPE, one PE, or no cache. */
import { describe, expect, it } from 'vitest';
import { encode, GICR, GITS, ItsDriver, OPCODE } from '../src/index.ts';
import { BareGic, DOORBELL, DOORBELL_LPI } from './bare-gic.ts';
import { Machine, made, takeAll } from './machine.ts';
import { DEVICE, forwarded, seen } from './seen.ts';

const DEV = 2;
const VPE_COMMANDS = ['VMAPP', 'VMAPTI', 'VMOVI', 'VMOVP', 'VSGI', 'VINVALL', 'INVDB', 'VSYNC'];

/** Commands about vPEs with the vPE they name, and SYNC with its redistributor. */
function targets(machine: Machine, act: () => void): string[] {
  const { commands, words } = seen(machine, act);
  return commands.flatMap((name, n) => {
    const [, w1 = 0n, w2 = 0n] = words[n] ?? [];
    if (VPE_COMMANDS.includes(name)) return [`${name} ${(w1 >> 32n) & 0xffffn}`];
    return name === 'SYNC' ? [`SYNC ${(w2 >> 16n) & 0xffffn}`] : [name];
  });
}

describe('commands and registers of one vPE of two', () => {
  function second(version: 'gicv4' | 'gicv4.1'): { machine: Machine; vpe: NonNullable<Machine['vm']['itsVm']>['vpes'][number] } {
    const machine = new Machine({ version });
    return { machine, vpe: machine.vm.itsVm!.vpes[1]! };
  }

  it.each(['gicv4', 'gicv4.1'] as const)('%s: each names it, and the VSYNC after it the same [gic D-4]', (version) => {
    const { machine, vpe } = second(version);
    const v41 = version === 'gicv4.1';
    const named = (act: () => void): string[] => targets(machine, act);
    const [irq] = machine.driver.allocate(DEVICE, 1, false);
    const invdb = v41 ? ['INVDB 1', 'VSYNC 1'] : [];
    expect(named(() => { vpe.freeDoorbell(); })).toEqual([...invdb, 'VMAPP 1', ...(v41 ? [] : ['VSYNC 1'])]);
    expect(named(() => { vpe.requestDoorbell(); })).toEqual(['VMAPP 1', 'VSYNC 1', 'VINVALL 1', 'VSYNC 1', ...invdb]);
    expect(named(() => vpe.setAffinity(1))).toEqual(['VMOVP 1', 'VSYNC 1']);
    expect(named(() => irq!.mapVlpi({ vpe, vintid: 8200, properties: 0xa3, doorbell: true }))).toEqual(['DISCARD', 'SYNC 0', 'VMAPTI 1', 'VSYNC 1']);
    expect(named(() => { irq!.setPending(true); })).toEqual(['INT', 'VSYNC 1']);
    const [first] = machine.vm.itsVm!.vpes;
    expect(named(() => irq!.mapVlpi({ vpe: first!, vintid: 8200, properties: 0xa3, doorbell: true }))).toEqual(['VMOVI 0', 'VSYNC 0']);
    expect(named(() => irq!.mapVlpi({ vpe, vintid: 8200, properties: 0xa3, doorbell: true }))).toEqual(['VMOVI 1', 'VSYNC 1']);
    if (!v41) expect(named(() => { vpe.invalidateAll(); })).toEqual(['VINVALL 1', 'VSYNC 1']);
    if (v41) expect(named(() => { vpe.sgis.activate(3); })).toEqual(['VSGI 1', 'VSYNC 1']);
  });

  it('GICv4.1: GICR_INVLPIR and INVALLR name it, at the redistributor where it is; so do VSGIR and GITS_SGIR [gic D-17]', () => {
    const { machine, vpe } = second('gicv4.1');
    vpe.setAffinity(1);
    expect(seen(machine, () => { vpe.invalidate(8200); }, GICR.INVLPIR).stores).toEqual(['1:0x8000000100002008']);
    expect(seen(machine, () => { vpe.invalidateAll(); }, GICR.INVALLR).stores).toEqual(['1:0x8000000100000000']);
    const { memory } = machine.host;
    const [write32, write64] = [memory.write32.bind(memory), memory.write64.bind(memory)];
    const stored: string[] = [];
    memory.write32 = (address, value, requester): void => {
      if (address === machine.gic.redistributorBase[1]! + GICR.VSGIR) stored.push(`VSGIR ${value}`);
      write32(address, value, requester);
    };
    memory.write64 = (address, lo, hi, requester): void => {
      if (address === machine.gic.its[0]!.base + GITS.SGIR) stored.push(`SGIR ${hi} ${lo}`);
      write64(address, lo, hi, requester);
    };
    vpe.sgis.setPending(5, true);
    expect(vpe.sgis.pending(5)).toBe(true);
    expect(stored).toEqual(['SGIR 1 5', 'VSGIR 1']);
  });

  it('GICR_INVLPIR of an LPI that was moved goes where it is now [gic D-14]', () => {
    const machine = new Machine({ version: 'gicv3' });
    const [irq] = machine.driver.allocate(DEVICE, 1, false);
    irq!.setHandler(() => undefined);
    irq!.setAffinity(1);
    expect(seen(machine, () => { irq!.mask(); }, GICR.INVLPIR).stores).toEqual([`1:0x${irq!.lpi.toString(16)}`]);
  });
});

describe('a vPE that is mapped anew', () => {
  it('is on the first CPU: stop, save, run on the second posts a VMOVP [gic P4-T8]', () => {
    const { machine, vectors } = forwarded();
    const vcpu = machine.vcpu(0);
    vcpu.run(1);
    vcpu.stop();
    expect(seen(machine, () => vcpu.run(1)).commands).toEqual([]);
    vcpu.stop();
    machine.savePending();
    expect(seen(machine, () => vcpu.run(1)).commands).toEqual(['VMOVP', 'VSYNC']);
    machine.raise(vectors[0]!);
    expect(takeAll(vcpu)).toEqual([8195]);
  });
});

describe('an interrupt that is taken back', () => {
  it('is invalidated: it comes although its LPI was masked when it was forwarded', () => {
    const machine = new Machine({ version: 'gicv4.1' });
    machine.boot();
    const [irq] = machine.driver.allocate(DEVICE, 1, false);
    let taken = 0;
    irq!.setHandler(() => (taken += 1));
    const raise = (): void => machine.host.memory.write32(irq!.message.address, irq!.message.data, DEVICE);
    irq!.mask();
    raise();
    expect(taken).toBe(0);
    irq!.setPending(false);
    const [vpe] = machine.vm.itsVm!.vpes;
    irq!.mapVlpi({ vpe: vpe!, vintid: 8200, properties: 0xa3, doorbell: true });
    expect(seen(machine, () => irq!.unmapVlpi(), GICR.INVLPIR).stores).toEqual([`0:0x${irq!.lpi.toString(16)}`]);
    raise();
    expect(taken).toBe(1);
  });
});

describe('an ITS that is disabled', () => {
  it('drops the translations that it had cached: with another device table nothing is mapped', () => {
    const gic = new BareGic({ version: 'gicv3' });
    gic.mapDevice(DEV);
    gic.post((to) => encode.mapti(to, DEV, 0, 8192, 0), (to) => encode.sync(to, 0));
    gic.msi(DEV, 0);
    expect(gic.take(0)).toBe(8192);
    const { base } = gic.gic.its[0]!;
    const { memory } = gic.host;
    memory.write32(base, 0);
    memory.write64(base + GITS.BASER, 0x8070_0200, 0x8000_0000);
    memory.write32(base, 1);
    gic.msi(DEV, 0);
    expect(gic.take(0)).toBe(1023);
  });

  it('has done what it was given: an INV whose SYNC never came counts', () => {
    const gic = new BareGic({ version: 'gicv3', choices: { completion: 'sync' } });
    gic.mapDevice(DEV);
    gic.post((to) => encode.mapti(to, DEV, 0, 8192, 0), (to) => encode.sync(to, 0));
    gic.msi(DEV, 0);
    expect(gic.take(0)).toBe(8192);
    gic.property(8192, 0xa0);
    gic.post((to) => encode.event(to, OPCODE.INV, DEV, 0));
    gic.msi(DEV, 0);
    expect(gic.take(0)).toBe(8192);
    const { base } = gic.gic.its[0]!;
    gic.host.memory.write32(base, 0);
    gic.host.memory.write32(base, 1);
    gic.msi(DEV, 0);
    expect(gic.take(0)).toBe(1023);
  });
});

describe('INVDB', () => {
  it('reaches the redistributor to which the vPE has moved [gic H-22]', () => {
    const gic = new BareGic();
    gic.mapDevice(DEV);
    gic.post(gic.vmapp(0), (to) => encode.vpe(to, OPCODE.VSYNC, 0));
    gic.post((to) => encode.vmapti(to, DEV, 0, 0, 8192, 1023), (to) => encode.vpe(to, OPCODE.VSYNC, 0));
    gic.post((to) => encode.vmovp(to, 0, 1, 0, 0, DOORBELL_LPI), (to) => encode.vpe(to, OPCODE.VSYNC, 0));
    gic.property(DOORBELL_LPI, 0xa0);
    gic.resident(1, 0);
    gic.deschedule(1, 0, DOORBELL);
    gic.msi(DEV, 0);
    gic.property(DOORBELL_LPI, 0xa1);
    expect(gic.take(1)).toBe(1023);
    gic.post((to) => encode.vpe(to, OPCODE.INVDB, 0), (to) => encode.vpe(to, OPCODE.VSYNC, 0));
    expect(gic.take(1)).toBe(DOORBELL_LPI);
  });
});

describe('a flush of the VPT', () => {
  it.each(['gicv4', 'gicv4.1'] as const)('%s: of GICv4.1 alone', (version) => {
    const machine = new Machine({ version });
    const vm = made(new ItsDriver(machine.host, machine.gic).createVm(1));
    for (const vpe of vm.vpes) vpe.requestDoorbell();
    const events = machine.host.trace.record();
    for (const vpe of vm.vpes) vpe.freeDoorbell();
    expect(events.some(({ id }) => id === 'gic-host/vpt-flushed')).toBe(version === 'gicv4.1');
  });
});
