/** The answer for one device: the verdict first, then what to do, and what can go wrong. */
import type { DeviceReport, DoctorReport, GroupReport, Verdict } from '../report.ts';
import { bindCommands } from './commands.ts';
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
  if (group !== undefined) out.push(...groupPart(group, short));
  else {
    const open = report.cannotTell.find((each) => each.device === device.address);
    if (open !== undefined) {
      out.push('', 'What is missing');
      for (const { address, what } of open.missing) out.push(`  ${address === undefined ? what : `${short(address)}: ${what}`}`);
      out.push(`  Run on the machine: ${open.command}`);
    }
  }
  if (verdict.kind === 'alone' || verdict.kind === 'with') {
    const members = [device, ...verdict.with.map((address) => group!.members.find((member) => member.address === address)!)];
    out.push('', ...bindCommands(members, devicesOf(report)));
  }
  out.push('', ...resetPart(device), '', 'Not looked at', ...unlooked(report), '', ...headLines(report));
  return out;
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

function groupPart({ id, devices, members, reason, difference, blockers }: GroupReport, short: (address: string) => string): readonly string[] {
  const out = ['', `${id === null ? 'Its group' : `IOMMU group ${id}`}: ${devices.map(short).join(' ')}`, `  Why: ${reason}`];
  if (difference !== undefined) out.push(`  But: ${difference}`);
  const bridges = members.filter(({ isBridge }) => isBridge).map(({ address }) => short(address));
  if (bridges.length > 0) out.push(`  ${bridges.join(' ')}: ${bridges.length === 1 ? 'a bridge, which stays with its driver' : 'bridges, which stay with their driver'}`);
  for (const blocker of blockers) out.push(`  In the way: ${blocker}`);
  return out;
}

function resetPart({ resetMethods }: DeviceReport): readonly string[] {
  if (resetMethods === undefined) return ['Reset: the text does not tell how'];
  if (resetMethods.length === 0) return ['Reset: none of its own. QEMU then says "Cannot reset device ..., no available reset mechanism" and goes on; what a VM leaves behind stays until the machine is reset'];
  return [`Reset: ${resetMethods.join(', ')}`];
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
