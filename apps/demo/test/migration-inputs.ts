/** Inputs of random migrations, as plain data: hosts, traffic, and one to three migrations of one VM in a row, each with at most one fault. For tests only. */
import type { Random } from '@vsim/vfio-core';
import type { GicPreset, GicVersion } from '@vsim/gic-its';
import { COMMIT, type PhaseName, PHASES } from '@vsim/vmm';
import { pick } from '../../../testing/fuzz.ts';
import { TICKER_VECTORS } from '../src/devices/ticker.ts';
import { drawFault, type Fault } from './migration-faults.ts';

export interface HostKind {
  readonly gic: GicVersion;
  readonly preset: GicPreset;
  readonly coherent: boolean;
  readonly listRegisters: number;
}

/** A tick of a device as the migration comes to a phase. */
export interface Tick {
  readonly phase: PhaseName;
  readonly device: number;
  readonly vector: number;
}

export interface Migration {
  readonly to: HostKind;
  readonly fault: Fault;
  /** Steps of traffic in each round of memory. */
  readonly steps: number;
  /** How the VM is when it stops: as it comes; with interrupts masked by vCPUs, and many raised; with every mask set and every line raised. */
  readonly stop: 'calm' | 'masked' | 'piled';
  /** The device and vector whose interrupt the guest moves to a vCPU, in each round. */
  readonly move: readonly [device: number, vector: number, cpu: number];
  /** The interrupt that the guest disables in its property table, until the masks go. */
  readonly disable: readonly [device: number, vector: number] | undefined;
  readonly ticks: readonly Tick[];
  /** Kernel workers are slow: an interrupt by software is still on its way when the devices have stopped. */
  readonly inFlight: boolean;
  /** The guest's masks stay as they are until the next migration. */
  readonly held: boolean;
}

export interface MigrationsInput {
  readonly seed: number;
  readonly devices: number;
  readonly vcpus: number;
  readonly rate: number;
  readonly instant: number;
  readonly from: HostKind;
  readonly migrations: readonly Migration[];
}

/** Phases at which the world outside may tick: the source's device keeps what comes while it stands still. */
const TICKED = PHASES.slice(PHASES.indexOf('stop-vcpus'), PHASES.indexOf(COMMIT) + 1);

function drawHost(random: Random): HostKind {
  return {
    gic: pick(random, ['gicv4.1', 'gicv4.1', 'gicv4.1', 'gicv4.1', 'gicv4.1', 'gicv4.1', 'gicv4.1', 'gicv4.1', 'gicv3', 'gicv4']),
    preset: pick(random, ['arm', 'arm', 'strict', 'qemu', 'gic-600']),
    coherent: random.below(2) === 0,
    listRegisters: pick(random, [1, 2, 4, 16]),
  };
}

export function drawMigrations(random: Random): MigrationsInput {
  const count = pick(random, [1, 1, 1, 1, 2, 2, 3]);
  return {
    seed: random.uint32(),
    devices: 1 + random.below(3),
    vcpus: 1 + random.below(3),
    rate: 20 + random.below(70),
    instant: random.below(150),
    from: drawHost(random),
    migrations: Array.from({ length: count }, () => ({
      to: drawHost(random),
      fault: drawFault(random),
      steps: random.below(40),
      stop: pick(random, ['calm', 'masked', 'masked', 'piled', 'piled']),
      move: [random.below(3), random.below(TICKER_VECTORS), random.below(3)],
      disable: random.below(3) === 0 ? [random.below(3), random.below(TICKER_VECTORS)] : undefined,
      ticks: Array.from({ length: random.below(4) }, () => ({ phase: pick(random, TICKED), device: random.below(3), vector: random.below(TICKER_VECTORS) })),
      inFlight: random.below(2) === 0,
      held: random.below(2) === 0,
    })),
  };
}
