/** What GICv4.1 does when a vPE leaves its redistributor, through the registers alone. */
import { Host } from '@vsim/vfio-core';
import { describe, expect, it } from 'vitest';
import { Gic, GICR, ItsDriver, type ItsIrq, type ItsVpe } from '../src/index.ts';
import { made } from './machine.ts';

const DEVICE = 0x10;
const PENDING_LAST = 0x2000_0000;
const DOORBELL = 0x4000_0000;
const VALID_GRP1 = 0x8400_0000;

interface Setup {
  readonly host: Host;
  readonly gic: Gic;
  readonly vpe: ItsVpe;
  readonly irqs: readonly ItsIrq[];
  rings(): number;
  vpendbaser(high: number): void;
  pendingLast(): boolean;
  raise(n: number): void;
}

/** One vPE with VLPI 8192 enabled and 8193 disabled. */
function setup(): Setup {
  const host = new Host({ ram: [{ base: 0x8000_0000, size: 0x200_0000 }] });
  const gic = new Gic(host, { version: 'gicv4.1', cpus: 1 });
  const driver = new ItsDriver(host, gic);
  const vpe = made(driver.createVm(1)).vpes[0]!;
  vpe.requestDoorbell();
  let rings = 0;
  vpe.onDoorbell = () => {
    rings += 1;
  };
  const irqs = driver.allocate(DEVICE, 2, false);
  irqs.forEach((irq, n) => irq.mapVlpi({ vpe, vintid: 8192 + n, properties: n === 0 ? 0xa3 : 0xa2, doorbell: false }));
  const register = gic.redistributorBase[0]! + GICR.VPENDBASER;
  return {
    host,
    gic,
    vpe,
    irqs,
    rings: () => rings,
    vpendbaser: (high) => host.memory.write64(register, vpe.vpeid, high),
    pendingLast: () => (host.memory.read32(register + 4) & PENDING_LAST) !== 0,
    raise: (n) => host.memory.write32(irqs[n]!.message.address, irqs[n]!.message.data, DEVICE),
  };
}

describe('descheduling a vPE [gic H-14]', () => {
  it.each([
    // PendingLast written, Doorbell written, something enabled pending; read back, doorbell later
    [true, false, false, true, 0],
    [true, true, false, true, 0],
    [true, true, true, true, 0],
    [false, true, false, false, 1],
    [false, true, true, true, 0],
    [false, false, false, false, 0],
    [false, false, true, true, 0],
  ])('PendingLast=%s Doorbell=%s pending=%s: reads %s, rings %d', (last, doorbell, pending, readBack, rings) => {
    const gic = setup();
    gic.vpendbaser(VALID_GRP1);
    if (pending) gic.raise(0);
    gic.vpendbaser((last ? PENDING_LAST : 0) + (doorbell ? DOORBELL : 0));
    expect(gic.pendingLast()).toBe(readBack);
    gic.raise(0);
    gic.raise(0);
    expect(gic.rings()).toBe(rings);
  });

  it('a disabled VLPI rings no doorbell until it is enabled and invalidated [gic A-48]', () => {
    const gic = setup();
    gic.vpendbaser(VALID_GRP1);
    gic.vpendbaser(DOORBELL);
    gic.raise(1);
    expect(gic.rings()).toBe(0);
    gic.irqs[1]!.updateVlpi(0xa3, true);
    expect(gic.rings()).toBe(1);
  });

  it('is one ring until the next residency [gic H-13] [gic TR-18]', () => {
    const gic = setup();
    for (let round = 1; round <= 3; round += 1) {
      gic.vpendbaser(VALID_GRP1);
      while (gic.gic.redistributors[0]!.bestVlpi.intid !== 1023) gic.gic.redistributors[0]!.acknowledgeVlpi(8192);
      gic.vpendbaser(DOORBELL);
      gic.raise(0);
      gic.raise(0);
      expect(gic.rings()).toBe(round);
    }
  });
});

describe('contracts of residency', () => {
  it('fields must not change while Valid is 1 [gic H-15]', () => {
    const gic = setup();
    const events = gic.host.trace.record();
    gic.vpendbaser(VALID_GRP1);
    gic.host.memory.write64(gic.gic.redistributorBase[0]! + GICR.VPENDBASER, 77, VALID_GRP1);
    expect(events.map(({ id }) => id)).toContain('gic/unpredictable');
    gic.raise(0);
    expect(gic.gic.redistributors[0]!.bestVlpi.intid).toBe(8192);
  });

  it('VMAPP V=0 of a resident vPE is unpredictable [gic H-20]', () => {
    const gic = setup();
    gic.vpendbaser(VALID_GRP1);
    const events = gic.host.trace.record();
    gic.vpe.freeDoorbell();
    expect(events.map(({ id }) => id)).toContain('gic/unpredictable');
  });

  it('an MSI for a vPE that is mapped nowhere is dropped [gic F-V3] [gic P4-T13]', () => {
    const gic = setup();
    gic.vpe.freeDoorbell();
    const events = gic.host.trace.record();
    gic.raise(0);
    expect(events.map(({ id, text }) => [id, text])).toEqual([['gic/msi-dropped', 'its 0: msi of device 0x10 event 0 dropped: vpe not mapped']]);
    gic.vpe.requestDoorbell();
    gic.vpendbaser(VALID_GRP1);
    expect(gic.gic.redistributors[0]!.bestVlpi.intid).toBe(1023);
  });
});
