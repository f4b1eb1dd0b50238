/**
 * The @vsim packages of this command for files that it loads: whatever is installed beside them, a device and its server have one vfio-core, and need not
 * install it.
 */
import * as module from 'node:module';
import { fileURLToPath } from 'node:url';
import * as core from '@vsim/vfio-core';
import * as devices from '@vsim/devices';
import * as gic from '@vsim/gic-its';
import * as mdev from '@vsim/mdev';
import * as fslmc from '@vsim/vfio-fslmc';
import * as pci from '@vsim/vfio-pci';
import * as platform from '@vsim/vfio-platform';
import * as user from '@vsim/vfio-user';

const PACKAGES: Readonly<Record<string, object>> = {
  '@vsim/vfio-core': core,
  '@vsim/devices': devices,
  '@vsim/gic-its': gic,
  '@vsim/mdev': mdev,
  '@vsim/vfio-fslmc': fslmc,
  '@vsim/vfio-pci': pci,
  '@vsim/vfio-platform': platform,
  '@vsim/vfio-user': user,
};
/** Where the modules that stand for them find them. */
const KEY = 'vsim.packages';
/** Of the URL of an author's file: how often it was read. What it imports is read as often. */
const GENERATION = /\?vsim=\d+$/;

const files = new Set<string>();
let given = false;

/** The files that were loaded from an author's file on, itself among them. Node 22.15 and later. */
export function filesLoaded(): readonly string[] {
  return [...files];
}

/** From now on, in this thread, who imports an @vsim package gets that of this command. @param loader Node's, which before 22.15 has no registerHooks */
export function givePackages(loader: Partial<typeof module> = module): void {
  if (given) return;
  given = true;
  Object.defineProperty(globalThis, Symbol.for(KEY), { value: PACKAGES });
  const urls = new Map(Object.entries(PACKAGES).map(([name, exports]) => [name, moduleFor(name, Object.keys(exports))]));
  // Before Node 22.15 the hooks are in a thread of their own, and a file that another imports is read once.
  const { registerHooks } = loader;
  if (registerHooks === undefined) {
    module.register(`data:text/javascript,${encodeURIComponent(OLD_HOOKS)}`, { data: Object.fromEntries(urls) });
    return;
  }
  registerHooks({
    resolve: (specifier, context, next) => {
      const url = urls.get(specifier);
      if (url !== undefined) return { url, shortCircuit: true };
      const found = next(specifier, context);
      const generation = GENERATION.exec(context.parentURL ?? '')?.[0] ?? GENERATION.exec(found.url)?.[0];
      if (generation === undefined || !found.url.startsWith('file:') || found.url.includes('/node_modules/')) return found;
      files.add(fileURLToPath(found.url));
      return GENERATION.test(found.url) ? found : { ...found, url: found.url + generation };
    },
  });
}

/** A module that exports what a package does, as a URL. */
function moduleFor(name: string, exports: readonly string[]): string {
  return `data:text/javascript,${encodeURIComponent(`export const { ${exports.join(', ')} } = globalThis[Symbol.for('${KEY}')]['${name}'];`)}`;
}

const OLD_HOOKS = `
let urls = {};
export function initialize(data) { urls = data; }
export function resolve(specifier, context, next) {
  return specifier in urls ? { url: urls[specifier], shortCircuit: true } : next(specifier, context);
}`;
