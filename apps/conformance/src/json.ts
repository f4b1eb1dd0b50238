/** Reading recordings: JSON lines, field by field, with an error that names file and line. */
import { isJsonList, isJsonObject, type Json } from '@vsim/vfio-pci';

export { isJsonList as isList, isJsonObject as isObject, type Json };

/** The most bytes that one step has: recordings stay far below, and a number alone must not take memory. */
export const MOST_BYTES = 0x100_0000;


/** A recording that cannot be read. `message` is one line and names the file and, where it is known, the line. */
export class MalformedRecording extends Error {
  override readonly name = 'MalformedRecording';

  constructor(path: string, line: number | undefined, what: string) {
    super(line === undefined ? `${path}: ${what}` : `${path}:${line}: ${what}`);
  }
}

/** One JSON object of a recording. A getter throws MalformedRecording for a field that is missing or of the wrong kind. */
export class Fields {
  readonly path: string;
  readonly line: number;
  readonly #object: Readonly<Record<string, Json>>;

  constructor(path: string, line: number, object: Readonly<Record<string, Json>>) {
    this.path = path;
    this.line = line;
    this.#object = object;
  }

  has(key: string): boolean {
    return Object.hasOwn(this.#object, key);
  }

  get value(): Json {
    return this.#object;
  }

  get keys(): readonly string[] {
    return Object.keys(this.#object);
  }

  raw(key: string): Json | undefined {
    return this.has(key) ? this.#object[key] : undefined;
  }

  string(key: string): string {
    const value = this.raw(key);
    return typeof value === 'string' ? value : this.fail(key, 'a string');
  }

  /** A number: a JSON number, or a string of hex with 0x (exact below 2^53). */
  number(key: string): number {
    const value = this.raw(key);
    if (typeof value === 'number') return value;
    const wide = this.bigint(key);
    return wide <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(wide) : this.fail(key, 'a number below 2^53');
  }

  /** A whole number from 0 to `most`: what takes memory or time. */
  count(key: string, most: number = MOST_BYTES): number {
    const value = this.number(key);
    return Number.isInteger(value) && value >= 0 && value <= most ? value : this.fail(key, `a whole number up to ${most}`);
  }

  /** A number of 64 bits: a JSON number, or a string of hex with 0x. */
  bigint(key: string): bigint {
    const value = this.raw(key);
    if (typeof value === 'number' && Number.isSafeInteger(value)) return BigInt(value);
    if (typeof value === 'string' && /^-?(0x[0-9a-f]+|[0-9]+)$/i.test(value)) {
      return value.startsWith('-') ? -BigInt(value.slice(1)) : BigInt(value);
    }
    return this.fail(key, 'a number or hex with 0x');
  }

  boolean(key: string): boolean {
    const value = this.raw(key);
    return typeof value === 'boolean' ? value : this.fail(key, 'true or false');
  }

  /** Bytes as hex. */
  bytes(key: string): Uint8Array {
    const text = this.string(key);
    return fromHex(text) ?? this.fail(key, 'an even number of hex digits');
  }

  list(key: string): readonly Json[] {
    const value = this.raw(key);
    return Array.isArray(value) ? (value as readonly Json[]) : this.fail(key, 'a list');
  }

  /** A nested object. */
  object(key: string): Fields {
    return this.nest(key, this.raw(key));
  }

  /** A list of objects. */
  objects(key: string): readonly Fields[] {
    return this.list(key).map((value, i) => this.nest(`${key}[${i}]`, value));
  }

  /** Throws MalformedRecording for this line. */
  fail(key: string, expected: string): never {
    throw new MalformedRecording(this.path, this.line, `"${key}": expected ${expected}`);
  }

  private nest(key: string, value: Json | undefined): Fields {
    if (!isJsonObject(value)) return this.fail(key, 'an object');
    return new Fields(this.path, this.line, value);
  }
}

/** Bytes of a hex string; undefined if it is none. */
export function fromHex(text: string): Uint8Array | undefined {
  if (text.length % 2 !== 0 || !/^[0-9a-f]*$/i.test(text)) return undefined;
  const out = new Uint8Array(text.length / 2);
  for (let i = 0; i < out.length; i += 1) out[i] = Number.parseInt(text.slice(2 * i, 2 * i + 2), 16);
  return out;
}

export function toHex(bytes: Uint8Array): string {
  let out = '';
  for (const byte of bytes) out += byte.toString(16).padStart(2, '0');
  return out;
}

/** The objects of a JSON-lines text; empty lines are passed over. @throws MalformedRecording */
export function parseLines(path: string, text: string): Fields[] {
  const out: Fields[] = [];
  text.split('\n').forEach((source, i) => {
    if (source.trim() === '') return;
    let value: Json;
    try {
      value = JSON.parse(source) as Json;
    } catch {
      throw new MalformedRecording(path, i + 1, 'not a line of JSON');
    }
    if (!isJsonObject(value)) throw new MalformedRecording(path, i + 1, 'expected a JSON object');
    out.push(new Fields(path, i + 1, value));
  });
  return out;
}
