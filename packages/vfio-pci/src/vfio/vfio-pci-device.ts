/**
 * A PCI function given to user space: struct vfio_pci_core_device. A driver for devices of its own extends this class, and overrides
 * what its devices do otherwise, as `migration`.
 *
 * This file is the table of operations and the open and close sequences; each job has a file of its own.
 */
import {
  EAGAIN,
  EINVAL,
  ENOTTY,
  VFIO_DEVICE_FEATURE,
  VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY,
  VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY_WITH_WAKEUP,
  VFIO_DEVICE_FEATURE_LOW_POWER_EXIT,
  VFIO_DEVICE_FEATURE_PCI_VF_TOKEN,
  VFIO_DEVICE_GET_INFO,
  VFIO_DEVICE_GET_IRQ_INFO,
  VFIO_DEVICE_GET_PCI_HOT_RESET_INFO,
  VFIO_DEVICE_GET_REGION_INFO,
  VFIO_DEVICE_IOEVENTFD,
  VFIO_DEVICE_PCI_HOT_RESET,
  VFIO_DEVICE_RESET,
  VFIO_DEVICE_SET_IRQS,
  VFIO_PCI_CONFIG_REGION_INDEX,
  VFIO_PCI_ROM_REGION_INDEX,
  VFIO_PCI_VGA_REGION_INDEX,
  VfioDevice,
  deviceFeature,
  eventKind,
  type EventKind,
  type FeatureArgument,
  type IrqBypassManager,
  type Mapping,
  type MmapRequest,
  type Process,
  type Sleeps,
  type UserArgument,
  type Vfio,
} from '@vsim/vfio-core';
import { disableDevice, enableDevice, setMaster, setPowerState } from '../bus/enable.ts';
import { intxIsBroken } from '../bus/intx-masking.ts';
import { setIntxEnabled } from '../bus/irq-vectors.ts';
import type { PciDevice } from '../bus/pci-device.ts';
import { classOf } from '../bus/pci-driver.ts';
import { tryResetFunction } from '../bus/reset.ts';
import { resumeDevice, suspendDevice } from '../bus/runtime-pm.ts';
import { restoreState, saveState, type SavedState } from '../bus/saved-state.ts';
import type { PciFunction } from '../pci/pci-function.ts';
import {
  PCI_CLASS_DISPLAY_VGA,
  PCI_COMMAND,
  PCI_COMMAND_INTX_DISABLE,
  PCI_COMMAND_MEMORY,
  PCI_STD_NUM_BARS,
} from '../pci/registers.ts';
import { BarRegions } from './bar-region.ts';
import { REGION_SPAN, deviceInfo, irqInfo, regionInfo } from './info.ts';
import { Ioeventfds } from './ioeventfd.ts';
import type { IrqKind } from './irq-owner.ts';
import { Irqs } from './irqs.ts';
import { LowPower } from './low-power.ts';
import { canMmap } from './mmap.ts';
import { hotReset, hotResetInfo, tryBusReset } from './reset.ts';
import { VfToken, matchName } from './vf-token.ts';
import { VirtualConfig } from './virtual-config.ts';

/** Somebody wants the device back, and user space has given no eventfd to hear it. */
export const NO_REQUEST_EVENTFD: EventKind<{ readonly device: string }> = eventKind(
  'vfio-pci/no-request-eventfd',
  'warn',
  ({ device }) => `${device}: no eventfd to ask user space for the device`,
);

/** Module parameters of vfio-pci that a device looks at, when it is used. */
export interface VfioPciParameters {
  /** Do not use DisINTx. */
  nointxmask: boolean;
  /** No VGA region. */
  readonly disableVga: boolean;
  /** Leave unused devices in D0. */
  disableIdleD3: boolean;
  /** Physical functions may have VFs. */
  enableSriov: boolean;
}

/** A device was asked for with a VF token that does not fit: the kernel's notice. */
export const VF_TOKEN_REFUSED: EventKind<{ readonly device: string; readonly error: number }> = eventKind(
  'vfio-pci/vf-token-refused',
  'warn',
  ({ device, error }) =>
    error === -EINVAL
      ? `${device}: a vf_token is given, and its PF is not vfio-pci's: leave it out`
      : `${device}: the vf_token of its PF has to be given as "${device} vf_token=UUID"; the PF's user sets it`,
);

export interface VfioPciDeviceInit {
  readonly parameters: VfioPciParameters;
  /** Where vectors are offered to KVM. */
  readonly bypass?: IrqBypassManager | undefined;
  /** The VFIO devices of this kind, by PCI device: who shares a bus is reset together. */
  readonly bound: (device: PciDevice) => VfioPciDevice | undefined;
}

export class VfioPciDevice extends VfioDevice {
  override readonly device: PciDevice;
  readonly function: PciFunction;
  readonly bypass: IrqBypassManager | undefined;
  readonly irqs: Irqs;
  /** The device was closed without a reset: its bus owes it one. */
  needsReset = false;
  /** @internal */
  irqKind: IrqKind = 'none';
  /** @internal */
  intxDisabled = false;
  readonly #parameters: VfioPciParameters;
  readonly #bound: (device: PciDevice) => VfioPciDevice | undefined;
  readonly #bars: BarRegions;
  readonly #ioeventfds: Ioeventfds;
  readonly #lowPower = new LowPower();
  /** The token of a PF. */
  readonly token: VfToken | undefined;
  /** The PF's token, which an open VF keeps from being replaced. */
  #tokenUsed: VfToken | undefined;
  #config: VirtualConfig | undefined;
  /** The configuration at open, which the close puts back. */
  #saved: SavedState | undefined;
  /** The configuration before the user put the device into D3hot. */
  #asleep: SavedState | undefined;
  #resetWorks = false;
  #canMaskIntx = false;
  #intxBroken = false;
  #mappable: readonly boolean[] = [];

  constructor(vfio: Vfio, device: PciDevice, init: VfioPciDeviceInit) {
    super(vfio, device);
    this.device = device;
    this.function = device.function;
    this.bypass = init.bypass;
    this.#parameters = init.parameters;
    this.#bound = init.bound;
    this.irqs = new Irqs(this);
    this.#bars = new BarRegions(this);
    this.#ioeventfds = new Ioeventfds(this);
    this.token = device.sriov === undefined ? undefined : new VfToken(device.host.random.bytes(16));
  }

  // What the parts ask.

  /** The user has memory decoding on, and the device is awake. */
  get memoryEnabled(): boolean {
    const config = this.#config;
    if (config === undefined) return false;
    if (!this.device.isVirtual && (config.command & PCI_COMMAND_MEMORY) === 0) return false;
    return !this.device.host.profile.runtimePm || this.function.powerState < 3;
  }

  get wide(): boolean {
    return this.device.host.profile.barAccess64;
  }

  get hasIntx(): boolean {
    return (this.#config?.interruptPin ?? 0) !== 0;
  }

  /** The user sees no INTx, whatever the pin says: virtual functions, and devices whose INTx cannot be masked. */
  get hidesIntx(): boolean {
    return this.device.isVirtual || this.#intxBroken;
  }

  get canMaskIntx(): boolean {
    return this.#canMaskIntx;
  }

  get hasVga(): boolean {
    return !this.#parameters.disableVga && classOf(this.device) >>> 8 === PCI_CLASS_DISPLAY_VGA;
  }

  get resetWorks(): boolean {
    return this.#resetWorks;
  }

  get msiQueueSize(): number | undefined {
    return this.irqs.messages.queueSize;
  }

  /** A file descriptor is open. */
  get inUse(): boolean {
    return this.#config !== undefined;
  }

  canMmap(bar: number): boolean {
    return this.#mappable[bar] ?? false;
  }

  intxDisableWritten(disabled: boolean): void {
    if (disabled === this.intxDisabled) return;
    this.intxDisabled = disabled;
    if (disabled) this.irqs.intx.mask();
    else this.irqs.intx.unmask();
  }

  /** A function that loses its registers in D3hot gets them back in D0. */
  setPowerState(state: number): void {
    // VFs would go with their PF (D61-27).
    if (state > 0 && this.device.virtualFunctions > 0 && this.device.host.profile.runtimePm) return;
    if (state === 3 && this.function.powerState !== 3) this.#asleep = saveState(this.function);
    setPowerState(this.device, state);
    if (this.function.powerState !== 0 || this.#asleep === undefined) return;
    restoreState(this.device, this.#asleep);
    this.#asleep = undefined;
  }

  functionReset(): void {
    tryResetFunction(this.device);
  }

  /** The bus was reset, or not: whoever is closed goes back to sleep. */
  busWasReset(error: number): void {
    if (error === 0) this.needsReset = false;
    this.idle();
  }

  /** Closed and bound: D3hot, unless the parameter says no, or there are VFs (D61-37). */
  sleep(): void {
    if (this.device.virtualFunctions > 0 && this.device.host.profile.runtimePm) return;
    if (!this.#parameters.disableIdleD3) suspendDevice(this.device);
  }

  /** A PF whose VFs are gone may sleep again, unless somebody has it open. */
  idle(): void {
    if (!this.inUse) this.sleep();
  }

  /** The hardware reported an uncorrectable error: user space is told, if it asked. Kernel: vfio_pci_aer_err_detected(). */
  errorDetected(): void {
    this.irqs.err.signal();
  }

  // Operations of the file.

  override get deviceSet(): object {
    return this.device.bus.bridgeOf(this.device) === undefined ? this : this.device.bus.segment(this.device);
  }

  override match(name: string): number {
    const match = matchName(this.name, name);
    if (match === undefined) return 0;
    if (typeof match === 'number') return match;
    const error = this.#checkToken(match.token);
    if (error < 0) this.device.host.trace.emit(VF_TOKEN_REFUSED, { device: this.name, error });
    return error < 0 ? error : 1;
  }

  /** Who is neither a PF nor the VF of a PF of vfio-pci has no token: to give one is a mistake. */
  #checkToken(token: string | undefined): number {
    const holder = this.#physicalToken;
    if (holder !== undefined) return holder.checkVirtual(token);
    if (this.token !== undefined) return this.token.check(token);
    return token === undefined ? 0 : -EINVAL;
  }

  /** The token of a VF's PF, if vfio-pci has that, too. */
  get #physicalToken(): VfToken | undefined {
    const pf = this.device.physicalFunction;
    return pf === undefined ? undefined : this.#bound(pf)?.token;
  }

  override request(count: number): void {
    if (this.irqs.req.armed) this.irqs.req.signal();
    else if (count === 0) this.device.host.trace.emit(NO_REQUEST_EVENTFD, { device: this.name });
  }

  protected override *openDevice(): Sleeps<number> {
    const { device } = this;
    resumeDevice(device);
    setMaster(device, false);
    enableDevice(device);
    const error = tryResetFunction(device);
    if (error === -EAGAIN) {
      disableDevice(device);
      return error;
    }
    this.#resetWorks = error === 0;
    this.#saved = saveState(this.function);
    this.#findIntx();
    this.#config = new VirtualConfig(this);
    this.#mappable = Array.from({ length: PCI_STD_NUM_BARS }, (_, index) => canMmap(device, index));
    this.#tokenUsed = this.#physicalToken;
    if (this.#tokenUsed !== undefined) this.#tokenUsed.users += 1;
    return 0;
  }

  protected override *closeDevice(): Sleeps<void> {
    const { device } = this;
    if (this.#tokenUsed !== undefined) this.#tokenUsed.users -= 1;
    this.#tokenUsed = undefined;
    setMaster(device, false);
    this.irqs.disable();
    this.#ioeventfds.clear();
    this.#lowPower.leave();
    this.intxDisabled = false;
    this.#config = undefined;
    this.needsReset = true;
    // INTx stays off from here on: nobody would handle it.
    this.function.configWrite(PCI_COMMAND, 2, PCI_COMMAND_INTX_DISABLE);
    if (this.#resetWorks && tryResetFunction(device) === 0) this.needsReset = false;
    setPowerState(device, 0);
    restoreState(device, this.#saved);
    this.#saved = undefined;
    disableDevice(device);
    tryBusReset(device, this.#bound);
    this.sleep();
    this.irqs.err.clear();
    this.irqs.req.clear();
  }

  override read(into: Uint8Array, offset: number): number {
    const index = Math.floor(offset / REGION_SPAN);
    const at = offset - index * REGION_SPAN;
    if (into.length === 0) return 0;
    const config = this.#config;
    if (config === undefined || offset < 0 || index > VFIO_PCI_VGA_REGION_INDEX) return -EINVAL;
    this.#lowPower.touched();
    if (index === VFIO_PCI_CONFIG_REGION_INDEX) return config.read(into, at);
    if (index === VFIO_PCI_VGA_REGION_INDEX) return this.hasVga ? this.#bars.vga(at, into, into.length) : -EINVAL;
    return this.#bars.read(index, at, into);
  }

  override write(from: Uint8Array, offset: number): number {
    const index = Math.floor(offset / REGION_SPAN);
    const at = offset - index * REGION_SPAN;
    if (from.length === 0) return 0;
    const config = this.#config;
    if (config === undefined || offset < 0 || index > VFIO_PCI_VGA_REGION_INDEX) return -EINVAL;
    this.#lowPower.touched();
    if (index === VFIO_PCI_CONFIG_REGION_INDEX) return config.write(from, at);
    if (index === VFIO_PCI_VGA_REGION_INDEX) return this.hasVga ? this.#bars.vga(at, undefined, from.length) : -EINVAL;
    return this.#bars.write(index, at, from);
  }

  override ioctl(process: Process, request: number, argument: UserArgument): number {
    this.#lowPower.touched();
    switch (request) {
      case VFIO_DEVICE_GET_INFO:
        return deviceInfo(this, argument);
      case VFIO_DEVICE_GET_REGION_INFO:
        return regionInfo(this, argument);
      case VFIO_DEVICE_GET_IRQ_INFO:
        return irqInfo(this, argument);
      case VFIO_DEVICE_SET_IRQS:
        return this.irqs.ioctl(process, argument);
      case VFIO_DEVICE_RESET:
        return this.#reset();
      case VFIO_DEVICE_GET_PCI_HOT_RESET_INFO:
        return hotResetInfo(this.device, argument);
      case VFIO_DEVICE_PCI_HOT_RESET:
        return hotReset(this.device, process, argument, this.#bound);
      case VFIO_DEVICE_IOEVENTFD:
        return this.#ioeventfds.ioctl(process, argument);
      case VFIO_DEVICE_FEATURE:
        return deviceFeature(this, process, argument); // before 5.18: the core does not look at it
      default:
        return -ENOTTY;
    }
  }

  override mmap(process: Process, request: MmapRequest): Mapping | number {
    const index = Math.floor(request.offset / REGION_SPAN);
    const at = request.offset - index * REGION_SPAN;
    const bar = this.function.bar(index);
    if (!request.shared || index >= VFIO_PCI_ROM_REGION_INDEX || bar === undefined || !this.canMmap(index)) return -EINVAL;
    const pages = (bytes: number): number => Math.ceil(bytes / 4096) * 4096;
    if (at + pages(request.length) > pages(bar.size)) return -EINVAL;
    const region = { physical: bar.address + at, live: () => this.memoryEnabled };
    return process.mm.mapDevice(request.length, region, request.read, request.write);
  }

  override deviceFeature(process: Process, feature: number, flags: number, argument: FeatureArgument): number {
    this.#lowPower.touched();
    const lowPower = this.device.host.profile.lowPowerFeatures;
    switch (feature) {
      case VFIO_DEVICE_FEATURE_PCI_VF_TOKEN:
        return this.token?.feature(flags, argument) ?? -ENOTTY;
      case VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY:
        return lowPower ? this.#lowPower.enter(flags, argument) : -ENOTTY;
      case VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY_WITH_WAKEUP:
        return lowPower ? this.#lowPower.enterWithWakeup(process, flags, argument) : -ENOTTY;
      case VFIO_DEVICE_FEATURE_LOW_POWER_EXIT:
        return lowPower ? this.#lowPower.exit(flags, argument) : -ENOTTY;
      default:
        return -ENOTTY;
    }
  }

  /** Whether there is an INTx for the user, and how it is masked. */
  #findIntx(): void {
    const { device } = this;
    const looks = !this.#parameters.nointxmask;
    this.#intxBroken = looks && intxIsBroken(device);
    this.#canMaskIntx = looks && !this.#intxBroken && device.masksIntx;
    if (this.#intxBroken) setIntxEnabled(device, false);
    else if (this.#canMaskIntx) setIntxEnabled(device, true);
  }

  #reset(): number {
    if (!this.#resetWorks) return -EINVAL;
    setPowerState(this.device, 0);
    return tryResetFunction(this.device);
  }
}
