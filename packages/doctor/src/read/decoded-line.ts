/** The lines that lspci prints below a heading: which are ones, and what they say that a device has a field for. */
import { nameWords } from './heading.ts';
import type { DeviceWords } from './draft.ts';

/** How they begin, where their indentation is lost: words that a colon ends, and few others. */
const KEYS = [
  'DeviceName|Device Name|Subsystem|Physical Slot|Device tree node|Control|Status|Latency|Interrupt|NUMA node|IOMMU group|Region \\d|Secondary status|BridgeCtl|Bus|Capabilities',
  'Kernel driver in use|Kernel modules?|Flags|Power|BIST|BAR \\d|Address|Masking|Vector table|PBA|Product Name|Read-only fields|Not readable|Max (?:no )?snoop latency|Changed|Arb',
  'Ctrl|Caps|HeaderLog|ErrorSrc|Initial VFs|VF offset|VF Migration|Supported Page Size|(?:Memory|I/O|Prefetchable memory) behind bridge|Transmit Margin|Compliance De-emphasis',
  '[A-Z][A-Za-z0-9]{1,18}(?:Cap|Ctl|Sta|Msk|Svrt|Cmd|Err|Config|Ctrl|Status)\\d?',
  '(?:Dev|Lnk|Slt|Root|Bridge|UE|CE|AER|ACS|ARI|ATS|PRI|PASID|IOV|L1Sub|DPC|PTM|VC|AF|MSI|DVSEC|HT)[A-Za-z]{0,14}\\d?',
];
const KNOWN = new RegExp(`^(?:(?:${KEYS.join('|')}) ?:|!!! |Expansion ROM at|\\[virtual\\] |Memory at|I/O ports at|Slot #\\d)`);
/** `SrcValid+ TransBlk-`, `BAR=4`: bits and numbers. */
const BITS = /^(?:[<>]?[A-Za-z0-9.()_/-]{1,40}[+-](?:[\s,;]|$)|[A-Za-z]\w{0,20}=[0-9a-f])/i;
const DRIVER = /^Kernel driver in use: *(\S+)/;
const OLD_DRIVER = /^Kernel driver in use *: *(\S+)/i;
const MODULES = /^Kernel modules?: *(\S.*)$/;
const GROUP = /^IOMMU group:? *(\d{1,10})$/i;
const GROUP_IN_FLAGS = /^Flags: .*\bIOMMU group (\d{1,10})\b/;
const SUBSYSTEM = /^Subsystem: *(\S.*)$/;
const NUMBERS = /^([0-9a-f]{4}):([0-9a-f]{4})$/i;

/** Whether a line that is not indented is one of them. */
export function isDecoded(text: string): boolean {
  return KNOWN.test(text) || BITS.test(text);
}

/** What one of them says for a field of the device. */
export interface DecodedWords {
  readonly driver?: string;
  readonly modules?: readonly string[];
  readonly group?: number;
  readonly words?: DeviceWords;
  /** The field has all that the line says. */
  readonly whole: boolean;
}

const KERNEL = 75;
const IOMMU = 73;
const FLAGS = 70;
const SUB = 83;

/** What a line says for fields of the device; undefined: nothing. */
export function decodedWords(text: string): DecodedWords | undefined {
  const first = text.charCodeAt(0);
  if (first === KERNEL) {
    const driver = DRIVER.exec(text) ?? OLD_DRIVER.exec(text);
    if (driver !== null) return { driver: driver[1]!, whole: true };
    const modules = MODULES.exec(text);
    return modules === null ? undefined : { modules: modules[1]!.split(/[\s,]+/).filter((name) => name !== ''), whole: true };
  }
  if (first === IOMMU) {
    const group = GROUP.exec(text);
    return group === null ? undefined : { group: Number(group[1]), whole: true };
  }
  if (first === FLAGS) {
    const group = GROUP_IN_FLAGS.exec(text);
    return group === null ? undefined : { group: Number(group[1]), whole: false };
  }
  const subsystem = first === SUB ? SUBSYSTEM.exec(text) : null;
  if (subsystem === null) return undefined;
  const numbers = NUMBERS.exec(subsystem[1]!);
  if (numbers !== null) return { words: { subsystemVendor: Number.parseInt(numbers[1]!, 16), subsystem: Number.parseInt(numbers[2]!, 16) }, whole: true };
  const { vendor, device, name } = nameWords(subsystem[1]!);
  return { words: { subsystemVendor: vendor, subsystem: device }, whole: vendor !== undefined && name === undefined };
}
