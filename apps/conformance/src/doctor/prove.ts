/** Holds a doctor to what it leaves open: two machines that the text may be of, with different groups. */
import type { PciFacts } from '@vsim/vfio-pci';
import { kernelGroups, misfits } from './fits.ts';
import { blocksOf } from './lspci-blocks.ts';

/**
 * Functions of which it is not proved that the text cannot tell, each with why. Where the text tells groups of others, it contradicts itself of those that it tells none
 * of: these need no proof.
 *
 * @param text of one of DEGRADATIONS, perhaps with fewer devices @param options its name
 * @param open functions that are said to be open @param worlds machines that the text is said to be of perhaps
 */
export function unproved(text: string, options: string, open: readonly string[], worlds: readonly (readonly PciFacts[])[]): readonly string[] {
  if (open.length === 0) return [];
  const blocks = blocksOf(text);
  const there = new Set(blocks.map(({ address }) => address));
  if (blocks.some(({ lines }) => lines.some((line) => /IOMMU group:? \d/.test(line)))) return [];
  const groups: ReadonlyMap<string, string>[] = [];
  const reasons = new Set<string>();
  for (const world of worlds) {
    const why = misfits(text, options, world);
    if (why.length === 0) groups.push(kernelGroups(world, there));
    else reasons.add(why[0]!);
  }
  return open.flatMap((address) => {
    const seen = new Set(groups.map((each) => each.get(address) ?? 'none'));
    if (seen.size > 1) return [];
    return [`${address}: ${groups.length} of ${worlds.length} machines fit, ${seen.size === 0 ? 'none of them' : `all with ${[...seen].join()}`}${reasons.size === 0 ? '' : `; ${[...reasons].slice(0, 2).join('; ')}`}`];
  });
}
