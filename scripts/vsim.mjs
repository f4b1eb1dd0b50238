/**
 * `npm run -s vsim -- ARGS`: the vsim command, on the node that runs this file. Paths are those of
 * the folder where npm was called. Results on stdout, everything else on stderr.
 */
import { existsSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const bin = join(root, 'apps/cli/dist/bin.js');
const needed = [
  bin,
  join(root, 'apps/cli/node_modules'),
  ...readdirSync(join(root, 'packages')).map((name) => join(root, 'packages', name, 'dist/index.js')),
];

if (needed.every((path) => existsSync(path))) {
  if (process.env.INIT_CWD !== undefined && existsSync(process.env.INIT_CWD)) process.chdir(process.env.INIT_CWD);
  process.argv[1] = bin;
  await import(pathToFileURL(bin).href);
} else {
  process.stderr.write('vsim: not set up yet: run npm run demo or npm test first\n');
  process.exitCode = 2;
}
