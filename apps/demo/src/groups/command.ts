/** `vsim groups` and `vsim lspci`. */
import { parseArgs } from 'node:util';
import { formatLspciDump, formatLspciList } from '@vsim/vfio-pci';
import { oneOf } from '../args.ts';
import { EXIT, UsageError, type Io } from '../io.ts';
import { examine, type DoctorReport, type GroupReport } from './doctor.ts';
import { configOf, readMachine, recordingsMachine } from './machine-file.ts';

export const GROUPS_USAGE = 'groups [FILE] [--iommu auto|vt-d|amd|smmuv3|none] [--no-intremap] [--json]';
export const GROUPS_SUMMARY = 'IOMMU groups of a machine, from lspci -Dnnvvxxxx, a sysfs folder or this machine: why, and what VFIO would answer';
export const GROUPS_HELP: readonly string[] = [
  'FILE           the output of lspci -Dnnvvxxxx, -xxxx, a host.json, or a folder of copies from /sys/bus/pci/devices; - is stdin',
  '--iommu KIND   auto: what the devices say, else vt-d',
  '--no-intremap  an IOMMU without interrupt remapping',
];
export const LSPCI_USAGE = 'lspci [--dump] [FILE]';
export const LSPCI_SUMMARY = "prints a machine in lspci's forms; without FILE, the one of the VFIO recordings";

const IOMMUS = ['auto', 'vt-d', 'amd', 'smmuv3', 'none'] as const;

export function groupsCommand(args: readonly string[], io: Io): number {
  const { values, file } = readArgs(args, { iommu: { type: 'string' }, 'no-intremap': { type: 'boolean' }, json: { type: 'boolean' } }, GROUPS_USAGE);
  const iommu = oneOf('--iommu', typeof values['iommu'] === 'string' ? values['iommu'] : 'auto', IOMMUS);
  const report = examine(readMachine(file, io), { iommu, interruptRemapping: values['no-intremap'] !== true });
  if (values['json'] === true) io.out(JSON.stringify(report));
  else for (const line of reportLines(report)) io.out(line);
  return EXIT.ok;
}

export function lspciCommand(args: readonly string[], io: Io): number {
  const { values, file } = readArgs(args, { dump: { type: 'boolean' } }, LSPCI_USAGE);
  const machine = file === undefined ? recordingsMachine() : readMachine(file, io);
  const sources = machine.map((device) => ({ address: device.facts.address, config: configOf(device), vendor: device.facts.vendor, device: device.facts.device }));
  const text = values['dump'] === true ? formatLspciDump(sources) : formatLspciList(sources);
  for (const line of text.replace(/\n$/, '').split('\n')) io.out(line);
  return EXIT.ok;
}

/** Options, and at most one FILE. @throws UsageError */
function readArgs(
  args: readonly string[],
  options: Readonly<Record<string, { readonly type: 'string' | 'boolean' }>>,
  usage: string,
): { readonly values: Readonly<Record<string, unknown>>; readonly file: string | undefined } {
  try {
    const { values, positionals } = parseArgs({ args: [...args], options, allowPositionals: true });
    if (positionals.length > 1) throw new UsageError(`expected one FILE, got ${positionals.join(' ')}`);
    return { values, file: positionals[0] };
  } catch (error) {
    if (error instanceof UsageError) throw error;
    throw new UsageError(`${error instanceof Error ? error.message.split('\n', 1)[0]! : 'bad arguments'}; usage: vsim ${usage}`);
  }
}

/** The report as lspci would print it: a heading, and indented lines. */
export function reportLines({ iommu, groups, ungrouped }: DoctorReport): readonly string[] {
  const out: string[] = [];
  for (const group of groups) out.push(...groupLines(group), '');
  if (ungrouped.length > 0) {
    out.push(iommu === 'none' ? 'No IOMMU: no groups, and VFIO takes no device (EINVAL at bind)' : 'In no group:');
    for (const address of ungrouped) out.push(`\t${address}`);
    out.push('');
  }
  const free = groups.filter(({ viable, members, trials }) => viable && members.length > 0 && trials.some(({ result }) => result === 'ok'));
  out.push(`IOMMU ${iommu}: ${groups.length} groups, ${free.length} of them can be given to a VM as they are, ${ungrouped.length} devices in none`);
  return out;
}

function groupLines({ id, members, reason, viable, blockers, trials }: GroupReport): readonly string[] {
  const out = [`IOMMU group ${id}: ${members.length === 1 ? '1 device' : `${members.length} devices`}, viable${viable ? '+' : '-'}`];
  for (const { address, description, driver, resetMethods } of members) {
    out.push(`\t${address} ${description}`);
    if (driver !== undefined) out.push(`\t\tKernel driver in use: ${driver}`);
    out.push(`\t\tReset: ${resetMethods.length === 0 ? 'none' : resetMethods.join(' ')}`);
  }
  out.push(`\tReason: ${reason}`);
  for (const blocker of blockers) out.push(`\tBlocker: ${blocker}`);
  for (const { device, kind, result, step } of trials) {
    out.push(`\tVFIO: ${kind === 'alone' ? `${device} alone` : 'all of them'}: ${result}${step === undefined ? '' : ` at ${step}`}`);
  }
  return out;
}
