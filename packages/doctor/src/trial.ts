/**
 * What VFIO would say: the machine is built in the model, with its drivers bound, and a device, or its whole group, is taken through the
 * calls that a VMM makes. Every call is made, also after one that failed, as a program that does not look would do.
 */
import {
  ApicMsi,
  Host,
  Process,
  REQUESTS,
  SmmuV3Iommu,
  VFIO_TYPE1v2_IOMMU,
  Vfio,
  VtdIommu,
  type IoctlInput,
  type IommuUnitBase,
  type ProfileName,
  type Sleeps,
  type TraceEvent,
} from '@vsim/vfio-core';
import { NativeDriver, PCI_CFG_SPACE_SIZE, PciStub, PciePort, VfioPciDriver, hexBytes, importPciMachine, isPhysicalFunction, leavesGroupViable, pciId, placeOpRegion, type PciBus, type PciDevice, type PciDriver, type RecordedDevice } from '@vsim/vfio-pci';
import type { MachineDevice } from './machine.ts';
import { partsOf, type MachinePart } from './machine-parts.ts';

/** What kind of IOMMU a machine has: Intel's, AMD's, an Arm SMMUv3, or none. */
export type IommuKind = 'vt-d' | 'amd' | 'smmuv3' | 'none';

/** What the machine of a TrialBench is like. */
export interface TrialOptions {
  /** The kind of its IOMMU. */
  readonly iommu: IommuKind;
  /** Whether the IOMMU tells apart who sends an interrupt. @default true */
  readonly interruptRemapping?: boolean | undefined;
  /** Addresses of the devices of each group; a group's number is its place here. A device in none has no group. */
  readonly groups: readonly (readonly string[])[];
  /** The kernel. @default 'linux-6.1' */
  readonly profile?: ProfileName | undefined;
  /** Hears of each host that is built, before anything is in it. */
  readonly made?: ((host: Host) => void) | undefined;
}

/** One call, and what it answered: 0 or more, or a negative errno. */
export interface TrialStep {
  /** The request by name, or what else was done: `bind`, `open /dev/vfio/vfio`. */
  readonly call: string;
  /** The PCI address of the device that it was for. */
  readonly device: string;
  /** 0 or more, or a negative errno. */
  readonly result: number;
  /** What GET_STATUS and GET_INFO gave in `flags`. */
  readonly flags?: number | undefined;
}

/** What became of giving a device to VFIO. */
export interface Trial {
  /** The PCI address of the device. */
  readonly device: string;
  /** Whether it alone was bound to vfio-pci, or all members. */
  readonly kind: 'alone' | 'whole-group';
  /** All calls in order, also those behind one that failed. */
  readonly steps: readonly TrialStep[];
  /** The first call that failed; undefined: the device is open. */
  readonly failed: TrialStep | undefined;
}

const ANY = 0xffff_ffff;
/** A file descriptor that nobody has. */
const NO_FD = 1000;
/** Drivers of the kernel that enable VFs, and what becomes of these when they leave. */
const SRIOV_DRIVERS: ReadonlyMap<string, 'taken-away' | 'left'> = new Map([['igb', 'taken-away'], ['nvme', 'left']]);

/** A machine in the model, booted. */
export interface TrialHost {
  /** The host, which runs the kernel of the options. */
  readonly host: Host;
  /** Its PCI bus, with every device plugged. */
  readonly bus: PciBus;
  /** The driver of each device after the boot, by address. */
  readonly drivers: ReadonlyMap<string, string | undefined>;
}

/**
 * A machine on which one device after another is tried. What a trial changed is put back; where that cannot be, the part of the machine that the
 * device is in (what is below one port, or in one slot, with its groups) is built anew.
 */
export class TrialBench {
  readonly #machine: readonly MachineDevice[];
  readonly #options: TrialOptions;
  readonly #parts: ReadonlyMap<string, MachinePart>;
  #whole: TrialHost | undefined;
  /** Parts that a trial spoiled in the whole machine, with a host of their own. */
  readonly #spoiled = new Map<MachinePart, TrialHost | undefined>();

  /** Builds nothing yet: the first trial does. */
  constructor(machine: readonly MachineDevice[], options: TrialOptions) {
    this.#machine = machine;
    this.#options = options;
    this.#parts = partsOf(machine, options.groups);
  }

  /**
   * The host on which a device is tried next; built when it is first asked for.
   *
   * @param device its PCI address
   * @throws TypeError or RangeError for devices that cannot be one machine
   */
  hostOf(device: string): TrialHost {
    const part = this.#parts.get(device);
    if (part === undefined || !this.#spoiled.has(part)) return (this.#whole ??= buildHost(this.#machine, this.#options));
    const own = this.#spoiled.get(part) ?? buildHost(part.devices, this.#options);
    this.#spoiled.set(part, own);
    return own;
  }

  /**
   * Gives `device` to VFIO, alone or with all of `members`.
   *
   * @param device its PCI address
   * @param members PCI addresses of all that are bound to vfio-pci first, `device` among them
   * @throws TypeError or RangeError for devices that cannot be one machine
   */
  run(device: string, members: readonly string[]): Trial {
    const made = this.hostOf(device);
    const { host } = made;
    const bugs: TraceEvent[] = [];
    const unlisten = host.trace.listen((event) => {
      if (event.severity === 'bug') bugs.push(event);
    });
    const process = new Process(host, { name: 'vmm' });
    const steps: TrialStep[] = [];
    for (const member of members) bindToVfio(made, process, member, steps);
    openDevice(made, process, device, steps);
    process.exit();
    const part = this.#parts.get(device);
    if (bugs.length > 0 && made === this.#whole) this.#whole = undefined;
    if (part !== undefined && (bugs.length > 0 || !putBack(made, members, part))) this.#spoiled.set(part, undefined);
    unlisten();
    return { device, kind: members.length > 1 ? 'whole-group' : 'alone', steps, failed: steps.find(({ result }) => result < 0) };
  }
}

/** Every member gets its driver back. False if the part is another now: a PF whose driver has gone may have taken its VFs along. */
function putBack({ host, bus, drivers }: TrialHost, members: readonly string[], { devices }: MachinePart): boolean {
  for (const address of members) {
    const device = bus.device(address);
    if (device === undefined) return false;
    host.scheduler.spawn('unbind', bus.release(device));
    device.driverOverride = undefined;
    const driver = bus.driver(drivers.get(address) ?? '');
    if (driver !== undefined) host.scheduler.spawn('bind', bus.attach(driver, device));
  }
  if (host.scheduler.threads.length > 0) return false;
  return devices.every(({ facts: { address } }) => {
    const device = bus.device(address);
    return device !== undefined && device.driverName === drivers.get(address);
  });
}

/** The machine in the model, its drivers bound. */
function buildHost(machine: readonly MachineDevice[], options: TrialOptions): TrialHost {
  const host = new Host({ profile: options.profile ?? 'linux-6.1' });
  options.made?.(host);
  const numbers = new Map(options.groups.flatMap((group, number) => group.map((address) => [address, `${number}`] as const)));
  const iommu = makeIommu(host, options);
  // No question here depends on what BARs decode; their sizes are often unknown.
  // Who reads configuration spaces without root has 64 bytes of each: a VF whose PF shows no SR-IOV is a function like others.
  const named = new Set(machine.map(({ recorded }) => recorded.physfn));
  const physical = new Set(machine.filter(({ facts, recorded }) => named.has(facts.address) && isPhysicalFunction(recorded)).map(({ facts }) => facts.address));
  const recordedOf = ({ facts, recorded }: MachineDevice): RecordedDevice => ({
    ...recorded,
    resource: [],
    iommu_group: numbers.get(facts.address) ?? null,
    physfn: recorded.physfn !== undefined && physical.has(recorded.physfn) ? recorded.physfn : undefined,
  });
  const description = Object.fromEntries(machine.map((device) => [device.facts.address, recordedOf(device)]));
  const bus = importPciMachine(host, { devices: description }, { msi: new ApicMsi(host), iommu });
  // An OpRegion's address is in the first 256 bytes.
  for (const { recorded } of machine) placeOpRegion(host, hexBytes(recorded.config.slice(0, 2 * PCI_CFG_SPACE_SIZE), 'config'));
  host.scheduler.call('boot', bindDrivers(bus, new Vfio(host), machine));
  return { host, bus, drivers: new Map(bus.devices.map(({ name, driverName }) => [name, driverName])) };
}

function makeIommu(host: Host, { iommu, interruptRemapping = true }: TrialOptions): IommuUnitBase | undefined {
  if (iommu === 'none') return undefined;
  if (iommu === 'smmuv3') return new SmmuV3Iommu(host, { isolatesMsi: interruptRemapping });
  return new VtdIommu(host, { name: iommu === 'amd' ? 'ivhd0' : 'dmar0', interruptRemapping });
}

function* bindDrivers(bus: PciBus, vfio: Vfio, machine: readonly MachineDevice[]): Sleeps<void> {
  bus.autoprobe = false;
  yield* bus.addDriver(new VfioPciDriver(vfio));
  for (const { facts, driver: name } of machine) {
    const device = bus.device(facts.address);
    if (name === undefined || device === undefined) continue;
    if (!isFileName(name)) continue;
    if (bus.driver(name) === undefined) yield* bus.addDriver(driverOf(name));
    const driver = bus.driver(name);
    if (driver !== undefined) yield* bus.attach(driver, device);
  }
  bus.autoprobe = true;
}

/** Whether a driver can be called so: its folder in sysfs has its name. */
function isFileName(name: string): boolean {
  return name !== '' && name !== '.' && name !== '..' && !name.includes('/');
}

function driverOf(name: string): PciDriver {
  if (name === 'pcieport') return new PciePort();
  if (name === 'pci-stub') return new PciStub();
  return new NativeDriver(name, { ids: [pciId(ANY, ANY)], managesDma: leavesGroupViable(name, false), sriov: SRIOV_DRIVERS.get(name) });
}

/** driver_override, unbind, bind: as `driverctl` and its like do it. */
function bindToVfio({ host, bus }: TrialHost, process: Process, address: string, steps: TrialStep[]): void {
  const write = (call: string, path: string, text: string): void => {
    steps.push({ call, device: address, result: host.scheduler.call(call, process.sys.writeFile(path, text)) });
  };
  write('driver_override', `${bus.sysfs}/devices/${address}/driver_override`, 'vfio-pci');
  const driver = bus.device(address)?.driverName;
  if (driver === 'vfio-pci') return;
  if (driver !== undefined) write('unbind', `${bus.sysfs}/drivers/${driver}/unbind`, address);
  write('bind', `${bus.sysfs}/drivers/vfio-pci/bind`, address);
}

function openDevice({ host, bus }: TrialHost, process: Process, address: string, steps: TrialStep[]): void {
  const device: PciDevice | undefined = bus.device(address);
  const note = (call: string, result: number, flags?: number): number => {
    steps.push({ call, device: address, result, flags });
    return result;
  };
  const ioctl = (fd: number, name: string, input: IoctlInput): number => host.scheduler.call(name, process.sys.ioctl(fd, REQUESTS[name]!, input));
  const container = note('open /dev/vfio/vfio', host.scheduler.call('open', process.sys.open('/dev/vfio/vfio', 2)));
  const path = `/dev/vfio/${device?.iommuGroup?.id ?? 'none'}`;
  const opened = note(`open ${path}`, host.scheduler.call('open', process.sys.open(path, 2)));
  const group = opened < 0 ? NO_FD : opened;
  const status = (): void => {
    const bytes = struct(8);
    const result = ioctl(group, 'VFIO_GROUP_GET_STATUS', bytes);
    note('VFIO_GROUP_GET_STATUS', result, view(bytes).getUint32(4, true));
  };
  status();
  const fd = new Uint8Array(4);
  view(fd).setInt32(0, container, true);
  note('VFIO_GROUP_SET_CONTAINER', ioctl(group, 'VFIO_GROUP_SET_CONTAINER', fd));
  status();
  note('VFIO_SET_IOMMU', ioctl(container, 'VFIO_SET_IOMMU', VFIO_TYPE1v2_IOMMU));
  const deviceFd = note('VFIO_GROUP_GET_DEVICE_FD', ioctl(group, 'VFIO_GROUP_GET_DEVICE_FD', new TextEncoder().encode(`${address}\0`)));
  if (deviceFd < 0) return;
  const info = struct(24);
  note('VFIO_DEVICE_GET_INFO', ioctl(deviceFd, 'VFIO_DEVICE_GET_INFO', info), view(info).getUint32(4, true));
}

/** A struct that begins with its own size. */
function struct(size: number): Uint8Array {
  const bytes = new Uint8Array(size);
  view(bytes).setUint32(0, size, true);
  return bytes;
}

function view(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset);
}
