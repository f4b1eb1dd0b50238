/** The machines that the doctor is held to, and their texts with other options. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { computeIommuGroups, parseLspci } from '@vsim/vfio-pci';
import { describe, expect, it } from 'vitest';
import { DEGRADATIONS, withoutDevice } from './degradations.ts';
import { fieldMachines, groupsAmong, groupsOfLog } from './field-machines.ts';
import { blocksOf, textOfBlocks } from './lspci-blocks.ts';
import { fieldQuestions } from './questions.ts';
import { renderMachine } from './render.ts';
import { skeletonOf } from './skeleton.ts';
import { readRecording } from '../recorded-topology.ts';

const FOLDER = new URL('../../recordings/doctor/', import.meta.url);
const machines = fieldMachines();
const names = machines.map(({ name }) => name);
const machine = (name: string) => machines.find((each) => each.name === name)!;
const degraded = (name: string, of: string): string | undefined => DEGRADATIONS.find((each) => each.name === of)?.of(machine(name).text);

describe('the recordings of the doctor', () => {
  it('are told of, folder by folder, in their README', () => {
    const told = [...readFileSync(new URL('README.md', FOLDER), 'utf8').matchAll(/^\| `([^`]+)`/gm)].map(([, name]) => name!);
    const there = readdirSync(FOLDER, { withFileTypes: true }).filter((entry) => entry.isDirectory()).map(({ name }) => name);
    expect(told).toEqual(there.filter((name) => /^\d/.test(name)).sort());
  });

  it.each(readdirSync(FOLDER).filter((name) => existsSync(new URL(`${name}/truth.json.gz`, FOLDER)) && existsSync(new URL(`${name}/truth.dmesg.txt.gz`, FOLDER))))(
    '%s: its groups are those of its log',
    (name) => {
      const groups = Object.entries(JSON.parse(readRecording(`doctor/${name}/truth.json.gz`)) as Record<string, number>);
      expect(new Map(groups)).toEqual(new Map(groupsOfLog(readRecording(`doctor/${name}/truth.dmesg.txt.gz`))));
    },
  );
});

describe('the machines of threads and recordings', () => {
  it('have this many functions in this many groups', () => {
    const counts = machines.map(({ name, truth }) => `${name}: ${[...truth.values()].filter((group) => group !== undefined).length} in ${new Set([...truth.values()].filter((group) => group !== undefined)).size}`);
    expect(counts).toMatchInlineSnapshot(`
      [
        "02-hp-coffeelake: 34 in 27",
        "04-egpu-thunderbolt: 48 in 13",
        "07-t450s-plain-lspci: 15 in 12",
        "10-hp-alderlake-lspci-v: 30 in 22",
        "11-aer-lspci-vv-no-nn: 22 in 16",
        "12-ryzen-216865: 23 in 10",
        "13-z370-desktop: 20 in 14",
        "18-genoa-supermicro: 133 in 81",
        "38-surface-book2: 23 in 14",
        "17-x670e-board: 53 in 45",
        "19-sample-boards: 20 in 14",
        "21-x570-single-gpu: 45 in 32",
        "35-vga-passthrough-15: 4 in 2",
        "29-vmd-laptop: 5 in 2",
        "arm-smmuv3: 19 in 6",
        "conventional: 29 in 11",
        "desktop-intel: 24 in 15",
        "gpu-audio: 24 in 14",
        "mf-endpoints: 24 in 17",
        "mix-on: 28 in 19",
        "rciep: 21 in 14",
        "rootports: 20 in 13",
        "sriov-igb: 26 in 21",
        "switch-acsless: 23 in 11",
      ]
    `);
  });

  it.each(names)('%s: each function with a known group is in its text', (name) => {
    const there = blocksOf(machine(name).text).map(({ address }) => address);
    expect([...machine(name).truth.keys()].filter((address) => !there.includes(address))).toEqual([]);
  });

  it.each(names)('%s: the groups that the text tells are the kernel\'s', (name) => {
    const { text, truth } = machine(name);
    for (const { address, lines } of blocksOf(text)) {
      const told = /IOMMU group:? (\d+)/.exec(lines.join('\n'))?.[1];
      if (told !== undefined) expect([address, Number(told)]).toEqual([address, truth.get(address)]);
    }
  });

  it('have groups among some of their functions', () => {
    const truth = new Map([['a', 0], ['b', undefined], ['c', 1], ['d', 0]]);
    expect(groupsAmong(truth, new Set(['d', 'a', 'b']))).toEqual([['a', 'd']]);
  });
});

describe('a text with other options', () => {
  it('is the same text again where nothing is left out', () => {
    for (const name of ['04-egpu-thunderbolt', '38-surface-book2', 'mix-on']) {
      const blocks = blocksOf(machine(name).text);
      expect(blocksOf(textOfBlocks(blocks))).toEqual(blocks);
      expect(blocks.length).toBeGreaterThan(10);
    }
  });

  it.each([
    ['-nnv', '00:02.0 PCI bridge [0604]: Red Hat, Inc. QEMU PCIe Root port [1b36:000c] (prog-if 00 [Normal decode])'],
    ['-vv', '00:02.0 PCI bridge: Red Hat, Inc. QEMU PCIe Root port (prog-if 00 [Normal decode])'],
    ['-nnk', '00:02.0 PCI bridge [0604]: Red Hat, Inc. QEMU PCIe Root port [1b36:000c]'],
    ['-n', '00:02.0 0604: 1b36:000c'],
    ['plain', '00:02.0 PCI bridge: Red Hat, Inc. QEMU PCIe Root port'],
  ])('%s has headings as lspci prints them', (options, heading) => {
    expect(degraded('mix-on', options)!.split('\n').find((line) => line.startsWith('0000:00:02.0'))).toBe(`0000:${heading}`);
  });

  it('-v names the capabilities, without what is in them', () => {
    const block = blocksOf(degraded('mix-on', '-v')!).find(({ address }) => address === '0000:00:02.0')!;
    expect(block.lines).toMatchInlineSnapshot(`
      [
        "	Subsystem: Red Hat, Inc. Device 0000",
        "	Flags: bus master, fast devsel, latency 0, IRQ 22, IOMMU group 1",
        "	Memory at feb14000 (32-bit, non-prefetchable) [size=4K]",
        "	Bus: primary=00, secondary=01, subordinate=01, sec-latency=0",
        "	I/O behind bridge: e000-efff [size=4K] [16-bit]",
        "	Memory behind bridge: fe800000-fe9fffff [size=2M] [32-bit]",
        "	Prefetchable memory behind bridge: fca00000-fcbfffff [size=2M] [32-bit]",
        "	Capabilities: [54] Express Root Port (Slot+), MSI 00",
        "	Capabilities: [48] MSI-X: Enable+ Count=1 Masked-",
        "	Capabilities: [40] Subsystem: Red Hat, Inc. Device 0000",
        "	Capabilities: [100] Advanced Error Reporting",
        "	Capabilities: [148] Access Control Services",
        "	Kernel driver in use: pcieport",
      ]
    `);
  });

  it('without root has neither capabilities nor more than 64 bytes', () => {
    const block = blocksOf(degraded('mix-on', '-nnvvxxxx, not root')!).find(({ address }) => address === '0000:00:02.0')!;
    expect(block.rows).toHaveLength(4);
    expect(block.lines.slice(-3)).toMatchInlineSnapshot(`
      [
        "		PriDiscTmr- SecDiscTmr- DiscTmrStat- DiscTmrSERREn-",
        "	Capabilities: <access denied>",
        "	Kernel driver in use: pcieport",
      ]
    `);
  });

  it('without groups tells none', () => {
    for (const { name, of } of DEGRADATIONS) {
      if (name.endsWith('no groups')) for (const { text } of machines) expect(of(text) ?? '').not.toMatch(/IOMMU group/);
    }
    expect(degraded('10-hp-alderlake-lspci-v', '-v, no groups')).toContain('Flags: bus master, fast devsel, latency 0\n');
  });

  it('is only made of a text that shows as much', () => {
    expect(DEGRADATIONS.filter(({ of }) => of(machine('18-genoa-supermicro').text) !== undefined).map(({ name }) => name)).toEqual(['plain']);
    expect(DEGRADATIONS.filter(({ of }) => of(machine('10-hp-alderlake-lspci-v').text) !== undefined).map(({ name }) => name)).toMatchInlineSnapshot(`
      [
        "-v",
        "-v, not root",
        "-k",
        "plain",
        "-v, no groups",
        "-v, not root, no groups",
      ]
    `);
    expect(DEGRADATIONS.filter(({ of }) => of(machine('mix-on').text) === undefined)).toEqual([]);
  });

  it('has the same devices, of which one may be left out', () => {
    for (const { text } of machines) {
      const there = blocksOf(text).map(({ address }) => address);
      for (const { of } of DEGRADATIONS) {
        const less = of(text);
        if (less !== undefined) expect(blocksOf(less).map(({ address }) => address)).toEqual(there);
      }
      expect(blocksOf(withoutDevice(text, there[1]!)).map(({ address }) => address)).toEqual(there.filter((_, i) => i !== 1));
    }
  });

  it('of a recorded machine, decoded by root, tells the groups that its bytes tell', () => {
    const groups = (text: string) => computeIommuGroups(parseLspci(text).map(({ facts }) => facts)).map(({ devices }) => devices.join(' '));
    for (const name of ['mix-on', 'sriov-igb', 'switch-acsless']) expect(groups(degraded(name, '-nnvv')!)).toEqual(groups(machine(name).text));
  });
});

describe('facts, printed as lspci prints them', () => {
  const recorded = names.filter((name) => !/^\d/.test(name));

  it.each(recorded)('%s: are read back as they were', (name) => {
    const facts = parseLspci(machine(name).text).map((device) => device.facts);
    const printed = parseLspci(renderMachine(facts)).map((device) => device.facts);
    expect(printed).toEqual(facts.map((each) => ({ ...each, acs: each.acs && { ...each.acs, wide: each.acs.wide && { ...each.acs.wide } } })));
  });

  it.each(recorded)('%s: say with any options what the machine said with them', (name) => {
    const { text } = machine(name);
    const devices = parseLspci(text);
    const titles = new Map(devices.map(({ address, description }) => [address, description]));
    const capable = new Set(blocksOf(text).filter(({ lines }) => lines.some((line) => line.startsWith('\tCapabilities:'))).map(({ address }) => address));
    const printed = renderMachine(devices.map(({ facts }) => facts), { names: titles, capable });
    for (const { name: options, of } of DEGRADATIONS) {
      const less = of(printed);
      if (less !== undefined) expect([options, skeletonOf(less)]).toEqual([options, skeletonOf(of(text)!)]);
    }
  });

  it.each(recorded)('%s: have the same groups with all their bytes', (name) => {
    const facts = parseLspci(machine(name).text).map((device) => device.facts);
    const again = parseLspci(renderMachine(facts)).map((device) => device.facts);
    expect(computeIommuGroups(again)).toEqual(computeIommuGroups(facts));
  });

  it('compare as different where a fact differs, and only there', () => {
    const [bridge] = parseLspci(machine('mix-on').text).map(({ facts }) => facts).filter(({ secondaryBus, acs }) => secondaryBus !== undefined && acs !== undefined);
    const of = (facts: typeof bridge) => skeletonOf(renderMachine([facts!])).get(bridge!.address);
    const there = of(bridge);
    for (const change of [{ vendor: 0x8086 }, { device: 1 }, { class: 0x060000 }, { secondaryBus: 9 }, { expressType: 6 }, { expressType: undefined }, { acs: undefined }, { multifunctionBit: true }]) {
      expect([change, of({ ...bridge!, ...change }) === there]).toEqual([change, false]);
    }
    expect(of({ ...bridge! })).toBe(there);
  });
});

describe('questions that people asked', () => {
  const questions = fieldQuestions();

  it('are ten, each with words for what was asked and how it ended', () => {
    expect(questions).toHaveLength(10);
    for (const { question, ended, thread } of questions) expect([question, ended, thread].every((words) => words.length > 20)).toBe(true);
  });

  it.each(questions.map(({ name, device, text }) => [name, device, text] as const))('%s: the text has the device that is asked for', (_, device, text) => {
    expect(text).toContain(device?.replace(/^0000:/, '') ?? '');
    expect(text.length).toBeGreaterThan(100);
  });
});
