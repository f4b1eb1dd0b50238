/** `vsim capture`. */
import { resolve } from 'node:path';
import type { Command } from 'commander';
import type { Context } from '../context.ts';
import { socketAt } from '../serve/listen-at.ts';
import { runWorker } from '../serve/run-worker.ts';

interface CaptureOptions {
  readonly socket: string;
  readonly to: string;
}

export function addCapture(program: Command, { io, later }: Context): void {
  program
    .command('capture')
    .summary('records what a client and a server of vfio-user say')
    .description('Stands between a client of the vfio-user protocol, as QEMU, and its server, and records their messages until Ctrl-C. vsim replay --device says the client\'s side again to a device.')
    .argument('<file>', 'the recording, as JSON Lines: a line for each message')
    .requiredOption('--socket <path>', 'where clients connect, at most 107 bytes, or fd:N, a socket that listens already and was passed to this command')
    .requiredOption('--to <path>', 'where the server listens')
    .addHelpText('after', '\nExample:\n  vsim capture talk.jsonl --socket /tmp/between.sock --to /tmp/nvme.sock')
    .action((file: string, { socket, to }: CaptureOptions) => {
      const whole = (path: string): string => resolve(io.cwd, path);
      later(() => runWorker({ job: 'capture', file: whole(file), shownFile: file, at: socketAt(io.cwd, socket), shownAt: socket, to: whole(to), shownTo: to }, io));
    });
}
