/** `--trace FILE`: what is written, and that it is the same each time. Perfetto's own description of the format is asked by scripts/check-perfetto.mjs. */
import { fromBinary } from '@bufbuild/protobuf';
import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { RECORDINGS } from '@vsim/conformance';
import { ApicMsi, Bus, Device, DmaPort, Driver, eventKind, Host, Process, type Point, type Sleeps } from '@vsim/vfio-core';
import { Gic, GICR, ItsDriver } from '@vsim/gic-its';
import { describe, expect, it } from 'vitest';
import { Perfetto } from '../src/trace/perfetto.ts';
import { plain } from '../src/trace/plain.ts';
import { TraceSchema, TrackEvent_Type, type TracePacket } from '../src/trace/trace_pb.ts';
import { called, type Told } from './called.ts';

const FOLDER = mkdtempSync(join(tmpdir(), 'vsim-trace-'));
const FEW = ['--instant', '20', '--devices', '1', '--vcpus', '1'];

interface Line {
  readonly host: string;
  readonly at: number;
  readonly severity: string;
  readonly id: string;
  readonly text: string;
  readonly thread?: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** A call with a trace, and what is in the file. */
function traced(name: string, ...args: readonly string[]): { readonly told: Told; readonly content: Buffer } {
  const told = called([...args, '--trace', name], { cwd: FOLDER });
  return { told, content: readFileSync(join(FOLDER, name)) };
}

function linesOf(content: Buffer): Line[] {
  return content.toString('utf8').split('\n').slice(0, -1).map((line) => JSON.parse(line) as Line);
}

/** An event of a Perfetto trace, with its track's name. */
interface Drawn {
  readonly track: string;
  readonly process: string;
  readonly type: TrackEvent_Type;
  readonly name: string;
  readonly at: number;
  readonly flows: readonly bigint[];
  readonly ends: readonly bigint[];
}

function drawn(content: Uint8Array): { readonly packets: readonly TracePacket[]; readonly events: readonly Drawn[]; readonly tracks: readonly string[] } {
  const packets = fromBinary(TraceSchema, content).packet;
  const tracks = new Map<bigint, { readonly name: string; readonly process: string }>();
  for (const { trackDescriptor: track } of packets) {
    if (track === undefined) continue;
    const name = track.process?.processName ?? track.thread?.threadName ?? track.name;
    tracks.set(track.uuid, { name, process: track.process?.processName ?? tracks.get(track.parentUuid)!.process });
  }
  const events = packets.flatMap(({ timestamp, trackEvent: event }) => {
    if (event === undefined) return [];
    const { name: track, process } = tracks.get(event.trackUuid)!;
    return [{ track, process, type: event.type, name: event.name, at: Number(timestamp), flows: event.flowIds, ends: event.terminatingFlowIds }];
  });
  return { packets, events, tracks: [...tracks.values()].map(({ name }) => name) };
}

/** What is drawn of a host that something is done to. */
function drawnOf(act: (host: Host) => void): { readonly events: readonly Drawn[]; readonly tracks: readonly string[] } {
  const pieces: Uint8Array[] = [];
  const perfetto = new Perfetto({ write: (content) => { if (typeof content !== 'string') pieces.push(content); } });
  const group = { prefix: '' };
  const host = new Host();
  host.trace.follow(perfetto.host(group, 'host', host, 1000));
  act(host);
  perfetto.endGroup(group);
  return drawn(Buffer.concat(pieces));
}

const { SLICE_BEGIN, SLICE_END, INSTANT } = TrackEvent_Type;

/** Events of a track as `name`, and `end` for the end of a slice. */
function on(events: readonly Drawn[], track: string): readonly string[] {
  return events.filter((event) => event.track === track).map(({ name, type }) => (type === SLICE_END ? 'end' : name));
}

/** The names of the events of each flow. */
function flowsOf(events: readonly Drawn[]): readonly (readonly string[])[] {
  const flows = new Map<bigint, string[]>();
  const ended = new Set<bigint>();
  for (const { flows: through, ends, track, name } of events) {
    for (const id of [...through, ...ends]) flows.set(id, [...(flows.get(id) ?? []), `${track}: ${name}`]);
    for (const id of ends) ended.add(id);
  }
  expect([...flows.keys()].filter((id) => !ended.has(id))).toEqual([]);
  return [...flows.values()];
}

describe('--trace', () => {
  it.each(['demo', 'migrate', 'groups', 'replay x'])('of %s wants an ending that it knows, and names both', (command) => {
    for (const name of ['x', 'x.json', 'x.jsonl.gz', 'x.pftrace.gz', '']) {
      const { code, out, err } = called([...command.split(' '), '--trace', name]);
      expect([code, out, err]).toEqual([2, [], [expect.stringMatching(/Expected FILE\.jsonl or - for JSON Lines, FILE\.pftrace or FILE\.perfetto-trace for Perfetto; see vsim help/)]]);
    }
  });

  it('leaves what is printed as it is, in either format, and writes the same each time', () => {
    const { code, out, err } = called(['migrate', ...FEW]);
    for (const name of ['a.jsonl', 'a.pftrace', 'a.perfetto-trace']) {
      const once = traced(name, 'migrate', ...FEW);
      expect(once.told).toEqual({ code, out, err });
      expect(traced(name, 'migrate', ...FEW).content.equals(once.content)).toBe(true);
    }
    expect(readFileSync(join(FOLDER, 'a.pftrace')).equals(readFileSync(join(FOLDER, 'a.perfetto-trace')))).toBe(true);
  });

  it('as JSON Lines has an object for each event: when, how grave, which, in words, by whom, with plain fields', () => {
    const lines = linesOf(traced('b.jsonl', 'demo').content);
    expect(new Set(lines.map(({ host }) => host))).toEqual(new Set(['source', 'destination', 'migration']));
    for (const host of ['source', 'destination']) {
      const times = lines.filter((line) => line.host === host).map(({ at }) => at);
      expect(times).toEqual([...times].sort((a, b) => a - b));
    }
    const command = lines.find(({ id }) => id === 'gic/command')!;
    expect(command).toEqual({ host: 'source', at: 0, severity: 'info', id: 'gic/command', text: expect.stringMatching(/^its 0: MAPC 0x/) as string, fields: { its: 0, name: 'MAPC', words: ['0x9', '0x0', '0x8000000000000000', '0x0'] } });
    const step = lines.find(({ id }) => id === 'vfio-pci/probe-step')!;
    expect(step.thread).toBe('root write');
    expect(lines.filter(({ id }) => id === 'vmm/phase').map(({ text }) => text)).toEqual(expect.arrayContaining(['copy-memory', 'acknowledge', 'over']));
  });

  it('on standard output has lines alone there, and the rest on standard error', () => {
    const written: string[] = [];
    const { code, out, err } = called(['migrate', ...FEW, '--trace', '-'], { write: (text) => void written.push(text) });
    expect([code, out, err[0]]).toEqual([0, [], 'migrated; the VM runs on destination']);
    expect(linesOf(Buffer.from(written.join('')))).toEqual(linesOf(traced('c.jsonl', 'migrate', ...FEW).content));
  });

  it('of several migrations tells them apart', () => {
    const hosts = (...args: string[]): string[] => [...new Set(linesOf(traced('d.jsonl', 'migrate', ...FEW, ...args).content).map(({ host }) => host))];
    expect(hosts('--repeat', '2', '--seed', '5')).toEqual(['seed 5: source', 'seed 5: destination', 'seed 5: migration', 'seed 6: source', 'seed 6: destination', 'seed 6: migration']);
    expect(hosts('--without', 'P2').filter((host) => host.endsWith(': source'))).toEqual(['without none: source', 'without none, cancelled: source', 'without P2: source', 'without P2, cancelled: source']);
  });

  it('of a replay has a host for each case, and with several recordings theirs', () => {
    const hosts = (...paths: string[]): Set<string> => new Set(linesOf(traced('e.jsonl', 'replay', ...paths).content).map(({ host }) => host));
    const at = (path: string): string => join(RECORDINGS, path);
    expect(hosts(at('vfio/info.jsonl.gz'), '--case', 'info:0000:00:02')).toEqual(new Set(['info:0000:00:02.0']));
    const [first = ''] = hosts(at('kvm-its/reset.jsonl.gz'));
    expect(hosts(at('fslmc/restool/dpmcp-old.mc.jsonl.gz'), at('kvm-its/reset.jsonl.gz'))).toContain(`${at('kvm-its/reset.jsonl.gz')} ${first}`);
  });

  it('of groups has the host on which VFIO is tried', () => {
    const machine = called(['lspci', '--dump']).out.join('\n');
    const { told, content } = traced('f.pftrace', 'groups', join(RECORDINGS, 'vfio/host.json.gz'));
    expect([told.code, machine.length > 0]).toEqual([0, true]);
    const { events, tracks } = drawn(content);
    expect(tracks).toEqual(expect.arrayContaining(['host 1', '0000:00:02.0', 'vmm', 'boot']));
    expect(on(events, '0000:00:02.0')).toContain('vfio-pci');
  });
});

describe('a Perfetto trace of the demonstration', () => {
  const { events, packets } = drawn(traced('g.pftrace', 'demo', '--seed', '3').content);

  it('has hosts and migration as processes, and a track of each vCPU, device and ITS', () => {
    const named = (process: string): readonly string[] => [...new Set(events.filter((event) => event.process === process).map(({ track }) => track))];
    for (const host of ['source', 'destination']) expect(named(host)).toEqual(expect.arrayContaining(['vCPU 0', 'vCPU 1', '0000:40:00.0', '0000:40:01.0', 'ITS 0', 'vPE 0', 'CPU 0', 'vmm', 'root', 'vgic']));
    expect(named('migration')).toEqual(['phases']);
    expect(packets[0]).toMatchObject({ trustedPacketSequenceId: 1, sequenceFlags: 1 });
    expect(packets.slice(1).every(({ sequenceFlags }) => sequenceFlags === 0)).toBe(true);
  });

  it('has a flow to each interrupt that a vCPU takes, and to some from host to host; each that begins ends', () => {
    const flows = flowsOf(events);
    const taken = events.filter(({ track, name }) => track.startsWith('vCPU') && name.startsWith('takes'));
    expect(taken.length).toBeGreaterThan(200);
    expect(taken.every(({ ends }) => ends.length > 0)).toBe(true);
    expect(flows.some((flow) => flow[0]!.startsWith('0000:40:00.0: MSI') && flow.at(-1)!.startsWith('vCPU'))).toBe(true);
    const across = events.filter(({ process, ends }) => process === 'destination' && ends.some((id) => events.some((event) => event.process === 'source' && event.flows.includes(id))));
    expect(across.length).toBeGreaterThan(0);
  });
});

const MIDDLE: Point = { point: 'test/middle' };
const CAUSE = eventKind('test/told', 'fault', ({ cause }: { readonly cause: string }) => cause);

class Thing extends Device {}

class ThingDriver extends Driver<Device> {
  override readonly name = 'taker';

  override match(): boolean {
    return true;
  }

  override *probe(device: Device): Sleeps<number> {
    device.host.trace.emit(CAUSE, { cause: 'probed' });
    return 0;
  }

  override *remove(): Sleeps<void> {
    // Nothing to let go of.
  }
}

describe('what is drawn', () => {
  it('a thread is a slice with its waits in it; two of a name have a row each, and share it one after the other', () => {
    const { events } = drawnOf(({ scheduler }) => {
      const stops = function* (): Sleeps<void> {
        yield* scheduler.sleep(5);
        yield MIDDLE;
      };
      scheduler.stopAt(MIDDLE);
      scheduler.spawn('worker', stops());
      scheduler.advance(5);
      scheduler.spawn('worker', scheduler.sleep(3));
      scheduler.advance(3);
      scheduler.release(MIDDLE);
      scheduler.spawn('worker', scheduler.sleep(0));
    });
    expect(on(events, 'worker')).toEqual(['worker', 'waits for 5 ns', 'end', 'held at test/middle', 'worker', 'waits for 3 ns', 'end', 'end', 'end', 'end', 'worker', 'end']);
    expect(events.map(({ at }) => at)).toEqual([1000, 1000, 1005, 1005, 1005, 1005, 1008, 1008, 1008, 1008, 1008, 1008]);
  });

  it('calls of a process share its row, and what is told of nobody is with the thread that runs', () => {
    const { events } = drawnOf((host) => {
      const process = new Process(host, { name: 'vmm' });
      process.start('ioctl', (function* (): Sleeps<void> {
        host.trace.emit(CAUSE, { cause: 'within' });
      })());
      host.trace.emit(CAUSE, { cause: 'outside' });
      process.exit();
    });
    expect(on(events, 'vmm')).toEqual(['ioctl', 'test/told', 'end', 'exit', 'process/exited', 'end']);
    expect(on(events, 'events')).toEqual(['process/started', 'test/told']);
  });

  it('a driver is a slice of its device', () => {
    const { events } = drawnOf((host) => {
      const bus = new Bus<Device>(host, 'things');
      const driver = new ThingDriver();
      host.scheduler.call('modprobe', bus.addDriver(driver));
      const device = new Thing(host, 'one', '/sys/devices/one');
      host.scheduler.call('add', bus.add(device));
      host.scheduler.call('unbind', bus.release(device));
    });
    expect(on(events, 'one')).toEqual(['model/device-added', 'taker', 'model/device-unbinding', 'end']);
    expect(on(events, 'add')).toEqual(['add', 'test/told', 'end']);
  });

  it('a message of an x86 device flows to its handler, past a mask, or to where it is refused; one into RAM to nothing', () => {
    const { events } = drawnOf((host) => {
      const msi = new ApicMsi(host);
      const port = new DmaPort(host, 'nic', 0x10, () => undefined);
      const [irq] = msi.allocate(0x10, 1, false);
      irq!.setHandler(() => undefined);
      const raise = (address: number = irq!.message.address): void => { port.raiseMsi(address, irq!.message.data); };
      raise();
      irq!.mask();
      raise();
      raise();
      irq!.unmask();
      raise(0xfee0_0ff8);
      raise(0x1_0000_0000);
    });
    expect(flowsOf(events)).toEqual([
      ['nic: MSI, data 0', 'interrupts: irq 24 handled'],
      ['nic: MSI, data 0', 'interrupts: irq 24 pending, masked', 'interrupts: irq 24 handled'],
      ['nic: MSI, data 0', 'interrupts: irq 24 pending, masked', 'interrupts: irq 24 handled'],
      ['nic: MSI, data 0', 'interrupts: MSI refused'],
    ]);
    expect(events.filter(({ name, flows }) => name === 'MSI, data 0' && flows.length === 0)).toHaveLength(1);
  });

  it('a message that an ITS translates flows to the CPU that takes it; one that it drops ends there', () => {
    const { events } = drawnOf((host) => {
      const gic = new Gic(host, { version: 'gicv3', cpus: 1 });
      const driver = new ItsDriver(host, gic);
      const [irq] = driver.allocate(0x10, 1, false);
      irq!.setHandler(() => undefined);
      irq!.unmask();
      const port = new DmaPort(host, 'nic', 0x10, () => undefined);
      port.raiseMsi(irq!.message.address, irq!.message.data);
      port.raiseMsi(irq!.message.address, 99);
      driver.cpus.withoutInterrupts(() => { port.raiseMsi(irq!.message.address, irq!.message.data); });
    });
    expect(flowsOf(events)).toEqual([
      ['nic: MSI, data 0', 'CPU 0: LPI 8192 pending', 'CPU 0: takes 8192'],
      ['nic: MSI, data 99', 'ITS 0: MSI dropped'],
      ['nic: MSI, data 0', 'CPU 0: LPI 8192 pending', 'CPU 0: takes 8192'],
    ]);
    expect(on(events, 'ITS 0')).toEqual(expect.arrayContaining(['MAPC', 'MAPD', 'MAPTI', 'MSI dropped']));
  });

  it('an interrupt that nobody takes ends where it is pending, when the trace ends; one that no device sent has no flow', () => {
    const { events } = drawnOf((host) => {
      const gic = new Gic(host, { version: 'gicv3', cpus: 1, choices: { directLpi: true } });
      const driver = new ItsDriver(host, gic);
      const [irq] = driver.allocate(0x10, 1, false);
      // Nobody has asked for it: it stays masked.
      new DmaPort(host, 'nic', 0x10, () => undefined).raiseMsi(irq!.message.address, irq!.message.data);
      host.scheduler.advance(7);
      host.memory.write64(gic.redistributorBase[0]! + GICR.SETLPIR, 8200, 0);
    });
    expect(flowsOf(events)).toEqual([['nic: MSI, data 0', 'CPU 0: LPI 8192 pending', 'CPU 0: not taken before the end']]);
    expect(events.at(-1)).toMatchObject({ type: INSTANT, at: 1007 });
    expect(on(events, 'CPU 0')).toContain('LPI 8200 pending');
  });

  it('slices that are open stay open: what has not ended has no end', () => {
    const { events } = drawnOf(({ scheduler }) => { scheduler.spawn('worker', scheduler.sleep(9)); });
    expect(events.map(({ type }) => type)).toEqual([SLICE_BEGIN, SLICE_BEGIN]);
  });
});

describe('what events tell, plainly', () => {
  it.each<readonly [unknown, unknown]>([
    [1.5, 1.5],
    [Number.NaN, 'NaN'],
    [0x1_0000_0000_0000_0000n, '0x10000000000000000'],
    [-255n, '-0xff'],
    [Uint8Array.of(0, 255), '00ff'],
    [Uint32Array.of(1, 2), [1, 2]],
    [new Set(['a']), ['a']],
    [new Map([['a', 1n]]), [['a', '0x1']]],
    [{ a: undefined, b: null, c: [undefined, true], d: () => 0 }, { b: null, c: [null, true] }],
    [new RangeError('no'), 'no'],
    [undefined, undefined],
  ])('%s is %j', (value, is) => {
    expect(plain(value)).toEqual(is);
  });
});
