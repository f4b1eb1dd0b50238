/** What lspci says of a device in words: the heading, and the indented lines of `-nnvv`. */
import type { BarKind } from '../pci/bars.ts';
import type { PciFacts } from '../topology/facts.ts';
import { DecodedLines } from './decoded-lines.ts';

/** A range that a device decodes. */
export interface LspciRegion {
  /** 0 to 5, 6 for the expansion ROM. */
  readonly index: number;
  /** Memory of 32 or 64 bits, or ports. */
  readonly kind: BarKind;
  /** As the text says; never so for ports and the ROM. */
  readonly prefetchable: boolean;
  /** First address, in bytes, or first port. */
  readonly address: number;
  /** In bytes; 0: the text does not tell. */
  readonly size: number;
}

const UNITS: Readonly<Record<string, number>> = { '': 1, K: 1024, M: 1024 ** 2, G: 1024 ** 3, T: 1024 ** 4 };
const ROM = 6;
/** Numbers of groups are ints. */
const INT_MAX = 0x7fff_ffff;
/** Addresses have 64 bits. */
const ADDRESSES = 2 ** 64;

export class DecodedText {
  readonly #heading: string;
  readonly #lines: readonly string[];
  readonly #decoded: DecodedLines;

  /** @param heading without the address @param lines the indented ones, trimmed */
  constructor(heading: string, lines: readonly string[]) {
    this.#heading = heading;
    this.#lines = lines;
    this.#decoded = new DecodedLines(lines);
  }

  /** The name, without class and ids. */
  get description(): string {
    const name = /^[^[]*\[[0-9a-f]{4}\]: (.*?)(?: \[[0-9a-f]{4}:[0-9a-f]{4}\].*)?$/is.exec(this.#heading)?.[1];
    return name ?? this.#heading.replace(/^[^:]*: /, '').replace(/ \(rev .*$/s, '');
  }

  get driver(): string | undefined {
    return this.#find(/^Kernel driver in use: (\S+)/)?.[1];
  }

  get iommuGroup(): number | undefined {
    return this.#number(/^IOMMU group: (\d+)/);
  }

  get irq(): number | undefined {
    return this.#decoded.irq;
  }

  get regions(): readonly LspciRegion[] {
    // VF BARs have the same words, among the capabilities.
    const end = this.#lines.findIndex((line) => line.startsWith('Capabilities:'));
    return this.#lines.slice(0, end < 0 ? undefined : end).flatMap((line) => regionOf(line) ?? []);
  }

  /**
   * What the text tells of the function.
   *
   * @param address with its domain
   * @param severalFunctions the slot has more functions than this one
   */
  facts(address: string, severalFunctions: boolean): PciFacts {
    const ids = /\[([0-9a-f]{4}):([0-9a-f]{4})\]/i.exec(this.#heading) ?? /: ([0-9a-f]{4}):([0-9a-f]{4})/i.exec(this.#heading);
    const classCode = /\[([0-9a-f]{4})\]:/i.exec(this.#heading) ?? /^(?:0x)?([0-9a-f]{4})(?:00)?:/i.exec(this.#heading);
    const interface_ = /\(prog-if ([0-9a-f]{2})/i.exec(this.#heading);
    const subsystem = this.#find(/^Subsystem:.*\[([0-9a-f]{4}):([0-9a-f]{4})\]/i) ?? this.#find(/^Subsystem: ([0-9a-f]{4}):([0-9a-f]{4})/i);
    const { secondaryBus, expressType, acs, sriov } = this.#decoded;
    return {
      address,
      vendor: hex(ids?.[1]),
      device: hex(ids?.[2]),
      subsystemVendor: hex(subsystem?.[1]),
      subsystem: hex(subsystem?.[2]),
      class: hex(classCode?.[1]) * 0x100 + hex(interface_?.[1]),
      multifunctionBit: severalFunctions,
      secondaryBus: secondaryBus ?? undefined,
      isBridge: secondaryBus !== undefined,
      expressType,
      acs,
      sriov: sriov ?? undefined,
    };
  }

  #find(pattern: RegExp): RegExpExecArray | undefined {
    for (const line of this.#lines) {
      const match = pattern.exec(line);
      if (match !== null) return match;
    }
    return undefined;
  }

  /** A number that is too large for what it counts is not told. */
  #number(pattern: RegExp): number | undefined {
    const match = this.#find(pattern);
    const value = Number(match?.[1]);
    return match === undefined || value > INT_MAX ? undefined : value;
  }
}

/** `Region 0: Memory at fe800000 (64-bit, prefetchable) [size=16K]`, with or without its number (-v has none: then it is not taken). */
function regionOf(line: string): LspciRegion | undefined {
  const rom = /^(?:\[virtual\] )?Expansion ROM at ([0-9a-f]+)/i.exec(line);
  const region = /^Region (\d): (?:\[virtual\] )?(Memory|I\/O ports) at ([0-9a-f]+)/i.exec(line);
  const size = /\[size=(\d+)([KMGT]?)\]/.exec(line);
  const told = size === null ? 0 : Number(size[1]) * UNITS[size[2]!]!;
  const bytes = told < ADDRESSES ? told : 0;
  if (rom !== null && hex(rom[1]) < ADDRESSES) return { index: ROM, kind: 'mem32', prefetchable: false, address: hex(rom[1]), size: bytes };
  if (region === null || Number.parseInt(region[3]!, 16) >= ADDRESSES) return undefined;
  const kind = region[2]!.toLowerCase() === 'memory' ? (line.includes('64-bit') ? 'mem64' : 'mem32') : 'io';
  const prefetchable = kind !== 'io' && !line.includes('non-prefetchable') && line.includes('prefetchable');
  return { index: Number(region[1]), kind, prefetchable, address: Number.parseInt(region[3]!, 16), size: bytes };
}

function hex(text: string | undefined): number {
  return text === undefined ? 0 : Number.parseInt(text, 16);
}
