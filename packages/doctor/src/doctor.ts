/** The passthrough doctor: a machine's groups with reasons, and what is in the way of giving their devices to a VM. */
import { errnoName, type Host } from '@vsim/vfio-core';
import { IommuGrouping, computeIommuGroups, idText, type ComputedGroup, type PciFacts } from '@vsim/vfio-pci';
import type { MachineDevice } from './machine.ts';
import { TrialBench, type IommuKind, type Trial } from './trial.ts';

/** What examine() is to take the machine for, where its text does not say. */
export interface DoctorOptions {
  /** The kind of its IOMMU; `auto` is as guessIommu() guesses, `none` a machine without. */
  readonly iommu: IommuKind | 'auto';
  /** Whether a device can raise its own interrupts only; without it VFIO_SET_IOMMU is EPERM. */
  readonly interruptRemapping: boolean;
  /** Hears of each host on which VFIO is tried, before anything is in it: one, and another where a trial spoiled it. @default nobody */
  readonly made?: ((host: Host) => void) | undefined;
}

/** What VFIO answers when a device is given to it (vfio-pci, type 1 v2, the calls that a VMM makes). */
export interface TrialReport {
  /** The PCI address of the device, which is opened. */
  readonly device: string;
  /** Whether it alone was bound to vfio-pci, or every endpoint of its group. */
  readonly kind: 'alone' | 'whole-group';
  /** `ok`, or the errno's name, as `EPERM`. */
  readonly result: string;
  /** The first call that failed, as `VFIO_GROUP_SET_CONTAINER`; undefined for `ok`. */
  readonly step: string | undefined;
}

/** One function of a group. */
export interface DeviceReport {
  /** `domain:bus:device.function`, as `0000:01:00.0`. */
  readonly address: string;
  /** `vendor:device` in hex, as lspci has it. */
  readonly id: string;
  /** What lspci calls it; of a host.json class and ids alone. */
  readonly description: string;
  /** The driver that it is bound to; undefined for none. */
  readonly driver: string | undefined;
  /** How the kernel could reset it, as sysfs `reset_method` lists them: `flr`, `pm`, `bus` and so on; empty for not at all. */
  readonly resetMethods: readonly string[];
}

/** One IOMMU group: what is in it, why, and what can be done with it. */
export interface GroupReport {
  /** The running kernel's number of the group if the text has it, else a number from 0 on. */
  readonly id: number;
  /** Addresses of all its functions, bridges too. */
  readonly devices: readonly string[];
  /** Why these functions cannot be told apart, or what isolates the only one. */
  readonly reason: string;
  /** No member has a driver that does DMA for the host: VFIO_GROUP_SET_CONTAINER goes through. */
  readonly viable: boolean;
  /** What is in the way of giving the group's devices to a VM, and what to do. */
  readonly blockers: readonly string[];
  /** What VFIO answers for each endpoint alone, and for all endpoints together where there are several. Bridges cannot be given. */
  readonly trials: readonly TrialReport[];
  /** The same functions as `devices`, with what is known of each. */
  readonly members: readonly DeviceReport[];
}

/** What examine() finds. */
export interface DoctorReport {
  /** The kind of IOMMU that was taken. */
  readonly iommu: IommuKind;
  /** Groups in the order in which the kernel would make them. */
  readonly groups: readonly GroupReport[];
  /** Addresses of functions in no group: those of the IOMMU itself; without IOMMU all. */
  readonly ungrouped: readonly string[];
}

/** Drivers beside which VFIO can have the group: they do no DMA of their own. */
const HARMLESS: ReadonlySet<string> = new Set(['vfio-pci', 'pci-stub', 'pcieport']);
const AMD = 0x1022;
const CLASS_IOMMU = 0x0806;

/**
 * Looks at a whole machine: which devices are one IOMMU group and why, what can be given to a VM now, what stands in the way, and what VFIO
 * would answer at which call.
 *
 * @param machine what machineOfText() or machineOf() gave
 * @throws TypeError or RangeError for devices that cannot be one machine
 *
 * @example
 * ```ts
 * import { examine, machineOfText } from '@vsim/doctor';
 *
 * const machine = machineOfText('00:02.0 VGA compatible controller [0300]: Intel Corporation Device [8086:3e92]\n');
 * console.log(examine(machine, { iommu: 'vt-d', interruptRemapping: true }).groups.map(({ viable }) => viable).join()); // true
 * ```
 */
export function examine(machine: readonly MachineDevice[], options: DoctorOptions): DoctorReport {
  const iommu = options.iommu === 'auto' ? guessIommu(machine) : options.iommu;
  const addresses = machine.map(({ facts }) => facts.address);
  if (iommu === 'none') return { iommu, groups: [], ungrouped: addresses };
  const own = machine.filter(({ facts }) => isAmdIommu(facts)).map(({ facts }) => facts.address);
  const facts = machine.map((device) => device.facts);
  const computed = withoutDevices(computeIommuGroups(facts, { amdIommu: iommu === 'amd' }), own);
  const examination = new Examination(machine, facts, computed, { ...options, iommu });
  return { iommu, groups: computed.map((_, id) => examination.group(id)), ungrouped: own };
}

/** The kind of a machine's IOMMU, by its own PCI function: `amd` if one of AMD's is there, else `vt-d`. */
export function guessIommu(machine: readonly MachineDevice[]): IommuKind {
  return machine.some(({ facts }) => isAmdIommu(facts)) ? 'amd' : 'vt-d';
}

class Examination {
  readonly #machine: ReadonlyMap<string, MachineDevice>;
  /** Addresses of the machine's own groups. */
  readonly #told = new Map<number, string[]>();
  readonly #grouping: IommuGrouping;
  readonly #groups: readonly ComputedGroup[];
  readonly #interruptRemapping: boolean;
  readonly #bench: TrialBench;
  readonly #resets: ReadonlyMap<string, readonly string[]>;

  constructor(machine: readonly MachineDevice[], facts: readonly PciFacts[], groups: readonly ComputedGroup[], options: DoctorOptions & { readonly iommu: IommuKind }) {
    this.#machine = new Map(machine.map((device) => [device.facts.address, device]));
    for (const { iommuGroup, facts: { address } } of machine) {
      if (iommuGroup === undefined) continue;
      const there = this.#told.get(iommuGroup);
      if (there === undefined) this.#told.set(iommuGroup, [address]);
      else there.push(address);
    }
    this.#groups = groups;
    this.#grouping = new IommuGrouping(facts, { amdIommu: options.iommu === 'amd' });
    this.#interruptRemapping = options.interruptRemapping;
    this.#bench = new TrialBench(machine, { ...options, groups: groups.map(({ devices }) => devices) });
    this.#resets = new Map(this.#bench.made.bus.devices.map(({ name, resetMethods }) => [name, resetMethods]));
  }

  group(id: number): GroupReport {
    const group = this.#groups[id]!;
    const members = group.devices.map((address) => this.#machine.get(address)!);
    const endpoints = members.filter(({ facts }) => !facts.isBridge);
    const native = members.filter(({ driver }) => driver !== undefined && !HARMLESS.has(driver));
    const trials = this.#trials(endpoints.map(({ facts }) => facts.address));
    return {
      id: members.find(({ iommuGroup }) => iommuGroup !== undefined)?.iommuGroup ?? id,
      devices: group.devices,
      reason: this.#reason(group),
      viable: native.length === 0,
      blockers: [...this.#blockers(endpoints, native), ...historical(members, this.#told, group)],
      trials,
      members: members.map(({ facts, description, driver }) => ({
        address: facts.address,
        id: idText(facts.vendor, facts.device),
        description,
        driver,
        resetMethods: this.#resets.get(facts.address) ?? [],
      })),
    };
  }

  #trials(endpoints: readonly string[]): readonly TrialReport[] {
    const alone = endpoints.map((address) => reportOf(this.#bench.run(address, [address])));
    const first = endpoints[0];
    return first === undefined || endpoints.length === 1 ? alone : [...alone, reportOf(this.#bench.run(first, endpoints))];
  }

  #blockers(endpoints: readonly MachineDevice[], native: readonly MachineDevice[]): readonly string[] {
    const out: string[] = [];
    if (endpoints.length === 0) out.push('only bridges, which VFIO does not take: EINVAL at bind');
    if (!this.#interruptRemapping && endpoints.length > 0) {
      out.push('no interrupt remapping: EPERM at VFIO_SET_IOMMU; enable it in firmware, or load vfio_iommu_type1 with allow_unsafe_interrupts=1 and trust the guest');
    }
    for (const { facts, driver } of native) {
      if (endpoints.length === 1 && !facts.isBridge) {
        out.push(`${facts.address} is bound to ${driver!}: unbind it, and bind it to vfio-pci`);
        continue;
      }
      const what = facts.isBridge ? 'unbind it from that driver' : 'unbind it, and bind it to vfio-pci or leave it without driver';
      out.push(`${facts.address} is bound to ${driver!}: EPERM at VFIO_GROUP_SET_CONTAINER for the other members; ${what}`);
    }
    for (const { facts } of endpoints) {
      if (facts.sriov !== undefined && facts.sriov.count > 0) out.push(`${facts.address} has VFs: EBUSY at bind while they exist; write 0 to its sriov_numvfs first`);
    }
    return out;
  }

  #reason(group: ComputedGroup): string {
    if (group.joins.length > 0) return group.joins.map(({ device, why }) => (why.includes(device) ? why : `${device} is ${why}`)).join('; ');
    const node = this.#grouping.topology.node(group.devices[0]!);
    if (node === undefined) return 'alone';
    const [bridge] = this.#grouping.topology.bridgesAbove(node);
    if (bridge === undefined) return 'alone: on a root bus, and no function beside it that it could reach';
    return this.#grouping.acs.pathEnabled(bridge)
      ? `alone: ${bridge.facts.address} and all above it isolate (ACS)`
      : `alone: nobody else below ${bridge.facts.address} can be reached from it`;
  }
}

/** Groups are history: the running kernel may have made them of registers that were other then. */
function historical(members: readonly MachineDevice[], groups: ReadonlyMap<number, readonly string[]>, group: ComputedGroup): readonly string[] {
  const told = new Set(members.map(({ iommuGroup }) => iommuGroup).filter((number) => number !== undefined));
  if (told.size === 0) return [];
  const there = [...told].flatMap((number) => groups.get(number) ?? []);
  const here = new Set(group.devices);
  if (told.size === 1 && there.every((address) => here.has(address))) return [];
  return [`the running kernel groups otherwise (group ${[...told].join(', ')} there: ${there.join(' ')}): what it made at boot holds until the next`];
}

function reportOf({ device, kind, failed }: Trial): TrialReport {
  return { device, kind, result: failed === undefined ? 'ok' : errnoName(failed.result), step: failed?.call };
}

function isAmdIommu(facts: PciFacts): boolean {
  return facts.vendor === AMD && facts.class >>> 8 === CLASS_IOMMU;
}

function withoutDevices(groups: readonly ComputedGroup[], out: readonly string[]): readonly ComputedGroup[] {
  if (out.length === 0) return groups;
  return groups
    .map(({ devices, joins }) => ({ devices: devices.filter((device) => !out.includes(device)), joins: joins.filter((join) => !out.includes(join.device)) }))
    .filter(({ devices }) => devices.length > 0);
}
