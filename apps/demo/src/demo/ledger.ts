/**
 * The ledger of interrupts: what the devices raised and what the guest took, kept outside of the model, so that nothing that
 * the model gets wrong can hide. An interrupt raised while the same one is still pending is coalesced with it.
 */

/** The name of an interrupt, in ledger and report. */
export function lineName(device: string, vector: number): string {
  return `${device} vector ${vector}`;
}

/** Sums over some time. */
export interface Sums {
  readonly raised: number;
  readonly coalesced: number;
  readonly delivered: number;
}

interface Line {
  pending: boolean;
}

export class Ledger {
  readonly #lines = new Map<string, Line>();
  #raised = 0;
  #coalesced = 0;
  #delivered = 0;
  #lost = 0;
  /** Interrupts that the guest took though none was pending. */
  doubled = 0;

  /** A device raises an interrupt. Called before it does. */
  raised(line: string): void {
    const entry = this.#line(line);
    this.#raised += 1;
    if (entry.pending) this.#coalesced += 1;
    entry.pending = true;
  }

  /** The guest acknowledges an interrupt. */
  delivered(line: string): void {
    const entry = this.#line(line);
    this.#delivered += 1;
    if (!entry.pending) this.doubled += 1;
    entry.pending = false;
  }

  /**
   * Everything is let go and the model stands still: what is pending now never comes. It is counted, and the lines are as if it
   * had been taken, so that a later interrupt does not hide it.
   */
  countLost(): void {
    for (const line of this.pending) {
      this.#lost += 1;
      this.#line(line).pending = false;
    }
  }

  get lost(): number {
    return this.#lost;
  }

  isPending(line: string): boolean {
    return this.#line(line).pending;
  }

  /** Lines with an interrupt that nobody has taken yet, in the order in which they were first raised. */
  get pending(): readonly string[] {
    return [...this.#lines].filter(([, { pending }]) => pending).map(([line]) => line);
  }

  get sums(): Sums {
    return { raised: this.#raised, coalesced: this.#coalesced, delivered: this.#delivered };
  }

  #line(name: string): Line {
    let line = this.#lines.get(name);
    if (line === undefined) {
      line = { pending: false };
      this.#lines.set(name, line);
    }
    return line;
  }
}
