/**
 * The vfio-pci driver, and the base of drivers for devices of their own: extend it, give a name, and make the device.
 *
 * Probe in the order of 5.13, registered last (P8); remove in the order of P9. Not modelled: the deny list's log.
 */
import {
  DriverData,
  EBUSY,
  EINVAL,
  ENODEV,
  ENOENT,
  constant,
  type IrqBypassManager,
  type Sleeps,
  type Vfio,
} from '@vsim/vfio-core';
import { resumeDevice } from '../bus/runtime-pm.ts';
import { setPowerState } from '../bus/enable.ts';
import { parseBoolean } from '../bus/parse.ts';
import type { PciBus } from '../bus/pci-bus.ts';
import type { PciDevice } from '../bus/pci-device.ts';
import { PciDriver } from '../bus/pci-driver.ts';
import { VfCapture } from './vf-capture.ts';
import { VfioPciDevice, type VfioPciDeviceInit, type VfioPciParameters } from './vfio-pci-device.ts';

export interface VfioPciDriverInit {
  /** Where vectors are offered to KVM. @default nowhere */
  readonly bypass?: IrqBypassManager | undefined;
  /** Module parameters; each @default false */
  readonly parameters?: Partial<VfioPciParameters> | undefined;
}

/** Every vfio-pci device of a host, whatever its driver: who shares a bus is reset together. */
const boundDevices = new WeakMap<Vfio, DriverData<PciDevice, VfioPciDevice>>();

export class VfioPciDriver extends PciDriver {
  override readonly name: string = 'vfio-pci';
  override readonly managesDma: boolean = true;
  readonly vfio: Vfio;
  readonly parameters: VfioPciParameters;
  readonly #bypass: IrqBypassManager | undefined;
  readonly #bound: DriverData<PciDevice, VfioPciDevice>;
  /** The notifier of each bound PF, to be taken away. */
  readonly #notifiers = new DriverData<PciDevice, () => void>();

  constructor(vfio: Vfio, init: VfioPciDriverInit = {}) {
    super();
    this.vfio = vfio;
    this.parameters = { nointxmask: false, disableVga: false, disableIdleD3: false, enableSriov: false, ...init.parameters };
    this.#bypass = init.bypass;
    const bound = boundDevices.get(vfio) ?? new DriverData<PciDevice, VfioPciDevice>();
    boundDevices.set(vfio, bound);
    this.#bound = bound;
  }

  /** The VFIO device of a bound PCI device. */
  vfioDevice(device: PciDevice): VfioPciDevice | undefined {
    return this.#bound.get(device);
  }

  /** What the driver answers to an uncorrectable error: without a VFIO device nobody could recover it. Kernel: error_detected(). */
  errorDetected(device: PciDevice): 'can-recover' | 'disconnect' {
    const vfioDevice = this.#bound.get(device);
    if (vfioDevice === undefined) return 'disconnect';
    vfioDevice.errorDetected();
    return 'can-recover';
  }

  /** The parameters of the module, besides the ids: those that can be changed are read when they are needed. */
  override createAttributes(bus: PciBus): void {
    super.createAttributes(bus);
    const { parameters } = this;
    const folder = '/sys/module/vfio_pci/parameters';
    const { files } = bus.host;
    if (this.name !== 'vfio-pci' || files.lookup(folder) !== undefined) return;
    const add = (name: string, get: () => boolean, change: ((on: boolean) => void) | undefined): void => {
      files.add(`${folder}/${name}`, {
        kind: 'attribute',
        mode: change === undefined ? 0o444 : 0o644,
        show: () => constant(get() ? 'Y\n' : 'N\n'),
        *store(bytes) {
          const on = parseBoolean(bytes);
          if (on === undefined || change === undefined) return -EINVAL;
          change(on);
          return bytes.length;
        },
      });
    };
    add('disable_vga', () => parameters.disableVga, undefined);
    add('nointxmask', () => parameters.nointxmask, (on) => (parameters.nointxmask = on));
    add('disable_idle_d3', () => parameters.disableIdleD3, (on) => (parameters.disableIdleD3 = on));
    add('enable_sriov', () => parameters.enableSriov, (on) => (parameters.enableSriov = on));
  }

  /** Makes the VFIO device; a driver with devices of its own overrides this. */
  protected createDevice(device: PciDevice, init: VfioPciDeviceInit): VfioPciDevice {
    return new VfioPciDevice(this.vfio, device, init);
  }

  override *probe(device: PciDevice): Sleeps<number> {
    if (device.function.isBridge || isDenied(device)) return -EINVAL;
    if (device.virtualFunctions > 0) return -EBUSY;
    if (device.iommuGroup === undefined) return -EINVAL;
    const vfioDevice = this.createDevice(device, {
      parameters: this.parameters,
      bypass: this.#bypass,
      bound: (other) => this.#bound.get(other),
    });
    if (device.sriov !== undefined) this.#notifiers.set(device, device.bus.listen(new VfCapture(this.name, device)));
    setPowerState(device, 0);
    vfioDevice.sleep();
    this.#bound.set(device, vfioDevice);
    const error = yield* vfioDevice.register();
    if (error < 0) this.#release(device);
    return error;
  }

  override *remove(device: PciDevice): Sleeps<void> {
    const vfioDevice = this.#bound.get(device);
    if (vfioDevice === undefined) return;
    // The VFs go first: whoever has one open holds up the PF (P9).
    if (device.sriov !== undefined) yield* device.sriov.disable();
    yield* vfioDevice.unregister();
    this.#release(device);
  }

  override *sriovConfigure(device: PciDevice, count: number): Sleeps<number> {
    if (!this.parameters.enableSriov) return -ENOENT;
    if (this.#bound.get(device) === undefined || device.sriov === undefined) return -ENODEV;
    if (device.host.profile.runtimePm && count > 0) resumeDevice(device);
    const result = yield* device.sriov.configure(count);
    if (device.virtualFunctions === 0) this.#bound.get(device)?.idle();
    return result;
  }

  #release(device: PciDevice): void {
    this.#notifiers.get(device)?.();
    this.#notifiers.clear(device);
    this.#bound.clear(device);
    resumeDevice(device);
  }
}

/** Intel QuickAssist devices whose isolation is broken: C3XXX, C62X, DH895XCC and their VFs. */
const DENIED: ReadonlySet<number> = new Set([0x19e2, 0x19e3, 0x37c8, 0x37c9, 0x0435, 0x0443]);

function isDenied(device: PciDevice): boolean {
  return device.vendor === 0x8086 && DENIED.has(device.deviceId);
}
