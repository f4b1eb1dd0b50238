/** Rows of bytes, as `lspci -x` prints them. */
import { PCI_CFG_SPACE_EXP_SIZE, PCI_CFG_SPACE_SIZE, PCI_STD_HEADER_SIZEOF } from '@vsim/vfio-pci';

const ROW_BYTES = 16;
/** Largest first: what is cut is cut to one of them. */
const SIZES: readonly number[] = [PCI_CFG_SPACE_EXP_SIZE, PCI_CFG_SPACE_SIZE, 128, PCI_STD_HEADER_SIZEOF];
const COLON = 58;
const SPACE = 32;

/** The largest whole size that so many bytes, `length`, have; undefined: not even the smallest. */
export function wholeSize(length: number): number | undefined {
  return SIZES.find((size) => size <= length);
}

/** Where a line's bytes begin: behind `00: ` to `ff0: `; 0: it is no row of bytes. */
export function rowStart(text: string): number {
  const colon = text.charCodeAt(2) === COLON ? 2 : text.charCodeAt(3) === COLON ? 3 : 0;
  if (colon === 0) return 0;
  for (let at = 0; at < colon; at++) if (digit(text.charCodeAt(at)) < 0) return 0;
  if (colon + 1 === text.length) return 0;
  if (text.charCodeAt(colon + 1) !== SPACE) return 0;
  if (digit(text.charCodeAt(colon + 2)) < 0 || digit(text.charCodeAt(colon + 3)) < 0) return 0;
  const behind = text.charCodeAt(colon + 4);
  return behind === SPACE || colon + 4 >= text.length ? colon + 2 : 0;
}

/** Bytes of one device, row by row. */
export class Rows {
  readonly #bytes = new Uint8Array(PCI_CFG_SPACE_EXP_SIZE);
  #length = 0;
  #wrong = false;
  #lastLine = 0;

  /** Takes a row, whose bytes begin at index `start`, of a `line`, from 1; why it cannot be used, if it cannot: then no later one is. */
  add(text: string, start: number, line: number): string | undefined {
    if (this.#wrong) return undefined;
    this.#lastLine = line;
    let at = 0;
    for (let place = 0; place < start - 2; place++) at = at * 16 + digit(text.charCodeAt(place));
    if (at !== this.#length) return this.#refuse(`expected the row at ${hex(this.#length)}, got ${hex(at)}`);
    let place = start;
    let count = 0;
    const bytes = this.#bytes;
    for (; count < ROW_BYTES && place < text.length; count++) {
      const high = digit(text.charCodeAt(place));
      const low = digit(text.charCodeAt(place + 1));
      if (high < 0 || low < 0 || (place + 2 < text.length && text.charCodeAt(place + 2) !== SPACE)) break;
      bytes[at + count] = high * 16 + low;
      place += 3;
    }
    if (count < ROW_BYTES) return this.#refuse(`expected ${ROW_BYTES} bytes, got ${count}${place < text.length ? ` and "${text.slice(place, place + 12)}"` : ''}`);
    this.#length = at + ROW_BYTES;
    return undefined;
  }

  /** All that can be used, undefined if that is less than the smallest; with the line and the reason where rows are left over. */
  finish(): { bytes: Uint8Array | undefined; line: number; why: string | undefined } {
    const length = this.#length;
    const size = wholeSize(length);
    const why = this.#wrong || size === length ? undefined : `ends after ${length} bytes, expected ${[...SIZES].reverse().join(', ')}`;
    return { bytes: size === undefined ? undefined : this.#bytes.slice(0, size), line: this.#lastLine, why };
  }

  #refuse(why: string): string {
    this.#wrong = true;
    return why;
  }
}

/** Values of hexadecimal digits by their codes; -1: none. */
const DIGITS: Int8Array = Int8Array.from({ length: 128 }, (_, code) => '0123456789abcdef'.indexOf(String.fromCharCode(code).toLowerCase()));

function digit(code: number): number {
  return code < DIGITS.length ? DIGITS[code]! : -1;
}

function hex(value: number): string {
  return value.toString(16).padStart(2, '0');
}
