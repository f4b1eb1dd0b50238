/**
 * apps/cli/bundle: the `vsim` command as it is published, with everything that it imports and without
 * recordings, but for the machine that `vsim demo` and `vsim lspci` show. The conformance code is a
 * part of its own, loaded when a command needs it.
 */
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT, readJson } from './lib.mjs';

const APP = join(ROOT, 'apps', 'cli');
const OUT = join(APP, 'bundle');
const MACHINE = join('recordings', 'vfio', 'host.json.gz');

const { build } = await import('vite');
rmSync(OUT, { recursive: true, force: true });
await build({
  configFile: false,
  root: APP,
  logLevel: 'warn',
  resolve: { conditions: ['@vsim/source'] },
  ssr: { noExternal: true, target: 'node', resolve: { conditions: ['@vsim/source'] } },
  build: {
    ssr: 'src/bin.ts',
    outDir: OUT,
    target: 'node20',
    minify: false,
    // recordings/ lies beside the part that reads it, as it does in apps/conformance.
    rolldownOptions: { output: { entryFileNames: 'vsim.mjs', chunkFileNames: ({ name }) => `parts/${name === 'src' ? 'conformance' : name === 'read-text' ? 'model' : name}.mjs` } },
  },
});
cpSync(join(ROOT, 'apps', 'conformance', MACHINE), join(OUT, MACHINE));

const { version } = readJson(join(APP, 'node_modules', 'commander', 'package.json'));
const licence = readFileSync(join(APP, 'node_modules', 'commander', 'LICENSE'), 'utf8');
mkdirSync(OUT, { recursive: true });
writeFileSync(join(OUT, 'THIRD-PARTY.txt'), `vsim.mjs has commander ${version} in it:\n\n${licence}`);
