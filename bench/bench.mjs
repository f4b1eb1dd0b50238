/** `npm run bench NAME`: runs bench/NAME.ts from source, under the bundled node. Exit 1 if a bound that it states does not hold. */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT, bundledNode, install, run } from '../scripts/lib.mjs';

const names = readdirSync(join(ROOT, 'bench')).filter((file) => file.endsWith('.ts')).map((file) => file.slice(0, -3));
const [name] = process.argv.slice(2);
if (name === undefined || !existsSync(join(ROOT, 'bench', `${name}.ts`))) {
  console.error(`bench: expected one of ${names.join(', ')}`);
  process.exit(2);
}
install();
process.exitCode = run(bundledNode(), ['--conditions=@vsim/source', '--max-old-space-size=3072', join(ROOT, 'bench', `${name}.ts`)]);
