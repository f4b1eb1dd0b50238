/** tooling/mutants.json names guards of the code by their text: one that has changed would not be tried any more. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

interface Mutant {
  readonly name: string;
  readonly file: string;
  readonly find: string;
  readonly replace: string;
  readonly red: string | readonly string[];
}

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const list: unknown = JSON.parse(readFileSync(`${ROOT}tooling/mutants.json`, 'utf8'));
const mutants = Array.isArray(list) ? list.filter(isMutant) : [];

function isMutant(value: unknown): value is Mutant {
  if (typeof value !== 'object' || value === null) return false;
  const fields = new Map<string, unknown>(Object.entries(value));
  return ['name', 'file', 'find', 'replace'].every((name) => typeof fields.get(name) === 'string') && fields.has('red');
}

it('each mutant has a name of its own, finds its guard once, changes it, and names the tests that see it', () => {
  expect([list]).toEqual([mutants]);
  expect(mutants.map(({ name }) => name).filter((name, i, all) => all.indexOf(name) !== i)).toEqual([]);
  const texts = new Map([...new Set(mutants.map(({ file }) => file))].map((file) => [file, readFileSync(`${ROOT}${file}`, 'utf8')]));
  const lost = mutants.filter(({ file, find, replace, red }) => texts.get(file)!.split(find).length !== 2 || find === replace || red.length === 0);
  expect(lost.map(({ name }) => name)).toEqual([]);
});
