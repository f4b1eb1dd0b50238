import {
  BEFORE_SERIES,
  EINVAL,
  NO_IOMMU_GROUP,
  ENOMEM,
  eventKind,
  type EventKind,
  type FaultPoint,
  type IommuGroup,
  type Host,
  type Point,
  type Sleeps,
  type Vfio,
} from '@vsim/vfio-core';
import type { PciDevice } from '../bus/pci-device.ts';
import { isVga } from '../bus/vga-arbiter.ts';
import type { VfioPciRegistry } from './registry.ts';
import { VfCapture } from './vf-capture.ts';
import { VfToken } from './vf-token.ts';
import type { VfioPciDevice } from './vfio-pci-device.ts';
import { VGA_ARBITER } from './vfio-pci-reasons.ts';
import { addVgaClient, removeVgaClient } from './vga-client.ts';

/** A step of probe, named by what is there after it. */
export type ProbeStep = 'iommu-group' | 'device' | 'driver-data' | 'device-set' | 'token' | 'notifier' | 'vga' | 'power' | 'register';

/** 5.13, and 5.10.223, which has patches 7 and 8 of the series as backports. */
const PROBE_5_13: readonly ProbeStep[] = ['iommu-group', 'device', 'device-set', 'token', 'notifier', 'vga', 'power', 'register', 'driver-data'];
/** From the library vfio-pci-core on (5.15): register finds the group by itself. */
const PROBE_6_1: readonly ProbeStep[] = ['device', 'driver-data', 'device-set', 'token', 'notifier', 'vga', 'power', 'register'];
const REMOVE_5_13: readonly ProbeStep[] = ['register', 'notifier', 'token', 'device-set', 'vga', 'iommu-group', 'power', 'device', 'driver-data'];
const REMOVE_6_1: readonly ProbeStep[] = ['register', 'notifier', 'token', 'vga', 'power', 'device-set', 'device', 'driver-data'];

/** In which order a driver does the steps of its probe, and those of its remove. */
export interface BindingOrder {
  /** From the first to the last; a step that fails has those before it undone, the last first. */
  readonly probe: readonly ProbeStep[];
  /** What remove undoes, in its own order. */
  readonly remove: readonly ProbeStep[];
}

/** Before patch 8 the device was live right after its fields. */
const PROBE_BEFORE_8: readonly ProbeStep[] = ['iommu-group', 'device', 'register', 'device-set', 'token', 'notifier', 'vga', 'power', 'driver-data'];
/** Before patch 7 the VGA client went when its structure was freed already, and the token before its notifier. */
const REMOVE_BEFORE_7: readonly ProbeStep[] = ['register', 'token', 'notifier', 'device-set', 'iommu-group', 'power', 'device', 'vga', 'driver-data'];

/** The steps of probe and remove, in the order of the host's kernel and its patches. */
export function bindingOrder(host: Host): BindingOrder {
  if (host.profile.pciCore) return { probe: PROBE_6_1, remove: REMOVE_6_1 };
  return { probe: host.has(8) ? PROBE_5_13 : PROBE_BEFORE_8, remove: host.has(7) ? REMOVE_5_13 : REMOVE_BEFORE_7 };
}

/** Probe has done a step, and another thread may run. */
export const STEP_DONE: Readonly<Record<ProbeStep, Point>> = points('done');
/** Remove, or a probe that fails, has undone a step. */
export const STEP_UNDONE: Readonly<Record<ProbeStep, Point>> = points('undone');

/** No memory for the device's structure. */
export const DEVICE_ALLOCATION: FaultPoint = { fault: 'vfio-pci/device-allocation', error: ENOMEM };
/** No memory for the token of a PF. */
export const TOKEN_ALLOCATION: FaultPoint = { fault: 'vfio-pci/token-allocation', error: ENOMEM };
/** The bus notifier of a PF cannot be registered. */
export const NOTIFIER_REGISTRATION: FaultPoint = { fault: 'vfio-pci/notifier-registration', error: ENOMEM };

/** Probe came to a step: 0, or what it failed with. */
export const PROBE_STEP: EventKind<{ readonly device: string; readonly step: ProbeStep; readonly error: number }> = eventKind(
  'vfio-pci/probe-step',
  'info',
  ({ device, step, error }) => `${device}: probe: ${step}: ${error}`,
);
/** A step was undone, by remove or by a probe that failed. */
export const PROBE_STEP_UNDONE: EventKind<{ readonly device: string; readonly step: ProbeStep }> = eventKind(
  'vfio-pci/probe-step-undone',
  'info',
  ({ device, step }) => `${device}: undone: ${step}`,
);
/** The kernel's WARN: the token of a PF goes while VFs that were opened with it are still open. */
export const TOKEN_IN_USE: EventKind<{ readonly device: string; readonly users: number }> = eventKind(
  'vfio-pci/token-in-use',
  'warn',
  ({ device, users }) => `${device}: the VF token goes with ${users} users`,
);

export interface BindingInit {
  readonly vfio: Vfio;
  readonly device: PciDevice;
  /** The driver's name, for VFs that the PF's driver keeps. */
  readonly driver: string;
  readonly registry: VfioPciRegistry;
  /** Makes the driver's structure. */
  readonly create: () => VfioPciDevice;
  /** dev_set_drvdata(): sets or clears what the driver finds at the device. */
  readonly setData: (vfioDevice: VfioPciDevice | undefined) => void;
}

/**
 * A device of vfio-pci from the begin of its probe to the end of its remove, step by step. Kernel: vfio_pci_probe() and vfio_pci_remove();
 * 6.1: vfio_pci_core_register_device() and what undoes it.
 *
 * Each step that can fail leaves nothing behind when it does; each has one undoing. The order of the steps is the kernel's profile's.
 */
export class Binding {
  readonly #init: BindingInit;
  readonly #done: ProbeStep[] = [];
  #vfioDevice: VfioPciDevice | undefined;
  #group: IommuGroup | undefined;
  #unlisten: (() => void) | undefined;

  constructor(init: BindingInit) {
    this.#init = init;
  }

  /** Does the steps of probe in their order. @returns 0, or the errno of the step that failed, with everything undone */
  *probe(steps: readonly ProbeStep[]): Sleeps<number> {
    const { device } = this.#init;
    const { trace, profile } = device.host;
    for (const step of steps) {
      const error = yield* this.#do(step);
      if (trace.on) trace.emit(PROBE_STEP, { device: device.name, step, error });
      if (error < 0) {
        const forgotten = step === 'register' && !profile.vgaClientUnwound;
        yield* this.remove([...this.#done].reverse().filter((done) => !(forgotten && done === 'vga')));
        return error;
      }
      this.#done.push(step);
      yield STEP_DONE[step];
    }
    return 0;
  }

  /** Undoes steps in the given order. */
  *remove(steps: readonly ProbeStep[]): Sleeps<void> {
    const { name, host } = this.#init.device;
    for (const step of steps) {
      yield* this.#undo(step);
      if (host.trace.on) host.trace.emit(PROBE_STEP_UNDONE, { device: name, step });
      yield STEP_UNDONE[step];
    }
  }

  *#do(step: ProbeStep): Sleeps<number> {
    const { device, registry } = this.#init;
    const { faults, random } = device.host;
    if (step === 'device') return this.#allocate();
    if (step === 'iommu-group') return this.#takeGroup();
    const vfioDevice = this.#vfioDevice;
    if (vfioDevice === undefined) return -EINVAL;
    switch (step) {
      case 'driver-data':
        this.#init.setData(vfioDevice);
        return 0;
      case 'device-set': {
        const set = registry.join(device);
        if (typeof set === 'number') return set;
        vfioDevice.joined = set;
        return 0;
      }
      case 'token': {
        if (device.sriov === undefined) return 0;
        const error = faults.at(TOKEN_ALLOCATION);
        if (error === 0) vfioDevice.token = new VfToken(random.bytes(16));
        return error;
      }
      case 'notifier': {
        if (device.sriov === undefined) return 0;
        const error = faults.at(NOTIFIER_REGISTRATION);
        if (error === 0) this.#unlisten = device.bus.listen(new VfCapture(this.#init.driver, device));
        return error;
      }
      case 'vga': {
        const error = isVga(device) ? addVgaClient(device, (single) => vfioDevice.vgaDecodes(single)) : 0;
        if (error === 0) return 0;
        if (device.host.has(7)) return device.host.refusals.refuse(VGA_ARBITER, { device: device.name }, -error);
        device.host.trace.emit(BEFORE_SERIES, { patch: 7, device: device.name, what: `the VGA arbiter refused it (${error}), and nobody looks` });
        return 0;
      }
      case 'power':
        vfioDevice.probePower();
        return 0;
      case 'register':
        return yield* vfioDevice.register();
    }
  }

  *#undo(step: ProbeStep): Sleeps<void> {
    const { device, registry } = this.#init;
    const vfioDevice = this.#vfioDevice;
    switch (step) {
      case 'iommu-group':
        this.#group?.put();
        this.#init.vfio.iommuGroupPut(device);
        return;
      case 'device':
        registry.remove(device);
        vfioDevice?.free();
        return;
      case 'driver-data':
        this.#init.setData(undefined);
        return;
      case 'device-set':
        registry.leave(device);
        return;
      case 'token':
        if (vfioDevice?.token === undefined) return;
        if (vfioDevice.token.users > 0) device.host.trace.emit(TOKEN_IN_USE, { device: device.name, users: vfioDevice.token.users });
        vfioDevice.token = undefined;
        return;
      case 'notifier':
        this.#unlisten?.();
        return;
      case 'vga':
        if (isVga(device)) removeVgaClient(device);
        return;
      case 'power':
        vfioDevice?.removePower();
        return;
      case 'register':
        if (vfioDevice !== undefined) yield* vfioDevice.unregister();
    }
  }

  #allocate(): number {
    const { device, registry } = this.#init;
    const error = device.host.faults.at(DEVICE_ALLOCATION);
    if (error < 0) return error;
    this.#vfioDevice = this.#init.create();
    registry.add(device, this.#vfioDevice);
    return 0;
  }

  #takeGroup(): number {
    this.#group = this.#init.vfio.iommuGroupGet(this.#init.device);
    this.#group?.get();
    const { host, name } = this.#init.device;
    return this.#group === undefined ? host.refusals.refuse(NO_IOMMU_GROUP, { device: name }) : 0;
  }
}

function points(what: string): Readonly<Record<ProbeStep, Point>> {
  const of = (step: ProbeStep): Point => ({ point: `vfio-pci/${what}/${step}` });
  return {
    'iommu-group': of('iommu-group'),
    device: of('device'),
    'driver-data': of('driver-data'),
    'device-set': of('device-set'),
    token: of('token'),
    notifier: of('notifier'),
    vga: of('vga'),
    power: of('power'),
    register: of('register'),
  };
}
