/**
 * Runtime power management: a device that nobody uses sleeps in D3hot, or without power in D3cold where firmware can cut it, with its
 * configuration kept by the kernel. Kernel: pci_pm_runtime_suspend(), pci_pm_runtime_resume().
 */
import { EIO, type FaultPoint } from '@vsim/vfio-core';
import { setPowerState } from './enable.ts';
import type { PciDevice } from './pci-device.ts';
import { restoreState, saveState } from './saved-state.ts';

/** A sleeping device does not wake up. */
export const RUNTIME_RESUME: FaultPoint = { fault: 'pci/runtime-resume', error: EIO };

/** Puts the device to sleep, if it can. */
export function suspendDevice(device: PciDevice): void {
  if (device.suspended !== undefined) {
    if (device.function.powerState === 3 || device.powerState === 'D3cold') return;
    resumeDevice(device); // a driver that has gone saved it
  }
  const saved = saveState(device.function);
  if (setPowerState(device, 3) < 0 || device.function.powerState !== 3) return;
  device.suspended = saved;
  if (!device.function.powerCut || !device.d3coldAllowed) return;
  device.powerState = 'D3cold';
  device.function.setAbsence('no power');
}

/** Wakes it; nothing happens to a device that is awake. @returns 0, or the errno of a device that does not wake up */
export function resumeDevice(device: PciDevice): number {
  const error = device.host.faults.fails(RUNTIME_RESUME);
  if (error < 0) return error;
  const dead = setPowerState(device, 0);
  if (dead < 0) return dead;
  if (device.suspended === undefined) return 0;
  const saved = device.suspended;
  device.suspended = undefined;
  restoreState(device, saved);
  return 0;
}
