/** The machine as a tree of bridges, with the groups beside it. */
import type { DeviceReport, DoctorReport } from '../report.ts';
import { devicesOf, shortener } from './summary.ts';

/** One line for each function, below the bridge that leads to it. */
export function treeLines(report: DoctorReport): readonly string[] {
  const devices = devicesOf(report);
  const short = shortener(devices);
  const groups = new Map(report.groups.flatMap(({ id, devices: members }) => members.map((address) => [address, id === null ? `{${short(members[0]!)}}` : `${id}`] as const)));
  const below = new Map<string | null | undefined, DeviceReport[]>();
  for (const device of devices) {
    const there = below.get(device.parent);
    if (there === undefined) below.set(device.parent, [device]);
    else there.push(device);
  }
  const out: string[] = [];
  const visit = (list: readonly DeviceReport[], indent: string): void => {
    for (const [index, device] of list.entries()) {
      const last = index === list.length - 1;
      out.push(`${indent}${last ? '└─' : '├─'} ${short(device.address)} ${device.description}  ${groupOf(device.address, groups)}`.trimEnd());
      visit(below.get(device.address) ?? [], `${indent}${last ? '   ' : '│  '}`);
    }
  };
  visit(below.get(null) ?? [], '');
  const lost = below.get(undefined) ?? [];
  if (lost.length > 0) {
    out.push('The text does not tell where these are:');
    visit(lost, '');
  }
  return out;
}

function groupOf(address: string, groups: ReadonlyMap<string, string>): string {
  const group = groups.get(address);
  return group === undefined ? '(group: cannot tell)' : `(group ${group})`;
}
