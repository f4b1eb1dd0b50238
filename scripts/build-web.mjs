/**
 * The build of apps/web, from its folder: dist/index.js by tsc, and dist/doctor.html, the page, by vite: one file with its script and style in it,
 * which its own policy allows by their hashes and nothing else.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { build, parseAst } from 'vite';
import { ROOT, readJson } from './lib.mjs';

const APP = join(ROOT, 'apps', 'web');
const OUT = join(APP, 'dist');

/** What of a rule is for people alone: the page shows errnos and calls, not the rules behind them. */
const WORDS = ['call', 'rule', 'kernel', 'wayOut', 'text'];

/** Errors that no text of a person's can bring about. */
const CALLERS_MISTAKES = ['RangeError', 'TypeError', 'InvariantError'];

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const compiled = spawnSync(process.execPath, [join(ROOT, 'scripts', 'clean-build.mjs')], { cwd: APP, stdio: 'inherit' });
  if (compiled.status !== 0) process.exit(compiled.status ?? 1);
  mkdirSync(OUT, { recursive: true });
  const { script, style } = await bundled();
  writeFileSync(join(OUT, 'doctor.html'), page(script, style));
}

/** Script and style of the page, and the modules that are in it. */
export async function bundled() {
  const results = await build({
    configFile: false,
    root: APP,
    logLevel: 'warn',
    plugins: [withoutWords()],
    build: {
      write: false,
      target: ['chrome111', 'firefox113', 'safari16.4'],
      minify: 'oxc',
      modulePreload: false,
      lib: { entry: join(APP, 'src', 'main.tsx'), formats: ['iife'], name: 'doctor', fileName: 'doctor', cssFileName: 'doctor' },
    },
  });
  const { output } = [results].flat()[0];
  const chunk = output.find(({ type }) => type === 'chunk');
  const style = String(output.find(({ fileName }) => fileName.endsWith('.css')).source).replaceAll(/\/\*.*?\*\//gs, '').trim();
  // Neither ends the element that it stands in.
  const script = chunk.code.trim().replaceAll('</script', '<\\/script').replaceAll('<!--', '<\\!--');
  return { script, style, modules: chunk.modules };
}

function page(script, style) {
  const policy = [
    "default-src 'none'",
    `script-src '${hash(script)}'`,
    `style-src '${hash(style)}'`,
    "connect-src 'none'",
    "form-action 'none'",
    "base-uri 'none'",
  ].join('; ');
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<meta name="color-scheme" content="light dark">
<meta name="description" content="Which devices of a machine can be given to a VM, and why not. Everything happens in the page; nothing is sent.">
<title>vsim doctor: what can be given to a VM</title>
<style>${style}</style>
</head>
<body>
<div id="app"></div>
<noscript><p>This page works by its script, and sends nothing anywhere. On a command line the same is: npx @vsim/cli groups</p></noscript>
<script type="application/json" id="paste"></script>
<script>${script}</script>
</body>
</html>
<!--
vsim, Apache License 2.0. In it is Preact ${readJson(join(APP, 'node_modules', 'preact', 'package.json')).version}:

${readFileSync(join(APP, 'node_modules', 'preact', 'LICENSE'), 'utf8').trim()}
-->
`;
}

function hash(text) {
  return `sha256-${createHash('sha256').update(text).digest('base64')}`;
}

/** Takes the words out of the rules (`reason({...})`) and of the model's errors about its own callers: a tenth of the page. */
function withoutWords() {
  return {
    name: 'without-words',
    transform(code, id) {
      if (!/[\\/]packages[\\/]vfio-(?:core|pci)[\\/]/.test(id)) return null;
      const cuts = [];
      walk(parseAst(code), (node) => {
        const [first] = node.arguments ?? [];
        if (node.type === 'NewExpression' && CALLERS_MISTAKES.includes(node.callee.name) && first !== undefined) cuts.push([first.start, first.end, '""']);
        if (node.type !== 'CallExpression' || node.callee.name !== 'reason' || first?.type !== 'ObjectExpression') return;
        for (const { key, value } of first.properties) {
          if (WORDS.includes(key?.name)) cuts.push([value.start, value.end, key.name === 'text' ? '()=>""' : '""']);
        }
      });
      return { code: cuts.sort((a, b) => b[0] - a[0]).reduce((text, [start, end, instead]) => text.slice(0, start) + instead + text.slice(end), code), map: null };
    },
  };
}

function walk(node, visit) {
  if (Array.isArray(node)) for (const each of node) walk(each, visit);
  else if (typeof node === 'object' && node !== null) {
    if (typeof node.type === 'string') visit(node);
    for (const value of Object.values(node)) walk(value, visit);
  }
}
