import { read16, write16, write32 } from '../pci/capabilities.ts';
import {
  PCI_CAPABILITY_LIST,
  PCI_CAP_ID_EXP,
  PCI_CAP_ID_MSIX,
  PCI_CFG_SPACE_EXP_SIZE,
  PCI_DEVICE_ID,
  PCI_ERR_CAP,
  PCI_ERR_COR_MASK,
  PCI_ERR_UNCOR_MASK,
  PCI_ERR_UNCOR_SEVER,
  PCI_EXP_DEVCAP,
  PCI_EXP_DEVCTL,
  PCI_EXP_FLAGS,
  PCI_EXP_LNKCAP,
  PCI_EXT_CAP_ID_ARI,
  PCI_EXT_CAP_ID_ERR,
  PCI_MSIX_FLAGS,
  PCI_MSIX_PBA,
  PCI_MSIX_TABLE,
  PCI_REVISION_ID,
  PCI_STATUS,
  PCI_STATUS_CAP_LIST,
  PCI_SUBSYSTEM_VENDOR_ID,
  PCI_VENDOR_ID,
} from '../pci/registers.ts';

/** What a VF is made from, besides the sizes of its BARs. */
export interface VirtualFunctionConfig {
  /** 4096 bytes; ids and BARs are not in it. */
  readonly config: Uint8Array;
  /** Which bits software changes, where it is not as the specifications say: dwords by offset. */
  readonly writeMasks: Readonly<Record<number, number>>;
}

/** Endpoint, version 2. */
const ENDPOINT = 2;
const FLR = 0x1000_0000;
const ROLE_BASED_ERRORS = 0x8000;

/**
 * Configuration spaces of virtual functions as they come out of reset, for physical functions of a recorded machine. Reference: SR-IOV 1.1,
 * 3.4: ids and BARs of a VF are not in its own configuration space.
 *
 * The VF of a PF whose configuration space is `pf`.
 */
export function virtualFunctionConfig(pf: Uint8Array): VirtualFunctionConfig {
  return read16(pf, PCI_VENDOR_ID) === 0x8086 && read16(pf, PCI_DEVICE_ID) === 0x10c9 ? igbVf(pf) : plainVf(pf, 0x40);
}

/** Class, revision and subsystem as the PF has them; PCI Express with FLR at `express`. */
function plainVf(pf: Uint8Array, express: number): VirtualFunctionConfig {
  const config = new Uint8Array(PCI_CFG_SPACE_EXP_SIZE);
  config.fill(0xff, 0, 4);
  write16(config, PCI_STATUS, PCI_STATUS_CAP_LIST);
  config.set(pf.subarray(PCI_REVISION_ID, PCI_REVISION_ID + 4), PCI_REVISION_ID);
  config.set(pf.subarray(PCI_SUBSYSTEM_VENDOR_ID, PCI_SUBSYSTEM_VENDOR_ID + 4), PCI_SUBSYSTEM_VENDOR_ID);
  config[PCI_CAPABILITY_LIST] = express;
  config[express] = PCI_CAP_ID_EXP;
  write16(config, express + PCI_EXP_FLAGS, ENDPOINT);
  write32(config, express + PCI_EXP_DEVCAP, FLR | ROLE_BASED_ERRORS);
  // A VF's device control is the PF's, but for its own reset.
  return { config, writeMasks: { [express + PCI_EXP_DEVCTL]: 0x8000 } };
}

/** Intel 82576 virtual function. Reference: its datasheet, 9.7; what QEMU's igbvf has of it. */
function igbVf(pf: Uint8Array): VirtualFunctionConfig {
  const express = 0xa0;
  const made = plainVf(pf, express);
  const { config } = made;
  config[express + 1] = 0x70;
  write32(config, express + PCI_EXP_DEVCAP, FLR | ROLE_BASED_ERRORS | 0x20); // extended tags
  write32(config, express + PCI_EXP_LNKCAP, 0x0411);
  write32(config, express + 16, 0x0011_0000); // link status: 2.5 GT/s, one lane
  write32(config, express + 36, 0x0030_0000); // two end-end TLP prefixes
  config[0x70] = PCI_CAP_ID_MSIX;
  write16(config, 0x70 + PCI_MSIX_FLAGS, 2); // three vectors
  write32(config, 0x70 + PCI_MSIX_TABLE, 3);
  write32(config, 0x70 + PCI_MSIX_PBA, 0x2000 | 3);
  write32(config, 0x100, (0x150 << 20) | 0x1_0000 | PCI_EXT_CAP_ID_ERR);
  write32(config, 0x100 + PCI_ERR_UNCOR_MASK, 0x0240_0000);
  write32(config, 0x100 + PCI_ERR_UNCOR_SEVER, 0x0046_2030);
  write32(config, 0x100 + PCI_ERR_COR_MASK, 0xe000);
  write32(config, 0x100 + PCI_ERR_CAP, 0xa0);
  write32(config, 0x150, 0x1_0000 | PCI_EXT_CAP_ID_ARI);
  return made;
}
