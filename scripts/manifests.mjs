/**
 * Writes into each published package what all of them share: author, homepage, bugs, repository,
 * licence and engines as the root's package.json has them, and the version into vfio-core's source.
 * With `--check`, it only compares. Run it after the root's fields or a version have changed.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { ROOT, readJson, workspaces } from './lib.mjs';

const VERSION_FILE = 'packages/vfio-core/src/host/version.ts';

/** Fields of a package.json in the order in which they stand there; what is not named follows. */
const ORDER = ['name', 'version', 'private', 'description', 'keywords', 'homepage', 'bugs', 'repository', 'license', 'author', 'type', 'sideEffects', 'engines', 'bin', 'files', 'exports', 'publishConfig', 'scripts', 'dependencies', 'peerDependencies', 'devDependencies'];

/** The packages that are published. */
export function published() {
  return workspaces().filter(({ manifest }) => manifest.private !== true);
}

/** Whether the repository's owner is still the placeholder. */
export function hasPlaceholderOwner() {
  return readJson(join(ROOT, 'package.json')).repository.url.includes('/OWNER/');
}

/** What the files have to hold: `[path, text]`, paths relative to the root. */
export function wantedFiles() {
  const root = readJson(join(ROOT, 'package.json'));
  const files = published().map(({ dir, manifest }) => {
    const all = {
      ...manifest,
      homepage: `${root.homepage.replace(/#.*$/, '')}/tree/main/${dir}#readme`,
      bugs: root.bugs,
      repository: { ...root.repository, directory: dir },
      license: root.license,
      author: root.author,
      engines: root.engines,
    };
    const rank = (key) => (ORDER.includes(key) ? ORDER.indexOf(key) : ORDER.length);
    const sorted = Object.fromEntries(Object.entries(all).sort(([a], [b]) => rank(a) - rank(b)));
    return [`${dir}/package.json`, `${JSON.stringify(sorted, null, 2)}\n`];
  });
  const { version } = readJson(join(ROOT, 'packages/vfio-core/package.json'));
  return [...files, [VERSION_FILE, `/** The version of the packages, as package.json has it. Written by scripts/manifests.mjs. */\nexport const VERSION = '${version}';\n`]];
}

/** The files that hold something else. */
export function differing() {
  return wantedFiles().filter(([path, text]) => readFileSync(join(ROOT, path), 'utf8') !== text);
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const found = differing();
  if (process.argv.includes('--check')) {
    for (const [path] of found) console.error(`${path} differs: node scripts/manifests.mjs`);
    process.exitCode = found.length === 0 ? 0 : 1;
  } else {
    for (const [path, text] of found) writeFileSync(join(ROOT, path), text);
    console.log(`${found.length} files written`);
  }
}
