/** Guest memory on its way: pages in a message, runs of zero pages by their numbers alone. */
import { StreamError, type Memory } from '@vsim/vfio-core';

export const PAGE = 4096;

const ZERO_FLAG = 0x8000_0000;

/**
 * Packs pages, given by their frame numbers. A page is a u32, its frame, and its bytes; pages of zeros that follow one another are two: the first frame with
 * bit 31 set, and how many.
 */
export function packPages(memory: Memory, frames: readonly number[]): Uint8Array {
  // Most pages are zeros: room for a few, doubled when it is used up.
  let out = new Uint8Array(16 * PAGE);
  let words = new DataView(out.buffer);
  const zeros = new ZeroPages(memory);
  let at = 0;
  for (let n = 0; n < frames.length; ) {
    const frame = frames[n]!;
    if (at + 4 + PAGE > out.length) {
      const grown = new Uint8Array(2 * out.length);
      grown.set(out);
      out = grown;
      words = new DataView(out.buffer);
    }
    let run = 0;
    while (n + run < frames.length && frames[n + run] === frame + run && zeros.has(frame + run)) run += 1;
    if (run > 0) {
      words.setUint32(at, (frame | ZERO_FLAG) >>> 0, true);
      words.setUint32(at + 4, run, true);
      at += 8;
      n += run;
    } else {
      words.setUint32(at, frame, true);
      out.set(zeros.page, at + 4);
      at += 4 + PAGE;
      n += 1;
    }
  }
  return out.slice(0, at);
}

/** Looks for pages of zeros, one after another. Most of a guest's memory is never touched, and not looked at. */
class ZeroPages {
  /** The page that was looked at last, where it is not zeros. */
  readonly page: Uint8Array = new Uint8Array(PAGE);
  readonly #words = new Uint32Array(this.page.buffer);
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
    this.#memory.readBytes(frame * PAGE, this.page);
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
