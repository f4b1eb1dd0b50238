/** Every group with its reason, its blockers and what VFIO answers. */
import type { CannotTellReport, DeviceReport, DoctorReport, GroupReport, TrialReport } from '../report.ts';
import { errorLines } from './error-lines.ts';
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
    for (const open of report.cannotTell) {
      out.push(...deviceLines(open.about));
      out.push(`\t\tGroup: ${perhapsWords(open)}`);
      out.push(`\t\tMissing: ${missingWords(open)}`);
    }
    out.push('');
  }
  if (report.ungrouped.length > 0) {
    out.push('In no group:', ...report.ungrouped.map(({ device, why }) => `\t${device}: ${why}`), '');
  }
  for (const { versions, what } of report.otherKernels) out.push(`Another kernel (Linux ${versions}): ${what}`, '');
  if (report.errors.length > 0) out.push('Errors in the text', ...report.errors.flatMap(errorLines), '');
  out.push(`${report.groups.length} groups${report.wouldBe ? ' that there would be' : ''}, ${report.cannotTell.length} functions whose group cannot be told, ${report.ungrouped.length} in none`);
  return out;
}

/** What a group is called: by the kernel's number, else by its first function. */
export function groupTitle({ id, devices }: GroupReport): string {
  return id === null ? `Group of ${devices[0]!}` : `IOMMU group ${id}`;
}

/** How many are in a group, how it is known, and whether VFIO would take it. */
export function groupNote({ standing, members, viable }: GroupReport): string {
  const count = members.length === 1 ? '1 device' : `${members.length} devices`;
  return `${count}, ${STANDINGS[standing]}${viable === null ? '' : `, viable${viable ? '+' : '-'}`}`;
}

/** What VFIO answers when a function is given to it. */
export function trialWords({ device, kind, result, step }: TrialReport): string {
  return `${kind === 'alone' ? `${device} alone` : 'all of them'}: ${result}${step === undefined ? '' : ` at ${step}`}`;
}

/** With which functions one may be whose group cannot be told. */
export function perhapsWords({ device, perhaps }: CannotTellReport): string {
  return perhaps.length > 1 ? `perhaps with ${perhaps.filter((address) => address !== device).join(' ')}` : 'perhaps with functions that the text does not show';
}

/** The facts that are missing to tell the group of a function. */
export function missingWords({ missing }: CannotTellReport): string {
  return missing.map(({ address, what }) => (address === undefined ? what : `${address}: ${what}`)).join('; ');
}

function groupLines(group: GroupReport): readonly string[] {
  const { members, reason, blockers, difference, trials } = group;
  const out = [`${groupTitle(group)}: ${groupNote(group)}`];
  for (const member of members) out.push(...deviceLines(member));
  out.push(`\tReason: ${reason}`);
  if (difference !== undefined) out.push(`\tDifference: ${difference}`);
  for (const { what } of blockers) out.push(`\tBlocker: ${what}`);
  for (const trial of trials) out.push(`\tVFIO: ${trialWords(trial)}`);
  return out;
}

function deviceLines({ address, id, description, driver, resetMethods, fellOff }: DeviceReport): readonly string[] {
  const out = [`\t${address} ${id === undefined || description.includes(`[${id}]`) ? description : `${description} [${id}]`}`];
  if (fellOff) out.push('\t\tDoes not answer: its registers read as ones');
  if (driver !== undefined && driver !== null) out.push(`\t\tKernel driver in use: ${driver}`);
  if (resetMethods !== undefined) out.push(`\t\tReset: ${resetMethods.length === 0 ? 'none' : resetMethods.join(' ')}`);
  return out;
}
