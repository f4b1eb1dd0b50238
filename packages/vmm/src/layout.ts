/** The machine that a VMM shows its guest, in guest physical addresses. */

/** Bytes of one redistributor: RD_base and SGI_base. */
export const REDISTRIBUTOR_STRIDE = 0x2_0000;

/** Where a VM's memory and interrupt controllers lie, in guest physical bytes. */
export interface MachineLayout {
  /** Multiples of the page size. */
  readonly ram: { readonly base: number; readonly size: number };
  /** The distributor, 64 KiB. */
  readonly distributor: number;
  /** The redistributors of all vCPUs, REDISTRIBUTOR_STRIDE apart. */
  readonly redistributors: number;
  /** The ITS: its control frame, then that of GITS_TRANSLATER, 64 KiB each. */
  readonly its: number;
}

/** Where QEMU's `virt` machine has them, with 6 MiB of RAM. */
export const VIRT_MACHINE: MachineLayout = {
  ram: { base: 0x4000_0000, size: 0x0060_0000 },
  distributor: 0x0800_0000,
  redistributors: 0x080a_0000,
  its: 0x0808_0000,
};

/** Where devices of the guest write their messages: GITS_TRANSLATER. */
export function translaterOf({ its }: MachineLayout): number {
  return its + 0x1_0040;
}
