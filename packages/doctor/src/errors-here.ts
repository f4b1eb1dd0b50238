/** Known errors of a text, with what the rest of it says about each. */
import { findErrors, type FoundError } from './errors/index.ts';
import type { Paste } from './read/paste.ts';
import type { DeviceReport, DoctorReport, ErrorReport, GroupReport } from './report.ts';

type Found = Omit<DoctorReport, 'errors' | 'verdicts'>;

/** The errors of a text, in its order. */
export function errorReports(report: Found, paste: Paste): readonly ErrorReport[] {
  return findErrors(paste.machine.log).map((found) => {
    const { error, line, text, addresses } = found;
    return { id: error.id, line, text, devices: addresses, means: error.means, remedies: error.remedies, here: [...hereOf(found, report, paste)], harmless: error.harmless === true };
  });
}

function* hereOf({ error, addresses, groups: numbers }: FoundError, report: Found, paste: Paste): Iterable<string> {
  const asked = new Set(error.looksAt);
  const all = [...report.groups.flatMap(({ members }) => members), ...report.cannotTell.map(({ about }) => about)];
  const devices = all.filter(({ address }) => addresses.includes(address));
  const groups = report.groups.filter(({ id, devices: members }) => (id !== null && numbers.includes(id)) || members.some((address) => addresses.includes(address)));
  if (asked.has('groups') || asked.has('drivers')) for (const group of groups) yield groupWords(group);
  for (const device of devices) {
    if (asked.has('resets')) yield* resetWords(device);
    if (asked.has('bootVga') && device.bootVga === true) yield `firmware shows its pictures on ${device.address}`;
    if (device.fellOff) yield `${device.address} does not answer: its registers read as ones`;
  }
  if (asked.has('iomem') || asked.has('regions')) yield* iomemWords(addresses, paste);
  if (asked.has('iommu')) yield `the IOMMU is ${report.iommu.state === 'cannot-tell' ? 'on or off: the text does not tell' : report.iommu.state}`;
  if (asked.has('cmdline') && paste.machine.cmdline !== undefined) yield `the kernel's command line is: ${paste.machine.cmdline}`;
}

function groupWords({ id, members }: GroupReport): string {
  const shown = members.filter(({ isBridge }) => !isBridge).map(({ address, driver }) => `${address} (${driver === undefined ? 'driver not told' : driver ?? 'no driver'})`);
  return `${id === null ? 'the group' : `group ${id}`} has ${shown.join(', ')}`;
}

function* resetWords({ address, workingResets, hotReset }: DeviceReport): Iterable<string> {
  if (workingResets !== undefined) yield `${address} can be reset ${workingResets.length === 0 ? 'by nothing of its own' : `by ${workingResets.join(', ')}`}`;
  if (hotReset !== undefined && hotReset.affected.length > 1 && hotReset.obstacle === undefined) yield `a hot reset of ${address} takes ${hotReset.affected.slice(1).join(' ')} along`;
}

/** Who else has addresses of a function: whoever stands deeper in /proc/iomem, below it. */
function* iomemWords(addresses: readonly string[], { machine: { iomem } }: Paste): Iterable<string> {
  for (const [index, { owner, depth }] of iomem.entries()) {
    if (!addresses.includes(owner)) continue;
    const inside: string[] = [];
    for (const range of iomem.slice(index + 1)) {
      if (range.depth <= depth) break;
      if (range.owner !== owner) inside.push(range.owner);
    }
    if (inside.length > 0) yield `/proc/iomem has ${[...new Set(inside)].join(', ')} inside of ${owner}`;
  }
}
