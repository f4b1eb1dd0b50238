/** What lspci says of a device in words: the heading, and the indented lines of `-nnvv`. */
import { PCI_ACS_CR, PCI_ACS_EC, PCI_ACS_RR, PCI_ACS_SV, PCI_ACS_UF } from '../pci/registers.ts';
import type { BarKind } from '../pci/bars.ts';
import type { AcsFacts, PciFacts, SriovFacts } from '../topology/facts.ts';

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

/** Device/Port Types by lspci's words. */
const EXPRESS_TYPES: readonly (readonly [words: string, type: number])[] = [
  ['Legacy Endpoint', 1],
  ['Endpoint', 0],
  ['Root Port', 4],
  ['Upstream Port', 5],
  ['Downstream Port', 6],
  ['PCI-Express to PCI/PCI-X Bridge', 7],
  ['PCI/PCI-X to PCI-Express Bridge', 8],
  ['Root Complex Integrated Endpoint', 9],
  ['Root Complex Event Collector', 10],
];
const ACS_BITS: readonly (readonly [name: string, bit: number])[] = [
  ['SrcValid', PCI_ACS_SV],
  ['ReqRedir', PCI_ACS_RR],
  ['CmpltRedir', PCI_ACS_CR],
  ['UpstreamFwd', PCI_ACS_UF],
  ['EgressCtrl', PCI_ACS_EC],
];
const UNITS: Readonly<Record<string, number>> = { '': 1, K: 1024, M: 1024 ** 2, G: 1024 ** 3, T: 1024 ** 4 };
const ROM = 6;
/** Registers of an SR-IOV capability have 16 bits; numbers of interrupts and groups are ints. */
const U16 = 0xffff;
const INT_MAX = 0x7fff_ffff;
/** Addresses have 64 bits. */
const ADDRESSES = 2 ** 64;

export class DecodedText {
  readonly #heading: string;
  readonly #lines: readonly string[];

  /** @param heading without the address @param lines the indented ones, trimmed */
  constructor(heading: string, lines: readonly string[]) {
    this.#heading = heading;
    this.#lines = lines;
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
    return this.#number(/^Interrupt: pin [A-D] routed to IRQ (\d+)/) ?? this.#number(/\bIRQ (\d+)\b/);
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
    const bus = this.#find(/^Bus: primary=[0-9a-f]{2}, secondary=([0-9a-f]{2})/i)?.[1];
    const secondary = bus === undefined ? 0 : hex(bus);
    return {
      address,
      vendor: hex(ids?.[1]),
      device: hex(ids?.[2]),
      subsystemVendor: hex(subsystem?.[1]),
      subsystem: hex(subsystem?.[2]),
      class: hex(classCode?.[1]) * 0x100 + hex(interface_?.[1]),
      multifunctionBit: severalFunctions,
      secondaryBus: secondary === 0 ? undefined : secondary,
      isBridge: bus !== undefined,
      expressType: this.#expressType(),
      acs: this.#acs(),
      sriov: this.#sriov(),
    };
  }

  #expressType(): number | undefined {
    const text = this.#find(/^Capabilities: \[[0-9a-f]+\] Express (?:\(v\d+\) )?(.*)$/is)?.[1];
    return text === undefined ? undefined : EXPRESS_TYPES.find(([words]) => text.startsWith(words))?.[1];
  }

  #acs(): AcsFacts | undefined {
    const capability = this.#find(/^ACSCap:(.*)$/s)?.[1];
    const control = this.#find(/^ACSCtl:(.*)$/s)?.[1];
    return capability === undefined || control === undefined ? undefined : { capability: flags(capability), control: flags(control) };
  }

  #sriov(): SriovFacts | undefined {
    const enabled = this.#find(/^IOVCtl:\s*Enable([+-])/)?.[1] === '+';
    const count = this.#number(/\bNumber of VFs: (\d+)/, U16);
    const place = this.#find(/\bVF offset: (\d+), stride: (\d+), Device ID: ([0-9a-f]{4})/i);
    if (!enabled || count === undefined || place === undefined) return undefined;
    const [offset, stride] = [Number(place[1]), Number(place[2])];
    return offset > U16 || stride > U16 ? undefined : { count, offset, stride, device: hex(place[3]) };
  }

  #find(pattern: RegExp): RegExpExecArray | undefined {
    for (const line of this.#lines) {
      const match = pattern.exec(line);
      if (match !== null) return match;
    }
    return undefined;
  }

  /** A number that is too large for what it counts is not told. */
  #number(pattern: RegExp, most = INT_MAX): number | undefined {
    const match = this.#find(pattern);
    const value = Number(match?.[1]);
    return match === undefined || value > most ? undefined : value;
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

function flags(text: string): number {
  return ACS_BITS.reduce((sum, [name, bit]) => (text.includes(`${name}+`) ? sum | bit : sum), 0);
}

function hex(text: string | undefined): number {
  return text === undefined ? 0 : Number.parseInt(text, 16);
}
