/** lspci for programs: `-mm`, a line of quoted fields for each device, and `-vmm`, a record of tagged lines. */
import { ADDRESS, joined } from './address.ts';
import type { Cursor } from './cursor.ts';
import type { DeviceWords } from './draft.ts';
import type { Line } from './lines.ts';
import type { PasteDraft } from './paste-draft.ts';

const QUOTED = new RegExp(`^${ADDRESS} (?="[^"]*" ")`);
const FIELD = /"((?:[^"\\]|\\.)*)"|-([rp])([0-9a-f]{2})/gi;
const SLOT = new RegExp(`^(?:Slot|Device):\\s*${ADDRESS}$`);
const TAG = /^(Slot|Class|Vendor|Device|SVendor|SDevice|PhySlot|Rev|ProgIf|Driver|Module|NUMANode|IOMMUGroup|DTNode|Power):\s*(.*)$/s;

/** Reads a line of `lspci -mm`. */
export function readQuoted(cursor: Cursor, line: Line, paste: PasteDraft): boolean {
  if (!line.text.includes('" "')) return false;
  const match = QUOTED.exec(line.text);
  if (match === null) return false;
  const address = joined(match[1], match[2]!, match[3]!, match[4]!);
  const fields: string[] = [];
  const words: DeviceWords = {};
  for (const [, quoted, option, value] of line.text.slice(match[0].length).matchAll(FIELD)) {
    if (quoted !== undefined) fields.push(quoted);
    else if (option?.toLowerCase() === 'r') words.revision = hex(value!);
    else words.progIf = hex(value!);
  }
  const [classField = '', vendor = '', device = '', subsystemVendor = '', subsystem = ''] = fields;
  paste.enterDevice('lspci-machine', line, address);
  const told = { ...words, ...classWords(classField), ...names(vendor, device), ...subsystemWords(subsystemVendor, subsystem) };
  say(address, told, line, paste);
  cursor.next();
  return true;
}

/** Reads a record of `lspci -vmm`, to the next blank line or record. */
export function readRecord(cursor: Cursor, line: Line, paste: PasteDraft): boolean {
  const match = SLOT.exec(line.text);
  if (match === null || !TAG.test(cursor.peek(1)?.text ?? '')) return false;
  const address = joined(match[1], match[2]!, match[3]!, match[4]!);
  const part = paste.enterDevice('lspci-machine', line, address);
  const fields = new Map<string, string>();
  const modules: string[] = [];
  let group: { value: string; line: Line } | undefined;
  cursor.next();
  for (let next = cursor.line; next !== undefined; next = cursor.line) {
    const tagged = TAG.exec(next.text);
    if (tagged === null || SLOT.test(next.text)) break;
    const [, tag, value] = tagged;
    if (tag === 'Module') modules.push(value!);
    else if (tag === 'IOMMUGroup') group = { value: value!, line: next };
    else fields.set(tag!, value!);
    part.lastLine = next.last;
    cursor.next();
  }
  const words: DeviceWords = { ...classWords(fields.get('Class') ?? ''), ...names(fields.get('Vendor') ?? '', fields.get('Device') ?? '') };
  const [revision, progIf] = [numberOf(fields.get('Rev')), numberOf(fields.get('ProgIf'))];
  say(address, { ...words, ...subsystemWords(fields.get('SVendor') ?? '', fields.get('SDevice') ?? ''), revision, progIf }, line, paste);
  const driver = fields.get('Driver');
  if (driver !== undefined) paste.drives(address, driver);
  const device = paste.device(address, line.number);
  if (modules.length > 0) {
    part.showsDrivers = true;
    device.modules = modules;
  }
  if (group !== undefined && /^\d{1,9}$/.test(group.value)) paste.tell(device, Number(group.value), group.line, 'lspci-machine');
  return true;
}

function say(address: string, words: DeviceWords, line: Line, paste: PasteDraft): void {
  const contradiction = paste.device(address, line.number).say(words);
  if (contradiction !== undefined) paste.unread(line.number, line.text, contradiction);
}

/** `Host bridge [0600]`, `0600`, or a name. */
function classWords(field: string): DeviceWords {
  const { name, number } = nameAndNumber(field);
  return { className: name, classCode: number };
}

function names(vendorField: string, deviceField: string): DeviceWords {
  const [vendor, device] = [nameAndNumber(vendorField), nameAndNumber(deviceField)];
  const name = [vendor.name, device.name].filter((part) => part !== undefined).join(' ');
  return { vendor: vendor.number, device: device.number, name: name === '' ? undefined : name };
}

function subsystemWords(vendorField: string, deviceField: string): DeviceWords {
  return { subsystemVendor: nameAndNumber(vendorField).number, subsystem: nameAndNumber(deviceField).number };
}

function nameAndNumber(field: string): { name: string | undefined; number: number | undefined } {
  const both = /^(.*?) ?\[([0-9a-f]{4})\]$/is.exec(field);
  if (both !== null) return { name: both[1] === '' ? undefined : both[1], number: hex(both[2]!) };
  if (/^[0-9a-f]{4}$/i.test(field)) return { name: undefined, number: hex(field) };
  const unnamed = /^(?:Unknown )?(?:[Dd]evice|[Vv]endor|[Cc]lass) ([0-9a-f]{4})$/.exec(field);
  return { name: field === '' ? undefined : field, number: unnamed === null ? undefined : hex(unnamed[1]!) };
}

function numberOf(field: string | undefined): number | undefined {
  return field !== undefined && /^[0-9a-f]{2}$/i.test(field) ? hex(field) : undefined;
}

function hex(text: string): number {
  return Number.parseInt(text, 16);
}
