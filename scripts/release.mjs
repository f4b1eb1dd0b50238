/**
 * `npm run release`: publishes what the registry does not have yet, with provenance, from the forge's
 * workflow alone. `npm run release -- --dry-run` packs everything and looks at what would be published.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join, relative, sep } from 'node:path';
import { ROOT, WINDOWS, environment, readJson, run, setUp } from './lib.mjs';
import { differing, hasPlaceholderOwner, published } from './manifests.mjs';
import { packAll } from './tarballs.mjs';

/** What a package's tarball never has in it, by the names of its files. */
const NEVER = /(?:\.test\.[jt]s|\.tsbuildinfo|(?:^|\/)node_modules\/|(?:^|\/)\.[^/]+)$/;
/** Code and words, in which machines' paths could be. */
const TEXT = /\.(?:m?js|ts|json|md|map)$/;

const dry = process.argv.includes('--dry-run');
if (!dry && process.env.GITHUB_ACTIONS !== 'true') {
  console.error('release: only the workflow publishes, so that what is published has its provenance; here: npm run release -- --dry-run');
  process.exit(2);
}
setUp();
const problems = differing().map(([path]) => `${path} is not what scripts/manifests.mjs writes`);
if (!dry && hasPlaceholderOwner()) problems.push('the repository in package.json has no owner yet: CONTRIBUTING.md, Releases');

const temp = mkdtempSync(join(tmpdir(), 'vsim-release-'));
try {
  const tarballs = packAll(temp);
  for (const each of published()) look(each, tarballs.get(each.name));
  if (dry || problems.length > 0) report();
  else for (const each of published()) publish(each, tarballs.get(each.name));
} finally {
  rmSync(temp, { recursive: true, force: true });
}

/** What is wrong with a tarball; a line of what is in it. */
function look({ dir, name, manifest }, tarball) {
  const folder = join(temp, 'look', name);
  const files = unpack(tarball, folder);
  const has = new Set(files.map(({ path }) => path));
  const wrong = (what) => problems.push(`${name}: ${what}`);
  const { version } = manifest;

  for (const file of ['README.md', 'CHANGELOG.md', 'LICENSE', 'package.json']) if (!has.has(file)) wrong(`no ${file} in its tarball`);
  for (const field of ['description', 'keywords', 'homepage', 'bugs', 'repository', 'author', 'license', 'engines']) if (manifest[field] === undefined) wrong(`no "${field}" in package.json`);
  if (has.has('CHANGELOG.md') && !readFileSync(join(folder, 'CHANGELOG.md'), 'utf8').includes(`\n## ${version}\n`)) wrong(`CHANGELOG.md does not tell of ${version}`);
  if (manifest.scripts.prepack === undefined) wrong('no "prepack" that builds');

  const packed = readJson(join(folder, 'package.json'));
  const told = [packed.bin, packed.exports].flatMap(targets);
  for (const target of told) if (!has.has(target.replace('./', ''))) wrong(`package.json names ${target}, which is not in its tarball`);
  if (JSON.stringify(packed).includes('workspace:')) wrong('package.json has a "workspace:" range');
  for (const { path, full } of files) {
    if (NEVER.test(path)) wrong(`${path} is in its tarball`);
    else if (TEXT.test(path) && [ROOT, `${homedir()}${sep}`].some((place) => place.length > 2 && readFileSync(full, 'utf8').includes(place))) wrong(`${path} has a path of this machine in it`);
  }
  const bytes = files.reduce((sum, { full }) => sum + statSync(full).size, 0);
  console.log(`${`${name}@${version}`.padEnd(28)} ${String(files.length).padStart(5)} files ${String(Math.round(bytes / 1024)).padStart(6)} KiB unpacked ${String(Math.round(statSync(tarball).size / 1024)).padStart(6)} KiB packed  ${dir}`);
}

/** All files that a "bin" or "exports" leads to. */
function targets(field) {
  if (field === undefined) return [];
  return typeof field === 'string' ? [field] : Object.values(field).flatMap(targets);
}

/** Unpacks a tarball, and lists its files. Windows has tar as well. */
function unpack(tarball, folder) {
  mkdirSync(folder, { recursive: true });
  const done = spawnSync('tar', ['-xzf', tarball, '--strip-components=1', '-C', folder], { encoding: 'utf8' });
  if (done.status !== 0) throw new Error(`${tarball}: ${done.error?.message ?? done.stderr}`);
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .map((full) => ({ full, path: relative(folder, full).split(sep).join('/') }));
}

/** Gives a tarball to the registry, unless it has that version. */
function publish({ name, manifest }, tarball) {
  const known = spawnSync('npm', ['view', `${name}@${manifest.version}`, 'version'], { encoding: 'utf8', env: environment(), shell: WINDOWS });
  if (known.status === 0 && known.stdout.trim() === manifest.version) {
    console.log(`${name}@${manifest.version} is there`);
    return;
  }
  const status = run('npm', ['publish', tarball, '--provenance', '--access', 'public']);
  if (status !== 0) {
    console.error(`release: ${name} was not published`);
    process.exitCode = status;
  }
}

function report() {
  for (const problem of problems) console.error(`FAILED  ${problem}`);
  if (hasPlaceholderOwner()) console.log('note    the repository in package.json has no owner yet: nothing is published before it has one');
  console.log(problems.length === 0 ? 'release: what would be published is well' : `release: ${problems.length} problems`);
  process.exitCode = problems.length === 0 ? 0 : 1;
}
