/** Memory of a client that it did not share: its bytes go by DMA_READ and DMA_WRITE. */
import type { SharedMemory } from '../wire/descriptor.ts';
import type { DmaAccessMessage, Reply } from '../wire/messages.ts';

/** Who asks the client. */
export interface DmaLink {
  /** @returns undefined where the client refuses, or is gone */
  ask(question: DmaAccessMessage): Reply | undefined;
  /** Ends the conversation. */
  end(why: string): void;
}

const NONE = new Uint8Array(0);

/**
 * Such a range. Accesses that the client refuses read ones, and write nothing; of one that takes several messages, those before the refused one are done, as
 * no message undoes a write.
 */
export class MessageMemory implements SharedMemory {
  readonly #link: DmaLink;
  readonly #iova: bigint;
  readonly #piece: number;
  #size: number;

  /** @param iova of its first byte @param size in bytes @param piece bytes that the client takes in a message, at least 1 */
  constructor(link: DmaLink, iova: bigint, size: number, piece: number) {
    this.#link = link;
    this.#iova = iova;
    this.#size = size;
    this.#piece = piece;
  }

  /** In bytes; 0 once it has ended. */
  get size(): number {
    return this.#size;
  }

  /** Fills `into`, by as many questions as that takes. @param offset in bytes */
  read(offset: number, into: Uint8Array): void {
    if (offset + into.length > this.#size || !this.#each(into, (at, part) => this.#readPart(offset + at, part))) into.fill(0xff);
  }

  /** Stores `from`, by as many questions as that takes. @param offset in bytes */
  write(offset: number, from: Uint8Array): void {
    if (offset + from.length <= this.#size) this.#each(from, (at, part) => this.#writePart(offset + at, part));
  }

  /** Ends it: it has no bytes any more. */
  unmap(): void {
    this.#size = 0;
  }

  #each(bytes: Uint8Array, each: (at: number, part: Uint8Array) => boolean): boolean {
    for (let at = 0; at < bytes.length; at += this.#piece) if (!each(at, bytes.subarray(at, at + this.#piece))) return false;
    return true;
  }

  #readPart(offset: number, into: Uint8Array): boolean {
    const reply = this.#ask('DMA_READ', offset, into.length, NONE);
    if (reply === undefined) return false;
    into.set(reply);
    return true;
  }

  #writePart(offset: number, from: Uint8Array): boolean {
    return this.#ask('DMA_WRITE', offset, from.length, from) !== undefined;
  }

  /** The reply's data, where it is of this access. */
  #ask(name: 'DMA_READ' | 'DMA_WRITE', offset: number, length: number, data: Uint8Array): Uint8Array | undefined {
    const iova = this.#iova + BigInt(offset);
    const reply = this.#link.ask({ name, iova, count: BigInt(length), data });
    if (reply === undefined) return undefined;
    if (reply.name === name && reply.iova === iova && reply.count === BigInt(length)) return reply.data;
    this.#link.end(`a reply to ${name} of other bytes than were asked for`);
    return undefined;
  }
}
