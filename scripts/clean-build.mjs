/** The build of one package, from its folder: dist/ anew, by tsc. Of no shell, so that it runs wherever Node does. */
import { spawnSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

rmSync('dist', { recursive: true, force: true });
const require = createRequire(import.meta.url);
const manifest = require.resolve('typescript7/package.json');
const tsc = join(dirname(manifest), require(manifest).bin.tsc);
process.exitCode = spawnSync(process.execPath, [tsc, '-p', 'tsconfig.build.json'], { stdio: 'inherit' }).status ?? 1;
