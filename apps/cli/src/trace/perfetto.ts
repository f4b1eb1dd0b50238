/**
 * A trace in Perfetto's format. A host is a process of the trace, with a track for each thread of its kernel and each process of its user space, each
 * device, vCPU, ITS, CPU and vPE. What has a begin and an end is a slice: a thread's life and its waits, a driver's time with a device, a vCPU's on a CPU, a
 * phase of a migration. Arrows go from the message that a device writes to where the interrupt is pending, and on to who takes it.
 */
import {
  DEVICE_BOUND,
  DEVICE_UNBOUND,
  isOfKind,
  MSI_PENDING,
  MSI_REFUSED,
  MSI_SENT,
  MSI_TAKEN,
  PROCESS_STARTED,
  THREAD_ASLEEP,
  THREAD_ENDED,
  THREAD_HELD,
  THREAD_STARTED,
  THREAD_WOKEN,
  type EventKind,
  type Host,
  type ThreadEvent,
  type TraceEvent,
} from '@vsim/vfio-core';
import { ACKNOWLEDGED, COMMAND, INTERRUPT_RAISED, INTERRUPT_TAKEN, LPI_DROPPED, LPI_PENDING, MSI_DROPPED, VCPU_LOADED, VCPU_PUT, VLPI_ACKNOWLEDGED, VLPI_PENDING } from '@vsim/gic-its';
import { Flows } from './flows.ts';
import { PerfettoFile, type Flowing, type Said, type Track } from './perfetto-file.ts';
import { plainFields } from './plain.ts';
import type { HostGroup, Sink, TraceFormat } from './trace-format.ts';

const FIRST_SPI = 32;

export class Perfetto implements TraceFormat {
  readonly #file: PerfettoFile;
  readonly #groups = new Map<HostGroup, { readonly flows: Flows; phases: Phases | undefined }>();

  constructor(sink: Sink) {
    this.#file = new PerfettoFile(sink);
  }

  host(group: HostGroup, name: string, host: Host, from: number): (event: TraceEvent) => void {
    const tracks = new HostTracks(this.#file, this.#group(group).flows, `${group.prefix}${name}`, host);
    return (event) => { tracks.event(event, from + event.at); };
  }

  phase(key: HostGroup, name: string | undefined, at: number): void {
    const group = this.#group(key);
    group.phases ??= new Phases(this.#file, `${key.prefix}migration`);
    group.phases.next(name, at);
    group.flows.pass(at);
  }

  endGroup(key: HostGroup): void {
    this.#groups.get(key)?.flows.end();
    this.#groups.delete(key);
    this.#file.flush();
  }

  #group(key: HostGroup): { readonly flows: Flows; phases: Phases | undefined } {
    const known = this.#groups.get(key);
    if (known !== undefined) return known;
    const group = { flows: new Flows(this.#file), phases: undefined };
    this.#groups.set(key, group);
    return group;
  }
}

/** The VMM's part of a migration, which runs on neither host. */
class Phases {
  readonly #file: PerfettoFile;
  readonly #track: Track;
  #open = false;

  constructor(file: PerfettoFile, name: string) {
    this.#file = file;
    const pid = file.nextTask();
    const process = file.track({ process: { pid, processName: name } });
    this.#track = file.track({ name: 'phases', parentUuid: process });
  }

  next(name: string | undefined, at: number): void {
    if (this.#open) this.#file.end(this.#track, at);
    this.#open = name !== undefined;
    if (name !== undefined) this.#file.begin(this.#track, at, { name, categories: ['vmm'] });
  }
}

/** A row of slices that no two threads share at a time. */
interface Lane {
  readonly track: Track;
  serial: number | undefined;
}

/** What an event leaves for the one that follows it at once: a message that was written, or an interrupt that the host took. */
interface Cause {
  readonly kind: 'msi' | 'taken';
  readonly event: Flowing;
  readonly at: number;
}

type Handler = (tracks: HostTracks, event: TraceEvent, at: number) => void;

const HANDLERS = new Map<string, Handler>();

/** What becomes of events of a kind. */
function on<F extends object>(kind: EventKind<F>, handle: (tracks: HostTracks, fields: F, said: Said, at: number) => void): void {
  HANDLERS.set(kind.id, (tracks, event, at) => {
    if (isOfKind(event, kind)) handle(tracks, event.fields, saidOf(event), at);
  });
}

function saidOf({ id, severity, text, fields }: TraceEvent, name: string = id): Said {
  return { name, categories: [id.split('/')[0] ?? id, severity], fields: { text, ...plainFields(fields) } };
}

class HostTracks {
  readonly #file: PerfettoFile;
  readonly #flows: Flows;
  readonly #host: Host;
  readonly #pid: number;
  readonly #process: Track;
  readonly #tracks = new Map<string, Track>();
  readonly #lanes = new Map<string, Lane[]>();
  readonly #laneOf = new Map<number, Lane>();
  readonly #processes = new Set<string>();
  /** Tracks on which a slice is open that the next event of its kind ends. */
  readonly #open = new Set<Track>();
  /** The VM of each vPE, as far as a vCPU was loaded with it. */
  readonly #vmOf = new Map<number, number>();
  /** The vCPU on each CPU. */
  readonly #guests = new Map<number, Track>();
  #cause: Cause | undefined;

  constructor(file: PerfettoFile, flows: Flows, name: string, host: Host) {
    this.#file = file;
    this.#flows = flows;
    this.#host = host;
    this.#pid = file.nextTask();
    this.#process = file.track({ process: { pid: this.#pid, processName: name } });
  }

  event(event: TraceEvent, at: number): void {
    this.#flows.pass(at);
    const cause = this.#cause;
    const handler = HANDLERS.get(event.id);
    if (handler === undefined) this.#file.instant(this.#placeOf(event), at, saidOf(event));
    else handler(this, event, at);
    if (this.#cause === cause) this.#cause = undefined;
  }

  // Tracks

  /** A track below another of the host, by its name. */
  track(folder: string, name: string): Track {
    const key = `${folder}/${name}`;
    let track = this.#tracks.get(key);
    if (track === undefined) {
      track = this.#file.track({ name, parentUuid: folder === '' ? this.#process : this.track('', folder) });
      this.#tracks.set(key, track);
    }
    return track;
  }

  device(name: string): Track {
    return this.track('devices', name);
  }

  cpu(n: number): Track {
    return this.track('GIC', `CPU ${n}`);
  }

  vcpu(vm: number, id: number): Track {
    return this.track(`VM ${vm}`, `vCPU ${id}`);
  }

  /** Where an event belongs that nothing is known of but its fields: to a device, a vCPU, a vPE, an ITS, a CPU; else to the thread that runs. */
  #placeOf({ id, fields }: TraceEvent): Track {
    const told = new Map(Object.entries<unknown>({ ...fields }));
    const device = told.get('device') ?? told.get('function');
    const [vm, vcpu, vpe, its, cpu] = ['vm', 'vcpu', 'vpe', 'its', 'cpu'].map((name) => numberIn(told, name));
    if (typeof device === 'string' && device !== '') return this.device(device);
    if (vcpu !== undefined) return this.vcpu(vm ?? 0, vcpu);
    if (vpe !== undefined) return this.track('GIC', `vPE ${vpe}`);
    if (its !== undefined) return id.startsWith('kvm/') ? this.track(`VM ${vm ?? 0}`, `ITS ${its}`) : this.track('GIC', `ITS ${its}`);
    if (cpu !== undefined && id.startsWith('gic')) return this.cpu(cpu);
    return this.#current;
  }

  /** The thread that runs; outside of all threads, the host itself. */
  get #current(): Track {
    const thread = this.#host.scheduler.current;
    return (thread === undefined ? undefined : this.#laneOf.get(thread.serial)?.track) ?? this.track('', 'events');
  }

  // Threads

  processStarted(name: string, said: Said, at: number): void {
    this.#processes.add(name);
    this.#file.instant(this.#current, at, said);
  }

  /** A process's calls share its row, those of kernel threads of one name another; two at a time have a row each. */
  threadStarted({ thread, serial }: ThreadEvent, said: Said, at: number): void {
    const process = [...this.#processes].find((name) => thread.startsWith(`${name} `));
    const lane = this.#freeLane(process ?? thread);
    lane.serial = serial;
    this.#laneOf.set(serial, lane);
    this.#file.begin(lane.track, at, { ...said, name: process === undefined ? thread : thread.slice(process.length + 1) });
  }

  threadStops({ serial }: ThreadEvent, why: string, said: Said, at: number): void {
    const lane = this.#laneOf.get(serial);
    if (lane !== undefined) this.#file.begin(lane.track, at, { ...said, name: why });
  }

  threadGoesOn({ serial }: ThreadEvent, at: number): void {
    const lane = this.#laneOf.get(serial);
    if (lane !== undefined) this.#file.end(lane.track, at);
  }

  threadEnded(event: ThreadEvent, at: number): void {
    this.threadGoesOn(event, at);
    const lane = this.#laneOf.get(event.serial);
    if (lane !== undefined) lane.serial = undefined;
    this.#laneOf.delete(event.serial);
  }

  #freeLane(name: string): Lane {
    const lanes = this.#lanes.get(name) ?? [];
    this.#lanes.set(name, lanes);
    const free = lanes.find(({ serial }) => serial === undefined);
    if (free !== undefined) return free;
    const track = this.#file.track({ parentUuid: this.#process, thread: { pid: this.#pid, tid: BigInt(this.#file.nextTask()), threadName: name } });
    const lane: Lane = { track, serial: undefined };
    lanes.push(lane);
    return lane;
  }

  // Slices of one kind, one after the other

  /** What was so before ends, and something else begins. */
  becomes(track: Track, at: number, said: Said | undefined): void {
    if (this.#open.delete(track)) this.#file.end(track, at);
    if (said === undefined) return;
    this.#file.begin(track, at, said);
    this.#open.add(track);
  }

  vcpuLoaded({ vm, vcpu, cpu, vpe }: { readonly vm: number; readonly vcpu: number; readonly cpu: number; readonly vpe: number | undefined }, said: Said, at: number): void {
    const track = this.vcpu(vm, vcpu);
    this.#guests.set(cpu, track);
    if (vpe !== undefined && this.#vmOf.get(vpe) !== vm) {
      this.#vmOf.set(vpe, vm);
      this.#flows.rename(`vpe ${vpe} `, `vm ${vm} `);
    }
    this.becomes(track, at, { ...said, name: `CPU ${cpu}` });
  }

  vcpuPut({ vm, vcpu, cpu, blocks }: { readonly vm: number; readonly vcpu: number; readonly cpu: number; readonly blocks: boolean }, said: Said, at: number): void {
    this.#guests.delete(cpu);
    this.becomes(this.vcpu(vm, vcpu), at, blocks ? { ...said, name: 'blocked' } : undefined);
  }

  // Interrupts

  instant(track: Track, at: number, said: Said): Flowing {
    return this.#file.instant(track, at, said);
  }

  msiSent(track: Track, said: Said, at: number): void {
    this.#cause = { kind: 'msi', event: this.instant(track, at, said), at };
  }

  /** The flow of the message that was written just before, if one was. */
  #msi(): readonly bigint[] {
    return this.#cause?.kind === 'msi' ? [this.#flows.begin(this.#cause.event)] : [];
  }

  pending(key: string, track: Track, said: Said, at: number): void {
    const ids = this.#msi();
    this.#flows.pend(key, track, this.instant(track, at, said), ids);
  }

  /** Where a VLPI is pending: with its VM, once a vCPU of that was loaded. */
  vlpiKey(vpe: number, intid: number): string {
    const vm = this.#vmOf.get(vpe);
    return vm === undefined ? `vpe ${vpe} ${intid}` : `vm ${vm} ${intid}`;
  }

  /** The message that was written just before comes to its end, of itself. */
  arrived(track: Track, said: Said, at: number): Flowing {
    return this.#ends(this.#msi(), track, said, at);
  }

  /** What was pending is taken. */
  taken(key: string | undefined, track: Track, said: Said, at: number): Flowing {
    return this.#ends(key === undefined ? [] : this.#flows.take(key), track, said, at);
  }

  /** The host takes an interrupt, and its handler runs. */
  handled(event: Flowing, at: number): void {
    this.#cause = { kind: 'taken', event, at };
  }

  /** A message is handled at once, or when its mask goes. */
  msiTaken(irq: number, said: Said, at: number): void {
    const key = `irq ${irq}`;
    const track = this.track('', 'interrupts');
    this.handled(this.#flows.has(key) ? this.taken(key, track, said, at) : this.arrived(track, said, at), at);
  }

  #ends(ids: readonly bigint[], track: Track, said: Said, at: number): Flowing {
    const event = this.instant(track, at, said);
    event.terminatingFlowIds.push(...ids);
    return event;
  }

  /** Software of the host raises an interrupt of a guest: for one that it took itself just before, or by itself. */
  raised(vm: number, intid: number, said: Said, at: number): void {
    const before = this.#cause?.kind === 'taken' && this.#cause.at === at ? this.#cause.event : undefined;
    const track = this.track(`VM ${vm}`, 'vgic');
    const event = this.instant(track, at, said);
    const key = guestKey(vm, intid);
    if (key === undefined) return;
    const ids = before?.terminatingFlowIds.splice(0) ?? [];
    before?.flowIds.push(...ids);
    this.#flows.pend(key, track, event, ids.length > 0 ? ids : [this.#file.nextFlow()]);
  }

  /** A VLPI that a guest took whose vCPU KVM does not know. */
  vlpiAcknowledged(cpu: number, intid: number, said: Said, at: number): void {
    if (!this.#guests.has(cpu)) this.#ends(this.#flows.takeLike('vpe ', ` ${intid}`), this.cpu(cpu), said, at);
  }
}

on(PROCESS_STARTED, (tracks, { process }, said, at) => { tracks.processStarted(process, said, at); });
on(THREAD_STARTED, (tracks, fields, said, at) => { tracks.threadStarted(fields, said, at); });
on(THREAD_ASLEEP, (tracks, fields, said, at) => { tracks.threadStops(fields, `waits for ${fields.what}`, said, at); });
on(THREAD_HELD, (tracks, fields, said, at) => { tracks.threadStops(fields, `held at ${fields.at}`, said, at); });
on(THREAD_WOKEN, (tracks, fields, _said, at) => { tracks.threadGoesOn(fields, at); });
on(THREAD_ENDED, (tracks, fields, _said, at) => { tracks.threadEnded(fields, at); });

on(DEVICE_BOUND, (tracks, { device, driver }, said, at) => { tracks.becomes(tracks.device(device), at, { ...said, name: driver ?? 'a driver' }); });
on(DEVICE_UNBOUND, (tracks, { device }, _said, at) => { tracks.becomes(tracks.device(device), at, undefined); });

on(VCPU_LOADED, (tracks, fields, said, at) => { tracks.vcpuLoaded(fields, said, at); });
on(VCPU_PUT, (tracks, fields, said, at) => { tracks.vcpuPut(fields, said, at); });

on(MSI_SENT, (tracks, { device, data }, said, at) => { tracks.msiSent(tracks.device(device), { ...said, name: `MSI, data ${data}` }, at); });
on(MSI_PENDING, (tracks, { irq }, said, at) => { tracks.pending(`irq ${irq}`, tracks.track('', 'interrupts'), { ...said, name: `irq ${irq} pending, masked` }, at); });
on(MSI_TAKEN, (tracks, { irq }, said, at) => { tracks.msiTaken(irq, { ...said, name: `irq ${irq} handled` }, at); });
on(MSI_REFUSED, (tracks, _fields, said, at) => { tracks.arrived(tracks.track('', 'interrupts'), { ...said, name: 'MSI refused' }, at); });
on(MSI_DROPPED, (tracks, { its }, said, at) => { tracks.arrived(tracks.track('GIC', `ITS ${its}`), { ...said, name: 'MSI dropped' }, at); });
on(LPI_DROPPED, (tracks, { cpu, intid }, said, at) => { tracks.arrived(tracks.cpu(cpu), { ...said, name: `LPI ${intid} dropped` }, at); });
on(LPI_PENDING, (tracks, { cpu, intid }, said, at) => { tracks.pending(`lpi ${intid}`, tracks.cpu(cpu), { ...said, name: `LPI ${intid} pending` }, at); });
on(VLPI_PENDING, (tracks, { vpe, vintid }, said, at) => { tracks.pending(tracks.vlpiKey(vpe, vintid), tracks.track('GIC', `vPE ${vpe}`), { ...said, name: `VLPI ${vintid} pending` }, at); });
on(ACKNOWLEDGED, (tracks, { cpu, intid }, said, at) => { tracks.handled(tracks.taken(`lpi ${intid}`, tracks.cpu(cpu), { ...said, name: `takes ${intid}` }, at), at); });
on(VLPI_ACKNOWLEDGED, (tracks, { cpu, intid }, said, at) => { tracks.vlpiAcknowledged(cpu, intid, said, at); });
on(INTERRUPT_RAISED, (tracks, { vm, intid }, said, at) => { tracks.raised(vm, intid, { ...said, name: `interrupt ${intid} pending` }, at); });
on(INTERRUPT_TAKEN, (tracks, { vm, vcpu, intid }, said, at) => { tracks.taken(guestKey(vm, intid), tracks.vcpu(vm, vcpu), { ...said, name: `takes ${intid}` }, at); });
on(COMMAND, (tracks, { its, name }, said, at) => { tracks.instant(tracks.track('GIC', `ITS ${its}`), at, { ...said, name }); });

/** SGIs and PPIs are of one vCPU, and nobody tells which of them was raised: they have no flows. */
function guestKey(vm: number, intid: number): string | undefined {
  return intid < FIRST_SPI ? undefined : `vm ${vm} ${intid}`;
}

function numberIn(told: ReadonlyMap<string, unknown>, name: string): number | undefined {
  const value = told.get(name);
  return typeof value === 'number' ? value : undefined;
}
