/** How sure a fact about a function is, and where it comes from. */

/** Where a fact stands in what was pasted, or by what it is concluded. */
export type FactSource =
  | 'bytes' // its configuration space
  | 'decoded' // a line that lspci decoded of it
  | 'heading' // the line that names it: class, ids
  | 'listing' // a listing of groups
  | 'log' // a message of the kernel
  | 'tree' // a path or a tree of bridges
  | 'sysfs' // a file of sysfs
  | 'name' // its name in words
  | 'rule'; // what must be so, given the rest

/** A fact that can be used. */
export interface Given<T> {
  /** `known`: its own registers say so. `told`: somebody who read them says so. `derived`: it follows by a rule. */
  readonly standing: 'known' | 'told' | 'derived';
  /** What is so. */
  readonly value: T;
  /** Where it comes from. */
  readonly source: FactSource;
}

/** A fact that the text does not have. */
export interface Unknown<T> {
  /** Always `unknown`: what tells it from the other. */
  readonly standing: 'unknown';
  /** What is missing, as a person would say it: `its PCI Express capability`. */
  readonly lacks: string;
  /** What it can be, the one that isolates most first, where the rest of the text leaves few ways; undefined: anything. */
  readonly candidates?: readonly T[] | undefined;
}

/** One fact about a function, or that it is missing. */
export type Fact<T> = Given<T> | Unknown<T>;

/** What the function's own registers say. */
export function known<T>(value: T, source: 'bytes' | 'decoded' | 'heading'): Given<T> {
  return { standing: 'known', value, source };
}

/** What somebody says who could see it. */
export function told<T>(value: T, source: FactSource): Given<T> {
  return { standing: 'told', value, source };
}

/** What follows from the rest. */
export function derived<T>(value: T, source: FactSource): Given<T> {
  return { standing: 'derived', value, source };
}

/** What the text does not have. @param lacks as a person would say it @param candidates what it can be; anything if left out */
export function unknown<T>(lacks: string, candidates?: readonly T[]): Unknown<T> {
  return { standing: 'unknown', lacks, candidates };
}

/** The value of a fact, or what stands for one that is missing. */
export function valueOr<T, U>(fact: Fact<T>, otherwise: U): T | U {
  return fact.standing === 'unknown' ? otherwise : fact.value;
}

/** Whether a fact is missed: one that can be one way alone is not, whether or not the text has it. */
export function isMissed<T>(fact: Fact<T>): fact is Unknown<T> {
  return fact.standing === 'unknown' && fact.candidates?.length !== 1;
}
