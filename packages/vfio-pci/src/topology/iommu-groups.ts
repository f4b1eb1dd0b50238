import { PCI_EXP_TYPE_PCI_BRIDGE, PCI_EXP_TYPE_PCIE_BRIDGE } from '../pci/registers.ts';
import { Acs } from './acs.ts';
import { areDmaAliases } from './dma-aliases.ts';
import type { PciFacts } from './facts.ts';
import { inEra, type Era, type KernelVersion } from './kernel-version.ts';
import { PciTopology, isExpressPort, type PciNode } from './topology.ts';

/** Why a function is in the group of another. */
export type JoinRule = 'vmd' | 'conventional-bridge' | 'no-acs-above' | 'multifunction' | 'dma-alias';

/** One function that shares the group of another. */
export interface Join {
  /** Address of the function that joined. */
  readonly device: string;
  /** Whose group it joined. */
  readonly with: string;
  /** By which rule of pci_device_group(). */
  readonly rule: JoinRule;
  /** A sentence without its full stop, with the bridge or the missing bits. */
  readonly why: string;
}

/** What the grouping is told besides the functions. */
export interface GroupingOptions {
  /** The machine has AMD's IOMMU. @default whether a function of class 0806 from AMD is there */
  readonly amdIommu?: boolean | undefined;
  /** The kernel that groups. @default 6.1 with its stable updates */
  readonly kernel?: KernelVersion | undefined;
  /** Addresses of functions that no IOMMU covers: they get no group, and nobody joins them. @default none */
  readonly without?: ReadonlySet<string> | undefined;
}

/** One IOMMU group of a machine, and why its members are together. */
export interface ComputedGroup {
  /** In the order of their addresses. */
  readonly devices: readonly string[];
  /** One for each member but the first, in the order in which they were found. */
  readonly joins: readonly Join[];
}

const AMD = 0x1022;
const CLASS_IOMMU = 0x0806;
const BROADCOM = 0x14e4;
/** A bridge to conventional PCI in name only: the display controller behind it sends under its own id. Kernel: PCI_DEV_FLAGS_PCI_BRIDGE_NO_ALIAS. */
const ASPEED = 0x1a03;
const AST1150 = 0x1150;
/** 7.2 has it, the last 6.12 not. */
const AST1150_PASSES_IDS: Era = { since: [7, 0] };
const THUNDERX2_BRIDGES: readonly number[] = [0x9000, 0x9084];

/**
 * IOMMU groups as Linux makes them of a PCI topology: what an IOMMU cannot tell apart, and what can reach each other without passing it, is
 * one group. Kernel: pci_device_group() in drivers/iommu/iommu.c; the rules with their examples: the recorded machines of apps/conformance.
 *
 * Groups are history: each function is asked when it is found, and joins the group of whoever is there. Not modelled: the choice of an
 * IOMMU for a function (host bridges, bypassed buses, an IOMMU's own function), stream ids that collide.
 *
 * Finds the groups of one topology.
 */
export class IommuGrouping {
  /** The functions, and who is above whom. */
  readonly topology: PciTopology;
  /** Which of them isolate. */
  readonly acs: Acs;
  readonly #kernel: KernelVersion | undefined;

  /** @throws RangeError for a function whose address is none */
  constructor(functions: readonly PciFacts[], options: GroupingOptions = {}) {
    this.topology = new PciTopology(functions);
    this.acs = new Acs(this.topology, options.amdIommu ?? functions.some((facts) => facts.vendor === AMD && facts.class >>> 8 === CLASS_IOMMU), options.kernel);
    this.#kernel = options.kernel;
  }

  /** The group that a function joins when it is found, among those that there are; undefined: a new one. */
  find<G>(address: string, groupOf: (address: string) => G | undefined): { readonly group: G; readonly join: Join } | undefined {
    const node = this.topology.node(address);
    if (node === undefined) return undefined;
    const joined = (other: PciNode, rule: JoinRule, why: string): { readonly group: G; readonly join: Join } | undefined => {
      const group = groupOf(other.facts.address);
      return group === undefined ? undefined : { group, join: { device: address, with: other.facts.address, rule, why } };
    };

    // Whose ids its requests carry when the IOMMU sees them.
    let visible = this.topology.senderOf(node);
    if (visible !== node) {
      const found = joined(visible, 'vmd', `below the VMD ${visible.facts.address}, whose id all requests from there carry`);
      if (found !== undefined) return found;
    }
    for (const bridge of this.topology.bridgesAbove(visible)) {
      if (hasIommuBelow(bridge)) break;
      if (!takesOwnership(bridge, this.#kernel)) continue;
      visible = bridge;
      const found = joined(bridge, 'conventional-bridge', `behind ${bridge.facts.address}, ${bridgeKind(bridge)}: it sends what comes from below under an id of its own`);
      if (found !== undefined) return found;
    }
    // Where requests could turn round before the IOMMU sees them.
    for (const bridge of this.topology.bridgesAbove(visible)) {
      if (this.acs.pathEnabled(bridge)) break;
      visible = bridge;
      const found = joined(bridge, 'no-acs-above', `below ${bridge.facts.address}; ${this.#weakness(bridge)}`);
      if (found !== undefined) return found;
    }
    return this.#aliases(visible, new Set(), joined) ?? this.#functions(visible, new Set([visible]), joined);
  }

  #aliases<R>(node: PciNode, seen: Set<PciNode>, joined: (other: PciNode, rule: JoinRule, why: string) => R | undefined): R | undefined {
    seen.add(node);
    for (const other of this.topology.busOf(node)) {
      if (seen.has(other) || !areDmaAliases(node, other, this.#kernel)) continue;
      const why = `${node.facts.address} and ${other.facts.address} may use one requester id`;
      const found = joined(other, 'dma-alias', why) ?? this.#aliases(other, seen, joined) ?? this.#functions(other, seen, joined);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  #functions<R>(node: PciNode, seen: Set<PciNode>, joined: (other: PciNode, rule: JoinRule, why: string) => R | undefined): R | undefined {
    if (!node.multifunction || this.acs.enabled(node)) return undefined;
    for (const other of this.topology.busOf(node)) {
      if (seen.has(other) || other.address.device !== node.address.device || this.acs.enabled(other)) continue;
      const why = `${node.facts.address} and ${other.facts.address} are functions of one device without ACS (${this.acs.lack(node)})`;
      const found = joined(other, 'multifunction', why) ?? this.#aliases(other, seen, joined);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  #weakness(bridge: PciNode): string {
    const weakest = this.acs.weakest(bridge) ?? bridge;
    const kind = isExpressPort(weakest) ? 'port' : 'function';
    return `the ${kind} ${weakest.facts.address} does not isolate (${this.acs.lack(weakest)})`;
  }
}

/**
 * All groups, numbered by their index as Linux numbers them at boot, with the reason why their members are together.
 *
 * @throws RangeError for a function whose address is none
 */
export function computeIommuGroups(functions: readonly PciFacts[], options: GroupingOptions = {}): readonly ComputedGroup[] {
  const grouping = new IommuGrouping(functions, options);
  const groups: { devices: string[]; joins: Join[] }[] = [];
  const groupOf = new Map<string, { devices: string[]; joins: Join[] }>();
  for (const { facts } of grouping.topology.nodes) {
    if (options.without?.has(facts.address) === true) continue;
    const found = grouping.find(facts.address, (address) => groupOf.get(address));
    const group = found?.group ?? { devices: [], joins: [] };
    if (found === undefined) groups.push(group);
    else group.joins.push(found.join);
    group.devices.push(facts.address);
    groupOf.set(facts.address, group);
  }
  for (const group of groups) group.devices.sort();
  return groups;
}

/** Bridges to conventional PCI, and from it: requests from below carry the bridge's id. */
function takesOwnership({ facts }: PciNode, kernel: KernelVersion | undefined): boolean {
  const { expressType } = facts;
  if (facts.vendor === ASPEED && facts.device === AST1150 && expressType === PCI_EXP_TYPE_PCI_BRIDGE && inEra(AST1150_PASSES_IDS, kernel)) return false;
  return expressType === undefined || expressType === PCI_EXP_TYPE_PCI_BRIDGE || expressType === PCI_EXP_TYPE_PCIE_BRIDGE;
}

/** ThunderX2 has its IOMMU at a bridge, not at the root: whose ids reach it is decided below. Kernel: PCI_DEV_FLAGS_BRIDGE_XLATE_ROOT. */
function hasIommuBelow({ facts }: PciNode): boolean {
  return facts.vendor === BROADCOM && THUNDERX2_BRIDGES.includes(facts.device);
}

function bridgeKind({ facts }: PciNode): string {
  if (facts.expressType === undefined) return 'a conventional PCI bridge';
  return facts.expressType === PCI_EXP_TYPE_PCI_BRIDGE ? 'a PCI Express to PCI bridge' : 'a PCI to PCI Express bridge';
}
