import { inEra, type Era, type KernelVersion } from './kernel-version.ts';
import type { ResetFacts } from './reset-facts.ts';
import { breaksBusReset, breaksFlr, breaksPmReset, hasOwnReset } from './reset-quirks.ts';
import { isVirtual, type PciNode, type PciTopology } from './topology.ts';

/** How the kernel can reset one function alone, by the names of sysfs `reset_method`. */
export type ResetMethod = 'device_specific' | 'acpi' | 'flr' | 'af_flr' | 'pm' | 'bus';

/** The resets of one function, each list in the kernel's order. */
export interface ResetMethods {
  /** What sysfs `reset_method` lists. Linux asks for each method when it finds the function: who comes later on the bus does not count then. */
  readonly listed: readonly ResetMethod[];
  /** Of these, what works when a reset is asked for. */
  readonly working: readonly ResetMethod[];
  /** Methods of which the facts do not tell whether the function has them. `acpi` is not among them: no PCI register tells it. */
  readonly unknown: readonly ResetMethod[];
}

/** sysfs `reset_method`; before it, `reset` was there if a method worked when all functions of the bus were found. */
const ASKED_WHEN_FOUND: Era = { since: [5, 15] };

/**
 * How a function can be reset alone. Kernel: pci_reset_fn_methods[], pci_init_reset_methods(), pci_parent_bus_reset().
 *
 * Not modelled: `acpi` (_RST), `cxl_bus` of 6.11 and later, slots of other hot-plug controllers than PCI Express.
 *
 * @param kernel @default 6.1 with its stable updates
 */
export function resetMethods(node: PciNode, facts: ResetFacts, topology: PciTopology, kernel?: KernelVersion): ResetMethods {
  const identity = { ...node.facts, revision: facts.revision };
  const flr = breaksFlr(identity, kernel) ? false : facts.flr;
  const afFlr = breaksFlr(identity, kernel) ? false : facts.afFlr;
  const pm = breaksPmReset(identity, topology.bridgeOf(node) === undefined, kernel) ? false : facts.softReset;
  // Some devices' own reset is an FLR with care around it.
  const own = hasOwnReset(identity, false, kernel) ? true : hasOwnReset(identity, true, kernel) ? flr : false;
  const there = { device_specific: own, flr, af_flr: afFlr, pm } as const;
  const alone = (['device_specific', 'flr', 'af_flr', 'pm'] as const).filter((method) => there[method] === true);
  const onBus = topology.busOf(node).filter((other) => other !== node);
  const resettable = !breaksBusReset(identity, kernel) && isBelowBridge(node, topology);
  const busWorks = resettable && !node.facts.isBridge && onBus.length === 0;
  // A bridge has no bus below it yet when it is found.
  const busListed = inEra(ASKED_WHEN_FOUND, kernel) ? resettable && !onBus.some((other) => isFoundBefore(other, node)) : busWorks;
  return {
    listed: busListed ? [...alone, 'bus'] : alone,
    working: busWorks ? [...alone, 'bus'] : alone,
    unknown: (['device_specific', 'flr', 'af_flr', 'pm'] as const).filter((method) => there[method] === undefined),
  };
}

/** Whether the bus is one that a bridge leads to: those of VFs may be Linux's own. */
function isBelowBridge(node: PciNode, topology: PciTopology): boolean {
  return topology.bridgeOf(node)?.facts.secondaryBus === node.address.bus;
}

/** Whether one function of a bus is found before another: by their numbers, and VFs last of all. */
function isFoundBefore(other: PciNode, node: PciNode): boolean {
  return isVirtual(other) === isVirtual(node) ? other.address.devfn < node.address.devfn : isVirtual(node);
}
