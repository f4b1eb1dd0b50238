/** The report that is printed first: what people give away, in a table, and the rest in a line. */
import type { DevicePurpose, DeviceReport, DoctorReport, Verdict } from '../report.ts';
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
const NAME_WIDTH = 44;
/** Virtual functions beyond these are counted. */
const SHOWN_OF_A_KIND = 12;

/** At most one screen for a desktop. */
export function summaryLines(report: DoctorReport): readonly string[] {
  const out = [...headLines(report)];
  const devices = devicesOf(report);
  if (devices.length === 0) return out;
  const verdicts = new Map(report.verdicts.map((verdict) => [verdict.device, verdict]));
  const numbers = new Map(report.groups.flatMap(({ id, devices: members }) => members.map((address) => [address, id] as const)));
  const short = shortener(devices);
  let shown = 0;
  for (const [purpose, heading] of WANTED) {
    const some = devices.filter((device) => device.purpose === purpose && !device.isBridge);
    if (some.length === 0) continue;
    out.push('', heading);
    for (const device of some.slice(0, SHOWN_OF_A_KIND)) out.push(`  ${row(device, verdicts.get(device.address), numbers.get(device.address) ?? null, short)}`);
    if (some.length > SHOWN_OF_A_KIND) out.push(`  and ${some.length - SHOWN_OF_A_KIND} more`);
    shown += some.length;
  }
  for (const { line, text, means } of report.errors) out.push('', `Line ${line}: ${text}`, `  ${means}`);
  out.push('', restLine(devices.length - shown, report));
  return out;
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
export function verdictWords({ kind, with: others, because }: Verdict, short: (address: string) => string): string {
  switch (kind) {
    case 'alone':
      return 'yes, alone';
    case 'with':
      return `yes, with ${others.length > 4 ? `${others.length} others` : others.map(short).join(' ')}`;
    case 'no':
      return `no: ${because.replace(/[:;(].*$/s, '').trim()}`;
    case 'cannot-tell':
      return 'cannot tell';
  }
}

function row(device: DeviceReport, verdict: Verdict | undefined, id: number | null, short: (address: string) => string): string {
  const name = device.description.length > NAME_WIDTH ? `${device.description.slice(0, NAME_WIDTH - 1)}…` : device.description;
  const words = verdict === undefined ? '' : verdictWords(verdict, short);
  const group = id === null ? '' : ` (group ${id})`;
  return `${short(device.address)}  ${name.padEnd(NAME_WIDTH)}  ${words}${group}`.trimEnd();
}

function restLine(count: number, { groups, cannotTell, ungrouped }: DoctorReport): string {
  const parts = [`${groups.length} groups`, ...(cannotTell.length > 0 ? [`${cannotTell.length} functions whose group cannot be told`] : []), ...(ungrouped.length > 0 ? [`${ungrouped.length} in none`] : [])];
  return `The rest: ${count} functions (bridges, and what the machine itself needs). In all ${parts.join(', ')}. --all shows everything, --device ADDRESS answers for one.`;
}
