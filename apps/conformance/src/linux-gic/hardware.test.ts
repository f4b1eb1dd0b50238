import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import type { Memory } from '@vsim/vfio-core';
import { describe, expect, it } from 'vitest';
import { Fields, parseLines, type Json } from '../json.ts';
import type { CaseReport } from '../report.ts';
import { linuxGicFormat, replayHardware } from './hardware.ts';
import { LocalGic } from './local-gic.ts';

/** file, scenarios, accesses, values compared, values relaxed */
const FILES: readonly (readonly [name: string, cases: number, steps: number, compared: number, relaxed: number])[] = [
  ['linux61-gicv41', 48, 27717, 92621, 10],
  ['linux61-gicv4', 48, 51250, 165719, 10],
];

function linesOf(name: string): Fields[] {
  const path = new URL(`../../recordings/linux-gic/${name}.jsonl.gz`, import.meta.url);
  return parseLines(`${name}.jsonl.gz`, gunzipSync(readFileSync(path)).toString('utf8'));
}

const replay = (lines: readonly Fields[]): readonly CaseReport[] => [...linuxGicFormat.run(lines, {})];
const sum = (reports: readonly CaseReport[], of: (report: CaseReport) => number): number => reports.reduce((total, report) => total + of(report), 0);

describe('recordings of an unmodified Linux on the GIC [H1] [H3] [H4] [H5] [H6]', () => {
  it.each(FILES)('%s: %d scenarios, no divergence', (name, cases, steps, compared, relaxed) => {
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

describe('how the model moves bytes', () => {
  /** The same memory, which moves `piece` bytes at once: one by one, or blocks of which a part is wanted. */
  function inPieces(memory: Memory, piece: number): Memory {
    const block = new Uint8Array(piece);
    const read8 = (address: number): number => {
      const start = address - (address % piece);
      memory.readBytes(start, block);
      return block[address - start]!;
    };
    const write8 = (address: number, value: number): void => {
      const start = address - (address % piece);
      memory.readBytes(start, block);
      block[address - start] = value;
      memory.writeBytes(start, block);
    };
    const read = (address: number, length: number): number => Array.from({ length }, (_, i) => read8(address + i) * 2 ** (8 * i)).reduce((a, b) => a + b);
    const write = (address: number, length: number, value: number): void => {
      for (let i = 0; i < length; i += 1) write8(address + i, (value >>> (8 * i)) & 0xff);
    };
    return {
      accessible: (address, length) => memory.accessible(address, length),
      read8,
      read16: (address) => read(address, 2),
      read32: (address) => read(address, 4),
      write8,
      write16: (address, value) => write(address, 2, value),
      write32: (address, value) => write(address, 4, value),
      readBytes: (address, into) => into.forEach((_, i) => (into[i] = read8(address + i))),
      writeBytes: (address, from) => from.forEach((byte, i) => write8(address + i, byte)),
    };
  }

  it.each([1, 4, 64])('is its own affair: %d at once', (piece) => {
    const reports = [...replayHardware(linesOf('linux61-gicv41').slice(0, 12_000), (recorded) => new LocalGic(recorded, inPieces(recorded.ram, piece)))];
    expect(reports.flatMap((report) => report.divergences)).toEqual([]);
  });

  it('what it writes beyond the recording is a difference', () => {
    const reports = [
      ...replayHardware(linesOf('linux61-gicv41').slice(0, 7000), (recorded) => {
        const { ram } = recorded;
        const write32 = (address: number, value: number): void => {
          ram.write32(address, value);
          ram.write8(address + 100, 0x5a);
        };
        return new LocalGic(recorded, { ...inPieces(ram, 1), write32 });
      }),
    ];
    expect(new Set(reports.flatMap((report) => report.divergences).map(({ field }) => field))).toContain('ram');
  });
});

describe('a recording with one wrong value', () => {
  const lines = linesOf('linux61-gicv41').slice(0, 4000);
  const fields = (line: Fields): Record<string, Json> => Object.fromEntries(line.keys.map((key) => [key, line.raw(key) ?? null]));
  /** Fields that differ when the first line that `wanted` picks is changed. */
  const spoiled = (wanted: (line: Fields) => boolean, change: (of: Record<string, Json>) => Record<string, Json>): string[] => {
    const at = lines.findIndex(wanted);
    const wrong = new Fields('spoiled', at, change(fields(lines[at]!)));
    const reports = replay([...lines.slice(0, at), wrong, ...lines.slice(at + 1)]);
    return reports.flatMap(({ divergences }) => divergences.map(({ field }) => field));
  };
  const did = (text: string) => (line: Fields): boolean => line.has('m') && JSON.stringify(line.raw('m')).includes(text);

  it.each<[string, (line: Fields) => boolean, (of: Record<string, Json>) => Record<string, Json>, string]>([
    ['read', (line) => line.string('k') === 'r' && line.has('v'), (of) => ({ ...of, v: '0x1234' }), 'value'],
    ['register', (line) => line.string('k') === 'sr' && line.string('g') === 'ICC_IAR1_EL1', (of) => ({ ...of, v: '0x1f' }), 'ICC_IAR1_EL1'],
    ['byte in RAM', did('["w"'), (of) => ({ ...of, m: JSON.parse(JSON.stringify(of['m']).replace(/\["w","(0x[0-9a-f]+)",(\d+),"[^"]*"\]/, '["w","$1",1,"99"]')) as Json }), 'ram'],
    ['event', did('gic/command'), (of) => ({ ...of, m: JSON.parse(JSON.stringify(of['m']).replace(/its 0: [A-Z]+/, 'its 0: NOTHING')) as Json }), 'events'],
    ['line', (line) => line.has('l') && line.string('k') === 'sr', (of) => ({ ...of, l: '0x1' }), 'lines'],
    ['surplus key', (line) => line.string('k') === 'w', (of) => ({ ...of, surplus: 1 }), 'surplus'],
  ])('%s is noticed', (_, wanted, change, field) => {
    expect(spoiled(wanted, change)).toContain(field);
  });

  it('a command that RAM held otherwise is another command', () => {
    const change = (of: Record<string, Json>): Record<string, Json> => ({ ...of, m: JSON.parse(JSON.stringify(of['m']).replace(/\["r","(0x[0-9a-f]+)",(\d+),"[0-9a-f]{2}/, '["r","$1",$2,"05')) as Json });
    expect(spoiled(did('gic/command'), change)).toContain('events');
  });
});
