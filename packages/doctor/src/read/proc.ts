/** Files of /proc and their like: the kernel's parameters and version, its map of memory, the CPU, the IOMMU's units. */
import type { Cursor } from './cursor.ts';
import type { Line } from './lines.ts';
import type { IomemRange } from './paste.ts';
import type { PasteDraft } from './paste-draft.ts';

const RANGE = /^([0-9a-f]{8,16})-([0-9a-f]{8,16}) : (.+)$/i;
const LABEL = /^(?:ProcKernelCmdLine|ProcCmdLine|[Cc]mdline|parameters|Parameters): */;
const PARAMETERS = /^(?:(?:ProcKernelCmdLine|ProcCmdLine|[Cc]mdline|parameters|Parameters): *)?(?:BOOT_IMAGE=|initrd=[\\/(]|root=(?:UUID|PARTUUID|LABEL|ZFS|\/dev)\b)\S* ?/;
const UNAME = /^Linux \S+ (\d+\.\d+\S*) #\d.*$/s;
/** How reports name the running kernel: Proxmox, apport, inxi and their like. */
const RUNNING = /^(?:\S+ .{0,40}\(running kernel: (\d+\.\d+[^\s)]*)\)|(?:Uname: Linux|Kernel Version:|Kernel:|Linux kernel:) ?(\d+\.\d+\.\d+\S*)(?: .*)?)$/;
const VERSION = /^\d+\.\d+\.\d+[\w.+~-]*$/;
const CPU = /^(?:vendor_id|Vendor ID|model name|Model name|CPU implementer|Anbieterkennung|Modellname|Identifiant constructeur)\s*:\s*(.*)$/s;
const UNIT = /(?:^|\s)([\w.:-]+) -> \S*\/iommu\/([\w.:-]+)$/;
const UNIT_NAMES = /^(?:(?:dmar|ivhd|smmu3?\.|arm-smmu)[\w.:-]*@?(?:\s+|$))+$/;
/** Beyond 2^53 a number says no place exactly. */
const MOST_DIGITS = 16;

/** Reads one of these files, or lines of it. */
export function readProc(cursor: Cursor, line: Line, paste: PasteDraft): boolean {
  const read = readIomem(cursor, line, paste) || readParameters(line, paste) || readVersion(line, paste) || readCpu(line, paste) || readUnits(line, paste);
  if (read && cursor.line === line) cursor.next();
  return read;
}

/** A map of memory: a range is nested in those above it that hold it. */
function readIomem(cursor: Cursor, line: Line, paste: PasteDraft): boolean {
  if (!RANGE.test(line.text)) return false;
  const around: IomemRange[] = [];
  let hidden = false;
  for (let next: Line | undefined = line; next !== undefined; next = cursor.line) {
    const match = RANGE.exec(next.text);
    if (match === null) break;
    paste.enter('iomem', next);
    const [start, end] = [Number.parseInt(match[1]!, 16), Number.parseInt(match[2]!, 16)];
    if (end === 0) hidden = true;
    else if (match[2]!.length <= MOST_DIGITS && Number.isSafeInteger(start) && Number.isSafeInteger(end)) {
      while (around.length > 0 && !(around.at(-1)!.start <= start && end <= around.at(-1)!.end)) around.pop();
      const range = { start, end, owner: match[3]!, depth: around.length, line: next.number };
      paste.iomem.push(range);
      around.push(range);
    }
    cursor.next();
  }
  if (hidden) paste.unread(line.number, line.text, '/proc/iomem shows no addresses to ordinary users');
  return true;
}

function readParameters(line: Line, paste: PasteDraft): boolean {
  const own = paste.command !== undefined && paste.command.includes('/proc/cmdline') && paste.machine.cmdline === undefined && / |^\w+=/.test(line.text);
  if (!own && !PARAMETERS.test(line.text)) return false;
  paste.enter('cmdline', line);
  takeParameters(line.text.replace(LABEL, ''), paste);
  return true;
}

/** Takes the kernel's parameters; the name of its file may tell its version. */
export function takeParameters(text: string, paste: PasteDraft): void {
  paste.machine.cmdline = text;
  const version = /(?:^|\s)(?:BOOT_IMAGE|initrd)=\S*?(?:vmlinuz|vmlinux|bzImage|Image|initrd\.img)-(\d+\.\d+[\w.+~-]*)/.exec(text)?.[1];
  paste.machine.kernel ??= version?.replace(/\.(?:efi|img|gz)$/, '');
}

function readVersion(line: Line, paste: PasteDraft): boolean {
  const all = UNAME.exec(line.text) ?? RUNNING.exec(line.text);
  const asked = paste.command !== undefined && /\buname\b/.test(paste.command);
  if (all === null && !(asked && VERSION.test(line.text))) return false;
  paste.enter('uname', line);
  paste.machine.kernel = all?.[1] ?? all?.[2] ?? line.text;
  if (/\b(?:aarch64|armv\d\w*)\b/.test(line.text)) paste.machine.cpu ??= 'arm';
  return true;
}

function readCpu(line: Line, paste: PasteDraft): boolean {
  const match = CPU.exec(line.text);
  const asked = paste.command !== undefined && /\blscpu\b|\/proc\/cpuinfo/.test(paste.command);
  if (match !== null) paste.machine.cpu ??= vendorOf(match[1]!);
  return match !== null || (asked && /^[^:]{1,60}:/.test(line.text));
}

function vendorOf(text: string): 'intel' | 'amd' | 'arm' | undefined {
  if (/GenuineIntel|Intel\(R\)/.test(text)) return 'intel';
  if (/AuthenticAMD|^AMD /.test(text)) return 'amd';
  return /^ARM\b|Cortex|Neoverse|^0x41$/.test(text) ? 'arm' : undefined;
}

/** What /sys/class/iommu has. */
function readUnits(line: Line, paste: PasteDraft): boolean {
  const link = line.text.includes(' -> ') ? UNIT.exec(line.text) : null;
  if (link === null && !UNIT_NAMES.test(line.text)) return false;
  paste.enter('sysfs', line);
  const names = link === null ? line.text.split(/\s+/).map((name) => name.replace(/@$/, '')) : [link[2]!];
  paste.units ??= new Set();
  for (const name of names) paste.units.add(name);
  return true;
}
