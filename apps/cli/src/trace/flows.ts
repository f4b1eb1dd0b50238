/** Where interrupts are on their way: the flows that have begun, by what is pending. */
import type { Flowing, PerfettoFile, Track } from './perfetto-file.ts';

interface Pending {
  readonly ids: bigint[];
  /** Where it was seen last. */
  readonly track: Track;
}

/** Flows of the hosts of one group, as a guest takes its pending interrupts along. */
export class Flows {
  readonly #file: PerfettoFile;
  readonly #pending = new Map<string, Pending>();
  /** The latest time that was told. */
  #last = 0;

  constructor(file: PerfettoFile) {
    this.#file = file;
  }

  /** Time goes on. @param at virtual ns of the group */
  pass(at: number): void {
    this.#last = Math.max(this.#last, at);
  }

  /** A flow begins at `cause`. */
  begin(cause: Flowing): bigint {
    const id = this.#file.nextFlow();
    cause.flowIds.push(id);
    return id;
  }

  /** An interrupt is pending under `key`, seen at `event`: with a flow of its own, or, where it came from another place, with those that it had. */
  pend(key: string, track: Track, event: Flowing, ids: readonly bigint[]): void {
    const before = this.#pending.get(key)?.ids ?? [];
    event.flowIds.push(...(ids.length > 0 ? ids : before));
    if (ids.length + before.length > 0) this.#pending.set(key, { ids: [...before, ...ids], track });
  }

  /** Whether an interrupt is pending under `key` that has a flow. */
  has(key: string): boolean {
    return this.#pending.has(key);
  }

  /** An interrupt is pending no more. @returns its flows */
  take(key: string): readonly bigint[] {
    const ids = this.#pending.get(key)?.ids ?? [];
    this.#pending.delete(key);
    return ids;
  }

  /** As take(), of the first key that begins and ends so. */
  takeLike(start: string, end: string): readonly bigint[] {
    const key = [...this.#pending.keys()].find((each) => each.startsWith(start) && each.endsWith(end));
    return key === undefined ? [] : this.take(key);
  }

  /** What was pending under one key is under another from now on. */
  rename(from: string, to: string): void {
    for (const [key, pending] of [...this.#pending]) {
      if (!key.startsWith(from)) continue;
      this.#pending.delete(key);
      const now = `${to}${key.slice(from.length)}`;
      this.#pending.set(now, { ...pending, ids: [...(this.#pending.get(now)?.ids ?? []), ...pending.ids] });
    }
  }

  /** The trace is over: what is pending ends where it was seen last. */
  end(): void {
    for (const { ids, track } of this.#pending.values()) {
      this.#file.instant(track, this.#last, { name: 'not taken before the end' }).terminatingFlowIds.push(...ids);
    }
    this.#pending.clear();
  }
}
