/**
 * Requester ids other than a function's own that its requests may carry. Kernel: pci_add_dma_alias() in drivers/pci/quirks.c of 6.1.192.
 */
import type { PciNode } from './topology.ts';

type Ids = Readonly<Record<number, readonly number[]>>;

/** Requests of the other functions come from function 0: Ricoh, Glenfly. */
const FUNCTION_0: Ids = { 0x1180: [0xe832, 0xe476], 0x6766: [0x3d40, 0x3d41] };

/** Requests come from function 1, whether or not there is one: SATA controllers. */
const FUNCTION_1: Ids = {
  0x1b4b: [0x9120, 0x9123, 0x9125, 0x9128, 0x9130, 0x9170, 0x9172, 0x917a, 0x9182, 0x9183, 0x91a0, 0x9215, 0x9220, 0x9230, 0x9235],
  0x1103: [0x0642, 0x0645],
  0x197b: [0x2392],
  0x1c28: [0x0122],
};

/** Adaptec RAID controllers whose requests come from 01.0 on their bus. */
const ADAPTEC = 0x9005;
const ADAPTEC_DEVICE = 0x0285;
const ADAPTEC_SUBSYSTEMS: readonly number[] = [0x02bb, 0x02bc];

const INTEL = 0x8086;
/** Xeon Phi x200 forwards for 10.0, 11.0 and 12.3 of its bus. */
const XEON_PHI: readonly number[] = [0x2260, 0x2264];
const XEON_PHI_ALIASES: readonly number[] = [0x80, 0x88, 0x93];
/** Visual Compute Accelerators: functions 0 to 4 of every slot. */
const COMPUTE_ACCELERATOR: readonly number[] = [0x2954, 0x2955, 0x2956, 0x2958, 0x2959, 0x295a];

/**
 * Whether requests of a function may come from another place of its own bus, besides its own.
 *
 * @param devfn device in bits 7:3, function in bits 2:0
 */
export function hasDmaAlias(node: PciNode, devfn: number): boolean {
  const { vendor, device, subsystemVendor, subsystem } = node.facts;
  const own = node.address.devfn;
  if (FUNCTION_0[vendor]?.includes(device) === true) return (own & 7) !== 0 && devfn === (own & ~7);
  if (FUNCTION_1[vendor]?.includes(device) === true) return (own & 7) !== 1 && devfn === ((own & ~7) | 1);
  if (vendor === ADAPTEC && device === ADAPTEC_DEVICE) return subsystemVendor === ADAPTEC && ADAPTEC_SUBSYSTEMS.includes(subsystem) && devfn === 0x08;
  if (vendor !== INTEL) return false;
  return (XEON_PHI.includes(device) && XEON_PHI_ALIASES.includes(devfn)) || (COMPUTE_ACCELERATOR.includes(device) && (devfn & 7) < 5);
}

/** Whether one of two functions on a bus may send with the other's id. */
export function areDmaAliases(a: PciNode, b: PciNode): boolean {
  return hasDmaAlias(a, b.address.devfn) || hasDmaAlias(b, a.address.devfn);
}
