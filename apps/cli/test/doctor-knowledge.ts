/** docs/doctor-knowledge.md: how much the doctor tells of what people paste. `npm run doctor-knowledge` writes it. */
import { readFileSync, writeFileSync } from 'node:fs';
import { knowledge, knowledgeTable, type KnowledgeRow } from '@vsim/conformance/doctor';
import { ask } from './doctor-said.ts';

/** Where the page is. */
export const PAGE: URL = new URL('../../../docs/doctor-knowledge.md', import.meta.url);

const HEAD = `# What a text tells

How much the doctor tells of machines whose groups are known: of 24 machines of threads and recordings (\`apps/conformance/recordings/doctor\`, \`topology\`) each text as lspci
prints it with other options, or without root; the same with each function left out, as one line that was not copied; and with each function alone, as \`lspci -s\`
has it. *Known* is a group that was stated, and was the kernel's among the functions of the text. *Wrong* is one that was stated, and was another:
there may be none. *Cannot tell* is left open, and proved to be open: for each function of a whole text the doctor has two machines that
both print that text, with different groups.

Where lspci tells groups (\`-v\` and more, of a kernel with IOMMU), they are taken. The rows *no groups* have the same texts without those lines.

\`npm run doctor-knowledge\` writes this page, and refuses where less is known than before; \`npm test\` compares the first table, \`npm run test:long\` all.

`;

/** The whole page. */
export function pageOf(rows: readonly KnowledgeRow[]): string {
  return `${HEAD}${knowledgeTable(rows)}`;
}

/** Known functions of each row of a page, by part and options. */
export function knownInPage(page: string): ReadonlyMap<string, number> {
  const out = new Map<string, number>();
  let part = '';
  for (const line of page.split('\n')) {
    part = /^## (.+)$/.exec(line)?.[1]?.toLowerCase() ?? part;
    const [, options, known] = /^\| `([^`]+)` \| \d+ \| \d+ \| (\d+) \|/.exec(line) ?? [];
    if (options !== undefined) out.set(`${part}: ${options}`, Number(known));
  }
  return out;
}

if (process.argv[1] !== undefined && import.meta.url === new URL(`file://${process.argv[1]}`).href) {
  const rows = knowledge(ask);
  const wrong = rows.flatMap(({ score }) => score.wrong);
  for (const line of wrong.slice(0, 20)) console.error(`doctor-knowledge: wrong: ${line}`);
  let before = '';
  try {
    before = readFileSync(PAGE, 'utf8');
  } catch {
    console.error('doctor-knowledge: there was no page');
  }
  const known = knownInPage(before);
  const fallen = rows.filter(({ part, options, score }) => score.known < (known.get(`${part}: ${options}`) ?? 0));
  for (const { part, options, score } of fallen) console.error(`doctor-knowledge: ${part}: ${options}: ${score.known} known, ${known.get(`${part}: ${options}`) ?? 0} before`);
  if (wrong.length > 0 || (fallen.length > 0 && !process.argv.includes('--lower'))) process.exitCode = 1;
  else writeFileSync(PAGE, pageOf(rows));
}
