#!/usr/bin/env node
/** The bin `vsim`, and the module that its workers start from. */
import { fstatSync } from 'node:fs';
import { isMainThread } from 'node:worker_threads';
import { EXIT, type Io } from './io.ts';
import { main, needsRecordings } from './main.ts';

// Who reads no further is told no more; a disk that is full is told of where that can be.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') return;
  process.stderr.write(`vsim: standard output: ${error.code ?? error.message}\n`);
  process.exitCode = EXIT.usage;
});
process.stderr.on('error', () => undefined);

/** Where one is. A folder that was deleted has no name any more, and nothing in it. */
function currentFolder(): string {
  try {
    return process.cwd();
  } catch {
    return '/proc/self/cwd';
  }
}

/** Whether standard input is a pipe or a file. A terminal is none, and neither is /dev/null, which scripts give. */
function isPiped(): boolean {
  try {
    const stdin = fstatSync(0);
    return stdin.isFIFO() || stdin.isFile() || stdin.isSocket();
  } catch {
    return false;
  }
}

const USUAL_COLUMNS = 80;

/** The command, in the main thread. */
async function command(): Promise<void> {
  const lines: string[] = [];
  const args = process.argv.slice(2);
  const recordings = needsRecordings(args) ? await import('@vsim/conformance') : undefined;
  const io: Io = {
    out: (line) => lines.push(`${line}\n`),
    write: (text) => { process.stdout.write(text); },
    err: (line) => {
      process.stderr.write(`${line}\n`);
    },
    progress: (text) => {
      const { stderr } = process;
      if (!stderr.isTTY) return;
      stderr.cursorTo(0);
      stderr.clearLine(1);
      // One line: what is longer than the terminal would go on to a second, which nobody clears.
      stderr.write(text.slice(0, (stderr.columns || USUAL_COLUMNS) - 1));
    },
    now: () => performance.now(),
    cwd: currentFolder(),
    piped: isPiped(),
    columns: process.stdout.isTTY ? process.stdout.columns : undefined,
    colors: process.stdout.isTTY && (process.env['NO_COLOR'] ?? '') === '',
    bin: new URL(import.meta.url),
  };
  process.exitCode = await main(args, io, recordings);
  // Even a write of nothing fails on a disk that is full.
  if (lines.length > 0) process.stdout.write(lines.join(''));
}

if (isMainThread) await command();
else await (await import('./serve/job.ts')).doJob();
