/**
 * The lock between accesses to a device's memory and what takes that memory away: resets and power states. Kernel: memory_lock, and the
 * worker of ioeventfds that found it taken. Calls do not sleep here, so that it is contended only by what a reset itself sets off.
 */
export class MemoryLock {
  #holders = 0;
  #later: (() => void)[] = [];

  lock(): void {
    this.#holders += 1;
  }

  /** Lets go, and does what had to wait. */
  unlock(): void {
    this.#holders -= 1;
    if (this.#holders > 0) return;
    const waiting = this.#later;
    this.#later = [];
    for (const run of waiting) run();
  }

  /** down_read_trylock(): false leaves `run` to whoever unlocks. */
  tryNow(run: () => void): boolean {
    if (this.#holders > 0) this.#later.push(run);
    return this.#holders === 0;
  }

  /** The last close: what waits is not done any more. */
  clear(): void {
    this.#later = [];
  }
}
