import {
  PCI_ACS_CR,
  PCI_ACS_EC,
  PCI_ACS_RR,
  PCI_ACS_SV,
  PCI_ACS_UF,
  PCI_EXP_TYPE_DOWNSTREAM,
  PCI_EXP_TYPE_PCIE_BRIDGE,
  PCI_EXP_TYPE_PCI_BRIDGE,
  PCI_EXP_TYPE_RC_EC,
  PCI_EXP_TYPE_ROOT_PORT,
} from '../pci/registers.ts';
import { acsQuirk, type AcsQuirk } from './acs-quirks.ts';
import type { KernelVersion } from './kernel-version.ts';
import type { PciNode, PciTopology } from './topology.ts';

/** What the IOMMU asks for: source validation, redirection of requests and completions, upstream forwarding. */
export const REQUIRED_ACS: number = PCI_ACS_SV | PCI_ACS_RR | PCI_ACS_CR | PCI_ACS_UF;

const NAMES: readonly (readonly [bit: number, name: string])[] = [
  [PCI_ACS_SV, 'SrcValid'],
  [PCI_ACS_RR, 'ReqRedir'],
  [PCI_ACS_CR, 'CmpltRedir'],
  [PCI_ACS_UF, 'UpstreamFwd'],
];

/**
 * Access Control Services: whether a function, or a path up to the root, keeps requests of devices apart until the IOMMU sees them.
 * Reference: PCI Express Base 5.0, 6.12. Kernel: pci_acs_enabled(), pci_acs_path_enabled().
 */
export class Acs {
  readonly #topology: PciTopology;
  readonly #amdIommu: boolean;
  readonly #kernel: KernelVersion | undefined;

  /** @param topology who is above whom @param amdIommu the machine has AMD's IOMMU, which some quirks ask for @param kernel whose quirks; by default those of 6.1 */
  constructor(topology: PciTopology, amdIommu: boolean, kernel?: KernelVersion) {
    this.#topology = topology;
    this.#amdIommu = amdIommu;
    this.#kernel = kernel;
  }

  /** Whether this function isolates. */
  enabled(node: PciNode): boolean {
    return this.quirkOf(node)?.isolates ?? byCapability(node);
  }

  /** What the kernel knows of the function's isolation by its ids, against what its registers say; undefined: it goes by these. */
  quirkOf(node: PciNode): AcsQuirk | undefined {
    const onRootBus = this.#topology.bridgeOf(node) === undefined;
    return acsQuirk(node, REQUIRED_ACS, { onRootBus, amdIommu: this.#amdIommu, kernel: this.#kernel });
  }

  /** Whether every function from here to the root isolates. */
  pathEnabled(node: PciNode): boolean {
    return this.enabled(node) && [...this.#topology.bridgesAbove(node)].every((bridge) => this.enabled(bridge));
  }

  /** The first function from here to the root that does not isolate. */
  weakest(node: PciNode): PciNode | undefined {
    return [node, ...this.#topology.bridgesAbove(node)].find((each) => !this.enabled(each));
  }

  /** What a function that does not isolate lacks, in the words of lspci. */
  lack(node: PciNode): string {
    const { expressType, acs } = node.facts;
    if (expressType === undefined) return 'conventional PCI, which has no ACS';
    if (!canHaveAcs(expressType)) return 'a PCI Express bridge, which has no ACS';
    if (acs === undefined) return 'no ACS capability';
    const missing = NAMES.filter(([bit]) => (acs.capability & bit) !== 0 && (acs.control & bit) === 0).map(([, name]) => `${name}-`);
    return `ACSCtl: ${missing.join(' ')}`;
  }
}

function byCapability({ facts, multifunction }: PciNode): boolean {
  const { expressType, acs } = facts;
  if (expressType === undefined || !canHaveAcs(expressType)) return false;
  const isPort = expressType === PCI_EXP_TYPE_ROOT_PORT || expressType === PCI_EXP_TYPE_DOWNSTREAM;
  // Who has no sibling, and is no port, cannot reach anybody but the port above.
  if (!isPort && !multifunction) return true;
  if (acs === undefined) return false;
  // What the function cannot do, it cannot do wrong either.
  const flags = REQUIRED_ACS & (acs.capability | PCI_ACS_EC);
  return (acs.control & flags) === flags;
}

function canHaveAcs(expressType: number): boolean {
  return expressType !== PCI_EXP_TYPE_PCI_BRIDGE && expressType !== PCI_EXP_TYPE_PCIE_BRIDGE && expressType !== PCI_EXP_TYPE_RC_EC;
}
