/** Attributes of a device in sysfs: one file each, or a line that names the file with what is in it. */
import { addressOf, FULL_ADDRESS } from './address.ts';
import type { Cursor } from './cursor.ts';
import type { DeviceDraft } from './draft.ts';
import type { Line } from './lines.ts';
import type { PasteDraft } from './paste-draft.ts';

const ATTRIBUTES: ReadonlySet<string> = new Set(
  'config resource vendor device class revision subsystem_vendor subsystem_device driver iommu_group physfn reset reset_method boot_vga'.split(' '),
);
const FILE = `(${FULL_ADDRESS})/(vendor|device|class|revision|subsystem_vendor|subsystem_device|driver|iommu_group|physfn|reset_method|boot_vga)`;
/** What grep prints of many files, and `ls -l` of links. */
const NAMED = new RegExp(`^\\S*?${FILE}:(?! )(.*)$`, 's');
const LINKED = new RegExp(`${FILE} -> (.*)$`, 's');
const ASKED = new RegExp(`^(?:sudo )?(?:cat|readlink|realpath)(?: -\\w+)? \\S*${FILE}$`);

/** Whether an attribute is one that is looked at. */
export function isAttribute(name: string): boolean {
  return ATTRIBUTES.has(name);
}

/** Reads a line that names an attribute, or answers a command that asked for one. */
export function readAttribute(cursor: Cursor, line: Line, paste: PasteDraft): boolean {
  const named = line.text.includes('/') ? (NAMED.exec(line.text) ?? LINKED.exec(line.text)) : null;
  const asked = named === null && paste.command !== undefined ? ASKED.exec(paste.command) : null;
  const [address, name] = [named?.[1] ?? asked?.[1], named?.[2] ?? asked?.[2]];
  if (address === undefined || name === undefined) return false;
  if (asked !== null && !/^[\w./ -]+$/.test(line.text)) return false;
  paste.enter('sysfs', line);
  takeAttribute(paste.device(address.toLowerCase(), line.number), name, (named?.[3] ?? line.text).trim(), line, paste);
  cursor.next();
  return true;
}

/** Takes what an attribute says, a file's text or where its link leads. */
export function takeAttribute(device: DeviceDraft, name: string, text: string, line: Line, paste: PasteDraft): void {
  const last = text.slice(text.lastIndexOf('/') + 1);
  const value = /^0x[0-9a-f]{1,6}$/i.test(text) ? Number(text) : undefined;
  if (name === 'vendor' || name === 'device') device.say({ [name]: value });
  else if (name === 'class' && value !== undefined) device.say({ classCode: value >>> 8, progIf: value & 0xff });
  else if (name === 'revision') device.say({ revision: value });
  else if (name === 'subsystem_vendor') device.say({ subsystemVendor: value });
  else if (name === 'subsystem_device') device.say({ subsystem: value });
  else if (name === 'driver' && last !== '') device.driver = last;
  else if (name === 'iommu_group' && /^\d{1,9}$/.test(last)) paste.tell(device, Number(last), line, 'sysfs');
  else if (name === 'physfn') device.physfn = addressOf(last);
  else if (name === 'reset_method') device.resetMethods = text.split(/\s+/).filter((method) => method !== '');
  else if (name === 'boot_vga') device.bootVga = text === '1';
  else if (name === 'resource') device.resource = text.split('\n').map((row) => row.trim().split(/\s+/)).filter((row) => row.length === 3);
}
