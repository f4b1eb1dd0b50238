/** The first lines of every report: what was read, and whether there is an IOMMU. */
import type { DoctorReport } from '../report.ts';
import type { WhatIf } from '../what-if.ts';

const MAKERS: Readonly<Record<string, string>> = { 'vt-d': "Intel's (VT-d)", amd: "AMD's (AMD-Vi)", smmuv3: "Arm's (SMMUv3)" };
/** More lines than this are told by their numbers alone. */
const SHOWN_UNREAD = 3;

/** Quality of the text, IOMMU, and what was not understood. */
export function headLines(report: DoctorReport): readonly string[] {
  const { input } = report;
  const out = [`${upper(input.sentence)}.`];
  if (input.command !== undefined && input.devices > 0) out.push(`More would tell: ${input.command}`);
  return [...out, ...unreadLines(input.unread), ...iommuLines(report)];
}

/** Which kernel is spoken of, whether there is an IOMMU, and whose; where it is off, what to switch on, indented. Empty: the text has no function. */
export function iommuLines({ input, iommu, kernel, taken, whatIf, wouldBe }: DoctorReport): readonly string[] {
  const out: string[] = [];
  if (input.devices === 0) return out;
  if (whatIf !== undefined) out.push(`What if: ${whatIfWords(whatIf)}. Groups that the running kernel told are not looked at.`);
  out.push(`Kernel: by the rules of Linux ${kernel.version}${kernel.source === 'default' ? ', as the text names none' : ''}; VFIO as ${kernel.profile} has it.`);
  const whose = iommu.maker === undefined ? '' : `, ${MAKERS[iommu.maker]}`;
  const [sign] = iommu.signs;
  const because = sign === undefined ? '' : `: ${sign.what}`;
  if (taken === 'none') out.push('No IOMMU: no groups, and VFIO takes no device (EINVAL at bind).');
  else if (wouldBe) {
    out.push(`IOMMU: off or not there${whose}${because}.`, 'No device can be given away like this. What follows is how it would be with the IOMMU on.');
    for (const advice of iommu.advice) out.push(`  To do: ${advice}`);
  } else if (iommu.state === 'on') out.push(`IOMMU: on${whose}${because}.`);
  else out.push(`IOMMU: the text does not tell whether one is on${whose}; what follows holds if it is.`);
  return out;
}

function whatIfWords({ iommuOn, acsOverride = [], moves = [], vfs = [] }: WhatIf): string {
  return [
    ...(iommuOn === true ? ['the IOMMU is on'] : []),
    ...(acsOverride.length > 0 ? [`pcie_acs_override=${acsOverride.join(',')}, which claims isolation that the hardware does not have: devices of one such "group" can read and write each other, and guests that are to be kept apart are not`] : []),
    ...moves.map(({ device, below }) => `${device} is below ${below}`),
    ...vfs.map(({ device, count }) => `${device} has ${count} VFs`),
  ].join('; ');
}

function unreadLines(unread: DoctorReport['input']['unread']): readonly string[] {
  if (unread.length === 0) return [];
  const told = unread.slice(0, SHOWN_UNREAD).map(({ line, text, why }) => `  line ${line}: ${why ?? 'not understood'}: ${text}`);
  const rest = unread.length - told.length;
  return [`${unread.length === 1 ? '1 line is' : `${unread.length} lines are`} not used:`, ...told, ...(rest > 0 ? [`  and ${rest} more: ${ranges(unread.slice(SHOWN_UNREAD).map(({ line }) => line))}`] : [])];
}

/** Numbers of lines, neighbours as ranges; no more than ten of these. */
function ranges(lines: readonly number[]): string {
  const out: [first: number, last: number][] = [];
  for (const line of lines) {
    const last = out.at(-1);
    if (last !== undefined && line <= last[1] + 1) last[1] = Math.max(last[1], line);
    else out.push([line, line]);
  }
  const shown = out.slice(0, 10).map(([first, last]) => (first === last ? `${first}` : `${first}-${last}`));
  return `lines ${shown.join(', ')}${out.length > shown.length ? ' and so on' : ''}`;
}

function upper(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
