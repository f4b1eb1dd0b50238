/** Command line options, read with one line of complaint for what is wrong with them. */
import { parseArgs } from 'node:util';
import { UsageError } from './io.ts';

/** The options of a call: each takes a value (`string`) or none (`boolean`). No positionals. @throws UsageError */
export class Options {
  readonly #values: Readonly<Record<string, string | boolean | (string | boolean)[] | undefined>>;

  constructor(args: readonly string[], options: Readonly<Record<string, 'string' | 'boolean'>>) {
    try {
      const types = Object.fromEntries(Object.entries(options).map(([name, type]) => [name, { type }]));
      this.#values = parseArgs({ args: [...args], options: types }).values;
    } catch (error) {
      throw new UsageError(error instanceof Error ? error.message.split('\n', 1)[0]! : 'bad arguments');
    }
  }

  flag(name: string): boolean {
    return this.#values[name] === true;
  }

  text(name: string): string | undefined {
    const value = this.#values[name];
    return typeof value === 'string' ? value : undefined;
  }

  /** One of some words. */
  choice<T extends string>(name: string, words: readonly T[], otherwise: T): T;
  choice<T extends string>(name: string, words: readonly T[]): T | undefined;
  choice<T extends string>(name: string, words: readonly T[], otherwise?: T): T | undefined {
    const text = this.text(name);
    if (text === undefined) return otherwise;
    return oneOf(`--${name}`, text, words);
  }

  /** A whole number in [min, max]. */
  number(name: string, min: number, max: number, otherwise: number): number {
    const text = this.text(name);
    if (text === undefined) return otherwise;
    const value = /^[0-9]+$/.test(text) ? Number(text) : Number.NaN;
    if (!(value >= min && value <= max)) throw new UsageError(`--${name}: expected a whole number from ${min} to ${max}, got ${text}`);
    return value;
  }
}

/** @throws UsageError that lists the words */
export function oneOf<T extends string>(what: string, text: string, words: readonly T[]): T {
  const word = words.find((candidate) => candidate === text);
  if (word === undefined) throw new UsageError(`${what}: expected one of ${words.join(', ')}, got ${text}`);
  return word;
}
