/**
 * Resets of functions and of buses. Kernel: pci_reset_fn_methods[], pci_try_reset_function(), pci_reset_bus().
 *
 * A reset takes no virtual time, and a hot-plug controller does not take that of its slot for news. Not modelled: CRS.
 */
import { EAGAIN, ENOTTY } from '@vsim/vfio-core';
import { findCapability, read16, read32 } from '../pci/capabilities.ts';
import {
  PCI_AF_CTRL,
  PCI_AF_CTRL_FLR,
  PCI_CAP_ID_AF,
  PCI_COMMAND,
  PCI_COMMAND_INTX_DISABLE,
  PCI_EXP_DEVCTL,
  PCI_EXP_DEVCTL_BCR_FLR,
  PCI_EXP_FLAGS,
  PCI_EXP_FLAGS_TYPE,
  PCI_EXP_LNKCAP,
  PCI_EXP_LNKCAP_SLS,
  PCI_EXP_LNKSTA,
  PCI_EXP_LNKSTA_DLLLA,
  PCI_EXP_TYPE_DOWNSTREAM,
  PCI_EXP_TYPE_ROOT_PORT,
  PCI_REVISION_ID,
} from '../pci/registers.ts';
import { setPowerState } from './enable.ts';
import { resetFactsOfConfig } from '../topology/reset-facts.ts';
import type { ResetMethod } from '../topology/reset-methods.ts';
import { breaksBusReset, breaksFlr, breaksPmReset, hasOwnReset, type ResetIdentity } from '../topology/reset-quirks.ts';
import { classOf } from './class-of.ts';
import type { PciDevice } from './pci-device.ts';
import { restoreState, saveState, type SavedState } from './saved-state.ts';

/** Speeds up to 5 GT/s are waited for by time alone; above, the port has to report that its link is up. */
const SPEED_5_0GT = 2;

/** In the order in which they are tried. */
const METHODS: readonly ResetMethod[] = ['device_specific', 'acpi', 'flr', 'af_flr', 'pm', 'bus'];

/** The methods that a device has, when it is found: its siblings may come later. */
export function probeResetMethods(device: PciDevice): readonly ResetMethod[] {
  return METHODS.filter((method) => hasMethod(device, method));
}

/** What is written to `reset_method`: names in the order wanted, `default`, or nothing. @returns undefined for one that there is not */
export function parseResetMethods(device: PciDevice, text: string): readonly ResetMethod[] | undefined {
  const names = text.replace(/\n$/, '');
  if (names === 'default') return probeResetMethods(device);
  const wanted: ResetMethod[] = [];
  for (const name of names.split(' ')) {
    if (name.trim() === '') continue;
    const method = METHODS.find((known) => known === name.trim());
    if (method === undefined || !hasMethod(device, method) || wanted.length === METHODS.length) return undefined;
    wanted.push(method);
  }
  return wanted;
}

/** Tries one method after the other. @returns 0, or -ENOTTY if none works */
function resetFunction(device: PciDevice): number {
  for (const method of device.resetMethods) {
    const error = runMethod(device, method);
    if (error !== -ENOTTY) return error;
  }
  return -ENOTTY;
}

/** pci_try_reset_function(): configuration is saved before and restored after. @returns 0, -ENOTTY, or -EAGAIN while the device is locked */
export function tryResetFunction(device: PciDevice): number {
  if (device.resetMethods.length === 0) return -ENOTTY;
  if (!device.lock.tryLock()) return -EAGAIN;
  const error = resetLocked(device);
  device.lock.unlock();
  return error;
}

/** pci_reset_function_locked(): with the device lock held. @returns 0, or -ENOTTY */
export function resetLocked(device: PciDevice): number {
  const saved = saveAndDisable(device);
  const error = resetFunction(device);
  restore(device, saved);
  return error;
}

/** Whether the bus below a device's bridge can be reset: pci_probe_reset_bus(). */
export function canResetBus(device: PciDevice): boolean {
  const bridge = device.bus.bridgeOf(device);
  return bridge !== undefined && !breaksBusReset(identityOf(bridge)) && !device.bus.below(bridge).some((below) => breaksBusReset(identityOf(below)));
}

/**
 * pci_reset_bus(): resets every function below the bridge of `device`, their configuration saved and restored.
 *
 * @returns 0; -EAGAIN while one of them is locked; -ENOTTY where the link does not come back
 */
export function resetBus(device: PciDevice): number {
  const bridge = device.bus.bridgeOf(device);
  if (bridge === undefined) return -ENOTTY;
  const devices = device.bus.below(bridge);
  const locked: PciDevice[] = [];
  for (const member of devices) {
    if (!member.lock.tryLock()) {
      for (const undo of locked) undo.lock.unlock();
      return -EAGAIN;
    }
    locked.push(member);
  }
  const saved = devices.map((member) => saveAndDisable(member));
  const error = secondaryBusReset(bridge, devices);
  devices.forEach((member, i) => {
    restore(member, saved[i]);
    member.lock.unlock();
  });
  return error;
}

/** pci_dev_save_and_disable(): its driver told, D0, state saved, everything but the mask of INTx off. */
function saveAndDisable(device: PciDevice): SavedState {
  device.driver?.resetPrepare(device);
  setPowerState(device, 0);
  const saved = saveState(device.function);
  device.function.configWrite(PCI_COMMAND, 2, PCI_COMMAND_INTX_DISABLE);
  return saved;
}

/** pci_dev_restore(): state back, and its driver told. */
function restore(device: PciDevice, saved: SavedState | undefined): void {
  restoreState(device, saved);
  device.driver?.resetDone(device);
}

function runMethod(device: PciDevice, method: ResetMethod): number {
  const fn = device.function;
  if (fn.absence !== undefined) return -ENOTTY; // it is waited for in vain: pci_dev_wait()
  switch (method) {
    case 'device_specific':
    case 'acpi':
      fn.resetFunction();
      return 0;
    case 'flr': {
      const at = device.express + PCI_EXP_DEVCTL;
      fn.configWrite(at, 2, fn.configRead(at, 2) | PCI_EXP_DEVCTL_BCR_FLR);
      return 0;
    }
    case 'af_flr':
      fn.configWrite(advancedFeatures(device) + PCI_AF_CTRL, 1, PCI_AF_CTRL_FLR);
      return 0;
    case 'pm':
      if (!softResets(device)) return -ENOTTY;
      setPowerState(device, 3);
      setPowerState(device, 0);
      return 0;
    case 'bus': {
      const bridge = device.bus.bridgeOf(device);
      if (bridge === undefined || !busAlone(device)) return -ENOTTY;
      return device.bus.slotOf(device)?.reset() ?? secondaryBusReset(bridge, [device]);
    }
  }
}

/** pci_bus_error_reset(): the bus below a port, with nothing saved or restored. @returns 0, or -ENOTTY where the link does not come back */
export function resetBelow(bridge: PciDevice): number {
  return secondaryBusReset(bridge, bridge.bus.below(bridge));
}

function secondaryBusReset(bridge: PciDevice, devices: readonly PciDevice[]): number {
  for (const { function: fn } of devices) if (fn.absence === undefined) fn.resetFunction();
  if (devices.some(({ function: fn }) => fn.absence !== undefined)) return -ENOTTY; // waited for in vain
  for (const device of devices) if (device.powerState !== 'unknown') device.powerState = 'D0';
  return linkComesUp(bridge, devices) ? 0 : -ENOTTY;
}

/**
 * Whether the kernel sees the link below a port come back. A fast port whose status never says so is waited for in vain; below any
 * port, functions without power management need no time, and are not waited for.
 */
function linkComesUp(bridge: PciDevice, devices: readonly PciDevice[]): boolean {
  const { bytes } = bridge.function.config;
  if (bridge.express === 0 || devices.every(({ pm }) => pm === 0)) return true;
  const type = (bytes[bridge.express + PCI_EXP_FLAGS]! & PCI_EXP_FLAGS_TYPE) >> 4;
  if (type !== PCI_EXP_TYPE_ROOT_PORT && type !== PCI_EXP_TYPE_DOWNSTREAM) return true; // no link of its own
  if ((read32(bytes, bridge.express + PCI_EXP_LNKCAP) & PCI_EXP_LNKCAP_SLS) <= SPEED_5_0GT) return true;
  return (read16(bytes, bridge.express + PCI_EXP_LNKSTA) & PCI_EXP_LNKSTA_DLLLA) !== 0;
}

function hasMethod(device: PciDevice, method: ResetMethod): boolean {
  switch (method) {
    case 'device_specific':
      return hasOwnReset(identityOf(device), hasFlr(device));
    case 'acpi':
      return device.function.acpiReset && device.host.profile.resetMethodAttribute; // both of 5.15
    case 'flr':
      return hasFlr(device);
    case 'af_flr':
      return advancedFeatures(device) !== 0;
    case 'pm':
      return softResets(device);
    case 'bus':
      return busAlone(device);
  }
}

function hasFlr(device: PciDevice): boolean {
  return !breaksFlr(identityOf(device)) && resetFactsOfConfig(device.function.config.bytes).flr === true;
}

function advancedFeatures(device: PciDevice): number {
  const { bytes } = device.function.config;
  return !breaksFlr(identityOf(device)) && resetFactsOfConfig(bytes).afFlr === true ? findCapability(bytes, PCI_CAP_ID_AF) : 0;
}

/** D3hot to D0 resets the function unless it says otherwise. */
function softResets(device: PciDevice): boolean {
  return device.pm !== 0 && !breaksPmReset(identityOf(device), device.bus.bridgeOf(device) === undefined) && resetFactsOfConfig(device.function.config.bytes).softReset === true;
}

function identityOf(device: PciDevice): ResetIdentity {
  return { vendor: device.vendor, device: device.deviceId, class: classOf(device), revision: device.function.config.bytes[PCI_REVISION_ID] };
}

/** The bus can be reset for one function only if it is alone there. */
function busAlone(device: PciDevice): boolean {
  if (device.function.isBridge || breaksBusReset(identityOf(device))) return false;
  const bridge = device.bus.bridgeOf(device);
  if (bridge === undefined) return false;
  return device.bus.siblings(device).every((other) => other === device);
}
