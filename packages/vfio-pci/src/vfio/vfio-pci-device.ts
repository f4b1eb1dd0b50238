/**
 * A PCI function given to user space: struct vfio_pci_core_device. A driver for devices of its own extends this class, and overrides
 * what its devices do otherwise, as `migration`.
 *
 * This file is the table of operations and the open and close sequences; each job has a file of its own.
 */
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

export interface VfioPciDeviceInit {
  readonly parameters: VfioPciParameters;
  /** Where vectors are offered to KVM. */
  readonly bypass?: IrqBypassManager | undefined;
  /** The vfio-pci devices of the host: PFs of VFs, and who is reset together. */
  readonly registry: VfioPciRegistry;
}

export class VfioPciDevice extends VfioDevice {
  override readonly device: PciDevice;
  readonly function: PciFunction;
  readonly bypass: IrqBypassManager | undefined;
  readonly irqs: Irqs;
  readonly memoryLock: MemoryLock = new MemoryLock();
  /** The device was closed without a reset: its bus owes it one. */
  needsReset = false;
  /** @internal */
  irqKind: IrqKind = 'none';
  /** @internal */
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

  get wide(): boolean {
    return this.device.host.profile.barAccess64;
  }

  /** By the hardware's pin, or (6.1) by the virtual one (D61-31). */
  get hasIntx(): boolean {
    if (this.device.host.profile.pciCore) return (this.#regions.config?.interruptPin ?? 0) !== 0;
    return !this.device.isVirtual && !this.#intxBroken && this.device.interruptPin !== 0;
  }

  get intxUnconnected(): boolean {
    return this.device.lineUnconnected && !this.device.host.profile.hidesUnconnectedIntx;
  }

  /** The user sees no INTx, whatever the pin says: virtual functions, an INTx that nothing masks, a pin that is wired to nothing (D61-30). */
  get hidesIntx(): boolean {
    const { isVirtual, lineUnconnected, host, function: fn } = this.device;
    const { hidesUnconnectedIntx, hidesIntxWithoutIrq } = host.profile;
    return isVirtual || this.#intxBroken || (lineUnconnected ? hidesUnconnectedIntx : hidesIntxWithoutIrq && fn.line === undefined);
  }

  get canMaskIntx(): boolean {
    return this.#canMaskIntx;
  }

  get mappingsLive(): boolean {
    return this.memoryEnabled && !this.#power.low;
  }

  get hasVga(): boolean {
    return !this.#parameters.disableVga && isVga(this.device);
  }

  get resetWorks(): boolean {
    return this.#resetWorks;
  }

  get msiQueueSize(): number | undefined {
    return this.irqs.messages.queueSize;
  }

  /** A file descriptor is open. */
  get inUse(): boolean {
    return this.#regions.config !== undefined;
  }

  get regions(): Regions {
    return this.#regions;
  }

  /** Regions behind those of every PCI device; asked at the first open. A negative errno ends the open. @default Intel graphics has some */
  protected deviceRegions(config: VirtualConfig): readonly DeviceRegion[] | number {
    const regions: DeviceRegion[] = [];
    const error = isIntelGraphics(this.device) ? addIgdRegions(this.device, config, regions) : 0;
    return error < 0 && error !== -ENODEV ? this.device.host.refusals.refuse(IGD_OPREGION, { device: this.name }, -error) : regions;
  }

  intxDisableWritten(disabled: boolean): void {
    if (disabled === this.intxDisabled) return;
    this.intxDisabled = disabled;
    if (disabled) this.irqs.intx.mask();
    else this.irqs.intx.unmask();
  }

  /** The user wrote a power state, 0 to 3. */
  setPowerState(state: number): void {
    this.memoryLock.lock();
    this.#power.setState(state);
    this.memoryLock.unlock();
  }

  /** With the memory taken away. @returns 0, or a negative errno */
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

  /** The bus was reset, or not: whoever is closed goes back to sleep. */
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

  override get deviceSet(): object {
    if (this.joined !== undefined) return this.joined;
    // Before P8 a device could be opened before its probe had come to this.
    this.#broken('the lock of its device set is used, and there is none yet: NULL dereference');
    return this;
  }

  override match(name: string): number {
    return this.#tokenUse.match(name, this.token);
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

  override read(into: Uint8Array, offset: number): number {
    if (into.length === 0) return 0;
    const asleep = this.#power.begin();
    if (asleep < 0) return asleep;
    const count = this.#regions.read(into, offset);
    this.#power.end();
    return count;
  }

  override write(from: Uint8Array, offset: number): number {
    if (from.length === 0) return 0;
    const asleep = this.#power.begin();
    if (asleep < 0) return asleep;
    const count = this.#regions.write(from, offset);
    this.#power.end();
    return count;
  }

  override wake(): number {
    return this.#power.begin();
  }

  override rest(): void {
    this.#power.end();
  }

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

  override mmap(process: Process, request: MmapRequest): Mapping | number {
    return this.#regions.mmap(process, request);
  }

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
