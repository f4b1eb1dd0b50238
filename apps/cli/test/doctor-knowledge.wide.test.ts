/**
 * The doctor never states a group that the kernel did not make, and proves what it leaves open: every machine whose groups are known, with every
 * option of lspci, and machines that might be.
 */
import { readFileSync } from 'node:fs';
import { DEGRADATIONS, fieldMachines, knowledge, knowledgeTable, randomOf, score, unproved, variantOf } from '@vsim/conformance/doctor';
import { examine, readPaste } from '@vsim/doctor';
import { parseLspci } from '@vsim/vfio-pci';
import { describe, expect, it } from 'vitest';
import { forSeeds } from '../../../testing/random.ts';
import { PAGE, knownInPage } from './doctor-knowledge.ts';
import { ask, knownOf } from './doctor-said.ts';

const machines = fieldMachines();
const recorded = machines.filter(({ name }) => !/^\d/.test(name)).map(({ name, text }) => [name, parseLspci(text).map(({ facts }) => facts)] as const);

describe('what the doctor says of a text', () => {
  const rows = knowledge(ask, ['whole']);

  it('is never wrong', () => {
    expect(rows.flatMap(({ score: { wrong } }) => wrong)).toEqual([]);
  });

  it('is as much as docs/doctor-knowledge.md says: npm run doctor-knowledge writes it', () => {
    const page = readFileSync(PAGE, 'utf8');
    expect(rows.filter(({ part, options, score: { known } }) => known < (knownInPage(page).get(`${part}: ${options}`) ?? Infinity)).map(({ options }) => options)).toEqual([]);
    expect(page).toContain(knowledgeTable(rows));
  });

  it.each(machines.map(({ name, text }) => [name, text] as const))('%s: is left open with two machines that print the text and have other groups', (name, whole) => {
    for (const { name: options, of } of DEGRADATIONS) {
      const text = of(whole);
      if (text === undefined) continue;
      const { open, completions } = knownOf(text);
      expect([name, options, unproved(text, options, open.map(({ device }) => device), completions.map(({ facts }) => facts))]).toEqual([name, options, []]);
    }
  });

  it.each(recorded)('%s: is right of machines like it, too', (name, facts) => {
    forSeeds((seed) => {
      const machine = variantOf(name, facts, randomOf(seed));
      for (const { name: options, of } of DEGRADATIONS) {
        const text = of(machine.text);
        if (text !== undefined) expect([options, score(text, machine.truth, ask(text, options)).wrong]).toEqual([options, []]);
      }
    }, 0.03);
  });

  it('is what a report says', () => {
    for (const name of ['mix-on', '35-vga-passthrough-15', '38-surface-book2']) {
      const text = DEGRADATIONS.find((each) => each.name === 'plain')!.of(machines.find((each) => each.name === name)!.text)!;
      const { groups, ungrouped, cannotTell } = examine(readPaste(text));
      expect({ groups: groups.map(({ devices }) => devices), ungrouped: ungrouped.map(({ device }) => device), cannotTell: cannotTell.map(({ device }) => device) }).toEqual(ask(text, 'plain'));
    }
  });
});
