/** The client's side of a captured conversation, said again to a server. */
import { decodeHeader, encodeHeader, EventFile, FLAG_TYPE_MASK, HEADER_SIZE, type Channel, type Descriptor, type Received } from '@vsim/vfio-user';
import { isReply, type CapturedMessage } from './captured.ts';
import { SparseFile } from './client-memory.ts';

/** What a server has sent. */
export interface Sent {
  readonly bytes: Uint8Array;
  /** How many descriptors were beside it. */
  readonly fds: number;
}

/** A channel whose other side is a recording: it answers what the server asks as the client did. */
export class RecordedClient implements Channel {
  /** Answers that the server has sent since they were taken. */
  readonly #sent: Sent[] = [];
  /** What the server asks, and has no answer yet. */
  readonly #asked: Sent[] = [];
  /** The client's answers, in order. */
  readonly #answers: CapturedMessage[];
  readonly #question: (asked: Sent) => void;
  readonly #memory = new SparseFile();
  readonly #eventfds: EventFile[] = [];

  /** @param question hears of each command of the server, before it is answered */
  constructor(messages: readonly CapturedMessage[], question: (asked: Sent) => void) {
    this.#answers = messages.filter((message) => message.fromClient && isReply(message));
    this.#question = question;
  }

  /** The message as it came to the server. */
  say({ bytes, fds }: CapturedMessage): Received {
    return { bytes, descriptors: fds.map((kind) => this.#descriptor(kind)) };
  }

  #descriptor(kind: string): Descriptor {
    if (kind !== 'eventfd') return this.#memory.descriptor();
    const eventfd = new EventFile();
    this.#eventfds.push(eventfd);
    return eventfd.descriptor();
  }

  /** What the server has answered since the last time. */
  taken(): readonly Sent[] {
    return this.#sent.splice(0);
  }

  /** Signals of all of the client's eventfds since the last time. */
  signals(): number {
    return this.#eventfds.reduce((sum, eventfd) => sum + eventfd.take(), 0);
  }

  /** Descriptors and mappings that the server still has. */
  get held(): number {
    return this.#eventfds.reduce((sum, { open }) => sum + open, this.#memory.open);
  }

  send(message: Uint8Array, descriptors: readonly Descriptor[] = []): void {
    const sent = { bytes: message.slice(), fds: descriptors.length };
    if (((decodeHeader(message)?.flags ?? 0) & FLAG_TYPE_MASK) !== 0) this.#sent.push(sent);
    else this.#asked.push(sent);
  }

  /** The answer to what the server has asked, under the number that it gave. */
  receive(): Received | undefined {
    const asked = this.#asked.shift();
    const header = asked === undefined ? undefined : decodeHeader(asked.bytes);
    if (asked === undefined || header === undefined) return undefined;
    this.#question(asked);
    const answer = this.#answers.shift();
    if (answer === undefined) return undefined;
    const bytes = answer.bytes.slice();
    encodeHeader(bytes.subarray(0, HEADER_SIZE), { id: header.id, command: answer.command, size: bytes.length, flags: answer.flags, error: answer.error });
    return { bytes, descriptors: [] };
  }

  close(): void {
    this.#asked.length = 0;
  }
}
