/** `node --import scripts/workspace-packages.mjs FILE`: @vsim packages are those of the working tree, from source, wherever FILE lies. */
import { existsSync } from 'node:fs';
import { registerHooks } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { ROOT } from './lib.mjs';

registerHooks({
  resolve(specifier, context, next) {
    const [, folder, rest = ''] = /^@vsim\/([^/]+)(\/testing|\/node)?$/.exec(specifier) ?? [];
    const file = folder === undefined ? undefined : join(ROOT, 'packages', folder, 'src', rest, 'index.ts');
    return file !== undefined && existsSync(file) ? next(pathToFileURL(file).href, context) : next(specifier, context);
  },
});
