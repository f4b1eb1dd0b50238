/**
 * `npm run check:browser`: loads every built package in headless Chromium, with an import map and
 * nothing else, and runs each README's first example, each of examples/ and each
 * guide's program there. Exits 3 when there is no Chromium.
 */
import { spawn } from 'node:child_process';
import { createServer } from 'node:http';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, normalize } from 'node:path';
import { ROOT, setUp, workspaces } from './lib.mjs';
import { firstBlock, guidePrograms, outputProblem } from './readme.mjs';

const CHROMIUM = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];
const FLAGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];
const TIMEOUT_MS = 120_000;
/** Examples that import what only Node has. */
const NODE_ALONE = ['gic-remote'];

const chromium = CHROMIUM.find((path) => existsSync(path));
if (chromium === undefined) {
  console.error('check-browser: no Chromium on this machine');
  process.exit(3);
}
setUp();
const { default: ts } = await import('typescript');

/** The page's own script: what happens in the browser. Answers by a POST of one report. */
async function inThePage(entries, examples) {
  const results = [];
  const errors = [];
  window.addEventListener('error', (event) => errors.push(event.message));
  window.addEventListener('unhandledrejection', (event) => errors.push(String(event.reason)));
  for (const name of entries) {
    try {
      const exported = Object.keys(await import(name)).length;
      results.push({ title: `${name} loads, ${exported} exports` });
    } catch (error) {
      results.push({ title: `${name} loads`, problem: String(error?.stack ?? error) });
    }
  }
  const log = console.log;
  for (const { name, title, url } of examples) {
    const result = { title, example: name, output: '' };
    console.log = (...values) => (result.output += `${values.map(String).join(' ')}\n`);
    try {
      await import(url);
    } catch (error) {
      result.problem = String(error?.stack ?? error);
    }
    results.push(result);
  }
  console.log = log;
  await fetch('/report', { method: 'POST', body: JSON.stringify({ results, errors }) });
}

const packages = workspaces('packages');
const imports = {};
for (const { dir, name, manifest } of packages) {
  for (const [path, entry] of Object.entries(manifest.publishConfig.exports)) {
    // An entry that is called so is for Node alone.
    if (typeof entry === 'string' || path === './node') continue;
    imports[`${name}${path.slice(1)}`] = `/${dir}${entry.default.slice(1)}`;
  }
}
/** Programs by name: what each prints, and where the page gets it. */
const examples = new Map();
let failures = 0;
for (const each of packages) {
  const { missing, code, output } = firstBlock(each);
  const title = `${each.name}: README's first example`;
  if (missing === undefined) examples.set(each.name, { title, url: `/readme/${each.name}.js`, code, output });
  else report(title, missing);
}
for (const name of readdirSync(join(ROOT, 'examples'))) {
  const folder = join(ROOT, 'examples', name);
  if (!existsSync(join(folder, 'main.ts')) || NODE_ALONE.includes(name)) continue;
  examples.set(name, { title: `examples/${name}`, url: `/examples/${name}/main.ts`, output: readFileSync(join(folder, 'output.txt'), 'utf8') });
}
for (const { name, file, output } of guidePrograms()) {
  examples.set(name, { title: `docs/guides/programs/${name}`, url: `/docs/guides/programs/${name}.ts`, code: readFileSync(file, 'utf8'), output });
}

const PAGE = `<!doctype html><meta charset="utf-8"><title>vsim</title>
<script type="importmap">${JSON.stringify({ imports })}</script>
<script type="module">(${inThePage})(${JSON.stringify(Object.keys(imports))}, ${JSON.stringify([...examples].map(([name, { title, url }]) => ({ name, title, url })))});</script>`;

const profile = mkdtempSync(join(tmpdir(), 'vsim-browser-'));
try {
  const { results, errors } = await visit();
  for (const { title, problem, example, output } of results) {
    report(title, problem ?? (example === undefined ? undefined : outputProblem(examples.get(example).output, output)));
  }
  for (const error of errors) report('no error in the page', error);
} catch (error) {
  report('the page reports', error.message);
} finally {
  tidy(profile);
}
console.log(failures === 0 ? 'check-browser: all well' : `check-browser: ${failures} failed`);
process.exitCode = failures === 0 ? 0 : 1;

/** Serves the page, shows it to Chromium, and resolves with the report. */
function visit() {
  return new Promise((resolve, reject) => {
    let browser;
    const timer = setTimeout(() => end(() => reject(new Error('no report from Chromium in time'))), TIMEOUT_MS);
    const server = createServer((request, response) => {
      const path = decodeURIComponent(new URL(request.url, 'http://localhost').pathname);
      if (request.method === 'POST' && path === '/report') {
        let text = '';
        request.on('data', (chunk) => (text += chunk));
        request.on('end', () => {
          response.end();
          end(() => resolve(JSON.parse(text)));
        });
        return;
      }
      const [type, body] = serve(path);
      response.writeHead(body === undefined ? 404 : 200, { 'content-type': type }).end(body);
    });
    server.listen(0, '127.0.0.1', () => {
      const url = `http://127.0.0.1:${server.address().port}/`;
      browser = spawn(chromium, [...FLAGS, `--user-data-dir=${profile}`, '--remote-debugging-port=0', url], {
        stdio: 'ignore',
        detached: true, // a process group of its own: its helpers end with it
      });
      browser.on('error', (error) => end(() => reject(error)));
      browser.on('exit', (code) => end(() => reject(new Error(`Chromium left with ${code} before the report`))));
    });

    function end(settle) {
      clearTimeout(timer);
      server.close();
      server.closeAllConnections();
      browser?.removeAllListeners('exit');
      if (browser === undefined || browser.exitCode !== null || browser.pid === undefined) return settle();
      browser.once('exit', settle);
      process.kill(-browser.pid, 'SIGKILL');
    }
  });
}

/** Removes Chromium's profile, into which a helper may still write for a moment; what stays is no failure. */
function tidy(folder) {
  for (let attempt = 1; attempt <= 20; attempt += 1) {
    try {
      rmSync(folder, { recursive: true, force: true });
      return;
    } catch {
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 100);
    }
  }
  console.log(`note    ${folder} could not be removed`);
}

/** `[type, body]` of one request; the built packages and the examples, nothing else. */
function serve(path) {
  if (path === '/') return ['text/html', PAGE];
  const readme = [...examples.values()].find(({ url, code }) => url === path && code !== undefined);
  if (readme !== undefined) return ['text/javascript', erased(readme.code)];
  const file = join(ROOT, normalize(path));
  const built = /^\/packages\/[^/]+\/dist\/.+\.js$/.test(normalize(path)) && existsSync(file);
  if (/^\/examples\/[^/]+\/[^/]+\.ts$/.test(normalize(path)) && existsSync(file)) return ['text/javascript', erased(readFileSync(file, 'utf8'))];
  return built ? ['text/javascript', readFileSync(file)] : ['text/plain', undefined];
}

/** TypeScript without its types. */
function erased(text) {
  const compilerOptions = { target: ts.ScriptTarget.ES2023, module: ts.ModuleKind.ESNext, verbatimModuleSyntax: true };
  return ts.transpileModule(text, { compilerOptions }).outputText;
}

function report(title, problem) {
  if (problem !== undefined) failures += 1;
  console.log(problem === undefined ? `ok      ${title}` : `FAILED  ${title}: ${problem}`);
}
