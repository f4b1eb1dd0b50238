/** `npm run demo`: sets everything up and runs `vsim demo`; arguments are passed on. */
import { join } from 'node:path';
import { ROOT, run, setUp } from './lib.mjs';

setUp();
process.exitCode = run(process.execPath, [join(ROOT, 'apps/cli/dist/bin.js'), 'demo', ...process.argv.slice(2)]);
