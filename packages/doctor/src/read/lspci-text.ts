/** lspci's text: a heading, decoded lines, rows of bytes; alone, or as the members of a listing of groups. */
import { busOf } from './address.ts';
import type { Cursor } from './cursor.ts';
import { decodedWords, isDecoded } from './decoded-line.ts';
import { deviceLine, groupHeading, type DeviceLine } from './device-line.ts';
import type { DeviceDraft, DeviceWords } from './draft.ts';
import { headingWords, nameWords } from './heading.ts';
import type { Line } from './lines.ts';
import { kernelMessage } from './log-stamp.ts';
import type { TextForm } from './paste.ts';
import type { PartDraft, PasteDraft } from './paste-draft.ts';
import { Rows, rowStart } from './rows.ts';
import { startsAnew } from './starts.ts';

/** What no line of lspci begins with below a heading. */
const NEVER_BODY = /^(?:-{2,}|\.\.\.|```|USB:|Bus \d{3} |\/(?:sys|proc|dev|etc|var|boot|home|usr)\b|[|`+\\─└├│]|-\[|<\/?[a-z]+>)/;
/** Register of a bridge. */
const SECONDARY_BUS = 0x19;
/** Lines in which the next one of a device is looked for. */
const LOOK_AHEAD = 4;
const GROUP_AT_END = /[\s([]IOMMU group:? (\d{1,6})[)\]]?$/i;

/** Reads a device that the line names, with what stands below it. */
export function readLspci(cursor: Cursor, line: Line, paste: PasteDraft): boolean {
  const named = deviceLine(line.text);
  if (named === undefined) return false;
  const group = groupOf(named, line, paste);
  const words = wordsOf(named, group !== undefined);
  if (words === undefined) return false;
  const address = named.unnamedBus ? addressByPath(named, paste) : named.address;
  cursor.next();
  if (address === undefined) {
    paste.unread(line.number, line.text, 'the path names no bus, and the bridge above it tells none');
    return true;
  }
  const form: TextForm = group === undefined ? 'lspci' : 'groups';
  const part = paste.enterDevice(form, line, address);
  const device = paste.device(address, line.number);
  // Below a heading `unnamed` may stand for the device's name: what it says is taken whole.
  const contradiction = device.say(words);
  if (contradiction !== undefined) paste.unread(line.number, line.text, contradiction);
  if (named.path !== undefined) device.parent = parentOf(named, paste);
  if (group !== undefined) paste.tell(device, group, line, form);
  if (named.reset) paste.resets(address);
  readBody(cursor, line, device, part, paste);
  return true;
}

/** The group that the line, or the heading above it, gives the device. */
function groupOf(named: DeviceLine, line: Line, paste: PasteDraft): number | undefined {
  // A number alone is that of a group where the command asked for groups.
  const own = named.group ?? (paste.command?.includes('iommu_groups') === true ? named.number : undefined);
  if (own !== undefined) {
    paste.group = { number: own, indent: undefined, gap: false };
    return own;
  }
  const atEnd = GROUP_AT_END.exec(named.rest);
  if (atEnd !== null) return Number(atEnd[1]);
  const { group } = paste;
  if (group === undefined) return undefined;
  if (named.ids !== undefined) return group.number;
  const flushAfterIndented = named.bare && group.indent !== undefined && group.indent > 0 && line.indent === 0;
  const told = paste.part?.form === 'groups' && paste.part.mentions.has(named.address);
  if (flushAfterIndented || (group.gap && told)) {
    paste.group = undefined;
    return undefined;
  }
  group.indent ??= line.indent;
  group.gap = false;
  return group.number;
}

/** What follows the address; undefined: no heading, and no listing in which any words would do. */
function wordsOf(named: DeviceLine, listed: boolean): DeviceWords | undefined {
  const { rest, ids } = named;
  if (!listed) return (named.bare || named.number !== undefined) && rest !== '' && ids === undefined ? headingWords(rest) : undefined;
  const told: DeviceWords = ids === undefined ? {} : { vendor: ids[0], device: ids[1] };
  if (deviceLine(rest) !== undefined) return undefined;
  const words = headingWords(rest);
  if (words !== undefined) return { ...words, ...told };
  const columns = /^(\S+(?: \S+)*) {2,}(\S.*)$/.exec(rest);
  if (columns !== null) return { ...(headingWords(`${columns[1]!}: ${columns[2]!}`) ?? nameWords(columns[2]!)), ...told };
  return { ...nameWords(rest), ...told };
}

/** The bridge that a path ends in. */
function parentOf(named: DeviceLine, paste: PasteDraft): string | undefined {
  return named.unnamedBus ? addressByPath({ ...named, address: named.path!.at(-1)!, path: named.path!.slice(0, -1) }, paste) : named.path!.at(-1);
}

/** `lspci -P` names no buses: each bridge of the path tells the next one. */
function addressByPath(named: Pick<DeviceLine, 'path' | 'address'>, paste: PasteDraft): string | undefined {
  let above: string | undefined;
  for (const step of [...(named.path ?? []), named.address]) {
    if (above === undefined) {
      above = step;
      continue;
    }
    const bridge = paste.known(above);
    const bus = bridge?.decodedBus ?? bridge?.secondaryBus ?? bridge?.config?.[SECONDARY_BUS];
    if (bus === undefined || bus === 0) return undefined;
    above = `${busOf(above).slice(0, -2)}${bus.toString(16).padStart(2, '0')}${step.slice(step.lastIndexOf(':'))}`;
  }
  return above;
}

/** The lines below a heading, to the first that is none of them. */
function readBody(cursor: Cursor, heading: Line, device: DeviceDraft, part: PartDraft, paste: PasteDraft): void {
  const decoded: string[] = [];
  let rows: Rows | undefined;
  let gap = false;
  let some = false;
  let flush = false;
  for (let line = cursor.line; line !== undefined; line = cursor.line) {
    const { text } = line;
    const start = rowStart(text);
    if (start > 0) {
      rows ??= new Rows();
      const why = rows.add(text, start, line.number);
      if (why !== undefined) paste.unread(line.number, text, `${device.address}: ${why}`);
    } else if (text === '') gap = true;
    else if (!isBody(cursor, line, heading, gap, flush)) {
      if (gap || !goesOn(cursor)) break;
      if (flush) decoded.push(text);
      else paste.unread(line.number, text);
    } else {
      const said = decodedWords(text);
      if (said?.whole !== true) decoded.push(text);
      if (said !== undefined) take(said, line, device, part, paste);
      some = true;
      flush ||= line.indent <= heading.indent;
    }
    if (text !== '') part.lastLine = line.last;
    cursor.next();
  }
  if (gap && paste.group !== undefined) paste.group.gap = true;
  if (some) {
    paste.decodes(device.address);
    device.decode(decoded);
  }
  if (rows !== undefined) takeBytes(rows, device, paste);
}

/** @param flush decoded lines have lost their indentation */
function isBody(cursor: Cursor, line: Line, heading: Line, gap: boolean, flush: boolean): boolean {
  const { text } = line;
  const below = line.indent > heading.indent;
  // As lspci has it, and as listings head their groups.
  if (/^IOMMU group: \d+$/.test(text)) return below || flush || deviceLine(cursor.peek(1)?.text ?? '') === undefined;
  if (NEVER_BODY.test(text) || deviceLine(text) !== undefined || groupHeading(text) !== undefined) return false;
  if (isDecoded(text)) return !gap || line.indent > 0 || /^(?:Kernel |Subsystem: |Capabilities: |IOMMU group: )/.test(text);
  if (!below) return false;
  return kernelMessage(text) === undefined;
}

/** Whether a line that is none of lspci's stands among its lines: one of them follows, of the same device. */
function goesOn(cursor: Cursor): boolean {
  if (startsAnew(cursor.line!.text) || NEVER_BODY.test(cursor.line!.text) || groupHeading(cursor.line!.text) !== undefined) return false;
  for (let ahead = 1; ahead <= LOOK_AHEAD; ahead++) {
    const text = cursor.peek(ahead)?.text ?? '';
    if (text === '' || startsAnew(text)) return false;
    if (isDecoded(text) || rowStart(text) > 0) return true;
  }
  return false;
}

function take(said: NonNullable<ReturnType<typeof decodedWords>>, line: Line, device: DeviceDraft, part: PartDraft, paste: PasteDraft): void {
  if (said.driver !== undefined) paste.drives(device.address, said.driver);
  if (said.modules !== undefined) {
    part.showsDrivers = true;
    if (device.modules.length === 0) device.modules = said.modules;
  }
  if (said.group !== undefined) paste.tell(device, said.group, line, part.form);
  if (said.words !== undefined) device.say(said.words);
}

function takeBytes(rows: Rows, device: DeviceDraft, paste: PasteDraft): void {
  const { bytes, line, why } = rows.finish();
  if (why !== undefined) paste.unread(line, device.address, `${device.address} ${why}`);
  if (bytes !== undefined && device.overwrite(bytes)) paste.unread(line, device.address, `${device.address} has other bytes above: the later are used`);
}
