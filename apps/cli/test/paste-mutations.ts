/** Changes of what people paste, for a fuzzer: what a text loses on its way, and machines that nobody has. */
import type { Random } from '@vsim/vfio-core';
import { pick } from '../../../testing/fuzz.ts';

/** A text, changed; `others` are texts that it may be mixed with. */
type Mutation = (text: string, random: Random, others: readonly string[]) => string;

/** What stands at the beginning of a device, of a group, of a message. */
const BLOCK = /^(?=\S*(?:[0-9a-f]{4,8}:)?[0-9a-f]{2}:[01][0-9a-f]\.[0-7]|IOMMU Group|\[ *\d+\.)/im;
const ADDRESS = /(?:[0-9a-f]{4,8}:)?[0-9a-f]{2}:[01][0-9a-f]\.[0-7]/gi;
const CHARACTERS = ' \t\n:.[]()<>/\\"\'{}|+-=0123456789abcdefABCXZxz\u00a0\u0000\u2502\u2514\ud800';
const TYPES = ['Endpoint', 'Legacy Endpoint', 'Root Port (Slot+)', 'Upstream Port', 'Downstream Port (Slot-)', 'PCI-Express to PCI/PCI-X Bridge', 'PCI/PCI-X to PCI-Express Bridge', 'Root Complex Integrated Endpoint', 'Root Complex Event Collector', 'Unknown type 11'];
const DRIVERS = ['vfio-pci', 'pcieport', 'nvidia', 'pci-stub', 'pciback', 'vmd', 'igb', 'nvme', '__proto__', 'bind', 'a/b', '..', 'shpchp'];
const NUMBERS = ['0', '1', '2', '7', '63', '255', '256', '65535', '65536', '4294967295', '99999999999999999999'];
const DOMAINS = ['', '0000:', '0001:', 'ffff:', '10000:', '10001:', '7fffffff:', 'ffffffff:', '00000000:'];
const WRAPS = [30, 72, 76, 80, 100];

/** At most `most` of the devices of a text, next to each other or not: a text that is read at once. */
export function excerpt(text: string, random: Random, most: number): string {
  const blocks = blocksOf(text);
  if (blocks.length <= most) return text;
  if (random.below(2) === 0) {
    const from = random.below(blocks.length - most);
    return blocks.slice(from, from + most).join('');
  }
  const taken = new Set(Array.from({ length: most }, () => random.below(blocks.length)));
  return blocks.filter((_, index) => taken.has(index)).join('');
}

/** The text after one to six changes. */
export function mutated(text: string, random: Random, others: readonly string[]): string {
  let out = text;
  for (let left = 1 + random.below(6); left > 0; left -= 1) out = pick(random, MUTATIONS)(out, random, others);
  return out;
}

const cut: Mutation = (text, random) => {
  const at = random.below(text.length + 1);
  return text.slice(0, at) + text.slice(at + pick(random, [1, 2, 10, 80, 400, text.length]));
};

const duplicated: Mutation = (text, random) => {
  const parts = partsOf(text, random);
  const from = random.below(parts.length);
  const copied = parts.slice(from, from + 1 + random.below(4));
  parts.splice(random.below(parts.length + 1), 0, ...copied);
  return parts.join('');
};

const shuffled: Mutation = (text, random) => {
  const parts = partsOf(text, random);
  for (let left = 1 + random.below(parts.length); left > 0; left -= 1) {
    const [here, there] = [random.below(parts.length), random.below(parts.length)];
    [parts[here], parts[there]] = [parts[there]!, parts[here]!];
  }
  return parts.join('');
};

const spliced: Mutation = (text, random, others) => {
  const other = pick(random, others);
  const [mine, theirs] = [partsOf(text, random), partsOf(other, random)];
  const [left, right] = [random.below(mine.length + 1), random.below(theirs.length + 1)];
  return mine.slice(0, left).join('') + theirs.slice(right).join('');
};

const flipped: Mutation = (text, random) => {
  let out = text;
  for (let left = 1 + random.below(12); left > 0; left -= 1) {
    const at = random.below(out.length + 1);
    out = out.slice(0, at) + CHARACTERS[random.below(CHARACTERS.length)]! + out.slice(at + random.below(2));
  }
  return out;
};

/** Another place for a device: at one line, or wherever its address stands. */
const moved: Mutation = (text, random) => {
  const found = text.match(ADDRESS);
  if (found === null) return text;
  const from = pick(random, found);
  const [, slot = ''] = /(..:..\..)$/.exec(from) ?? [];
  const to = pick(random, [
    pick(random, DOMAINS) + slot,
    `${from.slice(0, -7)}${hex(random, 256)}${slot.slice(2)}`,
    `${from.slice(0, -4)}${hex(random, 32)}${slot.slice(5)}`,
    `${from.slice(0, -1)}${random.below(8)}`,
    pick(random, found),
  ]);
  return random.below(2) === 0 ? text.replaceAll(from, to) : atOne(text, from, to, random);
};

/** All devices in another domain, or on another bus. */
const shifted: Mutation = (text, random) => {
  const domain = pick(random, DOMAINS);
  const by = random.below(2) === 0 ? 0 : random.below(256);
  return text.replaceAll(ADDRESS, (address) => {
    const bus = (Number.parseInt(address.slice(-7, -5), 16) + by) & 0xff;
    return `${domain}${bus.toString(16).padStart(2, '0')}${address.slice(-5)}`;
  });
};

const buses: Mutation = (text, random) =>
  replacedSome(text, /\b(primary|secondary|subordinate)=[0-9a-f]{2}/g, random, (_, name) => `${name}=${pick(random, ['00', '01', '02', 'ff', hex(random, 256)])}`);

const bytes: Mutation = (text, random) => {
  const row = pick(random, ['[0-9a-f]0', '00', '10', '34', '[1-9a-f][0-9a-f]0']);
  return replacedSome(text, new RegExp(`^\\s*(${row}: )((?:[0-9a-f]{2} ?){16})$`, 'gm'), random, (_, head, values) => {
    const out = values.trim().split(' ');
    for (let left = 1 + random.below(4); left > 0; left -= 1) out[random.below(16)] = pick(random, ['00', 'ff', '01', '80', '10', hex(random, 256)]);
    return head + out.join(' ');
  });
};

/** The buses of a bridge, and its header's type. */
const bridges: Mutation = (text, random) =>
  replacedSome(text, /^(10: (?:[0-9a-f]{2} ){8})[0-9a-f]{2} [0-9a-f]{2} [0-9a-f]{2}/gm, random, (_, head) => `${head}${pick(random, ['00', '01'])} ${pick(random, ['00', '01', '02', hex(random, 256)])} ${pick(random, ['00', 'ff', hex(random, 256)])}`);

const headers: Mutation = (text, random) => replacedSome(text, /^(00: (?:[0-9a-f]{2} ){14})[0-9a-f]{2}/gm, random, (_, head) => `${head}${pick(random, ['00', '01', '80', '81', '02', '7f', 'ff'])}`);

const capabilities: Mutation = (text, random) => {
  const way = random.below(6);
  if (way === 0) return replacedSome(text, /(Express \(v\d\) )[A-Z][A-Za-z/ -]+/g, random, (_, head) => head + pick(random, TYPES));
  if (way === 1) return replacedSome(text, /\b(SrcValid|ReqRedir|CmpltRedir|UpstreamFwd|Enable|Cap)[+-]/g, random, (_, name) => name + pick(random, ['+', '-']));
  if (way === 2) return replacedSome(text, /\b(Number of VFs: |Total VFs: |Initial VFs: |VF offset: |stride: )\d+/g, random, (_, name) => name + pick(random, NUMBERS));
  if (way === 3) return replacedSome(text, /^\t(Capabilities: .*)\n/gm, random, () => '');
  if (way === 4) return replacedSome(text, /(Capabilities: )\[[0-9a-f]+/g, random, (_, head) => `${head}[${pick(random, ['40', '100', 'fff', '00', hex(random, 256)])}`);
  return replacedSome(text, /(Capabilities: )\[.*$/gm, random, (_, head) => head + pick(random, ['<access denied>', '<chain broken>', '[100 v1] Access Control Services', '[140 v1] Single Root I/O Virtualization (SR-IOV)', '[40] Express']));
};

const words: Mutation = (text, random) => {
  const way = random.below(5);
  if (way === 0) return replacedSome(text, /(driver in use: )\S+/g, random, (_, head) => head + pick(random, DRIVERS));
  if (way === 1) return replacedSome(text, /(\bgroup:? *)\d+/gi, random, (_, head) => head + pick(random, NUMBERS));
  if (way === 2) return replacedSome(text, /\[([0-9a-f]{4}):([0-9a-f]{4})\]/g, random, (_, vendor, device) => `[${pick(random, ['8086', '1022', '10de', '1d94', '14e4', 'ffff', '0000', vendor])}:${pick(random, ['ffff', '0000', '467f', '1616', device])}]`);
  if (way === 3) return replacedSome(text, /\[(0[0-9a-f]{3})\](?=: )/g, random, (_, code) => `[${pick(random, ['0300', '0600', '0604', '0806', '0104', '0200', 'ffff', code])}]`);
  return replacedSome(text, /(\(rev )[0-9a-f]{2}\)/g, random, (_, head) => `${head}${pick(random, ['ff', '00'])})${pick(random, ['', ' (prog-if ff)', '\n\t!!! Unknown header type 7f'])}`);
};

const wrapped: Mutation = (text, random) => {
  const width = pick(random, WRAPS);
  return text.replaceAll(new RegExp(`(.{${width}})(?=.)`, 'g'), random.below(2) === 0 ? '$1\n' : '$1 \n');
};

const quoted: Mutation = (text, random) => eachLine(text, pick(random, ['> ', '>> ', '>', '    ', '\t', ' ', '| ', '\u2502 ', '- ']));

const disguised: Mutation = (text, random) => {
  const [from, to] = pick(random, [['\n', '\r\n'], ['\n', '\r'], [' ', '\u00a0'], ['\t', '    '], ['\t', ''], ['\n', '\n\n'], ['\n', '<br>'], ['<', '&lt;'], [' ', ''], ['\n', ' '], ['[', '\\['], ['\n', '\\n']] as const);
  return text.replaceAll(from, to);
};

const MUTATIONS: readonly Mutation[] = [cut, duplicated, shuffled, spliced, flipped, moved, moved, shifted, buses, buses, bytes, bytes, bridges, headers, capabilities, capabilities, words, wrapped, quoted, disguised];

/** A text that begins with each of its devices; whole if it has none. */
function blocksOf(text: string): string[] {
  const out: string[] = [];
  let open = '';
  for (const line of linesOf(text)) {
    if (BLOCK.test(line) && open !== '') {
      out.push(open);
      open = '';
    }
    open += line;
  }
  return [...out, open];
}

/** Lines, with their ends. */
function linesOf(text: string): string[] {
  return text.split(/(?<=\n)/);
}

function partsOf(text: string, random: Random): string[] {
  return random.below(2) === 0 ? linesOf(text) : blocksOf(text);
}

function eachLine(text: string, before: string): string {
  return text.split('\n').map((line) => before + line).join('\n');
}

/** One, a few, or all of the places where a pattern fits. */
function replacedSome(text: string, pattern: RegExp, random: Random, change: (whole: string, ...groups: string[]) => string): string {
  const count = text.match(pattern)?.length ?? 0;
  if (count === 0) return text;
  const share = pick(random, [1, 2, count]);
  return text.replaceAll(pattern, (whole: string, ...rest: unknown[]) => (random.below(count) < share ? change(whole, ...rest.filter((each) => typeof each === 'string')) : whole));
}

function atOne(text: string, from: string, to: string, random: Random): string {
  const at = text.indexOf(from, random.below(text.length));
  return at < 0 ? text : text.slice(0, at) + to + text.slice(at + from.length);
}

/** Two digits of a number below `end`. */
function hex(random: Random, end: number): string {
  return random.below(end).toString(16).padStart(2, '0');
}
