/** A report for people. */
import type { DoctorReport, GroupReport } from './doctor.ts';

/** The report as lspci would print it: a heading, and indented lines. */
export function reportLines({ iommu, groups, ungrouped }: DoctorReport): readonly string[] {
  const out: string[] = [];
  for (const group of groups) out.push(...groupLines(group), '');
  if (ungrouped.length > 0) {
    out.push(iommu === 'none' ? 'No IOMMU: no groups, and VFIO takes no device (EINVAL at bind)' : 'In no group:');
    for (const address of ungrouped) out.push(`\t${address}`);
    out.push('');
  }
  const free = groups.filter(({ viable, members, trials }) => viable && members.length > 0 && trials.some(({ result }) => result === 'ok'));
  out.push(`IOMMU ${iommu}: ${groups.length} groups, ${free.length} of them can be given to a VM as they are, ${ungrouped.length} devices in none`);
  return out;
}

function groupLines({ id, members, reason, viable, blockers, trials }: GroupReport): readonly string[] {
  const out = [`IOMMU group ${id}: ${members.length === 1 ? '1 device' : `${members.length} devices`}, viable${viable ? '+' : '-'}`];
  for (const { address, id, description, driver, resetMethods } of members) {
    out.push(`\t${address} ${description.includes(`[${id}]`) ? description : `${description} [${id}]`}`);
    if (driver !== undefined) out.push(`\t\tKernel driver in use: ${driver}`);
    out.push(`\t\tReset: ${resetMethods.length === 0 ? 'none' : resetMethods.join(' ')}`);
  }
  out.push(`\tReason: ${reason}`);
  for (const blocker of blockers) out.push(`\tBlocker: ${blocker}`);
  for (const { device, kind, result, step } of trials) {
    out.push(`\tVFIO: ${kind === 'alone' ? `${device} alone` : 'all of them'}: ${result}${step === undefined ? '' : ` at ${step}`}`);
  }
  return out;
}
