/** The answer for one device: the verdict first, then what to do, and what can go wrong. */
import type { DeviceReport, DoctorReport, ErrorReport, GroupReport, Verdict } from '../report.ts';
import { bindCommands, commandBlocks, type CommandBlock } from './commands.ts';
import { headLines } from './head.ts';
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

/** The answer for what a person asks for: in full for one device, a line each for several. Empty: nothing is called so. */
export function answerLines(report: DoctorReport, query: string): readonly string[] {
  const devices = devicesFor(report, query);
  const [device] = devices;
  if (device === undefined) return [];
  const short = shortener(devicesOf(report));
  if (devices.length > 1) {
    return devices.map(({ address, description }) => `${short(address)}  ${description}: ${verdictWords(verdictOf(report, address), short)}`);
  }
  return answerFor(report, device, short);
}

function answerFor(report: DoctorReport, device: DeviceReport, short: (address: string) => string): readonly string[] {
  const verdict = verdictOf(report, device.address);
  const group = report.groups.find(({ devices }) => devices.includes(device.address));
  const out = [firstLine(verdict, short), '', `${device.description}${device.className === undefined ? '' : `, ${device.className}`}`];
  if (device.driver !== undefined) out.push(`Driver: ${device.driver ?? 'none'}`);
  if (device.bootVga === true) out.push('Firmware shows its pictures on it: the host may hold its framebuffer ("BAR 0: can\'t reserve"); initcall_blacklist=sysfb_init on the host\'s command line lets go of it.');
  if (group !== undefined) out.push(...groupPart(group, report, short));
  else {
    const open = report.cannotTell.find((each) => each.device === device.address);
    if (open !== undefined) {
      out.push('', 'What is missing');
      for (const { address, what } of open.missing) out.push(`  ${address === undefined ? what : `${short(address)}: ${what}`}`);
      out.push(`  Run on the machine: ${open.command}`);
    }
  }
  if (verdict.kind === 'alone' || verdict.kind === 'with') {
    const members = membersOf(device, verdict, group);
    const disks = members.filter(({ address, purpose }) => address !== device.address && (purpose === 'nvme' || purpose === 'storage')).map(({ address }) => short(address));
    if (disks.length > 0) out.push('', `Mind: ${disks.join(' ')} would come along. If the host runs from it, ${short(device.address)} cannot be given.`);
    out.push('', ...bindCommands(members, devicesOf(report)));
  }
  out.push(...errorPart(report, device));
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
  return commandBlocks(membersOf(device, verdict, report.groups.find(({ devices }) => devices.includes(address))), all);
}

/** A function and those that have to come along. */
function membersOf(device: DeviceReport, verdict: Verdict, group: GroupReport | undefined): readonly DeviceReport[] {
  return [device, ...verdict.with.flatMap((address) => group?.members.find((member) => member.address === address) ?? [])];
}

/** The verdict in a sentence. */
function firstLine({ device, kind, with: others, because, otherwise }: Verdict, short: (address: string) => string): string {
  const name = short(device);
  switch (kind) {
    case 'alone':
      return `${name} can be given to a VM, alone.`;
    case 'with':
      return `${name} can be given to a VM, with ${others.map(short).join(' ')}: they are one IOMMU group.`;
    case 'no':
      return `${name} cannot be given to a VM: ${because}.${otherwise === undefined ? '' : ` ${otherwise.charAt(0).toUpperCase()}${otherwise.slice(1)}.`}`;
    case 'cannot-tell':
      return `Whether ${name} can be given to a VM cannot be told: ${because}.`;
  }
}

function groupPart({ id, devices, members, reason, difference, blockers }: GroupReport, { wouldBe }: DoctorReport, short: (address: string) => string): readonly string[] {
  const out = ['', `${id === null ? `Its group${wouldBe ? ' with an IOMMU' : ''}` : `IOMMU group ${id}`}: ${devices.map(short).join(' ')}`, `  Why: ${reason}`];
  if (difference !== undefined) out.push(`  But: ${difference}`);
  const bridges = members.filter(({ isBridge }) => isBridge).map(({ address }) => short(address));
  const hosts = members.filter(({ purpose }) => purpose === 'host').map(({ address }) => short(address));
  if (hosts.length > 0) out.push(`  ${hosts.join(' ')}: ${hosts.length === 1 ? 'a part of the host, which stays' : 'parts of the host, which stay'} without a driver`);
  if (bridges.length > 0) out.push(`  ${bridges.join(' ')}: ${bridges.length === 1 ? 'a bridge, which stays with its driver' : 'bridges, which stay with their driver'}`);
  for (const blocker of blockers) out.push(`  In the way: ${blocker}`);
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

/** What the text has of errors: those that name the device, and those that name nobody. */
function errorPart({ errors }: DoctorReport, { address }: DeviceReport): readonly string[] {
  const some = errors.filter(({ devices }) => devices.length === 0 || devices.includes(address));
  if (some.length === 0) return [];
  return ['', 'Errors in the text', ...some.flatMap(errorLines)];
}

/** One error, with what it means and what can be done. */
export function errorLines({ line, text, means, remedies, here, harmless }: ErrorReport): readonly string[] {
  return [`  line ${line}: ${text}`, `    ${means}${harmless ? ' Things work all the same.' : ''}`, ...here.map((each) => `    Here: ${each}`), ...remedies.map((remedy) => `    To do: ${remedy}`)];
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
