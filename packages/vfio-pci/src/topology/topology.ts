/**
 * A machine's PCI functions and how they hang together: buses by their numbers, bridges above, VFs and their PFs.
 *
 * Not modelled: more than one path to a function, bus numbers that two bridges of a domain share.
 */
import { PciAddress, formatAddress } from '../pci/address.ts';
import { PCI_EXP_TYPE_DOWNSTREAM, PCI_EXP_TYPE_ROOT_PORT } from '../pci/registers.ts';
import type { PciFacts } from './facts.ts';

export interface PciNode {
  readonly facts: PciFacts;
  readonly address: PciAddress;
  /** The PF of a virtual function. */
  readonly physicalFunction: PciNode | undefined;
  /** Linux calls every function above 0 that it scans one of several, whatever its header says; VFs are not scanned. */
  readonly multifunction: boolean;
}

interface BuiltNode extends PciNode {
  physicalFunction: PciNode | undefined;
  multifunction: boolean;
}

export class PciTopology {
  readonly #nodes = new Map<string, PciNode>();
  readonly #bridges = new Map<number, PciNode>();
  readonly #buses = new Map<number, PciNode[]>();
  /** Functions in the order in which Linux scans them. */
  readonly nodes: readonly PciNode[];

  /** @throws RangeError for an address that is none */
  constructor(functions: readonly PciFacts[]) {
    const built: BuiltNode[] = functions.map((facts) => {
      const address = new PciAddress(facts.address);
      return { facts, address, physicalFunction: undefined, multifunction: facts.multifunctionBit || address.function > 0 };
    });
    for (const node of built) {
      this.#nodes.set(node.facts.address, node);
      const { secondaryBus } = node.facts;
      if (secondaryBus !== undefined) this.#bridges.set(busKey(node.address.domain, secondaryBus), node);
    }
    for (const node of built) this.#findVirtual(node, built);
    for (const node of built) {
      const key = busKey(node.address.domain, node.address.bus);
      this.#buses.set(key, [...(this.#buses.get(key) ?? []), node]);
    }
    for (const bus of this.#buses.values()) bus.sort((a, b) => Number(isVirtual(a)) - Number(isVirtual(b)) || a.address.devfn - b.address.devfn);
    this.nodes = this.#scanOrder(built);
  }

  node(address: string): PciNode | undefined {
    return this.#nodes.get(address);
  }

  /** The bridge above a function; undefined on a root bus. */
  bridgeOf(node: PciNode): PciNode | undefined {
    const bridge = this.#bridges.get(busKey(node.address.domain, node.address.bus));
    // VFs may have bus numbers of their own, without a bridge that leads there.
    return bridge ?? (node.physicalFunction === undefined ? undefined : this.bridgeOf(node.physicalFunction));
  }

  /** The bridges above a function, the nearest first. */
  *bridgesAbove(node: PciNode): Iterable<PciNode> {
    const seen = new Set<PciNode>([node]);
    for (let bridge = this.bridgeOf(node); bridge !== undefined && !seen.has(bridge); bridge = this.bridgeOf(bridge)) {
      seen.add(bridge);
      yield bridge;
    }
  }

  /** The functions on the bus of `node`, itself included. */
  busOf(node: PciNode): readonly PciNode[] {
    return this.#buses.get(busKey(node.address.domain, node.address.bus)) ?? [];
  }

  /** All functions below a bridge. */
  below(bridge: PciNode): readonly PciNode[] {
    return this.nodes.filter((node) => [...this.bridgesAbove(node)].includes(bridge));
  }

  #findVirtual(pf: BuiltNode, all: readonly BuiltNode[]): void {
    const { sriov } = pf.facts;
    if (sriov === undefined) return;
    for (let index = 0; index < sriov.count; index += 1) {
      const address = formatAddress(pf.address.domain, (pf.address.requester + sriov.offset + sriov.stride * index) & 0xffff);
      const vf = all.find(({ facts }) => facts.address === address);
      if (vf === undefined || vf === pf) continue;
      vf.physicalFunction = pf;
      vf.multifunction = vf.facts.multifunctionBit;
    }
  }

  /** A bus, then what is below its bridges, each to the bottom; VFs come when their driver does, at the end. */
  #scanOrder(all: readonly PciNode[]): readonly PciNode[] {
    const out = new Set<PciNode>();
    const visit = (bus: readonly PciNode[]): void => {
      const scanned = bus.filter((node) => !isVirtual(node) && !out.has(node));
      for (const node of scanned) out.add(node);
      for (const { facts, address } of scanned) {
        if (facts.secondaryBus !== undefined) visit(this.#buses.get(busKey(address.domain, facts.secondaryBus)) ?? []);
      }
    };
    const keys = [...this.#buses.keys()].sort((a, b) => a - b);
    for (const key of keys) if (!this.#bridges.has(key)) visit(this.#buses.get(key) ?? []);
    for (const key of keys) visit(this.#buses.get(key) ?? []);
    for (const node of [...all].sort((a, b) => a.address.domain - b.address.domain || a.address.requester - b.address.requester)) out.add(node);
    return [...out];
  }
}

export function isVirtual(node: PciNode): boolean {
  return node.physicalFunction !== undefined;
}

/** Whether requests from below pass the port without losing who sent them: a PCI Express port. */
export function isExpressPort(node: PciNode): boolean {
  return node.facts.expressType === PCI_EXP_TYPE_ROOT_PORT || node.facts.expressType === PCI_EXP_TYPE_DOWNSTREAM;
}

function busKey(domain: number, bus: number): number {
  return domain * 256 + bus;
}
