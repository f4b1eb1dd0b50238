/**
 * Which bits of a configuration space software can write, by what the PCI specifications say of each structure found in it.
 *
 * Bytes outside every structure are the vendor's: storage (as QEMU's devices have it) or read-only. Where a device implements
 * less than a structure allows, its own masks are laid over these (see recorded-quirks.ts).
 */
import { barMask, barMaskHigh, barRegister, type Bar } from './bars.ts';
import { capabilities, extendedCapabilities, read16, read32, write16, write32 } from './capabilities.ts';
import { structureLength, extendedStructureLength } from './capability-lengths.ts';
import type { ConfigSpace } from './config-space.ts';
import {
  PCI_AF_CTRL,
  PCI_AF_CTRL_FLR,
  PCI_BRIDGE_CONTROL,
  PCI_CACHE_LINE_SIZE,
  PCI_CAP_ID_AF,
  PCI_CAP_ID_EXP,
  PCI_CAP_ID_MSI,
  PCI_CAP_ID_MSIX,
  PCI_CAP_ID_PM,
  PCI_CAP_ID_VPD,
  PCI_CFG_SPACE_SIZE,
  PCI_COMMAND,
  PCI_COMMAND_INTX_DISABLE,
  PCI_COMMAND_IO,
  PCI_COMMAND_MASTER,
  PCI_COMMAND_MEMORY,
  PCI_COMMAND_SERR,
  PCI_ERR_CAP,
  PCI_ERR_COR_MASK,
  PCI_ERR_COR_STATUS,
  PCI_ERR_UNCOR_MASK,
  PCI_ERR_UNCOR_SEVER,
  PCI_ERR_UNCOR_STATUS,
  PCI_EXP_DEVCAP,
  PCI_EXP_DEVCAP_FLR_HIGH,
  PCI_EXP_DEVCTL,
  PCI_EXP_DEVCTL2,
  PCI_EXP_DEVCTL2_EETLPPB,
  PCI_EXP_DEVCTL_BCR_FLR,
  PCI_EXP_DEVCTL_ERRORS,
  PCI_EXP_DEVSTA,
  PCI_EXP_FLAGS,
  PCI_EXP_FLAGS_VERS,
  PCI_EXT_CAP_ID_ERR,
  PCI_EXT_CAP_ID_SRIOV,
  PCI_HEADER_TYPE,
  PCI_HEADER_TYPE_BRIDGE,
  PCI_HEADER_TYPE_MASK,
  PCI_INTERRUPT_LINE,
  PCI_MSIX_FLAGS,
  PCI_MSIX_FLAGS_ENABLE,
  PCI_MSIX_FLAGS_MASKALL,
  PCI_MSI_ADDRESS_HI,
  PCI_MSI_ADDRESS_LO,
  PCI_MSI_FLAGS,
  PCI_MSI_FLAGS_64BIT,
  PCI_MSI_FLAGS_ENABLE,
  PCI_MSI_FLAGS_MASKBIT,
  PCI_MSI_FLAGS_QMASK,
  PCI_MSI_FLAGS_QSIZE,
  PCI_PM_CAP_PME_MASK,
  PCI_PM_CTRL,
  PCI_PM_CTRL_DATA_SEL_MASK,
  PCI_PM_CTRL_PME_ENABLE,
  PCI_PM_CTRL_PME_STATUS,
  PCI_PM_CTRL_STATE_MASK,
  PCI_PM_PMC,
  PCI_SRIOV_CTRL,
  PCI_SRIOV_CTRL_ARI,
  PCI_SRIOV_CTRL_MSE,
  PCI_SRIOV_CTRL_VFE,
  PCI_SRIOV_NUM_VF,
  PCI_STATUS,
  PCI_STATUS_RW1C,
  PCI_STD_HEADER_SIZEOF,
  PCI_VPD_ADDR,
  PCI_VPD_DATA,
} from './registers.ts';

/** Advisory errors of AER that software can mask and classify: the bits that the specification defines and devices implement. */
const AER_UNCORRECTABLE = 0x03ff_f030;
const AER_CORRECTABLE = 0x0000_f1c1;
/** ECRC generation and checking. */
const AER_CONTROL = 0x0000_0140;

/** Fills in the masks of a configuration space whose bytes are there. */
export function setWriteMasks(config: ConfigSpace, bars: readonly Bar[], vendorBytes: 'storage' | 'read-only'): void {
  const { bytes, writable } = config;
  if (vendorBytes === 'storage') writable.fill(0xff, PCI_STD_HEADER_SIZEOF);
  header(config, bars);
  for (const { id, at } of capabilities(bytes)) {
    writable.fill(0, at, at + Math.max(structureLength(bytes, id, at), 2));
    capability(config, id, at);
  }
  for (const { id, at } of extendedCapabilities(bytes)) {
    writable.fill(0, at, at + Math.max(extendedStructureLength(bytes, id, at), 4));
    if (id === PCI_EXT_CAP_ID_ERR) aer(config, at);
    if (id === PCI_EXT_CAP_ID_SRIOV) sriov(config, at);
  }
  if (config.size > PCI_CFG_SPACE_SIZE) writable.fill(0, PCI_CFG_SPACE_SIZE, PCI_CFG_SPACE_SIZE + 4);
}

function header({ bytes, writable, clearable }: ConfigSpace, bars: readonly Bar[]): void {
  const command = PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_SERR | PCI_COMMAND_INTX_DISABLE;
  write16(writable, PCI_COMMAND, command);
  write16(clearable, PCI_STATUS, PCI_STATUS_RW1C);
  writable[PCI_CACHE_LINE_SIZE] = 0xff;
  writable[PCI_INTERRUPT_LINE] = 0xff;
  for (const bar of bars) {
    if (bar.shadow || bar.slice) continue;
    write32(writable, barRegister(bar.index), barMask(bar));
    if (bar.kind === 'mem64') write32(writable, barRegister(bar.index) + 4, barMaskHigh(bar));
  }
  if ((bytes[PCI_HEADER_TYPE]! & PCI_HEADER_TYPE_MASK) !== PCI_HEADER_TYPE_BRIDGE) return;
  // Bus numbers, windows and control of a bridge.
  writable.fill(0xff, 0x18, 0x1c);
  writable.fill(0xf0, 0x1c, 0x1e);
  for (let at = 0x20; at < 0x28; at += 2) write16(writable, at, 0xfff0);
  writable.fill(0xff, 0x28, 0x34);
  write16(writable, PCI_BRIDGE_CONTROL, 0x0fff);
}

function capability({ bytes, writable, clearable }: ConfigSpace, id: number, at: number): void {
  switch (id) {
    case PCI_CAP_ID_PM: {
      const wakes = (read16(bytes, at + PCI_PM_PMC) & PCI_PM_CAP_PME_MASK) !== 0;
      const enable = wakes ? PCI_PM_CTRL_PME_ENABLE : 0;
      write16(writable, at + PCI_PM_CTRL, PCI_PM_CTRL_STATE_MASK | PCI_PM_CTRL_DATA_SEL_MASK | enable);
      if (wakes) write16(clearable, at + PCI_PM_CTRL, PCI_PM_CTRL_PME_STATUS);
      return;
    }
    case PCI_CAP_ID_MSI: {
      const flags = read16(bytes, at + PCI_MSI_FLAGS);
      const wide = (flags & PCI_MSI_FLAGS_64BIT) !== 0;
      const data = at + (wide ? 12 : 8);
      write16(writable, at + PCI_MSI_FLAGS, PCI_MSI_FLAGS_ENABLE | PCI_MSI_FLAGS_QSIZE);
      write32(writable, at + PCI_MSI_ADDRESS_LO, 0xffff_fffc);
      if (wide) write32(writable, at + PCI_MSI_ADDRESS_HI, 0xffff_ffff);
      write16(writable, data, 0xffff);
      // One mask bit for each vector that the function can send.
      const vectors = 1 << ((flags & PCI_MSI_FLAGS_QMASK) >> 1);
      if ((flags & PCI_MSI_FLAGS_MASKBIT) !== 0) write32(writable, data + 4, 2 ** vectors - 1);
      return;
    }
    case PCI_CAP_ID_MSIX:
      write16(writable, at + PCI_MSIX_FLAGS, PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
      return;
    case PCI_CAP_ID_EXP: {
      const flr = (read16(bytes, at + PCI_EXP_DEVCAP + 2) & PCI_EXP_DEVCAP_FLR_HIGH) !== 0 ? PCI_EXP_DEVCTL_BCR_FLR : 0;
      write16(writable, at + PCI_EXP_DEVCTL, PCI_EXP_DEVCTL_ERRORS | flr);
      write16(clearable, at + PCI_EXP_DEVSTA, PCI_EXP_DEVCTL_ERRORS);
      if ((bytes[at + PCI_EXP_FLAGS]! & PCI_EXP_FLAGS_VERS) >= 2) write16(writable, at + PCI_EXP_DEVCTL2, PCI_EXP_DEVCTL2_EETLPPB);
      return;
    }
    case PCI_CAP_ID_VPD:
      write16(writable, at + PCI_VPD_ADDR, 0xffff);
      write32(writable, at + PCI_VPD_DATA, 0xffff_ffff);
      return;
    case PCI_CAP_ID_AF:
      writable[at + PCI_AF_CTRL] = PCI_AF_CTRL_FLR;
      return;
    default:
      return; // vendor capabilities and the rest: read-only, but for a device's own masks
  }
}

function aer({ writable, clearable }: ConfigSpace, at: number): void {
  write32(clearable, at + PCI_ERR_UNCOR_STATUS, AER_UNCORRECTABLE);
  write32(writable, at + PCI_ERR_UNCOR_MASK, AER_UNCORRECTABLE);
  write32(writable, at + PCI_ERR_UNCOR_SEVER, AER_UNCORRECTABLE);
  write32(clearable, at + PCI_ERR_COR_STATUS, AER_CORRECTABLE);
  write32(writable, at + PCI_ERR_COR_MASK, AER_CORRECTABLE);
  write32(writable, at + PCI_ERR_CAP, AER_CONTROL);
}

function sriov({ writable }: ConfigSpace, at: number): void {
  write16(writable, at + PCI_SRIOV_CTRL, PCI_SRIOV_CTRL_VFE | PCI_SRIOV_CTRL_MSE | PCI_SRIOV_CTRL_ARI);
  write16(writable, at + PCI_SRIOV_NUM_VF, 0xffff);
}

/** Lays a device's own masks over those of the specification: dwords by offset. */
export function overrideWriteMasks(config: ConfigSpace, masks: Readonly<Record<number, number>>): void {
  for (const [offset, mask] of Object.entries(masks)) write32(config.writable, Number(offset), mask);
}

/** The dword of write masks at an offset, for tests. @param offset bytes */
export function writeMask(config: ConfigSpace, offset: number): number {
  return read32(config.writable, offset);
}
