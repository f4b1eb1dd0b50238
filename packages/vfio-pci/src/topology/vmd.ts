/**
 * Intel's Volume Management Device: a function of the root complex with root ports and NVMe controllers behind it, which Linux shows in a
 * domain of their own. To the IOMMU all of them are the VMD. Kernel: drivers/pci/controller/vmd.c of 7.3, pci_real_dma_dev().
 */
import { PciAddress } from '../pci/address.ts';
import type { PciFacts } from './facts.ts';

const INTEL = 0x8086;
/** Device ids of VMDs, all of Intel. */
export const VMD_DEVICES: readonly number[] = [0x201d, 0x28c0, 0x28c1, 0x467f, 0x4c3d, 0x7d0b, 0x9a0b, 0xa77f, 0xad0b, 0xb06f, 0xb07f, 0xb60b, 0xd70b, 0xd73b];
/** Firmware's domains have 16 bits; Linux takes the next ones for VMDs. */
const FIRST_VMD_DOMAIN = 0x1_0000;

/** Whether a function is a VMD. */
export function isVmd({ vendor, device }: PciFacts): boolean {
  return vendor === INTEL && VMD_DEVICES.includes(device);
}

/** Whether a function is in a domain of a VMD. @throws RangeError for an address that is none */
export function isBelowVmd({ address }: PciFacts): boolean {
  return new PciAddress(address).domain >= FIRST_VMD_DOMAIN;
}

/**
 * Addresses of the VMDs that a function may be below: of one, where its facts or the machine leave no choice.
 *
 * @param facts the function
 * @param all the functions of the machine
 * @returns an empty list for a function that is below none, or whose VMD is not among `all`
 * @throws RangeError for an address that is none
 */
export function vmdsAbove(facts: PciFacts, all: readonly PciFacts[]): readonly string[] {
  if (!isBelowVmd(facts)) return [];
  const there = all.filter((other) => isVmd(other) && !isBelowVmd(other)).map(({ address }) => address);
  return facts.vmd === undefined ? there : there.filter((address) => address === facts.vmd);
}
