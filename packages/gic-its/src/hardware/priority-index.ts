/**
 * A set of LPIs by priority, whose first member is found in a constant number of steps.
 *
 * For each of the 64 priorities that a configuration byte can hold there is a bitmap of three levels over the INTIDs [8192, 65536),
 * made when it is first needed; one mask says which priorities have members. Not architected: an implementation's own index.
 */
import { FIRST_LPI, type Candidate } from './pending-bits.ts';

// V8 folds a module's own constants, but loads what is imported or exported at each use.
const FIRST = FIRST_LPI;

const LEAVES = 1792; //  57,344 INTIDs, 32 to a word
const MIDDLE = LEAVES; // 56 words: which leaves are not empty
const TOP = 1848; //      2 words: which middle words are not empty
const WORDS = 1850;

export class PriorityIndex {
  /** Signed, because masks are: unsigned words would be converted on each access. */
  readonly #levels: (Int32Array | undefined)[] = new Array<Int32Array | undefined>(64).fill(undefined);
  /** Priorities 0x00 to 0x7c and 0x80 to 0xfc that have members. */
  #urgent = 0;
  #others = 0;

  /** Puts an LPI in. @param intid 8192 to 65535 @param priority a multiple of 4 in [0, 0xfc] */
  add(intid: number, priority: number): void {
    const level = priority >>> 2;
    const bits = (this.#levels[level] ??= new Int32Array(WORDS));
    const n = intid - FIRST;
    const leaf = n >>> 5;
    bits[leaf]! |= 1 << (n & 31);
    bits[MIDDLE + (leaf >>> 5)]! |= 1 << (leaf & 31);
    bits[TOP + (leaf >>> 10)]! |= 1 << ((leaf >>> 5) & 31);
    if (level < 32) this.#urgent |= 1 << level;
    else this.#others |= 1 << (level - 32);
  }

  /** Takes out what add() put in with the same priority. @param intid 8192 to 65535 @param priority a multiple of 4 in [0, 0xfc] */
  remove(intid: number, priority: number): void {
    const level = priority >>> 2;
    const bits = this.#levels[level];
    if (bits === undefined) return;
    const n = intid - FIRST;
    const leaf = n >>> 5;
    if ((bits[leaf]! &= ~(1 << (n & 31))) !== 0) return;
    if ((bits[MIDDLE + (leaf >>> 5)]! &= ~(1 << (leaf & 31))) !== 0) return;
    bits[TOP + (leaf >>> 10)]! &= ~(1 << ((leaf >>> 5) & 31));
    if ((bits[TOP]! | bits[TOP + 1]!) !== 0) return;
    if (level < 32) this.#urgent &= ~(1 << level);
    else this.#others &= ~(1 << (level - 32));
  }

  clear(): void {
    for (const bits of this.#levels) bits?.fill(0);
    this.#urgent = 0;
    this.#others = 0;
  }

  get empty(): boolean {
    return (this.#urgent | this.#others) === 0;
  }

  /** Takes the lowest INTID of the best priority out: there is one. */
  takeFirst(into: Candidate): void {
    const level = this.#urgent !== 0 ? lowest(this.#urgent) : 32 + lowest(this.#others);
    const bits = this.#levels[level]!;
    const middle = bits[TOP] === 0 ? 32 + lowest(bits[TOP + 1]!) : lowest(bits[TOP]!);
    const leaf = middle * 32 + lowest(bits[MIDDLE + middle]!);
    into.intid = FIRST + leaf * 32 + lowest(bits[leaf]!);
    into.priority = level * 4;
    this.remove(into.intid, into.priority);
  }
}

function lowest(word: number): number {
  return 31 - Math.clz32(word & -word);
}
