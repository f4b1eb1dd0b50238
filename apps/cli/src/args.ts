/** Parsers of what stands behind an option: their complaint becomes the command's one line. */
import { InvalidArgumentError } from 'commander';

/** A whole number in [min, max]. */
export function wholeNumber(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = /^[0-9]+$/.test(text) ? Number(text) : Number.NaN;
    if (!(value >= min && value <= max)) throw new InvalidArgumentError(`Expected a whole number from ${min} to ${max}.`);
    return value;
  };
}

/** Names of a list with commas between them, an even number of them. */
export function pairsOf<T extends string>(words: readonly T[]): (text: string) => readonly T[] {
  return (text) => {
    const names = text.split(',').map((name) => words.find((word) => word === name));
    const known = names.filter((name) => name !== undefined);
    if (known.length < names.length) throw new InvalidArgumentError(`Expected one of ${words.join(', ')}.`);
    if (names.length % 2 !== 0) throw new InvalidArgumentError('Expected two phases, or more pairs of them.');
    return known;
  };
}
