import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { parseLines } from '../json.ts';
import type { CaseReport } from '../report.ts';
import { kvmItsFormat } from './format.ts';

/** file, scenarios, steps, values compared. Every file replays without divergence, the whole RAM equal at each dump. */
const FILES: readonly (readonly [name: string, cases: number, steps: number, compared: number])[] = [
  ['identity', 16, 610, 8097],
  ['scenario', 52, 2733, 3386],
  ['restore', 28, 2731, 3710],
  ['errors', 51, 3637, 4771],
  ['reset', 4, 238, 311],
  ['vcpu', 4, 167, 264],
  ['dirtylog', 2, 168, 223],
  ['random_clean', 90, 18008, 20683],
  ['random_errors', 107, 20565, 23639],
  ['random_nasty', 79, 16645, 18832],
  ['other-kernels/5.10.223-differs', 88, 10053, 12681],
  ['other-kernels/6.12.107-differs', 29, 5866, 6818],
];

function replay(name: string): readonly CaseReport[] {
  const path = new URL(`../../recordings/kvm-its/${name}.jsonl.gz`, import.meta.url);
  const lines = parseLines(`${name}.jsonl.gz`, gunzipSync(readFileSync(path)).toString('utf8'));
  return [...kvmItsFormat.run(lines, {})];
}

const sum = (reports: readonly CaseReport[], of: (report: CaseReport) => number): number =>
  reports.reduce((total, report) => total + of(report), 0);

describe('recordings of KVM', () => {
  it.each(FILES)('%s: %d scenarios, no divergence', (name, cases, steps, compared) => {
    const reports = replay(name);
    expect(reports.flatMap((report) => report.divergences)).toEqual([]);
    expect({
      cases: reports.length,
      steps: sum(reports, (report) => report.steps),
      compared: sum(reports, (report) => report.compared),
    }).toEqual({ cases, steps, compared });
  });
});
