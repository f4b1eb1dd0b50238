/** What holds after each phase of a migration: the steps S1 to S6 of the source and R1 to R7 of the destination. */
import { describe, expect, it } from 'vitest';
import { getMigrationState, MIG_STATE, Random, type Phase, type TraceEvent } from '@vsim/vfio-core';
import { GICR, SYSREG, GRP } from '@vsim/gic-its';
import { Link, migrate, migrationPhases, type PhaseName, PHASES } from '@vsim/vmm';
import { Ledger } from '../src/demo/ledger.ts';
import { bootVm, buildHost, incomingVm, samePlace } from '../src/demo/setup.ts';
import { Traffic } from '../src/demo/traffic.ts';

const PAGE = 4096;
const VALID = 0x8000_0000;

/** Two hosts; the VM runs on the first, with interrupts pending in every place when it stops. */
function hosts() {
  const ledger = new Ledger();
  const source = bootVm(buildHost({ seed: 3 }), ledger, 2);
  const destinationHost = buildHost({ seed: 4 });
  const made = destinationHost.host.trace.record();
  const destination = incomingVm(destinationHost, ledger, 2);
  const traffic = new Traffic(new Random(3), ledger, source.vm);
  traffic.run(60);
  return { ledger, source, destination, traffic, made };
}
type Hosts = ReturnType<typeof hosts>;
type Check = (hosts: Hosts, events: readonly TraceEvent[]) => void;

/** Runs a migration; `after` of a phase sees both hosts as the phase has left them, and what the phase put on the traces. */
function migrated(after: Partial<Record<PhaseName, Check>>, failAt?: PhaseName): { hosts: Hosts; outcome: string } {
  const all = hosts();
  const { source, destination, traffic } = all;
  const seen = new Set<string>();
  const watched = (phase: Phase): Phase => ({
    ...phase,
    *run() {
      if (phase.name === failAt) return -5;
      const events: TraceEvent[] = [];
      const stops = [source, destination].map(({ vm }) => vm.host.host.trace.listen((event) => events.push(event)));
      const result = yield* phase.run();
      for (const stop of stops) stop();
      seen.add(phase.name);
      after[phase.name as PhaseName]?.(all, events);
      return result;
    },
  });
  const result = migrate({
    source: source.vm,
    destination: destination.vm,
    link: new Link(),
    place: samePlace,
    precopyRound: () => {
      traffic.run(20);
      traffic.pileUp();
    },
    stopped: () => traffic.tickKept(),
    resumed: () => traffic.follow(destination.vm),
    order: (phases) => phases.map(watched),
  });
  for (const name of Object.keys(after)) expect(seen).toContain(name);
  return { hosts: all, outcome: result.outcome };
}

const states = ({ vm }: Hosts['source']): number[] => vm.devices.map(({ fd }) => getMigrationState(vm.process, fd));
const names = (events: readonly TraceEvent[]): string[] => events.flatMap(({ id, fields }) => (id === 'gic/command' ? [(fields as { name: string }).name] : []));
/** Bits set in the pending tables in guest memory, above the first KiB. */
function pendingBits({ vm, guest }: Hosts['source']): number {
  let count = 0;
  vm.kvm.vcpus.forEach((_vcpu, n) => {
    for (let byte = 0x400; byte < 0x800; byte += 1) for (let bits = vm.kvm.memory.read8(guest.tables.pendingTables + n * 0x1_0000 + byte); bits !== 0; bits &= bits - 1) count += 1;
  });
  return count;
}

describe('the source', () => {
  it('S1: memory is copied while the devices run, and VLPIs come directly [gic 2.2/1]', () => {
    migrated({
      'copy-memory': ({ source, ledger }) => {
        expect(states(source)).toEqual([MIG_STATE.RUNNING, MIG_STATE.RUNNING]);
        expect(source.vm.kvm.vcpus.map(({ state }) => state)).not.toContain('stopped');
        // Interrupts of pileUp() wait in the VPTs: none went through the host, and many were taken in the rounds.
        expect(source.vm.kvm.vcpus.reduce((sum, { vlpiCount }) => sum + vlpiCount, 0)).toBeGreaterThan(2);
        expect(ledger.sums.delivered).toBeGreaterThan(20);
        expect(source.vm.kvm.pendingInjections).toBe(0);
      },
    });
  });

  it('S2: every vCPU has left, no vPE is resident, list registers and priorities are folded back [gic 2.2/2]', () => {
    migrated({
      'stop-vcpus': ({ source }) => {
        const { kvm, vgic } = source.vm;
        expect(kvm.vcpus.map(({ state }) => state)).toEqual(['stopped', 'stopped']);
        for (let cpu = 0; cpu < kvm.driver.cpus.count; cpu += 1) {
          expect(kvm.driver.readRedistributor(cpu, GICR.VPENDBASER + 4) & VALID).toBe(0);
          expect(kvm.driver.gic.cpu(cpu).virtual.read('ICH_ELRSR_EL2')).toBe(0xfn);
        }
        expect(kvm.vcpus.map(({ id }) => vgic.getAttr(GRP.CPU_SYSREGS, (BigInt(id) << 32n) | BigInt(SYSREG.ICC_AP1R0_EL1)))).toEqual([0n, 0n]);
        expect(kvm.vcpus.flatMap(({ queue }) => queue.map((irq) => irq.pendingLatch))).not.toContain(false);
      },
    });
  });

  it('S3: devices stop before the interrupt controller is saved [gic 2.2/3] [gic G23]', () => {
    const { source, destination } = hosts();
    const order = migrationPhases({ source: source.vm, destination: destination.vm, link: new Link(), place: samePlace }).map(({ name }) => name);
    expect(order).toEqual(PHASES);
    const at = (name: PhaseName): number => order.indexOf(name);
    expect([at('stop-vcpus') < at('stop-devices'), at('stop-devices') < at('save-its-tables'), at('save-its-tables') < at('save-pending-tables')]).toEqual([true, true, true]);
  });

  it('S3a: the devices stand still, and nothing is on its way [gic 2.2/4] [gic L1]', () => {
    migrated({
      'drain-irqfds': ({ source }, events) => {
        expect([states(source), source.vm.kvm.pendingInjections]).toEqual([[MIG_STATE.STOP, MIG_STATE.STOP], 0]);
        const [ticker] = source.vm.host.tickers;
        expect(names(events)).toEqual([]);
        const before = pendingBits(source);
        ticker!.tick(1);
        expect([ticker!.isLatched(1), pendingBits(source)]).toEqual([true, before]);
      },
    });
  });

  it('S3b: DTE, ITE and CTE are in guest memory, their pages dirty [gic 2.2/5]', () => {
    migrated({
      'save-its-tables': ({ source }) => {
        const { memory } = source.vm.kvm;
        const { deviceTable, itts, collectionTable } = source.guest.tables;
        const dirty = memory.takeDirty();
        for (const at of [deviceTable, itts, collectionTable]) expect(dirty).toContain(at / PAGE);
        for (const { guestDevice } of source.vm.devices) expect(memory.read32(deviceTable + 8 * guestDevice + 4) >>> 31).toBe(1);
        expect([memory.read32(itts) & 0xffff, memory.read32(collectionTable + 4) >>> 31]).toEqual([0, 1]);
      },
    });
  });

  it('S3c: pending bits of all LPIs are in guest memory; vPEs were unmapped, and are mapped [gic 2.2/6]', () => {
    migrated({
      'save-pending-tables': ({ source, ledger }, events) => {
        const { kvm } = source.vm;
        expect(kvm.memory.takeDirty()).toContain(source.guest.tables.pendingTables / PAGE);
        // All but what is in a PBA (the masked vector of each device) or in a device (the one that came last).
        expect(pendingBits(source)).toBe(ledger.pending.length - source.vm.devices.length - 1);
        const vmapps = events.flatMap(({ id, fields }) => {
          const { name, words } = fields as { name: string; words: bigint[] };
          return id === 'gic/command' && name === 'VMAPP' ? [words[2]! >> 63n] : [];
        });
        expect([vmapps, kvm.vcpus.map(({ vpe }) => vpe!.mapped)]).toEqual([[0n, 0n, 1n, 1n], [true, true]]);
      },
    });
  });

  it('S4: the last pass takes the tables along; then the devices\' own data, with their masked vectors [gic 2.2/7] [gic L2]', () => {
    migrated({
      'save-devices': ({ source }) => {
        expect(states(source)).toEqual([MIG_STATE.STOP, MIG_STATE.STOP]);
        expect(source.vm.devices.map((device) => device.isPending(2))).toEqual([true, true]);
      },
      'restore-memory': ({ source, destination }) => {
        const { deviceTable, itts, collectionTable, pendingTables } = source.guest.tables;
        for (const at of [deviceTable, itts, collectionTable, pendingTables]) {
          const [a, b] = [source, destination].map(({ vm }) => {
            const bytes = new Uint8Array(0x1_0000);
            vm.kvm.memory.readBytes(at, bytes);
            return Buffer.from(bytes).toString('base64');
          });
          expect(a === b).toBe(true);
        }
      },
    });
  });

  it('S5: registers are read with the vPEs mapped, the GIC before the ITS, and nothing changes [gic 2.2/8]', () => {
    migrated({
      'save-registers': ({ source }, events) => {
        expect([names(events), source.vm.kvm.vcpus.map(({ vpe }) => vpe!.mapped)]).toEqual([[], [true, true]]);
      },
    });
    const at = (name: PhaseName): number => PHASES.indexOf(name);
    expect([at('save-registers') > at('save-pending-tables'), at('restore-vgic') < at('restore-its'), at('enable-its') < at('restore-msix')]).toEqual([true, true, true]);
  });

  it('S6a: taken over, the source unmaps every VLPI, gives the vPEs back, and is silent [gic 2.2/9]', () => {
    migrated({
      'forget-source': ({ source, traffic, ledger }, events) => {
        const mapped = names(events).filter((name) => name === 'MAPTI').length;
        expect(mapped).toBeGreaterThan(2);
        expect(names(events).filter((name) => name === 'VMAPP')).toHaveLength(2);
        expect(source.vm.kvm.itsVm).toBeUndefined();
        const before = ledger.sums.delivered;
        source.vm.host.tickers[0]!.tick(0);
        expect(ledger.sums.delivered).toBe(before);
        traffic.letGo();
      },
    });
  });

  it('S6b: cancelled, devices and vCPUs run, and every pending interrupt is delivered [gic 2.2/10]', () => {
    const { hosts: { source, traffic, ledger }, outcome } = migrated({ 'save-registers': () => undefined }, 'acknowledge');
    expect([outcome, states(source), source.vm.kvm.vcpus.map(({ state }) => state)]).toEqual(['cancelled', [MIG_STATE.RUNNING, MIG_STATE.RUNNING], ['running', 'running']]);
    expect(ledger.pending.length).toBeGreaterThan(4);
    traffic.letGo();
    expect([ledger.pending, ledger.doubled]).toEqual([[], 0]);
  });
});

describe('the destination', () => {
  it('R1: vPEs, doorbells, and an empty VPT for each, mapped without PTZ [gic 2.3/1]', () => {
    const { destination, made } = hosts();
    const vmapps = made.flatMap(({ id, fields }) => {
      const { name, words } = fields as { name: string; words: bigint[] };
      return id === 'gic/command' && name === 'VMAPP' ? [(words[0]! >> 8n) & 3n] : [];
    });
    expect(vmapps).toEqual([1n, 1n]);
    const { kvm } = destination.vm;
    for (const { vpe } of kvm.vcpus) {
      expect([vpe!.mapped, kvm.driver.property(vpe!.doorbell) & 1, kvm.driver.gic.vpe(vpe!.vpeid)!.somethingPending]).toEqual([true, 1, false]);
    }
    expect([destination.vm.vgic.initialized, destination.vm.its.enabled]).toEqual([true, false]);
  });

  it('R2: memory has the tables; R3: the devices have their data and are silent [gic 2.3/2] [gic 2.3/3]', () => {
    migrated({
      'restore-memory': ({ destination }) => {
        expect(pendingBits(destination)).toBeGreaterThan(2);
        expect(destination.vm.kvm.memory.read32(destination.guest.tables.collectionTable + 4) >>> 31).toBe(1);
        expect(states(destination)).toEqual([MIG_STATE.RUNNING, MIG_STATE.RUNNING]);
      },
      'restore-devices': ({ destination, ledger }, events) => {
        expect(states(destination)).toEqual([MIG_STATE.STOP, MIG_STATE.STOP]);
        const before = ledger.sums.delivered;
        destination.vm.host.tickers[0]!.tick(0);
        expect([ledger.sums.delivered, names(events)]).toEqual([before, []]);
      },
    });
  });

  it('R4: LPIs are enabled, and none is known; R5: devices, collections and LPIs are back, with their pending bits [gic 2.3/4] [gic 2.3/5]', () => {
    let bits = 0;
    migrated({
      'enable-lpis': ({ destination }) => {
        const { kvm, vgic } = destination.vm;
        expect([kvm.vcpus.map(({ lpisEnabled }) => lpisEnabled), [...kvm.lpis.all()], vgic.distributorEnabled]).toEqual([[true, true], [], true]);
        bits = pendingBits(destination);
      },
      'enable-its': ({ destination }) => {
        const { kvm, its } = destination.vm;
        expect([its.enabled, its.mappings.devices.length, its.mappings.collections.length]).toEqual([true, 2, 2]);
        const lpis = [...kvm.lpis.all()];
        expect([lpis.length, lpis.filter(({ pendingLatch }) => pendingLatch).length, pendingBits(destination)]).toEqual([8, bits, 0]);
        expect(lpis.every((irq) => irq.enabled && irq.priority === 0xa0 && (irq.queuedOn !== undefined) === irq.pendingLatch)).toBe(true);
      },
    });
  });

  it('R6: each vector is forwarded, what is pending goes to the hardware with INT [gic 2.3/6] [gic G25]', () => {
    migrated({
      'restore-msix': ({ destination }, events) => {
        const { kvm } = destination.vm;
        const forwarded = [...kvm.lpis.all()].filter(({ hw }) => hw);
        const commands = names(events);
        // Once for each vector that is not masked: nothing is set up twice.
        expect(commands.filter((name) => name === 'VMAPTI')).toHaveLength(forwarded.length);
        expect([forwarded.length, forwarded.some(({ pendingLatch }) => pendingLatch)]).toEqual([6, false]);
        expect(commands.filter((name) => name === 'INT').length).toBeGreaterThan(2);
        const first = commands.indexOf('VMAPTI');
        expect(commands.slice(first - 2, first + 4)).toEqual(['DISCARD', 'SYNC', 'VMAPTI', 'VSYNC', 'INT', 'VSYNC']);
      },
    });
  });

  it('R7: devices run, vCPUs run, and what was pending is delivered once [gic 2.3/7]', () => {
    const { hosts: { destination, ledger, traffic }, outcome } = migrated({
      run: ({ destination: there }) => {
        expect([states(there), there.vm.kvm.vcpus.map(({ state }) => state)]).toEqual([[MIG_STATE.RUNNING, MIG_STATE.RUNNING], ['running', 'running']]);
      },
    });
    traffic.letGo();
    expect([outcome, ledger.pending, ledger.doubled]).toEqual(['migrated', [], 0]);
    const before = ledger.sums.delivered;
    traffic.run(60);
    expect(ledger.sums.delivered).toBeGreaterThan(before);
    expect(destination.vm.kvm.vcpus.reduce((sum, { vlpiCount }) => sum + vlpiCount, 0)).toBeGreaterThan(2);
  });
});
