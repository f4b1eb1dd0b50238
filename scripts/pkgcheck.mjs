/**
 * `npm run pkgcheck`: packs every package as it would be published, has publint and attw judge the
 * tarballs, installs them in an empty folder without a registry, and type-checks and runs each
 * README's first example there, on the machine's node and on the bundled one. The command reads a
 * machine from a pipe there.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { ROOT, bundledNode, environment, setUp } from './lib.mjs';
import { published } from './manifests.mjs';
import { firstBlock, outputProblem } from './readme.mjs';
import { installInto, pack } from './tarballs.mjs';

setUp();
const { default: ts } = await import('typescript');

const BIN = join(ROOT, 'node_modules', '.bin');
const packages = published();
const isCommand = ({ manifest }) => manifest.bin !== undefined;
let failures = 0;

const temp = mkdtempSync(join(tmpdir(), 'vsim-pkgcheck-'));
try {
  const tarballs = packages.map(judged).filter((tarball) => tarball !== undefined);
  if (tarballs.length === packages.length) runExamples(tarballs);
} finally {
  rmSync(temp, { recursive: true, force: true });
}
console.log(failures === 0 ? 'pkgcheck: all well' : `pkgcheck: ${failures} failed`);
process.exitCode = failures === 0 ? 0 : 1;

/** Packs and judges one package; the tarball, if there is one. */
function judged(each) {
  const { name } = each;
  const { tarball, problem } = pack(each, join(temp, 'tarballs'));
  if (!report(`${name}: pack`, problem)) return undefined;
  check(`${name}: publint`, join(BIN, 'publint'), ['--strict', tarball]);
  if (!isCommand(each)) check(`${name}: attw`, join(BIN, 'attw'), [tarball, '--profile', 'esm-only', '--no-emoji', '--no-color']);
  return tarball;
}

function runExamples(tarballs) {
  const home = join(temp, 'home');
  if (!report('install the tarballs in an empty folder, offline', installInto(home, tarballs))) return;

  const tried = nodes();
  for (const each of packages) {
    if (isCommand(each)) {
      runCommand(each, home, tried);
      continue;
    }
    const { missing, code, output } = firstBlock(each);
    const title = `${each.name}: README's first example`;
    if (missing !== undefined) {
      report(title, missing);
      continue;
    }
    const base = join(home, each.name.replace('@vsim/', ''));
    writeFileSync(`${base}.ts`, code);
    const options = ['--noEmit', '--strict', '--target', 'es2023', '--module', 'nodenext', '--types', ''];
    const lib = ['--lib', 'es2023,dom']; // for its console
    check(`${title}, types`, join(BIN, 'tsc'), ['--ignoreConfig', ...options, ...lib, `${base}.ts`], home);

    const { outputText } = ts.transpileModule(code, {
      compilerOptions: { target: ts.ScriptTarget.ES2023, module: ts.ModuleKind.ESNext, verbatimModuleSyntax: true },
    });
    writeFileSync(`${base}.mjs`, outputText);
    for (const [node, version] of tried) {
      check(`${title}, ${version}`, node, [`${base}.mjs`], home, output);
    }
  }
}

/** A machine that `vsim lspci` prints is piped back into it. */
function runCommand({ name, manifest }, home, tried) {
  const bin = join(home, 'node_modules', name, manifest.publishConfig.bin.vsim);
  for (const [node, version] of tried) {
    const words = (args, input) => {
      const stdio = [input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'];
      return spawnSync(node, [bin, ...args], { cwd: home, encoding: 'utf8', env: environment(), stdio, input });
    };
    const dump = words(['lspci', '--dump']);
    const devices = dump.stdout.split('\n').filter((line) => /^[0-9a-f]{4}:/.test(line)).length;
    const piped = words(['groups', '--json'], dump.stdout);
    const told = piped.status === 0 ? JSON.parse(piped.stdout).groups.flatMap(({ devices: members }) => members).length : `exit code ${piped.status}: ${piped.stderr}`;
    report(`${name}: the piped machine, ${version}`, devices > 0 && told === devices ? undefined : `${devices} devices were piped, ${told} told`);
    report(`${name}: its version, ${version}`, words(['--version']).stdout === `${manifest.version}\n` ? undefined : 'not that of package.json');
  }
}

/** The machine's own node, and the one that the repository brings: `[path, version]`. */
function nodes() {
  const path = (process.env.PATH ?? '').split(delimiter).filter((dir) => !dir.includes('node_modules'));
  const machine = spawnSync('node', ['-p', 'process.execPath'], {
    encoding: 'utf8',
    env: { ...process.env, PATH: path.join(delimiter) },
  });
  const found = new Map();
  for (const node of [machine.stdout?.trim(), process.execPath, bundledNode()]) {
    if (!node) continue;
    const { stdout } = spawnSync(node, ['-p', '"node " + process.version'], { encoding: 'utf8' });
    const version = stdout.trim();
    if (![...found.values()].includes(version)) found.set(node, version);
  }
  if (![...found.values()].some((version) => version.startsWith('node v20.'))) console.log('note    no Node 20 on this machine');
  return found;
}

function check(title, command, args, cwd = ROOT, wanted = undefined) {
  const done = spawnSync(command, args, { cwd, encoding: 'utf8', env: environment(), stdio: ['ignore', 'pipe', 'pipe'] });
  const words = `${done.stdout}${done.stderr}`;
  if (done.error) return report(title, done.error.message);
  if (done.status !== 0) return report(title, `exit code ${done.status ?? done.signal}\n${words}`);
  return report(title, outputProblem(wanted, done.stdout));
}

function report(title, problem) {
  if (problem === undefined) {
    console.log(`ok      ${title}`);
    return true;
  }
  failures += 1;
  console.log(`FAILED  ${title}: ${problem}`);
  return false;
}
