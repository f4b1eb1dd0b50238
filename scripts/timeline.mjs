/**
 * `npm run timeline`: docs/timeline.svg, the migration of `vsim demo` in virtual time: each phase from its begin to its end, who
 * runs the VM, and where the interrupts are that were pending when everything stood still.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ROOT, setUp } from './lib.mjs';

export const PICTURE = join(ROOT, 'docs', 'timeline.svg');
export const SEED = 1;

const WIDTH = 800;
const LEFT = 158;
const RIGHT = 784;
const TOP = 66;
const ROW = 21;
/** The axis goes on so far behind the end, for the guest that runs again. */
const AFTER = 1.16;
/** Phases of the destination; `send` and `acknowledge` are both sides' and the wire's. */
const THERE = new Set(['restore-memory', 'restore-devices', 'restore-vgic', 'enable-lpis', 'restore-its', 'restore-its-tables', 'enable-its', 'restore-msix', 'run']);
const BOTH = new Set(['send', 'acknowledge']);

const STYLE = `
text { font: 12px system-ui, -apple-system, "Segoe UI", sans-serif; fill: #1f2328; }
.title { font-size: 15px; font-weight: 600; }
.quiet { fill: #57606a; font-size: 11px; }
.ground { fill: #ffffff; }
.grid { stroke: #d0d7de; }
.down { fill: #ffebe9; }
.commit { stroke: #57606a; stroke-dasharray: 4 3; }
.source { fill: #0969da; }
.wire { fill: #9a6700; }
.destination { fill: #1a7f37; }
.still { fill: #cf222e; }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3; }
  .quiet { fill: #9198a1; }
  .ground { fill: #0d1117; }
  .grid { stroke: #30363d; }
  .down { fill: #3c1618; }
  .commit { stroke: #9198a1; }
  .source { fill: #4493f8; }
  .wire { fill: #d29922; }
  .destination { fill: #3fb950; }
  .still { fill: #f85149; }
}`;

/** The picture of a report of runDemo(), as SVG. */
export function timeline(report) {
  const { phases, totalNs, downtimeNs } = report;
  const bottom = TOP + phases.length * ROW;
  const x = (ns) => Math.round((LEFT + ((RIGHT - LEFT) * ns) / (totalNs * AFTER)) * 10) / 10;
  const resumed = phases.find(({ name }) => name === 'run').from;
  const stopped = resumed - downtimeNs;
  const middle = (row) => TOP + row * ROW + ROW / 2;
  const out = [];
  const text = (at, y, words, { kind = '', anchor = 'start' } = {}) => out.push(`<text x="${at}" y="${y}"${kind === '' ? '' : ` class="${kind}"`}${anchor === 'start' ? '' : ` text-anchor="${anchor}"`}>${escaped(words)}</text>`);
  const box = (from, to, y, height, kind) => out.push(`<rect x="${from}" y="${y}" width="${Math.max(Math.round((to - from) * 10) / 10, 2)}" height="${height}" rx="2" class="${kind}"/>`);

  text(14, 24, 'A VM moves to another host', { kind: 'title' });
  text(14, 43, `vsim demo, seed ${report.seed}: ${report.vcpus} vCPUs, ${report.devices.filter(({ migratable }) => migratable).length} devices, ${report.bytes.toLocaleString('en')} bytes over the wire. Only the wire takes time; a dot is a phase that takes none.`, { kind: 'quiet' });
  for (const [n, [kind, words]] of [['source', 'source'], ['wire', 'both'], ['destination', 'destination']].entries()) {
    out.push(`<circle cx="${590 + 66 * n}" cy="20" r="4" class="${kind}"/>`);
    text(600 + 66 * n, 24, words, { kind: 'quiet' });
  }
  box(x(stopped), x(resumed), TOP - 8, bottom - TOP + 8, 'down');
  for (let tick = 0; tick <= totalNs * AFTER; tick += 50_000) {
    out.push(`<line x1="${x(tick)}" y1="${TOP - 8}" x2="${x(tick)}" y2="${bottom + 34}" class="grid"/>`);
    text(x(tick), bottom + 48, tick === 0 ? '0' : `${(tick / 1e6).toFixed(2)} ms`, { kind: 'quiet', anchor: 'middle' });
  }

  const notes = notesOf(report);
  for (const [row, { name, from, to }] of phases.entries()) {
    const y = middle(row);
    const kind = THERE.has(name) ? 'destination' : BOTH.has(name) ? 'wire' : 'source';
    text(LEFT - 12, y + 4, name, { anchor: 'end' });
    if (to > from) box(x(from), x(to), y - 6, 12, kind);
    else out.push(`<circle cx="${x(from)}" cy="${y}" r="4" class="${kind}"/>`);
    const note = notes.get(name);
    if (note === undefined) continue;
    const late = from > totalNs / 2;
    text(late ? x(from) - 10 : x(to) + 10, y + 4, note, { kind: 'quiet', anchor: late ? 'end' : 'start' });
  }
  for (const round of report.roundsNs) out.push(`<line x1="${x(round)}" y1="${middle(0) - 6}" x2="${x(round)}" y2="${middle(0) + 6}" class="grid"/>`);

  const commit = phases.find(({ name }) => name === 'acknowledge').to;
  out.push(`<line x1="${x(commit)}" y1="${TOP - 8}" x2="${x(commit)}" y2="${bottom + 4}" class="commit"/>`);
  text(x(commit) + 6, TOP + 4, 'commit point', { kind: 'quiet' });

  const strip = bottom + 8;
  box(x(0), x(stopped), strip, 6, 'source');
  box(x(stopped), x(resumed), strip, 6, 'still');
  box(x(resumed), RIGHT, strip, 6, 'destination');
  text(LEFT - 12, strip + 8, 'the guest', { anchor: 'end' });
  text((x(0) + x(stopped)) / 2, strip + 22, 'runs on the source', { anchor: 'middle' });
  text((x(stopped) + x(resumed)) / 2, strip + 22, `stands still: downtime ${(downtimeNs / 1e6).toFixed(3)} ms`, { anchor: 'middle' });
  text((x(resumed) + RIGHT) / 2, strip + 22, 'runs there', { anchor: 'middle' });
  const height = bottom + 60;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="${escaped(label(report))}">`,
    `<style>${STYLE}\n</style>`,
    `<rect width="${WIDTH}" height="${height}" rx="6" class="ground"/>`,
    ...out,
    '</svg>\n',
  ].join('\n');
}

/** What is told beside a phase: where pending interrupts go, and what came of them. */
function notesOf({ pendingAtStop, roundsNs, before, after, lost, doubled }) {
  const places = new Map();
  for (const { place } of pendingAtStop) places.set(place, (places.get(place) ?? 0) + 1);
  const of = (place) => places.get(place) ?? 0;
  const vlpis = of('VPT');
  return new Map([
    ['copy-memory', `all of memory, then ${roundsNs.length} ${roundsNs.length === 1 ? 'round' : 'rounds'} of what was written`],
    ['stop-vcpus', `${pendingAtStop.length} pending: ${vlpis} VLPIs in the VPT, ${of('PBA')} masked by the guest,`],
    ['stop-devices', `${of('latch')} in KVM, ${of('device')} in a device that stands still`],
    ['save-pending-tables', `${vlpis} VLPIs: from the VPT into guest memory`],
    ['restore-its-tables', `${vlpis} VLPIs: from guest memory into KVM's latches`],
    ['restore-msix', `${vlpis} VLPIs: to the GIC of the destination`],
    ['run', `of ${before.raised + after.raised - before.coalesced - after.coalesced} interrupts ${lost} are lost, ${doubled} come twice`],
  ]);
}

function label({ downtimeNs, totalNs, lost, doubled }) {
  return `The phases of a live migration in virtual time: ${(totalNs / 1e6).toFixed(3)} ms in all, ${(downtimeNs / 1e6).toFixed(3)} ms of downtime, ${lost} interrupts lost, ${doubled} doubled`;
}

function escaped(words) {
  return words.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  setUp();
  const { runDemo } = await import('../apps/demo/dist/index.js');
  const { recordedMachine } = await import('../apps/conformance/dist/index.js');
  writeFileSync(PICTURE, timeline(runDemo(SEED, recordedMachine(), () => undefined)));
  console.log('docs/timeline.svg');
}
