import { existsSync, globSync, readFileSync, readdirSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import ts from 'typescript';
import { describe, expect, it } from 'vitest';

const ROOT = join(import.meta.dirname, '../..');

/** The spoke of each kit. */
const KITS = new Map([
  ['packages/devices', ['vfio-pci']],
  ['packages/doctor', ['vfio-pci']],
  ['packages/vmm', ['gic-its']],
]);

/** What a package's part for Node alone needs; whoever does without that part does without it. */
const NATIVE = new Map([['packages/vfio-user', ['koffi']]]);

interface Manifest {
  readonly name: string;
  readonly dependencies?: Record<string, string>;
  readonly peerDependencies?: Record<string, string>;
  readonly optionalDependencies?: Record<string, string>;
  readonly devDependencies?: Record<string, string>;
}

/** What each package and app of the workspace depends on, by its package.json. */
function manifests(): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const parent of ['packages', 'apps']) {
    for (const entry of readdirSync(join(ROOT, parent))) {
      const file = join(ROOT, parent, entry, 'package.json');
      if (!existsSync(file)) continue;
      const manifest = JSON.parse(readFileSync(file, 'utf8')) as Manifest;
      const { dependencies = {}, peerDependencies = {}, optionalDependencies = {}, devDependencies = {} } = manifest;
      const run = { ...dependencies, ...peerDependencies };
      // A bundle has what it imports in it, but for what is native.
      const names = Object.keys({ ...(Object.keys(run).length > 0 ? run : devDependencies), ...optionalDependencies });
      found.set(`${parent}/${entry}`, names.map(short).sort());
    }
  }
  return found;
}

/** What each imports, by the table in docs/architecture.md. */
function table(): Map<string, string[]> {
  const text = readFileSync(join(ROOT, 'docs/architecture.md'), 'utf8');
  const lines = text.split('\n');
  const head = lines.findIndex((line) => /^\| package +\| owns +\| does not own +\| imports +\|$/.test(line));
  expect(head).toBeGreaterThan(-1);
  const rows = new Map<string, string[]>();
  for (const line of lines.slice(head + 2)) {
    if (!line.startsWith('|')) break;
    const [name, owns, not, imports] = line
      .slice(1, -1)
      .split('|')
      .map((cell) => cell.trim());
    expect([owns, not]).not.toContain('');
    const key = name!.replaceAll('`', '');
    expect(rows.has(key), `${key} twice`).toBe(false);
    rows.set(key, [...imports!.matchAll(/`([^`]+)`/g)].map((match) => match[1]!).sort());
  }
  return rows;
}

function short(name: string): string {
  return name.replace('@vsim/', '');
}

describe('docs/architecture.md', () => {
  it('has a row for every package and app, with what its package.json depends on', () => {
    expect(Object.fromEntries(table())).toEqual(Object.fromEntries(manifests()));
  });

  it('is rings around a star: the hub imports nothing, a spoke only the hub, a kit the hub and one spoke', () => {
    for (const [dir, imports] of manifests()) {
      if (dir === 'packages/vfio-core') expect(imports).toEqual([]);
      else if (dir.startsWith('packages/')) expect(imports, dir).toEqual([...(KITS.get(dir) ?? []), ...(NATIVE.get(dir) ?? []), 'vfio-core'].sort());
    }
  });
});

/** Relative imports of a source that are there when it runs: those of types alone are not. */
function valueImports(file: string): readonly string[] {
  const { statements } = ts.createSourceFile(file, readFileSync(file, 'utf8'), ts.ScriptTarget.ESNext);
  return statements.flatMap((statement) => {
    if (ts.isImportDeclaration(statement)) {
      const clause = statement.importClause;
      const names = clause?.namedBindings;
      const typesOnly = clause?.phaseModifier === ts.SyntaxKind.TypeKeyword || (names !== undefined && ts.isNamedImports(names) && names.elements.every(({ isTypeOnly }) => isTypeOnly));
      return typesOnly ? [] : textOf(statement.moduleSpecifier);
    }
    return ts.isExportDeclaration(statement) && !statement.isTypeOnly && statement.moduleSpecifier !== undefined ? textOf(statement.moduleSpecifier) : [];
  }).filter((path) => path.startsWith('.')).map((path) => join(dirname(file), path));
}

function textOf(node: ts.Expression): string[] {
  return ts.isStringLiteral(node) ? [node.text] : [];
}

/** Relative imports of a source, those of types alone with them. */
function allImports(file: string): readonly string[] {
  const { statements } = ts.createSourceFile(file, readFileSync(file, 'utf8'), ts.ScriptTarget.ESNext);
  return statements
    .flatMap((statement) => ((ts.isImportDeclaration(statement) || ts.isExportDeclaration(statement)) && statement.moduleSpecifier !== undefined ? textOf(statement.moduleSpecifier) : []))
    .filter((path) => path.startsWith('.'))
    .map((path) => join(dirname(file), path));
}

/** Files that all reach each other by imports, largest set first (Tarjan's strongly connected components). */
function circles(files: readonly string[]): readonly (readonly string[])[] {
  const found: string[][] = [];
  const number = new Map<string, number>();
  const low = new Map<string, number>();
  const stack: string[] = [];
  const visit = (file: string): void => {
    number.set(file, number.size);
    low.set(file, number.get(file)!);
    stack.push(file);
    for (const next of allImports(file)) {
      if (!number.has(next)) visit(next);
      if (stack.includes(next)) low.set(file, Math.min(low.get(file)!, low.get(next)!));
    }
    const at = stack.indexOf(file);
    if (low.get(file) === number.get(file)) found.push(stack.splice(at));
  };
  for (const file of files) if (!number.has(file)) visit(file);
  return found.filter(({ length }) => length > 1).sort((a, b) => b.length - a.length);
}

/** A circle of imports, from a file back to itself; undefined if there is none. */
function circle(files: readonly string[]): readonly string[] | undefined {
  const done = new Set<string>();
  const walk = (file: string, above: readonly string[]): readonly string[] | undefined => {
    if (above.includes(file)) return [...above.slice(above.indexOf(file)), file];
    if (done.has(file)) return undefined;
    for (const next of valueImports(file)) {
      const found = walk(next, [...above, file]);
      if (found !== undefined) return found;
    }
    done.add(file);
    return undefined;
  };
  return files.map((file) => walk(file, [])).find((found) => found !== undefined);
}

describe('imports', () => {
  const sources = globSync('{packages,apps}/*/src/**/*.ts', { cwd: ROOT }).filter((file) => !file.endsWith('.test.ts'));

  it('of values form no circle', () => {
    expect(sources.length).toBeGreaterThan(400);
    expect(circle(sources.map((file) => join(ROOT, file)))?.map((file) => relative(ROOT, file))).toBeUndefined();
  });

  it('of types form circles of five files at most, but for the host, its processes and their files', () => {
    const large = circles(sources.map((file) => join(ROOT, file))).filter(({ length }) => length > 5);
    const rooms = large.map((files) => [[...new Set(files.map((file) => relative(ROOT, dirname(file))))].sort().join(' '), files.length]);
    expect(rooms, large.at(-1)?.join('\n')).toEqual([
      ['packages/vfio-core/src/host packages/vfio-core/src/irq packages/vfio-core/src/process', 12],
    ]);
  });
});
