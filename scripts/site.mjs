/**
 * `npm run site`: the guides of docs/guides, the doctor's page and the reference of every package as a site, in site/. A
 * name that the reference does not have and a piece of an example that is not there are failures. With `--check`,
 * headless Chromium opens the first page, each guide, and a page of each kind of the reference, and
 * looks whether it shows what it should; and the links of all guides have to lead somewhere. Exit code 3 when there is no Chromium.
 */
import { spawn } from 'node:child_process';
import { createServer } from 'node:http';
import { copyFileSync, existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, extname, join, normalize } from 'node:path';
import { ROOT, run, setUp } from './lib.mjs';

const CHROMIUM = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];
const SITE = join(ROOT, 'site');
const GUIDES = join(ROOT, 'docs', 'guides');
const TYPES = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml' };

setUp();
const status = run(join(ROOT, 'node_modules', '.bin', 'typedoc'), ['--treatWarningsAsErrors']);
if (status !== 0) process.exit(status);
// What people look for first, beside what explains it.
copyFileSync(join(ROOT, 'apps', 'web', 'dist', 'doctor.html'), join(SITE, 'doctor.html'));
if (process.argv.includes('--check')) await check();

async function check() {
  const chromium = CHROMIUM.find((path) => existsSync(path));
  if (chromium === undefined) {
    console.error('site: no Chromium on this machine');
    process.exit(3);
  }
  const guides = readdirSync(GUIDES, { recursive: true }).filter((file) => file.endsWith('.md')).sort().map((file) => /^title: (.+)$/m.exec(readFileSync(join(GUIDES, file), 'utf8'))[1]);
  const documents = readdirSync(join(SITE, 'documents'));
  const pages = [
    ['index.html', 'A machine in fifteen lines'],
    ['doctor.html', 'Which devices of this machine can be given to a VM?'],
    ...guides.map((title) => [`documents/${documents.find((file) => isPageOf(file, title)) ?? title}`, title]),
    ['classes/_vsim_vfio-core.Host.html', 'Host'],
    ['functions/_vsim_vmm.migrate.html', 'migrate'],
  ];
  const profile = mkdtempSync(join(tmpdir(), 'vsim-site-'));
  const missing = new Set();
  const server = createServer((request, response) => {
    const file = join(SITE, normalize(decodeURIComponent(new URL(request.url, 'http://localhost').pathname)));
    const there = file.startsWith(SITE) && existsSync(file);
    if (!there && !file.endsWith('favicon.ico')) missing.add(file);
    response.writeHead(there ? 200 : 404, { 'content-type': TYPES[extname(file)] ?? 'application/octet-stream' }).end(there ? readFileSync(file) : '');
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  let failures = 0;
  for (const [path, text] of pages) {
    const dom = await opened(chromium, profile, `http://127.0.0.1:${server.address().port}/${path}`);
    // The navigation is filled by a script: without it the page is dead.
    const problem = missing.size > 0 ? `there is no ${[...missing].join(', ')}` : !dom.includes(text) ? `"${text}" is not shown` : dom.includes('Loading...</span>') ? 'its scripts did not run' : undefined;
    missing.clear();
    if (problem !== undefined) failures += 1;
    console.log(problem === undefined ? `ok      ${path}` : `FAILED  ${path}: ${problem}`);
  }
  for (const page of ['index.html', ...documents.map((file) => `documents/${file}`)]) {
    const dead = deadLinks(page);
    if (dead.length > 0) failures += 1;
    if (dead.length > 0) console.log(`FAILED  ${page}: links to ${dead.join(', ')}, which is not there`);
  }
  server.close();
  rmSync(profile, { recursive: true, force: true });
  console.log(failures === 0 ? `site: ${pages.length} pages are well` : `site: ${failures} of ${pages.length} pages failed`);
  process.exitCode = failures === 0 ? 0 : 1;
}

/** Links of a page to files that are not there; a folder is its index.html. */
function deadLinks(page) {
  const links = [...readFileSync(join(SITE, page), 'utf8').matchAll(/ href="([^"]*)"/g)].map(([, link]) => link.replaceAll('&amp;', '&').split('#')[0]);
  return links.filter((link) => link !== '' && !/^[a-z]+:/.test(link) && !existsSync(join(SITE, dirname(page), decodeURIComponent(link.endsWith('/') ? `${link}index.html` : link))));
}

/** What Chromium has made of a page; '' if it did not in time. */
function opened(chromium, profile, url) {
  const flags = ['--headless', '--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking', `--user-data-dir=${profile}`, '--virtual-time-budget=5000', '--dump-dom', url];
  return new Promise((resolve) => {
    const browser = spawn(chromium, flags, { stdio: ['ignore', 'pipe', 'ignore'], timeout: 60_000 });
    let dom = '';
    browser.stdout.on('data', (more) => (dom += more));
    browser.on('error', () => resolve(''));
    browser.on('close', () => resolve(dom));
  });
}

/** TypeDoc makes a file's name of a title; below another guide, of that guide's title, a dot, and its own. */
function isPageOf(file, title) {
  const letters = (text) => text.replaceAll(/[^A-Za-z0-9]/g, '').toLowerCase();
  const name = file.replace(/\.html$/, '');
  return letters(name) === letters(title) || [...name.matchAll(/\./g)].some(({ index }) => letters(name.slice(index)) === letters(title));
}
