/** Guest memory on its way: pages in a message, runs of zero pages by their numbers alone. */
import { StreamError, type Memory } from '@vsim/vfio-core';

export const PAGE = 4096;

const ZERO_FLAG = 0x8000_0000;

/**
 * Packs pages, given by their frame numbers. A page is a u32, its frame, and its bytes; pages of zeros that follow one another are two: the first frame with
 * bit 31 set, and how many.
 */
export function packPages(memory: Memory, frames: readonly number[]): Uint8Array {
  const parts: { readonly frame: number; readonly zeros: number }[] = [];
  const known = new ZeroPages(memory);
  for (let n = 0; n < frames.length; ) {
    const frame = frames[n]!;
    let zeros = 0;
    while (n + zeros < frames.length && frames[n + zeros] === frame + zeros && known.has(frame + zeros)) zeros += 1;
    parts.push({ frame, zeros });
    n += Math.max(zeros, 1);
  }
  const out = new Uint8Array(parts.reduce((sum, { zeros }) => sum + (zeros > 0 ? 8 : 4 + PAGE), 0));
  const words = new DataView(out.buffer);
  let at = 0;
  for (const { frame, zeros } of parts) {
    if (zeros > 0) {
      words.setUint32(at, (frame | ZERO_FLAG) >>> 0, true);
      words.setUint32(at + 4, zeros, true);
      at += 8;
    } else {
      words.setUint32(at, frame, true);
      memory.readBytes(frame * PAGE, out.subarray(at + 4, at + 4 + PAGE));
      at += 4 + PAGE;
    }
  }
  return out;
}

/** Looks for pages of zeros, one after another. Most of a guest's memory is never touched, and not looked at. */
class ZeroPages {
  readonly #page = new Uint8Array(PAGE);
  readonly #words = new Uint32Array(this.#page.buffer);
  readonly #memory: Memory;
  /** The frames from one on, up to another, that nobody ever wrote. */
  #first = 0;
  #end = 0;

  constructor(memory: Memory) {
    this.#memory = memory;
  }

  has(frame: number): boolean {
    if (frame >= this.#first && frame < this.#end) return true;
    const pages = Math.floor((this.#memory.untouched?.(frame * PAGE) ?? 0) / PAGE);
    if (pages > 0) {
      this.#first = frame;
      this.#end = frame + pages;
      return true;
    }
    this.#memory.readBytes(frame * PAGE, this.#page);
    return isZero(this.#words);
  }

  /** Memory is written: it may be seen at other frames too. */
  forget(): void {
    this.#end = this.#first;
  }
}

/** Whether a page's words are all zero. */
function isZero(words: Uint32Array): boolean {
  for (let i = 0; i < words.length; i += 4) {
    if ((words[i]! | words[i + 1]! | words[i + 2]! | words[i + 3]!) !== 0) return false;
  }
  return true;
}

/** Nothing is stored. @throws StreamError if the message is cut or names a page outside of guest memory */
export function checkPages(memory: Memory, message: Uint8Array): void {
  eachRun(message, (frame, count) => {
    if (count === 0 || !memory.accessible(frame * PAGE, count * PAGE, true)) throw new StreamError(`ram: page 0x${frame.toString(16)} is not the guest's`);
  });
}

/** Stores the pages of a message that was checked. One of zeros is left alone where there are zeros. */
export function storePages(memory: Memory, message: Uint8Array): void {
  const zeros = new Uint8Array(PAGE);
  const known = new ZeroPages(memory);
  eachRun(message, (frame, count, at) => {
    for (let page = frame; page < frame + count; page += 1) {
      if (at < 0 && known.has(page)) continue;
      memory.writeBytes(page * PAGE, at < 0 ? zeros : message.subarray(at, at + PAGE));
      known.forget();
    }
  });
}

/** Visits a message: a page with where its bytes are, or a run of pages of zeros, with -1. @throws StreamError if it is cut */
function eachRun(message: Uint8Array, visit: (frame: number, count: number, at: number) => void): void {
  const view = new DataView(message.buffer, message.byteOffset, message.byteLength);
  for (let at = 0; at < message.length; ) {
    if (at + 8 > message.length) throw new StreamError('ram: cut inside a page');
    const word = view.getUint32(at, true);
    const zeros = word >= ZERO_FLAG;
    const bytes = zeros ? 8 : 4 + PAGE;
    if (at + bytes > message.length) throw new StreamError('ram: cut inside a page');
    visit(word % ZERO_FLAG, zeros ? view.getUint32(at + 4, true) : 1, zeros ? -1 : at + 4);
    at += bytes;
  }
}
