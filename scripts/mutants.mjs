/**
 * `npm run mutants [NAME...]`: shows that guards are held. tooling/mutants.json lists guards of the code: a file, the text of the guard
 * (found there exactly once), what to put in its place, and the tests that must then go red. Each mutant is applied alone,
 * the tests of the file's package are run (or those of `project`, where another room has them), and exactly the named tests have to
 * fail. The file is put back whatever happens.
 *
 * Left out are the files *.wide.test.ts: random programs and searches of every order see almost every fault, which says little
 * about the test that is meant to. `--list` prints the tests that go red, for a new entry.
 *
 * Exit 0 if every mutant was caught by its tests and by no other; 1 if not; 2 if the list itself is wrong.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ROOT, bundledNode, environment, install, readJson } from './lib.mjs';

const list = process.argv.includes('--list');
const wanted = process.argv.slice(2).filter((argument) => argument !== '--list');
const mutants = readJson(join(ROOT, 'tooling', 'mutants.json')).filter(({ name }) => wanted.length === 0 || wanted.some((prefix) => name.startsWith(prefix)));
if (mutants.length === 0) {
  console.error('mutants: none of that name');
  process.exit(2);
}

/** The tests of one project take no longer, in ms. */
const LIMIT = 300_000;

install();
const folder = mkdtempSync(join(tmpdir(), 'vsim-mutants-'));
let open; // the file that is changed now, and its text
const restore = () => {
  if (open !== undefined) writeFileSync(open.path, open.text);
  open = undefined;
};
for (const signal of ['SIGINT', 'SIGTERM']) {
  process.on(signal, () => {
    restore();
    process.exit(130);
  });
}

let wrong = 0;
try {
  for (const mutant of mutants) {
    const problem = await check(mutant);
    if (problem !== undefined) wrong += 1;
    if (list) continue;
    console.log(`${problem === undefined ? 'caught' : 'WRONG '}  ${mutant.name}${problem === undefined ? '' : `: ${problem}`}`);
  }
} finally {
  restore();
  rmSync(folder, { recursive: true, force: true });
}
if (!list) console.log(`${mutants.length - wrong} of ${mutants.length} mutants caught by exactly their tests`);
process.exitCode = wrong === 0 || list ? 0 : 1;

/** Applies one mutant and runs its project; what is wrong, if anything is. */
async function check({ name, file, find, replace, red, project = file.split('/')[1] }) {
  const path = join(ROOT, file);
  const text = readFileSync(path, 'utf8');
  if (text.split(find).length !== 2) {
    console.error(`mutants: ${file}: expected once: ${find}`);
    restore();
    process.exit(2);
  }
  open = { path, text };
  writeFileSync(path, text.replace(find, () => replace));
  const failed = await run(project);
  restore();
  if (list) console.log(JSON.stringify({ name, red: failed }));
  if (failed === undefined) return 'the tests could not be run';
  const expected = [red ?? []].flat();
  const missing = expected.filter((name) => !failed.includes(name));
  const surplus = failed.filter((name) => !expected.includes(name));
  if (missing.length === 0 && surplus.length === 0) return undefined;
  return [
    ...missing.map((name) => `stays green: ${name}`),
    ...surplus.map((name) => `goes red too: ${name}`),
  ].join('; ');
}

/** The full names of the tests of a project that fail; undefined if they could not be run. */
async function run(project) {
  const results = join(folder, 'results.json');
  rmSync(results, { force: true });
  const vitest = [join(ROOT, 'node_modules/vitest/vitest.mjs'), 'run', '--project', project, '--reporter=json', `--outputFile.json=${results}`];
  const env = environment({ VSIM_RUNS: process.env.VSIM_RUNS ?? '20', VSIM_SEED: '1', VSIM_LONG: '', VSIM_NARROW: '1' });
  // Not the synchronous form: a signal has to find its handler, which puts the file back.
  await new Promise((resolve) => {
    const child = spawn(bundledNode(), vitest, { cwd: ROOT, stdio: 'ignore', env, timeout: LIMIT, killSignal: 'SIGKILL' });
    child.on('close', resolve);
    child.on('error', resolve);
  });
  let report;
  try {
    report = readJson(results);
  } catch {
    return undefined;
  }
  const broken = report.testResults.filter(({ assertionResults, message }) => assertionResults.length === 0 && message !== '');
  if (broken.length > 0) return [`${broken.length} files cannot be read`];
  return report.testResults.flatMap(({ assertionResults }) => assertionResults.filter(({ status }) => status === 'failed').map(({ fullName }) => fullName));
}
