/** Queues of the driver's memory, as the controller knows them. Reference: NVM Express Base 1.4, 4.1. */

/** Where completions go. */
export class CompletionQueue {
  /** 0 is the admin queue. */
  readonly id: number;
  /** Address, bits 31:0. */
  readonly lo: number;
  /** Address, bits 63:32. */
  readonly hi: number;
  /** Entries, 2 to 65536. */
  readonly size: number;
  /** Interrupt vector. */
  readonly vector: number;
  /** Whether a completion raises the vector. */
  readonly interrupts: boolean;
  /** The driver's: the first entry that it has not taken. */
  head = 0;
  /** Where the next entry goes. */
  tail = 0;
  /** The phase bit of the next entry. */
  phase = 1;

  constructor(id: number, lo: number, hi: number, size: number, vector: number, interrupts: boolean) {
    this.id = id;
    this.lo = lo;
    this.hi = hi;
    this.size = size;
    this.vector = vector;
    this.interrupts = interrupts;
  }

  /** No entry may be posted before the driver takes one. */
  get isFull(): boolean {
    return this.used === this.size - 1;
  }

  /** Entries that the driver has not taken. */
  get used(): number {
    return this.tail >= this.head ? this.tail - this.head : this.tail + this.size - this.head;
  }

  /** An entry was posted: the next is one further, in the other phase after the last. */
  advance(): void {
    this.tail += 1;
    if (this.tail < this.size) return;
    this.tail = 0;
    this.phase ^= 1;
  }

  /** The driver moves its head. @param to a place of 32 bits @returns false for a place that it cannot have: outside, or past the tail */
  moveHead(to: number): boolean {
    if (to >= this.size) return false;
    const taken = to >= this.head ? to - this.head : to + this.size - this.head;
    if (taken > this.used) return false;
    this.head = to;
    return true;
  }
}

/** Where commands come from. */
export class SubmissionQueue {
  /** 0 is the admin queue. */
  readonly id: number;
  /** Address, bits 31:0. */
  readonly lo: number;
  /** Address, bits 63:32. */
  readonly hi: number;
  /** Entries, 2 to 65536. */
  readonly size: number;
  /** Where its completions go. */
  readonly completions: CompletionQueue;
  /** The first entry that was not fetched. */
  head = 0;
  /** The driver's: where it puts the next. */
  tail = 0;

  constructor(id: number, lo: number, hi: number, size: number, completions: CompletionQueue) {
    this.id = id;
    this.lo = lo;
    this.hi = hi;
    this.size = size;
    this.completions = completions;
  }

  /** Entries that were not fetched. */
  get used(): number {
    return this.tail >= this.head ? this.tail - this.head : this.tail + this.size - this.head;
  }

  /** An entry was fetched. */
  advance(): void {
    this.head = this.head + 1 === this.size ? 0 : this.head + 1;
  }

  /** The driver moves its tail. @param to a place of 32 bits @returns false for a place that it cannot have: outside, or with more entries than there is room for */
  moveTail(to: number): boolean {
    if (to >= this.size) return false;
    const added = to >= this.tail ? to - this.tail : to + this.size - this.tail;
    if (added > this.size - 1 - this.used) return false;
    this.tail = to;
    return true;
  }
}

/** All queues, by their ids. */
export class Queues {
  /** By id; the admin queue is 0. */
  readonly submissions: (SubmissionQueue | undefined)[];
  /** By id; the admin queue is 0. */
  readonly completions: (CompletionQueue | undefined)[];

  /** @param count of I/O queues of each kind, besides the admin queue */
  constructor(count: number) {
    this.submissions = new Array<SubmissionQueue | undefined>(count + 1).fill(undefined);
    this.completions = new Array<CompletionQueue | undefined>(count + 1).fill(undefined);
  }

  /** None is left. */
  clear(): void {
    this.submissions.fill(undefined);
    this.completions.fill(undefined);
  }

  /** Whether an I/O queue was made. */
  get anyIo(): boolean {
    return this.submissions.some((queue) => queue !== undefined && queue.id > 0) || this.completions.some((queue) => queue !== undefined && queue.id > 0);
  }

  /** Whether a submission queue completes there. */
  isUsed(completions: CompletionQueue): boolean {
    return this.submissions.some((queue) => queue?.completions === completions);
  }
}
