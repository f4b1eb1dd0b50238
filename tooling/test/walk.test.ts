/** The walk of docs/architecture.md: each of its files is there, and has the name that the table says. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';
import { describe, expect, it } from 'vitest';

const ROOT = join(import.meta.dirname, '../..');
const PAGE = readFileSync(join(ROOT, 'docs/architecture.md'), 'utf8');
const SECTION = /^## A stranger's walk\n(.*?)^## /ms.exec(PAGE)?.[1] ?? '';
const ROWS = SECTION.split('\n').filter((line) => line.startsWith('| ') && !line.startsWith('| where')).map((line) => line.slice(1, -1).split('|').map((cell) => cell.trim()));

/** What a file declares: names of the top, and `Class.member` with private ones as they are called, without their mark. */
function declared(path: string): ReadonlySet<string> {
  const found = new Set<string>();
  for (const statement of ts.createSourceFile(path, readFileSync(path, 'utf8'), ts.ScriptTarget.ESNext).statements) {
    if (ts.isVariableStatement(statement)) for (const { name } of statement.declarationList.declarations) if (ts.isIdentifier(name)) found.add(name.text);
    if (!ts.isFunctionDeclaration(statement) && !ts.isClassDeclaration(statement) && !ts.isInterfaceDeclaration(statement)) continue;
    const { name } = statement;
    if (name === undefined) continue;
    found.add(name.text);
    if (!ts.isClassDeclaration(statement)) continue;
    for (const { name: member } of statement.members) if (member !== undefined && (ts.isIdentifier(member) || ts.isPrivateIdentifier(member))) found.add(`${name.text}.${member.text.replace('#', '')}`);
  }
  return found;
}

/** Paths and names in the code spans of a step; a name without a path is of the one before it, or of that after `of`. */
function step(cell: string): { readonly path: string; readonly names: readonly string[] }[] {
  const spans = [...cell.matchAll(/`([^`]+)`/g)].map(([, text]) => text!);
  const paths = spans.filter((text) => text.includes('/') && text.endsWith('.ts'));
  const names = spans.filter((text) => /^[A-Za-z]\w*(\.\w+)?$/.test(text) && !text.endsWith('.ts'));
  return paths.map((path) => ({ path: join(ROOT, path.startsWith('apps/') ? path : `packages/${path}`), names }));
}

describe("a stranger's walk", () => {
  it('has the purposes of many strangers, each with two steps', () => {
    expect(ROWS.length).toBeGreaterThanOrEqual(10);
    expect(ROWS.filter((cells) => cells.length !== 3 || cells.slice(1).some((cell) => step(cell).length === 0))).toEqual([]);
  });

  it.each(ROWS.map(([purpose, ...steps]) => [purpose!, steps] as const))('where %s', (_purpose, steps) => {
    for (const cell of steps) {
      const places = step(cell);
      expect(places.filter(({ path }) => !existsSync(path))).toEqual([]);
      const names = places[0]!.names;
      expect(names).not.toEqual([]);
      const there = places.map(({ path }) => declared(path));
      expect(names.filter((name) => !there.some((file) => file.has(name))), cell).toEqual([]);
    }
  });
});
