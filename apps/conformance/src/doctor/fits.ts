/** Whether a whole machine is one of those that a text may be of: printed with the text's options, it says the same of each function. */
import { aliasVendors, computeIommuGroups, idsOfName, quirkVendors, uncovered, type PciFacts } from '@vsim/vfio-pci';
import { DEGRADATIONS, onlyDevices } from './degradations.ts';
import { blocksOf, type LspciBlock } from './lspci-blocks.ts';
import { renderMachine } from './render.ts';
import { skeletonOf } from './skeleton.ts';

/** Vendors of which some rule speaks: idsOfName() knows their names. */
const RULED: ReadonlySet<number> = new Set([...quirkVendors(), ...aliasVendors()]);

/**
 * What is in the way of a text being of a machine, a line each; empty: it may be of it. The machine may have more functions than the text: bridges to a bus that nothing
 * in the text leads to, and nothing else.
 *
 * @param text of one of DEGRADATIONS, perhaps with fewer devices @param options its name
 */
export function misfits(text: string, options: string, world: readonly PciFacts[]): readonly string[] {
  const blocks = blocksOf(text);
  const there = new Map(blocks.map((block) => [block.address, block]));
  const byAddress = new Map(world.map((facts) => [facts.address, facts]));
  const missing = blocks.filter(({ address }) => !byAddress.has(address)).map(({ address }) => `${address} is not in the machine`);
  const added = world.filter(({ address }) => !there.has(address)).filter((facts) => !leadsToOrphans(facts, world, blocks)).map(({ address }) => `${address} is not in the text`);
  const names = blocks.flatMap((block) => misnamed(block, byAddress.get(block.address)));
  return [...missing, ...added, ...names, ...differences(text, options, world, blocks)];
}

/** The functions of a machine by group, as the kernel makes them: each function's group among `among`, in one line. Who is in none is not there. */
export function kernelGroups(world: readonly PciFacts[], among: ReadonlySet<string>): ReadonlyMap<string, string> {
  const without = new Set(world.filter((facts) => uncovered(facts, world) !== undefined).map(({ address }) => address));
  return new Map(computeIommuGroups(world, { without }).flatMap(({ devices }) => {
    const there = devices.filter((address) => among.has(address));
    return there.map((address) => [address, there.join(' ')] as const);
  }));
}

function differences(text: string, options: string, world: readonly PciFacts[], blocks: readonly LspciBlock[]): readonly string[] {
  const plain = options.replace(', no groups', '');
  const names = new Map(blocks.map(({ address, heading }) => [address, nameOf(heading)]));
  const printed = renderMachine(world, { names, capable: capableIn(blocks), drivers: new Map(world.map(({ address }) => [address, 'pcieport'])), bytes: plain.includes('x') });
  const less = DEGRADATIONS.find(({ name }) => name === plain)?.of(printed);
  if (less === undefined) return [`no machine is printed with ${options}`];
  const says = skeletonOf(onlyDevices(less, new Set(names.keys())));
  const vague = new Set(blocks.filter(sayNothing).map(({ address }) => address));
  const part = (address: string, line: string | undefined): string | undefined => (vague.has(address) ? line?.split('; ').slice(0, 3).join('; ') : line);
  return [...skeletonOf(text)].flatMap(([address, line]) => (part(address, says.get(address)) === part(address, line) ? [] : [`${address}: the text says "${line}", the machine "${says.get(address) ?? ''}"`]));
}

/** Functions of which lspci says that they have capabilities, and shows none. */
function sayNothing({ lines }: LspciBlock): boolean {
  return lines.some((line) => line.startsWith('\tStatus: Cap+')) && !lines.some((line) => line.startsWith('\tCapabilities:'));
}

/** Functions that have capabilities, as far as the text shows it. */
function capableIn(blocks: readonly LspciBlock[]): ReadonlySet<string> {
  return new Set(blocks.filter(({ lines, rows }) => lines.some((line) => line.startsWith('\tCapabilities:')) || (Number.parseInt(rows[0]?.split(' ')[7] ?? '0', 16) & 0x10) !== 0).map(({ address }) => address));
}

/** Vendor and device have to be among what the name may stand for; a name that no rule knows may stand for any id that no rule names. */
function misnamed({ address, heading }: LspciBlock, facts: PciFacts | undefined): readonly string[] {
  if (facts === undefined || /\[?[0-9a-f]{4}:[0-9a-f]{4}\]?/i.test(heading)) return [];
  const ids = idsOfName(nameOf(heading));
  if (ids.length === 0 && !RULED.has(facts.vendor)) return [];
  if (ids.some(({ vendor, device }) => vendor === facts.vendor && (device === undefined || device === facts.device))) return [];
  return [`${address}: "${nameOf(heading)}" is none of ${facts.vendor.toString(16)}:${facts.device.toString(16)}`];
}

/** What stands behind the class, without ids and revision. */
function nameOf(heading: string): string {
  return heading.slice(heading.indexOf(': ') + 2).replace(/ \[[0-9a-f]{4}:[0-9a-f]{4}\]/i, '').replace(/ \((?:rev|prog-if) .*$/i, '');
}

/** Whether a bridge leads to a bus with functions of the text, to which nothing in the text leads; or to one of the kind that does. */
function leadsToOrphans({ address, secondaryBus }: PciFacts, world: readonly PciFacts[], blocks: readonly LspciBlock[]): boolean {
  if (secondaryBus === undefined) return false;
  const bus = `${address.slice(0, address.indexOf(':'))}:${secondaryBus.toString(16).padStart(2, '0')}:`;
  if (blocks.some((block) => block.address.startsWith(bus))) return true;
  return world.some((other) => other.address.startsWith(bus) && other.address !== address && leadsToOrphans(other, world, blocks));
}
