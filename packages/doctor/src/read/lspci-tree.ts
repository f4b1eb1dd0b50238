/** `lspci -t`: the tree of buses, read by its columns. */
import { addressOf } from './address.ts';
import type { Cursor } from './cursor.ts';
import { nameWords } from './heading.ts';
import type { Line } from './lines.ts';
import type { PasteDraft } from './paste-draft.ts';

const ROOT = /^[-+\\]-?\+?-?\[(?:[0-9a-f]{4,8}:)?[0-9a-f]{2}(?:-[0-9a-f]{2})?\]/i;
const BRANCH = /^(?:[|\\+-][| \\+-]*)?(?:\[(?:[0-9a-f]{4,8}:)?[0-9a-f]{2}|[01][0-9a-f]\.[0-7](?:[-\s]|$))|^\|[| ]*$/i;
const BUS = /\[(?:([0-9a-f]{4,8}):)?([0-9a-f]{2})(?:-[0-9a-f]{2})?\]/iy;
const FUNCTION = /([01][0-9a-f])\.([0-7])(?![0-9a-f])/iy;
const TAB_WIDTH = 8;

/** The bus that a column of the tree stands for. */
interface Bus {
  /** `0000:01`. */
  readonly name: string;
  /** The bridge to it; null: a root bus. */
  readonly bridge: string | null;
}

/** Reads a tree from its root to the first line that is none of it. */
export function readTreeText(cursor: Cursor, line: Line, paste: PasteDraft): boolean {
  if (!ROOT.test(line.text)) return false;
  const columns = new Map<number, Bus>();
  for (let next: Line | undefined = line; next !== undefined && (ROOT.test(next.text) || BRANCH.test(next.text)); next = cursor.line) {
    paste.enter('lspci-tree', next);
    if (!readBranch(next, columns, paste)) paste.unread(next.number, next.text, 'its place in the tree is lost with the blanks before it');
    cursor.next();
  }
  return true;
}

/** @returns false: the columns tell no bus for the line */
function readBranch(line: Line, columns: Map<number, Bus>, paste: PasteDraft): boolean {
  const text = withSpaces(line.raw);
  let bus: Bus | undefined;
  let opened = false;
  let device: string | undefined;
  for (let at = 0; at < text.length; ) {
    const sign = text[at];
    if (sign === '[') {
      BUS.lastIndex = at;
      const match = BUS.exec(text);
      if (match === null) return false;
      const domain: string = match[1]?.replace(/^0+(?=.{4})/, '') ?? (bus === undefined ? '0000' : bus.name.slice(0, bus.name.indexOf(':')));
      bus = { name: `${domain}:${match[2]!}`.toLowerCase(), bridge: device ?? null };
      if (device !== undefined) paste.device(device, line.number).secondaryBus = Number.parseInt(match[2]!, 16);
      opened = true;
      device = undefined;
      at = BUS.lastIndex;
    } else if (sign === '+' || sign === '\\') {
      if (opened) columns.set(at, bus!);
      else bus = columns.get(at);
      at++;
    } else if (sign === ' ' && device !== undefined) {
      name(text.slice(at).trim(), device, line, paste);
      return true;
    } else if (sign === '-' || sign === '|' || sign === ' ') at++;
    else {
      FUNCTION.lastIndex = at;
      const match = FUNCTION.exec(text);
      if (match === null || bus === undefined) return false;
      device = addressOf(`${bus.name}:${match[1]!}.${match[2]!}`)!;
      paste.device(device, line.number).parent = bus.bridge;
      opened = false;
      at = FUNCTION.lastIndex;
    }
  }
  return true;
}

/** With -v a name stands behind the device. */
function name(text: string, device: string, line: Line, paste: PasteDraft): void {
  if (text !== '') paste.device(device, line.number).say(nameWords(text));
}

function withSpaces(raw: string): string {
  if (!raw.includes('\t')) return raw.trimEnd();
  let text = '';
  for (const char of raw.trimEnd()) text += char === '\t' ? ' '.repeat(TAB_WIDTH - (text.length % TAB_WIDTH)) : char;
  return text;
}
