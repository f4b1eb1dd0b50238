#!/usr/bin/env node
/** The bin `vsim`. */
import { fstatSync } from 'node:fs';
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

const lines: string[] = [];
const args = process.argv.slice(2);
const recordings = needsRecordings(args) ? await import('@vsim/conformance') : undefined;
const io: Io = {
  out: (line) => lines.push(`${line}\n`),
  err: (line) => {
    process.stderr.write(`${line}\n`);
  },
  progress: (text) => {
    if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
  },
  now: () => performance.now(),
  cwd: currentFolder(),
  piped: isPiped(),
  columns: process.stdout.isTTY ? process.stdout.columns : undefined,
  colors: process.stdout.isTTY && (process.env['NO_COLOR'] ?? '') === '',
};
process.exitCode = main(args, io, recordings);
// Even a write of nothing fails on a disk that is full.
if (lines.length > 0) process.stdout.write(lines.join(''));
