/** JSON in a paste: Proxmox's list of devices, a recorded machine, vsim's own reports. */
import { hexBytes, MachineSyntaxError, parsePciMachine } from '@vsim/vfio-pci';
import type { Cursor } from './cursor.ts';
import type { Line } from './lines.ts';
import { takeRow } from './pvesh.ts';
import type { PasteDraft } from './paste-draft.ts';

/** Each look for the end of a value may go to the end of the text: so often without finding it. */
const MOST_BROKEN = 3;

/** A value of JSON.parse, of which nothing is known. */
type Value = string | number | boolean | null | readonly Value[] | { readonly [key: string]: Value | undefined };

/** Reads a value that begins with a bracket, to the bracket that closes it. */
export function readJson(cursor: Cursor, line: Line, paste: PasteDraft): boolean {
  if (!/^(?:\{\s*(?:$|["}])|\[\s*(?:$|[{\]"]))/.test(line.text)) return false;
  if (paste.brokenValues > MOST_BROKEN) return false;
  const { text, lines } = valueText(cursor);
  const value = text === undefined ? undefined : parsed(text);
  if (text === undefined || value === undefined) {
    paste.brokenValues++;
    return false;
  }
  cursor.next(lines);
  take(value, text, line, paste);
  return true;
}

function parsed(text: string): Value | undefined {
  try {
    return JSON.parse(text) as Value;
  } catch {
    return undefined;
  }
}

function take(value: Value, text: string, line: Line, paste: PasteDraft): void {
  if (Array.isArray(value)) takeRows(value, line, paste);
  else if (isObject(value) && Array.isArray(value['data'])) takeRows(value['data'], line, paste);
  else if (isObject(value) && isObject(value['devices'])) takeMachine(text, line, paste);
  else if (isObject(value) && Array.isArray(value['groups'])) paste.unread(line.number, line.text, "vsim's own report: it tells no machine");
  else paste.unread(line.number, line.text, 'JSON of which nothing is known');
}

function takeRows(rows: readonly Value[], line: Line, paste: PasteDraft): void {
  for (const row of rows) {
    if (!isObject(row) || typeof row['id'] !== 'string' || row['class'] === undefined) {
      paste.unread(line.number, line.text, 'JSON of which nothing is known');
      return;
    }
    paste.enter('pvesh', line);
    const fields = Object.entries(row).flatMap(([key, field]) => (typeof field === 'string' || typeof field === 'number' ? [[key, String(field)] as const] : []));
    takeRow(new Map(fields), line, paste);
  }
}

/** A host.json, which is sysfs as somebody recorded it. */
function takeMachine(text: string, line: Line, paste: PasteDraft): void {
  let devices;
  try {
    ({ devices } = parsePciMachine(text));
  } catch (error) {
    if (!(error instanceof MachineSyntaxError)) throw error;
    paste.unread(line.number, line.text, error.message);
    return;
  }
  paste.enter('sysfs', line);
  const showsDrivers = Object.values(devices).some(({ driver }) => driver !== undefined);
  for (const [address, recorded] of Object.entries(devices)) {
    const device = paste.device(address, line.number);
    device.overwrite(hexBytes(recorded.config, `config of ${address}`));
    device.say({ vendor: recorded.vendor, device: recorded.device });
    device.resource = recorded.resource;
    device.physfn = recorded.physfn;
    device.driver = recorded.driver ?? (showsDrivers ? null : undefined);
    const group = recorded.iommu_group;
    if (typeof group === 'string' && /^\d{1,9}$/.test(group)) paste.tell(device, Number(group), line, 'sysfs');
  }
}

/** The text from here to the bracket that closes the first one; undefined: none does. */
function valueText(cursor: Cursor): { text: string | undefined; lines: number } {
  const pieces: string[] = [];
  let depth = 0;
  let inText = false;
  for (let lines = 0; ; lines++) {
    const piece = cursor.peek(lines)?.text;
    if (piece === undefined) return { text: undefined, lines };
    for (let at = 0; at < piece.length; at++) {
      const sign = piece[at];
      if (inText) {
        if (sign === '\\') at++;
        else if (sign === '"') inText = false;
      } else if (sign === '"') inText = true;
      else if (sign === '{' || sign === '[') depth++;
      else if (sign === '}' || sign === ']') depth--;
      if (depth === 0) return { text: [...pieces, piece.slice(0, at + 1)].join('\n'), lines: lines + 1 };
    }
    pieces.push(piece);
  }
}

function isObject(value: Value | undefined): value is Readonly<Record<string, Value | undefined>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
