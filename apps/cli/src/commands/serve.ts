/** `vsim serve`. */
import { InvalidArgumentError, type Command } from 'commander';
import { UsageError } from '../io.ts';
import type { Context } from '../context.ts';
import { Counts } from '../serve/counts.ts';
import { deviceChoice } from '../serve/device-choice.ts';
import { socketAt } from '../serve/listen-at.ts';
import { runWorker } from '../serve/run-worker.ts';
import { traceOption } from '../trace/trace-file.ts';

const UNITS = { '': 1, K: 2 ** 10, M: 2 ** 20, G: 2 ** 30, T: 2 ** 40 } as const;
const SMALLEST = 512;

interface ServeOptions {
  readonly socket: string;
  readonly size?: number;
  readonly file?: string;
  readonly watch?: true;
  readonly once?: true;
  readonly trace?: string;
}

export function addServe(program: Command, { io, later }: Context): void {
  program
    .command('serve')
    .summary('serves a device to QEMU, over the vfio-user protocol')
    .description('Serves a device to QEMU 10.1 or newer (-device vfio-user-pci), or to another client of the vfio-user protocol, at a UNIX socket: to one client after another, until Ctrl-C.')
    .argument('<device>', 'nvme, edu, or a file of yours (.ts, .js, .mjs) that exports createDevice(host, address), which returns a PciFunction of @vsim/vfio-pci')
    .requiredOption('--socket <path>', 'where clients connect, at most 107 bytes, for its owner alone; or fd:N, a socket that listens already and was passed to this command')
    .option('--size <bytes>', 'of nvme: how large its disk is, as 512M or 4G', bytesOf)
    .option('--file <file>', 'of nvme: what keeps its disk; made with --size. Without it, the disk is in memory')
    .option('--watch', 'reads the file of yours again when it changes, and goes on with the new code: the client stays, and so does a state that the device can migrate')
    .option('--once', 'ends when its first client is gone')
    .addOption(traceOption("the device's host"))
    .addHelpText('after', '\nExamples:\n  vsim serve nvme --size 1G --socket /tmp/nvme.sock\n  vsim serve ./my-device.ts --watch --socket /tmp/my.sock')
    .action((device: string, { socket, size, file, trace, ...flags }: ServeOptions) => {
      const choice = deviceChoice(device, { ...(size === undefined ? {} : { size }), ...(file === undefined ? {} : { file }) }, io.cwd);
      const watch = flags.watch === true;
      if (watch && choice.path === undefined) throw new UsageError(`--watch is for a file of yours, not for ${device}`);
      const counts = new Counts();
      later(() => runWorker({ job: 'serve', choice, at: socketAt(io.cwd, socket), shownAt: socket, once: flags.once === true, watch, trace, cwd: io.cwd, counts: counts.buffer }, io, counts));
    });
}

function bytesOf(text: string): number {
  const [, digits = '', unit = ''] = /^([0-9]+)([KMGT]?)i?B?$/i.exec(text) ?? [];
  const bytes = Number(digits) * (Object.entries(UNITS).find(([name]) => name === unit.toUpperCase())?.[1] ?? 1);
  if (digits === '' || !Number.isSafeInteger(bytes) || bytes < SMALLEST) throw new InvalidArgumentError(`Expected ${SMALLEST} bytes at least, as 512M or 4G.`);
  return bytes;
}
