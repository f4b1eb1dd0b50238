import { PCI_CFG_SPACE_EXP_SIZE, PCI_CFG_SPACE_SIZE, PCI_STD_HEADER_SIZEOF } from '../pci/registers.ts';
import { pciFacts, type PciFacts } from '../topology/facts.ts';
import { PciTopology } from '../topology/topology.ts';
import { DecodedText, type LspciRegion } from './decoded.ts';
import { LspciSyntaxError } from './text-error.ts';

/** One device of a text. */
export interface LspciDevice {
  /** With its domain, `0000` where the text has none. */
  readonly address: string;
  /** Where its heading is, from 1. */
  readonly line: number;
  /** 64, 128, 256 or 4096 bytes; undefined: the text has none. */
  readonly config: Uint8Array | undefined;
  /** What grouping needs of it: from bytes, and from text where those do not reach. */
  readonly facts: PciFacts;
  /** The name as the heading has it, without ids. */
  readonly description: string;
  /** `Kernel driver in use`; undefined: the text names none. */
  readonly driver: string | undefined;
  /** Number of its IOMMU group; undefined: the text tells none. */
  readonly iommuGroup: number | undefined;
  /** Linux irq number of the INTx pin. */
  readonly irq: number | undefined;
  /** BARs and ROM as the text tells them; empty without decoded lines. */
  readonly regions: readonly LspciRegion[];
}

/** With `s`, as everywhere here: a dot that stops at a line separator of Unicode would make what comes before it be tried n times. */
const HEADING = /^(?:([0-9a-f]{4,8}):)?([0-9a-f]{2}):([01][0-9a-f])\.([0-7])(?:\s(.*))?$/is;
const ROW = /^([0-9a-f]{2,3}):(.*)$/is;
/** What lspci says to its standard error, where a terminal's text has both. */
const NOISE = /^(pcilib|lspci): /;
const ROW_BYTES = 16;
const SIZES: readonly number[] = [PCI_STD_HEADER_SIZEOF, 128, PCI_CFG_SPACE_SIZE, PCI_CFG_SPACE_EXP_SIZE];

interface Draft {
  readonly address: string;
  readonly line: number;
  readonly heading: string;
  readonly bytes: number[];
  readonly decoded: string[];
  lastLine: number;
}

/**
 * Reads a machine from lspci's text: `lspci -Dnnvvxxxx`, the same without decoding (`-xxxx`), or the dump that `lspci -F` reads.
 *
 * A device begins with a line of address and name, has decoded lines, which are indented, and rows of bytes. Strict in what carries the
 * machine (addresses, rows of bytes), and lenient in decoded text: what it does not know it passes over.
 *
 * The devices of a text, in its order.
 *
 * @throws LspciSyntaxError
 *
 * @example
 * ```ts
 * import { parseLspci } from '@vsim/vfio-pci';
 *
 * const text = '00:02.0 VGA compatible controller [0300]: Intel Corporation Device [8086:3e92]\n\tKernel driver in use: i915\n';
 * const [device] = parseLspci(text);
 * console.log(device?.facts.address, device?.facts.vendor.toString(16)); // 0000:00:02.0 8086
 * ```
 */
export function parseLspci(text: string): readonly LspciDevice[] {
  const drafts = new Map<string, Draft>();
  let current: Draft | undefined;
  text.split('\n').forEach((source, i) => {
    const line = source.replace(/\r$/, '');
    const number = i + 1;
    if (line.trim() === '' || NOISE.test(line)) return;
    const heading = HEADING.exec(line);
    if (heading !== null) {
      if (current !== undefined) checkComplete(current);
      current = draftOf(heading, number);
      if (drafts.has(current.address)) throw new LspciSyntaxError(number, 1, `${current.address} is there a second time`);
      drafts.set(current.address, current);
    } else if (/^\s/.test(line)) {
      if (current === undefined) throw new LspciSyntaxError(number, 1, 'expected the heading of a device, as "0000:00:02.0 ..."');
      current.decoded.push(line.trim());
    } else {
      const row = ROW.exec(line);
      if (row === null || current === undefined) {
        throw new LspciSyntaxError(number, 1, 'expected the heading of a device, as "0000:00:02.0 ...", an indented line, or a row of bytes, as "00: 86 80 ..."');
      }
      addRow(current, row[1]!, row[2]!, number);
    }
  });
  if (current !== undefined) checkComplete(current);
  if (drafts.size === 0) throw new LspciSyntaxError(1, 1, 'expected the output of lspci, got a text without devices');
  return finish([...drafts.values()]);
}

function draftOf(match: RegExpExecArray, line: number): Draft {
  const [, written = '0000', bus, device, fn, heading = ''] = match;
  const domain = written.replace(/^0+(?=.{4})/, '');
  return { address: `${domain}:${bus!}:${device!}.${fn!}`.toLowerCase(), line, heading: heading.trim(), bytes: [], decoded: [], lastLine: line };
}

function addRow(draft: Draft, offset: string, rest: string, line: number): void {
  const at = Number.parseInt(offset, 16);
  if (at !== draft.bytes.length) {
    throw new LspciSyntaxError(line, 1, `expected the row at ${draft.bytes.length.toString(16).padStart(2, '0')} of ${draft.address}, got ${offset}`);
  }
  const cells = /^((?: [0-9a-f]{2}){0,16})(.*)$/is.exec(rest)!;
  const bytes = cells[1]!.trim().split(' ').filter((cell) => cell !== '');
  const left = cells[2]!;
  const column = offset.length + 2 + cells[1]!.length;
  if (bytes.length < ROW_BYTES) {
    throw new LspciSyntaxError(line, column, `expected ${ROW_BYTES} bytes of two hex digits, got ${bytes.length}${left.trim() === '' ? '' : ` and "${left.trim().slice(0, 12)}"`}`);
  }
  if (left.trim() !== '') throw new LspciSyntaxError(line, column, `expected the end of the row, got "${left.trim().slice(0, 12)}"`);
  draft.bytes.push(...bytes.map((cell) => Number.parseInt(cell, 16)));
  draft.lastLine = line;
  if (draft.bytes.length > PCI_CFG_SPACE_EXP_SIZE) throw new LspciSyntaxError(line, 1, `expected at most ${PCI_CFG_SPACE_EXP_SIZE} bytes for ${draft.address}`);
}

function checkComplete({ address, bytes, lastLine }: Draft): void {
  if (bytes.length === 0 || SIZES.includes(bytes.length)) return;
  throw new LspciSyntaxError(lastLine, 1, `${address} ends after ${bytes.length} bytes; expected ${SIZES.join(', ')}`);
}

/** Whether a device has several functions is told by its siblings where there are no bytes: all drafts are needed. */
function finish(drafts: readonly Draft[]): readonly LspciDevice[] {
  const slots = new Map<string, number>();
  const slotOf = (address: string): string => address.slice(0, address.lastIndexOf('.'));
  for (const { address } of drafts) slots.set(slotOf(address), (slots.get(slotOf(address)) ?? 0) + 1);
  const devices = drafts.map((draft) => {
    const decoded = new DecodedText(draft.heading, draft.decoded);
    const config = draft.bytes.length === 0 ? undefined : Uint8Array.from(draft.bytes);
    const severalFunctions = (slots.get(slotOf(draft.address)) ?? 0) > 1;
    return {
      address: draft.address,
      line: draft.line,
      config,
      facts: factsOf(draft, decoded, config, severalFunctions),
      description: decoded.description,
      driver: decoded.driver,
      iommuGroup: decoded.iommuGroup,
      irq: decoded.irq,
      regions: decoded.regions,
    };
  });
  // Virtual functions are not functions of one device, whatever their numbers look like.
  const topology = new PciTopology(devices.map(({ facts }) => facts));
  return devices.map((device) => {
    const virtual = topology.node(device.address)?.physicalFunction !== undefined;
    return virtual && device.config === undefined ? { ...device, facts: { ...device.facts, multifunctionBit: false } } : device;
  });
}

/** Bytes before text; text for what the bytes do not reach (without root, lspci shows 64) or do not have (a VF's ids). */
function factsOf(draft: Draft, decoded: DecodedText, config: Uint8Array | undefined, severalFunctions: boolean): PciFacts {
  const told = decoded.facts(draft.address, severalFunctions);
  if (config === undefined) return told;
  const facts = pciFacts(draft.address, config);
  const ids = facts.vendor === 0xffff && told.vendor !== 0 ? { vendor: told.vendor, device: told.device } : {};
  if (config.length === PCI_CFG_SPACE_EXP_SIZE) return { ...facts, ...ids };
  return { ...facts, ...ids, expressType: facts.expressType ?? told.expressType, acs: facts.acs ?? told.acs, sriov: facts.sriov ?? told.sriov };
}
