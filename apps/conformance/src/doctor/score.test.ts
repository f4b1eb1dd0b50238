/** What finds a wrong doctor out: it has to be right itself. */
import { computeIommuGroups, parseLspci, type PciFacts } from '@vsim/vfio-pci';
import { describe, expect, it } from 'vitest';
import { DEGRADATIONS, withoutDevice } from './degradations.ts';
import { fieldMachines, groupsAmong, type FieldMachine } from './field-machines.ts';
import { kernelGroups, misfits } from './fits.ts';
import { blocksOf } from './lspci-blocks.ts';
import { unproved } from './prove.ts';
import { score, type Said } from './score.ts';
import { randomOf, variantOf } from './variants.ts';

const machines = fieldMachines();
const recorded = machines.filter(({ name }) => !/^\d/.test(name));
const truthOf = ({ text, truth }: FieldMachine): Said => {
  const there = blocksOf(text).map(({ address }) => address);
  return { groups: groupsAmong(truth, new Set(there)), ungrouped: there.filter((address) => truth.has(address) && truth.get(address) === undefined), cannotTell: [] };
};

describe('score', () => {
  it.each(machines.map((machine) => [machine.name, machine] as const))('%s: who says what is true is never wrong', (_, machine) => {
    const { functions, known, open, wrong } = score(machine.text, machine.truth, truthOf(machine));
    expect([known, open, wrong]).toEqual([functions, 0, []]);
    expect(functions).toBe(machine.truth.size);
  });

  const machine = machines.find(({ name }) => name === 'mix-on')!;
  const said = truthOf(machine);
  const all = said.groups.flat();
  const first = said.groups.find((members) => members.length > 1)!;

  it('who leaves all open knows nothing, and is not wrong', () => {
    expect(score(machine.text, machine.truth, { groups: [], ungrouped: [], cannotTell: all })).toEqual({ functions: all.length, known: 0, open: all.length, wrong: [] });
  });

  it.each([
    ['merges two groups', { ...said, groups: [said.groups.slice(0, 2).flat(), ...said.groups.slice(2)] }],
    ['splits a group', { ...said, groups: [...said.groups.filter((members) => members !== first), first.slice(0, 1), first.slice(1)] }],
    ['leaves a function out', { ...said, groups: said.groups.slice(1) }],
    ['says of a grouped function that it has no group', { ...said, groups: said.groups.slice(1), ungrouped: said.groups[0]! }],
    ['states what it cannot tell', { ...said, cannotTell: said.groups[0]! }],
    ['states a function twice', { ...said, groups: [...said.groups, said.groups[0]!] }],
    ['leaves a member open and states the rest', { ...said, groups: said.groups.map((members) => (members === first ? first.slice(1) : members)), cannotTell: first.slice(0, 1) }],
  ])('who %s is wrong', (_, claim) => {
    expect(score(machine.text, machine.truth, claim).wrong).not.toEqual([]);
  });

  it('takes groups for what the text shows of them', () => {
    const text = withoutDevice(machine.text, first[0]!);
    const groups = said.groups.map((members) => members.filter((address) => address !== first[0]));
    expect(score(text, machine.truth, { ...said, groups }).wrong).toEqual([]);
    expect(score(text, machine.truth, said).wrong).toEqual([]);
  });
});

describe('a machine that a text may be of', () => {
  const factsOf = ({ text }: FieldMachine): readonly PciFacts[] => parseLspci(text).map(({ facts }) => facts);

  it.each(recorded.map((machine) => [machine.name, machine] as const))('%s: its own, with any options', (_, machine) => {
    for (const { name, of } of DEGRADATIONS) {
      const text = of(machine.text);
      if (text !== undefined) expect([name, misfits(text, name, factsOf(machine))]).toEqual([name, []]);
    }
  });

  const machine = recorded.find(({ name }) => name === 'mix-on')!;
  const facts = factsOf(machine);
  const bridge = facts.find(({ secondaryBus, acs }) => secondaryBus !== undefined && acs !== undefined)!;
  const textOf = (options: string): string => DEGRADATIONS.find(({ name }) => name === options)!.of(machine.text)!;
  const changed = (change: Partial<PciFacts>): readonly PciFacts[] => facts.map((each) => (each === bridge ? { ...each, ...change } : each));

  it.each([
    ['another ACS, by name', '-v', changed({ acs: { capability: 0, control: 0 } }), true],
    ['another ACS, decoded', '-nnvv', changed({ acs: { capability: 0, control: 0 } }), false],
    ['no ACS, by name', '-v', changed({ acs: undefined }), false],
    ['no ACS, without root', '-nnvv, not root', changed({ acs: undefined }), true],
    ['another bus, by name', '-v', changed({ secondaryBus: 0x77 }), false],
    ['another bus, in a list', '-nn', changed({ secondaryBus: 0x77 }), true],
    ['another id, in a list', '-nn', changed({ device: 1 }), false],
    ['another vendor, by its name', 'plain', changed({ vendor: 0x8086 }), false],
    ['a function less', 'plain', facts.slice(1), false],
    ['a function more', 'plain', [...facts, { ...bridge, address: '0000:00:17.0', secondaryBus: undefined }], false],
  ])('%s: %s', (_, options, world, fits) => {
    expect(misfits(textOf(options), options, world).length === 0).toBe(fits);
  });

  it('has a bridge more where nothing in the text leads to a bus', () => {
    const text = withoutDevice(textOf('-nnvv'), bridge.address);
    expect(misfits(text, '-nnvv', facts)).toEqual([]);
    expect(misfits(text, '-nnvv', changed({ acs: undefined }))).toEqual([]);
    expect(misfits(text, '-nnvv', changed({ secondaryBus: 0x77 }))).not.toEqual([]);
  });

  it.each(recorded.map((each) => [each.name, each] as const))('%s: its groups are the kernel\'s', (_, { text, truth }) => {
    const grouped = new Set([...truth.keys()]);
    const lines = kernelGroups(parseLspci(text).map((device) => device.facts), grouped);
    expect([...new Set(lines.values())].sort()).toEqual(groupsAmong(truth, grouped).map((members) => members.join(' ')).sort());
    expect(computeIommuGroups(parseLspci(text).map((device) => device.facts)).length).toBeGreaterThanOrEqual(new Set(truth.values()).size);
  });
});

describe('a proof that a text cannot tell', () => {
  const machine = recorded.find(({ name }) => name === 'rootports')!;
  const facts = parseLspci(machine.text).map((device) => device.facts);
  const text = DEGRADATIONS.find(({ name }) => name === '-nn')!.of(machine.text)!;
  const without = facts.map((each) => ({ ...each, acs: undefined }));
  const groups = kernelGroups(facts, new Set(facts.map(({ address }) => address)));
  const differs = [...kernelGroups(without, new Set(groups.keys()))].filter(([address, group]) => groups.get(address) !== group).map(([address]) => address);

  it('is two machines with different groups', () => {
    expect(differs.length).toBeGreaterThan(2);
    expect(unproved(text, '-nn', differs, [facts, without])).toEqual([]);
  });

  it.each([
    ['one machine twice', [facts, facts]],
    ['no machine', []],
    ['a second machine that the text is not of', [facts, without.map((each) => ({ ...each, device: 1 }))]],
  ])('is not %s', (_, worlds) => {
    expect(unproved(text, '-nn', differs, worlds)).toHaveLength(differs.length);
  });

  it('is none of a function whose group is the same in both', () => {
    const same = [...groups.keys()].filter((address) => !differs.includes(address)).slice(0, 1);
    expect(unproved(text, '-nn', same, [facts, without])).toHaveLength(1);
  });
});

describe('a machine that might be', () => {
  const facts = new Map(recorded.map((machine) => [machine.name, parseLspci(machine.text).map((device) => device.facts)]));
  const variants = [...facts].flatMap(([name, each]) => [1, 2, 3].map((seed) => variantOf(`${name} ${seed}`, each, randomOf(seed))));

  it('is the same again with the same seed, and another with another', () => {
    const [name, each] = [...facts][0]!;
    expect(variantOf(name, each, randomOf(1))).toEqual(variantOf(name, each, randomOf(1)));
    expect(variantOf(name, each, randomOf(1)).text).not.toBe(variantOf(name, each, randomOf(2)).text);
  });

  it.each(variants.map((variant) => [variant.name, variant] as const))('%s: is read back from its text as it is', (_, { world, text }) => {
    const address = (a: PciFacts, b: PciFacts): number => (a.address < b.address ? -1 : 1);
    expect(parseLspci(text).map((device) => device.facts).sort(address)).toEqual([...world].sort(address));
  });

  it('is of many kinds: small groups and large ones, with and without ACS, with ids that rules name', () => {
    const sizes = variants.map(({ truth }) => groupsAmong(truth, new Set(truth.keys())).map((members) => members.length));
    expect(Math.max(...sizes.flat())).toBeGreaterThan(8);
    expect(new Set(sizes.map((each) => each.length)).size).toBeGreaterThan(8);
    expect(variants.filter(({ text }) => !text.includes('Access Control Services'))).toEqual([]);
  });
});
