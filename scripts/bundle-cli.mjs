/**
 * apps/cli/bundle: the `vsim` command as it is published, with everything that it imports and without
 * recordings, but for the machine that `vsim demo` and `vsim lspci` show, and beside it the page that `vsim groups --html` writes. The conformance code is a
 * part of its own, loaded when a command needs it.
 */
import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join, sep } from 'node:path';
import { ROOT, readJson } from './lib.mjs';

const APP = join(ROOT, 'apps', 'cli');
const OUT = join(APP, 'bundle');
const PAGE = join(ROOT, 'apps', 'web', 'dist', 'doctor.html');
const MACHINE = join('recordings', 'vfio', 'host.json.gz');

const { build } = await import('vite');
rmSync(OUT, { recursive: true, force: true });
const built = await build({
  configFile: false,
  root: APP,
  logLevel: 'warn',
  resolve: { conditions: ['@vsim/source'] },
  ssr: { noExternal: true, external: ['koffi'], target: 'node', resolve: { conditions: ['@vsim/source'] } },
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
if (!existsSync(PAGE)) throw new Error('the page of the doctor was not built: npm run build');
cpSync(PAGE, join(OUT, 'doctor.html'));

mkdirSync(OUT, { recursive: true });
writeFileSync(join(OUT, 'THIRD-PARTY.txt'), thirdParty([built].flat().flatMap(({ output }) => output)));

/** What of others is in the bundle, and by which licence. */
function thirdParty(chunks) {
  const libraries = new Map();
  for (const file of chunks.flatMap(({ moduleIds = [] }) => moduleIds)) {
    const root = /^.*[\\/]node_modules[\\/](?:@[^\\/]+[\\/])?[^\\/]+/.exec(file)?.[0];
    if (root !== undefined && existsSync(file)) libraries.set(root, [...(libraries.get(root) ?? []), file]);
  }
  return [...libraries.entries()].sort().map(([root, files]) => licenceOf(root, files)).join(`\n${'='.repeat(78)}\n\n`);
}

/** A library's own file; one that brings none has notices in its sources, and a licence whose text is beside. */
function licenceOf(root, files) {
  const { name, version, license } = readJson(join(root, 'package.json'));
  const title = `vsim.mjs has ${name} ${version} in it (${license}):`;
  const file = readdirSync(root).find((each) => /^LICEN[CS]E/i.test(each));
  if (file !== undefined) return `${title}\n\n${readFileSync(join(root, file), 'utf8').trim()}\n`;
  const notices = [...new Set(files.map((each) => /^(?:\/\/.*\n)+/.exec(readFileSync(each, 'utf8'))?.[0] ?? ''))].filter((notice) => notice.includes('Copyright'));
  if (notices.length === 0 || !license.includes('Apache-2.0')) throw new Error(`${root.split(sep).slice(-2).join('/')}: no licence to be found`);
  return `${title}\n\nThe text of the Apache License 2.0 is that of the file LICENSE of this package.\n\n${notices.map((notice) => notice.replaceAll(/^\/\/ ?/gm, '')).join('\n')}`;
}
