/** A server's side of a connection: commands as they come, and questions of its own in the middle of one. */
import { get } from '@vsim/vfio-core';
import type { Channel, Received } from '../wire/channel.ts';
import { commandName, COMMANDS } from '../wire/commands.ts';
import { decodeReply } from '../wire/decode.ts';
import { closeAll, type Descriptor } from '../wire/descriptor.ts';
import { encodeCommand } from '../wire/encode.ts';
import { decodeHeader, FLAG_ERROR, FLAG_REPLY, FLAG_TYPE_MASK, HEADER_SIZE, type Header } from '../wire/header.ts';
import { HEADER_LAYOUT } from '../wire/layouts.ts';
import type { DmaAccessMessage, Reply } from '../wire/messages.ts';

/** Commands that may come while a question waits for its answer: far more than a client keeps in flight, few enough that a flood ends. */
const MOST_QUEUED = 1024;
/** Their bytes. */
const MOST_QUEUED_BYTES = 16 * 1_048_576;
const GONE = 'the client is gone';

/** Messages of a channel, checked as far as their headers. */
export class Conversation {
  readonly #channel: Channel;
  readonly #limit: number;
  /** Commands that came while a question waited. */
  #queue: Received[] = [];
  #queuedBytes = 0;
  // The first question is 1.
  #id = 0;
  #over: string | undefined;

  /** @param limit bytes of the largest message that is taken */
  constructor(channel: Channel, limit: number) {
    this.#channel = channel;
    this.#limit = limit;
  }

  /** Why it is over, in words; undefined as long as it is not. */
  get over(): string | undefined {
    return this.#over;
  }

  /** How many commands wait that came while a question did. */
  get queued(): number {
    return this.#queue.length;
  }

  /** Waits for the next command, which is lent until the next one is asked for. @returns undefined once the other side is gone */
  next(): Received | undefined {
    if (this.#over !== undefined) return undefined;
    const queued = this.#queue.shift();
    if (queued !== undefined) {
      this.#queuedBytes -= queued.bytes.length;
      return queued;
    }
    const channel = this.#channel;
    const received = channel.borrow === undefined ? channel.receive() : channel.borrow();
    if (received === undefined) this.end(GONE);
    return received;
  }

  /** Whether a message is a whole command. After what is none nothing that comes can be trusted: the conversation is over. */
  isCommand({ bytes }: Received): boolean {
    if (!this.#isWhole(bytes)) return false;
    const type = get(bytes, HEADER_LAYOUT.flags) & FLAG_TYPE_MASK;
    if (type === 0) return true;
    // A late reply is such a one, too. QEMU ends a connection for it, as the two sides no longer agree on what was asked.
    this.end(type === FLAG_REPLY ? `a reply to ${get(bytes, HEADER_LAYOUT.id)}, which nobody waits for` : `a message of type ${type}`);
    return false;
  }

  /** Sends. Descriptors stay the caller's. */
  send(bytes: Uint8Array, descriptors?: readonly Descriptor[]): void {
    if (this.#over === undefined) this.#channel.send(bytes, descriptors);
  }

  /** Asks the client, and waits; commands that come before the answer wait for their turn. @returns undefined on an error, or where no answer comes */
  ask(question: DmaAccessMessage): Reply | undefined {
    this.#id = (this.#id + 1) & 0xffff;
    this.send(encodeCommand(this.#id, question));
    while (this.#over === undefined) {
      const received = this.#channel.receive();
      if (received === undefined) {
        this.end(GONE);
        return undefined;
      }
      const header = this.#isWhole(received.bytes) ? decodeHeader(received.bytes) : undefined;
      if (header === undefined) {
        closeAll(received.descriptors);
        return undefined;
      }
      if ((header.flags & FLAG_TYPE_MASK) === 0) this.#keep(received);
      else return this.#answer(header, received, question);
    }
    return undefined;
  }

  /** Ends it: what waits is dropped. */
  end(why: string): void {
    this.#over ??= why;
    for (const { descriptors } of this.#queue) closeAll(descriptors);
    this.#queue = [];
    this.#queuedBytes = 0;
  }

  #answer(header: Header, { bytes, descriptors }: Received, question: DmaAccessMessage): Reply | undefined {
    closeAll(descriptors);
    if ((header.flags & FLAG_TYPE_MASK) !== FLAG_REPLY || header.id !== this.#id || header.command !== COMMANDS[question.name]) {
      this.end(`a reply to ${header.id} (${commandName(header.command) ?? header.command}) for ${question.name} ${this.#id}`);
      return undefined;
    }
    if ((header.flags & FLAG_ERROR) !== 0) return undefined;
    const reply = decodeReply(question.name, bytes);
    if ('errno' in reply) this.end(reply.reason);
    else if (descriptors.length > 0) this.end('descriptors beside the reply to an access');
    else return reply;
    return undefined;
  }

  #keep(received: Received): void {
    this.#queue.push(received);
    this.#queuedBytes += received.bytes.length;
    if (this.#queue.length > MOST_QUEUED || this.#queuedBytes > MOST_QUEUED_BYTES) this.end('too many commands before an answer');
  }

  #isWhole(bytes: Uint8Array): boolean {
    const size = bytes.length < HEADER_SIZE ? undefined : get(bytes, HEADER_LAYOUT.length);
    if (size === bytes.length && size <= this.#limit) return true;
    this.end(`a message of ${bytes.length} bytes that says ${size ?? 'nothing'} of its size`);
    return false;
  }
}
