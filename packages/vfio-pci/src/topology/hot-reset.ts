import type { KernelVersion } from './kernel-version.ts';
import { breaksBusReset } from './reset-quirks.ts';
import type { PciNode, PciTopology } from './topology.ts';

/** Why VFIO_DEVICE_PCI_HOT_RESET cannot reset what a function is on. */
export type HotResetObstacle = 'root-bus' | 'no-bus-reset' | 'bridge-below';

/** What VFIO_DEVICE_PCI_HOT_RESET of a function does. */
export interface HotReset {
  /** Address of the bridge whose secondary bus is reset; undefined: there is none. */
  readonly bridge: string | undefined;
  /**
   * Addresses of all that is reset, the function itself first: whoever asks for the reset has to have them all bound to a VFIO driver, and to
   * show all their groups. As VFIO_DEVICE_GET_PCI_HOT_RESET_INFO lists them, but for the order.
   */
  readonly affected: readonly string[];
  /** Why it cannot be done, whoever asks; undefined: it can. */
  readonly obstacle: { readonly rule: HotResetObstacle; readonly why: string } | undefined;
}

/**
 * What VFIO_DEVICE_PCI_HOT_RESET of a function takes along, and whether it can be done at all. Kernel: pci_probe_reset_bus(),
 * vfio_pci_for_each_slot_or_bus(), vfio_pci_dev_set_resettable().
 *
 * Not modelled: slots of other hot-plug controllers than PCI Express, which may be less than a bus.
 *
 * @param kernel @default 6.1 with its stable updates
 */
export function hotReset(node: PciNode, topology: PciTopology, kernel?: KernelVersion): HotReset {
  const own = node.facts.address;
  const bridge = topology.bridgeOf(node);
  if (bridge?.facts.secondaryBus !== node.address.bus) {
    const why = bridge === undefined ? `${own} is on a root bus, which no bridge resets` : `${own} is a virtual function on a bus of its own, which no bridge leads to`;
    return { bridge: undefined, affected: [own], obstacle: { rule: 'root-bus', why } };
  }
  const reset = belowOf(bridge, topology, new Set([bridge]));
  const affected = [own, ...reset.filter((other) => other !== node).map(({ facts }) => facts.address)];
  const broken = [bridge, ...reset].find(({ facts }) => breaksBusReset(facts, kernel));
  if (broken !== undefined) {
    return { bridge: bridge.facts.address, affected, obstacle: { rule: 'no-bus-reset', why: `${broken.facts.address} does not come back from a bus reset, so that Linux does none` } };
  }
  const inner = reset.find(({ facts }) => facts.isBridge);
  const why = inner === undefined ? undefined : `the bridge ${inner.facts.address} would be reset, too, which no VFIO driver has`;
  return { bridge: bridge.facts.address, affected, obstacle: why === undefined ? undefined : { rule: 'bridge-below', why } };
}

/** All functions on the buses that bridges lead to, from one bridge on. */
function belowOf(bridge: PciNode, topology: PciTopology, seen: Set<PciNode>): readonly PciNode[] {
  return topology.busBelow(bridge).flatMap((node) => {
    if (seen.has(node)) return [];
    seen.add(node);
    return [node, ...belowOf(node, topology, seen)];
  });
}
