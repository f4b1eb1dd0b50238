/**
 * Saving and restoring configuration: pci_save_state(), pci_restore_state(). The header and the control registers of PCI Express, AER,
 * MSI and MSI-X; bytes that are the vendor's alone are not saved.
 */
import { findCapability, findExtendedCapability, read16, read32 } from '../pci/capabilities.ts';
import type { PciFunction } from '../pci/pci-function.ts';
import {
  PCI_BASE_ADDRESS_0,
  PCI_CAP_ID_EXP,
  PCI_COMMAND,
  PCI_ERR_CAP,
  PCI_ERR_COR_MASK,
  PCI_ERR_UNCOR_MASK,
  PCI_ERR_UNCOR_SEVER,
  PCI_EXP_DEVCTL,
  PCI_EXP_DEVCTL2,
  PCI_EXT_CAP_ID_ERR,
  PCI_STD_HEADER_SIZEOF,
} from '../pci/registers.ts';
import { reprogramVectors, type MessageDevice } from './irq-vectors.ts';

/** A register outside the header: offset, width, value. */
type Register = readonly [offset: number, width: 2 | 4, value: number];

/** A device whose configuration is put back: its messages and its VFs come back with it. */
export interface RestoredDevice extends MessageDevice {
  /** The VFs of a PF. */
  readonly sriov: { restore(): void } | undefined;
}

/** A configuration that was saved. */
export interface SavedState {
  /** The first 64 bytes of the configuration space. */
  readonly header: Uint8Array;
  /** Registers of PCI Express and AER outside of the header, as offset, width in bytes, and value. */
  readonly registers: readonly Register[];
}

/** pci_save_state(): what restoreState() puts back. MSI and MSI-X are written anew from the device's vectors, and not kept here. */
export function saveState(fn: PciFunction): SavedState {
  const { bytes } = fn.config;
  const registers: Register[] = [];
  const express = findCapability(bytes, PCI_CAP_ID_EXP);
  if (express !== 0) {
    registers.push([express + PCI_EXP_DEVCTL, 2, read16(bytes, express + PCI_EXP_DEVCTL)]);
    registers.push([express + PCI_EXP_DEVCTL2, 2, read16(bytes, express + PCI_EXP_DEVCTL2)]);
  }
  const aer = findExtendedCapability(bytes, PCI_EXT_CAP_ID_ERR);
  if (aer !== 0) {
    for (const offset of [PCI_ERR_UNCOR_MASK, PCI_ERR_UNCOR_SEVER, PCI_ERR_COR_MASK, PCI_ERR_CAP]) {
      registers.push([aer + offset, 4, read32(bytes, aer + offset)]);
    }
  }
  return { header: bytes.slice(0, PCI_STD_HEADER_SIZEOF), registers };
}

/** Puts a saved state back, registers first, then the header from its end to COMMAND; vectors in use are programmed anew. */
export function restoreState(device: RestoredDevice, state: SavedState | undefined): void {
  if (state === undefined) return;
  const fn = device.function;
  for (const [offset, width, value] of state.registers) fn.configWrite(offset, width, value);
  for (let at = PCI_STD_HEADER_SIZEOF - 4; at >= PCI_BASE_ADDRESS_0; at -= 4) restoreDword(fn, state.header, at);
  restoreDword(fn, state.header, 0x0c);
  fn.configWrite(PCI_COMMAND, 4, read32(state.header, PCI_COMMAND));
  device.sriov?.restore();
  reprogramVectors(device);
}

function restoreDword(fn: PciFunction, header: Uint8Array, at: number): void {
  const saved = read32(header, at);
  if (fn.configRead(at, 4) !== saved) fn.configWrite(at, 4, saved);
}
