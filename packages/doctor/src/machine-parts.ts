/** Parts of a machine that have nothing to do with each other, as far as giving devices away goes. */
import { PciTopology } from '@vsim/vfio-pci';
import type { MachineDevice } from './machine.ts';

/** Functions that belong together: what is below one port of a root bus, what is in one slot, PFs with their VFs, and groups. */
export interface MachinePart {
  /** In the order of the machine. */
  readonly devices: readonly MachineDevice[];
}

/** The part of each function, by address. @param groups addresses of the members of each group */
export function partsOf(machine: readonly MachineDevice[], groups: readonly (readonly string[])[]): ReadonlyMap<string, MachinePart> {
  const topology = new PciTopology(machine.map(({ facts }) => facts));
  const above = new Map<string, string>();
  const rootOf = (address: string): string => {
    let root = address;
    for (let next = above.get(root); next !== undefined; next = above.get(root)) root = next;
    return root;
  };
  const join = (a: string, b: string): void => {
    const [from, to] = [rootOf(a), rootOf(b)];
    if (from !== to) above.set(from, to);
  };
  const slots = new Map<string, string>();
  for (const { facts: { address } } of machine) {
    const slot = address.slice(0, -2);
    join(address, slots.get(slot) ?? address);
    slots.set(slot, address);
    const node = topology.node(address)!;
    const bridge = topology.bridgeOf(node);
    if (bridge !== undefined) join(address, bridge.facts.address);
    if (node.physicalFunction !== undefined) join(address, node.physicalFunction.facts.address);
    const sender = topology.senderOf(node);
    if (sender !== node) join(address, sender.facts.address);
  }
  for (const [first, ...others] of groups) for (const other of others) join(other, first!);
  const parts = new Map<string, MachineDevice[]>();
  for (const device of machine) {
    const root = rootOf(device.facts.address);
    const there = parts.get(root);
    if (there === undefined) parts.set(root, [device]);
    else there.push(device);
  }
  return new Map([...parts.values()].flatMap((devices) => {
    const part: MachinePart = { devices };
    return devices.map(({ facts }) => [facts.address, part] as const);
  }));
}
