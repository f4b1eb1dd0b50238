import { PciAddress } from '../pci/address.ts';
import { PCI_EXP_TYPE_DOWNSTREAM, PCI_EXP_TYPE_ROOT_PORT } from '../pci/registers.ts';
import type { PciFacts, SriovFacts } from './facts.ts';
import { isBelowVmd, isVmd } from './vmd.ts';

const REQUESTERS = 0x1_0000;

/** A function in its place. */
export interface PciNode {
  /** What its registers say. */
  readonly facts: PciFacts;
  /** Its address, parsed. */
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

/**
 * A machine's PCI functions and how they hang together: buses by their numbers, bridges above, VFs and their PFs.
 *
 * Not modelled: more than one path to a function, bus numbers that two bridges of a domain share.
 */
export class PciTopology {
  readonly #nodes = new Map<string, PciNode>();
  readonly #bridges = new Map<number, PciNode>();
  readonly #buses = new Map<number, PciNode[]>();
  readonly #vmds: readonly PciNode[];
  /** Functions in the order in which Linux scans them. */
  readonly nodes: readonly PciNode[];

  /** @throws RangeError for an address that is none */
  constructor(functions: readonly PciFacts[]) {
    const built: BuiltNode[] = functions.map((facts) => {
      const address = new PciAddress(facts.address);
      return { facts, address, physicalFunction: undefined, multifunction: facts.multifunctionBit || address.function > 0 };
    });
    this.#vmds = built.filter(({ facts }) => isVmd(facts) && !isBelowVmd(facts));
    for (const node of built) {
      this.#nodes.set(node.facts.address, node);
      const { secondaryBus } = node.facts;
      if (secondaryBus !== undefined) this.#bridges.set(busKey(node.address.domain, secondaryBus), node);
    }
    this.#findVirtual(built);
    for (const node of built) {
      const key = busKey(node.address.domain, node.address.bus);
      const bus = this.#buses.get(key);
      if (bus === undefined) this.#buses.set(key, [node]);
      else bus.push(node);
    }
    for (const bus of this.#buses.values()) bus.sort((a, b) => Number(isVirtual(a)) - Number(isVirtual(b)) || a.address.devfn - b.address.devfn);
    this.nodes = this.#scanOrder(built);
  }

  /** The function at an address, as `0000:00:02.0`; undefined: there is none. */
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

  /** Who sends a function's requests as the IOMMU sees it: the VMD above it, or itself. Where it could be one of several VMDs: itself. */
  senderOf(node: PciNode): PciNode {
    if (!isBelowVmd(node.facts)) return node;
    const told = this.#vmds.find(({ facts }) => facts.address === node.facts.vmd);
    const only = node.facts.vmd === undefined && this.#vmds.length === 1 ? this.#vmds[0] : undefined;
    return told ?? only ?? node;
  }

  /** The functions on the bus of `node`, itself included. */
  busOf(node: PciNode): readonly PciNode[] {
    return this.#buses.get(busKey(node.address.domain, node.address.bus)) ?? [];
  }

  /** The functions on the bus right below a bridge. */
  busBelow({ facts, address }: PciNode): readonly PciNode[] {
    return facts.secondaryBus === undefined ? [] : (this.#buses.get(busKey(address.domain, facts.secondaryBus)) ?? []);
  }

  /** All functions below a bridge. */
  below(bridge: PciNode): readonly PciNode[] {
    return this.nodes.filter((node) => [...this.bridgesAbove(node)].includes(bridge));
  }

  /** No function is two PFs' VF, so that a domain's PFs have at most as many as it has requester ids; what claims more is passed over. */
  #findVirtual(all: readonly BuiltNode[]): void {
    const domains = new Map<number, { readonly byId: Map<number, BuiltNode>; left: number }>();
    for (const node of all) {
      const { domain, requester } = node.address;
      const there = domains.get(domain) ?? { byId: new Map<number, BuiltNode>(), left: REQUESTERS };
      there.byId.set(requester, node);
      domains.set(domain, there);
    }
    for (const pf of all) {
      const { sriov } = pf.facts;
      const there = domains.get(pf.address.domain)!;
      if (sriov === undefined || sriov.count > there.left) continue;
      there.left -= sriov.count;
      for (const vf of virtualOf(pf, sriov, there.byId)) {
        // A VF has no VFs of its own.
        if (vf === pf || vf.facts.sriov !== undefined) continue;
        vf.physicalFunction = pf;
        vf.multifunction = vf.facts.multifunctionBit;
      }
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

/** The functions at a PF's VF numbers, by number, or, where these are more, by function. Numbers end with the domain's last bus. */
function* virtualOf(pf: BuiltNode, { count, offset, stride }: SriovFacts, byId: ReadonlyMap<number, BuiltNode>): Iterable<BuiltNode> {
  const first = pf.address.requester + offset;
  if (count > byId.size) {
    for (const [id, vf] of byId) {
      const index = stride === 0 ? 0 : (id - first) / stride;
      if (id === first + stride * index && Number.isInteger(index) && index >= 0 && index < count) yield vf;
    }
    return;
  }
  for (let index = 0; index < count; index += 1) {
    const vf = byId.get(first + stride * index);
    if (vf !== undefined) yield vf;
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
