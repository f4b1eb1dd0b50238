/** VLPIs of a VM: reading their pending state, forwarding, residency, and where an interrupt can be when the VM stops. */
import { describe, expect, it, vi } from 'vitest';
import { encode, GICR, GRP, IRQFD_INJECT, OPCODE, SYSREG, type VgicIrq } from '../src/index.ts';
import { commandNames, GUEST, Machine, takeAll, type MachineInit, type Vector } from './machine.ts';

const DEVICE = 0x10;
const VALID = 0x8000_0000;

/** Event n of device 0x10 is LPI lpis[n] of vCPU n % count, forwarded. */
function forwarded(lpis: readonly number[] = [8195, 8200], init: MachineInit = {}): { machine: Machine; vectors: Vector[] } {
  const machine = new Machine(init);
  machine.boot();
  machine.mapDevice(DEVICE, lpis);
  return { machine, vectors: machine.driver.allocate(DEVICE, lpis.length, false).map((irq, n) => machine.vector(DEVICE, n, irq)) };
}

const lpi = (machine: Machine, intid: number): VgicIrq => machine.vm.lpis.find(intid)!;
const vpendbaser = (machine: Machine, cpu: number): number => machine.driver.readRedistributor(cpu, GICR.VPENDBASER + 4);

describe('reading a VLPI from the VPT', () => {
  it('byte intid / 8, bit intid % 8, from the start of the table [gic P3-T1] [gic 11/6]', () => {
    const { machine, vectors } = forwarded([8192, 8199, 8200, 65535], { vcpus: 1 });
    for (const vector of vectors) machine.raise(vector);
    const { vpe } = machine.vcpu(0);
    vpe!.freeDoorbell();
    const read = (offset: number): number => machine.host.memory.read8(vpe!.vptAddress + offset);
    expect([read(0x400), read(0x401), read(0x1fff)]).toEqual([0x81, 0x01, 0x80]);
    expect([8192, 8193, 8199, 8200, 65535].map((intid) => vpe!.peek(intid))).toEqual([true, false, true, true, true]);
  });

  it('by the virtual INTID, not the physical LPI and not the event [gic P3-T2] [gic 11/6]', () => {
    const { machine, vectors } = forwarded([8195, 9001], { vcpus: 1 });
    const [, vector] = vectors;
    expect([vector!.irq.lpi, vector!.irq.event]).not.toContain(9001);
    machine.raise(vector!);
    const { vpe } = machine.vcpu(0);
    vpe!.freeDoorbell();
    expect([vpe!.peek(9001), vpe!.peek(vector!.irq.lpi)]).toEqual([true, false]);
    vpe!.requestDoorbell();
    machine.savePending();
    expect([machine.pendingBit(0, 9001), machine.pendingBit(0, vector!.irq.lpi)]).toEqual([1, 0]);
  });

  it('while the vPE is mapped may be old, and is said to be wrong [gic P3-T4] [gic 11/1]', () => {
    const { machine, vectors } = forwarded();
    machine.raise(vectors[0]!);
    const events = machine.host.trace.record();
    const { vpe } = machine.vcpu(0);
    expect([vpe!.peek(8195), events.map(({ id }) => id)]).toEqual([false, ['gic-host/vpt-read-mapped']]);
    // Unmapped on one of two ITSs is not enough.
    const two = forwarded([8195], { vcpus: 1, its: [0x0808_0000, 0x0900_0000] });
    two.machine.raise(two.vectors[0]!);
    const { vpe: other } = two.machine.vcpu(0);
    other!.unmapOn(two.machine.driver.nodes[0]!);
    expect([other!.mapped, other!.peek(8195)]).toEqual([true, false]);
    other!.unmapOn(two.machine.driver.nodes[1]!);
    expect([other!.mapped, other!.peek(8195)]).toEqual([false, true]);
  });

  it('is never asked of an LPI that is not forwarded; of a forwarded one the latch is ignored [gic P3-T5] [gic P4-T15] [gic 11/5] [gic 1.4/3]', () => {
    const { machine, vectors } = forwarded();
    machine.mapDevice(DEVICE + 1, [8300, 8301]);
    machine.msi(DEVICE + 1, 0);
    lpi(machine, 8200).pendingLatch = true;
    machine.raise(vectors[0]!);
    machine.setPendingBit(1, 8200);
    const peeks = machine.vm.vcpus.map(({ vpe }) => vi.spyOn(vpe!, 'peek'));
    expect(machine.savePending()).toBe(0);
    expect(peeks.map(({ mock }) => mock.calls)).toEqual([[[8195]], [[8200]]]);
    // Set by the VPT, and cleared by it.
    expect([machine.pendingBit(0, 8195), machine.pendingBit(1, 8200), machine.pendingBit(0, 8300)]).toEqual([1, 0, 1]);
  });

  it('bits go to the table of the present target: MOVI takes them along [gic 11/7]', () => {
    const { machine, vectors } = forwarded();
    machine.raise(vectors[0]!);
    machine.savePending();
    machine.command((to) => encode.movi(to, DEVICE, 0, 1));
    machine.savePending();
    expect([machine.pendingBit(1, 8195), machine.vcpu(1).vpe!.vm.vpes.length]).toEqual([1, 2]);
    const byte = (n: number): number => machine.host.memory.read8(machine.vcpu(n).vpe!.vptAddress + 0x400) & 8;
    expect([byte(0), byte(1)]).toEqual([0, 8]);
  });

  it('a host without GICv4.1 unmaps nothing [gic P4-T12]', () => {
    for (const version of ['gicv3', 'gicv4'] as const) {
      const { machine, vectors } = forwarded([8195, 8200], { version });
      machine.mapDevice(DEVICE + 1, [8300]);
      machine.msi(DEVICE + 1, 0);
      if (version === 'gicv4') machine.raise(vectors[0]!);
      const events = machine.host.trace.record();
      expect([machine.savePending(), commandNames(events), machine.pendingBit(0, 8300), machine.pendingBit(0, 8195)]).toEqual([0, [], 1, 0]);
      expect(machine.saveTables()).toBe(version === 'gicv4' ? -13 : 0);
    }
  });

  it('every vPE is unmapped before the first byte is touched, and mapped after the last [gic 1.4/2] [gic 1.4/4]', () => {
    const { machine, vectors } = forwarded();
    for (const vector of vectors) machine.raise(vector);
    const seen: boolean[][] = [];
    const { memory } = machine.vm;
    const mapped = (): boolean[] => machine.vm.vcpus.map(({ vpe }) => vpe!.mapped);
    vi.spyOn(memory, 'accessible').mockImplementation(() => {
      seen.push(mapped());
      return true;
    });
    expect([machine.savePending(), mapped()]).toEqual([0, [true, true]]);
    expect(seen.length).toBeGreaterThan(2);
    expect(seen.flat()).not.toContain(true);
  });
});

describe('handing pending state to the hardware', () => {
  /** LPI 8195 pending by software, with a property; then its vector is connected. */
  function latched(property: number): { machine: Machine; vector: Vector; commands: string[] } {
    const machine = new Machine();
    machine.boot();
    machine.mapDevice(DEVICE, [8195]);
    machine.ram.write8(GUEST.PROPERTIES + 3, property);
    machine.command((to) => encode.event(to, OPCODE.INV, DEVICE, 0));
    machine.msi(DEVICE, 0);
    const [irq] = machine.driver.allocate(DEVICE, 1, false);
    const events = machine.host.trace.record();
    const vector = machine.vector(DEVICE, 0, irq!);
    return { machine, vector, commands: commandNames(events) };
  }

  it('pending and disabled: INT all the same, delivered after enable and INV [gic P5-T4] [gic 11/9]', () => {
    const { machine, commands } = latched(0xa0);
    expect(commands).toEqual(['DISCARD', 'SYNC', 'VMAPTI', 'VSYNC', 'INT', 'VSYNC']);
    machine.vcpu(0).run(0);
    expect(takeAll(machine.vcpu(0))).toEqual([]);
    machine.ram.write8(GUEST.PROPERTIES + 3, 0xa1);
    machine.command((to) => encode.event(to, OPCODE.INV, DEVICE, 0));
    expect(takeAll(machine.vcpu(0))).toEqual([8195]);
  });

  it('of a vCPU that does not run: no list register, delivered at its first residency, also after a save [gic P5-T6] [gic L10]', () => {
    for (const saves of [0, 2]) {
      const { machine } = latched(0xa1);
      expect(lpi(machine, 8195)).toMatchObject({ hw: true, pendingLatch: false });
      for (let n = 0; n < saves; n += 1) machine.savePending();
      machine.vcpu(0).run(0);
      expect(machine.driver.gic.cpu(0).virtual.read('ICH_ELRSR_EL2')).toBe(0xfn);
      expect(takeAll(machine.vcpu(0))).toEqual([8195]);
    }
  });

  it('forwarded, taken back, forwarded again with nothing pending: no INT [gic P5-T7]', () => {
    const { machine, vector } = latched(0xa1);
    machine.vcpu(0).run(0);
    takeAll(machine.vcpu(0));
    machine.bypass.unregisterProducer(vector.producer);
    const events = machine.host.trace.record();
    expect(machine.bypass.registerProducer(vector.producer)).toBe(0);
    expect(commandNames(events)).toEqual(['DISCARD', 'SYNC', 'VMAPTI', 'VSYNC']);
    expect(takeAll(machine.vcpu(0))).toEqual([]);
  });

  it('set_forwarding before the pending table was read: nothing is handed over; the latch that comes later is taken by a list register, or lost by a save [gic F-V19]', () => {
    const machine = new Machine();
    machine.boot();
    // The table is read as EnableLPIs is set, after the vector is connected: what a restore in the wrong order does.
    machine.mapDevice(DEVICE, [8195]);
    const [irq] = machine.driver.allocate(DEVICE, 1, false);
    const events = machine.host.trace.record();
    machine.vector(DEVICE, 0, irq!);
    machine.setGicr(0, 0, 0);
    machine.setPendingBit(0, 8195);
    machine.setGicr(0, 0, 1);
    expect(commandNames(events)).not.toContain('INT');
    expect(lpi(machine, 8195)).toMatchObject({ hw: true, pendingLatch: true });
    // A save asks the VPT, which knows of nothing: the interrupt is lost on the way.
    machine.savePending();
    expect(machine.pendingBit(0, 8195)).toBe(0);
    machine.vcpu(0).run(0);
    expect(takeAll(machine.vcpu(0))).toEqual([8195]);
  });

  it('forwarding is not atomic: an MSI between DISCARD and VMAPTI is dropped [gic F-V17] [gic 11/11]', () => {
    const machine = new Machine();
    machine.boot();
    machine.mapDevice(DEVICE, [8195]);
    const [irq] = machine.driver.allocate(DEVICE, 1, false);
    irq!.setHandler(() => undefined);
    const dropped: string[] = [];
    machine.host.trace.listen(({ id, text, fields }) => {
      if (id === 'gic/msi-dropped') dropped.push(text);
      // The device raises its interrupt as the ITS takes the DISCARD's SYNC.
      if (id === 'gic/command' && (fields as { name: string }).name === 'SYNC') machine.host.memory.write32(irq!.message.address, irq!.message.data, DEVICE);
    });
    machine.vector(DEVICE, 0, irq!);
    expect(dropped).toHaveLength(1);
    machine.vcpu(0).run(0);
    expect(takeAll(machine.vcpu(0))).toEqual([]);
  });
});

describe('invariants of forwarding', () => {
  it('a forwarded event has no physical LPI; one that is not has it mapped and enabled [gic I-2]', () => {
    const { machine, vectors } = forwarded();
    const { irq } = vectors[0]!;
    const physical = (): boolean => machine.gic.redistributors.some(({ lpis }) => lpis.bank.test(irq.lpi));
    irq.setHandler(undefined);
    machine.raise(vectors[0]!);
    expect([irq.forwarded, physical()]).toEqual([true, false]);
    let taken = 0;
    irq.setHandler(() => (taken += 1));
    machine.bypass.unregisterProducer(vectors[0]!.producer);
    machine.raise(vectors[0]!);
    expect([irq.forwarded, taken, machine.driver.property(irq.lpi) & 1]).toEqual([false, 1, 1]);
  });

  it('the vPE of a VLPI is its target\'s, and vPEs count them, after MOVI, MOVALL and MAPC [gic I-3]', () => {
    const { machine, vectors } = forwarded([8195, 8200, 8205], { vcpus: 3 });
    const holds = (): void => {
      const counts = machine.vm.vcpus.map((vcpu) => machine.vm.lpis.all().filter((irq) => irq.hw && irq.target === vcpu).length);
      expect(machine.vm.vcpus.map(({ vlpiCount }) => vlpiCount)).toEqual(counts);
      for (const { irq } of vectors) {
        const map = irq.getVlpi();
        if (map !== undefined) expect(map.vpe).toBe(lpi(machine, map.vintid).target!.vpe);
      }
    };
    const steps: readonly (() => void)[] = [
      () => machine.command((to) => encode.movi(to, DEVICE, 0, 2)),
      () => machine.command((to) => encode.movall(to, 2, 1)),
      () => machine.command((to) => encode.mapc(to, 1, 0, true)),
      () => machine.bypass.unregisterProducer(vectors[2]!.producer),
      () => machine.command((to) => encode.event(to, OPCODE.DISCARD, DEVICE, 1)),
    ];
    holds();
    for (const step of steps) {
      step();
      holds();
    }
    expect(machine.vm.vcpus.map(({ vlpiCount }) => vlpiCount).reduce((a, b) => a + b)).toBe(1);
  });

  it('a vPE is resident on one redistributor, and not while it is moved [gic I-8]', () => {
    const { machine } = forwarded();
    const [first, second] = machine.vm.vcpus;
    const resident = (): number[] => [0, 1].flatMap((cpu) => ((vpendbaser(machine, cpu) & VALID) === 0 ? [] : [machine.driver.readRedistributor(cpu, GICR.VPENDBASER)]));
    const events = machine.host.trace.record();
    first!.run(0);
    second!.run(1);
    expect(resident()).toEqual([first!.vpe!.vpeid, second!.vpe!.vpeid]);
    first!.stop();
    second!.stop();
    expect(resident()).toEqual([]);
    first!.run(1);
    expect([resident(), events.filter(({ id }) => id === 'gic/unpredictable')]).toEqual([[first!.vpe!.vpeid], []]);
  });

  it('a doorbell is armed only with nothing pending [gic I-9] [gic 11/22]', () => {
    for (const pending of [false, true]) {
      const { machine, vectors } = forwarded();
      const vcpu = machine.vcpu(0);
      vcpu.irqsMasked = true;
      vcpu.run(0);
      if (pending) machine.raise(vectors[0]!);
      vcpu.vpe!.makeNonResident(true);
      expect([machine.gic.vpe(vcpu.vpe!.vpeid)!.doorbellArmed, vcpu.vpe!.pendingLast]).toEqual([!pending, pending]);
    }
    // Not waiting, none is asked for.
    const { machine } = forwarded();
    machine.vcpu(0).run(0);
    machine.vcpu(0).stop();
    expect(machine.gic.vpe(machine.vcpu(0).vpe!.vpeid)!.doorbellArmed).toBe(false);
  });

  it('vmapp_count is the number of ITSs that map the vPE [gic I-10] [gic 11/24]', () => {
    const machine = new Machine({ vcpus: 1, its: [0x0808_0000, 0x0900_0000] });
    const { vpe } = machine.vcpu(0);
    const mapping = (): number => machine.gic.its.filter(({ translation }) => translation.virtual.doorbellOf(vpe!.vpeid) !== undefined).length;
    const [a, b] = machine.driver.nodes;
    const counts = (): number[] => [vpe!.mappings, mapping()];
    expect(counts()).toEqual([2, 2]);
    const events = machine.host.trace.record();
    vpe!.unmapOn(a!);
    expect(counts()).toEqual([1, 1]);
    vpe!.unmapOn(b!);
    expect(counts()).toEqual([0, 0]);
    expect(commandNames(events)).toEqual(['VMAPP', 'VMAPP']);
    vpe!.mapOn(b!);
    expect([...counts(), vpe!.cpu]).toEqual([1, 1, 0]);
  });
});

describe('residency', () => {
  it('of a vCPU that never ran: VPENDBASER is not touched, the VLPI waits in the VPT and comes with the first run [gic A-45]', () => {
    const { machine, vectors } = forwarded([8195, 8200], { choices: { busyReads: 2 } });
    const writes = vi.spyOn(machine.driver, 'writeRedistributor');
    machine.raise(vectors[0]!);
    expect(writes.mock.calls.filter(([, offset]) => offset === GICR.VPENDBASER)).toEqual([]);
    expect(machine.gic.vpe(machine.vcpu(0).vpe!.vpeid)!.lpis.test(8195)).toBe(true);
    machine.vcpu(0).run(0);
    expect([vpendbaser(machine, 0) & 0x1000_0000, takeAll(machine.vcpu(0))]).toEqual([0, [8195]]);
  });

  it('the distributor off: resident again with VGrp1En 0, nothing offered; on: offered [gic A-46] [gic K-49]', () => {
    const { machine, vectors } = forwarded();
    const vcpu = machine.vcpu(0);
    vcpu.irqsMasked = true;
    vcpu.run(0);
    const writes = vi.spyOn(machine.driver, 'writeRedistributor');
    machine.vm.store(vcpu, GUEST.DIST, 4, 0n);
    machine.raise(vectors[0]!);
    expect([vpendbaser(machine, 0) >>> 24, takeAll(vcpu)]).toEqual([0x80, []]);
    machine.vm.store(vcpu, GUEST.DIST, 4, 2n);
    expect([vpendbaser(machine, 0) >>> 24, takeAll(vcpu)]).toEqual([0x84, [8195]]);
    expect(writes.mock.calls.filter(([, offset]) => offset === GICR.VPENDBASER).map(([, , , high]) => high >>> 24)).toEqual([0x24, 0x80, 0x20, 0x84]);
  });

  it('WFI with a VLPI that the mask hides: PendingLast, and the vCPU goes on [gic A-47] [gic K-51]', () => {
    const { machine, vectors } = forwarded();
    const vcpu = machine.vcpu(0);
    vcpu.run(0);
    vcpu.setPriorityMask(0x80);
    machine.raise(vectors[0]!);
    const events = machine.host.trace.record();
    vcpu.wfi();
    expect([vcpu.state, vcpu.queue, events.some(({ id }) => id === 'gic-host/doorbell')]).toEqual(['running', [], false]);
    // The next time it leaves, PendingLast is read again.
    vcpu.setPriorityMask(0xff);
    expect(takeAll(vcpu)).toEqual([8195]);
    vcpu.wfi();
    expect([vcpu.state, vcpu.vpe!.pendingLast]).toEqual(['blocked', false]);
  });

  it('a software LPI that the mask hides lets the vCPU sleep; with the distributor off nothing wakes it [gic K-13]', () => {
    const machine = new Machine({ version: 'gicv3' });
    machine.boot();
    machine.mapDevice(DEVICE, [8195]);
    const vcpu = machine.vcpu(0);
    vcpu.run(0);
    vcpu.setPriorityMask(0x80);
    vcpu.wfi();
    machine.msi(DEVICE, 0);
    expect([vcpu.state, vcpu.hasPendingInterrupt]).toEqual(['blocked', false]);
    const open = forwarded();
    open.machine.vcpu(0).run(0);
    open.machine.vcpu(0).wfi();
    open.machine.vm.store(open.machine.vcpu(1), GUEST.DIST, 4, 0n);
    open.machine.raise(open.vectors[0]!);
    expect([open.machine.vcpu(0).vpe!.pendingLast, open.machine.vcpu(0).hasPendingInterrupt, open.machine.vcpu(0).state]).toEqual([true, false, 'blocked']);
  });

  it('put, not waiting: Dirty is waited for, PendingLast written, Dirty waited for, something taken to be pending [gic TR-15] [gic 11/23]', () => {
    const { machine } = forwarded([8195], { vcpus: 1, choices: { busyReads: 1 } });
    const vcpu = machine.vcpu(0);
    vcpu.run(0);
    const accesses: string[] = [];
    const { driver } = machine;
    vi.spyOn(driver, 'readRedistributor').mockImplementation((cpu, offset) => {
      const value = machine.host.memory.read32(machine.gic.redistributorBase[cpu]! + offset);
      if (offset === GICR.VPENDBASER + 4) accesses.push(`R ${(value >>> 24).toString(16)}`);
      return value;
    });
    const writes = vi.spyOn(driver, 'writeRedistributor').mockImplementation((cpu, offset, lo, hi) => {
      if (offset === GICR.VPENDBASER) accesses.push(`W ${(hi >>> 24).toString(16)} ${lo}`);
      machine.host.memory.write64(machine.gic.redistributorBase[cpu]! + offset, lo, hi);
    });
    vcpu.stop();
    const { vpeid } = vcpu.vpe!;
    expect(accesses.splice(0)).toEqual(['R 84', `W 24 ${vpeid}`, 'R 14', 'R 24']);
    expect(vcpu.vpe!.pendingLast).toBe(true);
    vcpu.run(0);
    accesses.length = 0;
    vcpu.wfi();
    // With a doorbell: Doorbell in bit 62, which is IDAI of GICv4.0, and PendingLast is what is read.
    expect(accesses).toEqual(['R 84', `W 44 ${vpeid}`, 'R 54', 'R 44']);
    expect([vcpu.vpe!.pendingLast, writes.mock.calls.length > 0]).toEqual([false, true]);
  });

  it('a vCPU that is put again while it waits keeps its doorbell [gic G36]', () => {
    const { machine, vectors } = forwarded();
    const vcpu = machine.vcpu(0);
    vcpu.run(0);
    vcpu.wfi();
    // Preempted on its way to sleep: vcpu_put() once more, and nobody asks for a doorbell.
    vcpu.vpe!.makeNonResident(false);
    expect(vcpu.vpe!.pendingLast).toBe(false);
    machine.raise(vectors[0]!);
    expect([vcpu.state, takeAll(vcpu)]).toEqual(['running', [8195]]);
  });

  it('a doorbell that rings as the vPE leaves is not forgotten [gic K-50] [gic G17]', () => {
    const { machine, vectors } = forwarded();
    const vcpu = machine.vcpu(0);
    vcpu.run(0);
    // The MSI comes between the write of VPENDBASER and what the driver makes of it.
    const { driver } = machine;
    const write = driver.writeRedistributor.bind(driver);
    const spy = vi.spyOn(driver, 'writeRedistributor').mockImplementation((cpu, offset, lo, hi) => {
      write(cpu, offset, lo, hi);
      if (offset === GICR.VPENDBASER && (hi & VALID) === 0) machine.raise(vectors[0]!);
    });
    vcpu.wfi();
    spy.mockRestore();
    expect([vcpu.state, takeAll(vcpu)]).toEqual(['running', [8195]]);
  });

  it('GICv4.0: the doorbell is disabled by its handler, and wakes the vCPU [gic K-50]', () => {
    const { machine, vectors } = forwarded([8195, 8200], { version: 'gicv4' });
    const vcpu = machine.vcpu(0);
    vcpu.run(0);
    vcpu.wfi();
    const { doorbell } = vcpu.vpe!;
    expect(machine.driver.property(doorbell) & 1).toBe(1);
    machine.raise(vectors[0]!);
    expect([machine.driver.property(doorbell) & 1, vcpu.state, takeAll(vcpu)]).toEqual([0, 'running', [8195]]);
  });

  it('is complete before the guest runs, also with nothing for it [gic K-52]', () => {
    for (const version of ['gicv4', 'gicv4.1'] as const) {
      const { machine } = forwarded([8195, 8200], { version, choices: { busyReads: 3 } });
      machine.vcpu(0).run(0);
      expect([machine.vcpu(0).queue, vpendbaser(machine, 0) & 0x1000_0000]).toEqual([[], 0]);
    }
  });

  it('destroy: vectors first, then doorbells, and everything is given back [gic TR-20] [gic G15]', () => {
    const { machine, vectors } = forwarded();
    const before = [machine.driver.freeLpis, machine.host.pages.used];
    machine.mapDevice(DEVICE + 1, [8300]);
    machine.msi(DEVICE + 1, 0);
    const queued = lpi(machine, 8300);
    expect([queued.queuedOn, queued.references]).toEqual([machine.vcpu(0), 3]);
    const events = machine.host.trace.record();
    machine.vm.destroy();
    const vector = ['DISCARD', 'SYNC', 'MAPTI', 'SYNC'];
    const vpe = ['INVDB', 'VSYNC', 'VMAPP'];
    expect(commandNames(events)).toEqual([...vector, ...vector, ...vpe, ...vpe]);
    expect(vectors.map(({ irq }) => irq.forwarded)).toEqual([false, false]);
    // 2 doorbells; 2 VPTs and the property table, 64 KiB each.
    expect([machine.driver.freeLpis - before[0]!, before[1]! - machine.host.pages.used]).toEqual([2, 3 * 16]);
    expect([machine.vm.vcpus.map(({ queue }) => queue.length), queued.references, machine.vm.lpis.all()]).toEqual([[0, 0], 0, []]);
  });
});

describe('where an interrupt can be at the stop', () => {
  /** The destination takes over; the interrupts that it takes, vCPU by vCPU. */
  function arrive(machine: Machine, init: MachineInit = {}): { there: Machine; taken: number[][] } {
    const saved = machine.save();
    expect([saved.tables, saved.pending]).toEqual([0, 0]);
    const there = new Machine({ ...init, ram: machine.ram });
    expect(there.restore(saved)).toBe(0);
    there.vm.vcpus.forEach((vcpu, n) => vcpu.run(n));
    return { there, taken: there.vm.vcpus.map((vcpu) => takeAll(vcpu)) };
  }

  it('pending in the VPT, its vPE not resident [gic L3]', () => {
    const { machine, vectors } = forwarded();
    machine.raise(vectors[0]!);
    expect(arrive(machine).taken).toEqual([[8195], []]);
  });

  it('pending in the redistributor of a resident vPE [gic L4]', () => {
    const { machine, vectors } = forwarded();
    const vcpu = machine.vcpu(0);
    vcpu.irqsMasked = true;
    vcpu.run(0);
    machine.raise(vectors[0]!);
    expect(machine.gic.redistributors[0]!.bestVlpi.intid).toBe(8195);
    vcpu.stop();
    expect(arrive(machine).taken).toEqual([[8195], []]);
  });

  it('acknowledged and not ended: only the running priority, which goes with ICC_AP1R0; no second delivery [gic L5]', () => {
    const { machine, vectors } = forwarded();
    const vcpu = machine.vcpu(0);
    vcpu.run(0);
    machine.raise(vectors[0]!);
    expect(vcpu.acknowledge()).toBe(8195);
    vcpu.stop();
    const ap1r = machine.vgic.getAttr(GRP.CPU_SYSREGS, SYSREG.ICC_AP1R0_EL1);
    expect(ap1r).not.toBe(0n);
    const saved = machine.save();
    const there = new Machine({ ram: machine.ram });
    there.restore(saved);
    there.vgic.setAttr(GRP.CPU_SYSREGS, SYSREG.ICC_AP1R0_EL1, BigInt(ap1r));
    const moved = there.vcpu(0);
    moved.run(1);
    const port = there.driver.gic.cpu(1).virtual;
    expect([port.read('ICC_RPR_EL1'), moved.acknowledge()]).toEqual([0xa0n, 1023]);
    moved.endOfInterrupt(8195);
    expect([port.read('ICC_RPR_EL1'), moved.acknowledge()]).toEqual([0xf8n | 0xffn, 1023]);
  });

  it('a software LPI, latched, or pending in a list register [gic L6] [gic L7]', () => {
    for (const inList of [false, true]) {
      const machine = new Machine({ version: 'gicv3' });
      machine.boot();
      machine.mapDevice(DEVICE, [8195]);
      const vcpu = machine.vcpu(0);
      vcpu.irqsMasked = true;
      if (inList) vcpu.run(0);
      machine.msi(DEVICE, 0);
      expect(lpi(machine, 8195).pendingLatch).toBe(!inList);
      vcpu.stop();
      expect(lpi(machine, 8195).pendingLatch).toBe(true);
      expect(arrive(machine, { version: 'gicv3' }).taken).toEqual([[8195], []]);
    }
  });

  it('on its way through an irqfd: in no table, so the work has to be done before the save [gic L8]', () => {
    for (const drained of [false, true]) {
      const machine = new Machine({ version: 'gicv3' });
      machine.boot();
      machine.mapDevice(DEVICE, [8195]);
      const [irq] = machine.driver.allocate(DEVICE, 1, false);
      const vector = machine.vector(DEVICE, 0, irq!);
      machine.host.scheduler.stopAt(IRQFD_INJECT);
      machine.raise(vector);
      expect(machine.vm.pendingInjections).toBe(1);
      if (drained) {
        machine.host.scheduler.release(IRQFD_INJECT);
        machine.host.scheduler.call('drain', machine.vm.drainIrqfds());
      }
      expect(arrive(machine, { version: 'gicv3' }).taken).toEqual([drained ? [8195] : [], []]);
    }
  });

  it('a doorbell that is pending is not carried: the VLPI is [gic L9]', () => {
    const { machine, vectors } = forwarded();
    const vcpu = machine.vcpu(0);
    vcpu.run(0);
    vcpu.wfi();
    vcpu.vpe!.onDoorbell = undefined;
    machine.raise(vectors[0]!);
    expect([vcpu.vpe!.pendingLast, vcpu.state]).toEqual([true, 'blocked']);
    vcpu.stop();
    expect(arrive(machine).taken).toEqual([[8195], []]);
  });

  it('a cancelled migration leaves bits that a later save clears [gic F-V25]', () => {
    const { machine, vectors } = forwarded();
    machine.raise(vectors[0]!);
    machine.save();
    expect(machine.pendingBit(0, 8195)).toBe(1);
    machine.vcpu(0).run(0);
    expect(takeAll(machine.vcpu(0))).toEqual([8195]);
    machine.vcpu(0).stop();
    const saved = machine.save();
    expect([saved.pending, machine.pendingBit(0, 8195)]).toEqual([0, 0]);
    expect(arrive(machine).taken).toEqual([[], []]);
    // Not saved again, a guest that toggles EnableLPIs reads them once more.
    const other = forwarded([8195, 8200], { version: 'gicv3' });
    other.machine.msi(DEVICE, 0);
    other.machine.save();
    const vcpu = other.machine.vcpu(0);
    vcpu.run(0);
    expect(takeAll(vcpu)).toEqual([8195]);
    other.machine.vm.store(vcpu, GUEST.REDIST, 4, 0n);
    other.machine.vm.store(vcpu, GUEST.REDIST, 4, 1n);
    expect(takeAll(vcpu)).toEqual([8195]);
  });
});

describe('restoring in another order', () => {
  function stopped(): { machine: Machine; saved: ReturnType<Machine['save']> } {
    const machine = new Machine({ version: 'gicv3' });
    machine.boot();
    machine.mapDevice(DEVICE, [8195]);
    machine.msi(DEVICE, 0);
    return { machine, saved: machine.save() };
  }
  const its = (there: Machine, offset: number, value: bigint): number => there.setIts(offset, value);

  function redistributors(there: Machine, gicr: readonly (readonly bigint[])[], order: readonly number[] = [0x70, 0x74, 0x78, 0x7c, 0]): void {
    const at = [0x70, 0x74, 0x78, 0x7c, 0];
    gicr.forEach((values, n) => order.forEach((offset) => there.setGicr(n, offset, Number(values[at.indexOf(offset)]!))));
    there.setGicd(0, 2);
  }

  it('PENDBASER and PROPBASER after EnableLPIs are ignored: as if they had never been restored [gic F-V10] [gic 11/18]', () => {
    const { machine, saved } = stopped();
    const there = new Machine({ version: 'gicv3', ram: machine.ram });
    redistributors(there, saved.gicr, [0, 0x70, 0x74, 0x78, 0x7c]);
    expect([there.gicr(0, 0x70), there.gicr(0, 0x78)]).toEqual([0x580n, 0x580n]);
    there.setTables();
    expect(there.restoreTables()).toBe(-14);
  });

  it('CREADR, CTLR, BASER, EnableLPIs, IIDR at the wrong place [gic F-V13] [gic 11/15]', () => {
    const make = (): { there: Machine; its: readonly bigint[] } => {
      const { machine, saved } = stopped();
      const there = new Machine({ version: 'gicv3', ram: machine.ram });
      redistributors(there, saved.gicr);
      return { there, its: saved.its };
    };
    const [CBASER, CREADR, CWRITER, BASER0, BASER1, CTLR] = [1, 2, 3, 4, 5, 6] as const;
    const AT = { [CBASER]: 0x80, [CREADR]: 0x90, [CWRITER]: 0x88, [BASER0]: 0x100, [BASER1]: 0x108, [CTLR]: 0x0 };
    type Step = keyof typeof AT | 'tables';
    const run = (steps: readonly Step[], there: Machine, values: readonly bigint[]): number[] => steps.map((step) => (step === 'tables' ? there.restoreTables() : its(there, AT[step], values[step]!)));
    // (a) CBASER last: both pointers are 0, and the guest's next CWRITER replays the ring.
    const late = make();
    run([CREADR, CWRITER, BASER0, BASER1, CBASER, 'tables', CTLR], late.there, late.its);
    expect([late.there.its64(0x90), late.there.its64(0x88), late.there.msi(DEVICE, 0)]).toEqual([0n, 0n, 1]);
    // (b) without CREADR the commands of before run again as CTLR is restored.
    const replayed = make();
    run([CBASER, CWRITER, BASER0, BASER1, 'tables'], replayed.there, replayed.its);
    expect(replayed.there.its64(0x90)).toBe(0n);
    run([CTLR], replayed.there, replayed.its);
    expect([replayed.there.its64(0x90), replayed.there.its.mappings.devices[0]!.events.size]).toEqual([replayed.its[CWRITER], 1]);
    // (c) CTLR first is harmless if the rest is right; CREADR is then -EBUSY, BASERs are ignored.
    const first = make();
    expect(run([CBASER, CREADR, CWRITER, BASER0, BASER1, CTLR, 'tables', CREADR], first.there, first.its)).toEqual([0, 0, 0, 0, 0, 0, 0, -16]);
    expect(first.there.msi(DEVICE, 0)).toBe(1);
    const bad = make();
    expect(run([CBASER, CWRITER, BASER0, BASER1, CTLR, 'tables'], bad.there, bad.its).at(-1)).toBe(-17);
    expect([bad.there.msi(DEVICE, 0), bad.there.saveTables(), bad.there.word(GUEST.ITT + DEVICE * 0x1000)]).toEqual([0, 0, 0n]);
    // (d) BASERs after the tables: success with nothing.
    const nothing = make();
    expect(run([CBASER, CREADR, CWRITER, 'tables', BASER0, BASER1, CTLR], nothing.there, nothing.its)).toEqual([0, 0, 0, 0, 0, 0, 0]);
    expect([nothing.there.its.mappings.devices, nothing.there.msi(DEVICE, 0)]).toEqual([[], 0]);
    // (e) IIDR: an ABI that is not known.
    expect([nothing.there.setIts(0x4, 0x4b00_143bn), nothing.there.setIts(0x4, 0x4b00_043bn)]).toEqual([-22, 0]);
    // (g) EnableLPIs after the tables: their restore has consumed the bits, and enabling reads an empty table.
    for (const ptz of [false, true]) {
      const { machine, saved } = stopped();
      const there = new Machine({ version: 'gicv3', ram: machine.ram });
      redistributors(there, saved.gicr, [0x70, 0x74, 0x78, 0x7c]);
      if (ptz) there.setGicr(0, 0x7c, 0x4000_0000);
      run([CBASER, CREADR, CWRITER, BASER0, BASER1, 'tables', CTLR], there, saved.its);
      expect(lpi(there, 8195).pendingLatch).toBe(true);
      there.setGicr(0, 0, 1);
      expect(lpi(there, 8195).pendingLatch).toBe(ptz);
    }
  });

  it('collections after devices: every ITE is -EINVAL [gic F-V13]', () => {
    const { machine } = stopped();
    const there = new Machine({ version: 'gicv3', ram: machine.ram });
    there.setTables();
    there.setWord(GUEST.COLLECTIONS, 0n);
    expect(there.restoreTables()).toBe(-22);
  });

  it('vCPUs before the tables: RESTORE_TABLES is -EBUSY [gic F-V23]', () => {
    const { machine } = stopped();
    const there = new Machine({ version: 'gicv3', ram: machine.ram });
    there.setTables();
    there.vcpu(0).run(0);
    expect(there.restoreTables()).toBe(-16);
    there.vcpu(0).stop();
    expect(there.its.mappings.devices).toEqual([]);
  });
});

describe('hooks that tests need', () => {
  it('two views of memory, caches, points, a trace, contracts, faults, and seven hosts [gic 10.4/1]', () => {
    const hosts: readonly MachineInit[] = [
      { version: 'gicv3' },
      { version: 'gicv4' },
      { version: 'gicv4', its: [0x0808_0000, 0x0900_0000], choices: { vmovpOnce: false } },
      { version: 'gicv4.1' },
      { version: 'gicv4.1', its: [0x0808_0000, 0x0900_0000] },
      { version: 'gicv4.1', choices: { coherent: false } },
      { version: 'gicv4.1', choices: { busyReads: Infinity } },
    ];
    const seen = hosts.map((init) => {
      const { machine, vectors } = forwarded([8195], { vcpus: 1, ...init });
      const events = machine.host.trace.record();
      machine.vcpu(0).run(0);
      machine.raise(vectors[0]!);
      return {
        coherent: machine.driver.view.coherent,
        lazy: machine.driver.mapsLazily,
        stuck: events.some(({ id }) => id === 'gic-host/register-stuck'),
        taken: takeAll(machine.vcpu(0)),
      };
    });
    const plain = { coherent: true, lazy: false, stuck: false, taken: [8195] };
    expect(seen).toEqual([plain, plain, { ...plain, lazy: true }, plain, plain, { ...plain, coherent: false }, { ...plain, stuck: true }]);
    // A queue that does not move, a query that is not answered, a page of the guest that is not there.
    const { machine } = forwarded([8195], { vcpus: 1, choices: { busyReads: Infinity } });
    expect(machine.vcpu(0).vpe!.sgis.pending(5)).toBe(-6);
    machine.vm.memory.removeSlot(GUEST.RAM);
    expect(machine.savePending()).toBe(-14);
    machine.host.memory.write32(machine.gic.its[0]!.base, 0);
    const events = machine.host.trace.record();
    for (let n = 0; n < 1100; n += 1) machine.vcpu(0).vpe!.sgis.setEnabled(5, true);
    expect(events.some(({ id }) => id === 'gic-host/queue-stuck')).toBe(true);
  });
});
