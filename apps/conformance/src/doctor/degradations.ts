/** What a machine's text would have been with other options of lspci, or without root: from one text that shows more. */
import { className, classNameWithCode } from './class-names.ts';
import { briefLines, isAbout } from './brief-lines.ts';
import { blocksOf, textOfBlocks, type LspciBlock } from './lspci-blocks.ts';

/** One way in which a text shows less. */
export interface Degradation {
  /** lspci's options, and what else is missing: `-vv, not root`. */
  readonly name: string;
  /** The text as it would have been; undefined: the text shows too little for it. */
  readonly of: (text: string) => string | undefined;
}

/** How much a text shows. */
interface Shown {
  readonly ids: boolean;
  readonly decoded: 'no' | '-v' | '-vv';
  readonly root: boolean;
  /** Rows of bytes of the device that has most. */
  readonly rows: number;
  readonly drivers: boolean;
  readonly groups: boolean;
}

interface Form {
  readonly name: string;
  readonly ids?: true;
  readonly decoded?: '-v' | '-vv';
  readonly rows?: number;
  /** The text must be of root; what is shown to others needs it not. */
  readonly root?: true;
  readonly drivers?: true;
  readonly of: (block: LspciBlock) => LspciBlock;
}

const IDS = / ?\[[0-9a-f]{4}:[0-9a-f]{4}\]/i;
const X_ROWS = 4;
const XXX_ROWS = 16;
const XXXX_ROWS = 256;

const only = (heading: (block: LspciBlock) => string, lines: (block: LspciBlock) => readonly string[], rows = 0) => (block: LspciBlock): LspciBlock => ({
  ...block,
  heading: heading(block),
  lines: lines(block),
  rows: block.rows.slice(0, rows),
});
const same = ({ heading }: LspciBlock): string => heading;
const all = ({ lines }: LspciBlock): readonly string[] => lines;
const none = (): readonly string[] => [];
const brief = ({ heading }: LspciBlock): string => heading.replace(/ \(prog-if .*$/i, '');
const plain = (block: LspciBlock): string => withoutIds(brief(block));
const kernelLines = ({ lines }: LspciBlock): readonly string[] => lines.filter((line) => /^\t(DeviceName:|Subsystem:|Kernel )/.test(line));
const nameless = (of: (block: LspciBlock) => readonly string[]) => (block: LspciBlock): readonly string[] => of(block).map((line) => (line.includes('Subsystem:') ? withoutIds(line) : line));

const FORMS: readonly Form[] = [
  { name: '-nnvvxxxx', ids: true, decoded: '-vv', rows: XXXX_ROWS, root: true, of: only(same, all, XXXX_ROWS) },
  { name: '-nnvv', ids: true, decoded: '-vv', root: true, of: only(same, all) },
  { name: '-vv', decoded: '-vv', root: true, of: only((block) => withoutIds(block.heading), nameless(all)) },
  { name: '-nnv', ids: true, decoded: '-v', root: true, of: only(same, briefLines) },
  { name: '-v', decoded: '-v', root: true, of: only((block) => withoutIds(block.heading), nameless(briefLines)) },
  { name: '-nnvv, not root', ids: true, decoded: '-vv', root: true, of: only(same, denied(all)) },
  { name: '-vv, not root', decoded: '-vv', root: true, of: only((block) => withoutIds(block.heading), nameless(denied(all))) },
  { name: '-nnv, not root', ids: true, decoded: '-v', root: true, of: only(same, denied(briefLines)) },
  { name: '-v, not root', decoded: '-v', root: true, of: only((block) => withoutIds(block.heading), nameless(denied(briefLines))) },
  { name: '-nnvvxxxx, not root', ids: true, decoded: '-vv', rows: X_ROWS, root: true, of: only(same, denied(all), X_ROWS) },
  { name: '-nnxxxx', ids: true, rows: XXXX_ROWS, of: only(brief, none, XXXX_ROWS) },
  { name: '-nnxxx', ids: true, rows: XXX_ROWS, of: only(brief, none, XXX_ROWS) },
  { name: '-xxx', rows: XXX_ROWS, of: only(plain, none, XXX_ROWS) },
  { name: '-nnx', ids: true, rows: X_ROWS, of: only(brief, none, X_ROWS) },
  { name: '-x', rows: X_ROWS, of: only(plain, none, X_ROWS) },
  { name: '-nnk', ids: true, drivers: true, of: only(brief, kernelLines) },
  { name: '-k', drivers: true, of: only(plain, nameless(kernelLines)) },
  { name: '-nn', ids: true, of: only(brief, none) },
  { name: '-n', ids: true, of: only((block) => numbers(brief(block)), none) },
  { name: 'plain', of: only(plain, none) },
];

/** All of them: each form, and those that tell groups once more without the lines that do. */
export const DEGRADATIONS: readonly Degradation[] = [
  ...FORMS.map((form) => ({ name: form.name, of: (text: string) => applied(form, text, (block) => block) })),
  ...FORMS.filter(({ decoded }) => decoded !== undefined).map((form) => ({
    name: `${form.name}, no groups`,
    of: (text: string) => (/IOMMU group:? \d/.test(text) ? applied(form, text, withoutGroup) : undefined),
  })),
];

/** The text without one of its devices. */
export function withoutDevice(text: string, address: string): string {
  return textOfBlocks(blocksOf(text).filter((block) => block.address !== address));
}

/** The text of some devices alone, as `lspci -s` has it. */
export function onlyDevices(text: string, addresses: ReadonlySet<string>): string {
  return textOfBlocks(blocksOf(text).filter(({ address }) => addresses.has(address)));
}

function applied(form: Form, text: string, change: (block: LspciBlock) => LspciBlock): string | undefined {
  const blocks = blocksOf(text);
  const shown = shownBy(blocks);
  if (form.ids === true && !shown.ids) return undefined;
  if (form.decoded === '-vv' && shown.decoded !== '-vv') return undefined;
  if (form.decoded === '-v' && shown.decoded === 'no') return undefined;
  if (form.root === true && !shown.root) return undefined;
  if (form.drivers === true && !shown.drivers) return undefined;
  if ((form.rows ?? 0) > shown.rows) return undefined;
  return textOfBlocks(blocks.map((block) => form.of(change(block))));
}

function shownBy(blocks: readonly LspciBlock[]): Shown {
  const lines = blocks.flatMap((block) => block.lines);
  return {
    ids: blocks.some(({ heading }) => IDS.test(heading)),
    decoded: lines.some((line) => line.startsWith('\tControl:')) ? '-vv' : lines.some((line) => line.startsWith('\tFlags:')) ? '-v' : 'no',
    root: !lines.some((line) => line.includes('<access denied>')),
    rows: Math.max(0, ...blocks.map(({ rows }) => rows.length)),
    drivers: lines.some((line) => line.startsWith('\tKernel driver in use:')),
    groups: lines.some((line) => /IOMMU group:? \d/.test(line)),
  };
}

/** Capabilities lie beyond the 64 bytes that everybody reads. */
function denied(of: (block: LspciBlock) => readonly string[]): (block: LspciBlock) => readonly string[] {
  return (block) => {
    const lines = of(block);
    const listed = lines.findIndex((line) => isAbout(line, 'Capabilities'));
    // lspci looks for the list of whoever says that there is one.
    if (listed < 0 && !block.lines.some((line) => isAbout(line, 'Status') && line.includes(' Cap+'))) return lines;
    const kernel = lines.findIndex((line) => line.startsWith('\tKernel '));
    const first = listed >= 0 ? listed : kernel >= 0 ? kernel : lines.length;
    return [...lines.slice(0, first), '\tCapabilities: <access denied>', ...lines.slice(first).filter((line) => line.startsWith('\tKernel '))];
  };
}

function withoutGroup(block: LspciBlock): LspciBlock {
  return { ...block, lines: block.lines.filter((line) => !isAbout(line, 'IOMMU group')).map((line) => (isAbout(line, 'Flags') ? line.replace(/, IOMMU group \d+/, '') : line)) };
}

/** `Host bridge [0600]: Intel Corporation Device [8086:29c0]` as `Host bridge: Intel Corporation Device 29c0`. */
function withoutIds(line: string): string {
  const named = line.replace(/: Device \[([0-9a-f]{4}:[0-9a-f]{4})\]/i, ': Device $1').replace(/ Device \[([0-9a-f]{4}):([0-9a-f]{4})\]/i, ' Device $2').replace(IDS, '');
  const [, name, code, rest] = /^([^\t[:]*) \[([0-9a-f]{4})\]:(.*)$/i.exec(named) ?? [];
  if (name === undefined || code === undefined || rest === undefined) return named;
  const value = Number.parseInt(code, 16);
  return `${name === classNameWithCode(value).slice(0, -7) ? className(value) : name}:${rest}`;
}

/** `Host bridge [0600]: Intel Corporation Device [8086:29c0] (rev 02)` as `0600: 8086:29c0 (rev 02)`. */
function numbers(heading: string): string {
  const code = /\[([0-9a-f]{4})\]:/i.exec(heading)?.[1] ?? 'ffff';
  const ids = /\[([0-9a-f]{4}:[0-9a-f]{4})\]/i.exec(heading.slice(heading.indexOf(']:') + 1))?.[1] ?? 'ffff:ffff';
  return `${code}: ${ids}${/ \(rev [0-9a-f]{2}\)/i.exec(heading)?.[0] ?? ''}`;
}
