/** The files of a tar archive: ustar, with the long names of GNU tar and of pax. */

/** A file of a tree: its bytes, or where its link leads. */
export type TreeFile = readonly [path: string, content: Uint8Array | { readonly link: string }];

const BLOCK = 512;
const NAME = [0, 100] as const;
const SIZE = [124, 136] as const;
const CHECKSUM = [148, 156] as const;
const TYPE = 156;
const LINK = [157, 257] as const;
const MAGIC = [257, 262] as const;
const PREFIX = [345, 500] as const;
const SPACE = 32;

/** What a header of pax or GNU says of the entry behind it. */
interface Extra {
  path?: string;
  link?: string;
  size?: number;
}

/**
 * The files and symbolic links of an archive, in its order; folders end in `/` and have no bytes. Hard links have the bytes of the file that they
 * name. What follows a damaged header is not read; bytes that are no archive have no entries.
 */
export function tarEntries(bytes: Uint8Array): readonly TreeFile[] {
  const entries: TreeFile[] = [];
  const byPath = new Map<string, Uint8Array>();
  let extra: Extra = {};
  for (let at = 0; at + BLOCK <= bytes.length; ) {
    const header = bytes.subarray(at, at + BLOCK);
    if (!isHeader(header)) break;
    const type = String.fromCharCode(header[TYPE]!);
    const size = type === 'x' || type === 'g' || type === 'L' || type === 'K' ? number(header, SIZE) : (extra.size ?? number(header, SIZE));
    at += BLOCK;
    if (!Number.isSafeInteger(size) || size < 0) break;
    const content = bytes.subarray(at, Math.min(at + size, bytes.length));
    at += Math.ceil(size / BLOCK) * BLOCK;
    if (type === 'L') extra.path = text(content, [0, content.length]);
    else if (type === 'K') extra.link = text(content, [0, content.length]);
    else if (type === 'x') extra = { ...extra, ...paxOf(content) };
    else if (type !== 'g') {
      const entry = entryOf(header, type, extra, content, byPath);
      if (entry !== undefined) entries.push(entry);
      extra = {};
    }
  }
  return entries;
}

function entryOf(header: Uint8Array, type: string, extra: Extra, content: Uint8Array, byPath: Map<string, Uint8Array>): TreeFile | undefined {
  const prefix = text(header, MAGIC) === 'ustar' ? text(header, PREFIX) : '';
  const path = extra.path ?? (prefix === '' ? text(header, NAME) : `${prefix}/${text(header, NAME)}`);
  const link = extra.link ?? text(header, LINK);
  if (type === '2') return [path, { link }];
  if (type === '1') return [path, byPath.get(link) ?? { link }];
  if (type === '5') return [path.endsWith('/') ? path : `${path}/`, new Uint8Array(0)];
  if (type !== '0' && type !== '\0' && type !== '7') return undefined;
  byPath.set(path, content);
  return [path, content];
}

/** The sum of all bytes of a header, its own field taken as blanks, is what that field says. */
function isHeader(header: Uint8Array): boolean {
  let sum = 0;
  for (let at = 0; at < BLOCK; at++) sum += at >= CHECKSUM[0] && at < CHECKSUM[1] ? SPACE : header[at]!;
  return header[0] !== 0 && sum === number(header, CHECKSUM);
}

/** Octal digits, or with the highest bit set a binary number. */
function number(header: Uint8Array, [from, to]: readonly [number, number]): number {
  if ((header[from]! & 0x80) !== 0) {
    let value = 0;
    for (let at = from; at < to; at++) value = value * 256 + (at === from ? header[at]! & 0x7f : header[at]!);
    return value;
  }
  const digits = /^\s*([0-7]*)/.exec(text(header, [from, to]))![1]!;
  return digits === '' ? 0 : Number.parseInt(digits, 8);
}

/** Records `LENGTH KEY=VALUE\n`. */
function paxOf(content: Uint8Array): Extra {
  const extra: Extra = {};
  for (let at = 0; at < content.length; ) {
    const match = /^(\d{1,9}) ([^=]+)=/.exec(text(content, [at, Math.min(at + 64, content.length)]));
    const length = Number(match?.[1]);
    if (match === null || length < match[0].length || at + length > content.length) break;
    const value = text(content, [at + match[0].length, at + length - 1]);
    if (match[2] === 'path') extra.path = value;
    if (match[2] === 'linkpath') extra.link = value;
    if (match[2] === 'size' && /^\d{1,15}$/.test(value)) extra.size = Number(value);
    at += length;
  }
  return extra;
}

/** To the first zero. */
function text(bytes: Uint8Array, [from, to]: readonly [number, number]): string {
  const end = bytes.subarray(from, to).indexOf(0);
  return new TextDecoder().decode(bytes.subarray(from, end < 0 ? to : from + end));
}
