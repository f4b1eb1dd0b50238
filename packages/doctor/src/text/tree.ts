/** The machine as a tree of bridges, with the groups beside it. */
import type { DeviceReport, DoctorReport } from '../report.ts';
import { devicesOf, shortener } from './summary.ts';

/** One line for each function, below the bridge that leads to it; a line before them where the groups are those of an IOMMU that is not on. */
export function treeLines(report: DoctorReport): readonly string[] {
  const devices = devicesOf(report);
  const short = shortener(devices);
  const groups = new Map(report.groups.flatMap(({ id, devices: members }) => members.map((address) => [address, id === null ? `{${short(members[0]!)}}` : `${id}`] as const)));
  const known = new Set(devices.map(({ address }) => address));
  const below = new Map<string | null | undefined, DeviceReport[]>();
  for (const device of devices) {
    // A bridge in no group is in no list of devices: what is below it stands at the root.
    const parent = typeof device.parent === 'string' && !known.has(device.parent) ? null : device.parent;
    const there = below.get(parent);
    if (there === undefined) below.set(parent, [device]);
    else there.push(device);
  }
  const out = report.wouldBe ? ['No IOMMU is on: the groups are those that there would be with one.'] : [];
  const shown = new Set<DeviceReport>();
  const visit = (all: readonly DeviceReport[], indent: string): void => {
    const list = all.filter((device) => !shown.has(device));
    for (const [index, device] of list.entries()) {
      shown.add(device);
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
  const circles = devices.filter((device) => !shown.has(device));
  if (circles.length > 0) {
    out.push('The bridges of these lead to each other in a circle:');
    for (const device of circles) visit([device], '');
  }
  return out;
}

function groupOf(address: string, groups: ReadonlyMap<string, string>): string {
  const group = groups.get(address);
  return group === undefined ? '(group: cannot tell)' : `(group ${group})`;
}
