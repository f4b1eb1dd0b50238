/** `node scripts/house.mjs PROGRAM ARGS...`: installs what is missing, then runs one of the repository's tools. */
import { join } from 'node:path';
import { ROOT, install, run } from './lib.mjs';

const [program, ...args] = process.argv.slice(2);
install();
process.exitCode = run(join(ROOT, 'node_modules', '.bin', program), args);
