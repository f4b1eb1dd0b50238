/** The heading of a device as lspci prints it: names, numbers, or both. */
import type { DeviceWords } from './draft.ts';

/** `Class name [0300]: Vendor Device [10de:1b81] (rev a1) (prog-if 00 [VGA controller])`, `0300: 10de:1b81 (rev a1)`, or names alone. */
const NUMERIC = /^(?:Class )?(?:0x)?([0-9a-f]{4}): (?:0x)?([0-9a-f]{4}):(?:0x)?([0-9a-f]{4})(?=[\s(]|$)/i;
const BOTH = /^([^[\]:]{0,80}?) ?\[([0-9a-f]{4})\]: */i;
const OLD_CLASS = /^(?:Class |Unknown class )\[?([0-9a-f]{4})\]?: */i;
const NAMED = /^([A-Z0-9][^:[\]"=]{0,70}): +/;
const REVISION = /\(rev ([0-9a-f]{2})\)/i;
const INTERFACE = /\(prog-?if ([0-9a-f]{2})\b/i;
const IDS = /\[([0-9a-f]{4}):([0-9a-f]{4})\]/iy;
/** A device without a name has its number: `Intel Corporation Device 464d`, older `IBM: Unknown device 00e0`, without a vendor's name both. */
const NUMBER_FOR_NAME = /(?:^|\s)(?:Unknown )?[Dd]evice (?:([0-9a-f]{4}):)?([0-9a-f]{4})$/i;

/**
 * What a heading says, which stands behind the address.
 *
 * @returns undefined: it is none
 */
export function headingWords(rest: string): DeviceWords | undefined {
  if (rest === '') return {};
  const numeric = NUMERIC.exec(rest);
  if (numeric !== null) {
    const [whole, classCode, vendor, device] = numeric;
    return { classCode: hex(classCode!), vendor: hex(vendor!), device: hex(device!), ...tail(rest.slice(whole.length)) };
  }
  const named = classOf(rest);
  if (named === undefined) return undefined;
  const { className, classCode, length } = named;
  const behind = rest.slice(length);
  const words: DeviceWords = { className, classCode, ...tail(behind) };
  const cut = behind.search(/\((?:rev [0-9a-f]{2}\)|prog-?if [0-9a-f]{2})/i);
  return { ...words, ...nameWords(cut < 0 ? behind : behind.slice(0, cut)) };
}

/** Vendor, device and name of `NVIDIA Corporation GP104 [GeForce GTX 1070] [10de:1b81]`, with or without ids. */
export function nameWords(text: string): DeviceWords {
  const ids = lastIds(text);
  const name = (ids === undefined ? text : text.slice(0, ids.index)).trim();
  const words: DeviceWords = { name: name === '' ? undefined : name };
  if (ids !== undefined) return { ...words, vendor: hex(ids[1]!), device: hex(ids[2]!) };
  const number = NUMBER_FOR_NAME.exec(name);
  if (number === null) return words;
  return { ...words, device: hex(number[2]!), ...(number[1] === undefined ? {} : { vendor: hex(number[1]) }) };
}

/** The last pair in brackets: names have brackets as well. */
function lastIds(text: string): RegExpExecArray | undefined {
  for (let at = text.lastIndexOf('['); at >= 0; at = at === 0 ? -1 : text.lastIndexOf('[', at - 1)) {
    IDS.lastIndex = at;
    const match = IDS.exec(text);
    if (match !== null) return match;
  }
  return undefined;
}

function classOf(rest: string): { className: string | undefined; classCode: number | undefined; length: number } | undefined {
  const old = OLD_CLASS.exec(rest);
  if (old !== null) return { className: undefined, classCode: hex(old[1]!), length: old[0].length };
  const both = BOTH.exec(rest);
  if (both !== null) return { className: both[1] === '' ? undefined : both[1], classCode: hex(both[2]!), length: both[0].length };
  const named = NAMED.exec(rest);
  return named === null ? undefined : { className: named[1], classCode: undefined, length: named[0].length };
}

function tail(text: string): DeviceWords {
  const [revision, interface_] = [REVISION.exec(text), INTERFACE.exec(text)];
  return {
    ...(revision === null ? {} : { revision: hex(revision[1]!) }),
    ...(interface_ === null ? {} : { progIf: hex(interface_[1]!) }),
  };
}

function hex(text: string): number {
  return Number.parseInt(text, 16);
}
