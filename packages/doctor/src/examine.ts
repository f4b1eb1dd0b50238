/** The passthrough doctor: a machine's groups with reasons, and what is in the way of giving their devices to a VM. */
import { errnoName, type Host, type ProfileName } from '@vsim/vfio-core';
import { IommuGrouping, PciTopology, leavesGroupViable, type ComputedGroup, type KernelVersion } from '@vsim/vfio-pci';
import { aloneWords } from './alone.ts';
import { deviceReport } from './device-report.ts';
import { groupRules } from './facts/group-rules.ts';
import { groupsOf, type GroupKnowledge, type OpenGroup, type SureGroup } from './facts/groups.ts';
import type { DeviceKnowledge } from './facts/device-knowledge.ts';
import { valueOr } from './facts/fact.ts';
import { iommuOf } from './facts/iommu.ts';
import { knowledgeOf } from './facts/know.ts';
import { withAcsEnabled } from './facts/acs-enabled.ts';
import { differenceOf } from './difference.ts';
import { errorReports } from './errors-here.ts';
import { inputReport } from './input-report.ts';
import { kernelOf } from './kernel.ts';
import { machineOf, type MachineDevice } from './machine.ts';
import { otherKernelsOf, type OtherKernel } from './other-kernels.ts';
import type { Paste } from './read/paste.ts';
import { BEST_COMMAND, type Blocker, type CannotTellReport, type DeviceReport, type DoctorReport, type GroupReport, type TrialReport } from './report.ts';
import { verdictsOf } from './verdict.ts';
import { isWhatIf, knowledgeIf, pasteIf, type WhatIf } from './what-if.ts';
import { TrialBench, type IommuKind, type Trial } from './trial.ts';

/** The functions of a text as one machine that fits it: what the text does not tell stands as it would isolate. @param paste what readPaste() gave */
export function machineOfPaste(paste: Paste): readonly MachineDevice[] {
  const read = knowledgeOf(paste);
  const knowledge = withAcsEnabled(read, iommuOf(paste, read).maker);
  const { completions } = groupsOf(knowledge, groupRules('vt-d', paste.machine, undefined));
  return machineOf(knowledge, new PciTopology(completions[0]!.facts));
}

/** What examine() is to take the machine for, where its text does not say. */
export interface DoctorOptions {
  /** The kind of its IOMMU; `auto` is what the text shows, else VT-d; `none` is a machine without. @default 'auto' */
  readonly iommu?: IommuKind | 'auto' | undefined;
  /** Whether a device can raise its own interrupts only; without it VFIO_SET_IOMMU is EPERM. @default what the text shows, else true */
  readonly interruptRemapping?: boolean | undefined;
  /** The kernel whose rules make the groups, and whose VFIO answers. @default what the text tells, else 6.1 */
  readonly kernel?: KernelVersion | undefined;
  /** What is to be taken as if it were so. @default nothing */
  readonly whatIf?: WhatIf | undefined;
  /** Hears of each host on which VFIO is tried, before anything is in it: one, and another where a trial spoiled it. @default nobody */
  readonly made?: ((host: Host) => void) | undefined;
}

/**
 * Looks at a whole machine: which devices are one IOMMU group and why, what can be given to a VM now, what stands in the way, and what VFIO
 * would answer at which call. What the text cannot tell is said to be so, with the fact that is missing.
 *
 * @param given what readPaste() or readTree() gave
 * @throws RangeError for a what-if that cannot be, and says why
 *
 * @example
 * ```ts
 * import { examine, readPaste } from '@vsim/doctor';
 *
 * const text = '00:02.0 VGA compatible controller [0300]: Intel Corporation Device [8086:3e92]\n\tIOMMU group: 1\n';
 * console.log(examine(readPaste(text)).groups.map(({ id, devices }) => `${id} ${devices.join()}`).join()); // 1 0000:00:02.0
 * ```
 */
export function examine(given: Paste, options: DoctorOptions = {}): DoctorReport {
  const whatIf = options.whatIf ?? {};
  const paste = pasteIf(given, whatIf);
  const told = knowledgeOf(given);
  const iommu = iommuOf(given, told);
  const read = paste === given ? told : knowledgeOf(paste);
  const chosen = options.iommu ?? 'auto';
  const taken = chosen === 'auto' ? (iommu.maker ?? 'vt-d') : chosen;
  const kernel = kernelOf(options.kernel, paste.machine);
  const knowledge = knowledgeIf(withAcsEnabled(read, iommu.maker), whatIf);
  const groups = groupsOf(knowledge, groupRules(taken, paste.machine, kernel));
  const head = {
    input: inputReport(paste, read, groups),
    kernel: { version: kernel.version, source: kernel.source, profile: kernel.profile },
    whatIf: isWhatIf(whatIf) ? whatIf : undefined,
    iommu,
    taken,
    remapsInterrupts: options.interruptRemapping ?? iommu.remapsInterrupts ?? true,
  };
  if (taken === 'none') {
    const ungrouped = paste.devices.map(({ address }) => ({ device: address, why: 'there is no IOMMU' }));
    return withVerdicts({ ...head, otherKernels: [], wouldBe: false, groups: [], cannotTell: [], ungrouped }, paste);
  }
  const examination = new Examination(paste, knowledge, groups, { iommu: taken, kernel, profile: kernel.profile, interruptRemapping: head.remapsInterrupts, made: options.made });
  return withVerdicts({
    ...head,
    otherKernels: examination.otherKernels,
    wouldBe: iommu.state === 'off' && head.whatIf === undefined,
    groups: groups.sure.map((group) => examination.group(group)),
    cannotTell: groups.open.map((open) => examination.open(open)),
    ungrouped: groups.uncovered,
  }, paste);
}

/** Errors and verdicts are said of the rest. */
function withVerdicts(found: Omit<DoctorReport, 'errors' | 'verdicts'>, paste: Paste): DoctorReport {
  const report = { ...found, errors: errorReports(found, paste) };
  return { ...report, verdicts: verdictsOf(report) };
}

interface ExaminationOptions {
  readonly iommu: IommuKind;
  readonly kernel: KernelVersion;
  readonly profile: ProfileName;
  readonly interruptRemapping: boolean;
  readonly made: DoctorOptions['made'];
}

class Examination {
  readonly #paste: Paste;
  readonly #machine: ReadonlyMap<string, DeviceKnowledge>;
  readonly #computed: ReadonlyMap<string, ComputedGroup>;
  readonly #grouping: IommuGrouping;
  readonly #interruptRemapping: boolean;
  readonly #kernel: KernelVersion | undefined;
  readonly #bench: TrialBench;
  readonly #reports = new Map<string, DeviceReport>();

  constructor(paste: Paste, machine: readonly DeviceKnowledge[], knowledge: GroupKnowledge, options: ExaminationOptions) {
    this.#paste = paste;
    this.#machine = new Map(machine.map((device) => [device.address, device]));
    this.#computed = new Map(knowledge.computed.flatMap((group) => group.devices.map((device) => [device, group] as const)));
    const { facts } = knowledge.completions[0]!;
    this.#grouping = new IommuGrouping(facts, { amdIommu: options.iommu === 'amd', kernel: options.kernel });
    this.#interruptRemapping = options.interruptRemapping;
    this.#kernel = options.kernel;
    const { topology } = this.#grouping;
    this.#bench = new TrialBench(machineOf(machine, topology), { iommu: options.iommu, profile: options.profile, interruptRemapping: options.interruptRemapping, made: options.made, groups: [...knowledge.sure.map(({ devices }) => devices), ...knowledge.open.map(({ device }) => [device])] });
    for (const device of machine) this.#reports.set(device.address, deviceReport(device, machine, topology, knowledge.lost.has(device.address), options.kernel));
  }

  get otherKernels(): readonly OtherKernel[] {
    return otherKernelsOf(this.#grouping);
  }

  about(address: string): DeviceReport {
    return this.#reports.get(address)!;
  }

  open({ device, surely, perhaps, perhapsNone, lacks }: OpenGroup): CannotTellReport {
    const about = this.about(device);
    const bounded = !about.isBridge && !perhapsNone && lacks.every(({ address }) => address !== undefined);
    const trial = bounded ? reportOf(this.#bench.run(device, [device])) : undefined;
    return { device, about, surely, perhaps, perhapsNone, missing: lacks, trial, command: BEST_COMMAND };
  }

  group(group: SureGroup): GroupReport {
    const members = group.devices.map((address) => this.#machine.get(address)!);
    const endpoints = members.filter(({ isBridge }) => !valueOr(isBridge, false));
    const native = members.filter(({ driver, isBridge }) => !leavesGroupViable(valueOr(driver, undefined), valueOr(isBridge, false), this.#kernel));
    const toldDrivers = members.every(({ driver }) => driver.standing !== 'unknown');
    const trials = this.#trials(endpoints);
    return {
      id: group.number ?? null,
      standing: group.standing,
      devices: group.devices,
      reason: this.#reason(group),
      viable: native.length > 0 ? false : toldDrivers ? true : null,
      blockers: this.#blockers(endpoints, native, trials),
      difference: group.standing === 'told' ? differenceOf(group, this.#computed, this.#paste.machine) : undefined,
      trials,
      members: group.devices.map((address) => this.about(address)),
    };
  }

  #trials(endpoints: readonly DeviceKnowledge[]): readonly TrialReport[] {
    const addresses = endpoints.map(({ address }) => address);
    // Whether one can be had alone is a question to the drivers of the others.
    const alone = endpoints
      .filter((device) => endpoints.every((other) => other === device || other.driver.standing !== 'unknown'))
      .map(({ address }) => reportOf(this.#bench.run(address, [address])));
    const [first] = addresses;
    return first === undefined || addresses.length === 1 ? alone : [...alone, reportOf(this.#bench.run(first, addresses))];
  }

  #blockers(endpoints: readonly DeviceKnowledge[], native: readonly DeviceKnowledge[], trials: readonly TrialReport[]): readonly Blocker[] {
    const out: Blocker[] = [];
    if (endpoints.length === 0) out.push({ device: undefined, errno: 'EINVAL', what: 'only bridges, which VFIO does not take: EINVAL at bind' });
    for (const { address: device, answers } of endpoints) {
      if (valueOr(answers, true)) continue;
      out.push({ device, errno: undefined, what: `${device} does not answer: its registers read as ones; it fell off the bus, or sleeps in D3cold. Power the machine off and on, and keep it awake with disable_idle_d3=1 of vfio-pci` });
    }
    if (!this.#interruptRemapping && endpoints.length > 0) {
      out.push({ device: undefined, errno: 'EPERM', what: 'no interrupt remapping: EPERM at VFIO_SET_IOMMU; enable it in firmware, or load vfio_iommu_type1 with allow_unsafe_interrupts=1 and trust the guest' });
    }
    for (const { address: device, driver, isBridge } of native) {
      const bound = `${device} is bound to ${valueOr(driver, undefined)!}`;
      if (endpoints.length === 1 && !valueOr(isBridge, false)) {
        out.push({ device, errno: undefined, what: `${bound}: unbind it, and bind it to vfio-pci` });
        continue;
      }
      const todo = valueOr(isBridge, false) ? 'unbind it from that driver' : 'unbind it, and bind it to vfio-pci or leave it without driver';
      out.push({ device, errno: 'EPERM', what: `${bound}: EPERM at VFIO_GROUP_SET_CONTAINER for the other members; ${todo}` });
    }
    for (const { address: device, sriov } of endpoints) {
      // A driver may take its VFs along when it is unbound: then they are not in the way.
      if ((valueOr(sriov, undefined)?.count ?? 0) === 0 || !trials.some(({ result }) => result === 'EBUSY')) continue;
      out.push({ device, errno: 'EBUSY', what: `${device} has VFs: EBUSY at bind while they exist; write 0 to its sriov_numvfs first` });
    }
    return out;
  }

  #reason(group: SureGroup): string {
    const [head] = group.devices;
    const computed = this.#computed.get(head!);
    if (computed?.devices.filter((device) => this.#machine.has(device)).join() !== group.devices.join()) {
      return 'the running kernel says so; what the text has of registers does not show why';
    }
    if (computed.joins.length > 0) return computed.joins.map(({ device, why }) => (why.includes(device) ? why : `${device} is ${why}`)).join('; ');
    return aloneWords(head!, this.#grouping);
  }
}

function reportOf({ device, kind, failed }: Trial): TrialReport {
  return { device, kind, result: failed === undefined ? 'ok' : errnoName(failed.result), step: failed?.call };
}
