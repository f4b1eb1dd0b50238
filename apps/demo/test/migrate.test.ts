import { describe, expect, it } from 'vitest';
import { Random } from '@vsim/vfio-core';
import type { GicVersion } from '@vsim/gic-its';
import { forSeeds } from '../../../testing/random.ts';
import { matrixRow, PATCHES } from '../src/migrate/matrix.ts';
import { isSound, runMigration, type MigrateOptions } from '../src/migrate/scenario.ts';
import { PHASES } from '../src/vmm/migration.ts';

const BASE: MigrateOptions = {
  seed: 3,
  devices: 2,
  vcpus: 2,
  rate: 50,
  instant: 60,
  source: 'gicv4.1',
  destination: 'gicv4.1',
  switches: {},
};
const GICS: readonly GicVersion[] = ['gicv3', 'gicv4', 'gicv4.1'];

describe('the series, patch by patch', () => {
  it('[gic 1.7/1] [gic 1.7/2] [gic 1.7/3] [gic 1.7/4] [gic 1.7/5] [gic 1.7/6] shows what is lost without each patch', () => {
    expect(['none', ...Object.keys(PATCHES)].map((patch) => matrixRow(BASE, patch))).toEqual([
      { without: 'none', destination: 'once', source: 'once' },
      { without: 'P1', destination: 'lost', source: 'once' },
      { without: 'P2', destination: 'once', source: 'lost' },
      { without: 'P3', destination: 'lost', source: 'once' },
      { without: 'P4', destination: 'lost', source: 'once' },
      { without: 'P5', destination: 'lost', source: 'once' },
      { without: 'P6', destination: 'refused (EACCES)', source: 'once' },
    ]);
  });
});

describe('random migrations', () => {
  it('deliver every interrupt once, and leave one side running, also when a phase fails or the stream is corrupted', () => {
    const outcomes = new Map<string, number>();
    forSeeds((seed) => {
      const random = new Random(seed);
      const fate = random.below(4);
      const report = runMigration({
        ...BASE,
        seed,
        devices: 1 + random.below(3),
        vcpus: 1 + random.below(3),
        rate: 20 + random.below(70),
        instant: random.below(200),
        destination: GICS[random.below(3)]!,
        failAt: fate === 0 ? PHASES[random.below(PHASES.length)] : undefined,
        corrupt: fate === 1 ? random.below(2000) : undefined,
      });
      outcomes.set(report.outcome, (outcomes.get(report.outcome) ?? 0) + 1);
      if (!isSound(report)) throw new Error(JSON.stringify(report));
      if (fate === 1) expect(report).toMatchObject({ outcome: 'cancelled', failed: { phase: 'send' } });
    }, 10);
    expect(outcomes.get('migrated')).toBeGreaterThan(1);
    expect(outcomes.get('cancelled')).toBeGreaterThan(1);
  });

  it('go between all kinds of GIC, but not out of a GICv4.0 with forwarded interrupts', () => {
    for (const source of GICS) {
      for (const destination of GICS) {
        const report = runMigration({ ...BASE, source, destination });
        expect(isSound(report)).toBe(true);
        if (source === 'gicv4') expect(report).toMatchObject({ outcome: 'cancelled', failed: { phase: 'save-its-tables', errno: 'EACCES' } });
        else expect(report.outcome).toBe('migrated');
      }
    }
  });
});

describe('phases out of order', () => {
  it('[gic F-V1] cannot save while a vCPU runs', () => {
    for (const phase of ['save-its-tables', 'save-pending-tables']) {
      const report = runMigration({ ...BASE, swap: ['stop-vcpus', phase] });
      expect(report).toMatchObject({ outcome: 'cancelled', failed: { phase, errno: 'EBUSY' } });
      expect(isSound(report)).toBe(true);
    }
  });

  it('[gic F-V2] loses what comes between the save of the pending tables and the stop of the device', () => {
    expect(runMigration({ ...BASE, swap: ['stop-devices', 'save-pending-tables'] })).toMatchObject({ outcome: 'migrated', lost: 1 });
  });

  it('[gic F-V4] loses what is written to tables after the last pass of memory', () => {
    const pending = runMigration({ ...BASE, swap: ['save-pending-tables', 'copy-rest-of-memory'] });
    expect(pending.lost).toBeGreaterThan(0);
    const tables = runMigration({ ...BASE, swap: ['save-its-tables', 'copy-rest-of-memory'] });
    expect(isSound(tables)).toBe(false);
  });

  it('[gic F-V5] does not care which tables are saved first', () => {
    expect(isSound(runMigration({ ...BASE, swap: ['save-its-tables', 'save-pending-tables'] }))).toBe(true);
  });

  it('[gic F-V8] restores nothing from memory that has not come', () => {
    expect(runMigration({ ...BASE, swap: ['restore-memory', 'restore-its'] }).lost).toBeGreaterThan(0);
  });

  it('[gic F-V9] cannot restore the tables before the redistributors say where their tables are', () => {
    const report = runMigration({ ...BASE, swap: ['restore-vgic', 'restore-its'] });
    expect(report).toMatchObject({ outcome: 'cancelled', failed: { phase: 'restore-its', errno: 'EFAULT' } });
    expect(isSound(report)).toBe(true);
  });

  it('[gic F-V15] delivers by software what could not be forwarded yet', () => {
    const report = runMigration({ ...BASE, swap: ['restore-its', 'restore-msix'] });
    expect(report).toMatchObject({ outcome: 'migrated', lost: 0, doubled: 0 });
  });

  it('never throws out of the model, whatever two phases change places', () => {
    for (let i = 0; i < PHASES.length; i += 1) {
      for (let j = i + 1; j < PHASES.length; j += 1) {
        const report = runMigration({ ...BASE, instant: 20, devices: 1, swap: [PHASES[i]!, PHASES[j]!] });
        expect(['migrated', 'cancelled', 'committed-with-error']).toContain(report.outcome);
      }
    }
  });
});
