import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

const ROOT = join(import.meta.dirname, '../..');

/** The spoke of each kit. */
const KITS = new Map([
  ['packages/doctor', ['vfio-pci']],
  ['packages/vmm', ['gic-its']],
]);

interface Manifest {
  readonly name: string;
  readonly dependencies?: Record<string, string>;
  readonly peerDependencies?: Record<string, string>;
  readonly optionalDependencies?: Record<string, string>;
}

/** What each package and app of the workspace depends on, by its package.json. */
function manifests(): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const parent of ['packages', 'apps']) {
    for (const entry of readdirSync(join(ROOT, parent))) {
      const file = join(ROOT, parent, entry, 'package.json');
      if (!existsSync(file)) continue;
      const manifest = JSON.parse(readFileSync(file, 'utf8')) as Manifest;
      const { dependencies = {}, peerDependencies = {}, optionalDependencies = {} } = manifest;
      const names = Object.keys({ ...dependencies, ...peerDependencies, ...optionalDependencies });
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
      else if (dir.startsWith('packages/')) expect(imports, dir).toEqual([...(KITS.get(dir) ?? []), 'vfio-core'].sort());
    }
  });
});
