/** Files that a command may not read or write, or cannot: one line that names them, and exit code 2. */
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { called, type Told } from './called.ts';

const CALLS = fileURLToPath(new URL('calls.ts', import.meta.url));
const NODE = [process.execPath, '--conditions=@vsim/source'] as const;
const D = '0000:00:02.0';
/** Modes do not hold root back: as root the calls are another's. */
const OTHER = process.getuid?.() === 0 ? { uid: 65534, gid: 65534 } : {};

/** A recording whose machine is named and lies nowhere. */
const ALONE = '{"scenario":"x","group":"g","kernel":"6.1.0","devices":{},"vfio_nodes":[],"modules":[],"native_modules":[],"parameters":{},"host":"nowhere.json"}\n';

/** What others may look at, with a file, a folder, and a folder that takes no new file, which nobody may open but root. */
function forbidden(): string {
  const root = mkdtempSync(join(tmpdir(), 'vsim-files-'));
  chmodSync(root, 0o755);
  for (const name of ['file', 'x.jsonl', 'x.pftrace', 'host.json']) writeFileSync(join(root, name), '{}');
  writeFileSync(join(root, 'alone.jsonl'), ALONE);
  for (const name of ['folder', 'sealed', 'sysfs', `sysfs/${D}`]) mkdirSync(join(root, name));
  writeFileSync(join(root, `sysfs/${D}/config`), 'x');
  for (const name of ['file', 'x.jsonl', 'x.pftrace', 'host.json', 'folder', `sysfs/${D}/config`]) chmodSync(join(root, name), 0);
  chmodSync(join(root, 'sealed'), 0o555);
  chmodSync(join(root, 'sysfs'), 0o755);
  chmodSync(join(root, `sysfs/${D}`), 0o755);
  return root;
}

/** Whether a child can be one whom modes hold back, and can read this repository. */
function isHeldBack(): boolean {
  const root = forbidden();
  const reads = `const fs = require('node:fs'); fs.readFileSync(${JSON.stringify(CALLS)}); try { fs.readFileSync(${JSON.stringify(join(root, 'file'))}) } catch (error) { process.stdout.write(error.code) }`;
  return process.getuid !== undefined && spawnSync(process.execPath, ['-e', reads], { ...OTHER, cwd: '/', encoding: 'utf8' }).stdout === 'EACCES';
}

/** As somebody whom modes hold back. */
function asOther(calls: readonly (readonly string[])[]): readonly Told[] {
  const { status, stdout, stderr } = spawnSync(NODE[0], [...NODE.slice(1), CALLS, JSON.stringify(calls)], { ...OTHER, cwd: '/', encoding: 'utf8' });
  expect([status, stderr]).toEqual([0, '']);
  return JSON.parse(stdout) as Told[];
}

describe('a file that one may not open', () => {
  it.skipIf(!isHeldBack())('is one line with EACCES, wherever a command reads or writes one [R15]', () => {
    const root = forbidden();
    const at = (name: string): string => join(root, name);
    const calls: readonly (readonly [args: readonly string[], line: string])[] = [
      [['groups', at('file')], `vsim groups: ${at('file')}: EACCES`],
      [['groups', at('folder')], `vsim groups: ${at('folder')}: EACCES`],
      [['groups', at('sysfs')], `vsim groups: ${at(`sysfs/${D}/config`)}: EACCES`],
      [['lspci', at('file')], `vsim lspci: ${at('file')}: EACCES`],
      [['lspci', '--dump', at('folder')], `vsim lspci: ${at('folder')}: EACCES`],
      [['replay', at('x.jsonl')], `vsim replay: ${at('x.jsonl')}: EACCES`],
      [['replay', at('folder')], `vsim replay: ${at('folder')}: EACCES`],
      ...['x.jsonl', 'x.pftrace', 'sealed/new.jsonl', 'folder/new.pftrace'].map((name) => [['migrate', '--trace', at(name)], `vsim migrate: ${at(name)}: EACCES`] as const),
      [['demo', '--trace', at('x.jsonl')], `vsim demo: ${at('x.jsonl')}: EACCES`],
      [['replay', '/dev/null', '--trace', at('x.jsonl')], `vsim replay: ${at('x.jsonl')}: EACCES`],
      [['replay', at('alone.jsonl'), '--host', at('host.json')], `vsim replay: ${at('host.json')}: EACCES`],
    ];
    expect(asOther(calls.map(([args]) => args))).toEqual(calls.map(([, line]) => ({ code: 2, out: [], err: [line] })));
  });
});

describe('a folder where a file is wanted', () => {
  it('is one line [R15]', () => {
    const root = mkdtempSync(join(tmpdir(), 'vsim-files-'));
    for (const name of ['x.jsonl', 'x.pftrace']) mkdirSync(join(root, name));
    for (const [args, what] of [
      [['demo', '--trace', 'x.jsonl'], 'vsim demo: x.jsonl: EISDIR'],
      [['migrate', '--trace', 'x.pftrace'], 'vsim migrate: x.pftrace: EISDIR'],
      [['replay', '/dev/null', '--trace', 'x.jsonl'], 'vsim replay: x.jsonl: EISDIR'],
      [['groups', '--trace', 'nowhere/x.jsonl', 'machine'], 'vsim groups: machine: no such file or folder'],
      [['migrate', '--trace', 'nowhere/x.jsonl'], 'vsim migrate: nowhere/x.jsonl: no such file or folder'],
      [['groups', root], `vsim groups: ${root}: no PCI devices in it; expected folders named by address, as 0000:00:02.0`],
    ] as const) {
      expect([args, called(args, { cwd: root })]).toEqual([args, { code: 2, out: [], err: [what] }]);
    }
  });
});

describe.skipIf(!existsSync('/dev/full'))('a disk that is full', () => {
  it.each(['jsonl', 'pftrace'])('is one line, behind the report: a trace of %s [R15] [R16]', (ending) => {
    const root = mkdtempSync(join(tmpdir(), 'vsim-files-'));
    symlinkSync('/dev/full', join(root, `x.${ending}`));
    const { code, out, err } = called(['migrate', '--instant', '5', '--trace', `x.${ending}`], { cwd: root });
    expect([code, err]).toEqual([2, [`vsim migrate: x.${ending}: ENOSPC`]]);
    expect(out[0]).toBe('migrated; the VM runs on destination');
  });
});

describe('the bin', () => {
  const BIN = fileURLToPath(new URL('../src/bin.ts', import.meta.url));

  it('tells of a file that it cannot write in one line, without a stack', () => {
    const { status, stdout, stderr } = spawnSync(NODE[0], [...NODE.slice(1), BIN, 'migrate', '--trace', '/nowhere/x.jsonl'], { encoding: 'utf8' });
    expect([status, stdout, stderr]).toEqual([2, '', 'vsim migrate: /nowhere/x.jsonl: no such file or folder\n']);
  });

  it('writes nothing of its progress into a pipe', () => {
    const { status, stdout, stderr } = spawnSync(NODE[0], [...NODE.slice(1), BIN, 'migrate', '--repeat', '2', '--instant', '5', '--trace', '-'], { encoding: 'utf8', maxBuffer: 1 << 26 });
    expect(status).toBe(0);
    expect(stderr).toMatch(/^2 migrations: 2 migrated; .*\n$/);
    for (const line of stdout.split('\n').slice(0, -1)) expect(JSON.parse(line)).toMatchObject({ host: expect.stringMatching(/^seed \d+: (source|destination|migration)$/) as string });
  });

  const SCRIPT = '/usr/bin/script';
  it.skipIf(!existsSync(SCRIPT))('shows its progress on a terminal, and takes it away', () => {
    const command = [...NODE, BIN, 'migrate', '--repeat', '2', '--instant', '5', '--json'].map((word) => `'${word}'`).join(' ');
    const { stdout } = spawnSync(SCRIPT, ['-qec', command, '/dev/null'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
    const lines = stdout.split('\u001b[0K').map((line) => line.replaceAll('\u001b[1G', ''));
    expect(lines.slice(0, -1)).toEqual(['', '[....................] 0 of 2, 0 failed']);
    expect(JSON.parse(lines.at(-1)!)).toMatchObject({ migrations: 2, failed: [] });
  });
});
