import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { RECORDINGS } from '@vsim/conformance';
import { describe, expect, it } from 'vitest';
import { called, type Told } from './called.ts';

const VFIO = join(RECORDINGS, 'vfio');

function run(...args: string[]): Told {
  return called(['replay', ...args], { cwd: VFIO });
}

/** The lines of one recorded scenario, to be spoiled. */
function scenario(name: string): string[] {
  const lines = gunzipSync(readFileSync(join(VFIO, 'info.jsonl.gz'))).toString().split('\n');
  const at = lines.findIndex((line) => line.includes(`"scenario":"${name}"`));
  const end = lines.findIndex((line, i) => i > at && line.includes('"call":"end"'));
  return lines.slice(at, end + 1);
}

function folder(files: Readonly<Record<string, string | Buffer>>): string {
  const path = mkdtempSync(join(tmpdir(), 'vsim-replay-'));
  for (const [name, content] of Object.entries(files)) {
    if (name.includes('/')) mkdirSync(join(path, name.slice(0, name.lastIndexOf('/'))), { recursive: true });
    writeFileSync(join(path, name), content);
  }
  return path;
}

const EDU = 'info:0000:00:02.0';

describe('vsim replay', () => {
  it('prints the failures that have not one reason: a race that went the other way here', () => {
    const { out } = run('reset.jsonl.gz');
    expect(out.slice(1, -1)).toEqual(['  reasons of a failure, 1 times: eventfd_read EAGAIN: none']);
  });

  it('prints a line for each file and the total, and exits 0 without divergence', () => {
    const { code, out, err } = run('info.jsonl.gz', '--case', EDU);
    expect(out).toEqual([
      'info.jsonl.gz cases=1 steps=217 compared=602 relaxed=0 divergences=0',
      'TOTAL cases=1 steps=217 compared=602 relaxed=0 divergences=0',
    ]);
    expect(err).toEqual([]);
    expect(code).toBe(0);
  });

  it('exits 1 with divergences, and shows the first of them', () => {
    // Linux 5.13 has no reset_method.
    const { code, out } = run('sriov_native.jsonl.gz', '--profile', 'linux-5.13', '--first', '2');
    expect(code).toBe(1);
    expect(out).toHaveLength(3);
    expect(out[1]).toBe('  case sriov:native-pf step 3 reset_method: expected flr, got null');
  });

  it('tells each command that a Management Complex gets, with --mc-log: of a session, of calls', () => {
    const session = run('../fslmc/restool/dpmcp-old.mc.jsonl.gz', '--mc-log');
    expect([session.code, session.out.slice(0, 4), session.out.length]).toEqual([
      0,
      [
        '  dprc.1 portal 0: dpmng.get_version v1 -> ok',
        '  dprc.1 portal 0: dprc.get_cont_id v1 -> ok',
        '  dprc.1 portal 0: dprc.get_api_version v1 -> ok',
        '  dprc.1 portal 0: dprc.open v1 dprc.1 -> ok, token 0x1',
      ],
      27,
    ]);
    const calls = run('../fslmc/runtime.jsonl.gz', '--case', 'runtime:create', '--mc-log');
    expect([calls.code, calls.out.filter((line) => line.includes('dpni.create'))]).toEqual([0, ['  dprc.1 portal 0: dprc.2 dpni.create v7 -> ok', '  dprc.1 portal 0: dprc.2 dpni.create v15 -> unsupported']]);
    expect(run('../fslmc/restool/dpmcp-old.mc.jsonl.gz', '--mc-log', '--json').out).toHaveLength(1);
  });

  it('gives one object with --json', () => {
    const { code, out } = run('info.jsonl.gz', '--case', EDU, '--json');
    expect(code).toBe(0);
    expect(out).toHaveLength(1);
    const counts = { cases: 1, steps: 217, compared: 602, relaxed: {}, divergences: 0 };
    expect(JSON.parse(out[0]!)).toEqual({
      files: [{ path: 'info.jsonl.gz', format: 'vfio', profile: 'linux-6.1', ...counts, first: [] }],
      total: counts,
    });
  });

  it('tells each divergence with --json --first', () => {
    const { out } = run('sriov_native.jsonl.gz', '--profile', 'linux-5.13', '--json', '--first', '1');
    const { files } = JSON.parse(out[0]!) as { files: { first: object[] }[] };
    expect(files[0]!.first).toEqual([{ case: 'sriov:native-pf', step: 3, field: 'reset_method', expected: 'flr', actual: 'null' }]);
  });

  it('takes a folder to mean its recordings, recursively and sorted, with the machine of the project', () => {
    const text = scenario(EDU).join('\n');
    const path = folder({ 'b.jsonl': text, 'a/c.jsonl.gz': gzipSync(text), 'notes.txt': 'no' });
    const { code, out } = run(path);
    expect(out.map((line) => line.split(' ')[0])).toEqual([join(path, 'a/c.jsonl.gz'), join(path, 'b.jsonl'), 'TOTAL']);
    expect(out[2]).toBe('TOTAL cases=2 steps=434 compared=1204 relaxed=0 divergences=0');
    expect(code).toBe(0);
  });

  it('follows --profile', () => {
    expect(run('life.jsonl.gz', '--case', 'life:group').code).toBe(0);
    expect(run('life.jsonl.gz', '--case', 'life:group', '--profile', 'linux-5.13').code).toBe(1);
  });

  it('says the captured conversations of vfio-user again', () => {
    const { code, out } = run('../vfio-user');
    expect([code, out.length, out.at(-1)]).toEqual([0, 12, 'TOTAL cases=11 steps=31279 compared=46849 relaxed=372 divergences=0']);
  });

  it('counts a conversation as not executed that does not say what the device is', () => {
    const line = (n: number, dir: string): string => `{"n":${n},"dir":"${dir}","id":0,"cmd":13,"name":"DEVICE_RESET","size":16,"flags":0,"error":0,"fds":[],"payload":""}\n`;
    const path = folder({ 'session.jsonl': line(1, 'c2s') + line(2, 's2c') });
    expect(run(join(path, 'session.jsonl')).out.at(-1)).toBe('TOTAL cases=1 steps=2 compared=0 relaxed=0 divergences=2');
  });

  const good = scenario(EDU);
  it.each([
    ['no path', [], "missing required argument 'path'"],
    ['an unknown option', ['info.jsonl.gz', '--frist', '1'], "'--frist'"],
    ['a value that looks like an option', ['info.jsonl.gz', '--profile', '-1'], "argument '-1' is invalid. Allowed choices are linux-5.10, "],
    ['a number that is none', ['info.jsonl.gz', '--first', 'x'], "option '--first <n>' argument 'x' is invalid"],
    ['an unknown profile', ['info.jsonl.gz', '--profile', 'linux-2.4'], "argument 'linux-2.4' is invalid. Allowed choices are linux-5.10, "],
    ['a missing file', ['nowhere.jsonl'], 'nowhere.jsonl: no such file or folder'],
    ['a missing machine', [folderFile(good.join('\n')), '--host', 'nowhere.json'], 'nowhere.json: no such file or folder'],
    ['no case', ['info.jsonl.gz', '--case', 'nothing'], 'no case begins with nothing'],
    ['an empty folder', [folder({})], 'no recordings there'],
    ['a cut line', [folderFile(good.join('\n').slice(0, -5))], `:${good.length}: not a line of JSON`],
    ['bad hex', [folderFile(good.map((line) => line.replace('"out":"ed000001"', '"out":"ed00000x"')).join('\n'))], '"out": expected an even number of hex digits'],
    ['an unknown format', [folderFile('{"hello":1}')], ':1: the first line is none of a known format'],
    ['a file that is no gzip', [join(folder({ 'x.jsonl.gz': 'no' }), 'x.jsonl.gz')], 'not a whole gzip file'],
  ])('exits 2, with one line, for %s', (_, args, message) => {
    const { code, out, err } = run(...args);
    expect(code).toBe(2);
    expect(err).toHaveLength(1);
    expect(err[0]).toContain(message);
    expect(err[0]).not.toContain('\n');
    expect(out.at(-1)?.startsWith('TOTAL') ?? false).toBe(false);
  });

  /** A scenario's lines with one text in place of another, replayed. */
  function spoiled(change: (text: string) => string): Pick<Told, 'code' | 'err'> {
    const file = join(folder({ 'x.jsonl': change(scenario(EDU).join('\n')) }), 'x.jsonl');
    const { code, err } = run(file);
    return { code, err };
  }

  it('a module that no kernel has is passed over, whatever its name [R14]', () => {
    for (const name of ['__proto__', 'constructor', 'toString', 'hasOwnProperty']) {
      expect(spoiled((text) => text.replace(/"native_modules":\[/, `"native_modules":["${name}",`).replace(',]', ']'))).toEqual({ code: 0, err: [] });
    }
  });

  it('a request of no name is one line, whatever its name [R14]', () => {
    for (const name of ['__proto__', 'constructor', 'valueOf']) {
      const { code, err } = spoiled((text) => text.replace(/"req":"[A-Z_]+"/, `"req":"${name}"`));
      expect([code, err.length, err[0]]).toEqual([2, 1, expect.stringContaining('expected the name or number of a request')]);
    }
  });

  const numbers: readonly (readonly [string, RegExp, string])[] = [
    ['room', /"room":\d+/, '"room":1073741824'],
    ['room below nothing', /"room":\d+/, '"room":-1'],
    ['room and a half', /"room":\d+/, '"room":1.5'],
    ['len', /"len":\d+/, '"len":1099511627776'],
  ];
  for (const [name, old, value] of numbers) {
    it(`a ${name} that no recording has is one line, and takes no memory [R14]`, () => {
      const { code, err } = spoiled((text) => text.replace(old, value));
      expect([code, err.length, err[0]]).toEqual([2, 1, expect.stringMatching(/x\.jsonl:\d+: "(room|len)": expected a whole number up to 16777216/)]);
    });
  }

  it('a machine with more RAM than any costs what is written; one with more CPUs is one line [R14]', () => {
    const lines = (size: string, cpus: number): string =>
      `{"type":"machine","id":"gicv3","gicd":"0x8000000","its":"0x8080000","its_translater":"0x8090040","gicr":"0x80a0000","gicr_stride":131072,"ram":{"base":"0x40000000","size":"${size}"}}\n` +
      `{"type":"case","name":"x","machine":"gicv3","cpus":${cpus},"steps":[{"op":"ram_write","addr":"0x40000000","hex":"01"}]}\n`;
    expect(run(join(folder({ 'x.jsonl': lines('0x10000000000', 1) }), 'x.jsonl')).code).toBe(0);
    for (const [size, cpus] of [['0x40000000', 1e9], ['0x7fffffffffffff', 1]] as const) {
      const { code, err } = run(join(folder({ 'x.jsonl': lines(size, cpus) }), 'x.jsonl'));
      expect([code, err.length]).toEqual([2, 1]);
    }
  });

  it('a file that is packed to a fraction of what it is is one line [R19]', () => {
    const file = join(folder({ 'x.jsonl.gz': gzipSync(Buffer.alloc(0x500_0000)) }), 'x.jsonl.gz');
    const { code, err } = run(file);
    expect([code, err]).toEqual([2, [`vsim replay: ${file}: more than 67108864 bytes when it is unpacked`]]);
  });

  it('what is no file of text is one line [R15]', () => {
    for (const [path, what] of [['/dev/zero', 'more than 67108864 bytes'], ['/dev/null', 'the first line is none of a known format'], ['', 'no recordings there'], ['a'.repeat(5000), 'ENAMETOOLONG'], ['info.jsonl.gz/x', 'ENOTDIR']] as const) {
      const { code, err } = run(path === '' ? folder({ x: '' }) : path);
      expect([code, err.length, err[0]]).toEqual([2, 1, expect.stringContaining(what)]);
    }
  });
});

function folderFile(text: string): string {
  return join(folder({ 'x.jsonl': text }), 'x.jsonl');
}
