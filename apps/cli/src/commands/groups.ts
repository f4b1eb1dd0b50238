/** `vsim groups`. */
import { answerLines, everythingLines, examine, kernelVersion, summaryLines, treeLines, type DoctorReport, type IommuKind, type WhatIf } from '@vsim/doctor';
import { isPciAddress, type KernelVersion } from '@vsim/vfio-pci';
import { InvalidArgumentError, Option, type Command } from 'commander';
import { EXIT, UsageError } from '../io.ts';
import { readMachine } from '../machine-file.ts';
import type { Context } from '../context.ts';
import { writePage } from '../page-file.ts';
import { traced, traceOption } from '../trace/trace-file.ts';

const IOMMUS = ['auto', 'vt-d', 'amd', 'smmuv3', 'none'] as const;

interface GroupsOptions {
  readonly device?: string;
  readonly all?: true;
  readonly tree?: true;
  readonly iommu: IommuKind | 'auto';
  /** False with --no-intremap. */
  readonly intremap: boolean;
  readonly kernel?: KernelVersion;
  readonly iommuOn?: true;
  readonly acsOverride?: WhatIf['acsOverride'];
  readonly move: NonNullable<WhatIf['moves']>;
  readonly vfs: NonNullable<WhatIf['vfs']>;
  readonly json?: true;
  readonly html?: string;
  readonly trace?: string;
}

export function addGroups(program: Command, { io, end }: Context): void {
  program
    .command('groups')
    .summary('which devices can be given to a VM, and why not')
    .description('The IOMMU groups of a machine: why devices are together, what is in the way, and what VFIO would answer at which call. What a text cannot tell is said to be so.')
    .argument(
      '[file]',
      'whatever shows a machine: lspci in any form (best is sudo lspci -Dnnvvxxxx), a listing of IOMMU groups, dmesg, several of these in one; a host.json, a folder or a tar of /sys; - is standard input, which is read too where a pipe or a file is. Without it, this machine.',
    )
    .option('--device <what>', 'the answer for one: its address, vendor:device, a class (gpu, nic, nvme, usb), or a part of its name')
    .option('--all', 'every group, with reasons and what VFIO answers')
    .option('--tree', 'the tree of bridges, with the group of each function')
    .addOption(new Option('--iommu <kind>', 'auto is what the text shows, else vt-d').choices(IOMMUS).default('auto'))
    .option('--no-intremap', 'an IOMMU without interrupt remapping')
    .addOption(new Option('--kernel <version>', 'whose rules make the groups, and whose VFIO answers, as 5.15; else what the text tells, else 6.1').argParser(versionOf))
    .option('--iommu-on', 'what if the IOMMU were on')
    .addOption(new Option('--acs-override <what>', 'what if pcie_acs_override= of the ACS override patch were: downstream, multifunction, or both with a comma').argParser(overrideOf))
    .addOption(new Option('--move <device=bridge>', 'what if the device were in the slot below that bridge; may be given several times').argParser(moveOf).default([], 'nothing moves'))
    .addOption(new Option('--vfs <device=count>', 'what if the device had so many VFs; may be given several times').argParser(vfsOf).default([], 'those that are there'))
    .option('--json', 'one object instead of a report')
    .option('--html <file>', 'writes the report as a page that needs no server and sends nothing; the text is in it')
    .addOption(traceOption('the hosts on which VFIO is tried'))
    .addHelpText('after', '\nExamples:\n  sudo lspci -Dnnvvxxxx | vsim groups\n  vsim groups paste.txt --device 01:00.0\n  vsim groups machine.txt --no-intremap\n  vsim groups paste.txt --html report.html')
    .action((file: string | undefined, options: GroupsOptions) => {
      const { paste, question } = readMachine(file, io);
      traced(options.trace, io, (tracing) => {
        let hosts = 0;
        const report = asked(() => examine(paste, {
          iommu: options.iommu,
          interruptRemapping: options.intremap ? undefined : false,
          kernel: options.kernel,
          whatIf: { iommuOn: options.iommuOn, acsOverride: options.acsOverride, moves: options.move, vfs: options.vfs },
          made: (host) => { tracing.host(`host ${(hosts += 1)}`, host); },
        }));
        if (options.html !== undefined) {
          linesOf(report, options);
          writePage(options.html, { ...question, device: options.device, whatIf: whatIfOf(options) }, io);
        }
        if (options.json === true) tracing.io.out(JSON.stringify(report));
        else if (options.html === undefined) for (const line of linesOf(report, options)) tracing.io.out(line);
      });
      end(EXIT.ok);
    });
}

/** A what-if that cannot be is a mistake of the caller. @throws UsageError that says why */
function asked(examination: () => DoctorReport): DoctorReport {
  try {
    return examination();
  } catch (error) {
    if (error instanceof RangeError) throw new UsageError(error.message);
    throw error;
  }
}

function versionOf(text: string): KernelVersion {
  const version = kernelVersion(text);
  if (version === undefined) throw new InvalidArgumentError('Expected a version, as 5.15.');
  return version;
}

function overrideOf(text: string): NonNullable<WhatIf['acsOverride']> {
  return text.split(',').map((each) => {
    if (each !== 'downstream' && each !== 'multifunction') throw new InvalidArgumentError('Expected downstream, multifunction, or both with a comma.');
    return each;
  });
}

function moveOf(text: string, before: NonNullable<WhatIf['moves']>): NonNullable<WhatIf['moves']> {
  const [device, below] = text.split('=');
  return [...before, { device: addressOf(device), below: addressOf(below) }];
}

function vfsOf(text: string, before: NonNullable<WhatIf['vfs']>): NonNullable<WhatIf['vfs']> {
  const [device, count = ''] = text.split('=');
  if (!/^[0-9]{1,5}$/.test(count)) throw new InvalidArgumentError('Expected ADDRESS=COUNT, as 01:00.0=4.');
  return [...before, { device: addressOf(device), count: Number(count) }];
}

function addressOf(text = ''): string {
  const full = /^[0-9a-f]{2}:/i.test(text) ? `0000:${text.toLowerCase()}` : text.toLowerCase();
  if (!isPciAddress(full)) throw new InvalidArgumentError(`Expected an address, as 01:00.0, got "${text}".`);
  return full;
}

/** The options as the page knows them. */
function whatIfOf({ iommu, intremap, kernel, iommuOn, acsOverride }: GroupsOptions): Readonly<Record<string, string>> {
  return {
    ...(iommu === 'auto' ? {} : { iommu }),
    ...(intremap ? {} : { intremap: 'off' }),
    ...(kernel === undefined ? {} : { kernel: `${kernel.major}.${kernel.minor}` }),
    ...(iommuOn === true ? { 'iommu-on': 'on' } : {}),
    ...(acsOverride === undefined ? {} : { 'acs-override': [...acsOverride].sort().join(',') }),
  };
}

function linesOf(report: DoctorReport, { device, all, tree }: GroupsOptions): readonly string[] {
  if (device !== undefined) {
    const lines = answerLines(report, device);
    if (lines.length === 0) throw new UsageError(`no device here is called "${device}"; expected an address, as 01:00.0, vendor:device, a class, or a part of a name`);
    return lines;
  }
  if (report.input.devices === 0) return summaryLines(report);
  if (tree === true) return treeLines(report);
  return all === true ? everythingLines(report) : summaryLines(report);
}
