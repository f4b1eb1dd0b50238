/** The answer for one device: the verdict first, then what to do, and what can go wrong. */
import type { OtherKernel } from '../other-kernels.ts';
import { BEST_COMMAND, type CannotTellReport, type DeviceReport, type DoctorReport, type GroupReport, type Verdict } from '../report.ts';
import { bindCommands, commandBlocks, type CommandBlock } from './commands.ts';
import { errorLines } from './error-lines.ts';
import { disksOf, firstLine } from './first-line.ts';
import { headLines } from './head.ts';
import { expectedMessages } from './messages.ts';
import { devicesOf, shortener, verdictWords } from './summary.ts';

/**
 * The functions that a person means: an address with or without its domain, `vendor:device`, a purpose (`gpu`, `nic`, `usb`), the name of a
 * class, or a part of a name.
 */
export function devicesFor(report: DoctorReport, query: string): readonly DeviceReport[] {
  const wanted = query.trim().toLowerCase();
  const all = devicesOf(report);
  if (wanted === '') return [];
  const full = /^[0-9a-f]{2}:[01][0-9a-f]\.[0-7]$/.test(wanted) ? `0000:${wanted}` : wanted;
  const ways: readonly ((device: DeviceReport) => boolean)[] = [
    ({ address }) => address === full,
    ({ id }) => id === wanted,
    ({ purpose }) => purpose === wanted,
    ({ className }) => className?.toLowerCase().includes(wanted) === true,
    ({ description }) => description.toLowerCase().includes(wanted),
  ];
  for (const way of ways) {
    const found = all.filter(way);
    if (found.length > 0) return found;
  }
  return [];
}

const ADDRESS = /^(?:[0-9a-f]{4,8}:)?[0-9a-f]{2}:[01][0-9a-f]\.[0-7]$/;

/** The answer for what a person asks for: in full for one device, a line each for several. Empty: nothing is called so. */
export function answerLines(report: DoctorReport, query: string): readonly string[] {
  const devices = devicesFor(report, query);
  const [device] = devices;
  if (device === undefined) return unshown(report, query);
  const short = shortener(devicesOf(report));
  if (devices.length > 1) {
    return devices.map(({ address, description }) => `${short(address)}  ${description}: ${verdictWords(verdictOf(report, address), short)}`);
  }
  return answerFor(report, device, short);
}

/** A device that the text does not show, where messages in it are known: of the device, or of nobody. */
function unshown(report: DoctorReport, query: string): readonly string[] {
  const address = ADDRESS.exec(query.trim().toLowerCase())?.[0];
  if (address === undefined) return [];
  const errors = errorPart(report, [address.length > 7 ? address : `0000:${address}`]);
  if (errors.length === 0) return [];
  return [`Whether ${query.trim()} can be given to a VM cannot be told: the text does not show it; ${BEST_COMMAND} tells it.`, ...errors, '', ...headLines(report)];
}

function answerFor(report: DoctorReport, device: DeviceReport, short: (address: string) => string): readonly string[] {
  const verdict = verdictOf(report, device.address);
  const group = report.groups.find(({ devices }) => devices.includes(device.address));
  const others = othersOf(verdict, report);
  const out = [firstLine(verdict, device, others, short), '', `${device.description}${device.className === undefined ? '' : `, ${device.className}`}`];
  if (device.driver !== undefined) out.push(`Driver: ${device.driver ?? 'none'}`);
  if (device.bootVga === true) out.push('Firmware shows its pictures on it: the host may hold its framebuffer ("BAR 0: can\'t reserve"); initcall_blacklist=sysfb_init on the host\'s command line lets go of it.');
  if (group !== undefined) out.push(...groupPart(group, report, short));
  else out.push(...openPart(report.cannotTell.find((each) => each.device === device.address), short));
  for (const { versions, what } of kernelsFor(report, group?.devices ?? [device.address])) out.push(`  Another kernel (Linux ${versions}): ${what}`);
  if (verdict.kind === 'alone' || verdict.kind === 'with') {
    const members = [device, ...others];
    const disks = verdict.atMost ? disksOf(others).map(({ address }) => short(address)) : [];
    if (disks.length > 0) out.push('', `Mind: ${disks.join(' ')} may have to come along. If the host runs from it, ${short(device.address)} cannot be given.`);
    out.push('', ...bindCommands(members, devicesOf(report)));
  }
  const messages = expectedMessages(verdict, device, others, group, report).filter(({ error }) => !report.errors.some(({ id }) => id === error));
  if (messages.length > 0) out.push('', 'If it goes wrong', ...messages.map(({ when, text }) => `  ${when}: "${text}"`));
  out.push(...errorPart(report, group?.devices ?? [device.address]));
  out.push('', ...resetPart(device, group, short), '', 'Not looked at', ...unlooked(report), '', ...headLines(report));
  return out;
}

/** What to type to give a function to a VM, with those that have to come along; empty where it cannot be given. @param address with its domain */
export function commandsFor(report: DoctorReport, address: string): readonly CommandBlock[] {
  const all = devicesOf(report);
  const device = all.find((each) => each.address === address);
  if (device === undefined) return [];
  const verdict = verdictOf(report, address);
  if (verdict.kind !== 'alone' && verdict.kind !== 'with') return [];
  return commandBlocks([device, ...othersOf(verdict, report)], all);
}

/** Those that have to come along, or at most. */
function othersOf(verdict: Verdict, report: DoctorReport): readonly DeviceReport[] {
  const wanted = new Set(verdict.with);
  return wanted.size === 0 ? [] : devicesOf(report).filter(({ address }) => wanted.has(address));
}

/** Kernels that make other groups of these functions, or of what is above them. */
function kernelsFor({ otherKernels, groups }: DoctorReport, addresses: readonly string[]): readonly OtherKernel[] {
  const bridges = new Set(addresses);
  const parents = new Map(groups.flatMap(({ members }) => members.map(({ address, parent }) => [address, parent] as const)));
  for (const address of bridges) {
    const parent = parents.get(address);
    if (typeof parent === 'string') bridges.add(parent);
  }
  return otherKernels.filter(({ devices }) => devices.some((address) => bridges.has(address)));
}

function openPart(open: CannotTellReport | undefined, short: (address: string) => string): readonly string[] {
  if (open === undefined) return [];
  const { device, surely, perhaps, missing, command } = open;
  const together = surely.filter((address) => address !== device).map(short);
  const maybe = perhaps.filter((address) => !surely.includes(address)).map(short);
  return [
    '',
    'Its group',
    ...(together.length > 0 ? [`  surely with: ${together.join(' ')}`] : []),
    ...(maybe.length > 0 ? [`  perhaps with: ${maybe.join(' ')}`] : []),
    'What is missing',
    ...missing.map(({ address, what }) => `  ${address === undefined ? what : `${short(address)}: ${what}`}`),
    `  Run on the machine: ${command}`,
  ];
}

function groupPart({ id, devices, members, reason, difference, blockers }: GroupReport, { wouldBe }: DoctorReport, short: (address: string) => string): readonly string[] {
  const out = ['', `${id === null ? `Its group${wouldBe ? ' with an IOMMU' : ''}` : `IOMMU group ${id}`}: ${devices.map(short).join(' ')}`, `  Why: ${reason}`];
  if (difference !== undefined) out.push(`  But: ${difference}`);
  const bridges = members.filter(({ isBridge }) => isBridge).map(({ address }) => short(address));
  const hosts = members.filter(({ purpose }) => purpose === 'host').map(({ address }) => short(address));
  if (hosts.length > 0) out.push(`  ${hosts.join(' ')}: ${hosts.length === 1 ? 'a part of the host, which stays' : 'parts of the host, which stay'} without a driver`);
  if (bridges.length > 0) out.push(`  ${bridges.join(' ')}: ${bridges.length === 1 ? 'a bridge, which stays with its driver' : 'bridges, which stay with their driver'}`);
  for (const { what } of blockers) out.push(`  In the way: ${what}`);
  return out;
}

function resetPart({ resetMethods, workingResets, hotReset }: DeviceReport, group: GroupReport | undefined, short: (address: string) => string): readonly string[] {
  const out: string[] = [];
  if (resetMethods === undefined) out.push('Reset: the text does not tell how');
  else if (resetMethods.length === 0) out.push('Reset: none of its own. QEMU then says "Cannot reset device ..., no available reset mechanism" and goes on');
  else out.push(`Reset: ${resetMethods.join(', ')}${resetMethods.includes('bus') && workingResets?.includes('bus') === false ? ' (bus is listed, and does not work: other functions are on its bus)' : ''}`);
  if (hotReset === undefined) return out;
  const { affected, obstacle } = hotReset;
  const others = affected.slice(1).map(short);
  const outside = affected.filter((address) => group?.devices.includes(address) !== true);
  if (obstacle !== undefined) out.push(`Hot reset (VFIO_DEVICE_PCI_HOT_RESET): not possible, ${obstacle}`);
  else if (others.length === 0) out.push('Hot reset (VFIO_DEVICE_PCI_HOT_RESET): of it alone');
  else if (outside.length > 0) out.push(`Hot reset (VFIO_DEVICE_PCI_HOT_RESET): takes ${others.join(' ')} along, and is EPERM without the groups of ${outside.map(short).join(' ')} ("depends on group ... which is not owned")`);
  else out.push(`Hot reset (VFIO_DEVICE_PCI_HOT_RESET): takes ${others.join(' ')} along, which are in its group`);
  return out;
}

/** What the text has of errors: those that name a member of the group, and those that name nobody. */
function errorPart({ errors }: DoctorReport, group: readonly string[]): readonly string[] {
  const some = errors.filter(({ devices }) => devices.length === 0 || devices.some((address) => group.includes(address)));
  if (some.length === 0) return [];
  return ['', 'Errors in the text', ...some.flatMap(errorLines)];
}

/** What no text of lspci shows, and this one has nothing else of. */
function unlooked({ input }: DoctorReport): readonly string[] {
  const has = new Set(input.parts.map(({ form }) => form));
  const out: string[] = [];
  if (!has.has('kernel-log')) out.push('  RMRR and 1:1 mappings ("Firmware has requested this device have a 1:1 IOMMU mapping"): dmesg tells', '  D3 ("stuck in D3", "not ready after FLR"): dmesg tells');
  if (!has.has('iomem')) out.push('  who holds its BARs ("BAR 0: can\'t reserve"): /proc/iomem as root tells');
  return out.length === 0 ? ['  nothing that this text could tell'] : out;
}

function verdictOf({ verdicts }: DoctorReport, address: string): Verdict {
  return verdicts.find(({ device }) => device === address)!;
}
