/**
 * docs/sizes.md: bytes of what a bundler makes of a program that uses a little, more, or all of the
 * packages. With `--check`, a bundle more than a tenth larger than the table is a failure, unless a
 * changeset that is not yet released says "bundle size"; one a tenth smaller asks for a new table.
 */
import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { ROOT, setUp } from './lib.mjs';
import { published } from './manifests.mjs';

/** A tenth more or less is looked at. */
const MARGIN = 1.1;
const TABLE = join(ROOT, 'docs', 'sizes.md');
const WORK = join(ROOT, 'apps', 'cli', 'node_modules', '.sizes');

/** Programs, from one name to everything. What nothing uses must not be in a bundle. */
const PROGRAMS = [
  ['one constant', `import { VFIO_TYPE1v2_IOMMU } from '@vsim/vfio-core'; console.log(VFIO_TYPE1v2_IOMMU);`],
  ['lspci, parsed', `import { parseLspci } from '@vsim/vfio-pci'; console.log(parseLspci('').length);`],
  ['`vsim groups`', `import { examine, readPaste } from '@vsim/doctor'; console.log(readPaste, examine);`],
  ['`Host` and `Process`', `import { Host, Process } from '@vsim/vfio-core'; console.log(Host, Process);`],
  ['a VMM', `import { VirtualMachine, migrate } from '@vsim/vmm'; console.log(VirtualMachine, migrate);`],
  [
    'all packages',
    published()
      .filter(({ dir }) => dir.startsWith('packages/'))
      .map(({ name }, n) => `import * as all${n} from '${name}'; console.log(all${n});`)
      .join('\n'),
  ],
];

setUp();
const { build } = await import('vite');
const check = process.argv.includes('--check');
/** The entry of each package, also of those that the command does not have. */
const alias = published()
  .filter(({ dir }) => dir.startsWith('packages/'))
  .map(({ name, dir }) => ({ find: new RegExp(`^${name}$`), replacement: join(ROOT, dir, 'dist', 'index.js') }));
const rows = [];
mkdirSync(WORK, { recursive: true });
for (const [name, text] of PROGRAMS) {
  const entry = join(WORK, 'entry.mjs');
  writeFileSync(entry, text);
  const { output } = await build({
    configFile: false,
    root: WORK,
    logLevel: 'error',
    resolve: { alias },
    build: { write: false, target: 'es2023', minify: 'oxc', lib: { entry, formats: ['es'], fileName: 'bundle' } },
  }).then((results) => [results].flat()[0]);
  const code = output.map((chunk) => chunk.code).join('');
  rows.push([name, Buffer.byteLength(code), gzipSync(code).length]);
}
rmSync(WORK, { recursive: true });

const told = new Map([...readTable().matchAll(/^\| (.+?) +\| +(\d+) \|/gm)].map(([, name, bytes]) => [name, Number(bytes)]));
const problems = rows.flatMap(([name, bytes]) => problem(name, bytes, told.get(name)));
for (const [name, bytes, packed] of rows) console.log(`${name.padEnd(22)} ${String(bytes).padStart(8)} bytes, ${packed} with gzip`);
for (const each of problems) console.error(each);
if (check) process.exitCode = problems.length === 0 ? 0 : 1;
else writeFileSync(TABLE, table());

function problem(name, bytes, before) {
  if (before === undefined) return [`${name}: docs/sizes.md does not have it: npm run sizes`];
  if (bytes * MARGIN < before) return [`${name}: ${bytes} bytes, a tenth less than the ${before} of docs/sizes.md: npm run sizes`];
  if (bytes <= before * MARGIN || isAllowed()) return [];
  return [`${name}: ${bytes} bytes, more than a tenth above the ${before} of docs/sizes.md; if that must be, a changeset says "bundle size" and why`];
}

function isAllowed() {
  const folder = join(ROOT, '.changeset');
  return readdirSync(folder).some((file) => file.endsWith('.md') && /bundle size/i.test(readFileSync(join(folder, file), 'utf8')));
}

function readTable() {
  try {
    return readFileSync(TABLE, 'utf8');
  } catch {
    return '';
  }
}

function table() {
  return `# Sizes

What a bundler (vite, minified, ES2023) makes of a program that imports this and nothing else. Written by \`npm run sizes\`;
CI compares, and a bundle that grows by more than a tenth needs a changeset that says "bundle size" and why.

| what is imported       |    bytes | with gzip |
| ---------------------- | -------: | --------: |
${rows.map(([name, bytes, packed]) => `| ${name.padEnd(22)} | ${String(bytes).padStart(8)} | ${String(packed).padStart(9)} |`).join('\n')}
`;
}
