import { describe, expect, it } from 'vitest';
import { main } from '../src/cli.ts';

function run(...args: string[]) {
  const out: string[] = [];
  const err: string[] = [];
  const code = main(args, { out: (line) => out.push(line), err: (line) => err.push(line), progress: () => undefined, cwd: '/' });
  return { code, out, err };
}

describe('vsim', () => {
  it('answers a bad call with one line and exit code 2', () => {
    for (const [args, line] of [
      [['frobnicate'], /unknown command frobnicate; there are demo/],
      [['demo', '--sneed', '1'], /vsim demo: .*--sneed/],
      [['demo', '--seed', 'x'], /--seed: expected a whole number.*got x/],
      [['demo', 'surplus'], /surplus/],
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
    expect(run('help').out.join('\n')).toMatch(/vsim demo \[--seed N\]/);
  });

  it('prints the report as text or as one line of JSON', () => {
    const text = run('demo', '--seed', '7');
    expect([text.code, text.err]).toEqual([0, []]);
    expect(text.out.join('\n')).toMatch(/lost 0, doubled 0/);
    const json = run('demo', '--seed', '7', '--json');
    expect(json.out).toHaveLength(1);
    expect(JSON.parse(json.out[0]!)).toMatchObject({ seed: 7, lost: 0, doubled: 0 });
  });
});
