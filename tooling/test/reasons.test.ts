/** docs/reasons.md: every rule that a user can break, from the packages' own tables; and which of them no test names. */
import { globSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import * as core from '../../packages/vfio-core/src/index.ts';
import * as fslmc from '../../packages/vfio-fslmc/src/index.ts';
import * as mdev from '../../packages/mdev/src/index.ts';
import * as pci from '../../packages/vfio-pci/src/index.ts';
import * as platform from '../../packages/vfio-platform/src/index.ts';

const constants = [core, pci, platform, fslmc, mdev]
  .flatMap((exports) => Object.entries<unknown>({ ...exports }))
  .flatMap(([name, value]) => (core.isReason(value) ? [{ name, value }] : []));
const reasons = constants.map(({ value }) => value).sort((a, b) => (a.id < b.id ? -1 : 1));

function document(): string {
  const row = (cells: readonly string[]): string => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |\n`;
  return `# Why a call is refused

Made from the reasons in the packages (\`reason()\` of @vsim/vfio-core). Each refusal is one event of severity \`info\` with this id, and an error that
is thrown for it has it as \`error.why\`, with the numbers and names that decided in \`error.why.fields\`; the message ends with the way out.

${row(['id', 'errno', 'call', 'rule', 'kernel', 'way out'])}${row(['---', '---', '---', '---', '---', '---'])}${reasons.map((each) => row(core.reasonRow(each))).join('')}`;
}

it('each reason has an id of its own', () => {
  const ids = reasons.map(({ id }) => id);
  expect(ids.filter((id, i) => ids.indexOf(id) !== i)).toEqual([]);
});

it('docs/reasons.md has them all', async () => {
  await expect(document()).toMatchFileSnapshot('../../docs/reasons.md');
});

it('each reason is named by a test, by its id or its constant [M14]', () => {
  const root = fileURLToPath(new URL('../../', import.meta.url));
  const files = globSync('{packages,apps}/*/{src,test}/**/*.test.ts', { cwd: root });
  const words = new Set(files.flatMap((file) => readFileSync(`${root}${file}`, 'utf8').match(/[\w/-]+/g) ?? []));
  const unnamed = constants.filter(({ name, value }) => !words.has(name) && !words.has(value.id)).map(({ value }) => value.id);
  expect(unnamed.sort()).toEqual([]);
});

it('docs/passthrough.md takes its rules from them: each row that names a reason has one of its errnos', () => {
  const page = readFileSync(fileURLToPath(new URL('../../docs/passthrough.md', import.meta.url)), 'utf8');
  const rows = page.split('\n').flatMap((line) => {
    const ids = line.startsWith('|') ? [...line.matchAll(/`([a-z0-9-]+\/[a-z0-9-]+)`/g)].map(([, id]) => id) : [];
    return ids.map((id) => ({ id, line, errnos: reasons.find((each) => each.id === id)?.errnos.map(core.errnoName) ?? [] }));
  });
  expect(rows.length).toBeGreaterThan(8);
  expect(rows.filter(({ line, errnos }) => !errnos.some((errno) => line.split('|')[2]?.includes(errno)))).toEqual([]);
});
