/** The packages as they would be published: packed, and put into an empty folder as somebody who has only them would. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT, WINDOWS, environment } from './lib.mjs';
import { published } from './manifests.mjs';

/** No registry is asked, nothing is run, nothing is told. */
export const OFFLINE = ['--offline', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'];

/** Packs one package into a folder of its own under `into`: `{ tarball }`, or `{ problem }`. */
export function pack({ dir, name }, into) {
  const out = join(into, name.replace('@vsim/', ''));
  mkdirSync(out, { recursive: true });
  const done = spawnSync('pnpm', ['pack', '--pack-destination', out], { cwd: join(ROOT, dir), encoding: 'utf8', env: environment(), shell: WINDOWS });
  if (done.status !== 0) return { problem: done.error?.message ?? `${done.stdout}${done.stderr}` };
  return { tarball: join(out, readdirSync(out)[0]) };
}

/** All tarballs, by the names of the packages. @throws Error for one that cannot be packed */
export function packAll(into) {
  const tarballs = new Map();
  for (const each of published()) {
    const { tarball, problem } = pack(each, into);
    if (tarball === undefined) throw new Error(`${each.name} cannot be packed: ${problem}`);
    tarballs.set(each.name, tarball);
  }
  return tarballs;
}

/** Makes a folder with these tarballs installed, and nothing else. What npm said if it could not, or undefined. */
export function installInto(folder, tarballs) {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'package.json'), '{ "private": true, "type": "module" }\n');
  const done = spawnSync('npm', ['install', ...OFFLINE, ...tarballs], { cwd: folder, encoding: 'utf8', env: environment(), shell: WINDOWS });
  return done.status === 0 ? undefined : (done.error?.message ?? `${done.stdout}${done.stderr}`);
}
