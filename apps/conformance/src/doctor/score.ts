/** Holds what a doctor says of a text against what the kernel made of the machine. */
import { groupsAmong, type FieldMachine } from './field-machines.ts';
import { blocksOf } from './lspci-blocks.ts';

/** What a doctor says of the functions of a text. Each is in one of the three. */
export interface Said {
  /** Groups that it states: members that are in the text. */
  readonly groups: readonly (readonly string[])[];
  /** Functions that it says are in no group. */
  readonly ungrouped: readonly string[];
  /** Functions of which it says that the text cannot tell. */
  readonly cannotTell: readonly string[];
}

/** How much of a text's functions a doctor tells. */
export interface Score {
  /** Functions of which the kernel's group is known. */
  readonly functions: number;
  /** Stated, and so it was. */
  readonly known: number;
  /** Left open. */
  readonly open: number;
  /** Stated, and it was not so; or left out of all three, or in two of them. A line each. */
  readonly wrong: readonly string[];
}

/** Nothing yet. */
export const NO_SCORE: Score = { functions: 0, known: 0, open: 0, wrong: [] };

/** Both together. */
export function sum(a: Score, b: Score): Score {
  return { functions: a.functions + b.functions, known: a.known + b.known, open: a.open + b.open, wrong: [...a.wrong, ...b.wrong] };
}

/** Compares for each function of the text whose group is known. Functions of unknown groups are left out of both sides. */
export function score(text: string, truth: FieldMachine['truth'], said: Said): Score {
  const judged = new Set(blocksOf(text).map(({ address }) => address).filter((address) => truth.has(address)));
  const kernel = new Map(groupsAmong(truth, judged).flatMap((members) => members.map((address) => [address, members.join(' ')])));
  const stated = new Map<string, string>();
  const wrong: string[] = [];
  let [known, open] = [0, 0];
  for (const members of said.groups) {
    const there = members.filter((address) => judged.has(address)).sort();
    for (const address of there) {
      if (stated.has(address)) wrong.push(`${address} is in two groups`);
      stated.set(address, there.join(' '));
    }
  }
  const [ungrouped, cannotTell] = [new Set(said.ungrouped), new Set(said.cannotTell)];
  for (const address of judged) {
    const claims = [stated.has(address), ungrouped.has(address), cannotTell.has(address)].filter(Boolean).length;
    if (claims !== 1) wrong.push(`${address} is said ${claims} times`);
    else if (cannotTell.has(address)) open += 1;
    else if (stated.get(address) === kernel.get(address)) known += 1;
    else wrong.push(`${address} is stated ${stated.get(address) ?? 'in none'}: it was ${kernel.get(address) ?? 'in none'}`);
  }
  return { functions: judged.size, known, open, wrong };
}
