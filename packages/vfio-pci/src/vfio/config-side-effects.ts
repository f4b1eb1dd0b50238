/** What user writes to capabilities set off besides changing bits. Kernel: vfio_pm_config_write() and its siblings. */
import { readVpd, writeVpd } from '../bus/vpd.ts';
import { read16, read32, write16, write32 } from '../pci/capabilities.ts';
import {
  PCI_AF_CAP,
  PCI_AF_CAP_TP_FLR,
  PCI_AF_CTRL,
  PCI_AF_CTRL_FLR,
  PCI_EXP_DEVCAP,
  PCI_EXP_DEVCAP_FLR_HIGH,
  PCI_EXP_DEVCTL,
  PCI_EXP_DEVCTL_BCR_FLR,
  PCI_EXP_DEVCTL_PAYLOAD,
  PCI_EXP_DEVCTL_READRQ,
  PCI_MSI_FLAGS,
  PCI_MSI_FLAGS_ENABLE,
  PCI_MSI_FLAGS_QSIZE,
  PCI_VPD_ADDR,
  PCI_VPD_ADDR_F,
  PCI_VPD_DATA,
} from '../pci/registers.ts';
import type { ConfigOwner } from './virtual-config.ts';

/** PMCSR: the power state is the kernel's to change. @param state 0 to 3 */
export function powerWritten(owner: ConfigOwner, state: number): void {
  owner.setPowerState(state);
}

/**
 * VPD: the kernel makes the access for the user, and turns the flag when it has worked; else the user waits for it in vain.
 *
 * @param at offset of the capability, in bytes
 */
export function vpdWritten(owner: ConfigOwner, bytes: Uint8Array, at: number): void {
  const address = read16(bytes, at + PCI_VPD_ADDR);
  if ((address & PCI_VPD_ADDR_F) !== 0) {
    if (!writeVpd(owner.device, address & ~PCI_VPD_ADDR_F, read32(bytes, at + PCI_VPD_DATA))) return;
  } else {
    const value = readVpd(owner.device, address);
    if (value === undefined) return;
    write32(bytes, at + PCI_VPD_DATA, value);
  }
  write16(bytes, at + PCI_VPD_ADDR, address ^ PCI_VPD_ADDR_F);
}

/**
 * MSI control: the user cannot enable MSI before VFIO_DEVICE_SET_IRQS has, nor have more messages than that gave; hardware gets what is
 * left.
 *
 * @param at offset of the capability, in bytes
 */
export function msiFlagsWritten(owner: ConfigOwner, bytes: Uint8Array, at: number): void {
  let flags = read16(bytes, at + PCI_MSI_FLAGS);
  const queue = owner.msiQueueSize;
  if (queue === undefined) flags &= ~PCI_MSI_FLAGS_ENABLE;
  if ((flags & PCI_MSI_FLAGS_QSIZE) >> 4 > (queue ?? 0)) flags = (flags & ~PCI_MSI_FLAGS_QSIZE) | ((queue ?? 0) << 4);
  write16(bytes, at + PCI_MSI_FLAGS, flags);
  owner.device.function.configWrite(at + PCI_MSI_FLAGS, 2, flags);
}

/**
 * Device control: a function level reset is done for the user; the read request size never falls below the payload size.
 *
 * @param at offset of the capability, in bytes
 * @param readRequestBefore Max_Read_Request_Size that the user saw before, 0 to 7
 */
export function expressWritten(owner: ConfigOwner, bytes: Uint8Array, at: number, readRequestBefore: number): void {
  const fn = owner.device.function;
  const control = read16(bytes, at + PCI_EXP_DEVCTL);
  if ((control & PCI_EXP_DEVCTL_BCR_FLR) !== 0) {
    write16(bytes, at + PCI_EXP_DEVCTL, control & ~PCI_EXP_DEVCTL_BCR_FLR);
    if ((fn.configRead(at + PCI_EXP_DEVCAP + 2, 2) & PCI_EXP_DEVCAP_FLR_HIGH) !== 0) owner.functionReset();
  }
  const wanted = (control >> 12) & 7;
  if (wanted === readRequestBefore) return;
  const hardware = fn.configRead(at + PCI_EXP_DEVCTL, 2);
  const size = Math.max(wanted, (hardware & PCI_EXP_DEVCTL_PAYLOAD) >> 5);
  fn.configWrite(at + PCI_EXP_DEVCTL, 2, (hardware & ~PCI_EXP_DEVCTL_READRQ) | (size << 12));
}

/** Advanced Features: as the function level reset of PCI Express. @param at offset of the capability, in bytes */
export function advancedFeaturesWritten(owner: ConfigOwner, bytes: Uint8Array, at: number): void {
  if ((bytes[at + PCI_AF_CTRL]! & PCI_AF_CTRL_FLR) === 0) return;
  bytes[at + PCI_AF_CTRL] = bytes[at + PCI_AF_CTRL]! & ~PCI_AF_CTRL_FLR;
  const capable = (owner.device.function.configRead(at + PCI_AF_CAP, 1) & PCI_AF_CAP_TP_FLR) === PCI_AF_CAP_TP_FLR;
  if (capable) owner.functionReset();
}
