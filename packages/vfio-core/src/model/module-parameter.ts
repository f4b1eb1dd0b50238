/** Module parameters in sysfs, as kernel/params.c reads and shows them. */
import type { Host } from '../host/host.ts';
import { constant } from '../host/scheduler.ts';
import { BAD_VALUE } from './model-reasons.ts';

/** A `bool` parameter: shown as Y or N; a write of what is none is -EINVAL. Without `write` it is only set when the module is loaded. */
export function addBoolParameter(host: Host, module: string, name: string, read: () => boolean, write?: (on: boolean) => void): void {
  const path = `/sys/module/${module}/parameters/${name}`;
  const show = (): string => (read() ? 'Y\n' : 'N\n');
  if (write === undefined) {
    host.files.constant(path, show);
    return;
  }
  host.files.add(path, {
    kind: 'attribute',
    mode: 0o644,
    show: () => constant(show()),
    store: (bytes) => {
      const text = new TextDecoder().decode(bytes);
      const on = parseBool(text);
      if (on === undefined) return constant(host.refusals.refuse(BAD_VALUE, { attribute: name, text, wants: 'Y or N' }));
      write(on);
      return constant(bytes.length);
    },
  });
}

/** A `uint` parameter, shown in decimal; a write of what is none, or passes 32 bits, is -EINVAL. */
export function addUintParameter(host: Host, module: string, name: string, read: () => number, write: (value: number) => void): void {
  host.files.add(`/sys/module/${module}/parameters/${name}`, {
    kind: 'attribute',
    mode: 0o644,
    show: () => constant(`${read()}\n`),
    store: (bytes) => {
      const text = new TextDecoder().decode(bytes);
      const value = parseUint(text);
      if (value === undefined) return constant(host.refusals.refuse(BAD_VALUE, { attribute: name, text, wants: 'a number of 32 bits' }));
      write(value);
      return constant(bytes.length);
    },
  });
}

/** kstrtobool(): its first letter decides, and for `o` the second; undefined if it is none. */
export function parseBool(value: string): boolean | undefined {
  const word = value.toLowerCase();
  if (/^[1yt]/.test(word) || word.startsWith('on')) return true;
  if (/^[0nf]/.test(word) || word.startsWith('of')) return false;
  return undefined;
}

/** kstrtouint(): as parseUnsigned() of 32 bits; undefined if it is none. */
export function parseUint(value: string): number | undefined {
  const number = parseUnsigned(value, 32);
  return number === undefined ? undefined : Number(number);
}

/**
 * kstrtoull() and its kind with base 0: decimal, 0x hexadecimal or 0 octal, with one trailing newline; undefined if it is none or passes so
 * many bits.
 *
 * @param bits how many it may have, such as 32 or 64
 */
export function parseUnsigned(value: string, bits: number): bigint | undefined {
  const digits = /^\+?(0x[0-9a-f]+|0[0-7]*|[1-9][0-9]*)\n?$/i.exec(value)?.[1];
  if (digits === undefined) return undefined;
  const number = BigInt(/^0[0-7]/.test(digits) ? `0o${digits}` : digits);
  return number < 1n << BigInt(bits) ? number : undefined;
}
