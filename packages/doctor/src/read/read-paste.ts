/** Reads whatever people paste. */
import { findErrors } from '../errors/index.ts';
import { readAttribute } from './attributes.ts';
import { commandOf, isPrompted, isScript } from './command.ts';
import { Cursor, type Recogniser } from './cursor.ts';
import { readGroups } from './group-listing.ts';
import { readKernelLog } from './kernel-log.ts';
import { readJson } from './json-text.ts';
import type { Line } from './lines.ts';
import { readQuoted, readRecord } from './lspci-machine.ts';
import { readLspci } from './lspci-text.ts';
import { readTreeText } from './lspci-tree.ts';
import { readNodedev, readNodedevList } from './nodedev.ts';
import type { Paste } from './paste.ts';
import { PasteDraft } from './paste-draft.ts';
import { readProc } from './proc.ts';
import { readPveshTable, readPveshYaml } from './pvesh.ts';
import { logicalLines } from './wraps.ts';

/** In this order: what is surer comes first. */
const RECOGNISERS: readonly Recogniser[] = [
  readStamped,
  readTreeText,
  readQuoted,
  readRecord,
  readLspci,
  readPveshTable,
  readAttribute,
  readGroups,
  readNodedev,
  readNodedevList,
  readJson,
  readPveshYaml,
  readCommand,
  readProc,
  readKernelLog,
  readNoise,
];

/** Lines that nobody knows are looked up among all known errors, which takes long: those that may be one, and not more of them. */
const SHORTEST_ERROR = 12;
const MOST_TRIED = 4000;

/** Longer lines are a whole document without its line ends, or nothing that is known. */
const LONGEST = 4096;
const FOR_LONG: readonly Recogniser[] = [readNodedev, readJson];

/** What stands between texts and says nothing: fences, what was left out, lspci's complaints. */
const NOISE = /^(?:[╭┌]─[^│]*[@~][^│]*|```\w*|~~~\w*|-{2,}|={3,}|_{3,}|\*{3,}|\(?\[?(?:\.{3,}|\u2026)\]?\)?|(?:pcilib|lspci): .*|\[?(?:snip|\.\.\. snip|cut)[\]. ]*.*|-- (?:Logs begin|Journal begins|Boot|No entries).*)$/i;

/**
 * Reads what somebody pasted: any output of lspci, listings of IOMMU groups, messages of the kernel, libvirt's and Proxmox's lists, files of /proc, in
 * any order, with what terminals, mail and forums did to them. What is not understood is named by its line; nothing is concluded. Any text is read, in time and room that its length bounds.
 *
 * @example
 * ```ts
 * import { readPaste } from '@vsim/doctor';
 *
 * const { devices, unread } = readPaste('$ lspci -nnk\n01:00.0 VGA compatible controller [0300]: NVIDIA Corporation GP104 [10de:1b81] (rev a1)\n\tKernel driver in use: nouveau\nPlease help!\n');
 * console.log(devices[0]?.address, devices[0]?.driver, unread[0]?.line); // 0000:01:00.0 nouveau 4
 * ```
 */
export function readPaste(text: string): Paste {
  const paste = new PasteDraft();
  readInto(paste, text);
  return paste.finish();
}

/** Reads a text into a paste that may have more. @param place the number that all its lines have, from 1; undefined: their own */
export function readInto(paste: PasteDraft, text: string, place?: number): void {
  const lines = logicalLines(text);
  const last = lines.at(-1);
  const cursor = new Cursor(place === undefined ? lines : lines.map((line) => ({ ...line, number: place, last: place })));
  for (let line = cursor.line; line !== undefined; line = cursor.line) {
    if (line.text === '') {
      if (paste.group !== undefined) paste.group.gap = true;
      cursor.next();
    } else if (!recognised(cursor, line, paste) && !readError(cursor, line, paste)) {
      paste.unread(line.number, line.text, straying(line));
      // What follows may be another command's.
      paste.stray();
      paste.group = undefined;
      cursor.next();
    }
  }
  // A text that stops in the middle of a device may have lost its driver's line.
  if (last !== undefined && last.indent > 0 && last.text !== '' && !last.text.startsWith('Kernel ')) paste.stray();
}

function recognised(cursor: Cursor, line: Line, paste: PasteDraft): boolean {
  return (line.text.length > LONGEST ? FOR_LONG : RECOGNISERS).some((recognise) => recognise(cursor, line, paste));
}

/** A time stamp of the kernel is nothing else. */
function readStamped(cursor: Cursor, line: Line, paste: PasteDraft): boolean {
  return /^(?:<\d|\[ {0,8}\d)/.test(line.text) && readKernelLog(cursor, line, paste);
}

function readCommand(cursor: Cursor, line: Line, paste: PasteDraft): boolean {
  const command = commandOf(line.text);
  if (command === undefined && !isScript(line.text)) return false;
  if (command !== undefined) paste.begin(command === '' ? undefined : command, isPrompted(line.text));
  cursor.next();
  return true;
}

/** What programs print when passthrough fails stands with the kernel's messages. */
function readError(cursor: Cursor, line: Line, paste: PasteDraft): boolean {
  if (line.text.length < SHORTEST_ERROR || ++paste.triedAsErrors > MOST_TRIED || findErrors(line.text).length === 0) return false;
  paste.log.push({ line: line.number, text: line.text, address: undefined });
  cursor.next();
  return true;
}

function readNoise(cursor: Cursor, line: Line, paste: PasteDraft): boolean {
  if (!NOISE.test(line.text)) return false;
  if (paste.part !== undefined && /^(?:--|\(?\[?(?:\.{3}|\u2026)|\[?snip|\[?cut)/i.test(line.text)) paste.part.cut = true;
  cursor.next();
  return true;
}

/** Why a line of lspci cannot be used that stands below no device. */
function straying({ text }: Line): string | undefined {
  return /^[0-9a-f]{2,3}: [0-9a-f]{2} /i.test(text) ? 'a row of bytes without the device above it' : undefined;
}
