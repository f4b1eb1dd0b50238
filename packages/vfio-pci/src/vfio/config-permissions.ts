import { write16, write32 } from '../pci/capabilities.ts';
import {
  PCI_AF_CTRL,
  PCI_AF_CTRL_FLR,
  PCI_BASE_ADDRESS_0,
  PCI_BASE_ADDRESS_5,
  PCI_BIST,
  PCI_CACHE_LINE_SIZE,
  PCI_CAPABILITY_LIST,
  PCI_CAP_LIST_NEXT,
  PCI_COMMAND,
  PCI_COMMAND_INTX_DISABLE,
  PCI_DEVICE_ID,
  PCI_ERR_CAP,
  PCI_ERR_COR_MASK,
  PCI_ERR_COR_STATUS,
  PCI_ERR_UNCOR_MASK,
  PCI_ERR_UNCOR_SEVER,
  PCI_ERR_UNCOR_STATUS,
  PCI_EXP_DEVCTL,
  PCI_EXP_DEVCTL2,
  PCI_EXP_DEVCTL2_ARI,
  PCI_EXP_DEVCTL_BCR_FLR,
  PCI_EXP_DEVCTL_PAYLOAD,
  PCI_EXP_DEVCTL_PHANTOM,
  PCI_EXP_DEVCTL_READRQ,
  PCI_INTERRUPT_LINE,
  PCI_INTERRUPT_PIN,
  PCI_LATENCY_TIMER,
  PCI_MSI_FLAGS,
  PCI_MSI_FLAGS_64BIT,
  PCI_MSI_FLAGS_MASKBIT,
  PCI_PM_CAP_PME_MASK,
  PCI_PM_CTRL,
  PCI_PM_CTRL_PME_ENABLE,
  PCI_PM_CTRL_PME_STATUS,
  PCI_PM_CTRL_STATE_MASK,
  PCI_PM_PMC,
  PCI_ROM_ADDRESS,
  PCI_STATUS,
  PCI_STATUS_CAP_LIST,
  PCI_STD_HEADER_SIZEOF,
  PCI_VENDOR_ID,
  PCI_VPD_ADDR,
  PCI_VPD_DATA,
} from '../pci/registers.ts';

const NONE = 0;
const ALL = 0xffff_ffff;

/** AER bits that a user may change: everything that is defined and not reserved. */
const AER_UNCORRECTABLE = 0x03ff_f031;
const AER_CORRECTABLE = 0x0000_f1c1;
const AER_CONTROL = 0x0000_0140;

/**
 * What a user may see and change of each structure in configuration space. Kernel: vfio_pci_config.c, the perm_bits tables.
 *
 * Two bits for each bit of a structure: `virtual` comes from the virtual configuration, the rest from hardware; `writable` takes what the
 * user writes, there or in hardware; what is not writable is dropped in silence.
 */
export class Permissions {
  readonly virtual: Uint8Array;
  readonly writable: Uint8Array;

  /** @param length of the structure, in bytes */
  constructor(length: number) {
    this.virtual = new Uint8Array(length);
    this.writable = new Uint8Array(length);
  }

  byte(at: number, virtual: number, writable: number): this {
    this.virtual[at] = virtual;
    this.writable[at] = writable;
    return this;
  }

  word(at: number, virtual: number, writable: number): this {
    write16(this.virtual, at, virtual);
    write16(this.writable, at, writable);
    return this;
  }

  dword(at: number, virtual: number, writable: number): this {
    write32(this.virtual, at, virtual);
    write32(this.writable, at, writable);
    return this;
  }
}

/** The header of 64 bytes. */
export function headerPermissions(): Permissions {
  const table = new Permissions(PCI_STD_HEADER_SIZEOF)
    .word(PCI_VENDOR_ID, ALL, NONE)
    .word(PCI_DEVICE_ID, ALL, NONE)
    .word(PCI_COMMAND, PCI_COMMAND_INTX_DISABLE, ALL)
    .word(PCI_STATUS, PCI_STATUS_CAP_LIST, NONE)
    .byte(PCI_CACHE_LINE_SIZE, NONE, ALL)
    .byte(PCI_LATENCY_TIMER, NONE, ALL)
    .byte(PCI_BIST, NONE, ALL)
    .dword(PCI_ROM_ADDRESS, ALL, ALL)
    .byte(PCI_CAPABILITY_LIST, ALL, NONE)
    .byte(PCI_INTERRUPT_LINE, ALL, ALL)
    .byte(PCI_INTERRUPT_PIN, ALL, NONE);
  for (let at = PCI_BASE_ADDRESS_0; at <= PCI_BASE_ADDRESS_5; at += 4) table.dword(at, ALL, ALL);
  return table;
}

/**
 * PMCSR: the power state is not written to hardware.
 *
 * @param length of the structure, in bytes
 * @param virtualPme whether wake-up is hidden from users (6.1)
 */
export function powerPermissions(length: number, virtualPme: boolean): Permissions {
  const pme = PCI_PM_CTRL_PME_ENABLE | PCI_PM_CTRL_PME_STATUS;
  const table = standard(length);
  if (!virtualPme) return table.dword(PCI_PM_CTRL, NONE, ~PCI_PM_CTRL_STATE_MASK);
  return table.word(PCI_PM_PMC, PCI_PM_CAP_PME_MASK, NONE).dword(PCI_PM_CTRL, pme, ~(PCI_PM_CTRL_STATE_MASK | pme));
}

export function vpdPermissions(length: number): Permissions {
  return standard(length).word(PCI_VPD_ADDR, ALL, ALL).dword(PCI_VPD_DATA, ALL, ALL);
}

/** PCI-X: its command register, and the ECC registers where there are any. @param length of the structure, in bytes */
export function pcixPermissions(length: number): Permissions {
  const table = standard(length).word(2, NONE, ALL);
  return length > 8 ? table.dword(8, NONE, ALL) : table;
}

export function expressPermissions(length: number): Permissions {
  const virtual = PCI_EXP_DEVCTL_BCR_FLR | PCI_EXP_DEVCTL_PAYLOAD | PCI_EXP_DEVCTL_READRQ;
  const table = standard(length).word(PCI_EXP_DEVCTL, virtual, ~PCI_EXP_DEVCTL_PHANTOM);
  return length > PCI_EXP_DEVCTL2 ? table.word(PCI_EXP_DEVCTL2, NONE, ~PCI_EXP_DEVCTL2_ARI) : table;
}

export function advancedFeaturesPermissions(length: number): Permissions {
  return standard(length).byte(PCI_AF_CTRL, PCI_AF_CTRL_FLR, PCI_AF_CTRL_FLR);
}

/**
 * MSI: address and data never reach hardware; masks and pending bits are the hardware's.
 *
 * @param length of the structure, in bytes
 * @param flags Message Control, 16 bits
 */
export function msiPermissions(length: number, flags: number): Permissions {
  const wide = (flags & PCI_MSI_FLAGS_64BIT) !== 0;
  const data = wide ? 12 : 8;
  const table = standard(length).byte(PCI_MSI_FLAGS, ALL, ALL).dword(4, ALL, ALL);
  if (wide) table.dword(8, ALL, ALL);
  table.word(data, ALL, ALL);
  if ((flags & PCI_MSI_FLAGS_MASKBIT) !== 0) table.dword(data + 4, NONE, ALL).dword(data + 8, NONE, ALL);
  return table;
}

export function aerPermissions(length: number): Permissions {
  return new Permissions(length)
    .dword(0, ALL, NONE)
    .dword(PCI_ERR_UNCOR_STATUS, NONE, AER_UNCORRECTABLE)
    .dword(PCI_ERR_UNCOR_MASK, NONE, AER_UNCORRECTABLE)
    .dword(PCI_ERR_UNCOR_SEVER, NONE, AER_UNCORRECTABLE)
    .dword(PCI_ERR_COR_STATUS, NONE, AER_CORRECTABLE)
    .dword(PCI_ERR_COR_MASK, NONE, AER_CORRECTABLE)
    .dword(PCI_ERR_CAP, NONE, AER_CONTROL);
}

/** Power budgeting: the data select register. @param length of the structure, in bytes */
export function powerBudgetPermissions(length: number): Permissions {
  return new Permissions(length).dword(0, ALL, NONE).byte(8, NONE, ALL);
}

/** A capability of the first 256 bytes: its link is virtual. */
function standard(length: number): Permissions {
  return new Permissions(length).byte(PCI_CAP_LIST_NEXT, ALL, NONE);
}
