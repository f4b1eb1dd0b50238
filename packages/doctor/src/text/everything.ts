/** Every group with its reason, its blockers and what VFIO answers. */
import type { DeviceReport, DoctorReport, GroupReport } from '../report.ts';
import { headLines } from './head.ts';

const STANDINGS: Readonly<Record<GroupReport['standing'], string>> = {
  told: "the running kernel's",
  known: 'computed',
  derived: 'computed, with rules for what is not shown',
};

/** The report as lspci would print it: headings, and indented lines. */
export function everythingLines(report: DoctorReport): readonly string[] {
  const out = [...headLines(report), ''];
  for (const group of report.groups) out.push(...groupLines(group), '');
  if (report.cannotTell.length > 0) {
    out.push('Cannot tell:');
    for (const { about, perhaps, missing } of report.cannotTell) {
      out.push(...deviceLines(about));
      out.push(`\t\tGroup: ${perhaps.length > 1 ? `perhaps with ${perhaps.filter((address) => address !== about.address).join(' ')}` : 'perhaps with functions that the text does not show'}`);
      out.push(`\t\tMissing: ${missing.map(({ address, what }) => (address === undefined ? what : `${address}: ${what}`)).join('; ')}`);
    }
    out.push('');
  }
  if (report.ungrouped.length > 0) {
    out.push('In no group:', ...report.ungrouped.map(({ device, why }) => `\t${device}: ${why}`), '');
  }
  out.push(`${report.groups.length} groups, ${report.cannotTell.length} functions whose group cannot be told, ${report.ungrouped.length} in none`);
  return out;
}

function groupLines({ id, standing, members, reason, viable, blockers, difference, trials }: GroupReport): readonly string[] {
  const count = members.length === 1 ? '1 device' : `${members.length} devices`;
  const head = id === null ? `Group of ${members[0]!.address}` : `IOMMU group ${id}`;
  const out = [`${head}: ${count}, ${STANDINGS[standing]}${viable === null ? '' : `, viable${viable ? '+' : '-'}`}`];
  for (const member of members) out.push(...deviceLines(member));
  out.push(`\tReason: ${reason}`);
  if (difference !== undefined) out.push(`\tDifference: ${difference}`);
  for (const blocker of blockers) out.push(`\tBlocker: ${blocker}`);
  for (const { device, kind, result, step } of trials) {
    out.push(`\tVFIO: ${kind === 'alone' ? `${device} alone` : 'all of them'}: ${result}${step === undefined ? '' : ` at ${step}`}`);
  }
  return out;
}

function deviceLines({ address, id, description, driver, resetMethods, fellOff }: DeviceReport): readonly string[] {
  const out = [`\t${address} ${id === undefined || description.includes(`[${id}]`) ? description : `${description} [${id}]`}`];
  if (fellOff) out.push('\t\tDoes not answer: its registers read as ones');
  if (driver !== undefined && driver !== null) out.push(`\t\tKernel driver in use: ${driver}`);
  if (resetMethods !== undefined) out.push(`\t\tReset: ${resetMethods.length === 0 ? 'none' : resetMethods.join(' ')}`);
  return out;
}
