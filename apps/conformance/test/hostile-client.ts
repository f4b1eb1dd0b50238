/** The client's end of a connection for fuzzers: what it sends comes from outside, and it answers the server's questions rightly, wrongly, or after commands. */
import { ENODEV, type Random } from '@vsim/vfio-core';
import {
  commandLimit,
  commandName,
  decodeCommand,
  decodeHeader,
  decodeReply,
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
  type Received,
  type ServedDevice,
} from '@vsim/vfio-user';
import { same } from '../../../testing/fuzz.ts';
import { mutated } from '../../../packages/vfio-user/test/plausible-messages.ts';
import { SparseFile } from '../src/vfio-user/client-memory.ts';

const NONE = new Uint8Array(0);
/** Bytes of the largest message that a server takes which says nothing of it. */
const LIMIT = commandLimit(1_048_576);
/** Descriptors that a server takes in a message. */
const MOST_FDS = 16;
export const MOST_MAPS = 32;

/** A message, and the kinds of the descriptors beside it. */
export interface Sent {
  readonly bytes: Uint8Array;
  readonly fds: readonly string[];
}

/** How its questions are answered, and who is told. */
export interface HostileInit {
  readonly random: Random;
  /** A command that comes before an answer. */
  readonly between: () => Sent;
  readonly count: (what: string) => void;
}

/** A connection to a server over a device, from its first message to its end. */
export class HostileClient implements Channel {
  readonly session: ServerSession;
  readonly #init: HostileInit;
  readonly #memory = new SparseFile();
  readonly #eventfds: EventFile[] = [];
  readonly #inbox: Received[] = [];
  #replies: Uint8Array[] = [];
  /** Commands that want a reply, in the order in which they came. */
  #wanted: string[] = [];
  /** Something has come that ends a connection, or may. */
  #spoiled = false;
  #closed = 0;

  constructor(device: ServedDevice, init: HostileInit) {
    this.#init = init;
    this.session = new ServerSession(this, device, { maxDmaMaps: MOST_MAPS });
  }

  /** Descriptors and mappings that the server has of this client. */
  get held(): readonly [memory: number, eventfds: number] {
    return [this.#memory.open, this.#eventfds.reduce((sum, { open }) => sum + open, 0)];
  }

  /** Says a message, and all that it leads to. @returns the handler that it reached, and whether one had an error to say @throws Error if an answer is none */
  say(sent: Sent): { readonly reached: CommandName | undefined; readonly done: boolean } {
    const reached = this.#reaches(sent);
    this.session.handle(this.#take(sent));
    while (this.session.queued > 0) this.session.step();
    let done = false;
    for (const reply of this.#replies.splice(0)) done = this.#check(reply) || done;
    if (this.session.over === undefined) same('commands without a reply', this.#wanted, []);
    else {
      if (!this.#spoiled) throw new Error(`the connection is over: ${this.session.over}`);
      same('what the server has of a client that is gone, and ends of the channel', [...this.held, this.#closed], [0, 0, 1]);
    }
    this.#forget();
    return { reached, done };
  }

  /** What the server sends. */
  send(message: Uint8Array): void {
    if (this.#closed > 0) throw new Error('a message over a channel that is closed');
    const header = decodeHeader(message);
    if (header?.size !== message.length) throw new Error(`a message of ${message.length} bytes that says ${header?.size ?? 'nothing'}`);
    if ((header.flags & FLAG_TYPE_MASK) !== 0) this.#replies.push(message.slice());
    else this.#answer(message.slice());
  }

  receive(): Received | undefined {
    return this.#inbox.shift();
  }

  close(): void {
    this.#closed += 1;
  }

  /** The handler that a message gets to: the rules of the protocol, said a second time. */
  #reaches({ bytes, fds }: Sent): CommandName | undefined {
    const header = decodeHeader(bytes);
    if (header?.size !== bytes.length || bytes.length > LIMIT || (header.flags & FLAG_TYPE_MASK) !== 0) return undefined;
    const command = decodeCommand(header, bytes);
    if ('errno' in command || command.name === 'DMA_READ' || command.name === 'DMA_WRITE') return undefined;
    if ((command.name === 'VERSION') !== (this.session.agreement === undefined)) return undefined;
    return fds.length <= (command.name === 'DMA_MAP' || command.name === 'DEVICE_SET_IRQS' ? MOST_FDS : 0) ? command.name : undefined;
  }

  /** The message as it comes to the server. */
  #take({ bytes, fds }: Sent): Received {
    const header = decodeHeader(bytes);
    const command = header?.size === bytes.length && bytes.length <= LIMIT && (header.flags & FLAG_TYPE_MASK) === 0;
    if (!command || this.session.agreement === undefined) this.#spoiled = true;
    if (command && (header.flags & FLAG_NO_REPLY) === 0) this.#wanted.push(`${header.id} ${header.command}`);
    return { bytes, descriptors: fds.map((kind) => (kind === 'eventfd' ? this.#eventfd() : this.#memory).descriptor()) };
  }

  #eventfd(): EventFile {
    const eventfd = new EventFile();
    this.#eventfds.push(eventfd);
    return eventfd;
  }

  /** Eventfds that nobody has. */
  #forget(): void {
    for (let i = this.#eventfds.length - 1; i >= 0; i -= 1) if (this.#eventfds[i]!.open === 0) this.#eventfds.splice(i, 1);
  }

  #answer(question: Uint8Array): void {
    const { random, between, count } = this.#init;
    const header = decodeHeader(question)!;
    const asked = decodeCommand(header, question);
    if ('errno' in asked || (asked.name !== 'DMA_READ' && asked.name !== 'DMA_WRITE')) throw new Error(`the server asks for ${header.command}`);
    count(`${asked.name} asked`);
    while (random.below(4) === 0) this.#inbox.push(this.#take(between()));
    const right = encodeReply(header.id, asked.name, { ...asked, data: asked.name === 'DMA_READ' ? new Uint8Array(Number(asked.count)).fill(random.below(256)) : NONE });
    const kind = random.below(20);
    if (kind === 0) this.#spoiled = true;
    this.#inbox.push({ bytes: kind === 0 ? mutated(random, right) : kind < 3 ? encodeError(header.id, header.command, ENODEV) : right, descriptors: [] });
  }

  /** @returns whether the command is done */
  #check(reply: Uint8Array): boolean {
    const header = decodeHeader(reply)!;
    same('the reply', `${header.id} ${header.command}`, this.#wanted.shift());
    const name = commandName(header.command);
    if ((header.flags & FLAG_ERROR) !== 0) {
      same('bytes of an error', reply.length, HEADER_SIZE);
      if (header.error < 1 || header.error > 4095) throw new Error(`errno ${header.error}`);
      return false;
    }
    const decoded = name === undefined ? undefined : decodeReply(name, reply);
    if (decoded === undefined || 'errno' in decoded) throw new Error(`a reply that is none: ${decoded?.reason ?? header.command}`);
    this.#init.count(`${name} done`);
    return true;
  }
}
