/** What events tell, without what JSON has no words for. */

export type Plain = string | number | boolean | null | readonly Plain[] | { readonly [name: string]: Plain };

/**
 * Of a value what can be written down: a bigint as hex digits behind 0x, bytes as hex digits, other typed arrays as lists. Undefined where there is
 * nothing to write: of a function, say.
 */
export function plain(value: unknown): Plain | undefined {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return value;
    case 'number':
      return Number.isFinite(value) ? value : String(value);
    case 'bigint':
      return value < 0n ? `-0x${(-value).toString(16)}` : `0x${value.toString(16)}`;
    case 'object':
      return value === null ? null : plainObject(value);
    case 'undefined':
    case 'function':
    case 'symbol':
      return undefined;
  }
}

/** The fields of an object that can be written down. */
export function plainFields(value: object): Readonly<Record<string, Plain>> {
  const out: Record<string, Plain> = {};
  for (const [name, field] of Object.entries<unknown>({ ...value })) {
    const is = plain(field);
    if (is !== undefined) out[name] = is;
  }
  return out;
}

function plainObject(value: object): Plain {
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex');
  if (value instanceof Error) return value.message;
  if (Symbol.iterator in value) return Array.from(listed(value), (each) => plain(each) ?? null);
  return plainFields(value);
}

/** Typed arrays, maps and sets are iterable, too. */
function listed(value: object): Iterable<unknown> {
  const list: unknown[] = [];
  if (isIterable(value)) for (const each of value) list.push(each);
  return list;
}

function isIterable(value: object): value is Iterable<unknown> {
  return Symbol.iterator in value;
}
