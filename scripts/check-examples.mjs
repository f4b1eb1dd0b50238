/**
 * Runs each example as a stranger would: its folder copied to where nothing else is, the packed packages
 * and what it wants from the registry installed by `npm install`, `npm start`; then the same program on
 * every runtime below. What it prints is compared with its output.txt. Examples with tests run those. The
 * guides' programs run likewise.
 *
 * `--only NAME` runs one. A runtime that the registry does not have for this machine is told and left out.
 */
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { ROOT, WINDOWS, environment, readJson, setUp } from './lib.mjs';
import { guidePrograms, outputProblem } from './readme.mjs';
import { packAll } from './tarballs.mjs';

const CACHE = join(ROOT, 'node_modules', '.cache', 'vsim', 'runtimes');
const SYSTEM = { linux: 'linux', darwin: 'darwin', win32: 'win' }[process.platform];
const EXE = WINDOWS ? '.exe' : '';
const OTHERS = { deno: { linux: `@deno/${process.platform}-${process.arch}-glibc`, darwin: `@deno/darwin-${process.arch}`, win: `@deno/win32-${process.arch}` }, bun: { linux: `@oven/bun-linux-${process.arch === 'arm64' ? 'aarch64' : process.arch}`, darwin: `@oven/bun-darwin-${process.arch === 'arm64' ? 'aarch64' : process.arch}`, win: `@oven/bun-windows-${process.arch}` } };

/** Name, package of the registry, program in it, and how it runs a file of TypeScript. */
const RUNTIMES = [
  ...['20.20.2', '22.22.3', '24.21.0'].map((version) => ({ name: `node ${version}`, from: `node-${SYSTEM}-${process.arch}@${version}`, file: WINDOWS ? 'bin/node.exe' : 'bin/node', run: (folder) => [join(folder, 'node_modules/tsx/dist/cli.mjs'), 'main.ts'] })),
  { name: 'deno', from: `${OTHERS.deno[SYSTEM]}@2.9.6`, file: `deno${EXE}`, run: () => ['run', '-A', '--no-lock', '--node-modules-dir=manual', 'main.ts'] },
  { name: 'bun', from: `${OTHERS.bun[SYSTEM]}@1.4.5`, file: `bin/bun${EXE}`, run: () => ['run', 'main.ts'] },
];

/** Examples that need what only Node has, and why. */
const NODE_ALONE = { 'gic-remote': 'it gives a socket to a child as its stdin' };

setUp();
const only = process.argv[process.argv.indexOf('--only') + 1];
const names = readdirSync(join(ROOT, 'examples')).filter((name) => existsSync(join(ROOT, 'examples', name, 'package.json')) && (!process.argv.includes('--only') || name === only));
const runtimes = RUNTIMES.map(provided).filter((runtime) => runtime !== undefined);
let failures = names.length === 0 ? 1 : 0;
let runs = 0;

const temp = mkdtempSync(join(tmpdir(), 'vsim-examples-'));
try {
  const tarballs = packAll(join(temp, 'tarballs'));
  for (const name of names) checkExample(name, tarballs);
  if (!process.argv.includes('--only')) checkGuides(tarballs);
} finally {
  rmSync(temp, { recursive: true, force: true });
}
console.log(`${names.length} examples and the guides, ${runs} runs on ${runtimes.map(({ name }) => name).join(', ')}: ${failures === 0 ? 'all as told' : `${failures} failed`}`);
process.exitCode = failures === 0 ? 0 : 1;

function checkExample(name, tarballs) {
  const folder = join(temp, name);
  cpSync(join(ROOT, 'examples', name), folder, { recursive: true });
  const manifest = readJson(join(folder, 'package.json'));
  for (const wanted of Object.keys(manifest.dependencies)) manifest.dependencies[wanted] = `file:${tarballs.get(wanted)}`;
  writeFileSync(join(folder, 'package.json'), JSON.stringify(manifest));
  if (!report(`${name}: npm install`, ran('npm', ['install', '--no-audit', '--no-fund', '--loglevel=error', '--prefer-offline'], folder, { shell: WINDOWS }))) return;
  const output = readFileSync(join(folder, 'output.txt'), 'utf8');
  report(`${name}: npm start`, ran('npm', ['--silent', 'start'], folder, { shell: WINDOWS, output }));
  for (const { name: runtime, program, run, env } of runtimes) {
    if (!runtime.startsWith('node') && name in NODE_ALONE) continue;
    report(`${name}: ${runtime}`, ran(program, run(folder), folder, { output, env }));
    const vitest = join(folder, 'node_modules/vitest/vitest.mjs');
    if (runtime.startsWith('node') && existsSync(vitest)) report(`${name}: its tests, ${runtime}`, ran(program, [vitest, 'run'], folder, { env }));
  }
}

/** The guides' programs, all in one folder: the text of each stands in its page, and so does what it prints. */
function checkGuides(tarballs) {
  const folder = join(temp, 'guides');
  mkdirSync(folder, { recursive: true });
  const dependencies = Object.fromEntries([...tarballs].map(([name, tarball]) => [name, `file:${tarball}`]));
  const { devDependencies } = readJson(join(ROOT, 'examples', names[0], 'package.json'));
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ private: true, type: 'module', dependencies, devDependencies }));
  if (!report('guides: npm install', ran('npm', ['install', '--no-audit', '--no-fund', '--loglevel=error', '--prefer-offline'], folder, { shell: WINDOWS }))) return;
  const programs = guidePrograms();
  if (programs.length === 0) report('guides: programs', 'none');
  for (const { name, file, output } of programs) {
    cpSync(file, join(folder, 'main.ts'));
    for (const { name: runtime, program, run, env } of runtimes) report(`guides: ${name}, ${runtime}`, ran(program, run(folder), folder, { output, env }));
  }
}

/** What went wrong with a program, or undefined. */
function ran(program, args, cwd, { output, env = environment(), shell = false } = {}) {
  const done = spawnSync(program, args, { cwd, encoding: 'utf8', env, shell, timeout: 120_000 });
  if (done.error) return done.error.message;
  return done.status === 0 ? outputProblem(output, done.stdout) : `exit code ${done.status ?? done.signal}\n${done.stdout}${done.stderr}`;
}

function report(title, problem) {
  runs += 1;
  if (problem !== undefined) failures += 1;
  console.log(problem === undefined ? `ok      ${title}` : `FAILED  ${title}: ${problem}`);
  return problem === undefined;
}

/** A runtime from the registry, fetched once into a folder that is kept; undefined, and a line, if it cannot be had. */
function provided(runtime) {
  const home = join(CACHE, runtime.name.replace(' ', '-'));
  const [, name, version] = /^(.+)@([^@]+)$/.exec(runtime.from);
  const program = join(home, 'node_modules', name, runtime.file);
  if (!existsSync(program) || readJson(join(home, 'node_modules', name, 'package.json')).version !== version) {
    mkdirSync(home, { recursive: true });
    writeFileSync(join(home, 'package.json'), '{ "private": true }\n');
    const problem = ran('npm', ['install', '--no-audit', '--no-fund', '--loglevel=error', '--ignore-scripts', '--save-exact', runtime.from], home, { shell: WINDOWS });
    if (problem !== undefined || !existsSync(program)) {
      console.log(`note    no ${runtime.name}: ${problem ?? `${runtime.from} has no ${runtime.file}`}`);
      return undefined;
    }
  }
  return { ...runtime, program, env: { ...environment(), PATH: [dirname(program), process.env.PATH].join(delimiter) } };
}
