import { describe, expect, it } from 'vitest';
import { DEGRADATIONS } from './degradations.ts';
import { fieldMachines } from './field-machines.ts';
import { knowledge, knowledgeTable } from './knowledge.ts';
import { blocksOf } from './lspci-blocks.ts';

const machines = fieldMachines().filter(({ name }) => name === 'gpu-audio' || name === '35-vga-passthrough-15');
const silent = (text: string) => ({ groups: [], ungrouped: [], cannotTell: blocksOf(text).map(({ address }) => address) });

describe('knowledge', () => {
  it('asks of every machine with each of the options that its text has enough for', () => {
    const asked = new Map<string, number>();
    const rows = knowledge((text, options) => {
      asked.set(options, (asked.get(options) ?? 0) + 1);
      return silent(text);
    }, ['whole'], 1, machines);
    expect(rows.map(({ options, texts }) => [options, texts])).toEqual(DEGRADATIONS.map(({ name }) => [name, asked.get(name) ?? 0]));
    expect([asked.get('plain'), asked.get('-nnvv')]).toEqual([2, 1]);
    expect(rows.find(({ options }) => options === 'plain')?.score).toEqual({ functions: 28, known: 0, open: 28, wrong: [] });
  });

  it('asks of each function alone, and of the text without each', () => {
    const [less, alone] = (['one left out', 'one alone'] as const).map((part) => knowledge(silent, [part], 1, machines).find(({ options }) => options === 'plain')!);
    expect([less?.texts, less?.score.open]).toEqual([28, 4 * 3 + 24 * 23]);
    expect([alone?.texts, alone?.score.open]).toEqual([28, 28]);
  });

  it('names what is wrong by machine, options and part', () => {
    const rows = knowledge((text) => ({ groups: blocksOf(text).map(({ address }) => [address]), ungrouped: [], cannotTell: [] }), ['whole'], 1, machines);
    expect(rows.find(({ options }) => options === '-nn')?.score.wrong[0]).toBe('35-vga-passthrough-15 -nn, whole: 0000:00:01.0 is stated 0000:00:01.0: it was 0000:00:01.0 0000:01:00.0 0000:01:00.1');
  });

  it('is printed as a table for each part', () => {
    const rows = knowledge(silent, ['whole'], 1, machines).filter(({ options }) => options === 'plain');
    expect(knowledgeTable(rows)).toBe('## Whole\n\n| lspci | texts | functions | known | cannot tell | wrong | known of all |\n|---|---|---|---|---|---|---|\n| `plain` | 2 | 28 | 0 | 28 | 0 | 0% |\n');
  });
});
