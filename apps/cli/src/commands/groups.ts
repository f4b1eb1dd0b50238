/** `vsim groups`. */
import { examine, reportLines, type IommuKind } from '@vsim/doctor';
import { Option, type Command } from 'commander';
import { EXIT } from '../io.ts';
import { readMachine } from '../machine-file.ts';
import type { Context } from '../context.ts';
import { traced, traceOption } from '../trace/trace-file.ts';

const IOMMUS = ['auto', 'vt-d', 'amd', 'smmuv3', 'none'] as const;

interface GroupsOptions {
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
    .description('The IOMMU groups of a machine: why devices are together, what is in the way, and what VFIO would answer at which call.')
    .argument('[file]', 'what lspci -Dnnvvxxxx prints as root, a host.json, or a folder of copies from /sys/bus/pci/devices; - is standard input, which is read too where a pipe or a file is. Without it, this machine.')
    .addOption(new Option('--iommu <kind>', 'auto is what the devices say, else vt-d').choices(IOMMUS).default('auto'))
    .option('--no-intremap', 'an IOMMU without interrupt remapping')
    .option('--json', 'one object instead of a report')
    .addOption(traceOption('the hosts on which VFIO is tried'))
    .addHelpText('after', '\nExamples:\n  lspci -Dnnvvxxxx | vsim groups\n  vsim groups machine.txt --no-intremap')
    .action((file: string | undefined, { iommu, intremap, json, trace }: GroupsOptions) => {
      const machine = readMachine(file, io);
      traced(trace, io, (tracing) => {
        let hosts = 0;
        const report = examine(machine, { iommu, interruptRemapping: intremap, made: (host) => { tracing.host(`host ${(hosts += 1)}`, host); } });
        if (json === true) tracing.io.out(JSON.stringify(report));
        else for (const line of reportLines(report)) tracing.io.out(line);
      });
      end(EXIT.ok);
    });
}
