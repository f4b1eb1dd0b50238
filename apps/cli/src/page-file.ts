/** The doctor's page with a question in it, as a file. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { reading } from '@vsim/conformance/read-text';
import { pageWith, type Question } from '@vsim/web';
import { UsageError, type Io } from './io.ts';

/** As it is published, the page lies beside the command. */
const BESIDE = fileURLToPath(new URL('doctor.html', import.meta.url));

/** @throws UsageError if the file cannot be written, or the page was not built */
export function writePage(name: string, question: Question, io: Io): void {
  const page = readFileSync(pageFile(), 'utf8');
  try {
    reading(() => writeFileSync(resolve(io.cwd, name), pageWith(page, question)));
  } catch (error) {
    throw new UsageError(`${name}: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function pageFile(): string {
  if (existsSync(BESIDE)) return BESIDE;
  try {
    const built = createRequire(import.meta.url).resolve('@vsim/web/doctor.html');
    if (existsSync(built)) return built;
  } catch {
    // A package that is not there, or exports no page.
  }
  throw new UsageError('the page was not built; in the repository: npm run build');
}
