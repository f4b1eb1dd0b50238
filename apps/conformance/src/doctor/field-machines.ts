/** Machines of which both is known: a text of lspci, and the groups that their kernel made. From recordings/doctor and recordings/topology. */
import { parsePciMachine } from '@vsim/vfio-pci';
import { readRecording, topologyMachine, topologyNames, topologyText } from '../recorded-topology.ts';
import { blocksOf, textOfBlocks, type LspciBlock } from './lspci-blocks.ts';

/** One machine. */
export interface FieldMachine {
  /** Folder of recordings/doctor, or name in recordings/topology. */
  readonly name: string;
  /** What lspci printed of it, as much as there is, with the groups if lspci told them. */
  readonly text: string;
  /**
   * Each function's group: the kernel's number, or undefined for one that the kernel left without. What is not in it is not known: it was not listed, or had none
   * for a reason that no text of lspci shows.
   */
  readonly truth: ReadonlyMap<string, number | undefined>;
}

/** Those of recordings/doctor that have both, and which functions the kernel left without a group although lspci could not show it. */
const TEXTS: readonly { readonly name: string; readonly file: string; readonly unseen?: readonly string[] }[] = [
  { name: '02-hp-coffeelake', file: 'lspci-vv.txt.gz' },
  { name: '04-egpu-thunderbolt', file: 'lspci-nnvvv.txt.gz' },
  // Linux switched the unit of its graphics off: the log says so.
  { name: '07-t450s-plain-lspci', file: 'lspci-without-prompt.txt.gz', unseen: ['0000:00:02.0'] },
  { name: '10-hp-alderlake-lspci-v', file: 'lspci-v.txt.gz' },
  { name: '11-aer-lspci-vv-no-nn', file: 'lspci-vv.txt.gz' },
  { name: '12-ryzen-216865', file: 'lspci-vvv.txt.gz' },
  { name: '13-z370-desktop', file: 'lspci-nnk.txt.gz' },
  { name: '18-genoa-supermicro', file: 'lspci.txt.gz' },
  { name: '38-surface-book2', file: 'lspci.txt.gz' },
];

/** Listings of groups that name each device as `lspci -nn` does. */
const LISTINGS: readonly (readonly [name: string, file: string])[] = [
  ['17-x670e-board', 'other-tool.txt.gz'],
  ['19-sample-boards', 'z170-listing.txt.gz'],
  ['21-x570-single-gpu', 'loop.txt.gz'],
  ['35-vga-passthrough-15', 'listing.txt.gz'],
];

/** All machines, those of threads first. */
export function fieldMachines(): readonly FieldMachine[] {
  return [
    ...TEXTS.map(({ name, file, unseen = [] }) => threadMachine(name, file, unseen)),
    ...LISTINGS.map(([name, file]) => listedMachine(name, readRecording(`doctor/${name}/${file}`))),
    vmdMachine(),
    ...topologyNames().flatMap((name) => recordedMachine(name) ?? []),
  ];
}

/** The groups of a machine as their members, restricted to the functions of `among`; each in the order of addresses. */
export function groupsAmong(truth: FieldMachine['truth'], among: ReadonlySet<string>): readonly (readonly string[])[] {
  const groups = new Map<number, string[]>();
  for (const [address, number] of truth) {
    if (number !== undefined && among.has(address)) groups.set(number, [...(groups.get(number) ?? []), address]);
  }
  return [...groups.values()].map((members) => members.sort());
}

/** Group numbers by address from the lines of a kernel's log: `pci 0000:00:02.0: Adding to iommu group 0`. */
export function groupsOfLog(log: string): ReadonlyMap<string, number> {
  return new Map([...log.matchAll(/([0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]): Adding to iommu group (\d{1,9})/g)].map(([, address, number]) => [address!, Number(number)]));
}

function threadMachine(name: string, file: string, unseen: readonly string[]): FieldMachine {
  const text = readRecording(`doctor/${name}/${file}`);
  const told = numbersOf(readRecording(`doctor/${name}/truth.json.gz`));
  const addresses = blocksOf(text).map(({ address }) => address);
  return { name, text, truth: new Map(addresses.filter((address) => !unseen.includes(address)).map((address) => [address, told.get(address)])) };
}

function numbersOf(json: string): ReadonlyMap<string, number> {
  const value: unknown = JSON.parse(json);
  if (typeof value !== 'object' || value === null) throw new TypeError('"truth" expected an object');
  return new Map(Object.entries(value).map(([address, number]) => [address, Number(number)]));
}

function listedMachine(name: string, listing: string): FieldMachine {
  const truth = new Map<string, number>();
  const blocks: LspciBlock[] = [];
  let group = 0;
  for (const line of listing.split('\n')) {
    group = Number(/^IOMMU group (\d+)/i.exec(line)?.[1] ?? group);
    const [, written, heading] = /\b((?:[0-9a-f]{4,8}:)?[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]) (\S.*\[[0-9a-f]{4}:[0-9a-f]{4}\].*)$/i.exec(line) ?? [];
    if (written === undefined || heading === undefined) continue;
    const address = written.length > 7 ? written : `0000:${written}`;
    truth.set(address, group);
    blocks.push({ address, written, heading, lines: [], rows: [] });
  }
  return { name, text: textOfBlocks(blocks.sort((a, b) => (a.address < b.address ? -1 : 1))), truth };
}

function vmdMachine(): FieldMachine {
  const name = '29-vmd-laptop';
  return { name, text: readRecording(`doctor/${name}/lspci-nn.txt.gz`), truth: groupsOfLog(readRecording(`doctor/${name}/truth.dmesg.txt.gz`)) };
}

/** A recorded machine's blind text with the lines of the groups that its kernel made; undefined: it ran without an IOMMU. */
function recordedMachine(name: string): FieldMachine | undefined {
  const { devices } = parsePciMachine(JSON.stringify(topologyMachine(name).value));
  // A function without group there has no driver, on Arm, or no IOMMU above it: neither is in a text.
  const truth = new Map(Object.entries(devices).flatMap(([address, { iommu_group: group }]) => (typeof group === 'string' ? [[address, Number(group)]] : [])));
  if (truth.size === 0) return undefined;
  const blocks = blocksOf(topologyText(name)).map((block) => withGroup(block, truth.get(block.address)));
  return { name, text: textOfBlocks(blocks), truth };
}

/** lspci has the line behind those of interrupts, before the regions. */
function withGroup(block: LspciBlock, group: number | undefined): LspciBlock {
  if (group === undefined) return block;
  const before = ['DeviceName:', 'Subsystem:', 'Control:', 'Status:', 'Latency:', 'Interrupt:', 'NUMA node:'];
  const at = block.lines.findIndex((line) => !before.some((name) => line.startsWith(`\t${name}`)));
  const lines = [...block.lines];
  lines.splice(at < 0 ? lines.length : at, 0, `\tIOMMU group: ${group}`);
  return { ...block, lines };
}
