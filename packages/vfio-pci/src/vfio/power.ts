import { type FeatureArgument, type Process } from '@vsim/vfio-core';
import { setPowerState } from '../bus/enable.ts';
import type { PciDevice } from '../bus/pci-device.ts';
import { resumeDevice, suspendDevice } from '../bus/runtime-pm.ts';
import { restoreState, saveState, type SavedState } from '../bus/saved-state.ts';
import { PCI_PM_CTRL, PCI_PM_CTRL_NO_SOFT_RESET } from '../pci/registers.ts';
import type { Intx } from './irq-intx.ts';
import { LowPower } from './low-power.ts';
import { STAYS_ASLEEP } from './vfio-pci-reasons.ts';

/** The power of a device in a user's hands: asleep while nobody has it open, D-states that the user writes, and the low power features. */
export class DevicePower {
  readonly #device: PciDevice;
  readonly #staysAwake: () => boolean;
  readonly #intx: Intx;
  readonly #lowPower: LowPower;
  /** The function loses its registers between D3hot and D0, so that they are kept for it. Kernel: needs_pm_restore. */
  #needsRestore = false;
  /** The configuration before the user put the device into D3hot. */
  #asleep: SavedState | undefined;
  /** INTx was masked for the time that the device sleeps. */
  #intxMasked = false;

  /** @param staysAwake the module parameter disable_idle_d3, as this kernel reads it */
  constructor(device: PciDevice, intx: Intx, staysAwake: () => boolean) {
    this.#device = device;
    this.#intx = intx;
    this.#staysAwake = staysAwake;
    this.#lowPower = new LowPower(device.name);
  }

  /** The user has let the device sleep: its memory cannot be reached by mappings. */
  get low(): boolean {
    return this.#lowPower.entered;
  }

  /** vfio_pci_probe_power_state(), and to sleep. */
  probe(): void {
    const { pm, function: fn } = this.#device;
    this.#needsRestore = pm !== 0 && (fn.config.bytes[pm + PCI_PM_CTRL]! & PCI_PM_CTRL_NO_SOFT_RESET) === 0;
    // Who stays awake is not woken by 5.13, either.
    if (this.#device.host.profile.runtimePm || !this.#staysAwake()) setPowerState(this.#device, 0);
    this.sleep();
  }

  /** What remove does to the power: pm_runtime_forbid() wakes the device; 5.13 only where it lets devices sleep now. */
  remove(): void {
    if (this.#device.host.profile.runtimePm || !this.#staysAwake()) resumeDevice(this.#device);
  }

  /** vfio_pci_set_power_state() for the user. @param state 0 to 3 */
  setState(state: number): void {
    const device = this.#device;
    // VFs would go with their PF (D61-27).
    if (state > 0 && device.virtualFunctions > 0 && device.host.profile.runtimePm) return;
    const before = device.function.powerState;
    if (this.#needsRestore && state === 3 && before !== 3) this.#asleep = saveState(device.function);
    setPowerState(device, state);
    // A reset brings the device to D0 past this: what was saved is then too old, and the next D3hot replaces it.
    if (before !== 3 || device.function.powerState !== 0) return;
    restoreState(device, this.#asleep);
    this.#asleep = undefined;
  }

  /** Closed and bound: D3hot, unless the parameter says no, or there are VFs. */
  sleep(): void {
    const device = this.#device;
    if (device.virtualFunctions > 0 && device.host.profile.runtimePm) return;
    if (!this.#staysAwake()) suspendDevice(device);
  }

  /** The user is about to access the device, which wakes up. @returns 0, or -EIO if it does not */
  begin(): number {
    if (!this.#lowPower.entered) return 0;
    if (resumeDevice(this.#device) < 0) return this.#device.host.refusals.refuse(STAYS_ASLEEP, { device: this.#device.name });
    this.#lowPower.touched();
    if (this.#intxMasked) this.#intx.unmask();
    this.#intxMasked = false;
    return 0;
  }

  /** The access is done: a device that the user lets sleep does so again, from D0, and without interrupting meanwhile. */
  end(): void {
    if (!this.#lowPower.entered) return;
    this.setState(0);
    this.#intxMasked = this.#intx.maskForSleep();
    suspendDevice(this.#device);
  }

  /** The last close. */
  closed(): void {
    if (this.#lowPower.entered) resumeDevice(this.#device);
    this.#lowPower.leave();
    this.#intxMasked = false;
  }

  /**
   * VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY; enterWithWakeup() and exit() are the two others.
   *
   * @param flags GET, SET and PROBE of VFIO_DEVICE_FEATURE
   */
  enter(flags: number, data: FeatureArgument): number {
    return this.#lowPower.enter(flags, data);
  }

  enterWithWakeup(process: Process, flags: number, data: FeatureArgument): number {
    return this.#lowPower.enterWithWakeup(process, flags, data);
  }

  exit(flags: number, data: FeatureArgument): number {
    return this.#lowPower.exit(flags, data);
  }
}
