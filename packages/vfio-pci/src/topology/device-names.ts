/**
 * What an id may be by its name: lspci without -n prints names of the pci.ids list and no ids.
 *
 * Not modelled: names from before 2015; a device that has one of these is taken for one that no table has.
 */
import { NAMED_DEVICES, NAMED_VENDORS } from './named-ids.ts';

/** Ids that a name may stand for. */
export interface NamedId {
  /** Vendor ID, 16 bits. */
  readonly vendor: number;
  /** Device ID, 16 bits; undefined: none that a rule of the grouping names. */
  readonly device: number | undefined;
}

const VENDORS: ReadonlyMap<string, readonly number[]> = new Map(NAMED_VENDORS);
const DEVICES: ReadonlyMap<string, readonly number[]> = new Map(NAMED_DEVICES.map(([vendor, name, ids]) => [`${vendor} ${name}`, ids]));
/** Where a vendor's name could end: behind a word. */
const LONGEST_NAME: number = Math.max(...NAMED_VENDORS.map(([name]) => name.length));

/**
 * The ids that the name of a device may stand for, as lspci prints it behind the class: `Intel Corporation Wi-Fi 6 AX201`. A name that several
 * ids have gives all of them. `Device a0f0` behind the vendor is the device's id, as lspci writes where it has no name.
 *
 * @param name with or without what lspci appends: ` (rev 20)`, ` (prog-if 02 [NVM Express])`
 * @returns an empty list for a vendor that no rule of the grouping names
 */
export function idsOfName(name: string): readonly NamedId[] {
  const bare = name.replace(/ \((?:rev|prog-if) .*$/s, '').trim();
  const both = /^Device ([0-9a-f]{4}):([0-9a-f]{4})$/.exec(bare);
  if (both !== null) return [{ vendor: Number.parseInt(both[1]!, 16), device: Number.parseInt(both[2]!, 16) }];
  const vendorName = vendorNameOf(bare);
  if (vendorName === undefined) return [];
  const rest = bare.slice(vendorName.length).trim();
  const told = /^Device ([0-9a-f]{4})$/.exec(rest);
  return VENDORS.get(vendorName)!.flatMap((vendor): readonly NamedId[] => {
    if (told !== null) return [{ vendor, device: Number.parseInt(told[1]!, 16) }];
    return (DEVICES.get(`${vendor} ${rest}`) ?? [undefined]).map((device) => ({ vendor, device }));
  });
}

/** The longest vendor's name that a text begins with. */
function vendorNameOf(text: string): string | undefined {
  const start = `${text.slice(0, LONGEST_NAME + 1)} `;
  for (let end = start.lastIndexOf(' '); end > 0; end = start.lastIndexOf(' ', end - 1)) {
    const vendorName = start.slice(0, end);
    if (VENDORS.has(vendorName)) return vendorName;
  }
  return undefined;
}
