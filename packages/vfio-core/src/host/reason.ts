/**
 * Why a call was refused, in words: each rule that a user of the kernel can break is a Reason, made once at module load beside the code
 * that holds the rule. Refusing tells the trace, and whoever throws an error for the call finds it here.
 *
 * docs/reasons.md is made of all of them.
 */
import { errnoName } from '../uapi/errno.ts';
import type { Scheduler, Thread } from './scheduler.ts';
import type { EventKind, Trace } from './trace.ts';

export interface ReasonInit<F extends object> {
  /** `room/rule`: API, never changes. */
  readonly id: string;
  /** What can come of it, positive; the first one is the rule. */
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
  readonly errnos: readonly number[];
  readonly call: string;
  readonly rule: string;
  readonly kernel: string;
  readonly wayOut: string;
}

/** A Reason whose fields do not matter: for tables. */
export type ReasonInfo = Omit<Reason<object>, 'text'>;

/** One refusal: which rule, and the case as a person reads it. */
export interface Refusal {
  readonly reason: ReasonInfo;
  readonly fields: object;
  readonly text: string;
}

export function reason<F extends object>({ id, errno, call, rule, kernel, wayOut, text }: ReasonInit<F>): Reason<F> {
  const errnos = typeof errno === 'number' ? [errno] : errno;
  return { id, severity: 'info', errnos, call, rule, kernel, wayOut, text };
}

interface Seen {
  readonly thread: Thread<unknown> | undefined;
  readonly refusal: Refusal;
}

/** Where refusals are told: a host has one. */
export class Refusals {
  readonly #trace: Trace;
  readonly #scheduler: Scheduler;
  /** While somebody who would throw waits for a call's result. */
  #seen: Seen[] | undefined;

  constructor(trace: Trace, scheduler: Scheduler) {
    this.#trace = trace;
    this.#scheduler = scheduler;
  }

  /** Refuses: one event. @returns the negative errno, the reason's first unless told otherwise */
  refuse<F extends object>(reason: Reason<F>, fields: F, errno: number = reason.errnos[0] ?? 0): number {
    if (this.#trace.on) this.#trace.emit(reason, fields);
    this.#seen?.push({ thread: this.#scheduler.current, refusal: { reason, fields, text: reason.text(fields) } });
    return -errno;
  }

  /** Makes a call whose thread, if it sleeps, has the name `owner`. @returns what it gave, and the last refusal that was its own */
  watch<T>(owner: string, call: () => T): { readonly result: T; readonly why: Refusal | undefined } {
    const outer = this.#seen;
    const caller = this.#scheduler.current;
    const seen: Seen[] = [];
    this.#seen = seen;
    try {
      const result = call();
      return { result, why: seen.findLast(({ thread }) => thread === caller || thread?.name === owner)?.refusal };
    } finally {
      this.#seen = outer;
    }
  }
}

/** A row of docs/reasons.md: id, errno, call, rule, kernel function, way out. */
export function reasonRow({ id, errnos, call, rule, kernel, wayOut }: ReasonInfo): readonly string[] {
  return [id, errnos.map(errnoName).join(', '), call, rule, kernel, wayOut];
}

/** Whether a value that a package exports is a Reason. */
export function isReason(value: unknown): value is ReasonInfo {
  return typeof value === 'object' && value !== null && 'wayOut' in value && 'errnos' in value && 'severity' in value;
}
