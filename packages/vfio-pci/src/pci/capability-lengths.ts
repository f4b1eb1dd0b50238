/**
 * Lengths of capabilities in bytes, as vfio-pci knows them: 0 is a capability that it hides from user space.
 * Reference: the structures in the PCI and PCI Express specifications.
 */
import { read16, read32 } from './capabilities.ts';
import {
  PCI_CAP_ID_AF,
  PCI_CAP_ID_AGP,
  PCI_CAP_ID_EXP,
  PCI_CAP_ID_HT,
  PCI_CAP_ID_MSI,
  PCI_CAP_ID_MSIX,
  PCI_CAP_ID_PCIX,
  PCI_CAP_ID_PM,
  PCI_CAP_ID_SATA,
  PCI_CAP_ID_VNDR,
  PCI_CAP_ID_VPD,
  PCI_EXP_FLAGS,
  PCI_EXP_FLAGS_TYPE,
  PCI_EXP_FLAGS_VERS,
  PCI_EXP_TYPE_RC_END,
  PCI_EXT_CAP_ID_ACS,
  PCI_EXT_CAP_ID_ARI,
  PCI_EXT_CAP_ID_ATS,
  PCI_EXT_CAP_ID_DPA,
  PCI_EXT_CAP_ID_DSN,
  PCI_EXT_CAP_ID_ERR,
  PCI_EXT_CAP_ID_LTR,
  PCI_EXT_CAP_ID_MCAST,
  PCI_EXT_CAP_ID_MFVC,
  PCI_EXT_CAP_ID_PRI,
  PCI_EXT_CAP_ID_PWR,
  PCI_EXT_CAP_ID_REBAR,
  PCI_EXT_CAP_ID_SRIOV,
  PCI_EXT_CAP_ID_TPH,
  PCI_EXT_CAP_ID_VC,
  PCI_EXT_CAP_ID_VC9,
  PCI_EXT_CAP_ID_VNDR,
  PCI_MSI_FLAGS,
  PCI_MSI_FLAGS_64BIT,
  PCI_MSI_FLAGS_MASKBIT,
} from './registers.ts';

/** Length of the PCI Express capability, version 2, in the kernels that hold it to be 50 bytes. */
export type ExpressLength = 50 | 52;

export function capabilityLength(config: Uint8Array, id: number, at: number, express: ExpressLength = 52): number {
  switch (id) {
    case PCI_CAP_ID_PM:
    case PCI_CAP_ID_VPD:
      return 8;
    case PCI_CAP_ID_AGP:
    case PCI_CAP_ID_MSIX:
      return 12;
    case PCI_CAP_ID_MSI: {
      const flags = read16(config, at + PCI_MSI_FLAGS);
      return 10 + ((flags & PCI_MSI_FLAGS_64BIT) !== 0 ? 4 : 0) + ((flags & PCI_MSI_FLAGS_MASKBIT) !== 0 ? 10 : 0);
    }
    case PCI_CAP_ID_PCIX:
      return (read16(config, at + 2) & 0x3000) !== 0 ? 24 : 8; // a version with the ECC registers
    case PCI_CAP_ID_HT:
      return (config[at + 3]! & 0x08) !== 0 ? 28 : 24;
    case PCI_CAP_ID_VNDR:
      return config[at + 2]!;
    case PCI_CAP_ID_EXP: {
      const flags = config[at + PCI_EXP_FLAGS]!;
      const integrated = (flags & PCI_EXP_FLAGS_TYPE) >> 4 === PCI_EXP_TYPE_RC_END;
      if ((flags & PCI_EXP_FLAGS_VERS) === 1) return integrated ? 12 : 20;
      return integrated ? 44 : express;
    }
    case PCI_CAP_ID_SATA:
      return (config[at + 4]! & 0xf) === 0xf ? 16 : 8; // the index and data pair follows
    case PCI_CAP_ID_AF:
      return 6;
    default:
      return 0;
  }
}

export function extendedCapabilityLength(config: Uint8Array, id: number, at: number): number {
  switch (id) {
    case PCI_EXT_CAP_ID_ERR:
      return 44;
    case PCI_EXT_CAP_ID_VC:
    case PCI_EXT_CAP_ID_VC9:
    case PCI_EXT_CAP_ID_MFVC:
      return virtualChannelLength(config, at);
    case PCI_EXT_CAP_ID_DSN:
      return 12;
    case PCI_EXT_CAP_ID_PWR:
      return 16;
    case PCI_EXT_CAP_ID_VNDR:
      return read32(config, at + 4) >>> 20;
    case PCI_EXT_CAP_ID_ACS: {
      const control = config[at + 4]!;
      if ((control & 0x20) === 0) return 8; // no egress control
      const size = config[at + 5]!;
      const bits = size === 0 ? 256 : size;
      return 8 + 4 * Math.ceil(bits / 32);
    }
    case PCI_EXT_CAP_ID_ARI:
    case PCI_EXT_CAP_ID_ATS:
    case PCI_EXT_CAP_ID_LTR:
      return 8;
    case PCI_EXT_CAP_ID_SRIOV:
      return 64;
    case PCI_EXT_CAP_ID_MCAST:
      return 40;
    case PCI_EXT_CAP_ID_PRI:
      return 16;
    case PCI_EXT_CAP_ID_REBAR:
      return 4 + 8 * (config[at + 8]! >> 5);
    case PCI_EXT_CAP_ID_DPA:
      return 16 + (config[at + 4]! & 0x1f) + 1;
    case PCI_EXT_CAP_ID_TPH: {
      const register = read32(config, at + 4);
      return (register & 0x600) === 0x200 ? 12 + 2 * (((register >>> 16) & 0x7ff) + 1) : 12;
    }
    default:
      return 0;
  }
}

/** The registers of each channel, and the arbitration table if there is one behind them. */
function virtualChannelLength(config: Uint8Array, at: number): number {
  const capability1 = config[at + 4]!;
  const channels = (capability1 & 7) + 1;
  const lowPriority = (capability1 >> 4) & 7;
  const arbitration = config[at + 8]!;
  const phases = (arbitration & 8) !== 0 ? 128 : (arbitration & 4) !== 0 ? 64 : (arbitration & 2) !== 0 ? 32 : 0;
  if (lowPriority > 0 && phases > 0) {
    const tableAt = (read32(config, at + 8) >>> 24) * 16;
    if (tableAt > 0) return tableAt + phases / 2;
  }
  return 16 + 12 * channels;
}

/**
 * Bytes of a capability as hardware has it: with the slot and root registers of PCI Express, which VFIO does not know.
 *
 * @param id PCI_CAP_ID_*
 * @param at its offset, in bytes
 * @returns 0 for one that is not known
 */
export function structureLength(config: Uint8Array, id: number, at: number): number {
  if (id === PCI_CAP_ID_EXP && (config[at + PCI_EXP_FLAGS]! & PCI_EXP_FLAGS_VERS) >= 2) return 60;
  return capabilityLength(config, id, at);
}

/**
 * Bytes of an extended capability as hardware has it: with the log of AER, which VFIO does not know.
 *
 * @param id PCI_EXT_CAP_ID_*
 * @param at its offset, in bytes
 * @returns 0 for one that is not known
 */
export function extendedStructureLength(config: Uint8Array, id: number, at: number): number {
  // Version 2 has the log of TLP prefixes.
  if (id === PCI_EXT_CAP_ID_ERR) return ((read32(config, at) >>> 16) & 0xf) >= 2 ? 72 : 64;
  return extendedCapabilityLength(config, id, at);
}
