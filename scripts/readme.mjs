/** A package's README as a program: its first ```ts block, and the ```text block after it as what it prints. */
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from './lib.mjs';

/** `{ code, output }`, `output` undefined where no text block follows; or `{ missing }`, why there is none. */
export function firstBlock({ dir, name }) {
  const file = join(ROOT, dir, 'README.md');
  if (!existsSync(file)) return { missing: `${name} has no README.md` };
  const blocks = [...readFileSync(file, 'utf8').matchAll(/^```(\w*)[^\n]*\n(.*?)^```$/gms)];
  const at = blocks.findIndex(([, language]) => language === 'ts');
  if (at < 0) return { missing: `README.md of ${name} has no ts block` };
  const next = blocks[at + 1];
  return { code: blocks[at][2], output: next?.[1] === 'text' ? next[2] : undefined };
}

/** What is wrong with an output, or undefined. */
export function outputProblem(wanted, got) {
  if (wanted === undefined || wanted.trimEnd() === got.trimEnd()) return undefined;
  return `printed\n${got}instead of\n${wanted}`;
}

/** The programs of docs/guides/programs, each with what the page that includes it says that it prints: `{ name, file, output }`. */
export function guidePrograms() {
  const pages = readdirSync(join(ROOT, 'docs', 'guides'), { recursive: true }).filter((file) => file.endsWith('.md'));
  return pages.flatMap((page) => {
    const text = readFileSync(join(ROOT, 'docs', 'guides', page), 'utf8');
    return [...text.matchAll(/^\{@includeCode [^\s}]*programs\/([\w-]+)\.ts\}\n+```text\n(.*?)^```$/gms)].map(([, name, output]) => ({ name, file: join(ROOT, 'docs', 'guides', 'programs', `${name}.ts`), output }));
  });
}
