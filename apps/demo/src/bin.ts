#!/usr/bin/env node
/** The bin `vsim`. */
import { main } from './cli.ts';

const lines: string[] = [];
process.exitCode = main(process.argv.slice(2), {
  out: (line) => lines.push(`${line}\n`),
  err: (line) => {
    process.stderr.write(`${line}\n`);
  },
  progress: (text) => {
    if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
  },
  cwd: process.cwd(),
});
process.stdout.write(lines.join(''));
