/** One VM's interrupts never reach another VM, whatever its guest maps and in whatever order its parts go. */
import { describe, expect, it } from 'vitest';
import { encode, OPCODE, type GicVersion } from '../src/index.ts';
import { GUEST, Machine, takeAll, type Vector } from './machine.ts';

const DEVICE = 0x10;
const OTHER = 0x20;
const PROFILES = ['linux-5.10', 'linux-5.13', 'linux-6.1', 'linux-6.12'] as const;
type Profile = (typeof PROFILES)[number] | 'linux-7.3';
const VERSIONS = ['gicv4', 'gicv4.1'] as const;

interface Shared {
  readonly machine: Machine;
  readonly vectors: readonly Vector[];
}

/** Two events of a device lead to one LPI, 8192, and both are forwarded as far as the kernel does it. */
function sharedLpi(version: GicVersion, profile: Profile): Shared {
  const machine = new Machine({ version, profile });
  machine.boot();
  machine.mapDevice(DEVICE, [8192, 8192]);
  return { machine, vectors: machine.driver.allocate(DEVICE, 2, false).map((irq, n) => machine.vector(DEVICE, n, irq)) };
}

function unplug({ machine }: Shared, vector: Vector): void {
  machine.bypass.unregisterProducer(vector.producer);
  machine.vm.deassignIrqfd(vector.eventfd, vector.gsi);
}

/** Another VM comes with a forwarded interrupt of its own; then every device of the first raises. @returns what the new VM took */
function nextVm({ machine, vectors }: Shared): number[] {
  const next = new Machine({ on: machine });
  next.boot();
  next.mapDevice(OTHER, [8192, 8193]);
  const own = next.driver.allocate(OTHER, 2, false).map((irq, n) => next.vector(OTHER, n, irq));
  expect(own.map(({ irq }) => irq.forwarded)).toEqual([true, true]);
  next.vm.vcpus.forEach((vcpu, n) => vcpu.run(n));
  for (const vector of vectors) machine.raise(vector);
  return next.vm.vcpus.flatMap(takeAll);
}

/** Ids of what goes wrong from now on. */
function warnings({ machine }: Shared): () => string[] {
  const events = machine.host.trace.record();
  return () => events.flatMap(({ severity, id }) => (severity === 'info' ? [] : [id]));
}

for (const profile of PROFILES) {
  for (const version of VERSIONS) {
    describe(`two events of one LPI: ${profile}, ${version}`, () => {
      for (const order of [[0, 1], [1, 0]]) {
        it(`producers go in order ${order.join()}, then the VM: warned, and the next VM takes nothing [R2]`, () => {
          const shared = sharedLpi(version, profile);
          const seen = warnings(shared);
          for (const n of order) unplug(shared, shared.vectors[n]!);
          // 6.12 forwards the first alone; before, the second took the LPI over. The first that goes is unmapped, whoever it is.
          const once = profile === 'linux-6.12';
          const left = [0, 1].filter((n) => (once ? n === 0 && order[0] === 1 : n === order[1]));
          expect(shared.vectors.map(({ irq }, n) => [n, irq.forwarded])).toEqual([0, 1].map((n) => [n, left.includes(n)]));
          const matched = order[0] === (once ? 0 : 1);
          expect(seen()).toEqual(new Array<string>(matched ? 1 : 2).fill('kvm/vlpi-mismatch'));
          shared.machine.vm.destroy();
          expect(seen().filter((id) => id === 'gic-host/vlpi-left')).toHaveLength(left.length);
          expect(shared.vectors.map(({ irq }) => irq.forwarded)).toEqual([false, false]);
          expect(nextVm(shared)).toEqual([]);
        });
      }
    });
  }
}

describe('a VM goes with its interrupts still forwarded', () => {
  const ways: Readonly<Record<string, (shared: Shared) => void>> = {
    'with its producers': () => undefined,
    'after the guest turned its ITS off, producers first': (shared) => {
      shared.machine.vm.store(shared.machine.vcpu(0), GUEST.ITS, 4, 0n);
      for (const vector of shared.vectors) unplug(shared, vector);
    },
    'after the guest discarded both events': ({ machine }) => {
      for (const n of [0, 1]) machine.command((to) => encode.event(to, OPCODE.DISCARD, DEVICE, n));
    },
    'after the guest unmapped the device': ({ machine }) => machine.command((to) => encode.mapd(to, DEVICE, 4, GUEST.ITT, false)),
    'after the guest mapped the events again': ({ machine }) => machine.mapDevice(DEVICE, [8193, 8193]),
    'after MOVALL': ({ machine }) => machine.command((to) => encode.movall(to, 0, 1)),
    'after the VMM reset the ITS': ({ machine }) => machine.resetIts(),
  };
  for (const [way, act] of Object.entries(ways)) {
    for (const version of VERSIONS) {
      it(`${way}: the next VM takes nothing (${version}) [R2]`, () => {
        const shared = sharedLpi(version, 'linux-6.1');
        act(shared);
        shared.machine.vm.destroy();
        expect(shared.vectors.map(({ irq }) => irq.forwarded)).toEqual([false, false]);
        expect(nextVm(shared)).toEqual([]);
      });
    }
  }

  it('two ITSs of the VM share the LPI: the next VM takes nothing [R2]', () => {
    const machine = new Machine({ version: 'gicv4', profile: 'linux-6.1', its: [0x0808_0000, 0x0900_0000] });
    machine.boot();
    machine.mapDevice(DEVICE, [8192]);
    machine.mapDevice(DEVICE + 1, [8192]);
    const irqs = machine.driver.nodes.map((node, n) => machine.driver.allocateOn(node, DEVICE + n, 1, false)[0]!);
    const vectors = irqs.map((irq, n) => machine.vector(DEVICE + n, 0, irq));
    const shared = { machine, vectors };
    for (const vector of vectors) unplug(shared, vector);
    machine.vm.destroy();
    expect(nextVm(shared)).toEqual([]);
  });

  it('closing the device later writes no byte of the next VM\'s property table [R2]', () => {
    const shared = sharedLpi('gicv4.1', 'linux-6.1');
    for (const vector of shared.vectors) unplug(shared, vector);
    shared.machine.vm.destroy();
    const next = new Machine({ on: shared.machine });
    next.boot();
    next.mapDevice(OTHER, [8192]);
    next.vector(OTHER, 0, next.driver.allocate(OTHER, 1, false)[0]!);
    const table = next.vm.itsVm!.propertyTable;
    const before = next.host.memory.read8(table);
    shared.machine.driver.release(DEVICE, shared.vectors.map(({ irq }) => irq));
    expect(next.host.memory.read8(table)).toBe(before);
  });
});

describe('an interrupt that its driver has freed', () => {
  /** The guest turned its ITS off before the producer went: its LPI keeps the host interrupt, whose event another VM is given. */
  function freed(): { old: Machine; stale: Vector; next: Machine; vector: Vector } {
    const old = new Machine({ version: 'gicv4.1', profile: 'linux-6.1' });
    old.boot();
    old.mapDevice(DEVICE, [8192]);
    const stale = old.vector(DEVICE, 0, old.driver.allocate(DEVICE, 1, false)[0]!);
    old.vm.store(old.vcpu(0), GUEST.ITS, 4, 0n);
    unplug({ machine: old, vectors: [] }, stale);
    expect(stale.irq.forwarded).toBe(true);
    old.driver.release(DEVICE, [stale.irq]);
    const next = new Machine({ on: old, profile: 'linux-6.1' });
    next.boot();
    next.mapDevice(DEVICE, [8200]);
    const vector = next.vector(DEVICE, 0, next.driver.allocate(DEVICE, 1, false)[0]!);
    expect(vector.irq.forwarded).toBe(true);
    old.vm.store(old.vcpu(0), GUEST.ITS, 4, 1n);
    return { old, stale, next, vector };
  }

  it('is not raised for its new owner by INT of the old guest [R2]', () => {
    const { old, next } = freed();
    old.command((to) => encode.event(to, OPCODE.INT, DEVICE, 0));
    next.vm.vcpus.forEach((vcpu, n) => vcpu.run(n));
    expect(next.vm.vcpus.flatMap(takeAll)).toEqual([]);
  });

  it('is not cleared for its new owner by CLEAR of the old guest [R2]', () => {
    const { old, next, vector } = freed();
    next.raise(vector);
    old.command((to) => encode.event(to, OPCODE.CLEAR, DEVICE, 0));
    next.vm.vcpus.forEach((vcpu, n) => vcpu.run(n));
    expect(next.vm.vcpus.flatMap(takeAll)).toEqual([8200]);
  });

  it('is not taken from its new owner by DISCARD, MAPD or the end of the old VM [R2]', () => {
    const { old, next, vector } = freed();
    old.command((to) => encode.event(to, OPCODE.DISCARD, DEVICE, 0));
    old.vm.destroy();
    next.raise(vector);
    next.vm.vcpus.forEach((vcpu, n) => vcpu.run(n));
    expect([vector.irq.forwarded, next.vm.vcpus.flatMap(takeAll)]).toEqual([true, [8200]]);
  });

  it('commands, masks and handles nothing any more [R2]', () => {
    const { stale, next, vector } = freed();
    const { irq } = stale;
    const before = next.driver.property(vector.irq.lpi);
    irq.setHandler(() => undefined);
    irq.setHandler(undefined);
    irq.mask();
    expect([irq.mapVlpi({ vpe: next.vcpu(0).vpe!, vintid: 8200, properties: 0xa3, doorbell: true }), irq.setAffinity(1)]).toEqual([-22, -22]);
    expect(next.driver.property(vector.irq.lpi)).toBe(before);
    next.raise(vector);
    next.vm.vcpus.forEach((vcpu, n) => vcpu.run(n));
    expect(next.vm.vcpus.flatMap(takeAll)).toEqual([8200]);
  });

  it('is not forwarded to a VM that is gone; a VM is freed once [R2]', () => {
    const machine = new Machine({ version: 'gicv4.1' });
    const vm = machine.vm.itsVm!;
    const [irq] = machine.driver.allocate(DEVICE, 1, false);
    const free = machine.driver.freeLpis;
    vm.free();
    vm.free();
    expect([irq!.mapVlpi({ vpe: vm.vpes[0]!, vintid: 8192, properties: 0xa3, doorbell: true }), machine.driver.freeLpis - free]).toEqual([-22, 2]);
  });
});

describe('taking forwarding back needs what forwarding needed [M17]', () => {
  it('with the ITS off or the target\'s LPIs off: -EBUSY, and the VLPI stays', () => {
    for (const off of [GUEST.ITS, GUEST.REDIST]) {
      const machine = new Machine({ profile: 'linux-6.1' });
      machine.boot();
      machine.mapDevice(DEVICE, [8192]);
      const vector = machine.vector(DEVICE, 0, machine.driver.allocate(DEVICE, 1, false)[0]!);
      machine.vm.store(machine.vcpu(0), off, 4, 0n);
      machine.vm.deassignIrqfd(vector.eventfd, vector.gsi);
      expect([vector.irq.forwarded, machine.vm.lpis.find(8192)!.hw]).toEqual([true, true]);
    }
  });
});

describe('two events of one LPI: linux-7.3', () => {
  for (const order of [[0, 1], [1, 0]]) {
    it(`producers go in order ${order.join()}: each is found by its interrupt, nothing is left and nothing warned [R2]`, () => {
      const shared = sharedLpi('gicv4.1', 'linux-7.3');
      expect(shared.vectors.map(({ irq }) => irq.forwarded)).toEqual([true, false]);
      const seen = warnings(shared);
      shared.machine.vm.store(shared.machine.vcpu(0), GUEST.ITS, 4, 0n);
      for (const n of order) unplug(shared, shared.vectors[n]!);
      expect(shared.vectors.map(({ irq }) => irq.forwarded)).toEqual([false, false]);
      shared.machine.vm.destroy();
      expect([seen(), nextVm(shared)]).toEqual([[], []]);
    });
  }
});
