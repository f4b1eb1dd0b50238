/** Whether one device can be given to a VM: the answer that people ask for. */
import type { LackedFact } from './facts/groups.ts';
import type { DeviceReport, DoctorReport, GroupReport, Verdict } from './report.ts';

/** Errors after which a device cannot be given as things are, with what stands in the way. */
const REFUSALS: ReadonlyMap<string, string> = new Map([
  ['one-to-one-mapping', 'its firmware demands a 1:1 mapping of memory for it, and the kernel attaches it to nobody'],
  ['rmrr-locked', 'its firmware demands a 1:1 mapping of memory for it (RMRR), and the kernel attaches it to nobody'],
  ['bar-reserved', 'somebody else on the host has addresses of its BARs'],
  ['stuck-in-d3', 'it does not come back from D3'],
  ['device-inaccessible', 'it does not answer'],
  ['registers-read-as-ones', 'it does not answer: its registers read as ones'],
  ['not-ready-after-reset', 'it did not come back from a reset'],
]);

type Found = Omit<DoctorReport, 'verdicts'>;

/** The verdict of each function, in the order of addresses. */
export function verdictsOf(report: Found): readonly Verdict[] {
  const out: Verdict[] = [];
  for (const group of report.groups) for (const member of group.members) out.push(byItself(member, report) ?? inGroup(member, group, report));
  for (const { about, missing, command } of report.cannotTell) out.push(byItself(about, report) ?? untold(about.address, missing, command));
  for (const { device, why } of report.ungrouped) out.push(no(device, `it is in no IOMMU group: ${why}`));
  return out.sort((a, b) => (a.device < b.device ? -1 : 1));
}

/** What is in the way whatever its group is. */
function byItself({ address, isBridge, purpose, fellOff, driver }: DeviceReport, { errors }: Found): Verdict | undefined {
  if (isBridge) return no(address, 'it is a bridge, which VFIO does not take: it stays with its driver');
  if (purpose === 'host') return no(address, 'it is a part of the host itself, which nothing is to be had of; it stays without a driver');
  if (driver === 'pciback') return no(address, 'it is bound to pciback: this is a Xen host, which gives devices away by itself, without VFIO (where it insists on a reset that there is not, permissive and no-strict-reset are its words)');
  const refused = errors.find(({ id, devices }) => devices.includes(address) && REFUSALS.has(id));
  if (refused !== undefined) return no(address, `${REFUSALS.get(refused.id)!} (line ${refused.line})`, refused.remedies[0]?.replace(/\.$/, ''));
  return fellOff ? no(address, 'it does not answer: its registers read as ones', 'power the machine off and on; disable_idle_d3=1 of vfio-pci keeps it awake') : undefined;
}

function inGroup({ address, driver }: DeviceReport, group: GroupReport, { wouldBe }: Found): Verdict {
  const vmd = group.members.find(({ driver: other, description }) => other === 'vmd' || description.includes('Volume Management Device'))?.address;
  if (vmd !== undefined && vmd !== address && address.slice(0, -8) !== vmd.slice(0, -8)) {
    return no(address, `it is below the VMD ${vmd}, whose driver makes it: VFIO answers EPERM while that is bound, and without it the device is gone`, `give ${vmd} to the VM, or switch VMD off in the firmware`);
  }
  const others = group.members.filter((other) => other.address !== address && !other.isBridge && other.purpose !== 'host' && (vmd === undefined || other.address.slice(0, -8) === vmd.slice(0, -8))).map((other) => other.address);
  if (wouldBe) {
    const then = others.length === 0 ? 'it could be given alone' : `it could be given with ${others.join(' ')}`;
    return { ...no(address, 'no IOMMU is on, and VFIO takes no device (EINVAL at bind)', `with an IOMMU ${then}`), with: others };
  }
  const failed = group.trials.find(({ kind }) => kind === 'whole-group') ?? group.trials.find(({ device }) => device === address);
  if (failed !== undefined && failed.result !== 'ok') {
    const blocker = group.blockers.find((each) => each.includes(address) || !each.startsWith('0000:'));
    return { ...no(address, `VFIO answers ${failed.result} at ${failed.step ?? 'open'}${blocker === undefined ? '' : `: ${blocker}`}`), with: others };
  }
  const because = driver === 'vmd' ? `${group.reason}; what is below it is gone when its driver is` : group.reason;
  if (others.length === 0) return { device: address, kind: 'alone', with: [], because: because.replace(/^alone: /, ''), otherwise: undefined };
  return { device: address, kind: 'with', with: others, because, otherwise: undefined };
}

function untold(device: string, missing: readonly LackedFact[], command: string): Verdict {
  const facts = [...new Set(missing.map(({ address, what }) => (address === undefined || address === device ? what : `${what.replace(/^its /, '')} of ${address}`)))];
  return { device, kind: 'cannot-tell', with: [], because: `the text lacks ${listed(facts)}; ${command} tells it`, otherwise: undefined };
}

function no(device: string, because: string, otherwise?: string): Verdict {
  return { device, kind: 'no', with: [], because, otherwise };
}

function listed(facts: readonly string[]): string {
  const shown = facts.slice(0, 3);
  const rest = facts.length - shown.length;
  return `${shown.join(', ')}${rest > 0 ? ` and ${rest} more` : ''}`;
}
