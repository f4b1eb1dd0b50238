/** `npm run soak -- all|NAME... [--inputs N] [--seed S]`: runs doors of the fuzzers (test/doors.ts of each package) from source for long. */
import { join } from 'node:path';
import { ROOT, bundledNode, install, run } from './lib.mjs';

install();
process.exitCode = run(bundledNode(), ['--conditions=@vsim/source', join(ROOT, 'testing/soak.ts'), ...process.argv.slice(2)]);
