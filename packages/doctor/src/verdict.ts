/** Whether one device can be given to a VM: the answer that people ask for. */
import type { DeviceReport, DoctorReport, GroupReport, Verdict } from './report.ts';

/** The verdict of each function, in the order of addresses. */
export function verdictsOf(report: Omit<DoctorReport, 'verdicts'>): readonly Verdict[] {
  const out: Verdict[] = [];
  for (const group of report.groups) for (const member of group.members) out.push(inGroup(member, group, report));
  for (const { device, about, missing, command } of report.cannotTell) {
    if (about.isBridge) out.push(bridge(device));
    else {
      const facts = [...new Set(missing.map(({ address, what }) => (address === undefined || address === device ? what : `${what.replace(/^its /, '')} of ${address}`)))];
      out.push({ device, kind: 'cannot-tell', with: [], because: `the text lacks ${listed(facts)}; ${command} tells it`, otherwise: undefined });
    }
  }
  for (const { device, why } of report.ungrouped) out.push({ device, kind: 'no', with: [], because: `it is in no IOMMU group: ${why}`, otherwise: undefined });
  return out.sort((a, b) => (a.device < b.device ? -1 : 1));
}

function inGroup(member: DeviceReport, group: GroupReport, { wouldBe }: Omit<DoctorReport, 'verdicts'>): Verdict {
  const device = member.address;
  if (member.isBridge) return bridge(device);
  const others = group.members.filter((other) => other !== member && !other.isBridge).map(({ address }) => address);
  const no = (because: string): Verdict => ({ device, kind: 'no', with: others, because, otherwise: undefined });
  if (member.fellOff) return no('it does not answer: its registers read as ones');
  if (wouldBe) {
    const then = others.length === 0 ? 'it could be given alone' : `it could be given with ${others.join(' ')}`;
    return { ...no('no IOMMU is on, and VFIO takes no device (EINVAL at bind)'), otherwise: `with an IOMMU ${then}` };
  }
  if (member.driver === 'pciback') return no('it is bound to pciback: this is a Xen host, which gives devices away by itself, without VFIO');
  const whole = group.trials.find(({ kind }) => kind === (others.length === 0 ? 'alone' : 'whole-group'));
  const failed = whole ?? group.trials.find(({ device: tried }) => tried === device);
  if (failed !== undefined && failed.result !== 'ok') {
    const blocker = group.blockers.find((each) => each.includes(device) || !each.startsWith('0000:'));
    return no(`VFIO answers ${failed.result} at ${failed.step ?? 'open'}${blocker === undefined ? '' : `: ${blocker}`}`);
  }
  if (others.length === 0) return { device, kind: 'alone', with: [], because: group.reason.replace(/^alone: /, ''), otherwise: undefined };
  return { device, kind: 'with', with: others, because: group.reason, otherwise: undefined };
}

function bridge(device: string): Verdict {
  return { device, kind: 'no', with: [], because: 'it is a bridge, which VFIO does not take: it stays with its driver', otherwise: undefined };
}

function listed(facts: readonly string[]): string {
  const shown = facts.slice(0, 3);
  const rest = facts.length - shown.length;
  return `${shown.join(', ')}${rest > 0 ? ` and ${rest} more` : ''}`;
}
