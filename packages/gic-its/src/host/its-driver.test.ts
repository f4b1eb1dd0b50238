import { EBUSY, EINVAL, Host, type TraceEvent } from '@vsim/vfio-core';
import { describe, expect, it } from 'vitest';
import { Gic, type GicVersion, type ImplementationChoices } from '../hardware/index.ts';
import { ItsDriver, type ItsDriverInit } from './its-driver.ts';
import type { ItsVm } from './its-vpe.ts';

const RAM = [{ base: 0x4000_0000, size: 0x1000_0000 }];

function machine(version: GicVersion, choices: Partial<ImplementationChoices> = {}, init: ItsDriverInit = {}) {
  const host = new Host({ ram: RAM });
  const gic = new Gic(host, { version, cpus: 2, choices });
  return { host, gic, driver: new ItsDriver(host, gic, init) };
}

function commands(events: readonly TraceEvent[]): string[] {
  return events.filter(({ id }) => id === 'gic/command').map(({ fields }) => (fields as { name: string }).name);
}

function vmOf(driver: ItsDriver, vpes: number): ItsVm {
  const vm = driver.createVm(vpes);
  if (typeof vm === 'number') throw new Error(`createVm: ${vm}`);
  return vm;
}

describe('MSIs of a device', () => {
  it('arrive as LPIs on the least loaded CPU [gic H-1]', () => {
    const { host, driver } = machine('gicv3');
    const irqs = driver.allocate(0x10, 3, true);
    expect(irqs.map(({ event, lpi, cpu }) => [event, lpi, cpu])).toEqual([
      [0, 8192, 0],
      [1, 8193, 1],
      [2, 8194, 0],
    ]);
    let taken = 0;
    irqs[1]!.setHandler(() => {
      taken += 1;
    });
    host.memory.write32(irqs[1]!.message.address, irqs[1]!.message.data, 0x10);
    host.memory.write32(irqs[1]!.message.address, irqs[1]!.message.data, 0x10);
    expect(taken).toBe(2);
    // Another device's id raises nothing.
    host.memory.write32(irqs[1]!.message.address, irqs[1]!.message.data, 0x11);
    expect(taken).toBe(2);
  });

  it('stay pending while masked, and arrive at unmask [gic H-4]', () => {
    const { host, driver } = machine('gicv3');
    const [irq] = driver.allocate(0x10, 1, false);
    let taken = 0;
    irq!.setHandler(() => {
      taken += 1;
    });
    irq!.mask();
    host.memory.write32(irq!.message.address, irq!.message.data, 0x10);
    expect(taken).toBe(0);
    irq!.unmask();
    expect(taken).toBe(1);
  });

  it('trace of a physical LPI life [gic TR-24]', () => {
    const { host, driver } = machine('gicv3', { invalidateRegisters: false });
    const events = host.trace.record();
    const irqs = driver.allocate(0x10, 1, false);
    irqs[0]!.setHandler(() => undefined);
    irqs[0]!.setAffinity(1);
    driver.release(0x10, irqs);
    expect(commands(events)).toEqual(['MAPD', 'MAPTI', 'SYNC', 'INV', 'SYNC', 'MOVI', 'SYNC', 'INV', 'SYNC', 'DISCARD', 'SYNC', 'MAPD']);
    expect(driver.freeLpis).toBe(65536 - 8192);
  });

  it('the command queue wraps', () => {
    const { host, driver } = machine('gicv3');
    const [irq] = driver.allocate(0x10, 1, false);
    let taken = 0;
    irq!.setHandler(() => {
      taken += 1;
    });
    for (let i = 0; i < 2500; i += 1) irq!.setPending(true);
    expect(taken).toBe(2500);
    expect(host.trace.on).toBe(false);
  });
});

describe('CPU hotplug', () => {
  it('moves requested LPIs of the CPU to the least loaded one that is left, and no others', () => {
    const { host, driver } = machine('gicv3');
    const irqs = driver.allocate(0x10, 4, true);
    irqs[1]!.setHandler(() => undefined);
    const events = host.trace.record();
    expect(driver.offlineCpu(1)).toBe(0);
    expect(commands(events)).toEqual(['MOVI', 'SYNC']);
    expect(irqs.map(({ cpu }) => cpu)).toEqual([0, 0, 0, 1]);
    expect(driver.allocate(0x11, 2, true).map(({ cpu }) => cpu)).toEqual([0, 0]);
    expect(irqs[0]!.setAffinity(1)).toBe(-EINVAL);
  });

  it('leaves a forwarded LPI alone', () => {
    const { driver } = machine('gicv4.1');
    const vm = vmOf(driver, 1);
    vm.vpes[0]!.requestDoorbell();
    const [, irq] = driver.allocate(0x10, 2, true);
    irq!.setHandler(() => undefined);
    expect(irq!.mapVlpi({ vpe: vm.vpes[0]!, vintid: 8200, properties: 0xa3, doorbell: false })).toBe(0);
    expect([driver.offlineCpu(1), irq!.cpu]).toEqual([0, 1]);
  });

  it('moves the vPE of a doorbell that was ever enabled: with GICv4.1 each, with GICv4.0 one that has blocked', () => {
    for (const [version, blocks, moves] of [['gicv4.1', false, true], ['gicv4', false, false], ['gicv4', true, true]] as const) {
      const { host, driver } = machine(version);
      const [vpe] = vmOf(driver, 1).vpes;
      vpe!.requestDoorbell();
      vpe!.setAffinity(1);
      vpe!.makeResident(false, true);
      vpe!.makeNonResident(blocks);
      const events = host.trace.record();
      driver.offlineCpu(1);
      expect([commands(events).includes('VMOVP'), vpe!.cpu]).toEqual([moves, moves ? 0 : 1]);
    }
  });

  it('maps the collection of a CPU that comes back, which then takes what waited', () => {
    const { host, driver } = machine('gicv3');
    const [, irq] = driver.allocate(0x10, 2, true);
    driver.offlineCpu(1);
    let taken = 0;
    irq!.setHandler(() => {
      taken += 1;
    });
    host.memory.write32(irq!.message.address, irq!.message.data, 0x10);
    expect(taken).toBe(0);
    const events = host.trace.record();
    expect(driver.onlineCpu(1)).toBe(0);
    expect(commands(events)).toEqual(['MAPC', 'SYNC', 'INVALL', 'SYNC']);
    expect(taken).toBe(1);
  });

  it('refuses CPUs that are not there, the last one, and one that runs a vCPU', () => {
    const { driver } = machine('gicv3');
    expect([driver.offlineCpu(2), driver.onlineCpu(0), driver.onlineCpu(2)]).toEqual([-EINVAL, -EINVAL, -EINVAL]);
    driver.cpus.guests[1] = { virtualInterrupt: () => undefined, maintenance: () => undefined };
    expect(driver.offlineCpu(1)).toBe(-EBUSY);
    driver.cpus.guests[1] = undefined;
    expect([driver.offlineCpu(0), driver.offlineCpu(0), driver.offlineCpu(1)]).toEqual([0, -EINVAL, -EBUSY]);
  });

  it('counts an LPI where its affinity is', () => {
    const { driver } = machine('gicv3');
    const irqs = driver.allocate(0x10, 2, true);
    irqs[1]!.setAffinity(0);
    expect(driver.allocate(0x11, 2, true).map(({ cpu }) => cpu)).toEqual([1, 1]);
    driver.release(0x10, irqs);
    expect(driver.allocate(0x12, 1, true).map(({ cpu }) => cpu)).toEqual([0]);
  });
});

describe('vPEs', () => {
  it('VMAPP is first with Alloc, never with PTZ [gic TR-01] [gic P2-T2]', () => {
    const { host, driver } = machine('gicv4.1');
    const vm = vmOf(driver, 2);
    const events = host.trace.record();
    for (const vpe of vm.vpes) vpe.requestDoorbell();
    expect(commands(events)).toEqual(Array.from({ length: 2 }, () => ['VMAPP', 'VSYNC', 'VINVALL', 'VSYNC', 'INVDB', 'VSYNC']).flat());
    const vmapp = events.find(({ text }) => text.includes('VMAPP'))!.fields as { words: bigint[] };
    expect(vmapp.words[0]! & 0x3ffn).toBe(0x129n);
  });

  it('a forwarded MSI is a VLPI: at once when resident, else a doorbell [gic H-11] [gic H-13]', () => {
    const { host, gic, driver } = machine('gicv4.1');
    const vm = vmOf(driver, 2);
    for (const vpe of vm.vpes) vpe.requestDoorbell();
    const vpe = vm.vpes[1]!;
    const [irq] = driver.allocate(0x10, 1, false);
    irq!.setHandler(() => undefined);
    expect(irq!.mapVlpi({ vpe, vintid: 8200, properties: 0xa3, doorbell: false })).toBe(0);
    const guest = gic.cpu(1).virtual;
    guest.write('ICH_HCR_EL2', 1n);
    guest.write('ICC_PMR_EL1', 0xffn);
    guest.write('ICC_IGRPEN1_EL1', 1n);

    expect(vpe.setAffinity(1)).toBe(0);
    vpe.makeResident(false, true);
    host.memory.write32(irq!.message.address, irq!.message.data, 0x10);
    expect(guest.acknowledge()).toBe(8200);
    guest.endOfInterrupt(8200);

    let rings = 0;
    vpe.onDoorbell = () => {
      rings += 1;
    };
    vpe.makeNonResident(true);
    expect(vpe.pendingLast).toBe(false);
    host.memory.write32(irq!.message.address, irq!.message.data, 0x10);
    host.memory.write32(irq!.message.address, irq!.message.data, 0x10);
    expect(rings).toBe(1);
    expect(vpe.pendingLast).toBe(true);
    vpe.makeResident(false, true);
    expect(guest.acknowledge()).toBe(8200);
  });

  it('GICv4.0: an individual doorbell rings for each VLPI that becomes pending [gic H-12]', () => {
    const { host, gic, driver } = machine('gicv4');
    const vm = vmOf(driver, 1);
    const vpe = vm.vpes[0]!;
    vpe.requestDoorbell();
    const [irq] = driver.allocate(0x10, 1, false);
    irq!.setHandler(() => undefined);
    irq!.mapVlpi({ vpe, vintid: 8200, properties: 0xa3, doorbell: true });
    let rings = 0;
    vpe.onDoorbell = () => {
      rings += 1;
    };
    vpe.makeResident(false, true);
    vpe.makeNonResident(true);
    host.memory.write32(irq!.message.address, irq!.message.data, 0x10);
    expect(rings).toBe(1);
    vpe.makeResident(false, true);
    const guest = gic.cpu(0).virtual;
    guest.write('ICH_HCR_EL2', 1n);
    guest.write('ICC_PMR_EL1', 0xffn);
    guest.write('ICC_IGRPEN1_EL1', 1n);
    expect(guest.acknowledge()).toBe(8200);
  });

  it('an unmapped VLPI is an LPI again', () => {
    const { host, driver } = machine('gicv4.1');
    const vm = vmOf(driver, 1);
    vm.vpes[0]!.requestDoorbell();
    const [irq] = driver.allocate(0x10, 1, false);
    let taken = 0;
    irq!.setHandler(() => {
      taken += 1;
    });
    irq!.mapVlpi({ vpe: vm.vpes[0]!, vintid: 8200, properties: 0xa3, doorbell: false });
    host.memory.write32(irq!.message.address, irq!.message.data, 0x10);
    expect(taken).toBe(0);
    expect(irq!.unmapVlpi()).toBe(0);
    host.memory.write32(irq!.message.address, irq!.message.data, 0x10);
    expect(taken).toBe(1);
    expect(irq!.unmapVlpi()).toBe(-22);
  });
});

describe('reading a VPT after the unmap', () => {
  function pendingAfterUnmap(choices: Partial<ImplementationChoices>, init: ItsDriverInit): boolean {
    const { host, driver } = machine('gicv4.1', choices, init);
    const vm = vmOf(driver, 1);
    const vpe = vm.vpes[0]!;
    vpe.requestDoorbell();
    const [irq] = driver.allocate(0x10, 1, false);
    irq!.mapVlpi({ vpe, vintid: 8200, properties: 0xa3, doorbell: false });
    host.memory.write32(irq!.message.address, irq!.message.data, 0x10);
    // Mapped: the bit may still be in the GIC.
    expect(vpe.peek(8200)).toBe(false);
    vpe.freeDoorbell();
    return vpe.peek(8200);
  }

  it('sees what the GIC wrote, because the caches are invalidated [gic P1-T1]', () => {
    expect(pendingAfterUnmap({ coherent: false }, {})).toBe(true);
    expect(pendingAfterUnmap({ coherent: false }, { switches: { flushVptOnUnmap: false } })).toBe(false);
  });

  it('needs no invalidation with a GIC that snoops [gic P1-T6]', () => {
    expect(pendingAfterUnmap({ coherent: true }, {})).toBe(true);
    expect(pendingAfterUnmap({ coherent: true }, { switches: { flushVptOnUnmap: false } })).toBe(true);
  });

  it('PTZ on the map after it loses what was pending [gic P2-T3]', () => {
    for (const neverPtz of [true, false]) {
      const { host, driver } = machine('gicv4.1', {}, { switches: { neverPtz } });
      const vm = vmOf(driver, 1);
      const vpe = vm.vpes[0]!;
      vpe.requestDoorbell();
      const [irq] = driver.allocate(0x10, 1, false);
      irq!.mapVlpi({ vpe, vintid: 8200, properties: 0xa3, doorbell: false });
      host.memory.write32(irq!.message.address, irq!.message.data, 0x10);
      const events = host.trace.record();
      vpe.freeDoorbell();
      vpe.requestDoorbell();
      vpe.freeDoorbell();
      expect(vpe.peek(8200)).toBe(neverPtz);
      expect(events.some(({ id }) => id === 'gic/unpredictable')).toBe(!neverPtz);
    }
  });
});
