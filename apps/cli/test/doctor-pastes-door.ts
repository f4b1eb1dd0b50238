/** The door of the doctor for fuzzers: changed texts of real machines. */
import { readdirSync } from 'node:fs';
import { readRecording, topologyNames, topologyText } from '@vsim/conformance';
import { answerLines, devicesFor, devicesOf, everythingLines, examine, readPaste, summaryLines, treeLines, type DoctorOptions, type DoctorReport, type Paste, type WhatIf } from '@vsim/doctor';
import type { Random } from '@vsim/vfio-core';
import { bounded } from '../../../testing/cost.ts';
import { pick, same, type Depth, type Door, type Figures, type Report, type World } from '../../../testing/fuzz.ts';
import { excerpt, mutated } from './paste-mutations.ts';

/** Of a text no more devices than these are taken, but for one in so many inputs. */
const MOST_DEVICES = 16;
const WHOLE_ONE_IN = 40;
/** CPU time that no text may take, in ms: of a soak alone, where nothing else runs. */
const MOST_MS = 1000;
const SLOW = `took more than ${MOST_MS} ms of CPU time`;

const KERNELS: readonly DoctorOptions['kernel'][] = [undefined, undefined, undefined, ...[[4, 9], [5, 15], [6, 1], [6, 12], [7, 2]].map(([major, minor]) => ({ major: major!, minor: minor! }))];

const ADDRESS = /─ (?:[0-9a-f]{4,8}:)?[0-9a-f]{2}:[01][0-9a-f]\.[0-7] /;

const FOLDER = new URL('../../conformance/recordings/doctor/', import.meta.url);
const TEXTS: readonly string[] = [
  ...readdirSync(FOLDER, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.gz')).sort().map((name) => readRecording(`doctor/${name}`)),
  ...topologyNames().map(topologyText),
];

interface PasteInput {
  readonly text: string;
  readonly options: DoctorOptions;
  /** Which of its devices is asked for. */
  readonly asked: number;
}

/** Never an exception, never long, and of each function one statement. */
class Pastes implements World<PasteInput> {
  readonly counts: Map<string, number> = new Map();

  generate(random: Random): PasteInput {
    const [text, ...others] = Array.from({ length: 3 }, () => excerpt(pick(random, TEXTS), random, random.below(WHOLE_ONE_IN) === 0 ? Infinity : 1 + random.below(MOST_DEVICES)));
    const changed = mutated(text!, random, others);
    return { text: changed, options: optionsFor(changed, random), asked: random.below(1000) };
  }

  check({ text, options, asked }: PasteInput): Depth {
    const begun = process.cpuUsage();
    const depth = bounded('a text', () => this.#look(text, options, asked));
    const { user, system } = process.cpuUsage(begun);
    if ((user + system) / 1000 > MOST_MS) this.#count(SLOW);
    return depth;
  }

  #look(text: string, options: DoctorOptions, asked: number): Depth {
    const paste = readPaste(text);
    const report = this.#examined(paste, options);
    if (report === undefined) return 'past';
    if (options.whatIf === undefined) same('functions of the report', report.verdicts.map(({ device }) => device).sort(), paste.devices.map(({ address }) => address).sort());
    holdsTogether(report);
    const tree = treeLines(report);
    const lines = [...summaryLines(report), ...everythingLines(report), ...tree];
    const devices = devicesOf(report);
    same('functions in the tree', tree.filter((line) => ADDRESS.test(line)).length, devices.length);
    const device = devices[asked % Math.max(1, devices.length)];
    if (device !== undefined) {
      lines.push(...answerLines(report, device.address));
      same('the device that is asked for', devicesFor(report, device.address).map(({ address }) => address), [device.address]);
    }
    const wrong = lines.find((line) => /\bundefined\b|\bNaN\b|\[object |\n/.test(line) && !text.includes('undefined'));
    if (wrong !== undefined) throw new Error(`a line says "${wrong}"`);
    for (const kind of ['groups', 'cannotTell', 'ungrouped'] as const) if (report[kind].length > 0) this.#count(`texts with ${kind}`);
    this.#count('functions', report.verdicts.length);
    this.#count('trials', report.groups.reduce((sum, { trials }) => sum + trials.length, 0));
    return report.verdicts.length > 0 ? 'succeeded' : paste.parts.length > 0 ? 'past' : 'refused';
  }

  /** undefined: what is asked for cannot be, and it says so. */
  #examined(paste: Paste, options: DoctorOptions): DoctorReport | undefined {
    try {
      return examine(paste, options);
    } catch (cause) {
      if (options.whatIf === undefined || !(cause instanceof RangeError) || /^"|Invalid|call stack/.test(cause.message)) throw cause;
      this.#count('refused what-ifs');
      return undefined;
    }
  }

  #count(name: string, by = 1): void {
    this.counts.set(name, (this.counts.get(name) ?? 0) + by);
  }
}

/** Each function is in one place, and has one verdict. */
function holdsTogether({ groups, cannotTell, ungrouped, verdicts }: DoctorReport): void {
  for (const { devices, members } of groups) same('members of a group', members.map(({ address }) => address), devices);
  const stated = [...groups.flatMap(({ devices }) => devices), ...cannotTell.map(({ device }) => device), ...ungrouped.map(({ device }) => device)].sort();
  same('functions that are told of twice', stated.filter((address, index) => address === stated[index - 1]), []);
  same('functions with a verdict', verdicts.map(({ device }) => device).sort(), stated);
  for (const { device, surely, perhaps } of cannotTell) {
    same(`${device} with itself`, [surely.includes(device), perhaps.includes(device)], [true, true]);
    same(`who is surely with ${device}, and not perhaps`, surely.filter((address) => !perhaps.includes(address)), []);
  }
  const there = new Set(stated);
  const nowhere = verdicts.flatMap(({ with: others }) => others).filter((address) => !there.has(address));
  same('functions of verdicts that are not there', nowhere, []);
}

function optionsFor(text: string, random: Random): DoctorOptions {
  return {
    iommu: pick(random, ['auto', 'auto', 'auto', 'vt-d', 'amd', 'smmuv3', 'none']),
    interruptRemapping: pick(random, [undefined, undefined, true, false]),
    kernel: pick(random, KERNELS),
    whatIf: random.below(4) === 0 ? whatIfFor(text, random) : undefined,
  };
}

function whatIfFor(text: string, random: Random): WhatIf {
  const found = [...new Set(text.match(/(?:[0-9a-f]{4,8}:)?[0-9a-f]{2}:[01][0-9a-f]\.[0-7]/g) ?? ['0000:00:00.0'])];
  const some = (): string => {
    const address = pick(random, found);
    return address.length === 7 ? `0000:${address}` : address;
  };
  return {
    iommuOn: random.below(2) === 0,
    acsOverride: pick(random, [undefined, [], ['downstream'], ['multifunction'], ['downstream', 'multifunction']]),
    moves: random.below(2) === 0 ? [{ device: some(), below: some() }] : undefined,
    vfs: random.below(2) === 0 ? [{ device: some(), count: pick(random, [0, 1, 2, 7, 64, 1.5]) }] : undefined,
  };
}

function reportOf({ counts }: Figures): Report {
  const lines = [...counts].map(([name, count]) => `${name}: ${count}`);
  return { lines, unmet: [] };
}

export const DOCTOR_PASTES: Door<PasteInput> = {
  name: 'doctor-pastes',
  length: 20,
  open: () => new Pastes(),
  report: reportOf,
  soak: ({ counts }) => ((counts.get(SLOW) ?? 0) > 0 ? [`no text ${SLOW}: ${counts.get(SLOW)!} did`] : []),
};
