import {
  EAGAIN,
  ENODEV,
  VFIO_DEVICE_FEATURE,
  VFIO_DEVICE_FEATURE_DMA_BUF,
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
  VfioDevice,
  deviceFeature,
  eventKind,
  noFeature,
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
import { tryResetFunction } from '../bus/reset.ts';
import { resumeDevice } from '../bus/runtime-pm.ts';
import { restoreState, saveState, type SavedState } from '../bus/saved-state.ts';
import { isVga } from '../bus/vga-arbiter.ts';
import type { PciFunction } from '../pci/pci-function.ts';
import {
  PCI_COMMAND,
  PCI_COMMAND_INTX_DISABLE,
  PCI_COMMAND_MEMORY,
} from '../pci/registers.ts';
import type { DeviceRegion } from './device-region.ts';
import { addIgdRegions, isIntelGraphics } from './igd-regions.ts';
import { deviceInfo, irqInfo, regionInfo } from './info.ts';
import { Ioeventfds } from './ioeventfd.ts';
import type { IrqKind } from './irq-owner.ts';
import { Irqs } from './irqs.ts';
import { MemoryLock } from './memory-lock.ts';
import type { VfioPciParameters } from './module-parameters.ts';
import { DevicePower } from './power.ts';
import { Regions } from './regions.ts';
import { TokenUse } from './token-use.ts';
import type { DeviceSet, VfioPciRegistry } from './registry.ts';
import { hotReset, hotResetInfo, tryBusReset } from './reset.ts';
import type { VfToken } from './vf-token.ts';
import { DEVICE_LOCKED, IGD_OPREGION, NO_RESET } from './vfio-pci-reasons.ts';
import { dmaBufFeature, type PciDmaBuf } from './dma-buf.ts';
import { vgaDecodes } from './vga-client.ts';
import { VirtualConfig } from './virtual-config.ts';

/** Somebody wants the device back, and user space has given no eventfd to hear it. */
export const NO_REQUEST_EVENTFD: EventKind<{ readonly device: string }> = eventKind(
  'vfio-pci/no-request-eventfd',
  'warn',
  ({ device }) => `${device}: no eventfd to ask user space for the device`,
);

/** The driver's structure was used before it was ready. */
export const STRUCTURE_BROKEN: EventKind<{ readonly device: string; readonly what: string }> = eventKind(
  'vfio-pci/structure-broken',
  'bug',
  ({ device, what }) => `${device}: ${what}`,
);

/** What a driver gives the device that it makes. */
export interface VfioPciDeviceInit {
  /** The module parameters that it goes by. */
  readonly parameters: VfioPciParameters;
  /** Where vectors are offered to KVM. */
  readonly bypass?: IrqBypassManager | undefined;
  /** The vfio-pci devices of the host: PFs of VFs, and who is reset together. */
  readonly registry: VfioPciRegistry;
}

/**
 * A PCI function given to user space: struct vfio_pci_core_device. A driver for devices of its own extends this class, and overrides what
 * its devices do otherwise, as `migration`.
 *
 * This file is the table of operations and the open and close sequences; each job has a file of its own.
 */
export class VfioPciDevice extends VfioDevice {
  /** The PCI device behind it, as the kernel holds it. */
  override readonly device: PciDevice;
  /** The hardware of that device. */
  readonly function: PciFunction;
  /** Where vectors are offered to KVM; undefined: nowhere. */
  readonly bypass: IrqBypassManager | undefined;
  /** INTx, MSI, MSI-X, ERR and REQ as the user has set them. */
  readonly irqs: Irqs;
  /** Keeps accesses to the BARs away from resets and power states. */
  readonly memoryLock: MemoryLock = new MemoryLock();
  /** The device was closed without a reset: its bus owes it one. */
  needsReset = false;
  /** Which of INTx, MSI and MSI-X the user has on. @internal */
  irqKind: IrqKind = 'none';
  /** INTX_DISABLE of COMMAND as the user sees it. @internal */
  intxDisabled = false;
  readonly #parameters: VfioPciParameters;
  readonly #registry: VfioPciRegistry;
  readonly #regions: Regions;
  readonly #ioeventfds: Ioeventfds;
  readonly #power: DevicePower;
  /** The devices that are opened, closed and reset together with this one: from probe on. */
  joined: DeviceSet | undefined;
  /** Dma-bufs of its BARs that are open: until the last close. @internal */
  readonly dmaBufs: Set<PciDmaBuf> = new Set<PciDmaBuf>();
  /** The token of a PF: from probe on. */
  token: VfToken | undefined;
  readonly #tokenUse: TokenUse;
  /** The configuration at open, which the close puts back. */
  #saved: SavedState | undefined;
  #resetWorks = false;
  /** DisINTx works: looked at when the device is opened. */
  #canMaskIntx = false;
  #intxBroken = false;

  /** @param vfio where its driver registers it */
  constructor(vfio: Vfio, device: PciDevice, init: VfioPciDeviceInit) {
    super(vfio, device);
    this.device = device;
    this.function = device.function;
    this.bypass = init.bypass;
    this.#parameters = init.parameters;
    this.#registry = init.registry;
    this.irqs = new Irqs(this);
    this.#regions = new Regions(this);
    this.#ioeventfds = new Ioeventfds(this);
    this.#tokenUse = new TokenUse(device, init.registry);
    this.#power = new DevicePower(device, this.irqs.intx, () => this.#parameters.disableIdleD3);
  }

  // What the parts ask.

  /** The user has memory decoding on, and the device is awake. */
  get memoryEnabled(): boolean {
    const { config } = this.#regions;
    if (config === undefined) return false;
    if (!this.device.isVirtual && (config.command & PCI_COMMAND_MEMORY) === 0) return false;
    return !this.device.host.profile.runtimePm || this.function.powerState < 3;
  }

  /** BAR accesses of 8 bytes go out as one (6.12). */
  get wide(): boolean {
    return this.device.host.profile.barAccess64;
  }

  /** Whether the user has an INTx: by the hardware's pin, or (6.1) by the virtual one. */
  get hasIntx(): boolean {
    if (this.device.host.profile.pciCore) return (this.#regions.config?.interruptPin ?? 0) !== 0;
    return !this.device.isVirtual && !this.#intxBroken && this.device.interruptPin !== 0;
  }

  /** The pin is wired to nothing, and the kernel lets the user try (before 6.1). */
  get intxUnconnected(): boolean {
    return this.device.lineUnconnected && !this.device.host.profile.hidesUnconnectedIntx;
  }

  /** The user sees no INTx, whatever the pin says: virtual functions, an INTx that nothing masks, a pin that is wired to nothing. */
  get hidesIntx(): boolean {
    const { isVirtual, lineUnconnected, host, function: fn } = this.device;
    const { hidesUnconnectedIntx, hidesIntxWithoutIrq } = host.profile;
    return isVirtual || this.#intxBroken || (lineUnconnected ? hidesUnconnectedIntx : hidesIntxWithoutIrq && fn.line === undefined);
  }

  /** DisINTx works, and the status bit tells whose the line is; false with the parameter nointxmask. */
  get canMaskIntx(): boolean {
    return this.#canMaskIntx;
  }

  /** Memory is reached by mappings: decoding is on, and the user has not let the device sleep. */
  get mappingsLive(): boolean {
    return this.memoryEnabled && !this.#power.low;
  }

  /** The device has a VGA region: its class is VGA, and the parameter disable_vga is off. */
  get hasVga(): boolean {
    return !this.#parameters.disableVga && isVga(this.device);
  }

  /** A function reset worked when the device was opened: VFIO_DEVICE_FLAGS_RESET. */
  get resetWorks(): boolean {
    return this.#resetWorks;
  }

  /** Vectors of MSI as log2, rounded up; undefined while MSI is not in use. */
  get msiQueueSize(): number | undefined {
    return this.irqs.messages.queueSize;
  }

  /** A file descriptor is open. */
  get inUse(): boolean {
    return this.#regions.config !== undefined;
  }

  /** BARs, ROM, configuration space, VGA, and what the driver adds. */
  get regions(): Regions {
    return this.#regions;
  }

  /**
   * Regions behind those of every PCI device; asked at the first open.
   *
   * @default Intel graphics has some
   * @returns a negative errno ends the open: -EINVAL for Intel graphics whose OpRegion is wrong
   */
  protected deviceRegions(config: VirtualConfig): readonly DeviceRegion[] | number {
    const regions: DeviceRegion[] = [];
    const error = isIntelGraphics(this.device) ? addIgdRegions(this.device, config, regions) : 0;
    return error < 0 && error !== -ENODEV ? this.device.host.refusals.refuse(IGD_OPREGION, { device: this.name }, -error) : regions;
  }

  /** The user wrote INTX_DISABLE in COMMAND: INTx is masked or unmasked. */
  intxDisableWritten(disabled: boolean): void {
    if (disabled === this.intxDisabled) return;
    this.intxDisabled = disabled;
    if (disabled) this.irqs.intx.mask();
    else this.irqs.intx.unmask();
  }

  /** The user wrote PowerState in PMCSR. @param state 0 to 3 */
  setPowerState(state: number): void {
    this.memoryLock.lock();
    this.#power.setState(state);
    this.memoryLock.unlock();
  }

  /**
   * A function reset, with the memory taken away meanwhile.
   *
   * @returns 0; -ENOTTY where no method works; -EAGAIN while the device is locked
   */
  functionReset(): number {
    this.memoryLock.lock();
    const error = tryResetFunction(this.device);
    this.memoryLock.unlock();
    return error;
  }

  /** The device was reset by whatever way, and has its configuration back: what a driver with state of its own has to set right. @default nothing */
  resetDone(): void {
    // vfio-pci itself keeps nothing that a reset changes.
  }

  /** The bus was reset, or not: whoever is closed goes back to sleep. @param error 0, or the negative errno of a reset that failed */
  busWasReset(error: number): void {
    if (error === 0) this.needsReset = false;
    this.idle();
  }

  /** The step of probe that looks at the power states, and puts the device to sleep. */
  probePower(): void {
    this.#power.probe();
  }

  /** The step of remove that undoes it. */
  removePower(): void {
    this.#power.remove();
  }

  /** A PF whose VFs are gone may sleep again, unless somebody has it open. */
  idle(): void {
    if (!this.inUse) this.#power.sleep();
  }

  /** The hardware reported an uncorrectable error: user space is told, if it asked. Kernel: vfio_pci_aer_err_detected(). */
  errorDetected(): void {
    this.enter('error handler');
    this.irqs.err.signal();
  }

  /** What the VGA arbiter is told that the device decodes. */
  vgaDecodes(single: boolean): number {
    this.enter('the question of the VGA arbiter');
    return vgaDecodes(this.device, single, this.#parameters.disableVga);
  }

  #broken(what: string): void {
    this.device.host.trace.emit(STRUCTURE_BROKEN, { device: this.name, what });
  }

  // Operations of the file.

  /** The devices that are opened and closed under one lock with it: those on its bus, or itself alone on a root bus. */
  override get deviceSet(): object {
    if (this.joined !== undefined) return this.joined;
    // Before P8 a device could be opened before its probe had come to this.
    this.#broken('the lock of its device set is used, and there is none yet: NULL dereference');
    return this;
  }

  /**
   * vfio_pci_core_match(): whether a name of GET_DEVICE_FD means this device, with the VF token that its PF asks for.
   *
   * @returns 1; 0 for another's name; -EINVAL for an option that there is not, or a token that nobody asked for; -EACCES for a token that
   * is missing or wrong
   */
  override match(name: string): number {
    return this.#tokenUse.match(name, this.token);
  }

  /**
   * vfio_pci_core_request(): signals the REQ eventfd; without one the first call is NO_REQUEST_EVENTFD.
   *
   * @param count calls before this one, from 0
   */
  override request(count: number): void {
    if (this.irqs.req.armed) this.irqs.req.signal();
    else if (count === 0) this.device.host.trace.emit(NO_REQUEST_EVENTFD, { device: this.name });
  }

  /**
   * vfio_pci_core_enable(): wakes and enables the device, resets its function, saves its configuration.
   *
   * @returns 0; -EAGAIN while the device is locked; what deviceRegions() refuses
   */
  protected override *openDevice(): Sleeps<number> {
    const { device } = this;
    resumeDevice(device);
    setMaster(device, false);
    enableDevice(device);
    const error = tryResetFunction(device);
    if (error === -EAGAIN) {
      disableDevice(device);
      return device.host.refusals.refuse(DEVICE_LOCKED, { device: device.name });
    }
    this.#resetWorks = error === 0;
    this.#saved = saveState(this.function);
    this.#findIntx();
    const config = new VirtualConfig(this);
    const own = this.deviceRegions(config);
    this.#regions.open(config, typeof own === 'number' ? [] : own);
    if (typeof own === 'number') {
      this.#disable();
      return own;
    }
    this.#tokenUse.begin();
    return 0;
  }

  /** vfio_pci_core_close_device(): interrupts off, a reset, the configuration as it was, and to sleep. */
  protected override *closeDevice(): Sleeps<void> {
    this.#tokenUse.end();
    for (const buffer of this.dmaBufs) buffer.orphan();
    this.dmaBufs.clear();
    this.#disable();
    this.irqs.err.clear();
    this.irqs.req.clear();
  }

  /** vfio_pci_disable(): as it was before the first open, and asleep. */
  #disable(): void {
    const { device } = this;
    setMaster(device, false);
    this.irqs.disable();
    this.#ioeventfds.clear();
    this.memoryLock.clear();
    this.#power.closed();
    this.intxDisabled = false;
    this.#regions.close();
    this.device.barClaims.clear();
    this.needsReset = true;
    // INTx stays off from here on: nobody would handle it.
    this.function.configWrite(PCI_COMMAND, 2, PCI_COMMAND_INTX_DISABLE);
    if (this.#resetWorks && tryResetFunction(device) === 0) this.needsReset = false;
    setPowerState(device, 0);
    restoreState(device, this.#saved);
    this.#saved = undefined;
    disableDevice(device);
    tryBusReset(device, this.#registry);
    this.#power.sleep();
  }

  /**
   * Reads a region.
   *
   * @param offset region index times 2^40, plus bytes from its start
   * @returns bytes read; -EINVAL where no region is; -EFAULT past the end of configuration space; -EIO while memory does not decode or the
   * device does not wake up; -ENOMEM of a ROM without image; -ENODEV of BARs that cannot be mapped, or a VGA device that the arbiter does
   * not know
   */
  override read(into: Uint8Array, offset: number): number {
    if (into.length === 0) return 0;
    const asleep = this.#power.begin();
    if (asleep < 0) return asleep;
    const count = this.#regions.read(into, offset);
    this.#power.end();
    return count;
  }

  /**
   * Writes a region.
   *
   * @param offset region index times 2^40, plus bytes from its start
   * @returns bytes written; -EINVAL where no region is, or it is read-only; -EFAULT past the end of configuration space; -EIO while memory
   * does not decode or the device does not wake up; -ENODEV as read()
   */
  override write(from: Uint8Array, offset: number): number {
    if (from.length === 0) return 0;
    const asleep = this.#power.begin();
    if (asleep < 0) return asleep;
    const count = this.#regions.write(from, offset);
    this.#power.end();
    return count;
  }

  /** A device that the user lets sleep wakes up for a request. @returns 0, or -EIO */
  override wake(): number {
    return this.#power.begin();
  }

  /** The request is answered: it sleeps again. */
  override rest(): void {
    this.#power.end();
  }

  /**
   * GET_INFO, GET_REGION_INFO, GET_IRQ_INFO, SET_IRQS, RESET, hot reset, IOEVENTFD and (before 5.18) FEATURE.
   *
   * @param request number of the ioctl
   * @returns 0 or more, or a negative errno with its reason: -ENOTTY for another request, -EFAULT for memory of the caller, for all others
   * the constants of vfio-pci-reasons.ts
   */
  override ioctl(process: Process, request: number, argument: UserArgument): number {
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
        return hotReset(this.device, process, argument, this.#registry);
      case VFIO_DEVICE_IOEVENTFD:
        return this.#ioeventfds.ioctl(process, argument);
      case VFIO_DEVICE_FEATURE:
        return deviceFeature(this, process, argument); // before 5.18: the core does not look at it
      default:
        return argument.unknown();
    }
  }

  /**
   * Maps a part of a memory BAR, shared; an access faults while memory does not decode.
   *
   * @returns the mapping; -EINVAL where it is private, leaves the BAR, or the BAR cannot be mapped
   */
  override mmap(process: Process, request: MmapRequest): Mapping | number {
    return this.#regions.mmap(process, request);
  }

  /**
   * PCI_VF_TOKEN of a PF, the low power features, DMA_BUF.
   *
   * @param feature VFIO_DEVICE_FEATURE_*
   * @param flags GET, SET and PROBE
   * @returns 0, an fd for DMA_BUF, -ENOTTY for a feature that the kernel or the device lacks, or another negative errno
   */
  override deviceFeature(process: Process, feature: number, flags: number, argument: FeatureArgument): number {
    const lowPower = this.device.host.profile.lowPowerFeatures;
    switch (feature) {
      case VFIO_DEVICE_FEATURE_PCI_VF_TOKEN:
        return this.token?.feature(flags, argument) ?? noFeature(this, feature, argument);
      case VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY:
        return lowPower ? this.#power.enter(flags, argument) : noFeature(this, feature, argument);
      case VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY_WITH_WAKEUP:
        return lowPower ? this.#power.enterWithWakeup(process, flags, argument) : noFeature(this, feature, argument);
      case VFIO_DEVICE_FEATURE_LOW_POWER_EXIT:
        return lowPower ? this.#power.exit(flags, argument) : noFeature(this, feature, argument);
      case VFIO_DEVICE_FEATURE_DMA_BUF:
        return this.device.host.profile.dmaBuf ? dmaBufFeature(this, process, flags, argument) : noFeature(this, feature, argument);
      default:
        return noFeature(this, feature, argument);
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
    const { host, name, resetMethods: methods } = this.device;
    if (!this.#resetWorks) return host.refusals.refuse(NO_RESET, { device: name, methods: [] });
    if (host.profile.runtimePm) this.setPowerState(0);
    const error = this.functionReset();
    return error < 0 ? host.refusals.refuse(NO_RESET, { device: name, methods }, -error) : error;
  }
}
