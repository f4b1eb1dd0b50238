/** How an interrupt gets into a VM: KVM_SIGNAL_MSI, the translation cache, irqfds, irqbypass; and what an LPI is meanwhile. */
import { EventFdContext, Host, type PageRun } from '@vsim/vfio-core';
import { describe, expect, it } from 'vitest';
import { CTRL, encode, Gic, GRP, IRQFD_INJECT, IRQFD_LOCK, ItsDriver, KvmVm, OPCODE, type VgicIrq } from '../src/index.ts';
import { commandNames, DOORBELL, GUEST, Machine, made, takeAll, type MachineInit, type Vector } from './machine.ts';

const DEVICE = 0x10;
const [EBUSY, EINVAL, ENODEV, EAGAIN] = [-16, -22, -19, -11];

function booted(lpis: readonly number[] = [8195, 8196], init: MachineInit = {}): Machine {
  const machine = new Machine({ version: 'gicv3', ...init });
  machine.boot();
  machine.mapDevice(DEVICE, lpis);
  return machine;
}

const lpi = (machine: Machine, intid: number): VgicIrq => machine.vm.lpis.find(intid)!;
const event = (machine: Machine, opcode: number, id: number): void => machine.command((to) => encode.event(to, opcode, DEVICE, id));

function forwarded(init: MachineInit = {}): { machine: Machine; vectors: Vector[] } {
  const machine = booted([8195, 8196], { version: 'gicv4.1', ...init });
  return { machine, vectors: machine.driver.allocate(DEVICE, 2, false).map((irq, n) => machine.vector(DEVICE, n, irq)) };
}

describe('an LPI of a VM', () => {
  it('is one object for its INTID, shared by events, freed with the last reference [gic K-1] [gic K-2]', () => {
    const machine = booted();
    const irq = lpi(machine, 8195);
    expect(irq).toMatchObject({ intid: 8195, priority: 0xa0, enabled: true, pendingLatch: false, hw: false, hostIrq: undefined, queuedOn: undefined, references: 1 });
    expect(irq.target).toBe(machine.vcpu(0));
    machine.command((to) => encode.mapti(to, DEVICE, 9, 8195, 1));
    expect([lpi(machine, 8195), irq.references, irq.target]).toEqual([irq, 2, machine.vcpu(0)]);
    // A translation that is cached and the list of a vCPU hold one each.
    machine.msi(DEVICE, 0);
    expect(irq.references).toBe(4);
    event(machine, OPCODE.DISCARD, 0);
    event(machine, OPCODE.DISCARD, 9);
    expect(irq.references).toBe(1);
    machine.vcpu(0).run(0);
    takeAll(machine.vcpu(0));
    // The list's until the next exit.
    expect(irq.references).toBe(1);
    machine.vcpu(0).stop();
    expect([irq.references, machine.vm.lpis.find(8195)]).toEqual([0, undefined]);
  });

  it('that was freed and is mapped again is a new one, read from memory [gic G64]', () => {
    const machine = booted();
    const old = lpi(machine, 8195);
    event(machine, OPCODE.DISCARD, 0);
    machine.ram.write8(GUEST.PROPERTIES + 3, 0x51);
    machine.command((to) => encode.mapti(to, DEVICE, 0, 8195, 1));
    const fresh = lpi(machine, 8195);
    expect([fresh === old, fresh.priority, fresh.target]).toEqual([false, 0x50, machine.vcpu(1)]);
    // The old one's last reference is dropped late: the new one stays.
    old.references = 1;
    machine.vm.lpis.put(old);
    expect(lpi(machine, 8195)).toBe(fresh);
  });

  it('is pending by its latch, and goes to its target while it and the distributor are enabled [gic K-3] [gic G03]', () => {
    const machine = booted();
    const irq = lpi(machine, 8195);
    const target = (): unknown => machine.vm.lpis.oracle(irq);
    expect(target()).toBeUndefined();
    irq.pendingLatch = true;
    expect(target()).toBe(machine.vcpu(0));
    irq.enabled = false;
    expect(target()).toBeUndefined();
    irq.enabled = true;
    machine.setGicd(0, 0);
    expect(target()).toBeUndefined();
    machine.setGicd(0, 2);
    // Nobody asks whether it is forwarded.
    irq.hw = true;
    expect(target()).toBe(machine.vcpu(0));
  });

  it('is queued once; queued again it only kicks; without a target not at all [gic K-4]', () => {
    const machine = booted();
    const irq = lpi(machine, 8195);
    machine.vm.lpis.queue(irq);
    expect(machine.vcpu(0).queue).toEqual([]);
    machine.vcpu(0).run(0);
    machine.vcpu(0).wfi();
    machine.msi(DEVICE, 0);
    expect([machine.vcpu(0).state, machine.vcpu(0).queue.length]).toEqual(['running', 1]);
    machine.msi(DEVICE, 0);
    expect([machine.vcpu(0).queue.length, irq.queuedOn]).toEqual([1, machine.vcpu(0)]);
  });

  it('pending while the distributor is off is not queued, and waits for its next evaluation [gic K-6]', () => {
    const machine = booted();
    const vcpu = machine.vcpu(0);
    machine.setGicd(0, 0);
    expect([machine.msi(DEVICE, 0), lpi(machine, 8195).pendingLatch, vcpu.queue]).toEqual([1, true, []]);
    vcpu.run(0);
    // Enabling kicks vCPUs that have something queued, which this one has not.
    machine.vm.store(vcpu, GUEST.DIST, 4, 2n);
    expect(takeAll(vcpu)).toEqual([]);
    event(machine, OPCODE.INV, 0);
    expect(takeAll(vcpu)).toEqual([8195]);
    // One that was queued before is there still.
    vcpu.irqsMasked = true;
    machine.msi(DEVICE, 0);
    machine.vm.store(machine.vcpu(1), GUEST.DIST, 4, 0n);
    machine.vm.store(machine.vcpu(1), GUEST.DIST, 4, 2n);
    expect(takeAll(vcpu)).toEqual([8195]);
  });

  it('EnableLPIs 1 to 0: queued ones lose latch and list, others keep the latch; the cache goes [gic K-7] [gic A-26] [gic G13]', () => {
    const machine = booted([8195, 8196, 8197, 8198]);
    machine.ram.write8(GUEST.PROPERTIES + 5, 0xa0);
    event(machine, OPCODE.INV, 2);
    for (const id of [0, 1, 2]) machine.msi(DEVICE, id);
    expect(machine.vm.cache.size).toBe(3);
    machine.vm.store(machine.vcpu(0), GUEST.REDIST, 4, 0n);
    // 8195 was queued on vCPU 0, 8197 is disabled and was not, 8196 is vCPU 1's.
    const seen = [8195, 8197, 8196].map((intid) => [lpi(machine, intid).pendingLatch, lpi(machine, intid).queuedOn]);
    expect(seen).toEqual([[false, undefined], [true, undefined], [true, machine.vcpu(1)]]);
    expect([machine.vm.cache.size, lpi(machine, 8195).references, machine.vcpu(0).queue]).toEqual([0, 1, []]);
    // What sits in a list register of a running vCPU goes as well.
    const { machine: running } = { machine: booted() };
    running.vcpu(0).irqsMasked = true;
    running.vcpu(0).run(0);
    running.msi(DEVICE, 0);
    running.vm.store(running.vcpu(1), GUEST.REDIST, 4, 0n);
    expect(takeAll(running.vcpu(0))).toEqual([]);
  });

  it('EnableLPIs 0 to 1 reads the bits of the LPIs that target the vCPU, and leaves them in memory [gic K-7] [gic G02] [gic 11/18]', () => {
    const machine = booted([8195, 8200, 8197, 8201, 8198]);
    for (const intid of [8195, 8197, 8200]) machine.setPendingBit(0, intid);
    machine.msi(DEVICE, 4);
    machine.vm.store(machine.vcpu(0), GUEST.REDIST, 4, 0n);
    machine.ram.write8(GUEST.PENDING + 0x400, 0x28);
    machine.vm.store(machine.vcpu(0), GUEST.REDIST, 4, 1n);
    // 8195 and 8197 from one byte; 8198, whose bit is 0; 8200 is another vCPU's.
    expect([8195, 8197, 8198, 8200].map((intid) => lpi(machine, intid).pendingLatch)).toEqual([true, true, false, false]);
    expect([machine.pendingBit(0, 8195), machine.pendingBit(0, 8197)]).toEqual([1, 1]);
    machine.vcpu(0).run(0);
    expect(takeAll(machine.vcpu(0))).toEqual([8195, 8197]);
  });

  it('takes no MSI while EnableLPIs of its target is 0 [gic K-8]', () => {
    const machine = booted();
    machine.setGicr(0, 0, 0);
    expect([machine.msi(DEVICE, 0), machine.msi(DEVICE, 1)]).toEqual([EBUSY, 1]);
    machine.setGicr(0, 0, 1);
    expect(machine.msi(DEVICE, 0)).toBe(1);
  });

  it('that is taken off the list while another of it moves is not moved as well [gic G55]', () => {
    const machine = booted([8194, 8195, 8196, 8197, 8198], { profile: 'linux-6.12' });
    const [a, b] = [machine.vcpu(0), machine.vcpu(1)];
    a.irqsMasked = true;
    a.run(0);
    for (const id of [0, 2, 4]) machine.msi(DEVICE, id);
    b.run(1);
    b.wfi();
    // One command, so that no exit lies between: the three move at stop(). The guest on the new vCPU disables the LPIs of the old one as it takes the first.
    machine.command((to) => encode.movall(to, 0, 1));
    b.onInterrupt = () => {
      const intid = b.acknowledge();
      b.irqsMasked = true;
      machine.vm.store(b, GUEST.REDIST, 4, 0n);
      b.endOfInterrupt(intid);
    };
    a.stop();
    // 8195 and 8197 are odd events of vCPU 1 and not pending; 6.12 keeps the latch of what it takes off.
    const listed = [8194, 8196, 8198].map((intid) => [a, b].flatMap(({ queue }) => queue.filter((irq) => irq.intid === intid)).length);
    expect([a.queue, listed.every((count) => count <= 1)]).toEqual([[], true]);
    for (const irq of machine.vm.lpis.all()) expect([irq.intid, irq.references - (irq.queuedOn === undefined ? 0 : 1)]).toEqual([irq.intid, 1]);
    b.stop();
    b.onInterrupt = undefined;
    b.run(1);
    expect(takeAll(b)).toEqual([]);
  });

  it('whose affinity moved while its LPIs are disabled is off the list, and freed with its event [gic G56]', () => {
    const machine = booted();
    const [a, b] = [machine.vcpu(0), machine.vcpu(1)];
    const irq = lpi(machine, 8195);
    machine.msi(DEVICE, 0);
    machine.command((to) => encode.movi(to, DEVICE, 0, 1));
    expect([irq.queuedOn, irq.target]).toEqual([a, b]);
    machine.vm.store(b, GUEST.REDIST, 4, 0n);
    expect([irq.queuedOn, a.queue, irq.references, irq.pendingLatch]).toEqual([undefined, [], 1, false]);
    event(machine, OPCODE.DISCARD, 0);
    expect(machine.vm.lpis.find(8195)).toBeUndefined();
    a.run(0);
    b.run(1);
    expect([takeAll(a), takeAll(b)]).toEqual([[], []]);
  });

  it('whose target moved goes to the new vCPU when the old one leaves the guest [gic K-5]', () => {
    const machine = booted();
    const [a, b] = [machine.vcpu(0), machine.vcpu(1)];
    a.irqsMasked = true;
    a.run(0);
    machine.msi(DEVICE, 0);
    machine.command((to) => encode.movi(to, DEVICE, 0, 1));
    b.run(1);
    b.wfi();
    a.stop();
    expect([lpi(machine, 8195).queuedOn, b.state]).toEqual([b, 'running']);
    expect(takeAll(b)).toEqual([8195]);
  });
});

describe('KVM_SIGNAL_MSI', () => {
  it('and its errors [gic K-9] [gic A-31]', () => {
    const machine = booted();
    const { vm } = machine;
    const send = (flags: number, address: number = DOORBELL, id = 0): number => vm.signalMsi(address, id, flags, DEVICE);
    expect([send(2), send(3), send(0)]).toEqual([EINVAL, EINVAL, EINVAL]);
    expect([send(1, 0x1234_0040), send(1, DOORBELL, 9), send(1)]).toEqual([EINVAL, 0, 1]);
    // Cached: also without the flag.
    expect([send(0), send(2)]).toEqual([1, EINVAL]);
    // It is kept for the doorbell's own address: elsewhere in the frame the DeviceID has to be said.
    expect([send(0, DOORBELL + 4), send(1, DOORBELL + 4)]).toEqual([EINVAL, 1]);
    machine.command((to) => encode.mapti(to, DEVICE, 5, 8205, 40));
    expect(machine.msi(DEVICE, 5)).toBe(0);
    // LPIs disabled counts for a mapped event alone; the ITS disabled before any look-up.
    machine.setGicr(0, 0, 0);
    expect([machine.msi(DEVICE, 0), machine.msi(DEVICE, 9), machine.msi(77, 0)]).toEqual([EBUSY, 0, 0]);
    machine.setIts(0, 0n);
    expect([machine.msi(DEVICE, 0), machine.msi(77, 0)]).toEqual([EBUSY, EBUSY]);
    const host = new Host({ ram: [{ base: 0x8000_0000, size: 0x200_0000 }] });
    const alone = new KvmVm(host, { driver: new ItsDriver(host, new Gic(host, { version: 'gicv3', cpus: 1 })) });
    alone.createVcpu();
    expect(alone.signalMsi(DOORBELL, 0, 1, DEVICE)).toBe(EINVAL);
    const vgic = made(alone.createVgic());
    vgic.setAttr(GRP.CTRL, CTRL.INIT, 0);
    expect(alone.signalMsi(DOORBELL, 0, 1, DEVICE)).toBe(ENODEV);
  });

  it('twice in a row is 1 and 1, and one acknowledgement [gic A-32]', () => {
    const machine = booted();
    expect([machine.msi(DEVICE, 0), machine.msi(DEVICE, 0)]).toEqual([1, 1]);
    machine.vcpu(0).run(0);
    expect(takeAll(machine.vcpu(0))).toEqual([8195]);
  });

  it('of a forwarded event is an INT of the physical ITS, and no latch, where its translation is not cached [gic K-10] [gic A-35]', () => {
    const { machine } = forwarded();
    machine.its.mappings.dropTranslations();
    const events = machine.host.trace.record();
    expect([machine.msi(DEVICE, 0), lpi(machine, 8195).pendingLatch, lpi(machine, 8195).queuedOn]).toEqual([1, false, undefined]);
    expect(commandNames(events)).toEqual(['INT', 'VSYNC']);
    expect(machine.vm.cache.size).toBe(0);
  });
});

describe('the translation cache', () => {
  it('holds 16 for each vCPU; the least recently used goes, every MSI is 1 all the same [gic A-33] [gic K-14] [gic G63]', () => {
    const machine = booted(Array.from({ length: 32 }, (_, n) => 8200 + n));
    machine.command((to) => encode.mapd(to, 1, 4, GUEST.ITT, true));
    machine.command((to) => encode.mapti(to, 1, 0, 8300, 0));
    for (let id = 0; id < 32; id += 1) expect(machine.msi(DEVICE, id)).toBe(1);
    expect([machine.vm.cache.size, machine.msi(DEVICE, 0), machine.msi(1, 0), machine.vm.cache.size]).toEqual([32, 1, 1, 32]);
    const cached = (device: number, id: number): boolean => machine.vm.cache.find(machine.its.index, device, id) !== undefined;
    expect([cached(DEVICE, 0), cached(DEVICE, 1), cached(DEVICE, 2), cached(1, 0)]).toEqual([true, false, true, true]);
    expect([lpi(machine, 8200).references, lpi(machine, 8201).references]).toEqual([3, 2]);
  });

  it('is dropped by what may change a translation, and by nothing else [gic K-14]', () => {
    const drops: readonly ((machine: Machine) => void)[] = [
      (machine) => event(machine, OPCODE.DISCARD, 1),
      (machine) => machine.command((to) => encode.movi(to, DEVICE, 1, 0)),
      (machine) => machine.command((to) => encode.movall(to, 0, 1)),
      (machine) => machine.command((to) => encode.mapc(to, 1, 0, false)),
      (machine) => machine.command((to) => encode.mapd(to, DEVICE, 4, GUEST.ITT, true)),
      (machine) => machine.setIts(0, 0n),
      (machine) => machine.setGicr(1, 0, 0),
      (machine) => machine.its.setAttr(GRP.CTRL, CTRL.ITS_RESET, 0),
      (machine) => machine.its.destroy(),
    ];
    const keeps: readonly ((machine: Machine) => void)[] = [
      (machine) => event(machine, OPCODE.INV, 0),
      (machine) => machine.command((to) => encode.invall(to, 0)),
      (machine) => event(machine, OPCODE.CLEAR, 0),
      (machine) => machine.command((to) => encode.mapc(to, 1, 0, true)),
      (machine) => machine.command((to) => encode.mapd(to, 77, 4, GUEST.ITT, true)),
    ];
    for (const [changes, left] of [[drops, 0], [keeps, 1]] as const) {
      for (const change of changes) {
        const machine = booted();
        // Disabled, so that no list has a reference to it.
        machine.ram.write8(GUEST.PROPERTIES + 3, 0xa0);
        event(machine, OPCODE.INV, 0);
        machine.msi(DEVICE, 0);
        const irq = lpi(machine, 8195);
        expect(irq.references).toBe(2);
        change(machine);
        if (left === 0) change(machine);
        expect(machine.vm.cache.size).toBe(left);
        const mapped = machine.its.mappings.findEvent(DEVICE, 0) === undefined ? 0 : 1;
        expect(irq.references).toBe(left + mapped);
      }
    }
  });

  it('after DISCARD and MAPTI to another LPI the next MSI raises that one [gic A-34]', () => {
    const machine = booted();
    machine.msi(DEVICE, 0);
    event(machine, OPCODE.CLEAR, 0);
    event(machine, OPCODE.DISCARD, 0);
    machine.command((to) => encode.mapti(to, DEVICE, 0, 8300, 0));
    expect([machine.msi(DEVICE, 0), lpi(machine, 8300).pendingLatch]).toEqual([1, true]);
  });

  it('keeps what forwarding looked up: the latch of a forwarded LPI is set, and a list register delivers it beside the VLPI [gic K-15] [gic K-14] [gic 11/25]', () => {
    const machine = booted([8195], { version: 'gicv4.1' });
    const [irq] = machine.driver.allocate(DEVICE, 1, false);
    machine.vector(DEVICE, 0, irq!);
    expect(machine.vm.cache.size).toBe(1);
    const events = machine.host.trace.record();
    expect([machine.msi(DEVICE, 0), lpi(machine, 8195).pendingLatch]).toEqual([1, true]);
    expect(commandNames(events)).toEqual([]);
    machine.host.memory.write32(irq!.message.address, irq!.message.data, DEVICE);
    const vcpu = machine.vcpu(0);
    vcpu.run(0);
    expect(takeAll(vcpu)).toEqual([8195, 8195]);
  });

  it('is asked before the lock is taken: what is forwarded meanwhile is an INT', () => {
    const machine = booted([8195], { version: 'gicv4.1' });
    machine.vm.setRouting([{ gsi: 40, address: DOORBELL, data: 0, device: DEVICE }]);
    const eventfd = new EventFdContext('irqfd');
    machine.vm.irqfd(eventfd, 40);
    machine.host.scheduler.stopAt(IRQFD_LOCK);
    eventfd.signal();
    const [irq] = machine.driver.allocate(DEVICE, 1, false);
    machine.bypass.registerProducer({ token: eventfd, irq: irq! });
    const events = machine.host.trace.record();
    machine.host.scheduler.release(IRQFD_LOCK);
    expect(commandNames(events)).toEqual(['INT', 'VSYNC']);
  });
});

describe('irqfds', () => {
  it('inject at once on a cache hit, else by a work item [gic K-11]', () => {
    const machine = booted();
    machine.vm.setRouting([{ gsi: 40, address: DOORBELL, data: 0, device: DEVICE }]);
    const eventfd = new EventFdContext('irqfd');
    machine.vm.irqfd(eventfd, 40);
    machine.host.scheduler.stopAt(IRQFD_INJECT);
    eventfd.signal();
    expect([machine.vm.pendingInjections, lpi(machine, 8195).pendingLatch]).toEqual([1, false]);
    machine.host.scheduler.release(IRQFD_INJECT);
    expect([machine.vm.pendingInjections, lpi(machine, 8195).pendingLatch]).toEqual([0, true]);
    event(machine, OPCODE.CLEAR, 0);
    machine.host.scheduler.stopAt(IRQFD_INJECT);
    eventfd.signal();
    expect([machine.vm.pendingInjections, lpi(machine, 8195).pendingLatch]).toEqual([0, true]);
  });

  it('are assigned once the vgic is there, each eventfd once, with known flags; a count is injected; DEASSIGN of what is not there is 0 [M13] [gic K-43] [gic A-40]', () => {
    const host = new Host({ ram: [{ base: 0x8000_0000, size: 0x200_0000 }] });
    const early = new KvmVm(host, { driver: new ItsDriver(host, new Gic(host, { version: 'gicv3', cpus: 1 })) });
    early.createVcpu();
    const counted = new EventFdContext('counted', 1);
    expect(early.irqfd(counted, 40)).toBe(EAGAIN);
    const machine = booted();
    machine.vm.setRouting([{ gsi: 40, address: DOORBELL, data: 0, device: DEVICE }]);
    expect([machine.vm.irqfd(counted, 40, 4), machine.vm.irqfd(counted, 40), machine.vm.irqfd(counted, 41)]).toEqual([EINVAL, 0, EBUSY]);
    machine.vcpu(0).run(0);
    // Its work item injects and leaves the count, which goes with the irqfd. Kernel: kvm_irqfd_assign(), irqfd_shutdown()
    expect([takeAll(machine.vcpu(0)), counted.isZero]).toEqual([[8195], false]);
    expect([machine.vm.irqfd(counted, 40, 1), machine.vm.irqfd(counted, 40, 1), counted.isZero]).toEqual([0, 0, true]);
  });
});

describe('irqbypass', () => {
  it('one producer and one consumer a token; an eventfd is the token [gic K-40] [gic A-37]', () => {
    const { machine, vectors } = forwarded();
    const [first, second] = vectors;
    expect(machine.bypass.registerProducer({ token: first!.eventfd, irq: second!.irq })).toBe(EBUSY);
    expect(first!.irq.forwarded).toBe(true);
    const consumer = { token: first!.eventfd, addProducer: () => 0, delProducer: () => undefined };
    expect(machine.bypass.registerConsumer(consumer)).toBe(EBUSY);
    const events = machine.host.trace.record();
    machine.raise(first!);
    expect([commandNames(events), first!.eventfd.isZero]).toEqual([[], true]);
  });

  it('either side may come first, with the same commands [gic K-42] [gic A-36] [gic K-45]', () => {
    const connect = (consumerFirst: boolean): string[] => {
      const machine = booted([8195], { version: 'gicv4.1' });
      const [irq] = machine.driver.allocate(DEVICE, 1, false);
      machine.vm.setRouting([{ gsi: 40, address: DOORBELL, data: 0, device: DEVICE }]);
      const token = new EventFdContext('token');
      const events = machine.host.trace.record();
      const both = [(): unknown => machine.vm.irqfd(token, 40), (): unknown => machine.bypass.registerProducer({ token, irq: irq! })];
      for (const side of consumerFirst ? both : [...both].reverse()) expect(side()).toBe(0);
      expect(irq!.getVlpi()).toMatchObject({ vpe: machine.vcpu(0).vpe, vintid: 8195, properties: 0xa3 });
      return commandNames(events);
    };
    expect([connect(true), connect(false)]).toEqual([['DISCARD', 'SYNC', 'VMAPTI', 'VSYNC'], ['DISCARD', 'SYNC', 'VMAPTI', 'VSYNC']]);
  });

  it('stops both sides around a connection; a consumer that refuses undoes the producer [gic K-41]', () => {
    const { machine } = forwarded();
    const order: string[] = [];
    const token = new EventFdContext('order');
    const side = (name: string) => ({ stop: () => order.push(`${name}.stop`), start: () => order.push(`${name}.start`) });
    const [irq] = machine.driver.allocate(0x20, 1, false);
    let answer = 0;
    const producer = {
      token, irq: irq!, ...side('prod'),
      addConsumer: () => (order.push('prod.add_consumer'), 0),
      delConsumer: () => void order.push('prod.del_consumer'),
    };
    const consumer = {
      token, ...side('cons'),
      addProducer: () => (order.push('cons.add_producer'), answer),
      delProducer: () => void order.push('cons.del_producer'),
    };
    machine.bypass.registerProducer(producer);
    expect(machine.bypass.registerConsumer(consumer)).toBe(0);
    expect(order.splice(0)).toEqual(['prod.stop', 'cons.stop', 'prod.add_consumer', 'cons.add_producer', 'cons.start', 'prod.start']);
    machine.bypass.unregisterConsumer(consumer);
    expect(order.splice(0)).toEqual(['prod.stop', 'cons.stop', 'cons.del_producer', 'prod.del_consumer', 'cons.start', 'prod.start']);
    answer = EBUSY;
    expect(machine.bypass.registerConsumer(consumer)).toBe(EBUSY);
    expect(order.splice(0)).toEqual(['prod.stop', 'cons.stop', 'prod.add_consumer', 'cons.add_producer', 'prod.del_consumer', 'cons.start', 'prod.start']);
    // It was not listed: the next producer finds nobody.
    machine.bypass.unregisterProducer(producer);
    machine.bypass.registerProducer(producer);
    expect(order).toEqual([]);
  });

  it('set_forwarding: 0 without direct support or for another address, an unmapped event, LPIs or ITS off [gic K-45] [gic K-48] [gic 11/12]', () => {
    const connected = (init: MachineInit, prepare: (machine: Machine) => void, id = 0): readonly [number, boolean] => {
      const machine = booted([8195], init);
      const [irq] = machine.driver.allocate(DEVICE, 1, false);
      prepare(machine);
      const { connected: result } = machine.vector(DEVICE, id, irq!);
      return [result, irq!.forwarded];
    };
    const nothing = (): void => undefined;
    const v41: MachineInit = { version: 'gicv4.1' };
    expect(connected({ version: 'gicv3' }, nothing)).toEqual([0, false]);
    expect(connected({ version: 'gicv4' }, nothing)).toEqual([0, true]);
    expect(connected(v41, nothing)).toEqual([0, true]);
    expect(connected(v41, nothing, 9)).toEqual([0x01_0307, false]);
    expect(connected(v41, (machine) => void machine.setIts(0, 0n))).toEqual([EBUSY, false]);
    expect(connected(v41, (machine) => void machine.setGicr(0, 0, 0))).toEqual([EBUSY, false]);
    const machine = booted([8195], v41);
    const [irq] = machine.driver.allocate(DEVICE, 1, false);
    machine.vm.setRouting([{ gsi: 40, address: 0x1234_0040, data: 0, device: DEVICE }]);
    const token = new EventFdContext('elsewhere');
    machine.vm.irqfd(token, 40);
    expect([machine.bypass.registerProducer({ token, irq: irq! }), irq!.forwarded]).toEqual([0, false]);
  });

  it('the cached priority and enable are passed, not the bytes in memory [gic K-45]', () => {
    const machine = booted([8195], { version: 'gicv4.1' });
    machine.ram.write8(GUEST.PROPERTIES + 3, 0x50);
    const [irq] = machine.driver.allocate(DEVICE, 1, false);
    machine.vector(DEVICE, 0, irq!);
    expect(irq!.getVlpi()!.properties).toBe(0xa3);
  });

  it('GICv4.0 has direct MSIs with an ITS alone, GICv4.1 always: vPEs at INIT, or at the ITS [gic K-48] [gic TR-02] [gic TR-03]', () => {
    for (const version of ['gicv4', 'gicv4.1'] as const) {
      const host = new Host({ ram: [{ base: 0x8000_0000, size: 0x200_0000 }] });
      const vm = new KvmVm(host, { driver: new ItsDriver(host, new Gic(host, { version, cpus: 1 })) });
      vm.createVcpu();
      const vgic = made(vm.createVgic());
      const events = host.trace.record();
      vgic.setAttr(GRP.CTRL, CTRL.INIT, 0);
      const map = ['VMAPP', 'VSYNC', 'VINVALL', 'VSYNC'];
      const v41 = [...map, 'INVDB', 'VSYNC'];
      expect(commandNames(events)).toEqual(version === 'gicv4' ? [] : v41);
      made(vm.createIts());
      // Once the vPEs exist another ITS brings nothing new. GICv4.0's doorbells are not enabled with them.
      expect(commandNames(events)).toEqual(version === 'gicv4' ? map : v41);
      const vmapp = events.find(({ text }) => text.includes('VMAPP'))!.fields as { words: bigint[] };
      expect([vmapp.words[0]! & 0x300n, vmapp.words[1]! & 0xffff_ffffn]).toEqual(version === 'gicv4' ? [0n, 0n] : [0x100n, BigInt(vm.vcpus[0]!.vpe!.doorbell)]);
      made(vm.createIts());
      expect(commandNames(events)).toEqual(version === 'gicv4' ? map : v41);
    }
  });

  it('an ITS whose VM gets no vPEs is none: ENOMEM, and the next one is the first', () => {
    const host = new Host({ ram: [{ base: 0x8000_0000, size: 0x200_0000 }] });
    const vm = new KvmVm(host, { driver: new ItsDriver(host, new Gic(host, { version: 'gicv4', cpus: 1 })) });
    vm.createVcpu();
    made(vm.createVgic()).setAttr(GRP.CTRL, CTRL.INIT, 0);
    const blocks: PageRun[] = [];
    for (let run = host.pages.allocate(16); run !== undefined; run = host.pages.allocate(16)) blocks.push(run);
    expect([vm.createIts(), vm.itss, vm.itsVm]).toEqual([-12, [], undefined]);
    for (const run of blocks) run.put();
    const its = made(vm.createIts());
    expect([its.index, vm.itss.length, vm.itsVm?.vpes.length]).toEqual([0, 1, 1]);
  });

  it('unset_forwarding: the count goes down, the interrupt is the host\'s; nothing if the guest unmapped the event [gic K-46] [gic A-39] [gic 11/10] [gic G04]', () => {
    const { machine, vectors } = forwarded();
    const [vector] = vectors;
    expect([machine.vcpu(0).vlpiCount, lpi(machine, 8195).hw]).toEqual([1, true]);
    machine.raise(vector!);
    const events = machine.host.trace.record();
    machine.vm.deassignIrqfd(vector!.eventfd, vector!.gsi);
    expect(commandNames(events)).toEqual(['DISCARD', 'SYNC', 'MAPTI', 'SYNC']);
    expect([machine.vcpu(0).vlpiCount, lpi(machine, 8195).hw, lpi(machine, 8195).pendingLatch, vector!.irq.forwarded]).toEqual([0, false, false, false]);
    // No irqfd: the eventfd counts, nothing is injected.
    machine.raise(vector!);
    expect([vector!.eventfd.count, lpi(machine, 8195).pendingLatch]).toEqual([1n, false]);
    const other = forwarded();
    event(other.machine, OPCODE.DISCARD, 0);
    const after = other.machine.host.trace.record();
    other.machine.bypass.unregisterProducer(other.vectors[0]!.producer);
    expect([commandNames(after), other.machine.vcpu(0).vlpiCount]).toEqual([[], 0]);
    // Nor if it has mapped the event again: that LPI is not forwarded.
    event(other.machine, OPCODE.DISCARD, 1);
    other.machine.command((to) => encode.mapti(to, DEVICE, 1, 8196, 1));
    other.machine.bypass.unregisterProducer(other.vectors[1]!.producer);
    expect(other.machine.vm.vcpus.map(({ vlpiCount }) => vlpiCount)).toEqual([0, 0]);
  });

  it('a change of routing does not move a forwarding [gic K-47]', () => {
    const { machine, vectors } = forwarded();
    const events = machine.host.trace.record();
    machine.vm.setRouting([{ gsi: vectors[0]!.gsi, address: DOORBELL, data: 1, device: DEVICE }]);
    expect([commandNames(events), vectors[0]!.irq.getVlpi()!.vintid]).toEqual([[], 8195]);
  });

  it('another VM through the same ITS device: -EINVAL, and interrupts by software [gic A-41]', () => {
    const machine = booted([8195], { version: 'gicv4.1' });
    const other = new Machine({ on: machine });
    other.boot();
    other.mapDevice(DEVICE, [8300]);
    const irqs = machine.driver.allocate(DEVICE, 2, false);
    expect([machine.vector(DEVICE, 0, irqs[0]!).connected, irqs[0]!.forwarded]).toEqual([0, true]);
    const vector = other.vector(DEVICE, 0, irqs[1]!);
    expect([vector.connected, irqs[1]!.forwarded, lpi(other, 8300).hw]).toEqual([EINVAL, false, false]);
    other.raise(vector);
    expect([lpi(other, 8300).pendingLatch, lpi(machine, 8195).pendingLatch]).toEqual([true, false]);
  });

  it('MAP of a forwarded interrupt with another vINTID sends VMOVI alone: the hardware keeps the old one [gic A-42]', () => {
    const { machine, vectors } = forwarded();
    const { irq } = vectors[0]!;
    const events = machine.host.trace.record();
    irq.mapVlpi({ ...irq.getVlpi()!, vintid: 9000 });
    expect([commandNames(events), irq.getVlpi()!.vintid]).toEqual([['VMOVI', 'VSYNC'], 9000]);
    machine.raise(vectors[0]!);
    machine.vcpu(0).run(0);
    expect(takeAll(machine.vcpu(0))).toEqual([8195]);
  });
});
