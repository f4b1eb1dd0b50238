const PATTERN = /^([0-9a-f]{4,8}):([0-9a-f]{2}):([01][0-9a-f])\.([0-7])$/;

/** Where a function is: domain, bus, device and function numbers. */
export class PciAddress {
  /** The domain, which the specifications call segment: 16 bits, or up to 32 as Linux numbers domains of its own. */
  readonly domain: number;
  /** Bus number, 0 to 255. */
  readonly bus: number;
  /** Device number in bits 7:3, function number in bits 2:0. */
  readonly devfn: number;

  /** @param text `0000:00:02.0`, in lower case @throws RangeError for another text */
  constructor(text: string) {
    const match = PATTERN.exec(text);
    if (match === null) throw new RangeError(`"address" expected domain:bus:device.function in hex, as 0000:00:02.0, got ${text}`);
    this.domain = Number.parseInt(match[1]!, 16);
    this.bus = Number.parseInt(match[2]!, 16);
    this.devfn = (Number.parseInt(match[3]!, 16) << 3) | Number.parseInt(match[4]!, 16);
  }

  /** Device number, 0 to 31. */
  get device(): number {
    return this.devfn >> 3;
  }

  /** Function number, 0 to 7. */
  get function(): number {
    return this.devfn & 7;
  }

  /** The requester id of its transactions, 16 bits: bus number in bits 15:8, devfn in bits 7:0. */
  get requester(): number {
    return (this.bus << 8) | this.devfn;
  }
}

/**
 * The text of an address: `0000:00:02.0`.
 *
 * @param domain up to 32 bits
 * @param requester bus number in bits 15:8, device in 7:3, function in 2:0
 */
export function formatAddress(domain: number, requester: number): string {
  const hex = (value: number, digits: number): string => value.toString(16).padStart(digits, '0');
  return `${hex(domain, 4)}:${hex(requester >> 8, 2)}:${hex((requester >> 3) & 0x1f, 2)}.${requester & 7}`;
}
