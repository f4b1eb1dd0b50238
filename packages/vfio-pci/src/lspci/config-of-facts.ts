/** A configuration space that says what a decoded text says, where the text has no bytes. */
import { write16, write32 } from '../pci/capabilities.ts';
import {
  PCI_ACS_CAP,
  PCI_ACS_CTRL,
  PCI_CAPABILITY_LIST,
  PCI_AF_CAP,
  PCI_AF_CAP_TP_FLR,
  PCI_CAP_ID_AF,
  PCI_CAP_ID_EXP,
  PCI_CAP_ID_PM,
  PCI_CFG_SPACE_EXP_SIZE,
  PCI_CFG_SPACE_SIZE,
  PCI_CLASS_PROG,
  PCI_DEVICE_ID,
  PCI_EXP_DEVCAP,
  PCI_EXP_DEVCAP_FLR_HIGH,
  PCI_EXP_FLAGS,
  PCI_EXT_CAP_ID_ACS,
  PCI_EXT_CAP_ID_SRIOV,
  PCI_HEADER_TYPE,
  PCI_HEADER_TYPE_BRIDGE,
  PCI_SECONDARY_BUS,
  PCI_SRIOV_CTRL,
  PCI_SRIOV_CTRL_VFE,
  PCI_SRIOV_INITIAL_VF,
  PCI_SRIOV_NUM_VF,
  PCI_SRIOV_TOTAL_VF,
  PCI_SRIOV_VF_DID,
  PCI_SRIOV_VF_OFFSET,
  PCI_SRIOV_VF_STRIDE,
  PCI_STATUS,
  PCI_STATUS_CAP_LIST,
  PCI_SUBSYSTEM_ID,
  PCI_SUBSYSTEM_VENDOR_ID,
  PCI_VENDOR_ID,
} from '../pci/registers.ts';
import type { PciFacts } from '../topology/facts.ts';

/** How a function resets itself. */
export interface ResetCapabilities {
  /** Function Level Reset of the PCI Express capability. */
  readonly flr: boolean;
  /** Function Level Reset of the Advanced Features capability. */
  readonly afFlr: boolean;
  /** Power Management, and going to D3hot and back resets it. */
  readonly pm: boolean;
}

const EXPRESS = 0x40;
const ADVANCED_FEATURES = 0x80;
const ADVANCED_FEATURES_LENGTH = 6;
const POWER = 0x90;
const FIRST_EXTENDED = 0x100;
const SECOND_EXTENDED = 0x140;

/**
 * A configuration space that says what the facts say: header, PCI Express, ACS and SR-IOV, and the capabilities by which it resets itself.
 *
 * @param resets left out for a function without any
 * @returns 256 bytes of a conventional function, 4096 of a PCI Express one
 */
export function configOfFacts(facts: PciFacts, resets: ResetCapabilities = { flr: false, afFlr: false, pm: false }): Uint8Array {
  const { expressType, acs, sriov } = facts;
  const bytes = new Uint8Array(expressType === undefined ? PCI_CFG_SPACE_SIZE : PCI_CFG_SPACE_EXP_SIZE);
  write16(bytes, PCI_VENDOR_ID, facts.vendor);
  write16(bytes, PCI_DEVICE_ID, facts.device);
  bytes[PCI_CLASS_PROG] = facts.class;
  write16(bytes, PCI_CLASS_PROG + 1, facts.class >>> 8);
  bytes[PCI_HEADER_TYPE] = (facts.isBridge ? PCI_HEADER_TYPE_BRIDGE : 0) | (facts.multifunctionBit ? 0x80 : 0);
  if (facts.isBridge) bytes[PCI_SECONDARY_BUS] = facts.secondaryBus ?? 0;
  else {
    write16(bytes, PCI_SUBSYSTEM_VENDOR_ID, facts.subsystemVendor);
    write16(bytes, PCI_SUBSYSTEM_ID, facts.subsystem);
  }
  if (resets.afFlr) {
    capability(bytes, ADVANCED_FEATURES, PCI_CAP_ID_AF);
    bytes[ADVANCED_FEATURES + 2] = ADVANCED_FEATURES_LENGTH;
    bytes[ADVANCED_FEATURES + PCI_AF_CAP] = PCI_AF_CAP_TP_FLR;
  }
  if (resets.pm) capability(bytes, POWER, PCI_CAP_ID_PM);
  if (expressType === undefined) return bytes;
  capability(bytes, EXPRESS, PCI_CAP_ID_EXP);
  write16(bytes, EXPRESS + PCI_EXP_FLAGS, 2 | (expressType << 4));
  if (resets.flr) write16(bytes, EXPRESS + PCI_EXP_DEVCAP + 2, PCI_EXP_DEVCAP_FLR_HIGH);
  if (acs !== undefined) {
    extended(bytes, FIRST_EXTENDED, PCI_EXT_CAP_ID_ACS, sriov === undefined ? 0 : SECOND_EXTENDED);
    write16(bytes, FIRST_EXTENDED + PCI_ACS_CAP, acs.capability);
    write16(bytes, FIRST_EXTENDED + PCI_ACS_CTRL, acs.control);
  }
  if (sriov !== undefined) {
    const at = acs === undefined ? FIRST_EXTENDED : SECOND_EXTENDED;
    extended(bytes, at, PCI_EXT_CAP_ID_SRIOV, 0);
    write16(bytes, at + PCI_SRIOV_CTRL, PCI_SRIOV_CTRL_VFE);
    for (const register of [PCI_SRIOV_INITIAL_VF, PCI_SRIOV_TOTAL_VF, PCI_SRIOV_NUM_VF]) write16(bytes, at + register, sriov.count);
    write16(bytes, at + PCI_SRIOV_VF_OFFSET, sriov.offset);
    write16(bytes, at + PCI_SRIOV_VF_STRIDE, sriov.stride);
    write16(bytes, at + PCI_SRIOV_VF_DID, sriov.device);
  }
  return bytes;
}

/** Puts a capability first in the list. */
function capability(bytes: Uint8Array, at: number, id: number): void {
  write16(bytes, PCI_STATUS, PCI_STATUS_CAP_LIST);
  bytes[at] = id;
  bytes[at + 1] = bytes[PCI_CAPABILITY_LIST]!;
  bytes[PCI_CAPABILITY_LIST] = at;
}

function extended(bytes: Uint8Array, at: number, id: number, next: number): void {
  write32(bytes, at, (next << 20) | 0x1_0000 | id);
}
