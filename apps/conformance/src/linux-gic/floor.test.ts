import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { MalformedRecording } from '../json.ts';
import type { CaseReport } from '../report.ts';
import { floorProfileOf, replayFloor } from './floor.ts';

/** file, fields compared, values relaxed by rule: ITTs, waits, threads, handlers, exits */
const FILES: readonly (readonly [name: string, compared: number, itts: number, waits: number, threads: number, handlers: number, exits: number])[] = [
  ['linux510-gicv41', 10093, 60, 71, 6, 0, 6],
  ['linux61-gicv3', 4142, 60, 70, 0, 1, 6],
  ['linux61-gicv4', 8294, 60, 69, 6, 0, 8],
  ['linux61-gicv41', 12621, 60, 77, 7, 0, 8],
  ['linux73-gicv41', 12568, 3, 77, 19, 0, 16],
];

const textOf = (name: string): string => gunzipSync(readFileSync(new URL(`../../recordings/linux-gic/${name}.commands.txt.gz`, import.meta.url))).toString('utf8');
const replay = (name: string, text: string): readonly CaseReport[] => [...replayFloor(`${name}.commands.txt`, text, {})];
const relaxed = (reports: readonly CaseReport[], rule: string): number => reports.reduce((sum, report) => sum + (report.relaxed.get(rule) ?? 0), 0);

describe('what Linux writes to the GIC [D1] [D2] [D4] [D5] [D8] [D9] [D11]', () => {
  it.each(FILES)('%s: 47 scenarios to the last field', (name, compared, itts, waits, threads, handlers, exits) => {
    const reports = replay(name, textOf(name));
    expect(reports.flatMap(({ divergences }) => divergences)).toEqual([]);
    expect(reports.length).toBe(47);
    expect(reports.reduce((sum, report) => sum + report.compared, 0)).toBe(compared);
    expect(['itt-address', 'time-left', 'threads', 'late-handler', 'host-exit'].map((rule) => relaxed(reports, rule))).toEqual([itts, waits, threads, handlers, exits]);
  });
});

describe('a recording of commands with one line that is wrong', () => {
  const text = textOf('linux61-gicv41');
  const divergences = (from: string, to: string): readonly string[] => {
    expect(text).toContain(from);
    return replay('linux61-gicv41', text.replace(from, to)).flatMap((report) => report.divergences.map(({ expected, actual }) => `${expected}: ${actual}`));
  };

  it.each([
    ['a field', 'VMAPTI dev0 ev=0 vpe0 vintid=8195 db=1023', 'VMAPTI dev0 ev=0 vpe0 vintid=8196 db=1023', 'vintid=8196: vintid=8195'],
    ['flags of VPENDBASER', 'Doorbell|vGrp1En', 'Doorbell|PendingLast|vGrp1En', 'Doorbell|PendingLast|vGrp1En: Doorbell|vGrp1En'],
    ['a command that is not sent', '  DISCARD dev0 ev=0\n', '  INV dev0 ev=0\n  DISCARD dev0 ev=0\n', 'INV dev0 ev=0: '],
    ['a command that is sent besides', '  VINVALL vpe0\n', '', ': VINVALL vpe0'],
    ['what a guest reads', 'iar1(0x0)=0x2003', 'iar1(0x0)=0x2013', 'iar1=0x2013: iar1=0x2003'],
    ['a saved bit', 'save pending tables: 0: vcpu0/lpi8195=1', 'save pending tables: 0: vcpu0/lpi8195=0', 'vcpu0/lpi8195=0: vcpu0/lpi8195=1'],
    // In windows of several threads.
    ['a field among threads', 'VSYNC vpe0\n  GICR0 VPENDBASER vpe0 Valid|vGrp1En\n  GITS_SGIR sgi=7', 'VSYNC vpe0\n  GICR0 VPENDBASER vpe0 Valid\n  GITS_SGIR sgi=7', 'Valid: Valid|vGrp1En'],
  ])('%s is told', (_what, from, to, told) => {
    expect(divergences(from, to)).toContain(told);
  });

  it('what the replayer does not know is not executed, and nothing is thrown', () => {
    for (const to of ['> run vcpu 7 on cpu 1', '> forward edu 9', '> vm create 99', '> guest its: VMAPP']) {
      const report = replay('linux61-gicv41', text.replace('> run vcpu 0 on cpu 1', to))[1]!;
      expect(report.divergences.map(({ field }) => field)).toContain('step');
    }
    expect(() => replay('linux61-gicv41', 'VSYNC vpe0\n')).toThrow(MalformedRecording);
    expect(() => floorProfileOf('linux99-gicv41.commands.txt')).toThrow(MalformedRecording);
  });
});
