/** docs/reasons.md: every rule that a user can break, from the packages' own tables. */
import { expect, it } from 'vitest';
import * as core from '../../packages/vfio-core/src/index.ts';
import * as fslmc from '../../packages/vfio-fslmc/src/index.ts';
import * as mdev from '../../packages/mdev/src/index.ts';
import * as pci from '../../packages/vfio-pci/src/index.ts';
import * as platform from '../../packages/vfio-platform/src/index.ts';

const reasons = [core, pci, platform, fslmc, mdev]
  .flatMap((exports) => Object.values<unknown>({ ...exports }))
  .filter((value) => core.isReason(value))
  .sort((a, b) => (a.id < b.id ? -1 : 1));

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
