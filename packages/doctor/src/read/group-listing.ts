/** Listings of IOMMU groups: headings, and paths of sysfs, as find, ls, tree and scripts print them. */
import { addressOf, FULL_ADDRESS } from './address.ts';
import type { Cursor } from './cursor.ts';
import { groupHeading } from './device-line.ts';
import type { Line } from './lines.ts';
import type { PasteDraft } from './paste-draft.ts';

const MEMBER_PATH = new RegExp(`(?:iommu_groups/|^(?:\\./)?)(\\d{1,9})/devices/(${FULL_ADDRESS})`, 'g');
const FOLDER = /iommu_groups\/(\d{1,9})(?:\/devices)?\/?:$/;
/** Characters, with a mark of ls behind it. */
const LONGEST_ADDRESS = 20;
const LINKED = new RegExp(`(${FULL_ADDRESS})@?$`);
const NAMES = new RegExp(`^(?:${FULL_ADDRESS}@?/?\\s*)+$`);
const TREE_NUMBER = /^[\s|`\u2502\u251c\u2514\u2500+-]+(\d{1,9})$/;
const ARROW = new RegExp(`(${FULL_ADDRESS}) ?\\(IOMMU group (\\d{1,9})\\)$`, 'i');
/** What such listings have besides: USB devices, sums, folders that are always there. */
const BESIDES =
  /^(?:USB:|Bus \d{1,3} (?:Device|-->)|total \d+$|(?:insgesamt|total|razem|totale) \d+$|[\s|`\u2502\u251c\u2514\u2500+-]*(?:devices|reserved_regions|type|name)$|\d+ director(?:y|ies)\b|\/sys\/kernel\/iommu_groups\/?:?$|[dl-][rwx-]{9}[.+]? )/;

/** Reads the heading of a group, or a line with paths of groups. */
export function readGroups(cursor: Cursor, line: Line, paste: PasteDraft): boolean {
  const { text } = line;
  if ((text.includes('iommu_group') || text.includes('/devices/')) && readPaths(line, paste)) {
    cursor.next();
    return true;
  }
  const number = groupHeading(text) ?? folderNumber(text, paste);
  if (number !== undefined) {
    paste.enter('groups', line);
    paste.group = { number, indent: undefined, gap: false };
    cursor.next();
    return true;
  }
  if (readMember(line, paste) || readMissing(line, paste) || isBesides(line, paste)) {
    cursor.next();
    return true;
  }
  return false;
}

function readPaths(line: Line, paste: PasteDraft): boolean {
  const { text } = line;
  const members = [...text.matchAll(MEMBER_PATH)];
  for (const [, number, address] of members) tell(line, paste, address!, Number(number));
  if (members.length > 0) {
    readLink(text, line, paste);
    return true;
  }
  if (/^\/sys\/kernel\/iommu_groups\/?:?$/.test(text)) {
    paste.enter('groups', line);
    return true;
  }
  const folder = FOLDER.exec(text);
  if (folder === null) return false;
  paste.enter('groups', line);
  paste.group = { number: Number(folder[1]), indent: undefined, gap: false };
  return true;
}

/** The number of a folder that `tree` shows. */
function folderNumber(text: string, paste: PasteDraft): number | undefined {
  const match = TREE_NUMBER.exec(text);
  return match !== null && paste.part?.form === 'groups' ? Number(match[1]) : undefined;
}

/** A link in a folder, names in columns, or an arrow of a script. */
function readMember(line: Line, paste: PasteDraft): boolean {
  const { text } = line;
  const arrow = text.endsWith(')') ? ARROW.exec(text) : null;
  if (arrow !== null) {
    tell(line, paste, arrow[1]!, Number(arrow[2]));
    return true;
  }
  if (readLink(text, line, paste)) return true;
  const { group } = paste;
  if (group === undefined || !NAMES.test(text)) return false;
  for (const name of text.split(/\s+/)) tell(line, paste, name.replace(/[@/]+$/, ''), group.number);
  return true;
}

/** Where a link leads tells the bridge above the device. */
function readLink(text: string, line: Line, paste: PasteDraft): boolean {
  const arrow = text.indexOf(' -> ');
  if (arrow < 0) return false;
  const address = LINKED.exec(text.slice(Math.max(0, arrow - LONGEST_ADDRESS), arrow))?.[1]?.toLowerCase();
  const steps = text.slice(arrow + 4).split('/');
  const root = steps.findLastIndex((step) => /^pci[0-9a-f]{4,8}:[0-9a-f]{2}$/i.test(step));
  const path = root < 0 ? [] : steps.slice(root + 1).map((step) => addressOf(step));
  if (address === undefined || path.at(-1) !== address) return false;
  paste.enter('groups', line);
  const device = paste.device(address, line.number);
  device.parent = path.at(-2) ?? null;
  if (paste.group !== undefined) paste.tell(device, paste.group.number, line, 'groups');
  return true;
}

/** There are no groups where the folder has none, or is not there; units of the IOMMU likewise. */
function readMissing(line: Line, paste: PasteDraft): boolean {
  const { text } = line;
  if (/^[\d\s]+$/.test(text) && paste.command !== undefined && /\bls\b.{0,80} \/sys\/kernel\/iommu_groups\/?(?: |$)/.test(paste.command)) {
    paste.enter('groups', line);
    paste.machine.hasGroups = true;
    return true;
  }
  const missing = /^(?:\/bin\/)?(?:ls|find|tree|cat|bash|-bash): .{0,60}\/sys\/(kernel\/iommu_groups|class\/iommu)\b.{0,40}: No such file/.exec(text)?.[1];
  if (missing === undefined) return false;
  paste.enter('groups', line);
  if (missing === 'class/iommu') paste.units ??= new Set();
  else paste.machine.hasGroups ??= false;
  return true;
}

function tell(line: Line, paste: PasteDraft, address: string, number: number): void {
  paste.enter('groups', line);
  paste.tell(paste.device(address.toLowerCase(), line.number), number, line, 'groups');
}

function isBesides({ text }: Line, paste: PasteDraft): boolean {
  return (paste.part?.form === 'groups' || paste.command !== undefined || text.startsWith('USB:')) && BESIDES.test(text);
}
