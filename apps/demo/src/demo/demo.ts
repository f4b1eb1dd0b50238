/**
 * The demonstration: a VM with assigned devices whose interrupts are forwarded is live-migrated between two Arm hosts. Everything
 * in it is a function of the seed.
 */
import { errnoName, ENOTTY, Random } from '@vsim/vfio-core';
import type { PciMachineDescription } from '@vsim/vfio-pci';
import { type DeviceSummary, Link, lpiOf, migrate, migrationBlockers, type PhaseName, PHASES, STOP, type VirtualMachine } from '@vsim/vmm';
import type { ArmHost } from '../hosts/arm-host.ts';
import { Ledger, lineName, type Sums } from './ledger.ts';
import { visitNeighbours, type Neighbour } from './neighbours.ts';
import { bootVm, buildHost, countTaken, guestDeviceOf, incomingVm, PLAIN_DEVICE, samePlace, vectors } from './setup.ts';
import { MASKABLE_VECTOR, Traffic } from './traffic.ts';
import { WorldClock, type Watch } from './world-clock.ts';

const VCPUS = 2;
const STEPS = 400;
const ROUND_STEPS = 40;

export type Place = 'VPT' | 'latch' | 'PBA' | 'device' | 'nowhere';

export interface DemoDevice extends DeviceSummary {
  readonly driver: string;
  readonly migratable: boolean;
}

/** A phase of the migration, in virtual ns since it began. */
export interface DemoPhase {
  readonly name: PhaseName;
  readonly from: number;
  readonly to: number;
}

export interface DemoReport {
  readonly seed: number;
  readonly vcpus: number;
  readonly devices: readonly DemoDevice[];
  /** Devices of other buses on the source, which stay there. */
  readonly neighbours: readonly Neighbour[];
  /** Attempts that were refused, by the device that stood in the way. */
  readonly blockers: readonly { readonly device: string; readonly errno: string }[];
  /** Vectors that reach their vCPU as VLPIs, and those that go by software. */
  readonly forwarding: { readonly vlpi: number; readonly software: number };
  readonly outcome: string;
  readonly before: Sums;
  readonly after: Sums;
  /** What was pending when everything had stopped, and where. */
  readonly pendingAtStop: readonly { readonly interrupt: string; readonly lpi: number; readonly place: Place }[];
  readonly lost: number;
  readonly doubled: number;
  /** Interrupts taken as counters in the guest's own memory have it: what it was delivered, if its memory came along. */
  readonly guestCount: number;
  /** The phases of the migration, in their order. */
  readonly phases: readonly DemoPhase[];
  /** When each round of memory began that was copied while the VM ran, after the first. */
  readonly roundsNs: readonly number[];
  readonly bytes: number;
  readonly downtimeNs: number;
  readonly totalNs: number;
}

/** Runs the demonstration; `progress` hears what is being done, `watch` of its hosts. */
export function runDemo(seed: number, machine: PciMachineDescription, progress: (text: string) => void, watch?: Watch): DemoReport {
  const clock = new WorldClock(watch);
  const random = new Random(seed);
  const ledger = new Ledger();

  progress('source: building the host');
  const source = buildHost({ seed, machine, made: (host) => { clock.add('source', host); } });
  const neighbours = visitNeighbours(source);
  const booted = bootVm(source, ledger, VCPUS);
  const { vm } = booted;
  const plain = vm.assign(PLAIN_DEVICE, guestDeviceOf(source.tickers.length));
  const devices = vm.devices.map((device) => ({
    ...device.summary,
    driver: source.root.readlink(`/sys/bus/pci/devices/${device.name}/driver`).split('/').at(-1) ?? '',
    migratable: device.migrationFlags !== undefined,
  }));

  const forwarding = countForwarding(vm);
  const traffic = new Traffic(random, ledger, vm, undefined, clock);
  progress('source: the VM runs');
  traffic.run(STEPS);
  const before = ledger.sums;

  const blockers = migrationBlockers(vm).map((device) => ({ device, errno: errnoName(ENOTTY) }));
  vm.unplug(plain);

  progress('destination: building the host');
  const incoming = incomingVm(buildHost({ seed: seed + 1, machine, made: (host) => { clock.add('destination', host); } }), ledger, VCPUS);
  const { vm: twin } = incoming;

  const link = new Link();
  let pendingAtStop: DemoReport['pendingAtStop'] = [];
  let stoppedAt = 0;
  let resumedAt = 0;
  const begun: { readonly name: PhaseName; readonly from: number }[] = [];
  const roundsNs: number[] = [];
  const result = migrate({
    source: vm,
    destination: twin,
    link,
    place: samePlace,
    precopyRound: () => {
      clock.follow(link);
      roundsNs.push(link.time);
      traffic.letGo();
      traffic.run(ROUND_STEPS);
      traffic.pileUp();
    },
    stopped: () => {
      // The world outside does not stop: this tick is kept by the device until it runs again.
      traffic.tickKept();
      pendingAtStop = ledger.pending.map((interrupt) => whereIs(vm, interrupt));
    },
    resumed: () => {
      resumedAt = link.time;
      traffic.follow(twin);
    },
    progress: (phase) => {
      clock.follow(link);
      watch?.phase(phase, clock.now);
      progress(`migration: ${phase}`);
      const name = PHASES.find((each) => each === phase);
      if (name !== undefined) begun.push({ name, from: link.time });
      if (phase === STOP) stoppedAt = link.time;
    },
  });

  clock.follow(link);
  watch?.phase(undefined, clock.now);

  progress('destination: the VM runs');
  traffic.letGo();
  ledger.countLost();
  traffic.run(STEPS);
  traffic.letGo();
  ledger.countLost();
  const all = ledger.sums;
  const guestCount = countTaken(result.outcome === 'migrated' ? incoming : booted);
  return {
    seed,
    vcpus: VCPUS,
    devices,
    neighbours,
    blockers,
    forwarding,
    outcome: result.outcome === 'migrated' ? 'migrated' : `${result.outcome} in ${result.phase}: ${errnoName(result.error)}`,
    before,
    after: {
      raised: all.raised - before.raised,
      coalesced: all.coalesced - before.coalesced,
      delivered: all.delivered - before.delivered,
    },
    pendingAtStop,
    lost: ledger.lost,
    doubled: ledger.doubled,
    guestCount,
    phases: begun.map((phase, n) => ({ ...phase, to: begun[n + 1]?.from ?? link.time })),
    roundsNs,
    bytes: link.bytes,
    downtimeNs: Math.max(resumedAt - stoppedAt, 0),
    totalNs: link.time,
  };
}

function countForwarding(vm: VirtualMachine): DemoReport['forwarding'] {
  let vlpi = 0;
  let software = 0;
  for (const irq of vm.kvm.lpis.all()) {
    if (irq.hw) vlpi += 1;
    else software += 1;
  }
  return { vlpi, software };
}

/** Looks for a pending interrupt in every place where one can be while everything stands still. */
function whereIs(vm: VirtualMachine<ArmHost>, interrupt: string): DemoReport['pendingAtStop'][number] {
  const at = vm.host.tickers.flatMap(({ name }, slot) => vectors().map((vector) => ({ name, slot, vector }))).find(
    ({ name, vector }) => lineName(name, vector) === interrupt,
  );
  if (at === undefined) return { interrupt, lpi: 0, place: 'nowhere' };
  const lpi = lpiOf(at.slot, at.vector);
  const device = vm.devices[at.slot]!;
  const irq = vm.kvm.lpis.find(lpi);
  let place: Place = 'nowhere';
  if (at.vector === MASKABLE_VECTOR && device.isPending(at.vector)) place = 'PBA';
  else if (irq?.hw === true && irq.target?.vpe?.peek(lpi) === true) place = 'VPT';
  else if (irq?.hw === false && irq.pendingLatch) place = 'latch';
  else if (vm.host.tickers[at.slot]?.isLatched(at.vector) === true) place = 'device';
  return { interrupt, lpi, place };
}
