/** The time of a demonstration: one for its hosts, the wire between them, and the world that ticks its devices. */
import type { Host } from '@vsim/vfio-core';
import type { Link } from '@vsim/vmm';

/** Who watches a demonstration from its first moment. */
export interface Watch {
  /**
   * A host was made, and nothing is in it yet.
   *
   * @param from virtual ns of the demonstration at which the host's clock begins
   */
  host(name: 'source' | 'destination', host: Host, from: number): void;
  /** A phase of the migration begins at `at`, in virtual ns of the demonstration; undefined: the last one has ended. */
  phase(name: string | undefined, at: number): void;
}

export class WorldClock {
  readonly #watch: Watch | undefined;
  readonly #hosts: { readonly host: Host; readonly from: number }[] = [];
  /** What of the wire's time has passed. */
  #wire = 0;
  #now = 0;

  /** @param watch hears of each host */
  constructor(watch?: Watch) {
    this.#watch = watch;
  }

  /** Virtual ns since it began: a host may have let time pass of itself. */
  get now(): number {
    for (const { host, from } of this.#hosts) this.#now = Math.max(this.#now, from + host.scheduler.now);
    return this.#now;
  }

  /** A host begins. */
  add(name: 'source' | 'destination', host: Host): void {
    const from = this.now;
    this.#hosts.push({ host, from });
    this.#watch?.host(name, host, from);
  }

  /** Virtual ns pass, for all. */
  pass(ns: number): void {
    this.#now = this.now + ns;
    for (const { host, from } of this.#hosts) host.scheduler.advance(this.#now - from - host.scheduler.now);
  }

  /** What was spent on the wire passes. */
  follow({ time }: Link): void {
    this.pass(time - this.#wire);
    this.#wire = time;
  }
}
