/** Why a function has a group to itself. */
import type { AcsQuirk, IommuGrouping, PciNode } from '@vsim/vfio-pci';

/** Root Port, Downstream Port. */
const PORTS: ReadonlySet<number | undefined> = new Set([4, 6]);

/** What isolates the only member of a group, as a sentence without its full stop. @param address one of the functions that are grouped */
export function aloneWords(address: string, { topology, acs }: IommuGrouping): string {
  const node = topology.node(address);
  if (node === undefined) return 'alone';
  const quirk = acs.quirkOf(node);
  // Only of several functions of a device is it asked what keeps them apart.
  const own = node.multifunction && quirk?.isolates === true ? [byQuirk(node, quirk)] : [];
  const bridges = [...topology.bridgesAbove(node)];
  const [bridge] = bridges;
  if (bridge === undefined) {
    if (own.length > 0) return `alone: ${own.join('; ')}`;
    return PORTS.has(node.facts.expressType) && acs.enabled(node) ? `alone: ${address} isolates (ACS)` : 'alone: on a root bus, and no function beside it that it could reach';
  }
  const quirks = bridges.flatMap((each) => {
    const said = acs.quirkOf(each);
    return said?.isolates === true ? [byQuirk(each, said)] : [];
  });
  const above = `${bridge.facts.address}${bridges.length > 1 ? ' and all above it isolate' : ' above it isolates'}`;
  return `alone: ${[quirks.length === bridges.length ? quirks.join('; ') : [`${above} (ACS)`, ...quirks].join('; '), ...own].join('; ')}`;
}

function byQuirk({ facts: { address } }: PciNode, { why }: AcsQuirk): string {
  return `${address} isolates by a quirk of Linux: ${why}`;
}
