/** Machines that might be: recorded ones with other registers, ids and functions. What the kernel makes of them is what the rules of the grouping say. */
import { PciTopology, aliasDeviceIds, aliasVendors, hasWideAcs, quirkDeviceIds, quirkVendors, type PciFacts } from '@vsim/vfio-pci';
import { kernelGroups } from './fits.ts';
import type { FieldMachine } from './field-machines.ts';
import { renderMachine } from './render.ts';

/** Source Validation, Request Redirect, Completion Redirect, Upstream Forwarding: what Linux asks for. */
const ALL_ACS = 0x1d;
const ROOT_COMPLEX_ENDPOINT = 9;
const ROOT_PORT = 4;
const ENDPOINT = 0;

/** Ids that some rule names, of root ports and of others. Nobody has the id of a thing of another kind. */
const NAMED_PORTS: readonly Id[] = named((vendor) => quirkDeviceIds(vendor, ROOT_PORT).filter((device) => !quirkDeviceIds(vendor, ENDPOINT).includes(device)));
const NAMED_OTHERS: readonly Id[] = [...named((vendor) => quirkDeviceIds(vendor, ENDPOINT)), ...aliasVendors().flatMap((vendor) => aliasDeviceIds(vendor).map((device): Id => [vendor, device]))];

type Id = readonly [vendor: number, device: number];

function named(idsOf: (vendor: number) => readonly number[]): readonly Id[] {
  return quirkVendors().flatMap((vendor) => idsOf(vendor).map((device): Id => [vendor, device]));
}

/** Numbers from 0 to below 1, the same for the same seed. */
export function randomOf(seed: number): () => number {
  let state = (seed * 2_654_435_761) >>> 0;
  return () => {
    state = (Math.imul(state ^ (state >>> 15), 0x2c1b_3c6d) + 0x9e37_79b9) >>> 0;
    const mixed = Math.imul(state ^ (state >>> 12), 0x297a_2d39) >>> 0;
    return ((mixed ^ (mixed >>> 15)) >>> 0) / 0x1_0000_0000;
  };
}

/** A variant of a machine, with its text and the groups of all its functions. */
export function variantOf(name: string, facts: readonly PciFacts[], random: () => number): FieldMachine & { readonly world: readonly PciFacts[] } {
  const virtual = new Set(new PciTopology(facts).nodes.filter(({ physicalFunction }) => physicalFunction !== undefined).map((node) => node.facts));
  // PFs and VFs stay as they are: they tell of each other.
  const stays = (each: PciFacts): boolean => virtual.has(each) || each.sriov !== undefined;
  const some = facts.filter((each) => stays(each) || each.secondaryBus !== undefined || random() > 0.1);
  const world = withPlausibleSlots(some.map((each) => (stays(each) ? each : changed(each, random))), random);
  const lines = kernelGroups(world, new Set(world.map(({ address }) => address)));
  const numbers = new Map([...new Set(lines.values())].map((line, number) => [line, number]));
  const truth = new Map(world.map(({ address }) => {
    const line = lines.get(address);
    return [address, line === undefined ? undefined : numbers.get(line)] as const;
  }));
  const groups = new Map([...truth].flatMap(([address, number]) => (number === undefined ? [] : [[address, number] as const])));
  const names = new Map([...virtual].map(({ address }) => [address, 'Intel Corporation 82576 Virtual Function']));
  return { name, world, truth, text: renderMachine(world, { names, groups, drivers: new Map(world.map(({ address }) => [address, 'pcieport'])) }) };
}

function changed(facts: PciFacts, random: () => number): PciFacts {
  const endpoint = facts.secondaryBus === undefined && !facts.isBridge && facts.expressType !== undefined;
  const ids = facts.expressType === ROOT_PORT ? NAMED_PORTS : endpoint ? NAMED_OTHERS : [];
  const [vendor, device] = random() < 0.3 && ids.length > 0 ? ids[Math.floor(random() * ids.length)]! : [facts.vendor, facts.device];
  const onRoot = facts.address.includes(':00:');
  const expressType = endpoint && onRoot && random() < 0.3 ? (random() < 0.7 ? ROOT_COMPLEX_ENDPOINT : undefined) : facts.expressType;
  const plain: PciFacts = { ...facts, vendor, device, expressType, acs: undefined };
  if (expressType === undefined || random() < 0.4) return expressType === undefined ? { ...plain, sriov: undefined } : plain;
  return { ...plain, acs: acsOf(plain, random) };
}

/** Some capabilities, and on what Linux switches on of them when the IOMMU is on; registers that are wider where they are. */
function acsOf(facts: PciFacts, random: () => number): PciFacts['acs'] {
  const capability = random() < 0.7 ? ALL_ACS : Math.floor(random() * 0x20);
  const control = capability & ALL_ACS;
  if (!hasWideAcs(facts)) return { capability, control, wide: { capability: capability + control * 0x1_0000, control: 0 } };
  // The dword of the capability has nothing in its upper half, which lspci shows as control.
  return { capability, control: 0, wide: { capability, control } };
}

/** Function 0 says whether its slot has more. */
function withPlausibleSlots(world: readonly PciFacts[], random: () => number): readonly PciFacts[] {
  const slotOf = ({ address }: PciFacts): string => address.slice(0, -2);
  const slots = new Map<string, number>();
  for (const facts of world) slots.set(slotOf(facts), (slots.get(slotOf(facts)) ?? 0) + 1);
  return world.map((facts) => {
    const several = facts.address.endsWith('.0') && (slots.get(slotOf(facts)) ?? 0) > 1;
    return { ...facts, multifunctionBit: several || (facts.multifunctionBit && random() < 0.5) };
  });
}
