/**
 * Requester ids other than a function's own that its requests may carry. Kernel: pci_add_dma_alias() in drivers/pci/quirks.c.
 *
 * Not modelled: non-transparent bridges, and Intel's Visual Compute Accelerator.
 */
import type { PciNode } from './topology.ts';

/** Requests of the other functions come from function 0. */
const FUNCTION_0: Readonly<Record<number, readonly number[]>> = { 0x1180: [0xe832, 0xe476] };

/** Requests come from function 1, whether or not there is one: SATA controllers. */
const FUNCTION_1: Readonly<Record<number, readonly number[]>> = {
  0x1b4b: [0x9120, 0x9123, 0x9125, 0x9128, 0x9130, 0x9143, 0x9170, 0x9172, 0x917a, 0x9182, 0x9183, 0x91a0, 0x9215, 0x9220, 0x9230, 0x9235],
  0x1103: [0x0642, 0x0645],
  0x197b: [0x2392],
  0x1c28: [0x0122],
};

/** Adaptec RAID controllers whose requests come from 01.0 on their bus. */
const ADAPTEC = 0x9005;
const ADAPTEC_DEVICE = 0x0285;
const ADAPTEC_SUBSYSTEMS: readonly number[] = [0x0285, 0x02bb];
const DEVICE_1 = 0x08;

/** The devfn of the alias on the function's own bus, if it has one. */
export function dmaAlias(node: PciNode): number | undefined {
  const { vendor, device, subsystemVendor, subsystem } = node.facts;
  const { devfn, function: number } = node.address;
  if (FUNCTION_0[vendor]?.includes(device) === true && number !== 0) return devfn & ~7;
  if (FUNCTION_1[vendor]?.includes(device) === true && number !== 1) return (devfn & ~7) | 1;
  const fixed = vendor === ADAPTEC && device === ADAPTEC_DEVICE && subsystemVendor === ADAPTEC && ADAPTEC_SUBSYSTEMS.includes(subsystem);
  return fixed ? DEVICE_1 : undefined;
}

/** Whether one of two functions on a bus may send with the other's id. */
export function areDmaAliases(a: PciNode, b: PciNode): boolean {
  return dmaAlias(a) === b.address.devfn || dmaAlias(b) === a.address.devfn;
}
