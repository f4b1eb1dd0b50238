import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const ROOT = join(import.meta.dirname, '../..');

/** A copy of the launcher in a repository of its own, and somebody's folder. */
let house: string;
let folder: string;

beforeEach(() => {
  house = realpathSync(mkdtempSync(join(tmpdir(), 'vsim-house-')));
  folder = realpathSync(mkdtempSync(join(tmpdir(), 'vsim-folder-')));
  mkdirSync(join(house, 'packages/vfio-core'), { recursive: true });
  mkdirSync(join(house, 'scripts'));
  cpSync(join(ROOT, 'scripts/vsim.mjs'), join(house, 'scripts/vsim.mjs'));
  const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { scripts: { vsim: string } };
  writeFileSync(join(house, 'package.json'), JSON.stringify({ name: 'house', type: 'module', scripts: { vsim: scripts.vsim } }));
});

afterEach(() => {
  rmSync(house, { recursive: true });
  rmSync(folder, { recursive: true });
});

/** Sets the copy up, with a bin of the test's own. */
function setUp(bin: string): void {
  mkdirSync(join(house, 'apps/cli/dist'), { recursive: true });
  mkdirSync(join(house, 'apps/cli/node_modules'));
  mkdirSync(join(house, 'packages/vfio-core/dist'));
  writeFileSync(join(house, 'packages/vfio-core/dist/index.js'), '');
  writeFileSync(join(house, 'apps/cli/dist/bin.js'), bin);
}

function vsim(...args: string[]): { status: number | null; stdout: string; stderr: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(house, 'scripts/vsim.mjs'), ...args], {
    encoding: 'utf8',
    env: { ...process.env, INIT_CWD: folder },
    cwd: house,
  });
  return { status, stdout, stderr };
}

const NOT_SET_UP = { status: 2, stdout: '', stderr: 'vsim: not set up yet: run npm run demo or npm test first\n' };

describe('the launcher', () => {
  it('says in one line that nothing is set up, and exits 2', () => {
    expect(vsim('demo')).toEqual(NOT_SET_UP);
  });

  it('says the same when a package is not built', () => {
    setUp('console.log("ran")');
    expect(vsim('demo')).toMatchObject({ status: 0, stdout: 'ran\n' });
    rmSync(join(house, 'packages/vfio-core/dist'), { recursive: true });
    expect(vsim('demo')).toEqual(NOT_SET_UP);
  });

  it('says the same when nothing is installed', () => {
    setUp('console.log("ran")');
    rmSync(join(house, 'apps/cli/node_modules'), { recursive: true });
    expect(vsim('demo')).toEqual(NOT_SET_UP);
  });

  it('passes arguments, the folder of the caller and the exit code', () => {
    setUp('console.log(JSON.stringify([process.argv.slice(2), process.cwd()])); process.exitCode = 7;');
    const { status, stdout, stderr } = vsim('replay', 'a b.jsonl', '--json');
    expect(JSON.parse(stdout)).toEqual([['replay', 'a b.jsonl', '--json'], folder]);
    expect([status, stderr]).toEqual([7, '']);
  });

  it('runs on the node that runs it', () => {
    setUp('console.log(process.execPath)');
    expect(vsim().stdout).toBe(`${process.execPath}\n`);
  });

  it('fails when the command throws', () => {
    setUp('throw new Error("lost an interrupt")');
    const { status, stdout, stderr } = vsim();
    expect([status, stdout]).toEqual([1, '']);
    expect(stderr).toContain('lost an interrupt');
  });

  it('prints nothing else on stdout through npm', () => {
    setUp('console.log(process.argv.slice(2).join("|"), process.cwd())');
    const { status, stdout } = spawnSync('npm', ['run', '-s', '--prefix', house, 'vsim', '--', 'demo', '--seed', '3'], {
      encoding: 'utf8',
      cwd: folder,
    });
    expect([status, stdout]).toEqual([0, `demo|--seed|3 ${folder}\n`]);
  });
});
