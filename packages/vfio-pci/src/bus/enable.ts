/** Enabling a device: pci_enable_device(), pci_set_master(), and the power states that the PCI core moves it through. */
import { EIO } from '@vsim/vfio-core';
import { setBarAddress } from '../pci/bars.ts';
import { read16 } from '../pci/capabilities.ts';
import type { PciFunction } from '../pci/pci-function.ts';
import {
  PCI_COMMAND,
  PCI_COMMAND_INTX_DISABLE,
  PCI_COMMAND_IO,
  PCI_COMMAND_MASTER,
  PCI_COMMAND_MEMORY,
  PCI_PM_CAP_D1,
  PCI_PM_CAP_D2,
  PCI_PM_CTRL,
  PCI_PM_CTRL_NO_SOFT_RESET,
  PCI_PM_CTRL_STATE_MASK,
  PCI_PM_PMC,
} from '../pci/registers.ts';

/** What the kernel believes of the power state; unknown until a driver or the kernel has looked. */
export type PowerState = 'unknown' | 'D0' | 'D1' | 'D2' | 'D3hot' | 'D3cold';

/** A device as far as its being on goes. */
export interface PoweredDevice {
  /** The hardware. */
  readonly function: PciFunction;
  /** Offset of the power management capability; 0 if there is none. */
  readonly pm: number;
  /** 1 to 4 for INTA to INTD, 0 for none. */
  readonly interruptPin: number;
  /** pci_enable_device(), counted. */
  enableCount: number;
  /** What the kernel believes. */
  powerState: PowerState;
}

const STATES: readonly PowerState[] = ['D0', 'D1', 'D2', 'D3hot'];

/** Counted: the first call brings the device to D0 and switches on what its BARs decode. */
export function enableDevice(device: PoweredDevice): void {
  device.enableCount += 1;
  if (device.enableCount > 1) return;
  setPowerState(device, 0);
  const fn = device.function;
  let command = fn.command;
  for (const bar of fn.bars) {
    if (bar.address === 0 || bar.index > 5) continue;
    command |= bar.kind === 'io' ? PCI_COMMAND_IO : PCI_COMMAND_MEMORY;
  }
  if (device.interruptPin !== 0 && !fn.messagesEnabled) command &= ~PCI_COMMAND_INTX_DISABLE;
  if (command !== fn.command) fn.configWrite(PCI_COMMAND, 2, command);
}

/** The last call switches bus mastering off. */
export function disableDevice(device: PoweredDevice): void {
  device.enableCount -= 1;
  if (device.enableCount === 0) setMaster(device, false);
}

/** pci_set_master() and pci_clear_master(): Bus Master Enable in COMMAND, without which the function does no DMA and sends no message. */
export function setMaster(device: Pick<PoweredDevice, 'function'>, on: boolean): void {
  const { command } = device.function;
  const wanted = on ? command | PCI_COMMAND_MASTER : command & ~PCI_COMMAND_MASTER;
  if (wanted !== command) device.function.configWrite(PCI_COMMAND, 2, wanted);
}

/**
 * pci_set_power_state(). BARs that were lost on the way to D0 are put back, the rest of the header is not.
 *
 * @param state 0 to 3, for D0 to D3hot
 * @returns 0; -EIO for a state that the device does not have, or a device that does not answer
 */
export function setPowerState(device: PoweredDevice, state: number): number {
  const fn = device.function;
  // Back from D3cold: a function that still does not answer stays there.
  if (fn.absence === 'no power' && device.powerState === 'D3cold') fn.setAbsence(undefined);
  if (fn.absence !== undefined) return -EIO;
  if (device.pm === 0) {
    if (state === 0) device.powerState = 'D0';
    return state === 0 ? 0 : -EIO;
  }
  const capabilities = read16(fn.config.bytes, device.pm + PCI_PM_PMC);
  if (state === 1 && (capabilities & PCI_PM_CAP_D1) === 0) return -EIO;
  if (state === 2 && (capabilities & PCI_PM_CAP_D2) === 0) return -EIO;
  const control = fn.configRead(device.pm + PCI_PM_CTRL, 2);
  if ((control & PCI_PM_CTRL_STATE_MASK) !== state) {
    fn.configWrite(device.pm + PCI_PM_CTRL, 2, (control & ~PCI_PM_CTRL_STATE_MASK) | state);
    const lost = (control & (PCI_PM_CTRL_STATE_MASK | PCI_PM_CTRL_NO_SOFT_RESET)) === 3;
    if (lost && state === 0) for (const bar of fn.bars) if (!bar.shadow && !bar.slice) setBarAddress(fn.config.bytes, bar, bar.address);
  }
  // What the register says now: a device that keeps its register read-only stays where it is.
  device.powerState = STATES[fn.powerState] ?? 'unknown';
  return 0;
}
