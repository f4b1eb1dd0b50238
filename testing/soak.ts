/** `npm run soak -- NAME... [--inputs N] [--seed S]`: the process that scripts/soak.mjs starts. Prints a line for each door; exit 1 if one fails. */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { fuzz, line, NOTHING, PAST, type Door } from './fuzz.ts';

const ROOT = join(import.meta.dirname, '..');

const { values, positionals } = parseArgs({
  options: { inputs: { type: 'string', default: '100000' }, seed: { type: 'string', default: '1' } },
  allowPositionals: true,
});
const inputs = Number(values.inputs);
const seed = Number(values.seed);

const doors: Door[] = [];
for (const parent of ['packages', 'apps']) {
  for (const room of readdirSync(join(ROOT, parent))) {
    const file = join(ROOT, parent, room, 'test/doors.ts');
    if (!existsSync(file)) continue;
    const { DOORS } = (await import(pathToFileURL(file).href)) as { DOORS: readonly Door[] };
    doors.push(...DOORS);
  }
}

const chosen = positionals.includes('all') ? doors : doors.filter(({ name }) => positionals.includes(name));
const unknown = positionals.filter((name) => name !== 'all' && !doors.some((door) => door.name === name));
if (chosen.length === 0 || unknown.length > 0 || !Number.isSafeInteger(inputs) || inputs < 1 || !Number.isSafeInteger(seed) || seed < 0) {
  console.error(`usage: npm run soak -- all|NAME... [--inputs N] [--seed S], N shared between the doors: ${doors.map(({ name }) => name).join(', ')}`);
  process.exit(2);
}

const commit = execFileSync('git', ['rev-parse', '--short', 'HEAD'], { cwd: ROOT, encoding: 'utf8' }).trim();
console.log(`commit ${commit}`);
for (const door of chosen) {
  const figures = fuzz(door, seed, Math.ceil(inputs / chosen.length));
  console.log(line(figures));
  const { lines, unmet: always } = door.report?.(figures) ?? NOTHING;
  const unmet = [...always, ...(door.soak?.(figures) ?? [])];
  for (const one of [...lines, ...unmet.map((missing) => `NOT MET: ${missing}`)]) console.log(`  ${one}`);
  if (unmet.length > 0 || figures.failures > 0 || figures.past < PAST * figures.inputs) process.exitCode = 1;
}
