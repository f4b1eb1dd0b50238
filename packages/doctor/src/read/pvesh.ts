/** Proxmox VE's list of PCI devices: `pvesh get /nodes/NODE/hardware/pci`, as a table or in YAML; json.ts has the third form. */
import { addressOf } from './address.ts';
import type { Cursor } from './cursor.ts';
import type { Line } from './lines.ts';
import type { PasteDraft } from './paste-draft.ts';

const BAR = /[\u2502|\u2551\u2503]/;
const COLUMNS: readonly string[] = ['class', 'device', 'id', 'iommugroup', 'vendor', 'device_name', 'mdev', 'subsystem_device', 'subsystem_device_name', 'subsystem_vendor', 'subsystem_vendor_name', 'vendor_name'];
const RULE = /^[\u250c\u251c\u2514\u255e\u2560\u2554\u255a\u2500\u2550\u253c\u256a\u252c\u2534\u2564\u2567\u2510\u2524\u2518\u2561\u2563+|=. -]+$/;
const NO_BORDER = /^0x[0-9a-f]{6}\s+0x[0-9a-f]{4}\s+[0-9a-f]{4,8}:[0-9a-f]{2}:[01][0-9a-f]\.[0-7]\s+-?\d/i;
const YAML = /^(-? *)(class|device|device_name|id|iommugroup|mdev|subsystem_\w+|vendor|vendor_name): *(.*)$/;

/** Reads a table of devices, with bars of any kind between its columns, or blanks. */
export function readPveshTable(cursor: Cursor, line: Line, paste: PasteDraft): boolean {
  const heads = headsOf(line.text);
  if (heads === undefined && rowOf(line.text, COLUMNS) === undefined) return RULE.test(line.text) && headsOf(cursor.peek(1)?.text ?? '') !== undefined && skip(cursor);
  const columns = heads ?? COLUMNS;
  if (heads !== undefined) cursor.next();
  const part = paste.enter('pvesh', line);
  for (let next = cursor.line; next !== undefined; next = cursor.line) {
    const row = rowOf(next.text, columns);
    if (row !== undefined) takeRow(row, next, paste);
    // A long name goes on in a row without an address.
    else if (!RULE.test(next.text) && !(BAR.test(next.text.charAt(0)) && next.text.length > 1)) break;
    if (next.text !== '') part.lastLine = next.last;
    cursor.next();
  }
  return true;
}

/** Reads a list in YAML. */
export function readPveshYaml(cursor: Cursor, line: Line, paste: PasteDraft): boolean {
  const first = YAML.exec(line.text);
  if (!first?.[1]!.startsWith('-')) return false;
  const part = paste.enter('pvesh', line);
  const row = new Map<string, string>();
  for (let next: Line | undefined = line; next !== undefined; next = cursor.line) {
    const field = YAML.exec(next.text);
    if (field === null || (next !== line && field[1]!.startsWith('-'))) break;
    row.set(field[2]!, field[3]!.replace(/^(['"])(.*)\1$/s, '$2'));
    part.lastLine = next.last;
    cursor.next();
  }
  takeRow(row, line, paste);
  return true;
}

/** Takes a row by the names of its columns; nothing without an address. */
export function takeRow(row: ReadonlyMap<string, string>, line: Line, paste: PasteDraft): void {
  const address = addressOf(row.get('id') ?? '');
  if (address === undefined) {
    paste.unread(line.number, line.text, 'a device without its address');
    return;
  }
  const code = hexOf(row.get('class'));
  const name = [row.get('vendor_name'), row.get('device_name')].filter((text) => text !== undefined && text !== '').join(' ');
  const device = paste.device(address, line.number);
  const contradiction = device.say({
    ...(code === undefined ? {} : { classCode: code >>> 8, progIf: code & 0xff }),
    name: name === '' ? undefined : name,
    vendor: hexOf(row.get('vendor')),
    device: hexOf(row.get('device')),
    subsystemVendor: hexOf(row.get('subsystem_vendor')),
    subsystem: hexOf(row.get('subsystem_device')),
  });
  if (contradiction !== undefined) paste.unread(line.number, line.text, contradiction);
  const group = row.get('iommugroup') ?? '';
  if (/^\d{1,9}$/.test(group)) paste.tell(device, Number(group), line, 'pvesh');
}

function skip(cursor: Cursor): boolean {
  cursor.next();
  return true;
}

function headsOf(text: string): string[] | undefined {
  if (!text.includes('iommugroup')) return undefined;
  const heads = BAR.test(text) ? cellsOf(text) : text.split(/\s+/);
  return heads.includes('id') && heads.includes('class') ? heads : undefined;
}

function rowOf(text: string, columns: readonly string[]): Map<string, string> | undefined {
  if (BAR.test(text.charAt(0)) && text.includes('0x')) {
    const row = new Map(cellsOf(text).map((cell, at) => [columns[at] ?? '', cell]));
    return addressOf(row.get('id') ?? '') === undefined ? undefined : row;
  }
  if (!NO_BORDER.test(text)) return undefined;
  const cells = /^(\S+)\s+(\S+)\s+(\S+)\s+(\S+)\s+(\S+)\s*(.*)$/s.exec(text)!.slice(1);
  return new Map(cells.map((cell, at) => [at === 5 ? 'device_name' : (COLUMNS[at] ?? ''), at === 5 ? cell.split(/\s{2,}/)[0]! : cell]));
}

function cellsOf(text: string): string[] {
  const cells = text.split(BAR).map((cell) => cell.trim());
  return cells[0] === '' ? cells.slice(1) : cells;
}

function hexOf(text: string | undefined): number | undefined {
  return text !== undefined && /^0x[0-9a-f]{1,6}$/i.test(text) ? Number(text) : undefined;
}
