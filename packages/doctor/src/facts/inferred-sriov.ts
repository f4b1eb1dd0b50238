import { PciAddress, formatAddress, type SriovFacts } from '@vsim/vfio-pci';
import type { DeviceKnowledge } from './device-knowledge.ts';
import { valueOr } from './fact.ts';
import { isVirtualFunctionName } from './names.ts';

const ENDPOINT = 0;

/**
 * The SR-IOV registers that would make the virtual functions of a text, where it names these without showing the registers: the PFs are the
 * functions of the nearest slot before them that may have the capability, and VFs are theirs in turn, as cards with several ports have them.
 */
export function inferredSriov(machine: readonly DeviceKnowledge[]): ReadonlyMap<string, SriovFacts> {
  const out = new Map<string, SriovFacts>();
  const virtual: PciAddress[] = [];
  let physical: PciAddress[] = [];
  const flush = (): void => {
    for (const [pf, facts] of shares(physical, virtual)) out.set(pf, facts);
    virtual.length = 0;
  };
  for (const knowledge of machine) {
    const place = new PciAddress(knowledge.address);
    const named = knowledge.pasted.name !== undefined && isVirtualFunctionName(knowledge.pasted.name);
    if (named || isPlacedAsVirtual(knowledge, place, physical, machine)) {
      virtual.push(place);
      continue;
    }
    if (virtual.length > 0) flush();
    const first = physical[0];
    const sameSlot = first?.domain === place.domain && first.bus === place.bus && first.device === place.device;
    if (knowledge.sriov.standing === 'unknown') physical = sameSlot ? [...physical, place] : [place];
    else if (!sameSlot) physical = [];
  }
  flush();
  for (const [pf, facts] of toldShares(machine)) out.set(pf, facts);
  return out;
}

/** Below a port there is device 0 alone: an endpoint of PCI Express at another number is a VF, if who could be its PF may have SR-IOV. */
function isPlacedAsVirtual({ expressType, vendor }: DeviceKnowledge, place: PciAddress, [pf]: readonly PciAddress[], machine: readonly DeviceKnowledge[]): boolean {
  if (pf?.domain !== place.domain || pf.bus !== place.bus || pf.bus === 0 || place.device === 0) return false;
  const maker = machine.find(({ address }) => address === formatAddress(pf.domain, pf.requester))?.vendor;
  return valueOr(expressType, undefined) === ENDPOINT && maker !== undefined && valueOr(maker, -1) === valueOr(vendor, -2);
}

/** The same of VFs whose PF is told, as sysfs does. */
function* toldShares(machine: readonly DeviceKnowledge[]): Iterable<readonly [pf: string, facts: SriovFacts]> {
  const byPf = new Map<string, number[]>();
  for (const { address, physfn } of machine) {
    const pf = valueOr(physfn, undefined);
    if (pf === undefined) continue;
    const there = byPf.get(pf);
    if (there === undefined) byPf.set(pf, [new PciAddress(address).requester]);
    else there.push(new PciAddress(address).requester);
  }
  for (const { address, sriov } of machine) {
    const own = byPf.get(address);
    if (own === undefined || (sriov.standing !== 'unknown' && sriov.value !== undefined)) continue;
    const [first, second, last] = [own[0]!, own[1], own.at(-1)!];
    const stride = Math.max(1, (second ?? first + 1) - first);
    yield [address, { offset: first - new PciAddress(address).requester, stride, count: Math.floor((last - first) / stride) + 1, device: 0 }];
  }
}

function* shares(physical: readonly PciAddress[], virtual: readonly PciAddress[]): Iterable<readonly [pf: string, facts: SriovFacts]> {
  const stride = physical.length;
  const [head] = virtual;
  if (head === undefined) return;
  for (const [index, pf] of physical.entries()) {
    const own = virtual.filter(({ domain, requester }) => domain === pf.domain && (requester - head.requester) % stride === index);
    const [first, last] = [own[0], own.at(-1)];
    if (first === undefined || last === undefined) continue;
    yield [formatAddress(pf.domain, pf.requester), { offset: first.requester - pf.requester, stride, count: (last.requester - first.requester) / stride + 1, device: 0 }];
  }
}

/** The places of the VFs that PFs make. */
export function virtualAddresses(sriov: ReadonlyMap<string, SriovFacts>, machine: readonly DeviceKnowledge[]): ReadonlySet<string> {
  const out = new Set<string>(machine.filter(({ physfn }) => physfn.standing !== 'unknown' && physfn.value !== undefined).map(({ address }) => address));
  const there = new Map(machine.map(({ address }) => [placeKey(new PciAddress(address)), address]));
  for (const [pf, { count, offset, stride }] of sriov) {
    const { domain, requester } = new PciAddress(pf);
    for (let index = 0, id = requester + offset; index < count && id < 0x1_0000; index += 1, id += stride) {
      const address = there.get(domain * 0x1_0000 + id);
      if (address !== undefined && address !== pf) out.add(address);
    }
  }
  return out;
}

function placeKey({ domain, requester }: PciAddress): number {
  return domain * 0x1_0000 + requester;
}
