/** `vsim groups` and `vsim lspci`. */
import { parseArgs } from 'node:util';
import { configOf, examine, machineOf, reportLines } from '@vsim/doctor';
import { formatLspciDump, formatLspciList } from '@vsim/vfio-pci';
import { oneOf } from '../args.ts';
import { EXIT, UsageError, type Io } from '../io.ts';
import { readMachine } from '../machine-file.ts';
import type { Recordings } from '../main.ts';

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

export function lspciCommand(args: readonly string[], io: Io, { recordedMachine }: Recordings): number {
  const { values, file } = readArgs(args, { dump: { type: 'boolean' } }, LSPCI_USAGE);
  const machine = file === undefined ? machineOf(recordedMachine()) : readMachine(file, io);
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
