/**
 * Why a call was refused, in words: each rule that a user of the kernel can break is a Reason, made once at module load beside the code
 * that holds the rule. Refusing tells the trace, and whoever throws an error for the call finds it here. docs/reasons.md is made of all of
 * them.
 */
import { errnoName } from '../uapi/errno.ts';
import type { Scheduler, Thread } from './scheduler.ts';
import type { EventKind, Trace } from './trace.ts';

/** What a rule is declared by. */
export interface ReasonInit<F extends object> {
  /** `room/rule`: API, never changes. */
  readonly id: string;
  /** What can come of it, positive; the first one is the rule. None for what a guest asks and is ignored. */
  readonly errno: number | readonly number[];
  /** The request or file whose rule it is, as users know it: `VFIO_IOMMU_MAP_DMA`, `sysfs bind`. */
  readonly call: string;
  /** The rule, as one sentence without a full stop. */
  readonly rule: string;
  /** The kernel function that holds it. */
  readonly kernel: string;
  /** What would help, as one sentence without a full stop. */
  readonly wayOut: string;
  /** The case at hand: numbers and names that decide. */
  readonly text: (fields: F) => string;
}

/** A rule: also a kind of event, of severity info. */
export interface Reason<F extends object> extends EventKind<F> {
  /** What can come of it, positive; the first one is the rule. */
  readonly errnos: readonly number[];
  /** The request or file whose rule it is, as users know it. */
  readonly call: string;
  /** The rule, as one sentence without a full stop. */
  readonly rule: string;
  /** The kernel function that holds it. */
  readonly kernel: string;
  /** What would help, as one sentence without a full stop. */
  readonly wayOut: string;
}

/** A Reason whose fields do not matter: for tables. */
export type ReasonInfo = Omit<Reason<object>, 'text'>;

/** One refusal: which rule, and the case as a person reads it. */
export interface Refusal {
  /** The rule that was broken. */
  readonly reason: ReasonInfo;
  /** Numbers and names that decided. */
  readonly fields: object;
  /** The case in words, one line. */
  readonly text: string;
}

/** Declares a rule that a user of the kernel can break. Make it once, at module load, beside the code that holds it. */
export function reason<F extends object>({ id, errno, call, rule, kernel, wayOut, text }: ReasonInit<F>): Reason<F> {
  const errnos = typeof errno === 'number' ? [errno] : errno;
  return { id, severity: 'info', errnos, call, rule, kernel, wayOut, text };
}

interface Seen {
  readonly thread: Thread<unknown> | undefined;
  readonly refusal: Refusal;
}

/** Where refusals are told: a host has one, as `refusals`. */
export class Refusals {
  readonly #trace: Trace;
  readonly #scheduler: Scheduler;
  /** Refusals while somebody watches, who would throw an error for a call; what calls within that call met was taken out again. */
  readonly #seen: Seen[] = [];
  #watchers = 0;

  /** Made by Host. */
  constructor(trace: Trace, scheduler: Scheduler) {
    this.#trace = trace;
    this.#scheduler = scheduler;
  }

  /** Refuses: one event. @param errno positive @returns the negative errno, the reason's first unless told otherwise */
  refuse<F extends object>(reason: Reason<F>, fields: F, errno: number = reason.errnos[0] ?? 0): number {
    if (this.#trace.on) this.#trace.emit(reason, fields);
    if (this.#watchers > 0) this.#seen.push({ thread: this.#scheduler.current, refusal: { reason, fields, text: reason.text(fields) } });
    return -errno;
  }

  /** Before a call whose refusal somebody wants to know. Nothing is allocated: calls are hot, and most are not refused. @returns the place for last() and unwatch() */
  watch(): number {
    this.#watchers += 1;
    return this.#seen.length;
  }

  /**
   * The last refusal since watch() that was the call's own: of the thread that called, or, if the call sleeps, of the one named `owner`.
   *
   * @param since what watch() gave
   * @param owner the name of the thread of a call that sleeps
   */
  last(since: number, owner: string): Refusal | undefined {
    const caller = this.#scheduler.current;
    const own = this.#seen.findLastIndex(({ thread }) => thread === caller || thread?.name === owner);
    return own < since ? undefined : this.#seen[own]?.refusal;
  }

  /** After the call, whether it threw or not. @param since what watch() gave */
  unwatch(since: number): void {
    this.#watchers -= 1;
    this.#seen.length = since;
  }
}

/** A row of docs/reasons.md: id, errno, call, rule, kernel function, way out. */
export function reasonRow({ id, errnos, call, rule, kernel, wayOut }: ReasonInfo): readonly string[] {
  return [id, errnos.map(errnoName).join(', ') || 'none', call, rule, kernel, wayOut];
}

/** Whether a value that a package exports is a Reason. */
export function isReason(value: unknown): value is ReasonInfo {
  return typeof value === 'object' && value !== null && 'wayOut' in value && 'errnos' in value && 'severity' in value;
}
