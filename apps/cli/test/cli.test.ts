import { readFileSync } from 'node:fs';
import { stripVTControlCharacters } from 'node:util';
import { describe, expect, it } from 'vitest';
import { called } from './called.ts';

function run(...args: string[]) {
  let ms = 0;
  return called(args, { now: () => (ms += 500) });
}

describe('vsim', () => {
  it.each<readonly [readonly string[], string]>([
    [['frobnicate'], "vsim: unknown command 'frobnicate'; see vsim help"],
    [['gruops'], "vsim: unknown command 'gruops' (Did you mean groups?); see vsim help"],
    [['help', 'nope'], "vsim: unknown command 'nope'; see vsim help"],
    [['demo', '--sneed', '1'], "vsim demo: unknown option '--sneed' (Did you mean --seed?); see vsim help demo"],
    [['demo', '--seed', 'x'], "vsim demo: option '--seed <n>' argument 'x' is invalid. Expected a whole number from 0 to 4294967294; see vsim help demo"],
    [['demo', '--seed', '-1'], "vsim demo: option '--seed <n>' argument '-1' is invalid. Expected a whole number from 0 to 4294967294; see vsim help demo"],
    [['demo', 'surplus'], "vsim demo: too many arguments for 'demo'. Expected 0 arguments but got 1; see vsim help demo"],
    [['migrate', '--fail-at', 'nowhere'], "vsim migrate: option '--fail-at <phase>' argument 'nowhere' is invalid. Allowed choices are copy-memory, "],
    [['migrate', '--swap', 'send'], "vsim migrate: option '--swap <phases>' argument 'send' is invalid. Expected two phases, or more pairs of them"],
    [['migrate', '--swap', 'send,nothing'], "vsim migrate: option '--swap <phases>' argument 'send,nothing' is invalid. Expected one of copy-memory, "],
    [['migrate', '--without', 'P7'], "vsim migrate: option '--without <patch>' argument 'P7' is invalid. Allowed choices are P1, "],
    [['migrate', '--devices', '0'], "vsim migrate: option '--devices <n>' argument '0' is invalid. Expected a whole number from 1 to 256"],
    [['migrate', '--dest', 'gicv2'], "vsim migrate: option '--dest <gic>' argument 'gicv2' is invalid. Allowed choices are gicv3, gicv4, gicv4.1"],
    [['migrate', '--corrupt', '99999999'], 'vsim migrate: "corrupt" expected a byte of the state, which has '],
    [['explain', 'EFOO'], 'vsim explain: no rule answers EFOO; there are E2BIG, EACCES, '],
    [['explain', 'EPERM', 'frob'], 'vsim explain: no rule answers EPERM at frob; those that do are of '],
  ])('answers %j with one line and exit code 2', (args, what) => {
    const { code, out, err } = run(...args);
    expect([code, out, err.length]).toEqual([2, [], 1]);
    expect(err[0]!.startsWith(what), err[0]).toBe(true);
    expect(err[0]).not.toContain('\n');
  });

  it('tells what there is: on stdout when it is asked, on stderr with exit code 2 when nothing is', () => {
    const asked = run('--help');
    expect(asked).toMatchObject({ code: 0, err: [] });
    expect(run('help')).toEqual(asked);
    expect(run()).toEqual({ code: 2, out: [], err: asked.out });
    expect(asked.out.join('\n')).toMatch(/^Usage: vsim .*^Commands:.*^Exit codes:\n {2}0 .*\n {2}1 .*\n {2}2 /ms);
  });

  it.each(['demo', 'migrate', 'groups', 'lspci', 'replay', 'explain', 'serve', 'capture'])('help %s has its usage, defaults and examples, in lines of 80 columns', (name) => {
    const { code, out, err } = run('help', name);
    expect([code, err]).toEqual([0, []]);
    expect(out.join('\n')).toMatch(new RegExp(`^Usage: vsim ${name} .*^Examples?:\n  `, 'ms'));
    expect(run(name, '--help').out).toEqual(out);
    expect(out.join('\n').split('\n').filter((line) => line.length > 80)).toEqual([]);
  });

  it('writes its titles in bold where colours are', () => {
    const [plain] = run('help', 'demo').out;
    const [colored] = called(['help', 'demo'], { colors: true }).out;
    expect(colored).toContain('\u001b[1mUsage:\u001b[22m');
    expect(stripVTControlCharacters(colored!)).toBe(plain);
  });

  it('tells its version', () => {
    const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string };
    expect(run('--version')).toEqual({ code: 0, out: [version], err: [] });
  });

  it('explains an errno, by its name, its number, or the id of a rule; and what of it a call has', () => {
    const { out } = run('explain', 'EPERM', 'set_container');
    expect(out.filter((line) => !line.startsWith('\t') && line !== '')).toContain('VFIO_GROUP_SET_CONTAINER (5.13: VFIO_GROUP_GET_DEVICE_FD): EPERM or EINVAL (vfio/group-not-viable)');
    expect(run('explain', '-1', 'set_container').out).toEqual(out);
    expect(run('explain', 'vfio/group-not-viable').out).toHaveLength(4);
    expect(JSON.parse(run('explain', 'vfio/group-not-viable', '--json').out.join(''))).toEqual([expect.objectContaining({ id: 'vfio/group-not-viable', errnos: ['EPERM', 'EINVAL'] })]);
  });

  it('prints the report as text or as one line of JSON', () => {
    const text = run('demo', '--seed', '7');
    expect([text.code, text.err]).toEqual([0, []]);
    expect(text.out.join('\n')).toMatch(/lost 0, doubled 0/);
    const json = run('demo', '--seed', '7', '--json');
    expect(json.out).toHaveLength(1);
    expect(JSON.parse(json.out[0]!)).toMatchObject({ seed: 7, lost: 0, doubled: 0 });
  });

  it('prints one migration, many, or what a patch is for', () => {
    const one = run('migrate', '--seed', '2');
    expect(one).toMatchObject({ code: 0, err: [] });
    expect(one.out[0]).toBe('migrated; the VM runs on destination');
    const many = run('migrate', '--repeat', '3', '--devices', '1', '--json');
    expect(JSON.parse(many.out.join(''))).toMatchObject({ migrations: 3, outcomes: { migrated: 3 }, failed: [] });
    expect(run('migrate', '--repeat', '2').out[0]).toMatch(/^2 migrations: 2 migrated; \d+ interrupts delivered; 0 failed; 4 a second$/);
    const failing = run('migrate', '--repeat', '2', '--swap', 'stop-devices,save-pending-tables');
    expect(failing.code).toBe(1);
    expect(failing.out.slice(1)).toHaveLength(2);
    const again = failing.out[1]!.split(': vsim ')[1]!.split(' ');
    expect(run(...again).code).toBe(1);
    expect(run('migrate', '--without', 'P2', '--json').out).toEqual([
      JSON.stringify([
        { without: 'none', destination: 'once', source: 'once' },
        { without: 'P2', destination: 'once', source: 'lost' },
      ]),
    ]);
  });
});
