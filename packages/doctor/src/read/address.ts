/** Addresses of PCI functions, as texts have them. */

/** Source of a pattern with four groups: domain, which may be left out, bus, device, function. */
export const ADDRESS = '(?:([0-9a-fA-F]{4,8}):)?([0-9a-fA-F]{2}):([01][0-9a-fA-F])\\.([0-7])(?![0-9a-fA-F])';
/** The same with the domain, which is demanded, and no groups. */
export const FULL_ADDRESS = '[0-9a-fA-F]{4,8}:[0-9a-fA-F]{2}:[01][0-9a-fA-F]\\.[0-7](?![0-9a-fA-F])';

const WHOLE = new RegExp(`^${ADDRESS}$`);

/** The address with its domain, lower case: `01:00.0` gives `0000:01:00.0`; undefined for anything else. */
export function addressOf(text: string): string | undefined {
  const match = WHOLE.exec(text);
  return match === null ? undefined : joined(match[1], match[2]!, match[3]!, match[4]!);
}

/** The address of four parts; a domain of more than 16 bits has as many digits as it needs. */
export function joined(domain: string | undefined, bus: string, device: string, fn: string): string {
  const written = domain === undefined ? '0000' : domain.replace(/^0+(?=.{4})/, '');
  return `${written}:${bus}:${device}.${fn}`.toLowerCase();
}

/** The address of four numbers, from XML: `domain` of 32 bits, `bus` of 8, `device` of 5, `fn` of 3; undefined if one is out of range. */
export function addressOfNumbers(domain: number, bus: number, device: number, fn: number): string | undefined {
  if (![domain, bus, device, fn].every((part) => Number.isInteger(part) && part >= 0)) return undefined;
  if (domain > 0xffff_ffff || bus > 0xff || device > 0x1f || fn > 7) return undefined;
  return `${hex(domain, 4)}:${hex(bus, 2)}:${hex(device, 2)}.${fn}`;
}

/** `0000:01` of `0000:01:00.0`. */
export function busOf(address: string): string {
  return address.slice(0, address.lastIndexOf(':'));
}

/** A number that sorts as lspci does: by domain, bus, device, function. */
export function orderOf(address: string): number {
  const [domain, bus, slot] = address.split(':');
  return Number.parseInt(domain!, 16) * 0x1_0000 + Number.parseInt(bus!, 16) * 0x100 + Number.parseInt(slot!.slice(0, 2), 16) * 8 + Number(slot!.slice(3));
}

function hex(value: number, digits: number): string {
  return value.toString(16).padStart(digits, '0');
}
