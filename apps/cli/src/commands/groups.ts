/** `vsim groups`. */
import { examine, reportLines, type IommuKind } from '@vsim/doctor';
import { Option, type Command } from 'commander';
import { EXIT } from '../io.ts';
import { readMachine } from '../machine-file.ts';
import type { Context } from '../main.ts';

const IOMMUS = ['auto', 'vt-d', 'amd', 'smmuv3', 'none'] as const;

interface GroupsOptions {
  readonly iommu: IommuKind | 'auto';
  /** False with --no-intremap. */
  readonly intremap: boolean;
  readonly json?: true;
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
    .addHelpText('after', '\nExamples:\n  lspci -Dnnvvxxxx | vsim groups\n  vsim groups machine.txt --no-intremap')
    .action((file: string | undefined, { iommu, intremap, json }: GroupsOptions) => {
      const report = examine(readMachine(file, io), { iommu, interruptRemapping: intremap });
      if (json === true) io.out(JSON.stringify(report));
      else for (const line of reportLines(report)) io.out(line);
      end(EXIT.ok);
    });
}
