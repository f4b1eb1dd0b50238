import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import type { ProfileName } from '@vsim/vfio-core';
import { describe, expect, it } from 'vitest';
import { parseLines, type Fields } from '../json.ts';
import type { CaseReport } from '../report.ts';
import { kvmItsFormat } from './format.ts';

/**
 * file, scenarios, steps, values compared, refusals: errnos, MSIs that are blocked, and commands that are ignored. Every file replays without divergence,
 * the whole RAM equal at each dump, and each refusal has exactly one reason.
 */
const FILES: readonly (readonly [name: string, cases: number, steps: number, compared: number, refused: number])[] = [
  ['identity', 16, 610, 8097, 329],
  ['scenario', 52, 2733, 3386, 113],
  ['restore', 28, 2731, 3710, 72],
  ['errors', 51, 3637, 4771, 262],
  ['reset', 4, 238, 311, 2],
  ['vcpu', 4, 167, 264, 0],
  ['dirtylog', 2, 168, 223, 0],
  ['random_clean', 90, 18008, 20683, 4543],
  ['random_errors', 107, 20565, 23639, 5597],
  ['random_nasty', 79, 16645, 18832, 5560],
  ['other-kernels/5.10.223-differs', 88, 10053, 12681, 1632],
  ['other-kernels/6.12.107-differs', 29, 5866, 6818, 1375],
  ['other-kernels/7.3.4-differs', 54, 10392, 11832, 3442],
  ['late/6.1.192', 23, 1673, 2088, 109],
  ['late/6.12.107', 18, 1215, 1509, 90],
  ['late/6.12.117', 23, 1673, 2098, 112],
  ['late/7.3.4', 23, 1673, 2098, 115],
];

function replay(name: string, profile?: ProfileName): readonly CaseReport[] {
  return [...kvmItsFormat.run(linesOf(name), { profile })];
}

function linesOf(name: string): readonly Fields[] {
  const path = new URL(`../../recordings/kvm-its/${name}.jsonl.gz`, import.meta.url);
  return parseLines(`${name}.jsonl.gz`, gunzipSync(readFileSync(path)).toString('utf8'));
}

const sum = (reports: readonly CaseReport[], of: (report: CaseReport) => number): number =>
  reports.reduce((total, report) => total + of(report), 0);

const told = new Set<string>();

describe('recordings of KVM', () => {
  it.each(FILES)('%s: %d scenarios, no divergence', (name, cases, steps, compared, refused) => {
    const reports = replay(name);
    expect(reports.flatMap((report) => report.divergences)).toEqual([]);
    expect({
      cases: reports.length,
      steps: sum(reports, (report) => report.steps),
      compared: sum(reports, (report) => report.compared),
      refused: sum(reports, (report) => report.refused),
    }).toEqual({ cases, steps, compared, refused });
    expect(reports.flatMap(({ untold }) => [...untold])).toEqual([]);
    for (const { reasons } of reports) for (const id of reasons) told.add(id);
  });

  it('that much of what a guest and a VMM get wrong is in them', () => {
    expect([...told].sort()).toMatchInlineSnapshot(`
      [
        "kvm-its/collection",
        "kvm-its/collection-range",
        "kvm-its/command-unknown",
        "kvm-its/cte",
        "kvm-its/device",
        "kvm-its/device-range",
        "kvm-its/dte",
        "kvm-its/entry-unreadable",
        "kvm-its/entry-unwritable",
        "kvm-its/event-range",
        "kvm-its/event-taken",
        "kvm-its/ite",
        "kvm-its/itt-size",
        "kvm-its/lpi-range",
        "kvm-its/lpi-taken",
        "kvm-its/lpi-unreadable",
        "kvm-its/lpis-off",
        "kvm-its/off",
        "kvm-its/unmapped",
        "kvm-its/vcpu",
        "kvm-vgic/address",
        "kvm-vgic/attribute-memory",
        "kvm-vgic/attribute-unknown",
        "kvm-vgic/maint-irq",
        "kvm-vgic/no-address",
        "kvm-vgic/no-register",
        "kvm-vgic/not-initialised",
        "kvm-vgic/pending-table",
        "kvm-vgic/register-value",
        "kvm-vgic/vcpu-runs",
        "kvm/msi-address",
        "kvm/msi-refused",
        "kvm/vgic-exists",
      ]
    `);
  });

  it.each([
    ['7.3.4', 'linux-6.12.117', 10],
    ['6.12.117', 'linux-6.12', 8],
    ['6.12.117', 'linux-6.1', 7],
    ['6.12.107', 'linux-6.1', 1],
  ] as const)('what is new in %s is not what %s does: %i scenarios differ', (name, profile, differ) => {
    expect(replay(`late/${name}`, profile).filter(({ divergences }) => divergences.length > 0)).toHaveLength(differ);
  });

  it.each([
    ['late/6.12.117', 'linux-6.12.117'],
    ['late/6.12.107', 'linux-6.12'],
    ['late/6.1.192', 'linux-6.1'],
    ['other-kernels/5.10.223-differs', 'linux-5.10'],
    ['other-kernels/7.3.4-differs', 'linux-7.3'],
  ])('%s is replayed as %s', (name, profile) => {
    expect(kvmItsFormat.profileOf(linesOf(name)[0]!)).toBe(profile);
  });

  it('a kernel that is none of those recorded is an error, not the nearest', () => {
    const text = gunzipSync(readFileSync(new URL('../../recordings/kvm-its/late/6.12.117.jsonl.gz', import.meta.url))).toString('utf8');
    const other = parseLines('x.jsonl', text.replace('Debian 6.12.117-1', 'Debian 6.12.110-1'));
    const known = '5.10.223, 6.1.192, 6.12.107, 6.12.117, 7.3.4';
    expect(() => [...kvmItsFormat.run(other, {})]).toThrow(`x.jsonl:1: "version": expected a kernel that is known (${known}), or --profile, for 6.12.110`);
    expect([...kvmItsFormat.run(other, { profile: 'linux-6.12.117', casePrefix: 'maint' })].flatMap(({ divergences }) => divergences)).toEqual([]);
    const unnamed = parseLines('late.jsonl', text.slice(text.indexOf('\n') + 1));
    expect(() => kvmItsFormat.profileOf(unnamed[0]!)).toThrow('or --profile, for late.jsonl');
  });
});
