import { removeItem } from '../memory/list.ts';

/** How grave an event is: `warn` and `bug` mirror the kernel's WARN and BUG; `fault` is a refused access. */
export type Severity = 'info' | 'fault' | 'warn' | 'bug';

/** A kind of event: made once at module load by the code that emits it. */
export interface EventKind<F extends object> {
  /** `room/what-happened`: API, never changes. */
  readonly id: string;
  /** How grave it is. */
  readonly severity: Severity;
  /** One line for people, lower case, addresses in hex. */
  readonly text: (fields: F) => string;
}

/** Declares a kind of event. `id` is `room/what-happened` and never changes. */
export function eventKind<F extends object>(id: string, severity: Severity, text: (fields: F) => string): EventKind<F> {
  return { id, severity, text };
}

const ORDER: readonly Severity[] = ['info', 'fault', 'warn', 'bug'];

/** Whether an event is of this severity or a higher one. */
export function isAtLeast({ severity }: { readonly severity: Severity }, from: Severity): boolean {
  return ORDER.indexOf(severity) >= ORDER.indexOf(from);
}

/** One event, as listeners see it. */
export interface TraceEvent {
  /** Virtual time in ns. */
  readonly at: number;
  /** That of its kind. */
  readonly id: string;
  /** That of its kind. */
  readonly severity: Severity;
  /** What its kind tells: names and numbers. */
  readonly fields: object;
  /** The same in words, one line. */
  readonly text: string;
}

/** Whether an event is of a kind: its fields are known then. */
export function isOfKind<F extends object>(event: TraceEvent, kind: EventKind<F>): event is TraceEvent & { readonly fields: F } {
  return event.id === kind.id;
}

/**
 * The trace: what happened in the host, as typed events with stable ids.
 *
 * The kernel's WARN and BUG, faults, lost interrupts and contracts broken by a driver are events, not exceptions: tests assert them, tools
 * show them. The id is API; the text is not. Nothing is built while nobody listens: a caller on a hot path asks `trace.on` first.
 *
 * @example
 * ```ts
 * import { eventList, Host, Process } from '@vsim/vfio-core';
 *
 * const host = new Host();
 * const events = host.trace.record();
 * new Process(host).mmap(-1, 0x1000).read(0x2000, 4); // behind its end
 * console.log(eventList(events).includes('SIGSEGV')); // true
 * ```
 */
export class Trace {
  readonly #now: () => number;
  readonly #listeners: ((event: TraceEvent) => void)[] = [];
  readonly #followers: ((event: TraceEvent) => void)[] = [];
  #on = false;
  #followed = false;

  /** Made by Host, as `trace`. */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** Whether anybody listens. */
  get on(): boolean {
    return this.#on;
  }

  /** Calls `listener` for each event from now on; returns what ends it. */
  listen(listener: (event: TraceEvent) => void): () => void {
    this.#listeners.push(listener);
    this.#on = true;
    return () => {
      removeItem(this.#listeners, listener);
      this.#on = this.#listeners.length > 0;
    };
  }

  /** Whether anybody follows: asked before step(). */
  get followed(): boolean {
    return this.#followed;
  }

  /**
   * As listen(), and `listener` hears of every step, too: threads that start, sleep and end, messages that devices write, interrupts that become pending
   * and are taken, vCPUs that come and go. They are many, and nothing to act on: for a tool that draws what went on.
   *
   * @returns what ends it
   */
  follow(listener: (event: TraceEvent) => void): () => void {
    this.#followers.push(listener);
    this.#followed = true;
    const end = this.listen(listener);
    return () => {
      end();
      removeItem(this.#followers, listener);
      this.#followed = this.#followers.length > 0;
    };
  }

  /**
   * Events from now on, in a list that grows.
   *
   * @param from the least severity that is recorded. @default 'info': all
   */
  record(from: Severity = 'info'): readonly TraceEvent[] {
    const events: TraceEvent[] = [];
    this.listen((event) => {
      if (isAtLeast(event, from)) events.push(event);
    });
    return events;
  }

  /** Tells those who listen of an event, at once and in the order in which they came. */
  emit<F extends object>(kind: EventKind<F>, fields: F): void {
    if (this.#listeners.length > 0) this.#tell(this.#listeners, kind, fields);
  }

  /** Tells those who follow of a step. */
  step<F extends object>(kind: EventKind<F>, fields: F): void {
    if (this.#followers.length > 0) this.#tell(this.#followers, kind, fields);
  }

  #tell<F extends object>(listeners: readonly ((event: TraceEvent) => void)[], kind: EventKind<F>, fields: F): void {
    const event: TraceEvent = { at: this.#now(), id: kind.id, severity: kind.severity, fields, text: kind.text(fields) };
    for (const listener of [...listeners]) listener(event);
  }
}
