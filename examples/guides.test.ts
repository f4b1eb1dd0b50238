/** The guides of docs/guides: each is in the navigation, its code is included from here, and what it says that a program prints is what the program prints. */
import { existsSync, globSync, readFileSync, readdirSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';

const ROOT = join(import.meta.dirname, '..');
const FOLDER = join(ROOT, 'docs/guides');
const GUIDES = readdirSync(FOLDER).filter((name) => name.endsWith('.md'));
/** In the order of the navigation. */
const TITLES = ['A host in five minutes', 'Your own device', 'Your driver under test', 'Your own mdev parent', 'A VMM that migrates', 'Devices from a device tree', 'Kernels and their differences', 'What is not modelled'];

const read = (file: string): string => readFileSync(file, 'utf8');
const titleOf = (guide: string): string | undefined => /^---\n(?:.*\n)*?title: (.+)\n/.exec(read(join(FOLDER, guide)))?.[1];

/** What a page includes: the file, and the pieces of it that it names. */
function includes(guide: string): readonly { readonly file: string; readonly regions: readonly string[] }[] {
  const tags = [...read(join(FOLDER, guide)).matchAll(/\{@include(?:Code)? ([^}#]+)(?:#([^}]+))?\}/g)];
  return tags.map(([, path, regions]) => ({ file: join(FOLDER, dirname(guide), path!), regions: regions?.split(',') ?? [] }));
}

/** The text files that a page may quote: those of the examples whose code it has, programs left out. */
function quotable(guide: string): readonly string[] {
  const folders = [...new Set(includes(guide).map(({ file }) => dirname(file)))];
  return folders.flatMap((folder) => readdirSync(folder).filter((name) => /\.(txt|dts)$/.test(name)).map((name) => `\n${read(join(folder, name))}`));
}

describe('the guides', () => {
  it('are all in the navigation, in their order', () => {
    const { projectDocuments } = JSON.parse(read(join(ROOT, 'typedoc.json'))) as { readonly projectDocuments: readonly string[] };
    const listed = projectDocuments.filter((path) => dirname(path) === 'docs/guides').map((path) => basename(path));
    expect([...listed].sort()).toEqual(GUIDES);
    expect(listed.map(titleOf).filter((title) => title !== undefined && TITLES.includes(title))).toEqual(TITLES);
    // What people ask first.
    expect(titleOf(listed[0]!)).toBe("The doctor's page");
  });

  it('show every example', () => {
    const folders = globSync('*/package.json', { cwd: import.meta.dirname }).map((path) => dirname(path)).sort();
    const linked = (text: string): string[] => [...text.matchAll(/([a-z0-9-]+)\/README\.md/g)].map(([, name]) => name!).sort();
    expect(linked(read(join(import.meta.dirname, 'README.md')))).toEqual(folders);
    expect(linked(read(join(FOLDER, 'examples.md'))).filter((name) => name !== 'examples')).toEqual(folders);
  });

  it.each(GUIDES)('%s has a title', (guide) => {
    expect(titleOf(guide)).toBeDefined();
  });

  it.each(GUIDES)('%s includes its code, whole pieces of files that there are', (guide) => {
    expect(read(join(FOLDER, guide))).not.toMatch(/^```(?!sh$|text$|$)/m);
    for (const { file, regions } of includes(guide)) {
      expect(existsSync(file), file).toBe(true);
      for (const region of regions) for (const mark of ['region', 'endregion']) expect(read(file).match(new RegExp(`// #${mark} ${region}$`, 'gm')), `${region} of ${file}`).toHaveLength(1);
    }
  });

  // The page of errors has what others print, which packages/doctor holds; the guide to passthrough what the command prints, which guides.test.ts beside it holds.
  it.each(GUIDES.filter((guide) => guide !== 'errors.md' && guide !== 'passthrough.md'))('%s says that programs print what they print', (guide) => {
    const blocks = [...read(join(FOLDER, guide)).matchAll(/^```text\n(.*?)^```$/gms)].map(([, text]) => `\n${text}`);
    const files = quotable(guide);
    expect(blocks.filter((block) => !files.some((file) => file.includes(block)))).toEqual([]);
  });
});

it.each(globSync('*/*.ts', { cwd: import.meta.dirname }))('the pieces of %s are shown somewhere', (path) => {
  const pieces = [...read(join(import.meta.dirname, path)).matchAll(/\/\/ #region (.+)$/gm)].map(([, name]) => name!);
  const shown = globSync('**/*.md', { cwd: FOLDER }).flatMap((guide) => includes(guide)).filter(({ file }) => file === join(import.meta.dirname, path)).flatMap(({ regions }) => regions);
  expect(pieces.filter((piece) => !shown.includes(piece))).toEqual([]);
});
