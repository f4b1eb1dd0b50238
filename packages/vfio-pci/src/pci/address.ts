/** Where a function is: domain, bus, device and function numbers. */

const PATTERN = /^([0-9a-f]{4,8}):([0-9a-f]{2}):([01][0-9a-f])\.([0-7])$/;

export class PciAddress {
  readonly domain: number;
  readonly bus: number;
  /** Device number in bits 7:3, function number in bits 2:0. */
  readonly devfn: number;

  /** @param text `0000:00:02.0`, in lower case. @throws RangeError */
  constructor(text: string) {
    const match = PATTERN.exec(text);
    if (match === null) throw new RangeError(`"address" expected domain:bus:device.function in hex, as 0000:00:02.0, got ${text}`);
    this.domain = Number.parseInt(match[1]!, 16);
    this.bus = Number.parseInt(match[2]!, 16);
    this.devfn = (Number.parseInt(match[3]!, 16) << 3) | Number.parseInt(match[4]!, 16);
  }

  get device(): number {
    return this.devfn >> 3;
  }

  get function(): number {
    return this.devfn & 7;
  }

  /** The requester id of its transactions. */
  get requester(): number {
    return (this.bus << 8) | this.devfn;
  }
}

/** The text of an address: `0000:00:02.0`. */
export function formatAddress(domain: number, requester: number): string {
  const hex = (value: number, digits: number): string => value.toString(16).padStart(digits, '0');
  return `${hex(domain, 4)}:${hex(requester >> 8, 2)}:${hex((requester >> 3) & 0x1f, 2)}.${requester & 7}`;
}
