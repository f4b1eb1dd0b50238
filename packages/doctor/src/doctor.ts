/**
 * The passthrough doctor: which devices of a machine are one IOMMU group and why, what can be given to a VM now, what stands in the
 * way, and what VFIO would answer at which call.
 */
import { errnoName } from '@vsim/vfio-core';
import { IommuGrouping, computeIommuGroups, idText, type ComputedGroup, type PciFacts } from '@vsim/vfio-pci';
import type { MachineDevice } from './machine.ts';
import { TrialBench, type IommuKind, type Trial } from './trial.ts';

export interface DoctorOptions {
  readonly iommu: IommuKind | 'auto';
  readonly interruptRemapping: boolean;
}

/** What VFIO answers when a device is given to it. */
export interface TrialReport {
  readonly device: string;
  readonly kind: 'alone' | 'whole-group';
  /** `ok`, or the errno's name. */
  readonly result: string;
  /** The first call that failed. */
  readonly step: string | undefined;
}

export interface DeviceReport {
  readonly address: string;
  /** `vendor:device` in hex, as lspci has it. */
  readonly id: string;
  readonly description: string;
  readonly driver: string | undefined;
  readonly resetMethods: readonly string[];
}

export interface GroupReport {
  readonly id: number;
  readonly devices: readonly string[];
  readonly reason: string;
  /** No member has a driver that does DMA for the host. */
  readonly viable: boolean;
  /** What is in the way of giving the group's devices to a VM, and what to do. */
  readonly blockers: readonly string[];
  /** What user space can be given: bridges it cannot. */
  readonly trials: readonly TrialReport[];
  readonly members: readonly DeviceReport[];
}

export interface DoctorReport {
  readonly iommu: IommuKind;
  readonly groups: readonly GroupReport[];
  readonly ungrouped: readonly string[];
}

/** Drivers beside which VFIO can have the group: they do no DMA of their own. */
const HARMLESS: ReadonlySet<string> = new Set(['vfio-pci', 'pci-stub', 'pcieport']);
const AMD = 0x1022;
const CLASS_IOMMU = 0x0806;

/** Looks at a whole machine. */
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

/** By the IOMMU's own function, if it has one. */
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

  constructor(machine: readonly MachineDevice[], facts: readonly PciFacts[], groups: readonly ComputedGroup[], options: { readonly iommu: IommuKind; readonly interruptRemapping: boolean }) {
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
