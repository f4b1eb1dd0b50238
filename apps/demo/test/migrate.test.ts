import { describe, expect, it } from 'vitest';
import { Random } from '@vsim/vfio-core';
import type { GicVersion } from '@vsim/gic-its';
import { PHASES } from '@vsim/vmm';
import { forSeeds } from '../../../testing/random.ts';
import { matrixRow, PATCHES } from '../src/migrate/matrix.ts';
import { TICKER_VECTORS } from '../src/devices/ticker.ts';
import { isSound, runMigration, type MigrateOptions } from '../src/migrate/scenario.ts';

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
/** The state on the wire of a VM with one device and one vCPU, and what each further one adds. */
const STATE_BYTES = 519;
const DEVICE_BYTES = 184;
const VCPU_BYTES = 112;
/** A save of one to three devices writes about as often. */
const FEW_WRITES = 24;
const GICS: readonly GicVersion[] = ['gicv3', 'gicv4', 'gicv4.1'];

describe('the series, patch by patch', () => {
  it('[gic 1.7/1] [gic 1.7/2] [gic 1.7/3] [gic 1.7/4] [gic 1.7/5] [gic 1.7/6] shows what is lost without each patch', () => {
    expect(['none', ...Object.keys(PATCHES)].map((patch) => matrixRow(BASE, patch))).toEqual([
      { without: 'none', destination: 'once', source: 'once' },
      { without: 'P1', destination: 'lost', source: 'once' },
      { without: 'P2', destination: 'once', source: 'lost' },
      { without: 'P3', destination: 'lost', source: 'once' },
      { without: 'P4', destination: 'lost', source: 'once' },
      // What is latched goes to a list register, forwarded or not.
      { without: 'P5', destination: 'once', source: 'once' },
      { without: 'P6', destination: 'refused (EACCES)', source: 'once' },
    ]);
  });
});

describe('a byte of the state', () => {
  it.each([[1, 1], [3, 1], [1, 3]])('that is flipped is one that %i devices and %i vCPUs have', (devices, vcpus) => {
    const bytes = STATE_BYTES + (devices - 1) * DEVICE_BYTES + (vcpus - 1) * VCPU_BYTES;
    const flip = (corrupt: number) => runMigration({ ...BASE, seed: 1, devices, vcpus, instant: 0, corrupt });
    expect(flip(bytes - 1).failed).toMatchObject({ phase: 'send' });
    expect(() => flip(bytes)).toThrow(`"corrupt" expected a byte of the state, which has ${bytes}, got ${bytes}`);
  });
});

describe('random migrations', () => {
  it('deliver every interrupt once, and leave one side running, also when a phase, a write to guest memory or the stream fails [gic I-14] [gic I-15]', () => {
    const outcomes = new Map<string, number>();
    const faults = new Set<string>();
    forSeeds((seed) => {
      const random = new Random(seed);
      const fate = random.below(5);
      const devices = 1 + random.below(3);
      const vcpus = 1 + random.below(3);
      const report = runMigration({
        ...BASE,
        seed,
        devices,
        vcpus,
        rate: 20 + random.below(70),
        instant: random.below(200),
        destination: GICS[random.below(3)]!,
        failAt: fate === 0 ? PHASES[random.below(PHASES.length)] : undefined,
        corrupt: fate === 1 ? random.below(STATE_BYTES + (devices - 1) * DEVICE_BYTES + (vcpus - 1) * VCPU_BYTES) : undefined,
        faultAfter: fate === 2 ? random.below(FEW_WRITES) : undefined,
      });
      outcomes.set(report.outcome, (outcomes.get(report.outcome) ?? 0) + 1);
      if (!isSound(report)) throw new Error(JSON.stringify(report));
      if (fate === 1) expect(report).toMatchObject({ outcome: 'cancelled', failed: { phase: 'send' } });
      if (fate === 2 && report.outcome === 'cancelled') faults.add(JSON.stringify(report.failed));
    }, 5);
    expect(outcomes.get('migrated')).toBeGreaterThan(1);
    expect(outcomes.get('cancelled')).toBeGreaterThan(1);
    expect([...faults].sort()).toEqual([`{"phase":"save-its-tables","errno":"EFAULT"}`, `{"phase":"save-pending-tables","errno":"EFAULT"}`]);
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

  it('[gic F-V2] loses what comes between the save of the pending tables and the stop of the device [gic G23]', () => {
    const report = runMigration({ ...BASE, swap: ['stop-devices', 'save-pending-tables'] });
    expect(report).toMatchObject({ outcome: 'migrated', doubled: 0 });
    expect(report.lost).toBeGreaterThan(0);
  });

  it('[gic F-V4] loses what is written to tables after the last pass of memory', () => {
    const pending = runMigration({ ...BASE, swap: ['save-pending-tables', 'copy-rest-of-memory'] });
    expect(pending.lost).toBeGreaterThan(0);
    const tables = runMigration({ ...BASE, swap: ['save-its-tables', 'copy-rest-of-memory'] });
    expect(tables.lost).toBe(2 * TICKER_VECTORS * BASE.devices);
  });

  it('[gic F-V5] does not care which tables are saved first', () => {
    expect(isSound(runMigration({ ...BASE, swap: ['save-its-tables', 'save-pending-tables'] }))).toBe(true);
  });

  it('[gic F-V8] restores nothing from memory that has not come: success, and every interrupt lost', () => {
    expect(runMigration({ ...BASE, swap: ['restore-memory', 'restore-its-tables'] })).toMatchObject({ outcome: 'migrated', lost: 2 * TICKER_VECTORS * BASE.devices });
  });

  it('[gic F-V9] [gic F-V10] cannot restore the tables before the redistributors say where theirs are, or once EnableLPIs has closed them', () => {
    for (const swap of [['restore-vgic', 'restore-its', 'enable-lpis', 'restore-its-tables'], ['restore-vgic', 'enable-lpis']]) {
      const report = runMigration({ ...BASE, swap });
      expect(report).toMatchObject({ outcome: 'cancelled', failed: { phase: 'restore-its-tables', errno: 'EFAULT' } });
      expect(isSound(report)).toBe(true);
    }
  });

  it('[gic F-V13] restores nothing before the BASERs, loses what is pending if LPIs are enabled after, and does not mind an early GITS_CTLR', () => {
    expect(runMigration({ ...BASE, swap: ['restore-its', 'restore-its-tables'] })).toMatchObject({ outcome: 'migrated', lost: 2 * TICKER_VECTORS * BASE.devices });
    const late = runMigration({ ...BASE, swap: ['enable-lpis', 'restore-its', 'enable-lpis', 'restore-its-tables'] });
    expect([late.outcome, late.lost > 0, late.lost < late.pendingAtStop]).toEqual(['migrated', true, true]);
    expect(isSound(runMigration({ ...BASE, swap: ['restore-its-tables', 'enable-its'] }))).toBe(true);
  });

  it('[gic F-V14] loses what is on its way through an irqfd when the pending tables are saved', () => {
    expect(runMigration({ ...BASE, swap: ['drain-irqfds', 'save-pending-tables'] })).toMatchObject({ outcome: 'migrated', lost: 1, doubled: 0 });
  });

  it('[gic F-V15] [gic F-V16] delivers by software what could not be forwarded yet [gic G24]', () => {
    const unmapped = ['enable-its', 'restore-msix', 'restore-its-tables', 'restore-msix', 'restore-its', 'restore-msix'];
    for (const swap of [unmapped, ['enable-its', 'restore-msix']]) {
      // The vector that was masked at the stop is set up again when the guest unmasks it.
      expect(runMigration({ ...BASE, swap })).toMatchObject({ outcome: 'migrated', lost: 0, doubled: 0, forwardedAtEnd: BASE.devices });
    }
    expect(runMigration(BASE).forwardedAtEnd).toBe(TICKER_VECTORS * BASE.devices);
  });

  it('[gic F-V17] loses what a device raises that runs before its vectors are back', () => {
    expect(runMigration({ ...BASE, swap: ['restore-msix', 'run'] })).toMatchObject({ outcome: 'migrated', lost: 1 });
  });

  it('[gic F-V23] cannot restore an ITS whose guest runs', () => {
    expect(runMigration({ ...BASE, swap: ['restore-its-tables', 'run'] })).toMatchObject({ outcome: 'cancelled', failed: { phase: 'enable-its', errno: 'EBUSY' } });
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
