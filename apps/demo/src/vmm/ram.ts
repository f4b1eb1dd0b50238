/** Guest memory on its way: pages in a message, zero pages by their number alone. */
import { StreamError, type Memory } from '@vsim/vfio-core';

export const PAGE = 4096;

const ZERO_FLAG = 0x8000_0000;

/** Packs pages, given by their frame numbers: a u32 each, bit 31 for a page of zeros, else followed by its bytes. */
export function packPages(memory: Memory, frames: readonly number[]): Uint8Array {
  // Most pages are zeros: room for a few, doubled when it is used up.
  let out = new Uint8Array(frames.length * 4 + 16 * PAGE);
  let words = new DataView(out.buffer);
  const zeros = new ZeroPages(memory);
  let at = 0;
  for (const frame of frames) {
    const zero = zeros.has(frame);
    if (at + 4 + PAGE > out.length) {
      const grown = new Uint8Array(2 * out.length);
      grown.set(out);
      out = grown;
      words = new DataView(out.buffer);
    }
    words.setUint32(at, zero ? (frame | ZERO_FLAG) >>> 0 : frame, true);
    at += 4;
    if (zero) continue;
    out.set(zeros.page, at);
    at += PAGE;
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

/** Where a page goes, and what is in it; undefined is zeros. */
export interface Page {
  readonly frame: number;
  readonly bytes: Uint8Array | undefined;
}

/** @throws StreamError if the message is cut or names a page outside of guest memory */
export function unpackPages(memory: Memory, message: Uint8Array): Page[] {
  const view = new DataView(message.buffer, message.byteOffset, message.byteLength);
  const pages: Page[] = [];
  for (let at = 0; at < message.length; ) {
    if (at + 4 > message.length) throw new StreamError('ram: cut inside a page');
    const word = view.getUint32(at, true);
    const frame = word % ZERO_FLAG;
    at += 4;
    if (!memory.accessible(frame * PAGE, PAGE, true)) throw new StreamError(`ram: page 0x${frame.toString(16)} is not the guest's`);
    if (word >= ZERO_FLAG) {
      pages.push({ frame, bytes: undefined });
      continue;
    }
    if (at + PAGE > message.length) throw new StreamError('ram: cut inside a page');
    pages.push({ frame, bytes: message.subarray(at, at + PAGE) });
    at += PAGE;
  }
  return pages;
}

/** Writes unpacked pages. One of zeros is left alone where there are zeros. */
export function storePages(memory: Memory, pages: readonly Page[]): void {
  const zeros = new Uint8Array(PAGE);
  const known = new ZeroPages(memory);
  for (const { frame, bytes } of pages) {
    if (bytes === undefined && known.has(frame)) continue;
    memory.writeBytes(frame * PAGE, bytes ?? zeros);
    known.forget();
  }
}
