import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { parseLines, type Fields } from '../json.ts';
import type { CaseReport } from '../report.ts';
import { qemuGicFormat } from './format.ts';

/** file, cases, steps, values compared, values relaxed. Every file replays without divergence. */
const FILES: readonly (readonly [name: string, cases: number, steps: number, compared: number, relaxed: number])[] = [
  ['registers-gicv3', 51, 1022, 1588, 53],
  ['registers-gicv4', 55, 1103, 1735, 45],
  ['physical-gicv3', 66, 2144, 3087, 30],
  ['physical-gicv4', 72, 2461, 3495, 32],
  ['virtual-gicv4', 54, 2112, 3393, 3],
  ['cpuif-gicv3', 15, 489, 610, 0],
  ['cpuif-gicv4', 23, 847, 1057, 0],
  ['random-legal-gicv3', 38, 4462, 10236, 0],
  ['random-legal-gicv4', 64, 11057, 31533, 0],
  ['random-wild-gicv3', 36, 4241, 9772, 62],
  ['random-wild-gicv4', 53, 9239, 26651, 68],
  ['random-cpu-gicv3', 30, 4822, 10162, 0],
  ['random-cpu-gicv4', 49, 11201, 26830, 0],
];

function linesOf(name: string): Fields[] {
  const path = new URL(`../../recordings/qemu-gic/${name}.jsonl.gz`, import.meta.url);
  return parseLines(`${name}.jsonl.gz`, gunzipSync(readFileSync(path)).toString('utf8'));
}

function replay(lines: readonly Fields[]): readonly CaseReport[] {
  return [...qemuGicFormat.run(lines, {})];
}

const sum = (reports: readonly CaseReport[], of: (report: CaseReport) => number): number =>
  reports.reduce((total, report) => total + of(report), 0);

describe('recordings of QEMU 11.1', () => {
  it.each(FILES)('%s: %d cases, no divergence', (name, cases, steps, compared, relaxed) => {
    const reports = replay(linesOf(name));
    expect(reports.flatMap((report) => report.divergences)).toEqual([]);
    expect({
      cases: reports.length,
      steps: sum(reports, (report) => report.steps),
      compared: sum(reports, (report) => report.compared),
      relaxed: sum(reports, (report) => [...report.relaxed.values()].reduce((a, b) => a + b, 0)),
    }).toEqual({ cases, steps, compared, relaxed });
  });
});

describe('the commands of the first slice', () => {
  const SLICE = new Set(['MAPD', 'MAPC', 'MAPTI', 'INT', 'SYNC', 'VMAPP', 'VMAPTI', 'VSYNC', 'INV']);

  it('are all that 40 cases of physical-gicv3 use, and these do not diverge', () => {
    const lines = linesOf('physical-gicv3');
    const inScope = lines.filter((line) => line.string('type') === 'machine' || commandsOf(line).every((name) => SLICE.has(name)));
    const reports = replay(inScope);
    expect(reports.length).toBe(40);
    expect(reports.every((report) => report.divergences.length === 0)).toBe(true);
  });
});

/** Names of the commands that a case writes to a queue. */
function commandsOf(line: Fields): string[] {
  const names: string[] = [];
  for (const step of line.objects('steps')) {
    if (step.has('cmds')) for (const text of step.list('cmds')) names.push(JSON.stringify(text).slice(1).split(' ')[0]!);
  }
  return names;
}
