import { BEFORE_SERIES, DriverData, EINVAL, ENODEV, type Host, type IrqBypassManager, type Sleeps, type Vfio } from '@vsim/vfio-core';
import { NUMVFS_DRIVER } from '../bus/bus-reasons.ts';
import { resumeDevice } from '../bus/runtime-pm.ts';
import type { PciBus } from '../bus/pci-bus.ts';
import type { PciDevice } from '../bus/pci-device.ts';
import { PCI_ANY_ID, PciDriver, pciId, type PciDeviceId, type RecoveryVote } from '../bus/pci-driver.ts';
import { Binding, bindingOrder, type BindingOrder } from './binding.ts';
import { addParameterFiles, parseIds, type VfioPciParameters } from './module-parameters.ts';
import { refusal } from './refusals.ts';
import { SRIOV_OFF } from './vfio-pci-reasons.ts';
import { registryOf, type VfioPciRegistry } from './registry.ts';
import { VfioPciDevice, type VfioPciDeviceInit } from './vfio-pci-device.ts';

/** How the module is loaded. */
export interface VfioPciDriverInit {
  /** Where vectors are offered to KVM. @default nowhere */
  readonly bypass?: IrqBypassManager | undefined;
  /** Module parameters; each @default false */
  readonly parameters?: Partial<VfioPciParameters> | undefined;
  /** The module parameter `ids`: `vendor:device[:subvendor[:subdevice[:class[:class_mask]]]],...` in hex. @default none */
  readonly ids?: string | undefined;
}

const DEFAULTS: VfioPciParameters = { nointxmask: false, disableVga: false, disableIdleD3: false, enableSriov: false, disableDenylist: false };

/** The only entry of its table from 5.15 on: any device, if driver_override says so. */
const ANY_BY_OVERRIDE: PciDeviceId = { ...pciId(PCI_ANY_ID, PCI_ANY_ID), overrideOnly: true };

/**
 * The vfio-pci driver, and the base of drivers for devices of their own: extend it, give a name, and make the device.
 *
 * The steps of probe and remove, in each kernel's order, are binding.ts's.
 *
 * @example
 * ```ts
 * import { ApicMsi, Host, Vfio, VtdIommu } from '@vsim/vfio-core';
 * import { PciBus, VfioPciDriver } from '@vsim/vfio-pci';
 *
 * const host = new Host();
 * const bus = new PciBus(host, { msi: new ApicMsi(host), iommu: new VtdIommu(host) });
 * host.scheduler.call('modprobe vfio-pci', bus.addDriver(new VfioPciDriver(new Vfio(host), { parameters: { disableIdleD3: true } })));
 * console.log(bus.driver('vfio-pci')?.name); // vfio-pci
 * ```
 */
export class VfioPciDriver extends PciDriver {
  /** As `driver_override` and the folder below /sys/bus/pci/drivers have it. A driver for devices of its own overrides this. */
  override readonly name: string = 'vfio-pci';
  /** driver_managed_dma: user space sets up the DMA. */
  override readonly managesDma: boolean = true;
  /** Its table: nothing before 5.15, and from then on any device whose driver_override says so. */
  override readonly ids: readonly PciDeviceId[];
  /** Where its devices are registered. */
  readonly vfio: Vfio;
  /** The module parameters as they are now. */
  readonly parameters: VfioPciParameters;
  /** As they were when the module was loaded. */
  #loaded: VfioPciParameters;
  readonly #bypass: IrqBypassManager | undefined;
  readonly #idsText: string;
  readonly #registry: VfioPciRegistry;
  /** dev_get_drvdata(): from probe to the end of remove. */
  readonly #data = new DriverData<PciDevice, VfioPciDevice>();
  readonly #bindings = new Map<PciDevice, Binding>();

  /** That of its Vfio. */
  override readonly host: Host;

  /** @param vfio registers the devices that it binds */
  constructor(vfio: Vfio, init: VfioPciDriverInit = {}) {
    super();
    this.host = vfio.host;
    this.vfio = vfio;
    this.ids = vfio.host.profile.pciCore ? [ANY_BY_OVERRIDE] : [];
    this.parameters = { ...DEFAULTS, ...init.parameters };
    this.#loaded = { ...this.parameters };
    this.#bypass = init.bypass;
    this.#idsText = init.ids ?? '';
    this.#registry = registryOf(vfio);
  }

  /** The VFIO device of a bound PCI device. Before patch 9 of the series drvdata was the core's: it went with the last reference. */
  vfioDevice(device: PciDevice): VfioPciDevice | undefined {
    const { host } = device;
    if (host.has(9)) return this.#data.get(device);
    const found = this.#registry.get(device);
    if (found === undefined || found.state === 'init') return undefined;
    if (found.references > 0) return found;
    if (this.#bindings.has(device)) host.trace.emit(BEFORE_SERIES, { patch: 9, device: device.name, what: 'its driver is bound, and its data is NULL' });
    return undefined;
  }

  /** The order of its steps: the kernel's. A driver of another kernel overrides this. */
  protected get order(): BindingOrder {
    return bindingOrder(this.vfio.host);
  }

  /** What the driver answers to an uncorrectable error: without a VFIO device nobody could recover it. Kernel: error_detected(). */
  override errorDetected(device: PciDevice): RecoveryVote {
    const vfioDevice = this.#registry.getReference(device);
    if (vfioDevice === undefined) return 'disconnect';
    vfioDevice.errorDetected();
    vfioDevice.put();
    return 'can-recover';
  }

  /** Hands on to the VFIO device that its device was reset. */
  override resetDone(device: PciDevice): void {
    this.vfioDevice(device)?.resetDone();
  }

  /** The parameters of the module, and the ids that it was loaded with. @throws RangeError for `ids` of more than 1023 characters */
  override createAttributes(bus: PciBus): void {
    super.createAttributes(bus);
    const { host } = bus;
    this.#loaded = { ...this.parameters };
    if (this.name === 'vfio-pci' && host.files.lookup('/sys/module/vfio_pci/parameters') === undefined) addParameterFiles(host, this.parameters);
    for (const id of parseIds(host, this.#idsText)) this.addId(id);
  }

  /** Makes the VFIO device; a driver with devices of its own overrides this. */
  protected createDevice(device: PciDevice, init: VfioPciDeviceInit): VfioPciDevice {
    return new VfioPciDevice(this.vfio, device, init);
  }

  /** The parameters that a device goes by which is bound now. */
  get #parametersOfDevice(): VfioPciParameters {
    switch (this.vfio.host.profile.vfioPciParametersAt) {
      case 'use':
        return this.parameters;
      case 'load':
        return this.#loaded;
      case 'bind':
        return { ...this.parameters };
    }
  }

  /**
   * vfio_pci_probe(), step by step.
   *
   * @returns 0; -EINVAL for a device that is denied or a bridge, or without IOMMU group; -EBUSY for a PF with VFs; -ENOMEM; -ENODEV where
   * the VGA arbiter does not know the device; what register() answers
   */
  override *probe(device: PciDevice): Sleeps<number> {
    const refused = refusal(device, this.parameters.disableDenylist);
    if (refused < 0) return refused;
    const binding = new Binding({
      vfio: this.vfio,
      device,
      driver: this.name,
      registry: this.#registry,
      create: () => this.createDevice(device, { parameters: this.#parametersOfDevice, bypass: this.#bypass, registry: this.#registry }),
      setData: (vfioDevice) => {
        if (vfioDevice === undefined) this.#data.clear(device);
        else if (device.host.has(9)) this.#data.set(device, vfioDevice);
      },
    });
    this.#bindings.set(device, binding);
    const error = yield* binding.probe(this.order.probe);
    if (error < 0) this.#bindings.delete(device);
    return error;
  }

  /** vfio_pci_remove(): takes its VFs away, and waits until user space has closed the device. */
  override *remove(device: PciDevice): Sleeps<void> {
    const binding = this.#bindings.get(device);
    if (binding === undefined) return;
    // The VFs go first: whoever has one open holds up the PF (P9).
    if (device.sriov !== undefined) yield* device.sriov.disable();
    yield* binding.remove(this.order.remove);
    this.#bindings.delete(device);
  }

  /**
   * vfio_pci_sriov_configure().
   *
   * @param count from 0 to TotalVFs
   * @returns the count; -ENOENT with enable_sriov off; -ENODEV for a device that is not registered; -EBUSY while there are VFs, -ENOTTY for
   * hardware that makes none
   */
  override *sriovConfigure(device: PciDevice, count: number): Sleeps<number> {
    const { sriov, host } = device;
    if (!this.parameters.enableSriov) return host.refusals.refuse(SRIOV_OFF, { device: device.name });
    const vfioDevice = sriov === undefined ? undefined : this.#registry.getReference(device);
    if (sriov === undefined || vfioDevice === undefined) return host.refusals.refuse(NUMVFS_DRIVER, { device: device.name, driver: this.name }, ENODEV);
    let result = -EINVAL; // the list of PFs has it already (D61-37); sysfs never comes here
    if (!host.profile.pciCore || count === 0 || device.virtualFunctions === 0) {
      if (host.profile.runtimePm && count > 0) resumeDevice(device);
      result = yield* sriov.configure(count);
    }
    if (device.virtualFunctions === 0) vfioDevice.idle();
    vfioDevice.put();
    return result;
  }
}
