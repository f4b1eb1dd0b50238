/**
 * The door `vfio-user-captures`: what the clients of the captures said, and what the codec's generator says, mutated, to the captures' device. After each program a capture is said again
 * as it was, to a device of its own. For tests only.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { gunzipSync } from 'node:zlib';
import { ENODEV, type Process, type Random } from '@vsim/vfio-core';
import {
  commandName,
  commandNames,
  decodeCommand,
  decodeHeader,
  encodeCommand,
  encodeError,
  encodeReply,
  EventFile,
  FLAG_ERROR,
  FLAG_NO_REPLY,
  FLAG_TYPE_MASK,
  HEADER_SIZE,
  ServerSession,
  type Channel,
  type CommandName,
  type Descriptor,
  type Received,
  type ServedDevice,
} from '@vsim/vfio-user';
import { mutated, plausibleCommand } from '../../../packages/vfio-user/test/plausible-messages.ts';
import { pick, same, type Depth, type Door, type Figures, type Report, type World } from '../../../testing/fuzz.ts';
import { parseLines } from '../src/json.ts';
import { findRecordings, RECORDINGS } from '../src/replay.ts';
import { isReply, messageOf, type CapturedMessage } from '../src/vfio-user/captured.ts';
import { SparseFile } from '../src/vfio-user/client-memory.ts';
import { replayConversation } from '../src/vfio-user/format.ts';
import { ADDRESS, servedFunction } from '../src/vfio-user/served-function.ts';
import { TestDevice } from '../src/vfio-user/test-device.ts';

/** Messages of a program. */
const LENGTH = 1000;
/** Of a million inputs, those that reach each handler; of fewer, their share. */
const EACH = 0.01;
/** What a run's heap may have more at its end than behind its first program, in bytes. */
const HEAP_SLACK = 32 * 2 ** 20;

const CAPTURES = findRecordings(join(RECORDINGS, 'vfio-user')).map((path) => parseLines(path, gunzipSync(readFileSync(path)).toString('utf8')));
/** Commands that only a server sends are refused before any handler. */
const HANDLED: readonly CommandName[] = commandNames().filter((name) => name !== 'DMA_READ' && name !== 'DMA_WRITE');
const COMMANDS: readonly CapturedMessage[] = CAPTURES.flat().map(messageOf).filter((message) => message !== undefined).filter((message) => message.fromClient && !isReply(message));
const CAPTURED: ReadonlyMap<CommandName, readonly CapturedMessage[]> = new Map(HANDLED.map((handled) => [handled, COMMANDS.filter(({ name }) => name === handled)]));

interface Said {
  readonly bytes: Uint8Array;
  /** Kinds of the descriptors beside it. */
  readonly fds: readonly string[];
}

/** A client's side: it answers questions about its memory with anything, with errors, spoiled, or not at all. */
class MutantClient implements Channel {
  readonly replies: Uint8Array[] = [];
  readonly #asked: Uint8Array[] = [];
  readonly #random: Random;
  readonly #memory = new SparseFile();
  readonly #eventfd = new EventFile();
  closed = false;

  constructor(random: Random) {
    this.#random = random;
  }

  /** Descriptors and mappings that the server has. */
  get held(): number {
    return this.#memory.open + this.#eventfd.open;
  }

  descriptors(kinds: readonly string[]): Descriptor[] {
    return kinds.map((kind) => (kind === 'eventfd' ? this.#eventfd : this.#memory).descriptor());
  }

  send(message: Uint8Array, descriptors: readonly Descriptor[] = []): void {
    same('descriptors of this device', descriptors.length, 0);
    (((decodeHeader(message)?.flags ?? 0) & FLAG_TYPE_MASK) !== 0 ? this.replies : this.#asked).push(message.slice());
  }

  receive(): Received | undefined {
    const asked = this.#asked.shift();
    const header = asked === undefined ? undefined : decodeHeader(asked);
    const command = asked === undefined || header === undefined ? undefined : decodeCommand(header, asked);
    if (header === undefined || command === undefined || 'errno' in command || (command.name !== 'DMA_READ' && command.name !== 'DMA_WRITE')) return undefined;
    const right = encodeReply(header.id, command.name, { ...command, data: command.name === 'DMA_READ' ? new Uint8Array(Number(command.count)).fill(this.#random.below(256)) : new Uint8Array(0) });
    const kind = this.#random.below(12);
    if (kind === 0) return undefined;
    return { bytes: kind === 1 ? mutated(this.#random, right) : kind === 2 ? encodeError(header.id, header.command, ENODEV) : right, descriptors: [] };
  }

  close(): void {
    this.closed = true;
    this.#asked.length = 0;
  }
}

class Captured implements World<Said> {
  readonly counts = new Map<string, number>();
  readonly #random: Random;
  readonly #process: Process;
  readonly #device: ServedDevice;
  readonly #fds: readonly number[];
  #client: MutantClient;
  #session: ServerSession;

  constructor(random: Random) {
    this.#random = random;
    const { device, process } = servedFunction((host) => new TestDevice(host, ADDRESS));
    this.#process = process;
    this.#device = device;
    [this.#client, this.#session] = this.#connect();
    this.#session.end();
    this.#fds = process.fds;
    [this.#client, this.#session] = this.#connect();
  }

  generate(random: Random): Said {
    const name = pick(random, HANDLED);
    const captured = CAPTURED.get(name) ?? [];
    const said = captured.length > 0 && random.below(3) > 0 ? pick(random, captured) : { bytes: encodeCommand(random.below(0x1_0000), plausibleCommand(random, name)), fds: name === 'DMA_MAP' ? ['memfd'] : [] };
    const fds = random.below(16) > 0 ? said.fds : pick(random, [[], ['eventfd'], ['memfd'], [...said.fds, 'memfd'], said.fds.slice(1)]);
    return { bytes: mutated(random, said.bytes), fds };
  }

  check({ bytes, fds }: Said): Depth {
    const header = decodeHeader(bytes);
    const whole = header?.size === bytes.length && (header.flags & FLAG_TYPE_MASK) === 0;
    const command = header !== undefined && whole ? decodeCommand(header, bytes) : undefined;
    const reaches = command !== undefined && !('errno' in command);
    if (reaches) this.#count(`${command.name} reached`);
    const goesOn = this.#session.handle({ bytes, descriptors: this.#client.descriptors(fds) });
    const replies = this.#client.replies.splice(0);
    for (const reply of replies) this.#answered(reply, header?.id);
    const done = replies.some((reply) => ((decodeHeader(reply)?.flags ?? 0) & FLAG_ERROR) === 0);
    if (goesOn) same('answers', replies.length, whole && (header.flags & FLAG_NO_REPLY) === 0 ? 1 : 0);
    else this.#ended();
    return done ? 'succeeded' : reaches ? 'past' : 'refused';
  }

  end(): void {
    this.#session.end();
    this.#left();
    const report = replayConversation(pick(this.#random, CAPTURES), {});
    same('a capture said again', report.divergences.map(({ step, field }) => `${step} ${field}`), []);
    if (report.compared === 0) throw new Error('a capture that says nothing');
    this.#count('captures said again');
  }

  #answered(reply: Uint8Array, id: number | undefined): void {
    const { command, error, flags, id: told } = decodeHeader(reply)!;
    same('the number of an answer', told, id);
    if ((flags & FLAG_ERROR) === 0) {
      this.#count(`${commandName(command) ?? command} done`);
      return;
    }
    same('the size of an error', reply.length, HEADER_SIZE);
    if (error < 1 || error > 4095) throw new Error(`errno ${error}`);
  }

  #ended(): void {
    this.#count('ended');
    same('the channel is closed', this.#client.closed, true);
    this.#left();
    [this.#client, this.#session] = this.#connect();
  }

  /** What is left of a client: nothing of its own, and no file of the process that serves. */
  #left(): void {
    same('descriptors and mappings', this.#client.held, 0);
    same('files of the server', this.#process.fds, this.#fds);
  }

  #connect(): [MutantClient, ServerSession] {
    const client = new MutantClient(this.#random);
    const session = new ServerSession(client, this.#device);
    // Else the first VERSION that comes is the one, and what comes before it is refused.
    if (this.#random.below(4) > 0) session.handle({ bytes: pick(this.#random, CAPTURED.get('VERSION') ?? []).bytes, descriptors: [] });
    client.replies.length = 0;
    return [client, session];
  }

  #count(name: string): void {
    this.counts.set(name, (this.counts.get(name) ?? 0) + 1);
  }
}

function report({ counts, inputs }: Figures): Report {
  const of = (name: string): number => counts.get(name) ?? 0;
  const lines = HANDLED.map((name) => `${name}: ${of(`${name} reached`)} reached, ${of(`${name} done`)} done`);
  lines.push(`ended: ${of('ended')}; captures said again: ${of('captures said again')}`);
  const few = inputs < LENGTH ? [] : HANDLED.filter((name) => of(`${name} reached`) < EACH * inputs);
  return { lines, unmet: few.map((name) => `${name} was reached ${of(`${name} reached`)} times`) };
}

let first: readonly [heap: number, descriptors: number] | undefined;

/** Heap, and descriptors of this program: as behind the first program. */
function resources(): readonly [heap: number, descriptors: number] {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
  return [process.memoryUsage().heapUsed, readdirSync('/proc/self/fd').length];
}

function soak(): readonly string[] {
  const [heap, descriptors] = resources();
  first ??= [heap, descriptors];
  return [
    ...(heap > first[0] + HEAP_SLACK ? [`the heap had ${first[0]} bytes, and has ${heap}`] : []),
    ...(descriptors > first[1] ? [`${first[1]} descriptors were open, and ${descriptors} are`] : []),
  ];
}

export const CAPTURES_DOOR: Door<Said> = {
  name: 'vfio-user-captures',
  length: LENGTH,
  open: (random) => {
    // Behind the first program, when all that is made once has been made.
    if (first === undefined && opened > 0) first = resources();
    opened += 1;
    return new Captured(random);
  },
  report,
  soak,
};
let opened = 0;
