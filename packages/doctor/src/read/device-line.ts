/** A line that names a device: a heading of lspci, or a member of a listing with what stands before its address. */
import { ADDRESS, joined } from './address.ts';

/** What a line names, before anything is made of it. */
export interface DeviceLine {
  /** With its domain; of a path of bridges the last one. */
  readonly address: string;
  /** The bridges that lead to it, nearest last, from `lspci -PP`; undefined: the line has no path. */
  readonly path: readonly string[] | undefined;
  /** A path that does not name its buses, of `lspci -P`: `00:1c.0/00.0`. */
  readonly unnamedBus: boolean;
  /** The group that the line itself names. */
  readonly group: number | undefined;
  /** A number stands before the address that may be a group's, or a line's. */
  readonly number: number | undefined;
  /** `[10de:2206]` before the address. */
  readonly ids: readonly [vendor: number, device: number] | undefined;
  /** Whether a mark says that it can be reset. */
  readonly reset: boolean;
  /** Nothing but bullets stands before the address. */
  readonly bare: boolean;
  /** What follows the address. */
  readonly rest: string;
}

/** A group's number with words around it, as listings have it. */
const GROUP =
  /(?:\*\*|#{1,6} *|=+ *|-+ *|\[)?(?:(?:iommu[ _-]?)?groups?\b(?: \/sys\/kernel\/iommu_groups\/|[ _-]?(?:id|number|nr|no)?\.?)|\/?(?:sys\/kernel\/)?iommu_groups?\/)(?:\*\*)?[\s#:=/_-]*(\d{1,6})\b(?:\*\*)?[\])\s:.,=>*|/-]*(?:devices?\b\s*[:/]*\s*)?/iy;
const IN_PARENTHESES = /\((\d{1,6})\)\s*/y;
const NUMBER_FIRST = /(\d{1,6})(:?)\s+(?=(?:[0-9a-f]{4,8}:)?[0-9a-f]{2}:[01][0-9a-f]\.[0-7]\s)/iy;
const IDS = /\[([0-9a-f]{4}):([0-9a-f]{4})\]\s*/iy;
const MARK = /\[\s*(R|RESET|reset|Reset|FLR|\u2713|x|X)?\s*\]\s*/y;
const WORD = /(?:(?:iommu )?group )?(?:pci[ _-]?)?(?:device|dev|pci|slot|bdf|id|address|bus)(?: id)?\s*[:=]\s*/iy;
const BULLET = /(?:[\s*\u2022\u2023|`\u2502\u251c\u2514\u2500>"']|[-+](?!\[))+/y;
const ADDRESS_AT = new RegExp(ADDRESS, 'y');
const STEP = /\/(?:([0-9a-fA-F]{2}):)?([01][0-9a-fA-F])\.([0-7])(?![0-9a-fA-F])/y;
const SOME_ADDRESS = /[0-9a-fA-F]{2}:[01][0-9a-fA-F]\.[0-7]/;
/** How far into a line its address may stand. */
const REACH = 100;
const MOST_TOKENS = 12;

/** The device that a line begins with; undefined: it names none there. */
export function deviceLine(text: string): DeviceLine | undefined {
  const first = exec(ADDRESS_AT, text, 0);
  if (first !== null) return withPath(text, first, { group: undefined, number: undefined, ids: undefined, reset: false, bare: true });
  if (!SOME_ADDRESS.test(text.length > REACH ? text.slice(0, REACH) : text)) return undefined;
  let at = 0;
  let group: number | undefined;
  let number: number | undefined;
  let ids: readonly [number, number] | undefined;
  let reset = false;
  let bare = true;
  for (let i = 0; i < MOST_TOKENS; i++) {
    const address = exec(ADDRESS_AT, text, at);
    if (address !== null) return withPath(text, address, { group, number, ids, reset, bare });
    const found = exec(BULLET, text, at);
    if (found !== null) {
      at += found[0].length;
      continue;
    }
    bare = false;
    const named = exec(GROUP, text, at) ?? exec(IN_PARENTHESES, text, at) ?? (i === 0 ? exec(NUMBER_FIRST, text, at) : null);
    const pair = named === null ? exec(IDS, text, at) : null;
    const mark = named === null && pair === null ? exec(MARK, text, at) : null;
    const word = named === null && pair === null && mark === null ? exec(WORD, text, at) : null;
    if (named?.[2] === '') number = Number(named[1]);
    else if (named !== null) group ??= Number(named[1]);
    if (pair !== null) ids = [Number.parseInt(pair[1]!, 16), Number.parseInt(pair[2]!, 16)];
    if (mark !== null) reset ||= mark[1] !== undefined;
    const token = named ?? pair ?? mark ?? word;
    if (token === null) return undefined;
    at += token[0].length;
  }
  return undefined;
}

/** The group whose heading a line is: its number, and nothing else but marks and what counts its devices. */
export function groupHeading(text: string): number | undefined {
  if (text.length > REACH) return undefined;
  const from = exec(BULLET, text, 0)?.[0].length ?? 0;
  const match = exec(GROUP, text, from);
  if (match === null) return undefined;
  const rest = text.slice(from + match[0].length);
  return /^(?:\(?(?:\d+ (?:pci )?devices?|total \d+|type: ?[\w-]+|[A-Za-z-]{2,12})\)?|[-=*\s#:\u2500]*|devices?:?)$/i.test(rest) ? Number(match[1]) : undefined;
}

function withPath(text: string, match: RegExpExecArray, before: Pick<DeviceLine, 'group' | 'number' | 'ids' | 'reset' | 'bare'>): DeviceLine | undefined {
  const [whole, domain, bus, device, fn] = match;
  let address = joined(domain, bus!, device!, fn!);
  let at = match.index + whole.length;
  const path: string[] = [];
  let unnamedBus = false;
  for (let step = exec(STEP, text, at); step !== null; step = exec(STEP, text, at)) {
    path.push(address);
    if (step[1] === undefined) unnamedBus = true;
    address = joined(domain, step[1] ?? '00', step[2]!, step[3]!);
    at += step[0].length;
  }
  // A link, which group-listing.ts reads.
  if (/^@? ?-> /.test(text.slice(at, at + 5))) return undefined;
  const next = text[at];
  if (next !== undefined && !/[\s"',:)\]>|-]/.test(next)) return undefined;
  return { ...before, address, path: path.length === 0 ? undefined : path, unnamedBus, rest: text.slice(at).replace(/^[\s:|"',)\]>-]+/, '') };
}

function exec(pattern: RegExp, text: string, at: number): RegExpExecArray | null {
  pattern.lastIndex = at;
  return pattern.exec(text);
}
