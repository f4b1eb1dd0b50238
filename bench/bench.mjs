/**
 * `npm run bench NAME…`: runs bench/NAME.ts from source, under the bundled node; all of them without a name. Exit 1 if a bound that one states does not hold.
 * `--slack N`: a value may be N times its bound.
 */
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { ROOT, bundledNode, install, run } from '../scripts/lib.mjs';

const NAMES = ['gic', 'vgic', 'vfio'];
const { values, positionals } = parseArgs({ allowPositionals: true, options: { slack: { type: 'string', default: '1' } } });
if (positionals.some((name) => !NAMES.includes(name)) || !(Number(values.slack) >= 1)) {
  console.error(`bench: expected names of ${NAMES.join(', ')}, and a slack of at least 1`);
  process.exit(2);
}
install();
for (const name of positionals.length > 0 ? positionals : NAMES) {
  const status = run(bundledNode(), ['--conditions=@vsim/source', '--max-old-space-size=3072', join(ROOT, 'bench', `${name}.ts`), values.slack]);
  if (status !== 0) process.exitCode = status;
}
