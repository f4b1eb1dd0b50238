/** Which structures of configuration space VFIO has a table for, and what goes on after a write. Kernel: cap_perms[], ecap_perms[]. */
import type { KernelProfile } from '@vsim/vfio-core';
import { read16 } from '../pci/capabilities.ts';
import {
  PCI_CAP_ID_AF,
  PCI_CAP_ID_EXP,
  PCI_CAP_ID_MSI,
  PCI_CAP_ID_PCIX,
  PCI_CAP_ID_PM,
  PCI_CAP_ID_VNDR,
  PCI_CAP_ID_VPD,
  PCI_EXT_CAP_ID_ERR,
  PCI_EXT_CAP_ID_PWR,
  PCI_EXT_CAP_ID_VNDR,
  PCI_MSI_FLAGS,
} from '../pci/registers.ts';
import {
  advancedFeaturesPermissions,
  aerPermissions,
  expressPermissions,
  msiPermissions,
  pcixPermissions,
  powerBudgetPermissions,
  powerPermissions,
  vpdPermissions,
  type Permissions,
} from './config-permissions.ts';

/** How a section's writes go on after the tables. */
export type Kind = 'plain' | 'header' | 'pm' | 'vpd' | 'msi' | 'exp' | 'af' | 'raw';

export function capabilitySection(
  config: Uint8Array,
  id: number,
  at: number,
  length: number,
  profile: KernelProfile,
): { kind: Kind; permissions: Permissions | undefined } {
  switch (id) {
    case PCI_CAP_ID_PM:
      return { kind: 'pm', permissions: powerPermissions(length, profile.virtualPme) };
    case PCI_CAP_ID_VPD:
      return { kind: 'vpd', permissions: vpdPermissions(length) };
    case PCI_CAP_ID_MSI:
      return { kind: 'msi', permissions: msiPermissions(length, read16(config, at + PCI_MSI_FLAGS)) };
    case PCI_CAP_ID_PCIX:
      return { kind: 'plain', permissions: pcixPermissions(length) };
    case PCI_CAP_ID_VNDR:
      return { kind: 'raw', permissions: undefined };
    case PCI_CAP_ID_EXP:
      return { kind: 'exp', permissions: expressPermissions(length) };
    case PCI_CAP_ID_AF:
      return { kind: 'af', permissions: advancedFeaturesPermissions(length) };
    default:
      return { kind: 'plain', permissions: undefined };
  }
}

export function extendedSection(id: number, length: number): { kind: Kind; permissions: Permissions | undefined } {
  switch (id) {
    case PCI_EXT_CAP_ID_ERR:
      return { kind: 'plain', permissions: aerPermissions(length) };
    case PCI_EXT_CAP_ID_PWR:
      return { kind: 'plain', permissions: powerBudgetPermissions(length) };
    case PCI_EXT_CAP_ID_VNDR:
      return { kind: 'raw', permissions: undefined };
    default:
      return { kind: 'plain', permissions: undefined };
  }
}
