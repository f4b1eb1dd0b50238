/**
 * Writes docs/api/*.api.md: what each entry of each published package exports, so that a change of it
 * is seen in a review. With `--check`, nothing is written and a report that differs is a failure. With
 * `--undocumented`, it prints what has no words, and fails if there is any.
 *
 * What has no words is API Extractor's `(undocumented)`.
 */
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT, setUp, workspaces } from './lib.mjs';

const REPORTS = join(ROOT, 'docs', 'api');
const FRESH = join(ROOT, 'node_modules', '.cache', 'vsim', 'api');

setUp();
const { Extractor, ExtractorConfig } = await import('@microsoft/api-extractor');
const check = process.argv.includes('--check');
const list = process.argv.includes('--undocumented');
const names = process.argv.slice(2).filter((word) => !word.startsWith('-'));
const problems = [];
const undocumented = {};
rmSync(FRESH, { recursive: true, force: true });
mkdirSync(FRESH, { recursive: true });
mkdirSync(REPORTS, { recursive: true });

const made = new Set();
for (const { dir, name, manifest } of workspaces('packages')) {
  if (names.length > 0 && !names.includes(dir.replace('packages/', ''))) continue;
  for (const [entry, { types }] of Object.entries(manifest.publishConfig.exports)) {
    if (types === undefined) continue;
    const file = `${dir.replace('packages/', '')}${entry === '.' ? '' : `-${entry.slice(2)}`}.api.md`;
    const text = report(dir, types, file, `${name}${entry.slice(1)}`);
    made.add(file);
    const there = existsSync(join(REPORTS, file)) ? readFileSync(join(REPORTS, file), 'utf8') : '';
    if (text !== there) {
      if (check) problems.push(`docs/api/${file} differs: npm run api-report, and look at what changed`);
      else if (!list) writeFileSync(join(REPORTS, file), text);
    }
    undocumented[file] = wordless(text);
  }
}
if (names.length === 0) {
  for (const file of readdirSync(REPORTS)) {
    if (made.has(file)) continue;
    if (check) problems.push(`docs/api/${file} is of no package`);
    else if (!list) rmSync(join(REPORTS, file));
  }
}

for (const [file, lines] of Object.entries(undocumented)) {
  console.log(`${file}: ${lines.length} without words`);
  if (list) for (const line of lines) console.log(`  ${line}`);
}
for (const problem of problems) console.error(problem);
const bare = Object.values(undocumented).flat().length;
console.log(`${made.size} reports, ${problems.length} differ, ${bare} without words`);
process.exitCode = problems.length > 0 || ((check || list) && bare > 0) ? 1 : 0;

/** The report of one entry, made afresh. */
function report(dir, types, file, title) {
  const folder = join(ROOT, dir);
  const config = ExtractorConfig.prepare({
    configObject: {
      projectFolder: folder,
      mainEntryPointFilePath: join(folder, types),
      compiler: { tsconfigFilePath: join(folder, 'tsconfig.json') },
      newlineKind: 'lf',
      apiReport: { enabled: true, reportFileName: file, reportFolder: FRESH, reportTempFolder: join(FRESH, 'temp') },
      docModel: { enabled: false },
      dtsRollup: { enabled: false },
      tsdocMetadata: { enabled: false },
      messages: {
        extractorMessageReporting: {
          default: { logLevel: 'none' },
          'ae-undocumented': { logLevel: 'none', addToApiReportFile: true },
        },
        compilerMessageReporting: { default: { logLevel: 'none' } },
        tsdocMessageReporting: { default: { logLevel: 'none' } },
      },
    },
    configObjectFullPath: undefined,
    packageJsonFullPath: join(folder, 'package.json'),
  });
  const { compilerErrorCount = 0 } = Extractor.invoke(config, { localBuild: true, messageCallback: quiet });
  if (compilerErrorCount > 0) problems.push(`${title}: ${compilerErrorCount} errors of the compiler`);
  return readFileSync(join(FRESH, file), 'utf8');
}

function quiet(message) {
  if (message.logLevel === 'error') problems.push(message.text);
  message.handled = true;
}

/** Names of a report that have no words: a member with the class that it is of. */
function wordless(text) {
  const found = [];
  let owner = '';
  const lines = text.split('\n');
  for (const [at, line] of lines.entries()) {
    if (/^(?:export|declare|interface|class|abstract|namespace)/.test(line)) owner = line.replace(/^export (?:declare )?/, '').slice(0, 60);
    const next = lines.slice(at + 1).find((below) => !below.trim().startsWith('//'));
    if (/^\s*\/\/ .*\(undocumented\)$/.test(line) && next !== undefined) found.push(line.startsWith(' ') ? `${owner}  ${next.trim()}` : next.slice(0, 110));
  }
  return found;
}
