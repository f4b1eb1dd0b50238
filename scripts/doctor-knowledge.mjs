/**
 * `npm run doctor-knowledge`: docs/doctor-knowledge.md, what the doctor knows of texts that show less and less. Exit 1, and the page as it was, if a
 * statement is wrong, or less is known than the page says; `-- --lower` writes it for all that.
 */
import { join } from 'node:path';
import { ROOT, bundledNode, install, run } from './lib.mjs';

install();
process.exitCode = run(bundledNode(), ['--conditions=@vsim/source', join(ROOT, 'apps/cli/test/doctor-knowledge.ts'), ...process.argv.slice(2)]);
