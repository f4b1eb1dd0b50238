/**
 * What `.ci/run` does: each part in order, each with its time and a limit, and at the end one line,
 * `N passed, N failed`, in which every test counts one and every other check counts one.
 *
 * A foreign part whose probe fails prints `SKIPPED name: why` and counts as skipped; any other part or test that could not be had
 * fails. With arguments, only the parts of these names are run.
 */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, rmSync } from 'node:fs';
import { join, relative } from 'node:path';
import { PARTS } from './ci-parts.mjs';
import { ROOT, WINDOWS, readJson } from './lib.mjs';

const MINUTE = 60_000;
/** No part runs on after this. */
const DEADLINE = Date.now() + 73 * MINUTE;

const only = process.argv.slice(2);
const unknown = only.filter((name) => !PARTS.some((part) => part.name === name));
if (unknown.length > 0) {
  console.error(`ci: no part named ${unknown.join(', ')}; there are ${PARTS.map(({ name }) => name).join(', ')}`);
  process.exit(2);
}

const summary = [];
const seen = new Set();
let passed = 0;
let failed = 0;
let skipped = 0;
let current;
for (const signal of ['SIGINT', 'SIGTERM']) {
  process.on(signal, () => {
    if (current?.exitCode === null) end(current);
    process.exit(130);
  });
}

for (const part of PARTS) {
  if (only.length > 0 && !only.includes(part.name)) continue;
  const start = Date.now();
  console.log(`\n=== ${part.name}: ${part.run.join(' ')}`);
  const outcome = await runPart(part);
  summary.push(`${part.name.padEnd(12)} ${String(Math.round((Date.now() - start) / 1000)).padStart(5)} s  ${outcome}`);
}

console.log(`\n${summary.join('\n')}\n`);
if (skipped > 0) console.log(`${skipped} skipped`);
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;

async function runPart({ name, probe, run, minutes, results, apt }) {
  const missing = run[0] === 'node' && !existsSync(join(ROOT, run[1])) ? `there is no ${run[1]}` : provide(apt);
  if (missing !== undefined) return count(false, missing);
  const file = results === undefined ? undefined : join(ROOT, 'node_modules', '.cache', 'vsim', results);
  if (file !== undefined) rmSync(file, { force: true });

  if (probe !== undefined) {
    console.log(`probe: ${probe.join(' ')}`);
    const probed = await execute(probe, minutes);
    if (probed !== 0) {
      skipped += 1;
      console.log(`SKIPPED ${name}: its probe ended with ${probed}`);
      return 'SKIPPED';
    }
  }
  const status = await execute(run, minutes);
  if (file !== undefined && existsSync(file)) return countTests(name, readJson(file), status);
  return count(status === 0, status === 'late' ? `not done in time (${minutes} minutes)` : `exit code ${status}`);
}

/** Counts each test once, however many runs it was in; a failure counts in each. */
function countTests(name, report, status) {
  let good = 0;
  let bad = 0;
  for (const { name: file, message, assertionResults } of report.testResults) {
    if (assertionResults.length === 0 && message !== '') bad += 1; // a file that could not even be read
    for (const { fullName, status: outcome } of assertionResults) {
      const test = `${relative(ROOT, file)} ${fullName}`;
      if (outcome === 'failed') bad += 1;
      if (outcome === 'failed' || seen.has(test)) continue;
      seen.add(test);
      if (outcome === 'passed') good += 1;
      else {
        bad += 1;
        console.log(`${name}: ${test}: ${outcome}`);
      }
    }
  }
  if (status !== 0 && bad === 0) bad = 1;
  if (good + bad === 0 && report.numTotalTests === 0) bad = 1;
  passed += good;
  failed += bad;
  return `${good} tests counted as passed, ${bad} failed (${report.numTotalTests} ran)`;
}

function count(ok, problem) {
  if (ok) passed += 1;
  else failed += 1;
  return ok ? 'passed' : `FAILED: ${problem}`;
}

/** Installs Debian packages unless they are there; why not, or undefined. */
function provide(apt) {
  if (apt === undefined || existsSync(apt.file)) return undefined;
  if (process.getuid?.() !== 0) return `${apt.file} is missing, and only root can install ${apt.packages.join(' ')}`;
  const options = { stdio: ['ignore', 'ignore', 'inherit'], env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' } };
  const timeout = 3 * MINUTE;
  spawnSync('apt-get', ['update', '-q'], { ...options, timeout });
  spawnSync('apt-get', ['install', '-q', '-y', '--no-install-recommends', ...apt.packages], { ...options, timeout });
  return existsSync(apt.file) ? undefined : `apt-get could not install ${apt.packages.join(' ')}`;
}

/** Runs a command to its end or to its limit, with everything that it started. */
function execute([command, ...args], minutes) {
  return new Promise((resolve) => {
    const child = spawn(command, args, { cwd: ROOT, stdio: ['ignore', 'inherit', 'inherit'], detached: !WINDOWS, shell: WINDOWS });
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      end(child);
    }, Math.max(1, Math.min(minutes * MINUTE, DEADLINE - Date.now())));
    current = child;
    child.on('error', (error) => {
      console.error(`${command}: ${error.message}`);
      clearTimeout(timer);
      resolve(127);
    });
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      resolve(late ? 'late' : (code ?? signal));
    });
  });
}

/** Ends a command, with everything that it started where the system can. */
function end(child) {
  if (WINDOWS) child.kill('SIGKILL');
  else process.kill(-child.pid, 'SIGKILL');
}
