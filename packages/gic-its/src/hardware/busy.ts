/** A status bit that software polls: GICR_SYNCR.Busy, GICR_VPENDBASER.Dirty, GICR_VSGIPENDR.Busy. */
export class Busy {
  readonly #reads: number;
  #left = 0;

  /** @param reads ImplementationChoices.busyReads */
  constructor(reads: number) {
    this.#reads = reads;
  }

  /** Whether a read would find it set. */
  get set(): boolean {
    return this.#left > 0;
  }

  /** Clear, whatever was started. */
  reset(): void {
    this.#left = 0;
  }

  start(): void {
    this.#left = this.#reads;
  }

  /** One read by software. */
  poll(): boolean {
    if (this.#left === 0) return false;
    this.#left -= 1;
    return true;
  }
}
