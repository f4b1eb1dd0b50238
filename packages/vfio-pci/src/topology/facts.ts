import { findCapability, findExtendedCapability, read16, read32 } from '../pci/capabilities.ts';
import {
  PCI_ACS_CAP,
  PCI_ACS_CTRL,
  PCI_CAP_ID_EXP,
  PCI_DEVICE_ID,
  PCI_EXP_FLAGS,
  PCI_EXP_FLAGS_TYPE,
  PCI_EXT_CAP_ID_ACS,
  PCI_EXT_CAP_ID_SRIOV,
  PCI_HEADER_TYPE,
  PCI_HEADER_TYPE_MASK,
  PCI_HEADER_TYPE_NORMAL,
  PCI_REVISION_ID,
  PCI_SECONDARY_BUS,
  PCI_SRIOV_CTRL,
  PCI_SRIOV_CTRL_VFE,
  PCI_SRIOV_NUM_VF,
  PCI_SRIOV_VF_DID,
  PCI_SRIOV_VF_OFFSET,
  PCI_SRIOV_VF_STRIDE,
  PCI_SUBSYSTEM_ID,
  PCI_SUBSYSTEM_VENDOR_ID,
  PCI_VENDOR_ID,
} from '../pci/registers.ts';

/** Access Control Services: the capability and control registers as they are read. */
export interface AcsFacts {
  /** ACS Capability, 16 bits: PCI_ACS_*. */
  readonly capability: number;
  /** ACS Control, 16 bits: what of them is on. */
  readonly control: number;
  /** The two dwords from the capability register on: where Sunrise Point ports have wider registers. */
  readonly wide?: { readonly capability: number; readonly control: number } | undefined;
}

/** Virtual functions that a physical one has enabled. */
export interface SriovFacts {
  /** NumVFs, 16 bits. */
  readonly count: number;
  /** First VF Offset, 16 bits. */
  readonly offset: number;
  /** VF Stride, 16 bits. */
  readonly stride: number;
  /** VF Device ID, 16 bits. */
  readonly device: number;
}

/**
 * What the grouping of DMA looks at in a PCI function: from its configuration space, or from what lspci decoded of it. Reference: PCI Local
 * Bus 3.0; PCI Express Base 5.0, 7.5 and 7.7.8.
 */
export interface PciFacts {
  /** `domain:bus:device.function`, as `0000:00:02.0`. */
  readonly address: string;
  /** Vendor ID, 16 bits. */
  readonly vendor: number;
  /** Device ID, 16 bits. */
  readonly device: number;
  /** Subsystem Vendor ID, 16 bits; 0 of a bridge. */
  readonly subsystemVendor: number;
  /** Subsystem ID, 16 bits; 0 of a bridge. */
  readonly subsystem: number;
  /** Base class, subclass, programming interface: 24 bits. */
  readonly class: number;
  /** The header says that the device has more functions. */
  readonly multifunctionBit: boolean;
  /** Number of the bus below, 1 to 255; undefined for what is no bridge, or leads nowhere. */
  readonly secondaryBus: number | undefined;
  /** Its header is not of type 0. */
  readonly isBridge: boolean;
  /** Device/Port Type of the PCI Express capability, 4 bits; undefined: conventional PCI. */
  readonly expressType: number | undefined;
  /** Its ACS capability; undefined: it has none. */
  readonly acs: AcsFacts | undefined;
  /** Its VFs; undefined: it has none enabled. */
  readonly sriov: SriovFacts | undefined;
  /** Of a function below a VMD: the VMD's address, as its sysfs path has it. @default the machine's VMD, if there is one only */
  readonly vmd?: string | undefined;
}

/** The facts that a configuration space tells, of 64 bytes or more. What lies beyond the known bytes is taken as not there. */
export function pciFacts(address: string, config: Uint8Array): PciFacts {
  const headerType = config[PCI_HEADER_TYPE]!;
  const isBridge = (headerType & PCI_HEADER_TYPE_MASK) !== PCI_HEADER_TYPE_NORMAL;
  const secondary = config[PCI_SECONDARY_BUS]!;
  const express = findCapability(config, PCI_CAP_ID_EXP);
  return {
    address,
    vendor: read16(config, PCI_VENDOR_ID),
    device: read16(config, PCI_DEVICE_ID),
    subsystemVendor: isBridge ? 0 : read16(config, PCI_SUBSYSTEM_VENDOR_ID),
    subsystem: isBridge ? 0 : read16(config, PCI_SUBSYSTEM_ID),
    class: read32(config, PCI_REVISION_ID) >>> 8,
    multifunctionBit: (headerType & 0x80) !== 0,
    secondaryBus: isBridge && secondary !== 0 ? secondary : undefined,
    isBridge,
    expressType: express === 0 ? undefined : (config[express + PCI_EXP_FLAGS]! & PCI_EXP_FLAGS_TYPE) >> 4,
    acs: acsFacts(config),
    sriov: sriovFacts(config),
  };
}

function acsFacts(config: Uint8Array): AcsFacts | undefined {
  const at = findExtendedCapability(config, PCI_EXT_CAP_ID_ACS);
  if (at === 0) return undefined;
  return {
    capability: read16(config, at + PCI_ACS_CAP),
    control: read16(config, at + PCI_ACS_CTRL),
    wide: { capability: read32(config, at + PCI_ACS_CAP), control: read32(config, at + PCI_ACS_CAP + 4) },
  };
}

function sriovFacts(config: Uint8Array): SriovFacts | undefined {
  const at = findExtendedCapability(config, PCI_EXT_CAP_ID_SRIOV);
  if (at === 0 || (read16(config, at + PCI_SRIOV_CTRL) & PCI_SRIOV_CTRL_VFE) === 0) return undefined;
  return {
    count: read16(config, at + PCI_SRIOV_NUM_VF),
    offset: read16(config, at + PCI_SRIOV_VF_OFFSET),
    stride: read16(config, at + PCI_SRIOV_VF_STRIDE),
    device: read16(config, at + PCI_SRIOV_VF_DID),
  };
}
