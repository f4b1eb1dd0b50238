/**
 * Reads what `vsim demo --seed 1 --trace FILE.pftrace` writes with Debian's protoc and Perfetto's own description of its format, and holds it to
 * what the demonstration says of itself: tracks, slices that nest, and flows, of which each that begins ends. With FILE... it reads those, of any
 * command. Exit code 3: there is no protoc.
 *
 * `--generate` makes apps/cli/src/trace/trace_pb.ts of apps/cli/proto/trace.proto.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ROOT, WINDOWS, readJson } from './lib.mjs';

const PROTO = join(ROOT, 'apps/cli/proto');
const GENERATED = join(ROOT, 'apps/cli/src/trace/trace_pb.ts');
const CANNOT = 3;
const MIB = 0x10_0000;

const version = spawnSync('protoc', ['--version'], { encoding: 'utf8' });
if (version.error !== undefined) {
  console.log('check-perfetto: needs protoc, of protobuf-compiler');
  process.exit(CANNOT);
}
const files = process.argv.slice(2);
const problems = [];
if (files.includes('--generate')) generate();
else if (files.length === 0) checkDemo();
else for (const file of files) tell(file, read(readFileSync(file)));
for (const problem of problems) console.error(`does not hold: ${problem}`);
process.exit(problems.length === 0 ? 0 : 1);

function hold(what, holds) {
  if (!holds && !problems.includes(what)) problems.push(what);
}

/** By the generator of the library's own version. */
function generate() {
  const library = readJson(join(ROOT, 'apps/cli/node_modules/@bufbuild/protobuf/package.json')).version;
  const folder = mkdtempSync(join(tmpdir(), 'vsim-perfetto-'));
  const done = spawnSync(
    'npx',
    ['-y', '-p', `@bufbuild/protoc-gen-es@${library}`, '--', 'protoc', `--proto_path=${PROTO}`, `--es_out=${folder}`, '--es_opt=target=ts,erasable_syntax=true', 'trace.proto'],
    { stdio: 'inherit', shell: WINDOWS },
  );
  if (done.status !== 0) process.exit(1);
  // It is linted as every source is.
  writeFileSync(GENERATED, readFileSync(join(folder, 'trace_pb.ts'), 'utf8').replace('/* eslint-disable */\n', ''));
  rmSync(folder, { recursive: true });
}

/** What every trace holds to. */
function read(bytes) {
  const { packet: packets = [] } = decode(bytes);
  const tracks = tracksOf(packets);
  const events = eventsOf(packets, tracks);
  slicesNest(events);
  return { bytes, packets, tracks, kinds: countKinds(tracks), events, flows: flowsOf(events) };
}

function tell(file, { bytes, packets, kinds, events, flows }) {
  const count = (kind) => (kinds.get(kind) ?? []).length;
  const to = (pattern) => flows.filter((flow) => pattern.test(flow.at(-1).track.name)).length;
  console.log(`${file}: ${bytes.length} bytes, ${packets.length} packets: ${count('process')} processes, ${count('thread')} threads, ${count('track')} other tracks, ${events.length} events`);
  console.log(`${flows.length} flows, each with its end: ${flows.filter(([begin]) => /^MSI/.test(begin.name)).length} from a device's message, ${to(/^vCPU/)} to a vCPU, ${flows.filter(isAcross).length} from host to host`);
}

/** Whether a flow leaves its host. */
function isAcross(flow) {
  return flow[0].track.host !== flow.at(-1).track.host;
}

function checkDemo() {
  const folder = mkdtempSync(join(tmpdir(), 'vsim-perfetto-'));
  const [first, second] = ['first', 'second'].map((name) => record(join(folder, `${name}.pftrace`)));
  rmSync(folder, { recursive: true });
  const trace = read(first.bytes);
  tell('vsim demo --seed 1', trace);
  const { tracks, kinds, events, flows } = trace;
  hold('two runs write the same bytes', first.bytes.equals(second.bytes));
  const { report } = first;
  const hosts = ['source', 'destination'];
  hold('the processes are both hosts and the migration', JSON.stringify(kinds.get('process')) === JSON.stringify([...hosts, 'migration']));
  for (const host of hosts) {
    hold(`${host}: a track for each vCPU`, named(tracks, host, /^vCPU \d+$/).length === report.vcpus);
    hold(`${host}: a track for its ITS`, named(tracks, host, /^ITS 0$/).length === 1);
    hold(`${host}: a track for each device of the VM`, report.devices.every(({ name }) => named(tracks, host, new RegExp(`^${name.replaceAll('.', '\\.')}$`)).length === 1));
    hold(`${host}: threads`, [...tracks.values()].some((track) => track.thread !== undefined && track.host === host));
  }
  const phases = events.filter(({ track, type }) => track.host === 'migration' && type === 'TYPE_SLICE_BEGIN').map(({ name }) => name);
  hold('each phase of the migration is a slice', JSON.stringify(phases) === JSON.stringify(report.phases.map(({ name }) => name)));

  const taken = events.filter(({ track, name }) => /^vCPU/.test(track.name) && /^takes /.test(name));
  hold('as many interrupts are taken as the demonstration counts', taken.length === report.before.delivered + report.after.delivered);
  hold('a flow ends at each interrupt that a vCPU takes', taken.every(({ ends }) => ends.length > 0));
  const pending = report.pendingAtStop.filter(({ place }) => place === 'VPT' || place === 'latch').length;
  hold('the interrupts that are pending in tables and latches at the stop are taken at the destination', flows.filter(isAcross).length === pending);
  hold('messages of devices have flows', flows.some(([begin]) => /^MSI/.test(begin.name)));
}

/** Runs the demonstration. */
function record(file) {
  const node = join(ROOT, 'node_modules', '.bin', 'node');
  const done = spawnSync(node, ['--conditions=@vsim/source', 'apps/cli/src/bin.ts', 'demo', '--seed', '1', '--json', '--trace', file], { cwd: ROOT, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
  if (done.status !== 0) process.exit(1);
  return { report: JSON.parse(done.stdout), bytes: readFileSync(file) };
}

/** protoc's text, as objects: every field is a list. A field that Perfetto does not know has a number for a name. */
function decode(bytes) {
  const done = spawnSync('protoc', [`--proto_path=${join(PROTO, 'perfetto')}`, '--decode=perfetto.protos.Trace', 'perfetto_trace.proto'], { input: bytes, encoding: 'utf8', maxBuffer: 256 * MIB });
  if (done.status !== 0) {
    console.error(done.stderr);
    process.exit(1);
  }
  const stack = [{}];
  for (const line of done.stdout.split('\n')) {
    const [, name, value] = /^\s*(\w+)(?: \{|: (.*))$/.exec(line) ?? [];
    if (name === undefined) {
      if (line.trim() === '}') stack.pop();
      continue;
    }
    if (/^\d/.test(name)) {
      console.error(`does not hold: Perfetto knows field ${name}`);
      process.exit(1);
    }
    const made = value === undefined ? {} : value.startsWith('"') ? JSON.parse(value.replaceAll("\\'", "'")) : value;
    (stack.at(-1)[name] ??= []).push(made);
    if (value === undefined) stack.push(made);
  }
  return stack[0];
}

/** By uuid: its name, and the host to whose process it belongs. */
function tracksOf(packets) {
  const tracks = new Map();
  for (const { track_descriptor: [descriptor] = [] } of packets) {
    if (descriptor === undefined) continue;
    const { uuid: [uuid], name: [name] = [], parent_uuid: [parent] = [], process: [process] = [], thread: [thread] = [] } = descriptor;
    hold(`track ${uuid} is described once`, !tracks.has(uuid));
    hold(`track ${uuid} has its parent before it`, process !== undefined || tracks.has(parent));
    tracks.set(uuid, { uuid, name: name ?? thread?.thread_name[0] ?? process?.process_name[0], host: process?.process_name[0] ?? tracks.get(parent)?.host, process, thread });
  }
  return tracks;
}

function countKinds(tracks) {
  const kinds = new Map();
  for (const { name, process, thread } of tracks.values()) {
    const kind = process !== undefined ? 'process' : thread !== undefined ? 'thread' : 'track';
    kinds.set(kind, [...(kinds.get(kind) ?? []), name]);
  }
  return kinds;
}

function named(tracks, host, pattern) {
  return [...tracks.values()].filter((track) => track.host === host && pattern.test(track.name));
}

function eventsOf(packets, tracks) {
  /** Hosts of one time share a clock; each case of a replay has its own. */
  const last = new Map();
  const events = [];
  for (const { timestamp: [timestamp] = [], track_event: [event] = [] } of packets) {
    if (event === undefined) continue;
    const track = tracks.get(event.track_uuid[0]);
    hold('each event has a track', track !== undefined);
    const at = Number(timestamp);
    hold(`time of ${track?.host} does not go back`, at >= (last.get(track?.host) ?? 0));
    last.set(track?.host, at);
    events.push({ at, track, type: event.type[0], name: event.name?.[0] ?? '', begins: event.flow_ids ?? [], ends: event.terminating_flow_ids ?? [] });
  }
  return events;
}

function slicesNest(events) {
  const depth = new Map();
  for (const { track, type } of events) {
    const before = depth.get(track) ?? 0;
    if (type === 'TYPE_SLICE_END') hold(`a slice on ${track.name} begins before it ends`, before > 0);
    depth.set(track, before + (type === 'TYPE_SLICE_BEGIN' ? 1 : type === 'TYPE_SLICE_END' ? -1 : 0));
  }
}

/** The events of each flow, in their order. */
function flowsOf(events) {
  const flows = new Map();
  const ended = new Set();
  for (const event of events) {
    for (const id of [...event.begins, ...event.ends]) {
      hold(`flow ${id} goes on behind its end`, !ended.has(id));
      flows.set(id, [...(flows.get(id) ?? []), event]);
    }
    for (const id of event.ends) ended.add(id);
  }
  for (const [id, flow] of flows) {
    hold(`flow ${id} has a begin and an end`, flow.length > 1);
    hold(`flow ${id}, which begins at ${flow[0].name}, ends`, ended.has(id));
  }
  return [...flows.values()];
}
