/** Whether one device can be given to a VM: the answer that people ask for. */
import type { LackedFact } from './facts/groups.ts';
import { refusalOf } from './refusal.ts';
import type { CannotTellReport, DeviceReport, DoctorReport, GroupReport, TrialReport, Verdict } from './report.ts';

type Found = Omit<DoctorReport, 'verdicts'>;

/** The verdict of each function, in the order of addresses. */
export function verdictsOf(report: Found): readonly Verdict[] {
  const out: Verdict[] = [];
  const open = new Map(report.cannotTell.map(({ about }) => [about.address, about]));
  for (const group of report.groups) for (const member of group.members) out.push(byItself(member, report) ?? inGroup(member, group, report));
  for (const each of report.cannotTell) out.push(byItself(each.about, report) ?? inOpenGroup(each, open, report));
  for (const { device, why } of report.ungrouped) out.push(no(device, `it is in no IOMMU group: ${why}`));
  return out.sort((a, b) => (a.device < b.device ? -1 : 1));
}

/** What is in the way whatever its group is. */
function byItself(device: DeviceReport, { errors }: Found): Verdict | undefined {
  const { address, isBridge, purpose, fellOff, driver } = device;
  if (isBridge) return no(address, 'it is a bridge, which VFIO does not take: it stays with its driver');
  if (purpose === 'host') return no(address, 'it is a part of the host itself, which nothing is to be had of; it stays without a driver');
  if (driver === 'pciback') return no(address, 'it is bound to pciback: this is a Xen host, which gives devices away by itself, without VFIO', xenWords(device));
  const refusal = refusalOf(address, errors);
  if (refusal !== undefined) return refusal.forNow ? notNow(address, refusal.because, refusal.otherwise) : no(address, refusal.because, refusal.otherwise);
  return fellOff ? notNow(address, 'it does not answer: its registers read as ones', 'power the machine off and on; disable_idle_d3=1 of vfio-pci keeps it awake') : undefined;
}

/** What Xen does with a device. */
function xenWords({ workingResets }: DeviceReport): string {
  const reset = workingResets?.length === 0 ? 'with no-strict-reset, as it shows no reset, on which these insist' : 'with no-strict-reset where these miss a reset';
  return `attach it by Xen's tools, ${reset}; permissive lets the guest have all of its registers`;
}

function inGroup({ address, driver, vmd }: DeviceReport, group: GroupReport, { wouldBe }: Found): Verdict {
  if (vmd !== undefined) {
    return no(address, `it is below the VMD ${vmd}, whose driver makes it: VFIO answers EPERM while that is bound, and without it the device is gone`, `give ${vmd} to the VM, or switch VMD off in the firmware`);
  }
  const others = group.members.filter((other) => other.address !== address && comesAlong(other) && other.vmd === undefined).map((other) => other.address);
  if (wouldBe) return withoutIommu(address, others);
  const tried = group.trials.find(({ kind }) => kind === 'whole-group') ?? group.trials.find(({ device }) => device === address);
  if (tried !== undefined && tried.result !== 'ok') {
    const blocker = group.blockers.find(({ device, errno }) => (device ?? address) === address && errno === tried.result)?.what;
    return { ...failedTrial(address, tried, blocker), with: others };
  }
  const because = driver === 'vmd' ? `${group.reason}; what is below it is gone when its driver is` : group.reason;
  return yes(address, others, because.replace(/^alone: /, ''));
}

/** Its group is open: it can be given all the same where the text tells who may be in it at most, and all of these can come along. */
function inOpenGroup({ device, perhaps, missing, trial, command }: CannotTellReport, open: ReadonlyMap<string, DeviceReport>, { wouldBe }: Found): Verdict {
  const unknown = untold(device, missing, command);
  const others = perhaps.flatMap((address) => (address === device ? [] : [open.get(address)]));
  const along = others.flatMap((other) => (other !== undefined && comesAlong(other) ? [other.address] : []));
  if (wouldBe) return withoutIommu(device, along);
  if (trial === undefined) return unknown;
  if (trial.result !== 'ok') return failedTrial(device, trial, undefined);
  // The group of one of them is told, it is a VMD, or has VFs that have to go first.
  if (others.some((other) => other === undefined || other.fellOff || other.purpose === 'vf' || other.driver === 'vmd' || other.vmd !== undefined)) return unknown;
  return { ...yes(device, along, along.length === 0 ? 'at most bridges share its IOMMU group' : unknown.because), atMost: true };
}

function comesAlong({ isBridge, purpose }: DeviceReport): boolean {
  return !isBridge && purpose !== 'host';
}

function yes(device: string, others: readonly string[], because: string): Verdict {
  return { device, kind: others.length === 0 ? 'alone' : 'with', with: others, atMost: false, forNow: false, because, otherwise: undefined, failed: undefined };
}

function no(device: string, because: string, otherwise?: string): Verdict {
  return { device, kind: 'no', with: [], atMost: false, forNow: false, because, otherwise, failed: undefined };
}

function notNow(device: string, because: string, otherwise?: string): Verdict {
  return { ...no(device, because, otherwise), forNow: true };
}

function withoutIommu(device: string, others: readonly string[]): Verdict {
  const then = others.length === 0 ? 'it could be given alone' : `it could be given with ${others.join(' ')}`;
  return { ...notNow(device, 'no IOMMU is on, and VFIO takes no device (EINVAL at bind)', `with an IOMMU ${then}`), with: others };
}

/** Interrupts that are not remapped and VFs that exist can be done away with; what VFIO takes of nobody cannot. */
function failedTrial(device: string, failed: TrialReport, blocker: string | undefined): Verdict {
  const { result, step = 'open' } = failed;
  const verdict = no(device, `VFIO answers ${result} at ${step}${blocker === undefined ? '' : `: ${blocker}`}`);
  return { ...verdict, failed, forNow: step === 'VFIO_SET_IOMMU' || result === 'EBUSY' };
}

function untold(device: string, missing: readonly LackedFact[], command: string): Verdict {
  const facts = [...new Set(missing.map(({ address, what }) => (address === undefined || address === device ? what : `${what.replace(/^its /, '')} of ${address}`)))];
  return { ...no(device, `the text lacks ${listed(facts)}; ${command} tells it`), kind: 'cannot-tell' };
}

function listed(facts: readonly string[]): string {
  const shown = facts.slice(0, 3);
  const rest = facts.length - shown.length;
  return `${shown.join(', ')}${rest > 0 ? ` and ${rest} more` : ''}`;
}
