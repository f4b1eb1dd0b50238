import * as recordings from '@vsim/conformance';
import { describe, expect, it } from 'vitest';
import { main } from '../src/main.ts';

function run(...args: string[]) {
  const out: string[] = [];
  const err: string[] = [];
  let ms = 0;
  const code = main(args, { out: (line) => out.push(line), err: (line) => err.push(line), progress: () => undefined, now: () => (ms += 500), cwd: '/' }, recordings);
  return { code, out, err };
}

describe('vsim', () => {
  it('answers a bad call with one line and exit code 2', () => {
    for (const [args, line] of [
      [['frobnicate'], /unknown command frobnicate; there are demo, migrate, groups, lspci, replay/],
      [['demo', '--sneed', '1'], /vsim demo: .*--sneed/],
      [['demo', '--seed', 'x'], /--seed: expected a whole number.*got x/],
      [['demo', 'surplus'], /surplus/],
      [['migrate', '--fail-at', 'nowhere'], /--fail-at: expected one of copy-memory, .*, got nowhere/],
      [['migrate', '--swap', 'send'], /--swap: expected two phases/],
      [['migrate', '--swap', 'send,nothing'], /--swap: expected one of .*got nothing/],
      [['migrate', '--without', 'P7'], /--without: expected one of P1, .*got P7/],
      [['migrate', '--devices', '0'], /--devices: expected a whole number from 1 to 256, got 0/],
      [['migrate', '--dest', 'gicv2'], /--dest: expected one of gicv3, gicv4, gicv4.1, got gicv2/],
    ] as const) {
      const { code, out, err } = run(...args);
      expect([code, out, err.length]).toEqual([2, [], 1]);
      expect(err[0]).toMatch(line);
      expect(err[0]).not.toContain('\n');
    }
  });

  it('tells what there is', () => {
    expect(run('--help')).toMatchObject({ code: 0, err: [] });
    expect(run()).toMatchObject({ code: 2 });
    for (const name of ['demo', 'migrate', 'groups', 'lspci', 'replay']) {
      const { code, out, err } = run(name, '--help');
      expect([code, err]).toEqual([0, []]);
      expect(out[0]).toMatch(new RegExp(`^vsim ${name}`));
    }
    expect(run('migrate', '-h').out.join('\n')).toMatch(/--fail-at PHASE +one of copy-memory, /);
    expect(run('help').out.join('\n')).toMatch(/vsim demo \[--seed N\].*vsim replay PATH/s);
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
