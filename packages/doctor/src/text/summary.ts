/** The report that is printed first: what people give away, in a table, and the rest in a line. */
import type { DevicePurpose, DeviceReport, DoctorReport, Verdict } from '../report.ts';
import { errorLines } from './error-lines.ts';
import { headLines } from './head.ts';

/** What people give away, in the order of the table, with its heading. */
const WANTED: readonly (readonly [purpose: DevicePurpose, heading: string])[] = [
  ['gpu', 'Graphics'],
  ['gpu-function', 'With the graphics'],
  ['accelerator', 'Accelerators'],
  ['nic', 'Network'],
  ['vf', 'Virtual functions'],
  ['nvme', 'NVMe'],
  ['storage', 'Storage'],
  ['usb', 'USB'],
  ['media', 'Sound and video'],
];
/** A function in the table, with its answer. */
export interface SummaryRow {
  /** The function. */
  readonly device: DeviceReport;
  /** Its answer. */
  readonly verdict: Verdict;
  /** The same in a few words. */
  readonly words: string;
  /** The running kernel's number of its group; null: the text does not tell it. */
  readonly group: number | null;
}

/** Functions of one purpose. */
export interface SummaryPart {
  /** What they are for, as a heading. */
  readonly heading: string;
  /** In the order of addresses. */
  readonly rows: readonly SummaryRow[];
}

const NAME_WIDTH = 44;
/** Virtual functions beyond these are counted. */
const SHOWN_OF_A_KIND = 12;

/** At most one screen for a desktop. */
export function summaryLines(report: DoctorReport): readonly string[] {
  const out = [...headLines(report)];
  const devices = devicesOf(report);
  if (devices.length === 0) return report.errors.length === 0 ? out : [...out, '', 'Errors in the text', ...report.errors.flatMap(errorLines)];
  const short = shortener(devices);
  let shown = 0;
  for (const { heading, rows } of summaryTable(report)) {
    out.push('', heading);
    for (const row of rows.slice(0, SHOWN_OF_A_KIND)) out.push(`  ${rowLine(row, short)}`);
    if (rows.length > SHOWN_OF_A_KIND) out.push(`  and ${rows.length - SHOWN_OF_A_KIND} more`);
    shown += rows.length;
  }
  for (const { versions, what } of report.otherKernels) out.push('', `Another kernel (Linux ${versions}): ${what}.`);
  for (const { line, text, means } of report.errors) out.push('', `Line ${line}: ${text}`, `  ${means}`);
  out.push('', restLine(devices.length - shown, report));
  return out;
}

/** What people give away, by purpose, with the answer for each; a purpose that no function has is left out. */
export function summaryTable(report: DoctorReport): readonly SummaryPart[] {
  const devices = devicesOf(report);
  const verdicts = new Map(report.verdicts.map((verdict) => [verdict.device, verdict]));
  const numbers = new Map(report.groups.flatMap(({ id, devices: members }) => members.map((address) => [address, id] as const)));
  const short = shortener(devices);
  return WANTED.flatMap(([purpose, heading]) => {
    const rows = devices
      .filter((device) => device.purpose === purpose && !device.isBridge)
      .map((device) => {
        const verdict = verdicts.get(device.address)!;
        return { device, verdict, words: verdictWords(verdict, short), group: numbers.get(device.address) ?? null };
      });
    return rows.length === 0 ? [] : [{ heading, rows }];
  });
}

/** All functions of a report, in the order of addresses. */
export function devicesOf({ groups, cannotTell }: DoctorReport): readonly DeviceReport[] {
  return [...groups.flatMap(({ members }) => members), ...cannotTell.map(({ about }) => about)].sort((a, b) => (a.address < b.address ? -1 : 1));
}

/** Addresses without their domain, where the machine has one alone. */
export function shortener(devices: readonly DeviceReport[]): (address: string) => string {
  return devices.every(({ address }) => address.startsWith('0000:')) ? (address) => address.replace(/^0000:/, '') : (address) => address;
}

/** A verdict in a few words. */
export function verdictWords({ kind, with: others, atMost, because }: Verdict, short: (address: string) => string): string {
  switch (kind) {
    case 'alone':
      return 'yes, alone';
    case 'with':
      return `yes, ${atMost ? 'at most ' : ''}with ${others.length > 4 ? `${others.length} others` : others.map(short).join(' ')}`;
    case 'no':
      return `no: ${because.replace(/[:;(].*$/s, '').trim()}`;
    case 'cannot-tell':
      return 'cannot tell';
  }
}

function rowLine({ device, words, group }: SummaryRow, short: (address: string) => string): string {
  const name = device.description.length > NAME_WIDTH ? `${device.description.slice(0, NAME_WIDTH - 1)}…` : device.description;
  return `${short(device.address)}  ${name.padEnd(NAME_WIDTH)}  ${words}${group === null ? '' : ` (group ${group})`}`.trimEnd();
}

function restLine(count: number, { groups, cannotTell, ungrouped, wouldBe }: DoctorReport): string {
  const parts = [`${groups.length} groups${wouldBe ? ' that there would be' : ''}`, ...(cannotTell.length > 0 ? [`${cannotTell.length} functions whose group cannot be told`] : []), ...(ungrouped.length > 0 ? [`${ungrouped.length} in none`] : [])];
  return `The rest: ${count} functions (bridges, and what the machine itself needs). In all ${parts.join(', ')}. --all shows everything, --device ADDRESS answers for one.`;
}
