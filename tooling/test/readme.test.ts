import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { published } from '../../scripts/manifests.mjs';

const ROOT = join(import.meta.dirname, '../..');
const README = readFileSync(join(ROOT, 'README.md'), 'utf8');
const block = (language: string): string => new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\`$`, 'ms').exec(README)?.[1] ?? '';

describe('README.md', () => {
  it('has a program of fifteen lines that prints what it says', () => {
    const code = block('ts');
    const folder = mkdtempSync(join(tmpdir(), 'vsim-readme-'));
    writeFileSync(join(folder, 'main.ts'), code);
    const { stdout, stderr } = spawnSync(process.execPath, ['--conditions=@vsim/source', '--import', join(ROOT, 'scripts/workspace-packages.mjs'), join(folder, 'main.ts')], { encoding: 'utf8' });
    rmSync(folder, { recursive: true });
    expect({ stdout, stderr }).toEqual({ stdout: block('text'), stderr: '' });
    expect(code.split('\n').filter((line) => /\w/.test(line)).length).toBe(15);
  });

  it('lists every package that is published', () => {
    const listed = [...README.matchAll(/^\| \[`(@vsim\/[a-z-]+)`\]\(([a-z/-]+)\/README\.md\)/gm)].map(([, name, dir]) => `${dir} ${name}`);
    expect(listed.sort()).toEqual(published().map(({ dir, name }) => `${dir} ${name}`).sort());
  });

  it('links to files that there are', () => {
    const links = [...README.matchAll(/\]\(([^)#]+)\)/g)].map(([, link]) => link!).filter((link) => !link.includes(':'));
    expect(links.filter((link) => !existsSync(join(ROOT, link)))).toEqual([]);
  });
});
