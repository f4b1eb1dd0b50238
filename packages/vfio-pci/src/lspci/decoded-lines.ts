/** What the lines say that lspci decodes of a function, and how much of it they show. Reference: pciutils 3.13, ls-caps.c and ls-ecaps.c. */
import { PCI_ACS_CR, PCI_ACS_EC, PCI_ACS_RR, PCI_ACS_SV, PCI_ACS_UF } from '../pci/registers.ts';
import type { AcsFacts, SriovFacts } from '../topology/facts.ts';

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
const CAPABILITY = /^Capabilities: \[([0-9a-f]{2,3})(?: v\d+)?\] (.*)$/is;
const U16 = 0xffff;

/** The lines of one function. */
export class DecodedLines {
  readonly #lines: readonly string[];
  readonly #capabilities: readonly (readonly [at: string, text: string])[];

  /** @param lines trimmed, without the heading */
  constructor(lines: readonly string[]) {
    this.#lines = lines;
    this.#capabilities = lines.flatMap((line) => {
      const match = CAPABILITY.exec(line);
      return match === null ? [] : [[match[1]!, match[2]!] as const];
    });
  }

  /** Whether its capabilities are shown, as -v does for root; false without them, for who may not see them, and of a broken chain. */
  get showsCapabilities(): boolean {
    if (this.#lines.some((line) => line.startsWith('Capabilities: <') || line.includes('<chain broken>') || line.includes('<chain looped>'))) return false;
    return this.#capabilities.length > 0 || this.#hasNone;
  }

  /** Whether a capability of the extended space is shown, which lies at 0x100 and above. */
  get showsExtended(): boolean {
    return this.#capabilities.some(([at]) => at.length > 2);
  }

  /** The Device/Port Type; undefined: no PCI Express capability is shown. */
  get expressType(): number | undefined {
    const text = this.#capability(/^Express (?:\(v\d+\) )?(.*)$/is);
    return text === undefined ? undefined : EXPRESS_TYPES.find(([words]) => text.startsWith(words))?.[1];
  }

  /** Whether a PCI Express capability is shown, of whatever type. */
  get namesExpress(): boolean {
    return this.#capability(/^Express(.*)$/is) !== undefined;
  }

  /** Whether an ACS capability is named, with or without its bits. */
  get namesAcs(): boolean {
    return this.#capability(/^Access Control Services(.*)$/is) !== undefined;
  }

  /** The bits of the ACS capability; undefined: they are not shown. */
  get acs(): AcsFacts | undefined {
    const capability = this.#find(/^ACSCap:(.*)$/s)?.[1];
    const control = this.#find(/^ACSCtl:(.*)$/s)?.[1];
    return capability === undefined || control === undefined ? undefined : { capability: acsBits(capability), control: acsBits(control) };
  }

  /** The bus below by the line `Bus:`; null: the line says that there is none; undefined: there is no such line. */
  get secondaryBus(): number | null | undefined {
    const bus = this.#find(/^Bus: primary=[0-9a-f]{2}, secondary=([0-9a-f]{2})/i)?.[1];
    if (bus === undefined) return undefined;
    const number = Number.parseInt(bus, 16);
    return number === 0 ? null : number;
  }

  /** Whether an SR-IOV capability is named. */
  get namesSriov(): boolean {
    return this.#capability(/^Single Root I\/O Virtualization(.*)$/is) !== undefined;
  }

  /** The enabled VFs; null: the capability's registers are shown, and no VF is enabled; undefined: they are not shown, or are no registers of 16 bits. */
  get sriov(): SriovFacts | null | undefined {
    const control = /^IOVCtl:\s*Enable([+-])/;
    const enabled = this.#find(control)?.[1];
    if (enabled === undefined) return undefined;
    const count = Number(this.#find(/\bNumber of VFs: (\d+)/)?.[1] ?? Number.NaN);
    const place = this.#find(/\bVF offset: (\d+), stride: (\d+), Device ID: ([0-9a-f]{4})/i);
    if (enabled === '-') return null;
    if (place === undefined || !(count <= U16)) return undefined;
    const [offset, stride] = [Number(place[1]), Number(place[2])];
    return offset > U16 || stride > U16 ? undefined : { count, offset, stride, device: Number.parseInt(place[3]!, 16) };
  }

  /** How many VFs there can be, and where; undefined: the capability's registers are not shown. */
  get sriovPlace(): { readonly total: number; readonly offset: number; readonly stride: number } | undefined {
    const total = Number(this.#find(/\bTotal VFs: (\d{1,5})\b/)?.[1] ?? Number.NaN);
    const place = this.#find(/\bVF offset: (\d{1,5}), stride: (\d{1,5})\b/i);
    return place === undefined || !(total <= U16) ? undefined : { total, offset: Number(place[1]), stride: Number(place[2]) };
  }

  /** The registers of the header read as ones. */
  get fellOff(): boolean {
    return this.#lines.some((line) => line.startsWith('!!! Unknown header type 7f'));
  }

  /** Linux irq number of the INTx pin; undefined: none is told. */
  get irq(): number | undefined {
    const text = this.#find(/^Interrupt: pin [A-D] routed to IRQ (\d+)/)?.[1] ?? this.#find(/\bIRQ (\d+)\b/)?.[1];
    const number = Number(text ?? Number.NaN);
    return number <= 0x7fff_ffff ? number : undefined;
  }

  /** The registers of the header are decoded, and none of the lines is a capability: the function has no list of them. */
  get #hasNone(): boolean {
    const status = this.#find(/^Status: Cap([+-])/)?.[1];
    if (status !== undefined) return status === '-' && this.#capabilities.length === 0;
    return this.#lines.some((line) => line.startsWith('Flags: ')) && this.#capabilities.length === 0;
  }

  #capability(pattern: RegExp): string | undefined {
    for (const [, text] of this.#capabilities) {
      const match = pattern.exec(text);
      if (match !== null) return match[1];
    }
    return undefined;
  }

  #find(pattern: RegExp): RegExpExecArray | undefined {
    for (const line of this.#lines) {
      const match = pattern.exec(line);
      if (match !== null) return match;
    }
    return undefined;
  }
}

function acsBits(text: string): number {
  return ACS_BITS.reduce((sum, [name, bit]) => (text.includes(`${name}+`) ? sum | bit : sum), 0);
}
