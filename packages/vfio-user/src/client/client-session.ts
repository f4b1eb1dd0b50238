/** A client's side of a connection: commands, as many at once as one likes, and the server's questions in between. */
import { EINVAL, EIO, ENOTCONN, ENOTTY } from '@vsim/vfio-core';
import { capabilitiesText, type Capabilities, DEFAULT_CAPABILITIES, DEFAULT_MIGRATION } from '../negotiation/capabilities.ts';
import { type Agreement, takeVersion, VERSION_SPOKEN } from '../negotiation/negotiate.ts';
import type { Channel, Received } from '../wire/channel.ts';
import { COMMANDS } from '../wire/commands.ts';
import { decodeCommand, decodeReply } from '../wire/decode.ts';
import { closeAll, type Descriptor } from '../wire/descriptor.ts';
import { encodeCommand, encodeError, encodeReply } from '../wire/encode.ts';
import { decodeHeader, FLAG_ERROR, FLAG_NO_REPLY, FLAG_REPLY, FLAG_TYPE_MASK, HEADER_SIZE, type Header } from '../wire/header.ts';
import { replyLimit } from '../wire/limits.ts';
import { type Command, type DmaAccessMessage, type Refused, refused, type Reply } from '../wire/messages.ts';
import { wrongReply } from './check-reply.ts';

/** The client's memory, as a server that has no mapping of it reaches it. */
export interface DmaTarget {
  /** Fills `into`. @param iova in bytes @returns 0, or a negative errno */
  read(iova: bigint, into: Uint8Array): number;
  /** Stores `from`. @param iova in bytes @returns 0, or a negative errno */
  write(iova: bigint, from: Uint8Array): number;
}

/** An answer: the reply, and the descriptors beside it, which are the caller's. */
export interface Outcome {
  /** Of the kind that the command has, checked as far as the command goes. */
  readonly reply: Reply;
  /** Of a region's memory, or of its parts' files. */
  readonly descriptors: readonly Descriptor[];
}

/** What a client can that says nothing else: what QEMU says of itself. */
export const CLIENT_CAPABILITIES: Capabilities = { ...DEFAULT_CAPABILITIES, maxMsgFds: 16, migration: DEFAULT_MIGRATION, writeMultiple: true };

interface Waiting {
  readonly command: Command;
  outcome: Outcome | Refused | undefined;
}

/**
 * A connection to a server. `negotiate()` comes first. A reply that cannot be, or that nobody waits for, ends the connection, as in QEMU: what is wrong of one
 * message may be wrong of all.
 */
export class ClientSession {
  readonly #channel: Channel;
  readonly #memory: DmaTarget;
  readonly #own: Capabilities;
  readonly #waiting = new Map<number, Waiting>();
  #next = 0;
  #agreement: Agreement | undefined;
  #over: string | undefined;

  constructor(channel: Channel, memory: DmaTarget, options: Partial<Capabilities> = {}) {
    this.#channel = channel;
    this.#memory = memory;
    this.#own = { ...CLIENT_CAPABILITIES, ...options };
  }

  /** What was agreed on with the server; undefined before `negotiate()`. */
  get agreement(): Agreement | undefined {
    return this.#agreement;
  }

  /** Why the connection is over, in words; undefined as long as it is not. */
  get over(): string | undefined {
    return this.#over;
  }

  /** Agrees on the version. On a refusal the connection is over. */
  negotiate(): Agreement | Refused {
    const answer = this.ask({ name: 'VERSION', ...VERSION_SPOKEN, text: capabilitiesText(this.#own) });
    if ('errno' in answer) {
      this.#end(answer.reason);
      return answer;
    }
    const agreement = answer.reply.name === 'VERSION' ? takeVersion(answer.reply, this.#own) : refused(EINVAL, 'VERSION is answered by something else');
    if ('errno' in agreement) this.#end(agreement.reason);
    else this.#agreement = agreement;
    return agreement;
  }

  /** Sends a command, and waits for its answer. Descriptors stay the caller's. */
  ask(command: Command, descriptors: readonly Descriptor[] = []): Outcome | Refused {
    return this.await(this.post(command, descriptors));
  }

  /**
   * Sends a command, and does not wait. Descriptors stay the caller's.
   *
   * @returns its id, which `await()` takes, once
   * @throws RangeError if 65536 commands wait for their answers already
   */
  post(command: Command, descriptors: readonly Descriptor[] = []): number {
    if (this.#waiting.size > 0xffff) throw new RangeError('65536 commands wait for their answers');
    while (this.#waiting.has(this.#next)) this.#nextId();
    const id = this.#nextId();
    this.#waiting.set(id, { command, outcome: this.#over === undefined ? undefined : refused(ENOTCONN, this.#over) });
    if (this.#over === undefined) this.#channel.send(encodeCommand(id, command), descriptors);
    return id;
  }

  /** Sends a command that gets no answer. Descriptors stay the caller's. */
  tell(command: Command, descriptors: readonly Descriptor[] = []): void {
    if (this.#over === undefined) this.#channel.send(encodeCommand(this.#nextId(), command, FLAG_NO_REPLY), descriptors);
  }

  /** Waits for the answer of a command. @param id what `post()` returned @returns EIO where the server names no errno, ENOTCONN once the connection is over @throws RangeError if nothing of this id waits */
  await(id: number): Outcome | Refused {
    const waiting = this.#waiting.get(id);
    if (waiting === undefined) throw new RangeError(`"id" expected a command that waits, got ${id}`);
    while (waiting.outcome === undefined) if (!this.step()) break;
    this.#waiting.delete(id);
    return waiting.outcome ?? refused(ENOTCONN, this.#over ?? 'the server is gone');
  }

  /** Waits for a message, and does what it says: a reply is kept for who awaits it, a question is answered. @returns false once the connection is over */
  step(): boolean {
    const received = this.#over === undefined ? this.#channel.receive() : undefined;
    if (received === undefined) this.#end('the server is gone');
    else this.#do(received);
    return this.over === undefined;
  }

  /** Ends the connection. Answers that nobody has taken are dropped, with their descriptors; what still waits for one gets ENOTCONN. */
  close(): void {
    this.#end('the client ended it');
    for (const waiting of this.#waiting.values()) {
      if (waiting.outcome !== undefined && !('errno' in waiting.outcome)) closeAll(waiting.outcome.descriptors);
      waiting.outcome = refused(ENOTCONN, 'the client ended it');
    }
  }

  #nextId(): number {
    const id = this.#next;
    this.#next = (id + 1) & 0xffff;
    return id;
  }

  #do(received: Received): void {
    const { bytes, descriptors } = received;
    const header = decodeHeader(bytes);
    const type = (header?.flags ?? 0) & FLAG_TYPE_MASK;
    const limit = replyLimit(this.#own.maxDataXferSize, this.#own.migration?.maxBitmapSize ?? 0);
    if (header?.size !== bytes.length || bytes.length > limit) this.#end(`a message of ${bytes.length} bytes that says ${header?.size ?? 'nothing'} of its size`);
    else if (type === FLAG_REPLY) {
      if (this.#reply(header, received)) return;
    } else if (type === 0) this.#question(header, received);
    else this.#end(`a message of type ${type}`);
    closeAll(descriptors);
  }

  /** @returns whether it is one that somebody waits for, who has its descriptors */
  #reply(header: Header, { bytes, descriptors }: Received): boolean {
    const waiting = this.#waiting.get(header.id);
    if (waiting === undefined || waiting.outcome !== undefined || COMMANDS[waiting.command.name] !== header.command) {
      this.#end(`a reply to ${header.id}, which nobody waits for`);
      return false;
    }
    const { command } = waiting;
    if ((header.flags & FLAG_ERROR) !== 0) {
      // The errno is optional, and 0 where it is not told.
      if (bytes.length === HEADER_SIZE && descriptors.length === 0) waiting.outcome = refused(header.error === 0 ? EIO : header.error, `the server refuses ${command.name}`);
      else this.#end(`${command.name} is refused with a payload`);
      return false;
    }
    const reply = decodeReply(command.name, bytes);
    const wrong = 'errno' in reply ? reply.reason : wrongReply(command, reply, bytes.length - HEADER_SIZE, descriptors.length);
    if (wrong !== undefined || 'errno' in reply) {
      this.#end(wrong ?? 'a reply that is none');
      return false;
    }
    waiting.outcome = { reply, descriptors };
    return true;
  }

  /** A command of the server's: an access to memory. */
  #question(header: Header, { bytes, descriptors }: Received): void {
    const command = decodeCommand(header, bytes);
    const answer = descriptors.length > 0 ? refused(EINVAL, 'an access with descriptors') : this.#access(command);
    if ((header.flags & FLAG_NO_REPLY) !== 0) return;
    if ('errno' in answer) this.#channel.send(encodeError(header.id, header.command, answer.errno));
    else this.#channel.send(encodeReply(header.id, answer.name, answer));
  }

  #access(command: Command | Refused): DmaAccessMessage | Refused {
    if ('errno' in command) return command;
    if (command.name !== 'DMA_READ' && command.name !== 'DMA_WRITE') return refused(ENOTTY, `${command.name} is a command of clients`);
    if (this.#agreement === undefined) return refused(EINVAL, `${command.name} before VERSION`);
    if (command.count > this.#own.maxDataXferSize) return refused(EINVAL, `an access of ${command.count} bytes`);
    const data = command.name === 'DMA_READ' ? new Uint8Array(Number(command.count)) : NONE;
    const code = command.name === 'DMA_READ' ? this.#memory.read(command.iova, data) : this.#memory.write(command.iova, command.data);
    return code < 0 ? refused(-code, `the client refuses ${command.name}`) : { ...command, data };
  }

  #end(why: string): void {
    if (this.#over !== undefined) return;
    this.#over = why;
    this.#channel.close();
  }
}

const NONE = new Uint8Array(0);
