/**
 * `npm run bench NAME…`: runs bench/NAME.ts under the bundled node; all of them without a name. Exit 1 if a bound that one states does not hold.
 * `--slack N`: a value may be N times its bound.
 *
 * They run as JavaScript on the built packages, as users do. A process that strips types itself loses an ArrayBuffer by it, and from then on V8 looks for
 * that at each access of a typed array, in the floor and in what stands on it.
 */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { parseArgs } from 'node:util';
import { pathToFileURL } from 'node:url';
import { ROOT, bundledNode, run, setUp } from '../scripts/lib.mjs';

const SOURCE = join(ROOT, 'bench');
const OUT = join(ROOT, 'node_modules', '.cache', 'vsim', 'bench');
const NAMES = ['gic', 'vgic', 'vfio', 'vfio-user', 'doctor'];

const { values, positionals } = parseArgs({ allowPositionals: true, options: { slack: { type: 'string', default: '1' } } });
if (positionals.some((name) => !NAMES.includes(name)) || !(Number(values.slack) >= 1)) {
  console.error(`bench: expected names of ${NAMES.join(', ')}, and a slack of at least 1`);
  process.exit(2);
}
setUp();
await compile();
for (const name of positionals.length > 0 ? positionals : NAMES) {
  const status = run(bundledNode(), ['--max-old-space-size=3072', join(OUT, `${name}.mjs`), values.slack]);
  if (status !== 0) process.exitCode = status;
}

/** Each file of bench/ as JavaScript, on what the packages and apps were built to. */
async function compile() {
  // Not before the set-up, which installs it.
  const { default: ts } = await import('typescript');
  mkdirSync(OUT, { recursive: true });
  for (const file of readdirSync(SOURCE).filter((name) => name.endsWith('.ts'))) {
    const { outputText } = ts.transpileModule(readFileSync(join(SOURCE, file), 'utf8'), {
      compilerOptions: { target: ts.ScriptTarget.ESNext, module: ts.ModuleKind.ESNext },
    });
    const linked = outputText
      .replaceAll(/'\.\.\/((?:packages|apps)\/[\w-]+)\/src\/((?:node\/)?index)\.ts'/g, (_import, room, file) => `'${pathToFileURL(join(ROOT, room, 'dist', `${file}.js`)).href}'`)
      .replaceAll(/'(\.\/[\w-]+)\.ts'/g, "'$1.mjs'");
    writeFileSync(join(OUT, `${basename(file, '.ts')}.mjs`), linked);
  }
}
