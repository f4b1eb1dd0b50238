/**
 * One migration of a VM under traffic, with whatever is to go wrong: what `vsim migrate` runs, once or a thousand times.
 *
 * Everything is a function of the options: the instant, the state of the devices and of the vCPUs come from the seed.
 */
import { constant, EIO, errnoName, Random, type Phase, type Sleeps } from '@vsim/vfio-core';
import { IRQFD_INJECT, type GicVersion, type MigrationSwitches } from '@vsim/gic-its';
import { COMMIT, Link, migrate, STOP, type Transport } from '@vsim/vmm';
import { Ledger, type Sums } from '../demo/ledger.ts';
import { bootVm, buildHost, countTaken, incomingVm, samePlace } from '../demo/setup.ts';
import { Traffic } from '../demo/traffic.ts';
import { WorldClock, type Watch } from '../demo/world-clock.ts';

/** Steps of traffic in each round of memory, and after the migration. */
const ROUND_STEPS = 40;

export interface MigrateOptions {
  readonly seed: number;
  readonly devices: number;
  readonly vcpus: number;
  /** Steps of traffic before the migration begins. */
  readonly instant: number;
  /** How many of a hundred steps are interrupts. */
  readonly rate: number;
  readonly source: GicVersion;
  readonly destination: GicVersion;
  /** Patches of the series that both hosts do without. */
  readonly switches: Partial<MigrationSwitches>;
  /** The phase that fails. */
  readonly failAt?: string | undefined;
  /** The byte of the state on the wire that is flipped, counted from its start. */
  readonly corrupt?: number | undefined;
  /** Phases that change places: the first with the second, then the third with the fourth, and so on. */
  readonly swap?: readonly string[] | undefined;
  /** KVM's writes to guest memory, while the source is saved, after which one fails. */
  readonly faultAfter?: number | undefined;
}

export interface MigrateReport {
  readonly seed: number;
  readonly outcome: 'migrated' | 'cancelled' | 'committed-with-error';
  /** Where it failed, and how. */
  readonly failed: { readonly phase: string; readonly errno: string } | undefined;
  /** Which side runs the VM afterwards. */
  readonly runs: readonly ('source' | 'destination')[];
  readonly sums: Sums;
  readonly pendingAtStop: number;
  readonly lost: number;
  readonly doubled: number;
  /** Whether the counters in guest memory agree with what was delivered. */
  readonly memoryAgrees: boolean;
  /** Interrupts of the destination's devices that the hardware delivers. */
  readonly forwardedAtEnd: number;
  readonly bytes: number;
  readonly downtimeNs: number;
}

/** Whether nothing is wrong with a report, whatever was made to fail. */
export function isSound({ runs, lost, doubled, memoryAgrees }: MigrateReport): boolean {
  return runs.length === 1 && lost === 0 && doubled === 0 && memoryAgrees;
}

/** @param watch hears of the hosts @throws RangeError for a byte to corrupt that the state does not have */
export function runMigration(options: MigrateOptions, watch?: Watch): MigrateReport {
  const clock = new WorldClock(watch);
  const { seed, devices, vcpus, instant, rate, switches } = options;
  const ledger = new Ledger();
  // Without the first patch only a GIC that does not snoop CPU caches shows the difference.
  const choices = switches.flushVptOnUnmap === false ? { coherent: false } : {};
  const source = bootVm(buildHost({ seed, tickers: devices, gic: options.source, switches, choices, made: (host) => { clock.add('source', host); } }), ledger, vcpus);
  const destination = incomingVm(buildHost({ seed: seed + 1, tickers: devices, gic: options.destination, switches, choices, made: (host) => { clock.add('destination', host); } }), ledger, vcpus);
  const traffic = new Traffic(new Random(seed), ledger, source.vm, rate, clock);
  traffic.run(instant);

  const { scheduler } = source.vm.host.host;
  const link = new Link();
  let pendingAtStop = 0;
  let stoppedAt = 0;
  let resumedAt = 0;
  const result = migrate({
    source: source.vm,
    destination: destination.vm,
    link,
    place: samePlace,
    precopyRound: () => {
      clock.follow(link);
      traffic.run(ROUND_STEPS);
      traffic.pileUp();
      // The guest moves the interrupt that is to be in flight: its translation is not cached any more.
      source.guest.moveEvent(traffic.inFlight.device, traffic.inFlight.vector, 0);
    },
    progress: (phase) => {
      clock.follow(link);
      watch?.phase(phase, clock.now);
      if (phase === STOP) stoppedAt = link.time;
      if (phase === 'stop-devices') {
        // Kernel workers are slow: what comes now is injected when somebody waits for it.
        scheduler.stopAt(IRQFD_INJECT);
        traffic.tickInFlight();
      }
      if (phase === 'drain-irqfds') scheduler.release(IRQFD_INJECT);
      if (phase === 'save-its-tables') source.vm.kvm.memory.failWriteAfter(options.faultAfter);
      if (phase === 'save-registers') source.vm.kvm.memory.failWriteAfter(undefined);
    },
    stopped: () => {
      traffic.tickKept();
      pendingAtStop = ledger.pending.length;
    },
    resumed: () => {
      resumedAt = link.time;
      traffic.follow(destination.vm);
    },
    transport: corrupting(options.corrupt),
    order: (phases) => failing(swapped(phases, options.swap), options.failAt),
  });
  clock.follow(link);
  watch?.phase(undefined, clock.now);
  source.vm.kvm.memory.failWriteAfter(undefined);
  scheduler.release(IRQFD_INJECT);
  if (result.outcome === 'cancelled') destination.vm.destroy();
  const runs = ([['source', source], ['destination', destination]] as const)
    .filter(([, { vm }]) => vm.kvm.vcpus.some(({ state }) => state !== 'stopped'))
    .map(([side]) => side);
  traffic.letGo();
  ledger.countLost();
  if (runs.length === 1) traffic.run(ROUND_STEPS);
  traffic.letGo();
  ledger.countLost();
  const sums = ledger.sums;
  return {
    seed,
    outcome: result.outcome,
    failed: result.outcome === 'migrated' ? undefined : { phase: result.phase, errno: errnoName(result.error) },
    runs,
    sums,
    pendingAtStop,
    lost: ledger.lost,
    doubled: ledger.doubled,
    memoryAgrees: countTaken(runs[0] === 'destination' ? destination : source) === sums.delivered,
    forwardedAtEnd: destination.vm.kvm.vcpus.reduce((sum, { vlpiCount }) => sum + vlpiCount, 0),
    bytes: link.bytes,
    downtimeNs: Math.max(resumedAt - stoppedAt, 0),
  };
}

/** Flips all bits of one byte of the state message. */
function corrupting(at: number | undefined): Transport | undefined {
  if (at === undefined) return undefined;
  return (message) => {
    if (at >= message.length) throw new RangeError(`"corrupt" expected a byte of the state, which has ${message.length}, got ${at}`);
    const changed = message.slice();
    changed[at] = changed[at]! ^ 0xff;
    return changed;
  };
}

function swapped(phases: readonly Phase[], swap: readonly string[] = []): Phase[] {
  const out = [...phases];
  for (let i = 0; i + 1 < swap.length; i += 2) {
    const [a, b] = [swap[i], swap[i + 1]].map((name) => out.findIndex((phase) => phase.name === name));
    if (a !== undefined && b !== undefined && a >= 0 && b >= 0) [out[a], out[b]] = [out[b]!, out[a]!];
  }
  return out;
}

/**
 * The named phase fails: before it has done anything, or, once the destination owns the VM, after it has: what is reported then
 * cannot take the hand-over back.
 */
function failing(phases: readonly Phase[], name: string | undefined): Phase[] {
  const commit = phases.findIndex((phase) => phase.name === COMMIT);
  return phases.map((phase, i) => (phase.name === name ? { ...phase, run: i > commit ? () => lateFailure(phase) : () => constant(-EIO) } : phase));
}

function* lateFailure(phase: Phase): Sleeps<number> {
  yield* phase.run();
  return -EIO;
}
