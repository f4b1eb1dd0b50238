/** Bytes as they come, in pieces of any size, cut into messages. */
import type { Received } from './channel.ts';
import type { Descriptor } from './descriptor.ts';
import { decodeHeader, HEADER_SIZE } from './header.ts';

/** What a side takes of the other. */
export interface FramerLimits {
  /** In bytes: of a whole message, header and all. */
  readonly messageSize: number;
  /** Descriptors beside a message. */
  readonly descriptors: number;
}

/** Cuts a stream into messages. After what cannot be one nothing more comes of it: nobody can tell where the next begins. */
export class Framer {
  readonly #limits: FramerLimits;
  readonly #head: Uint8Array = new Uint8Array(HEADER_SIZE);
  /** The message whose header has come. */
  #message: Uint8Array | undefined;
  /** Bytes that have come of it, or of its header. */
  #filled = 0;
  #descriptors: Descriptor[] = [];
  #whole: Received[] = [];
  #broken: string | undefined;

  constructor(limits: FramerLimits) {
    this.#limits = limits;
  }

  /** Why the stream cannot go on, in words; undefined as long as it can. */
  get broken(): string | undefined {
    return this.#broken;
  }

  /** How many bytes are missing of the message that comes, or of its header: above 0. */
  get missing(): number {
    return (this.#message?.length ?? HEADER_SIZE) - this.#filled;
  }

  /** Whether nothing has come but what was taken: the next byte begins a message. */
  get idle(): boolean {
    return this.#filled === 0 && this.#whole.length === 0 && this.#broken === undefined;
  }

  /** Whether a message is whole. */
  get ready(): boolean {
    return this.#whole.length > 0;
  }

  /**
   * Takes a piece, and the descriptors that came with it: they are of the message that the piece's last byte is of, as a kernel ends a read behind what had
   * descriptors. Those that come with no byte, or for a stream that is broken, are closed.
   */
  feed(piece: Uint8Array, descriptors: readonly Descriptor[] = []): void {
    let own = false;
    for (let at = 0; at < piece.length && this.#broken === undefined; ) {
      const target = this.#message ?? this.#head;
      const count = Math.min(piece.length - at, target.length - this.#filled);
      target.set(piece.subarray(at, at + count), this.#filled);
      this.#filled += count;
      at += count;
      if (at === piece.length) {
        this.#descriptors.push(...descriptors);
        own = true;
        if (this.#descriptors.length > this.#limits.descriptors) this.#break(`a message with ${this.#descriptors.length} descriptors`);
      }
      if (this.#filled === target.length) this.#full(target);
    }
    if (!own) for (const descriptor of descriptors) descriptor.close();
  }

  /** The next message that is whole; undefined: there is none yet. */
  next(): Received | undefined {
    return this.#whole.shift();
  }

  /** The stream is over: what was not taken is dropped, and its descriptors are closed. */
  end(): void {
    this.#break('the stream is over');
    for (const { descriptors } of this.#whole) for (const descriptor of descriptors) descriptor.close();
    this.#whole = [];
  }

  /** A header or a message is full. */
  #full(target: Uint8Array): void {
    if (this.#broken !== undefined) return;
    if (this.#message === undefined) {
      const size = decodeHeader(target)?.size ?? 0;
      if (size < HEADER_SIZE || size > this.#limits.messageSize) {
        this.#break(`a message of ${size} bytes`);
        return;
      }
      this.#message = new Uint8Array(size);
      this.#message.set(target);
      if (size > HEADER_SIZE) return;
    }
    this.#whole.push({ bytes: this.#message, descriptors: this.#descriptors });
    this.#message = undefined;
    this.#filled = 0;
    this.#descriptors = [];
  }

  #break(why: string): void {
    this.#broken ??= why;
    for (const descriptor of this.#descriptors) descriptor.close();
    this.#descriptors = [];
  }
}
