/**
 * The door `vfio-user-captures`: what QEMU said to servers, and the codec's own commands, spoiled: to the test device of the captures, and to an NVMe controller
 * that migrates. After each program a capture that nobody spoiled is replayed.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { gunzipSync } from 'node:zlib';
import { MIG_STATE, openDevice, VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE, VFIO_DEVICE_FEATURE_SET, type Process, type Random } from '@vsim/vfio-core';
import { commandNames, encodeCommand, FLAG_NO_REPLY, mappable, MemoryFile, servedDevice, ServerSession, type Command, type CommandName, type ServedDevice } from '@vsim/vfio-user';
import { pick, same, type Depth, type Door, type Figures, type Report, type World } from '../../../testing/fuzz.ts';
import { bounded } from '../../../testing/cost.ts';
import { ADDRESS as NVME_ADDRESS, nvmeHost } from '../../../packages/devices/test/nvme-host.ts';
import { mutated, plausibleCommand } from '../../../packages/vfio-user/test/plausible-messages.ts';
import { findRecordings, RECORDINGS } from '../src/index.ts';
import { parseLines, toHex, type Fields } from '../src/json.ts';
import { isReply, messageOf } from '../src/vfio-user/captured.ts';
import { replayConversation } from '../src/vfio-user/format.ts';
import { ADDRESS, servedFunction } from '../src/vfio-user/served-function.ts';
import { TestDevice } from '../src/vfio-user/test-device.ts';
import { HostileClient, MOST_MAPS, type Sent } from './hostile-client.ts';

const NONE = new Uint8Array(0);
const LENGTH = 1000;
/** Commands that only servers send have no handler. */
const HANDLED: readonly CommandName[] = commandNames().filter((name) => name !== 'DMA_READ' && name !== 'DMA_WRITE');
/** Eventfds that a device has at most: a trigger and an unmask for each interrupt, and room for NVMe's vectors. */
const MOST_EVENTFDS = 256;
const KINDS = ['memfd', 'eventfd'];
const { RESUMING, STOP_COPY } = MIG_STATE;
/** Where memory is that goes by messages, in the device's addresses. */
const MOVED = 0x7000_0000;
const MIGRATION_STATE = VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE | VFIO_DEVICE_FEATURE_SET;
/** Programs after which the heap is measured, and what it may grow by between the first and the last time, in bytes. */
const MEASURED = 50;
const GROWTH = 0x20_0000;

interface Capture {
  readonly name: string;
  readonly lines: readonly Fields[];
  /** What the client said. */
  readonly said: readonly Sent[];
  readonly named: ReadonlyMap<string, readonly Sent[]>;
}

function read(path: string): Capture {
  const lines = parseLines(path, gunzipSync(readFileSync(path)).toString('utf8'));
  const said = lines.map(messageOf).filter((message) => message !== undefined).filter((message) => message.fromClient && !isReply(message));
  const named = new Map(said.map(({ name }) => [name, said.filter((message) => message.name === name)]));
  return { name: /qemu[0-9.]*-(.*)\.jsonl/.exec(path)![1]!, lines, said, named };
}

let captures: readonly Capture[] | undefined;

function allCaptures(): readonly Capture[] {
  captures ??= findRecordings(join(RECORDINGS, 'vfio-user')).map(read);
  return captures;
}

interface Target {
  readonly process: Process;
  readonly device: ServedDevice;
}

const TARGETS: Readonly<Record<string, () => Target>> = {
  plain: () => servedFunction((host) => new TestDevice(host, ADDRESS)),
  mappable: () => {
    const memory = new MemoryFile(0x1_0000);
    const { device, process } = servedFunction((host) => new TestDevice(host, ADDRESS, memory.bytes));
    return { process, device: mappable(device, new Map([[2, { areas: [{ offset: 0x1000n, length: 0xf000n }], memory }]])) };
  },
  nvme: () => {
    const { process } = nvmeHost();
    return { process, device: servedDevice(process, openDevice(process, NVME_ADDRESS, { driver: 'nvme-vfio-pci' })) };
  },
};

/**
 * What a client is told that comes to a device, resets it, has it save its state, if it can, and resets it again. The stream of that state stays with the device.
 *
 * @returns the replies in hexadecimal, and what the process has when the client is gone
 */
function introduction({ device, process }: Target): readonly string[] {
  const told: string[] = [];
  const session = new ServerSession({ send: (bytes, descriptors = []) => told.push(`${toHex(bytes)} ${descriptors.length}`), receive: () => undefined, close: () => undefined }, device);
  const say = (bytes: Uint8Array): boolean => session.handle({ bytes, descriptors: [] });
  say(encodeCommand(1, { name: 'VERSION', major: 0, minor: 0, text: '{"capabilities":{"max_msg_fds":16,"write_multiple":true}}' }));
  say(encodeCommand(2, { name: 'DEVICE_RESET' }));
  say(encodeCommand(3, { name: 'DEVICE_FEATURE', argsz: 16, flags: MIGRATION_STATE, data: Uint8Array.of(STOP_COPY, 0, 0, 0, 0, 0, 0, 0) }));
  say(encodeCommand(2, { name: 'DEVICE_RESET' }));
  say(encodeCommand(3, { name: 'DEVICE_GET_INFO', argsz: 16, flags: 0, regions: 0, irqs: 0 }));
  for (let index = 0; index < 9; index += 1) {
    say(encodeCommand(4, { name: 'DEVICE_GET_REGION_INFO', argsz: 200, flags: 0, index, capOffset: 0, length: 0n, offset: 0n, capabilities: NONE }));
    say(encodeCommand(5, { name: 'DEVICE_GET_IRQ_INFO', argsz: 16, flags: 0, index, count: 0 }));
  }
  session.end();
  return [...told, `${process.fds.length} fds`, `${process.host.memory.foreign.count} foreign ranges`, `${process.mm.lockedPages} locked pages`];
}

class Hostile implements World<Sent> {
  readonly counts = new Map<string, number>();
  readonly #random: Random;
  readonly #target: Target;
  readonly #introduced: readonly string[];
  readonly #capture: Capture;
  #at = 0;
  /** A message that is late: the one behind it comes first. */
  #late: Sent | undefined;
  #first = true;
  /** Commands that belong together. */
  #burst: readonly Sent[] = [];
  #client: HostileClient;

  constructor(random: Random) {
    this.#random = random;
    const kind = pick(random, Object.keys(TARGETS));
    this.#count(`${kind} devices`);
    this.#target = TARGETS[kind]!();
    this.#introduced = introduction(this.#target);
    this.#capture = pick(random, allCaptures());
    this.#client = this.#connect();
  }

  generate(): Sent {
    const random = this.#random;
    const first = this.#first;
    this.#first = false;
    // Most connections begin rightly: little is reached without an agreement.
    if (first && random.below(8) > 0) return this.#capture.named.get('VERSION')![0]!;
    const sent = this.#next();
    return { bytes: mutated(random, sent.bytes), fds: this.#fds(sent.fds) };
  }

  check(sent: Sent): Depth {
    const { reached, done } = bounded('a message', () => this.#client.say(sent));
    if (reached !== undefined) this.#count(`${reached} reached`);
    const [memory, eventfds] = this.#client.held;
    if (memory > MOST_MAPS || eventfds > MOST_EVENTFDS) throw new Error(`the server has ${memory} mappings and ${eventfds} eventfds`);
    if (this.#client.session.over !== undefined) {
      this.#count('ended');
      this.#client = this.#connect();
    }
    return done ? 'succeeded' : reached === undefined ? 'refused' : 'past';
  }

  end(): void {
    this.#client.session.end();
    same('what the server has of the last client', this.#client.held, [0, 0]);
    introduction(this.#target).forEach((line, i) => { same('what the next client is told', line, this.#introduced[i]); });
    const { lines, name } = pick(this.#random, allCaptures());
    const { divergences, steps } = replayConversation(lines, {});
    same(`divergences of ${name}, said again`, divergences, []);
    if (steps < lines.length - 1) throw new Error(`${steps} steps of ${lines.length} lines of ${name}`);
    this.#count(`${name} replayed`);
    measure();
  }

  #connect(): HostileClient {
    this.#first = true;
    return new HostileClient(this.#target.device, { random: this.#random, between: () => this.#next(), count: (what) => { this.#count(what); } });
  }

  /** The capture's next message, one of another place, or one that it has not. */
  #next(): Sent {
    const random = this.#random;
    const { named, said } = this.#capture;
    const [begun, ...rest] = this.#burst.length === 0 && random.below(64) === 0 ? pick(random, [this.#move(), this.#migration()]) : this.#burst;
    this.#burst = rest;
    if (begun !== undefined) return begun;
    const kind = random.below(16);
    if (kind < 7) {
      const late = this.#late;
      this.#late = undefined;
      if (late !== undefined) return late;
      if (random.below(32) === 0) this.#at = random.below(said.length);
      const next = said[this.#at % said.length]!;
      // Not taken: it comes twice.
      if (random.below(16) > 0) this.#at += 1;
      if (random.below(16) > 0) return next;
      this.#late = next;
      return said[this.#at % said.length]!;
    }
    if (kind < 10) return pick(random, named.get(pick(random, [...named.keys()]))!);
    return this.#made(pick(random, HANDLED));
  }

  /** Has the test device move memory that goes by messages. */
  #move(): readonly Sent[] {
    const write = (region: number, offset: number, ...words: readonly number[]): Command => {
      const data = new Uint8Array(Uint32Array.from(words).buffer);
      return { name: 'REGION_WRITE', offset: BigInt(offset), region, count: data.length, data };
    };
    const commands: readonly Command[] = [
      { name: 'DMA_MAP', argsz: 32, flags: 3, offset: 0n, iova: BigInt(MOVED), length: 0x4000n },
      // Memory space and bus master.
      write(7, 4, 6),
      write(0, 0x10, MOVED, 0),
      write(0, 0x18, MOVED + 0x1000, 0),
      write(0, 0x20, this.#random.below(0x3000)),
      write(0, 0x24, 1),
      write(0, 0x24, 1),
    ];
    return commands.map((command) => ({ bytes: encodeCommand(9, command), fds: [] }));
  }

  /** Saves a state, or begins to take one. */
  #migration(): readonly Sent[] {
    const random = this.#random;
    const saves = random.below(2) === 0;
    const state: Command = { name: 'DEVICE_FEATURE', argsz: 16, flags: MIGRATION_STATE, data: Uint8Array.of(saves ? STOP_COPY : RESUMING, 0, 0, 0, 0, 0, 0, 0) };
    const length = 1 + random.below(200);
    const part: Command = saves ? { name: 'MIG_DATA_READ', argsz: 8 + length, length, data: NONE } : { name: 'MIG_DATA_WRITE', argsz: 8, length, data: random.bytes(length) };
    // Only a device that has been reset does either for certain.
    return [{ name: 'DEVICE_RESET' } as const, state, part, part].map((command) => ({ bytes: encodeCommand(8, command), fds: [] }));
  }

  #made(name: CommandName): Sent {
    const random = this.#random;
    const command = name === 'DEVICE_FEATURE' && random.below(4) === 0
      ? { name, argsz: 16, flags: MIGRATION_STATE, data: Uint8Array.of(1 + random.below(7), 0, 0, 0, 0, 0, 0, 0) } as const
      : plausibleCommand(random, name);
    const bytes = encodeCommand(random.below(4), command, random.below(8) === 0 ? FLAG_NO_REPLY : 0);
    return { bytes, fds: name === 'DMA_MAP' ? pick(random, [[], ['memfd']]) : name === 'DEVICE_SET_IRQS' ? pick(random, [[], ['eventfd'], ['eventfd', 'eventfd']]) : [] };
  }

  /** Sometimes one too many, one that is missing, of another kind, or far too many. */
  #fds(fds: readonly string[]): readonly string[] {
    const random = this.#random;
    switch (random.below(24)) {
      case 0:
        return [...fds, pick(random, KINDS)];
      case 1:
        return fds.slice(1);
      case 2:
        return fds.map(() => pick(random, KINDS));
      case 3:
        return random.below(8) === 0 ? Array.from({ length: random.below(40) }, () => pick(random, KINDS)) : fds;
      default:
        return fds;
    }
  }

  #count(name: string): void {
    this.counts.set(name, (this.counts.get(name) ?? 0) + 1);
  }
}

let programs = 0;
/** Bytes of the heap and of buffers, after all garbage is collected. */
const heap: number[] = [];

function measure(): void {
  programs += 1;
  if (programs % MEASURED !== 0) return;
  setFlagsFromString('--expose-gc');
  runInNewContext('gc()');
  const { arrayBuffers, heapUsed } = process.memoryUsage();
  heap.push(heapUsed + arrayBuffers);
}

function report({ counts, inputs }: Figures): Report {
  const told = (name: string): number => counts.get(name) ?? 0;
  const lines = HANDLED.map((name) => `${name}: ${told(`${name} reached`)} reached, ${told(`${name} done`)} done`);
  const replayed = [...counts].filter(([name]) => name.endsWith(' replayed')).sort();
  lines.push(`asked: ${told('DMA_READ asked')} DMA_READ, ${told('DMA_WRITE asked')} DMA_WRITE; ended: ${told('ended')}; devices: ${Object.keys(TARGETS).map((kind) => `${kind} ${told(`${kind} devices`)}`).join(', ')}`);
  lines.push(`replayed equal: ${replayed.reduce((sum, [, count]) => sum + count, 0)} (${replayed.map(([name, count]) => `${name.replace(' replayed', '')} ${count}`).join(', ')})`);
  if (heap.length > 1) lines.push(`heap and buffers, in KiB, at each ${MEASURED} programs: ${heap.map((bytes) => Math.round(bytes / 1024)).join(' ')}`);
  const few = inputs < 10_000 ? [] : HANDLED.filter((name) => told(`${name} reached`) < inputs / 100);
  return { lines, unmet: few.map((name) => `${name} was reached ${told(`${name} reached`)} times`) };
}

/** What the heap has grown by from the first time that it was measured to the last. */
function soak(): readonly string[] {
  const grown = (heap.at(-1) ?? 0) - (heap[0] ?? 0);
  return grown > GROWTH ? [`the heap has grown by ${grown} bytes`] : [];
}

export const CAPTURES_DOOR: Door<Sent> = { name: 'vfio-user-captures', length: LENGTH, most: 80, open: (random) => new Hostile(random), report, soak };
