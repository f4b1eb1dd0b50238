import { describe, expect, it } from 'vitest';
import { recordedMachine } from '@vsim/conformance';
import { getMigrationState, MIG_STATE, Process, Random } from '@vsim/vfio-core';
import { Link, migrate, migrationBlockers, PHASES } from '@vsim/vmm';
import { forSeeds } from '../../../testing/random.ts';
import { runDemo } from '../src/demo/demo.ts';
import { Ledger } from '../src/demo/ledger.ts';
import { bootVm, buildHost, incomingVm, PLAIN_DEVICE } from '../src/demo/setup.ts';
import { Traffic } from '../src/demo/traffic.ts';

const machine = recordedMachine();
const place = (vcpu: number) => vcpu;

function twoHosts(seed: number) {
  const ledger = new Ledger();
  const { vm, guest } = bootVm(buildHost({ seed, machine }), ledger, 2);
  const { vm: twin } = incomingVm(buildHost({ seed: seed + 1 }), ledger, 2);
  return { ledger, vm, guest, twin, traffic: new Traffic(new Random(seed), ledger, vm) };
}

describe('runDemo', () => {
  it('loses and doubles nothing, and shows a pending interrupt in every place', () => {
    const report = runDemo(7, machine, () => undefined);
    expect(report).toMatchObject({ outcome: 'migrated', lost: 0, doubled: 0, forwarding: { vlpi: 6, software: 2 } });
    expect(report.guestCount).toBe(report.before.delivered + report.after.delivered);
    expect(report.before.delivered).toBeGreaterThan(50);
    expect(report.after.delivered).toBeGreaterThan(50);
    expect(report.neighbours.map(({ driver, seen }) => [driver, seen])).toEqual([
      ['vfio-amba', 'alarm after 2 s: 1 interrupt'],
      ['vfio-fsl-mc', 'opened by command; link change: 1 interrupt through the ITS'],
      ['mtty', 'wrote "hello", read "hello"'],
    ]);
    expect(report.blockers).toEqual([{ device: PLAIN_DEVICE, errno: 'ENOTTY' }]);
    expect(new Set(report.pendingAtStop.map(({ place: where }) => where))).toEqual(new Set(['VPT', 'latch', 'PBA', 'device']));
    expect(report.devices.map(({ name, migratable }) => [name, migratable])).toEqual([
      ['0000:40:00.0', true],
      ['0000:40:01.0', true],
      [PLAIN_DEVICE, false],
    ]);
  });

  it('tells when each phase begins and ends, without a gap, on the clock of the wire', () => {
    const { phases, roundsNs, downtimeNs, totalNs } = runDemo(7, machine, () => undefined);
    expect(phases.map(({ name }) => name)).toEqual(PHASES);
    expect(phases.map(({ from }) => from)).toEqual([0, ...phases.slice(0, -1).map(({ to }) => to)]);
    expect(phases.at(-1)?.to).toBe(totalNs);
    const at = (name: string) => phases.find((phase) => phase.name === name);
    expect(at('run')!.from - at('stop-vcpus')!.from).toBe(downtimeNs);
    expect(roundsNs.every((round) => round > 0 && round < at('copy-memory')!.to)).toBe(true);
    expect(roundsNs).not.toEqual([]);
  });

  it('is a function of its seed', () => {
    const twice = [runDemo(3, machine, () => undefined), runDemo(3, machine, () => undefined)];
    expect(JSON.stringify(twice[0])).toBe(JSON.stringify(twice[1]));
    expect(JSON.stringify(runDemo(4, machine, () => undefined).before)).not.toBe(JSON.stringify(twice[0]!.before));
  });

  it('loses and doubles nothing for any seed', () => {
    forSeeds((seed) => {
      const { outcome, lost, doubled, guestCount, before, after } = runDemo(seed, machine, () => undefined);
      expect({ outcome, lost, doubled }).toEqual({ outcome: 'migrated', lost: 0, doubled: 0 });
      expect(guestCount).toBe(before.delivered + after.delivered);
    }, 0.25);
  });
});

describe('migrate', () => {
  it('names every device that stands in the way', () => {
    const { vm } = twoHosts(1);
    expect(migrationBlockers(vm)).toEqual([]);
    vm.assign(PLAIN_DEVICE, 0x40);
    expect(migrationBlockers(vm)).toEqual([PLAIN_DEVICE]);
  });

  it('leaves the source running with all of its interrupts when the destination refuses', () => {
    const { vm, twin, guest, ledger, traffic } = twoHosts(5);
    traffic.run(50);
    twin.unplug(twin.devices[1]!); // the stream has a section that nobody takes
    const result = migrate({ source: vm, destination: twin, link: new Link(), place, precopyRound: () => { traffic.pileUp(); } });
    expect(result).toMatchObject({ outcome: 'cancelled', phase: 'send' });
    twin.destroy();
    expect(vm.devices.map((device) => getMigrationState(vm.process, device.fd))).toEqual([MIG_STATE.RUNNING, MIG_STATE.RUNNING]);
    expect(vm.kvm.vcpus.map(({ state }) => state)).toEqual(['running', 'running']);
    traffic.run(100);
    traffic.letGo();
    const { raised, coalesced, delivered } = ledger.sums;
    expect([raised - coalesced - delivered, ledger.doubled, ledger.pending]).toEqual([0, 0, []]);
    expect(delivered).toBeGreaterThan(20);
    expect(guest.count(8192)).toBeGreaterThan(0);
  });

  it('gives everything back that the source had', () => {
    const { vm, twin } = twoHosts(6);
    const { host } = vm.host;
    expect(migrate({ source: vm, destination: twin, link: new Link(), place })).toEqual({ outcome: 'migrated' });
    expect(vm.process.fds).toEqual([]);
    expect(host.scheduler.threads).toEqual([]);
    const again = new Process(host);
    for (const { name } of vm.host.tickers) again.close(again.open(`/dev/vfio/${vm.host.groupOf(name)}`));
  });
});
