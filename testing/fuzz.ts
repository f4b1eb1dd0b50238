/**
 * A fuzzer's runner. A door is a place where input from outside comes in: it has a name, a generator of inputs, and an oracle that
 * says what each has to do, without asking the code. Statistics come out. For tests only.
 *
 * A package lists its doors as `DOORS` in test/doors.ts. `hold(door)` is a test of one; `npm run soak -- NAME` runs one for long.
 */
import { Random } from '../packages/vfio-core/src/host/random.ts';
import { RUNS, SEED } from './random.ts';

/** How far an input came: refused by the first check, past it and refused later, or done. */
export type Depth = 'refused' | 'past' | 'succeeded';

/** One program: a world of its own, and inputs that come in one after another. */
export interface World<I> {
  generate(random: Random): I;
  /** Gives an input to the code. @throws if the answer, or what it left behind, is not the oracle's */
  check(input: I): Depth;
  /** The end of the program. @throws if anything is left over */
  end?(): void;
  /** What it has counted, by name: figures that the door reports. */
  readonly counts?: ReadonlyMap<string, number>;
}

/** What a door has to say of a run beside the figures that all have. */
export interface Report {
  readonly lines: readonly string[];
  /** What the run had to show, and did not. */
  readonly unmet: readonly string[];
}

export interface Door<I = unknown> {
  readonly name: string;
  /** Inputs of one program. */
  readonly length: number;
  /** Programs that a test of it runs at most: of a door whose inputs start processes or fill files. `npm run soak` knows no such limit. */
  readonly most?: number;
  open(random: Random): World<I>;
  report?(figures: Figures): Report;
  /** What a run of `npm run soak` has to show besides, and did not: what a test does not ask for, as it depends on the machine. */
  soak?(figures: Figures): readonly string[];
}

export interface Figures {
  readonly door: string;
  /** The seed of the first program; each further one has the next. */
  readonly seed: number;
  inputs: number;
  succeeded: number;
  /** Inputs that the first check let through: those that succeeded, too. */
  past: number;
  failures: number;
  /** The first failure: `seed S input N: what`. */
  first: string | undefined;
  /** What the worlds have counted, added up. */
  readonly counts: Map<string, number>;
}

/** Of a door that reports nothing. */
export const NOTHING: Report = { lines: [], unmet: [] };

/** The least share of inputs that has to come past the first check, so that a fuzzer tests more than that. */
export const PAST = 0.3;

/** Runs programs from `seed` on until `inputs` inputs have come in. A failure ends its program. */
export function fuzz<I>(door: Door<I>, seed: number, inputs: number): Figures {
  const figures: Figures = { door: door.name, seed, inputs: 0, succeeded: 0, past: 0, failures: 0, first: undefined, counts: new Map() };
  for (let at = seed; figures.inputs < inputs; at += 1) {
    const count = Math.min(door.length, inputs - figures.inputs);
    let input = 0;
    let last: unknown = undefined;
    let world: World<I> | undefined;
    try {
      const random = new Random(at);
      world = door.open(random);
      for (; input < count; input += 1) {
        const next = world.generate(random);
        last = next;
        figures.inputs += 1;
        const depth = world.check(next);
        if (depth !== 'refused') figures.past += 1;
        if (depth === 'succeeded') figures.succeeded += 1;
      }
      last = 'the end of the program';
      world.end?.();
    } catch (cause) {
      // A world that cannot be opened has taken no input, but must not be tried for ever.
      if (last === undefined) figures.inputs += 1;
      figures.failures += 1;
      figures.first ??= `seed ${at} input ${input}: ${show(last)}: ${cause instanceof Error ? `${cause.name}: ${cause.message}` : String(cause)}`;
    }
    for (const [name, count] of world?.counts ?? []) figures.counts.set(name, (figures.counts.get(name) ?? 0) + count);
  }
  return figures;
}

/** A door as a test: as many programs as testing/random.ts says, no failure, and enough inputs past the first check. */
export function hold<I>(door: Door<I>, weight = 1): void {
  const figures = fuzz(door, SEED, Math.min(door.most ?? Infinity, Math.max(1, Math.round(RUNS * weight))) * door.length);
  console.log(line(figures));
  const { lines, unmet } = door.report?.(figures) ?? NOTHING;
  for (const one of lines) console.log(`  ${one}`);
  if (figures.failures > 0) throw new Error(line(figures));
  if (unmet.length > 0) throw new Error(`${door.name}: ${unmet.join('; ')}`);
  // A handful says nothing about shares.
  if (figures.inputs >= 200 && figures.past < PAST * figures.inputs) throw new Error(`too few inputs came past the first check: ${line(figures)}`);
}

/** Figures as one line. */
export function line({ door, seed, inputs, succeeded, past, failures, first }: Figures): string {
  const share = inputs === 0 ? 0 : Math.round((100 * past) / inputs);
  const told = first === undefined ? '' : `; first: ${first}`;
  return `${door}: seed ${seed}, ${inputs} inputs, ${succeeded} succeeded, ${past} past the first check (${share} %), ${failures} failures${told}`;
}

/** Throws unless two values print alike: for oracles. */
export function same(what: string, got: unknown, wanted: unknown): void {
  if (show(got) !== show(wanted)) throw new Error(`${what}: expected ${show(wanted)}, got ${show(got)}`);
}

/** One of a few values. */
export function pick<T>(random: Random, values: readonly T[]): T {
  return values[random.below(values.length)]!;
}

/** 64 random bits. */
export function random64(random: Random): bigint {
  return (BigInt(random.uint32()) << 32n) | BigInt(random.uint32());
}

const EDGES: readonly bigint[] = [0n, 32n, 47n, 48n, 52n, 53n, 54n, 55n, 56n, 57n, 62n, 63n, 64n].map((bit) => (bit === 0n ? 0n : 1n << bit));

/** An address of 64 bits near an edge: where a width, a user's half, or the exactness of a number ends. */
export function edgeAddress(random: Random): bigint {
  const near = [0, 1, 2, 4, 8, 0x7f8, 0xff8, 0xfff, 0x1000, 0x1008, 0x2000][random.below(11)]!;
  const edge = pick(random, EDGES);
  return BigInt.asUintN(64, random.below(2) === 0 ? edge - BigInt(near) : edge + BigInt(near));
}

function show(value: unknown): string {
  if (typeof value === 'string') return value;
  const text = JSON.stringify(value, (_key, part: unknown) =>
    typeof part === 'bigint' ? `0x${part.toString(16)}` : part instanceof Uint8Array ? `${part.length} bytes ${[...part.subarray(0, 64)].map((byte) => byte.toString(16).padStart(2, '0')).join('')}` : part,
  ) as string | undefined;
  return text ?? String(value);
}
