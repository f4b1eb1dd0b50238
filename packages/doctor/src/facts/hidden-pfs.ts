import { PciAddress, type SriovFacts } from '@vsim/vfio-pci';
import type { DeviceKnowledge } from './device-knowledge.ts';

/**
 * Places for PFs that were left out, with registers that make the virtual functions that are there: one on each bus that has such. Nothing else of them matters,
 * as a VF is in the group of no other function of its card.
 *
 * @param lonely addresses of virtual functions whose PF the text does not show, ascending
 */
export function hiddenPfs(lonely: readonly string[], machine: readonly DeviceKnowledge[]): ReadonlyMap<string, SriovFacts> {
  const there = new Set(machine.map(({ address }) => address));
  const buses = new Map<string, PciAddress[]>();
  for (const address of lonely) {
    const bus = address.slice(0, -4);
    buses.set(bus, [...(buses.get(bus) ?? []), new PciAddress(address)]);
  }
  const out = new Map<string, SriovFacts>();
  for (const [bus, functions] of buses) {
    const [first, last] = [functions[0]!, functions.at(-1)!];
    const free = [0, 1, 2, 3, 4, 5, 6, 7].map((fn) => `${bus}00.${fn}`).find((address) => !there.has(address));
    if (free === undefined) continue;
    const offset = first.requester - new PciAddress(free).requester;
    const gaps = functions.slice(1).map(({ requester }, i) => requester - functions[i]!.requester);
    const least = Math.min(...gaps, last.requester - first.requester || 1);
    const stride = gaps.every((gap) => gap % least === 0) ? least : 1;
    if (offset > 0) out.set(free, { offset, stride, count: (last.requester - first.requester) / stride + 1, device: 0 });
  }
  return out;
}
