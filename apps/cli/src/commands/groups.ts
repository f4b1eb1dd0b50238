/** `vsim groups`. */
import { answerLines, everythingLines, examine, summaryLines, treeLines, type DoctorReport, type IommuKind } from '@vsim/doctor';
import { Option, type Command } from 'commander';
import { EXIT, UsageError } from '../io.ts';
import { readPasted } from '../machine-file.ts';
import type { Context } from '../context.ts';
import { traced, traceOption } from '../trace/trace-file.ts';

const IOMMUS = ['auto', 'vt-d', 'amd', 'smmuv3', 'none'] as const;

interface GroupsOptions {
  readonly device?: string;
  readonly all?: true;
  readonly tree?: true;
  readonly iommu: IommuKind | 'auto';
  /** False with --no-intremap. */
  readonly intremap: boolean;
  readonly json?: true;
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
    .option('--json', 'one object instead of a report')
    .addOption(traceOption('the hosts on which VFIO is tried'))
    .addHelpText('after', '\nExamples:\n  sudo lspci -Dnnvvxxxx | vsim groups\n  vsim groups paste.txt --device 01:00.0\n  vsim groups machine.txt --no-intremap')
    .action((file: string | undefined, options: GroupsOptions) => {
      const paste = readPasted(file, io);
      traced(options.trace, io, (tracing) => {
        let hosts = 0;
        const report = examine(paste, {
          iommu: options.iommu,
          interruptRemapping: options.intremap ? undefined : false,
          made: (host) => { tracing.host(`host ${(hosts += 1)}`, host); },
        });
        if (options.json === true) tracing.io.out(JSON.stringify(report));
        else for (const line of linesOf(report, options)) tracing.io.out(line);
      });
      end(EXIT.ok);
    });
}

function linesOf(report: DoctorReport, { device, all, tree }: GroupsOptions): readonly string[] {
  if (device !== undefined) {
    const lines = answerLines(report, device);
    if (lines.length === 0) throw new UsageError(`no device here is called "${device}"; expected an address, as 01:00.0, vendor:device, a class, or a part of a name`);
    return lines;
  }
  if (tree === true) return treeLines(report);
  return all === true ? everythingLines(report) : summaryLines(report);
}
