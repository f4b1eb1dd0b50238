import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { PARTS } from '../../scripts/ci-parts.mjs';
import { differing, published } from '../../scripts/manifests.mjs';

const ROOT = join(import.meta.dirname, '../..');
const CI = readFileSync(join(ROOT, '.github/workflows/ci.yml'), 'utf8');

/** The parts that a job of the workflow runs. */
function partsOf(job: string): string[] {
  const text = new RegExp(`^  ${job}:\\n(.*?)(?=^  \\w|$(?![\\s\\S]))`, 'ms').exec(CI)?.[1] ?? '';
  return /run: node scripts\/ci\.mjs (.*)$/m.exec(text)?.[1]?.split(' ') ?? [];
}

describe('the workflow of the forge', () => {
  it('runs each part of .ci/run on one machine', () => {
    expect(partsOf('whole')).toEqual(PARTS.map(({ name }) => name));
  });

  it.each(['quick', 'runtimes'])('%s runs parts that there are', (job) => {
    const names = PARTS.map(({ name }) => name);
    expect(partsOf(job).filter((name) => !names.includes(name))).toEqual([]);
    expect(partsOf(job)).not.toEqual([]);
  });
});

describe('what is published', () => {
  it('has the fields and the version that the root has', () => {
    expect(differing().map(([path]) => path)).toEqual([]);
  });

  it.each(published().map(({ name, manifest }) => [name, manifest] as const))('%s has keywords, and a prepack that builds', (_, manifest) => {
    expect(manifest.keywords?.length).toBeGreaterThan(3);
    expect(manifest.scripts?.['prepack']).toMatch(/^node \.\.\/\.\.\/scripts\//);
  });

  it('starts no tool that is of POSIX alone', () => {
    const scripts = globSync(['package.json', '{packages,apps}/*/package.json'], { cwd: ROOT }).flatMap((file) =>
      Object.values((JSON.parse(readFileSync(join(ROOT, file), 'utf8')) as { scripts?: Record<string, string> }).scripts ?? {}),
    );
    expect(scripts.length).toBeGreaterThan(20);
    expect(scripts.filter((script) => /(?:^|&& )(?!node |tsc |turbo |eslint |\.ci\/run)/.test(script))).toEqual([]);
  });
});
