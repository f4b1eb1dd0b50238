/** `vsim lspci`. */
import { configOf, machineOfPaste, readPaste, type MachineDevice } from '@vsim/doctor';
import { formatLspciDump, formatLspciList } from '@vsim/vfio-pci';
import type { Command } from 'commander';
import { EXIT } from '../io.ts';
import { readMachine } from '../machine-file.ts';
import type { Context } from '../context.ts';

interface LspciOptions {
  readonly dump?: true;
  readonly json?: true;
}

export function addLspci(program: Command, context: Context): void {
  const { io, end } = context;
  program
    .command('lspci')
    .summary("prints a machine in lspci's forms")
    .description('Prints a machine as lspci does: a line for each function.')
    .argument('[file]', 'as of groups. Without it, the machine of the VFIO recordings.')
    .option('--dump', 'with the configuration spaces, as lspci -xxxx')
    .option('--json', 'a list of objects: address, class, vendor, device, revision, driver, configuration space as hex')
    .addHelpText('after', '\nExamples:\n  vsim lspci --dump > machine.txt\n  vsim lspci /sys/bus/pci/devices --json')
    .action((file: string | undefined, { dump, json }: LspciOptions) => {
      const machine = machineOfPaste(file === undefined && !io.piped ? readPaste(JSON.stringify(context.recordings.recordedMachine())) : readMachine(file, io).paste);
      for (const line of json === true ? [JSON.stringify(machine.map(objectOf))] : textOf(machine, dump === true).replace(/\n$/, '').split('\n')) io.out(line);
      end(EXIT.ok);
    });
}

function textOf(machine: readonly MachineDevice[], dump: boolean): string {
  const sources = machine.map((device) => ({ address: device.facts.address, config: configOf(device), vendor: device.facts.vendor, device: device.facts.device }));
  return dump ? formatLspciDump(sources) : formatLspciList(sources);
}

/** Numbers as sysfs has them. */
function objectOf(device: MachineDevice): object {
  const { facts: { address, class: code, vendor, device: id }, driver, recorded: { config } } = device;
  const hex = (value: number, digits: number): string => `0x${value.toString(16).padStart(digits, '0')}`;
  return { address, class: hex(code, 6), vendor: hex(vendor, 4), device: hex(id, 4), revision: hex(configOf(device)[8]!, 2), driver: driver ?? null, config };
}
