/**
 * Every command and program that a guide shows prints what stands behind it: each `sh` block that begins with `npx vsim`, and each program of
 * docs/guides/programs, by the next `text` block. Tests that a guide names are where it says.
 */
import { execFile } from 'node:child_process';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import type { Io } from '../../apps/cli/src/io.ts';
import { main, needsRecordings } from '../../apps/cli/src/main.ts';

const HERE = import.meta.dirname;
const ROOT = join(HERE, '../..');
const HOOKS = new URL('../../scripts/workspace-packages.mjs', import.meta.url).href;
const PAGES = globSync('**/*.md', { cwd: HERE }).sort();
const PROGRAMS = globSync('programs/*.ts', { cwd: HERE }).sort();

/** Something that a page shows, and what stands behind it. */
interface Shown {
  readonly page: string;
  /** The program's file, or the lines of the command. */
  readonly what: string;
  readonly isProgram: boolean;
  readonly output: string | undefined;
}

function textOf(page: string): string {
  return readFileSync(join(HERE, page), 'utf8');
}

function shownBy(page: string): readonly Shown[] {
  const shown: Shown[] = [];
  let last: Omit<Shown, 'output'> | undefined;
  const end = (output?: string): void => {
    if (last !== undefined) shown.push({ ...last, output });
    last = undefined;
  };
  for (const [, fence, body = '', included] of textOf(page).matchAll(/^```(\w*)\n(.*?)^```$|^\{@includeCode ([^\s#}]+)/gms)) {
    if (included?.includes('programs/') === true) {
      end();
      last = { page, what: join(dirname(page), included), isProgram: true };
    } else if (fence === 'sh' && body.startsWith('npx vsim ')) {
      end();
      last = { page, what: body, isProgram: false };
    } else if (fence === 'text') {
      end(body);
    }
  }
  end();
  return shown;
}

/** What `vsim` prints, called once for each line. */
async function printed(lines: string): Promise<string> {
  const out: string[] = [];
  const print = (line: string): void => { out.push(`${line}\n`); };
  const io: Io = { out: print, err: print, progress: () => undefined, write: () => undefined, now: () => 0, cwd: ROOT, piped: false, columns: undefined, colors: false };
  for (const line of lines.trimEnd().split('\n')) {
    const words = /^npx vsim ([\w ./,:=-]+)$/.exec(line)?.[1];
    if (words === undefined) throw new Error(`"${line}" is no plain call of npx vsim`);
    const args = words.split(' ');
    await main(args, io, needsRecordings(args) ? await import('../../apps/conformance/src/index.ts') : undefined);
  }
  return out.join('');
}

async function ran(program: string): Promise<string> {
  const { stdout, stderr } = await promisify(execFile)(process.execPath, ['--conditions=@vsim/source', '--import', HOOKS, join(HERE, program)]);
  return stdout + stderr;
}

const SHOWN = PAGES.flatMap(shownBy);

describe('what a guide shows', () => {
  const commands = SHOWN.filter(({ isProgram }) => !isProgram);
  const programs = SHOWN.filter(({ isProgram }) => isProgram);

  it.each(commands.map((each) => [each.page, each.what.trimEnd(), each] as const))('%s: %s', async (_page, _what, { what, output }) => {
    expect(await printed(what)).toBe(output);
  });

  it.concurrent.each(programs.map((each) => [each.page, each.what, each] as const))('%s: %s', async (_page, _what, { what, output }) => {
    expect(await ran(what)).toBe(output);
  });

  it('is all of docs/guides/programs, which import packages alone', () => {
    expect([...new Set(programs.map(({ what }) => what))].sort()).toEqual(PROGRAMS);
    for (const program of PROGRAMS) expect([...textOf(program).matchAll(/from '([^']+)'/g)].map(([, from = '']) => from).filter((from) => !from.startsWith('@vsim/'))).toEqual([]);
  });
});

describe('tests that a guide names', () => {
  const named = PAGES.flatMap((page) => [...textOf(page).matchAll(/`([^`]+\.test\.ts)`[^`]*```sh\nnpm test -- --project (\S+) -t "([^"]+)"\n```/g)].map(([, file = '', project = '', title = '']) => [page, file, project, title] as const));

  it.each(named)('%s: %s', (_page, file, project, title) => {
    expect([file, existsSync(join(ROOT, file))]).toEqual([file, true]);
    expect(readFileSync(join(ROOT, file), 'utf8')).toContain(title);
    const [parent = '', room = ''] = file.split('/');
    expect(project).toBe(['packages', 'apps'].includes(parent) ? room : parent);
  });

  it('are in a form that is looked at', () => {
    const calls = PAGES.flatMap((page) => [...textOf(page).matchAll(/^npm test -- .*-t /gm)]);
    expect(named).toHaveLength(calls.length);
  });
});

describe('the pages of the two series', () => {
  const children = [...textOf('series.md').matchAll(/^ {2}- \.\/(patches\/\S+)$/gm)].map(([, path = '']) => path);

  it('are the children of the overview, in order', () => {
    expect(children).toHaveLength(20);
    expect([...children].sort()).toEqual(PAGES.filter((page) => page.startsWith('patches/')));
  });

  it.each(children)('%s says what was wrong, what changed, where it is, how to see it', (page) => {
    expect([...textOf(page).matchAll(/^## (.+)$/gm)].map(([, heading]) => heading)).toEqual(['What was wrong', 'What changed', 'Where it is in vsim', 'See it']);
    expect(basename(page)).toMatch(/^(vfio-\d\d|vlpi-\d)-[a-z0-9-]+\.md$/);
  });
});
