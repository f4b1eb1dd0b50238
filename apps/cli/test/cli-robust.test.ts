/** Whatever a person hands to `vsim`: one line and exit code 2, never a stack trace. The last tests start the bin itself. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, openSync, closeSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { called, type Told } from './called.ts';

const BIN = fileURLToPath(new URL('../src/bin.ts', import.meta.url));
const D = '0000:00:02.0';

type Content = string | Uint8Array | { readonly link: string } | { readonly folder: true };
const FOLDER: Content = { folder: true };

function folder(files: Readonly<Record<string, Content>>): string {
  const root = mkdtempSync(join(tmpdir(), 'vsim-cli-'));
  for (const [name, content] of Object.entries(files)) {
    const path = join(root, name);
    mkdirSync(dirname(path), { recursive: true });
    if (typeof content === 'string' || content instanceof Uint8Array) writeFileSync(path, content);
    else if ('link' in content) symlinkSync(content.link, path);
    else mkdirSync(path);
  }
  return root;
}

function run(cwd: string, ...args: string[]): Told {
  return called(args, { cwd });
}

/** The call fails with one line that says what. */
function refused(cwd: string, args: readonly string[], what: string | RegExp): void {
  const { code, err } = run(cwd, ...args);
  expect([args.join(' '), code, err.length, err[0]?.includes('\n')]).toEqual([args.join(' '), 2, 1, false]);
  expect(err[0]).toMatch(what);
}

const CONFIG = new Uint8Array(256).fill(1, 0, 4);

describe('a folder of sysfs', () => {
  const folders: Readonly<Record<string, readonly [Readonly<Record<string, Content>>, string]>> = {
    'without config': [{ [`${D}/vendor`]: '0x1\n' }, 'config: no such file or folder'],
    'whose config is a folder': [{ [`${D}/config`]: FOLDER }, 'config: EISDIR'],
    'whose config has 5000 bytes': [{ [`${D}/config`]: new Uint8Array(5000) }, 'config: more than 4096 bytes'],
    'whose config never ends': [{ [`${D}/config`]: { link: '/dev/zero' } }, 'config: more than 4096 bytes'],
    'whose device is a file': [{ [D]: 'x' }, 'config: ENOTDIR'],
    'without a device': [{ x: '' }, 'no PCI devices in it'],
  };
  for (const [name, [files, what]] of Object.entries(folders)) {
    it(`${name}: one line and exit 2 [R15]`, () => {
      const root = folder(files);
      for (const command of ['groups', 'lspci']) refused('/', [command, root], what);
    });
  }

  const odd: readonly (readonly [string, Readonly<Record<string, Content>>])[] = [
    ['whose config has 100 bytes', { [`${D}/config`]: new Uint8Array(100) }],
    ['whose vendor is a folder', { [`${D}/config`]: CONFIG, [`${D}/vendor`]: FOLDER }],
    ['whose vendor is no number', { [`${D}/config`]: CONFIG, [`${D}/vendor`]: 'zzz' }],
    ['whose irq is larger than any', { [`${D}/config`]: CONFIG, [`${D}/irq`]: '99999999999' }],
    ['whose resources are none', { [`${D}/config`]: CONFIG, [`${D}/resource`]: '0x1 0x2\n' }],
    ['whose physfn is not there', { [`${D}/config`]: CONFIG, [`${D}/physfn`]: { link: '../0000:00:09.0' } }],
    ['whose physfn is itself', { [`${D}/config`]: CONFIG, [`${D}/physfn`]: { link: `../${D}` } }],
  ];
  it.each(odd)('%s is used but for that [R15]', (_name, files) => {
    const root = folder(files);
    for (const command of ['groups', 'lspci']) expect(run('/', command, root)).toMatchObject({ code: 0, err: [] });
  });

  it('with a VF whose PF shows no SR-IOV, as who is not root reads it, is judged all the same [R15]', () => {
    const pf = '0000:00:09.0';
    const root = folder({ [`${D}/config`]: CONFIG.slice(0, 64), [`${D}/physfn`]: { link: `../${pf}` }, [`${pf}/config`]: CONFIG.slice(0, 64) });
    expect(run('/', 'groups', root)).toMatchObject({ code: 0, err: [] });
  });

  it('with links that lead nowhere or in a circle is read all the same [R15]', () => {
    const root = folder({ [`${D}/config`]: CONFIG, [`${D}/iommu_group`]: { link: '/nowhere/../../x' }, [`${D}/driver`]: { link: 'self' }, [`${D}/self`]: { link: 'driver' } });
    expect(run('/', 'groups', root)).toMatchObject({ code: 0, err: [] });
  });
});

describe('a file that is none', () => {
  const device = (fields: object): string => JSON.stringify({ devices: { [D]: { config: '00'.repeat(256), resource: [], irq: 0, vendor: 1, device: 1, ...fields } } });
  const files: Readonly<Record<string, readonly [Content, string | RegExp]>> = {
    'bad gzip': [Buffer.concat([Buffer.from([0x1f, 0x8b]), Buffer.from('garbage')]), 'not a whole gzip file'],
    'a gzip bomb': [gzipSync(Buffer.alloc(0x500_0000)), 'more than 67108864 bytes when it is unpacked'],
    'nothing': ['', 'no PCI function in it'],
    'a machine of no address': ['{"devices":{"__proto__":{"config":"00","resource":[],"irq":0,"vendor":1,"device":1}}}', 'expected addresses, as 0000:00:02.0, got __proto__'],
    'a config of one byte': [device({ config: '00' }), 'expected 64, 128, 256, 4096 bytes, got 1'],
    'a config of 5000 bytes': [device({ config: '00'.repeat(5000) }), 'got 5000'],
    'an irq and a half': [device({ irq: 1.5 }), 'irq: expected a number up to 2147483647, got 1.5'],
    'a vendor below nothing': [device({ vendor: -1 }), 'vendor: expected a number up to 65535, got -1'],
    'a physfn that is itself': [device({ physfn: D }), 'is no physical function here'],
    'resources that are none': [device({ resource: [['x', 'y', 'z']] }), 'expected rows of start, end and flags'],
    'no devices': ['{}', 'JSON of which nothing is known'],
    'JSON that is cut': ['{"devices"', 'no PCI function in it'],
  };
  for (const [name, [content, what]] of Object.entries(files)) {
    it(`${name}: one line and exit 2 [R15] [R19]`, () => {
      refused(folder({ file: content }), ['groups', 'file'], what);
    });
  }

  it('a gzip bomb of many members, and one with more after it: one line and exit 2, wherever a file is named [R19]', () => {
    const member = gzipSync(Buffer.alloc(0x10_0000));
    const root = folder({ many: Buffer.concat(Array.from({ length: 65 }, () => member)), 'x.jsonl.gz': gzipSync(Buffer.alloc(0x500_0000)), more: Buffer.concat([gzipSync(Buffer.alloc(0x500_0000)), member]) });
    for (const args of [['groups', 'many'], ['lspci', 'many'], ['lspci', '--dump', 'more'], ['replay', 'x.jsonl.gz']]) refused(root, args, 'more than 67108864 bytes when it is unpacked');
  });

  it('names that lead to nothing: one line and exit 2 [R15]', () => {
    const root = folder({ file: 'x' });
    for (const [name, what] of [['', 'an empty name'], ['a'.repeat(5000), 'ENAMETOOLONG'], ['file/x', 'ENOTDIR'], ['nowhere', 'no such file or folder'], ['/dev/null', 'no PCI function in it'], ['/dev/zero', 'more than 67108864 bytes']] as const) refused(root, ['groups', name], what);
  });

  it('words that every object knows are no option, phase, patch or command [R14] [R15]', () => {
    for (const word of ['__proto__', 'constructor', 'toString']) {
      for (const args of [[word], ['migrate', '--without', word], ['migrate', '--swap', `${word},${word}`], ['migrate', '--fail-at', word], ['replay', '--profile', word, 'x'], ['groups', '--iommu', word]]) refused('/', args, word);
    }
  });
});

describe('vsim migrate', () => {
  for (const devices of ['33', '256']) {
    it(`--devices ${devices} works: devices of one group are one open group [R17]`, () => {
      const { code, out, err } = run('/', 'migrate', '--devices', devices, '--instant', '20', '--vcpus', '3');
      expect([code, err, out[0]]).toEqual([0, [], 'migrated; the VM runs on destination']);
      expect(out.join('\n')).toContain('lost 0, doubled 0');
    });
  }

  it('--devices 33 that is cancelled leaves the source running, and its groups open once [R17]', () => {
    const { code, out } = run('/', 'migrate', '--devices', '33', '--instant', '20', '--fail-at', 'acknowledge');
    expect([code, out[0]]).toEqual([0, 'cancelled in acknowledge (EIO); the VM runs on source']);
  });
});

describe('the bin', () => {
  const start = (args: readonly string[], options: { readonly stdin?: string; readonly stdout?: string; readonly stderr?: string; readonly script?: string } = {}): { status: number | null; err: string } => {
    const fds = [options.stdin === undefined ? 'ignore' : openSync(options.stdin, 'r'), options.stdout === undefined ? 'pipe' : openSync(options.stdout, 'w'), options.stderr === undefined ? 'pipe' : openSync(options.stderr, 'w')] as const;
    const node = [process.execPath, '--conditions=@vsim/source', BIN, ...args];
    const { status, stderr } = options.script === undefined ? spawnSync(node[0]!, node.slice(1), { stdio: [...fds], encoding: 'utf8' }) : spawnSync('/bin/sh', ['-c', options.script, 'sh', ...node], { stdio: [...fds], encoding: 'utf8' });
    for (const fd of fds) if (typeof fd === 'number') closeSync(fd);
    return { status, err: typeof stderr === 'string' ? stderr : '' };
  };

  it('ends in silence when nobody reads [R16]', () => {
    expect(start(['lspci', '--dump'], { script: '"$@" | true' })).toEqual({ status: 0, err: '' });
  });

  it('says that the disk is full, and exits with a code [R16]', () => {
    expect(start(['lspci', '--dump'], { stdout: '/dev/full' })).toEqual({ status: 2, err: 'vsim: standard output: ENOSPC\n' });
    expect(start(['frobnicate'], { stderr: '/dev/full' }).status).toBe(2);
  });

  it('says nothing of a full disk where it has nothing to write, and the reason all the same [R16]', () => {
    expect(start(['groups', '/nowhere'], { stdout: '/dev/full' })).toEqual({ status: 2, err: 'vsim groups: /nowhere: no such file or folder\n' });
  });

  it('ends in silence with its standard output closed [R16]', () => {
    expect(start(['lspci', '--dump'], { script: '"$@" >&-' })).toEqual({ status: 0, err: '' });
  });

  it('runs in a folder that is gone, where no file is [R15]', () => {
    const gone = folder({});
    const script = `mkdir -p ${gone} && cd ${gone} && rmdir ${gone} && exec "$@"`;
    expect(start(['lspci'], { script })).toEqual({ status: 0, err: '' });
    expect(start(['groups', 'x'], { script })).toEqual({ status: 2, err: 'vsim groups: x: no such file or folder\n' });
  });

  it('takes the machine of a pipe or of a file on standard input, and the machine that it runs on where that is /dev/null', () => {
    const machine = join(folder({ 'host.json': JSON.stringify({ devices: { [D]: { config: '3412e811'.padEnd(512, '0') } } }) }), 'host.json');
    for (const script of [`cat ${machine} | "$@"`, `"$@" < ${machine}`, `cat ${machine} | "$@" -`]) {
      const { stdout } = spawnSync('/bin/sh', ['-c', script, 'sh', process.execPath, '--conditions=@vsim/source', BIN, 'lspci'], { encoding: 'utf8' });
      expect([script, stdout]).toEqual([script, `${D} 0000: 1234:11e8\n`]);
    }
    expect(start(['groups'], { stdin: machine }).status).toBe(0);
    expect(start(['groups'], { stdin: '/dev/null' }).err).not.toContain('standard input');
    expect(start(['groups'], { stdin: '/dev/null', script: 'printf "" | "$@"' })).toEqual({ status: 2, err: expect.stringMatching(/^vsim groups: standard input: no PCI function in it/) as string });
  });

  it('replays what comes on standard input', () => {
    const { stdout, status } = spawnSync('/bin/sh', ['-c', '"$@" < /dev/null', 'sh', process.execPath, '--conditions=@vsim/source', BIN, 'replay', '-'], { encoding: 'utf8' });
    expect([status, stdout]).toEqual([2, '']);
    const line = (n: number, dir: string): string => `{"n":${n},"dir":"${dir}","id":0,"cmd":13,"name":"DEVICE_RESET","size":16,"flags":0,"error":0,"fds":[],"payload":""}\n`;
    const session = join(folder({ x: line(1, 'c2s') + line(2, 's2c') }), 'x');
    const piped = spawnSync('/bin/sh', ['-c', `cat ${session} | "$@"`, 'sh', process.execPath, '--conditions=@vsim/source', BIN, 'replay', '-'], { encoding: 'utf8' });
    expect(piped.stdout).toMatch(/^- cases=1 steps=2 .*\nTOTAL cases=1 /);
  });

  it('takes no folder from standard input [R15]', () => {
    expect(start(['groups', '-'], { stdin: tmpdir() })).toEqual({ status: 2, err: 'vsim groups: standard input: EISDIR\n' });
  });
});
