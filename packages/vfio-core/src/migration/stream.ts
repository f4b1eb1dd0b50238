/**
 * A migration stream: sections with a name, a version, a length and a checksum. A load reads and checks the whole stream before anything is
 * applied, and every section must be consumed.
 *
 * Layout, little-endian: "VSIMMIG1", then for each section u16 name length, name (UTF-8), u16 version, u32 data length, data, u32 CRC-32 of
 * all of the section before it; a section with an empty name ends the stream.
 */

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const MAGIC = encoder.encode('VSIMMIG1');
const FIXED = 10; // version, length and checksum

/** One part of the state, of one participant. */
export interface Section {
  /** Who takes it, by name; not empty, at most 65535 bytes as UTF-8. */
  readonly name: string;
  /** Of its layout, 16 bits. */
  readonly version: number;
  /** Its bytes, up to 2^32 - 1. */
  readonly data: Uint8Array;
}

/** What ends a stream. */
const END: Section = { name: '', version: 0, data: new Uint8Array(0) };

/** A stream that cannot be loaded: nothing of it has been applied. */
export class StreamError extends Error {
  /** Always `StreamError`. */
  override readonly name = 'StreamError';
}

/** Puts sections together to a stream, and ends it. */
export function encodeStream(sections: readonly Section[]): Uint8Array {
  const all = [...sections, END];
  const names = all.map(({ name }) => encoder.encode(name));
  const size = all.reduce((sum, { data }, n) => sum + 2 + names[n]!.length + FIXED + data.length, MAGIC.length);
  const out = new Uint8Array(size);
  const view = new DataView(out.buffer);
  out.set(MAGIC);
  let at = MAGIC.length;
  all.forEach(({ version, data }, n) => {
    const start = at;
    const name = names[n]!;
    view.setUint16(at, name.length, true);
    out.set(name, at + 2);
    at += 2 + name.length;
    view.setUint16(at, version, true);
    view.setUint32(at + 2, data.length, true);
    out.set(data, at + 6);
    at += 6 + data.length;
    view.setUint32(at, crc32(out.subarray(start, at)), true);
    at += 4;
  });
  return out;
}

/** Takes a stream apart: data are views of its bytes. @throws StreamError if it is cut, padded or corrupted */
export function decodeStream(bytes: Uint8Array): Section[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const need = (at: number, length: number): void => {
    if (at + length > bytes.length) throw new StreamError(`stream ends at ${bytes.length}, inside a section`);
  };
  if (MAGIC.some((byte, i) => bytes[i] !== byte)) throw new StreamError('not a vsim migration stream');
  const sections: Section[] = [];
  for (let at = MAGIC.length; ; ) {
    const start = at;
    need(at, 2);
    const nameLength = view.getUint16(at, true);
    need(at + 2, nameLength + FIXED);
    const name = decoder.decode(bytes.subarray(at + 2, at + 2 + nameLength));
    at += 2 + nameLength;
    const version = view.getUint16(at, true);
    const length = view.getUint32(at + 2, true);
    at += 6;
    need(at, length + 4);
    const data = bytes.subarray(at, at + length);
    at += length;
    const good = crc32(bytes.subarray(start, at)) === view.getUint32(at, true);
    if (!good) throw new StreamError(`section ${name === '' ? 'end' : name}: checksum does not match`);
    at += 4;
    if (name === '') {
      if (at !== bytes.length) throw new StreamError(`${bytes.length - at} bytes after the end of the stream`);
      return sections;
    }
    sections.push({ name, version, data });
  }
}

/** The sections of a stream, handed out by name; done() demands that none is left. */
export class SectionReader {
  readonly #left: Section[];

  /** @param sections what decodeStream() gave */
  constructor(sections: readonly Section[]) {
    this.#left = [...sections];
  }

  /** Hands out a section, once. @param version the one that the caller reads @throws StreamError if it is missing or has another version */
  take(name: string, version: number): Uint8Array {
    const at = this.#left.findIndex((section) => section.name === name);
    const section = this.#left[at];
    if (section === undefined) throw new StreamError(`section ${name}: missing`);
    if (section.version !== version) throw new StreamError(`section ${name}: expected version ${version}, got ${section.version}`);
    this.#left.splice(at, 1);
    return section.data;
  }

  /** Demands that every section was taken. @throws StreamError that names the sections nobody took */
  done(): void {
    if (this.#left.length > 0) throw new StreamError(`sections left over: ${this.#left.map(({ name }) => name).join(', ')}`);
  }
}

/** At 256 * n + b: what byte b does to the checksum n bytes later. */
const CRC_TABLES: Int32Array = (() => {
  const tables = new Int32Array(8 * 256);
  for (let b = 0; b < 256; b += 1) {
    let c = b;
    for (let bit = 0; bit < 8; bit += 1) c = (c & 1) !== 0 ? 0xedb8_8320 ^ (c >>> 1) : c >>> 1;
    tables[b] = c;
  }
  for (let i = 256; i < tables.length; i += 1) {
    const before = tables[i - 256]!;
    tables[i] = tables[before & 0xff]! ^ (before >>> 8);
  }
  return tables;
})();

/** CRC-32 as in IEEE 802.3, eight bytes at a time. */
export function crc32(bytes: Uint8Array): number {
  const t = CRC_TABLES;
  let crc = ~0;
  let at = 0;
  for (; at + 8 <= bytes.length; at += 8) {
    crc =
      t[0x700 + ((crc ^ bytes[at]!) & 0xff)]! ^
      t[0x600 + (((crc >>> 8) ^ bytes[at + 1]!) & 0xff)]! ^
      t[0x500 + (((crc >>> 16) ^ bytes[at + 2]!) & 0xff)]! ^
      t[0x400 + ((crc >>> 24) ^ bytes[at + 3]!)]! ^
      t[0x300 + bytes[at + 4]!]! ^
      t[0x200 + bytes[at + 5]!]! ^
      t[0x100 + bytes[at + 6]!]! ^
      t[bytes[at + 7]!]!;
  }
  for (; at < bytes.length; at += 1) crc = t[(crc ^ bytes[at]!) & 0xff]! ^ (crc >>> 8);
  return ~crc >>> 0;
}
