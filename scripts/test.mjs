/**
 * `npm test` and `npm run test:long`: sets everything up and runs the tests under the bundled node.
 *
 * VSIM_RUNS is how many programs a random test tries (20; 1000 in the long run), VSIM_SEED where it
 * starts (1). The long run also takes the files *.long.test.ts. Other arguments go to vitest.
 */
import { join } from 'node:path';
import { ROOT, bundledNode, environment, run, setUp } from './lib.mjs';

const long = process.argv.includes('--long');
const rest = process.argv.slice(2).filter((argument) => argument !== '--long');
const runs = process.env.VSIM_RUNS ?? (long ? '1000' : '20');
const seed = process.env.VSIM_SEED ?? '1';

setUp();
console.error(`vsim: random tests: VSIM_RUNS=${runs} VSIM_SEED=${seed}`);
const results = join(ROOT, 'node_modules', '.cache', 'vsim', long ? 'test-long.json' : 'test.json');
process.exitCode = run(
  bundledNode(),
  [
    join(ROOT, 'node_modules/vitest/vitest.mjs'),
    'run',
    '--reporter=default',
    '--reporter=json',
    `--outputFile.json=${results}`,
    ...rest,
  ],
  { env: environment({ VSIM_RUNS: runs, VSIM_SEED: seed, VSIM_LONG: long ? '1' : '' }) },
);
