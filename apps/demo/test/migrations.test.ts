/** Migrations of the door `migrations`: each fault once, and the same seeds with each patch of the series left out. */
import { Random } from '@vsim/vfio-core';
import { describe, expect, it } from 'vitest';
import { PATCHES } from '../src/migrate/matrix.ts';
import { FAULTS, KINDS, type Fault } from './migration-faults.ts';
import { drawMigrations, type MigrationsInput } from './migration-inputs.ts';
import { runMigrations, type Verdict } from './migrations.ts';

const HOST = { gic: 'gicv4.1', preset: 'arm', coherent: false, listRegisters: 4 } as const;
const MIGRATION = { to: HOST, steps: 20, stop: 'piled', move: [0, 0, 1], disable: [0, 1], ticks: [], inFlight: true, held: false } as const;
const SEEDS = 16;

/** A migration with a fault, and then, of whoever runs, one without; the masks of the first are there when the second begins. */
function faulty(fault: Fault): MigrationsInput {
  return { seed: 3, devices: 2, vcpus: 2, rate: 50, instant: 40, from: HOST, migrations: [{ ...MIGRATION, fault, held: true }, { ...MIGRATION, fault: { kind: 'none' } }] };
}

/** The kinds of what a run has to complain of. */
function complaints({ lost, doubled, wrong }: Verdict): readonly string[] {
  return [...(lost.length > 0 ? ['lost'] : []), ...(doubled.length > 0 ? ['doubled'] : []), ...wrong.map((text) => text.replace(/^migration \d+: /, ''))];
}

/** What the seeds complain of without a patch, and how many of them do. */
function without(patch: string): ReadonlyMap<string, number> {
  const kinds = new Map<string, number>();
  const name = PATCHES[patch];
  for (let seed = 1; seed <= SEEDS; seed += 1) {
    const verdict = runMigrations(drawMigrations(new Random(seed)), name === undefined ? {} : { [name]: false });
    const kindsHere = complaints(verdict).map((text) => (text.startsWith('INTs') ? 'no INT' : text));
    for (const kind of new Set(kindsHere)) kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
  }
  return kinds;
}

describe('a migration with one fault', () => {
  for (const kind of ['none', ...KINDS]) {
    it(`${kind}: nothing is lost or doubled, one side runs with all of its devices, and can be migrated [gic I-14] [gic I-15]`, () => {
      for (const fault of FAULTS.filter((one) => one.kind === kind)) {
        const verdict = runMigrations(faulty(fault));
        const { counts } = verdict;
        expect([fault, complaints(verdict), counts.get(`fired ${kind}`)]).toEqual([fault, [], kind === 'none' ? undefined : 1]);
        expect(counts.get('in a VPT alone')).toBeGreaterThan(0);
      }
    });
  }
});

describe('the same seeds', () => {
  const EACCES = 'the outcome: expected migrated, got save-its-tables EACCES';

  it('lose and double nothing with all six patches', () => {
    expect([...without('none')]).toEqual([]);
  });

  for (const [patch, kinds] of Object.entries({ P1: ['lost'], P2: ['lost'], P3: ['lost'], P4: ['lost'], P5: ['doubled', 'lost', 'no INT'], P6: [EACCES] })) {
    it(`[gic 1.7/${patch.slice(1)}] without ${patch}: ${kinds.join(', ')}`, () => {
      const found = without(patch);
      console.log(`without ${patch}: ${kinds.map((kind) => `${kind} in ${found.get(kind) ?? 0}`).join(', ')} of ${SEEDS} seeds`);
      expect(kinds.filter((kind) => !found.has(kind))).toEqual([]);
    });
  }
});
