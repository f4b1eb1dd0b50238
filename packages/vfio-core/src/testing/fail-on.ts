import type { Host } from '../host/host.ts';
import { isAtLeast, type Severity, type TraceEvent } from '../host/trace.ts';

/** What failOn() gives: `expectNone` at the end of a test. */
export interface TraceCheck {
  /** What happened so far that is to be told, in order. */
  readonly events: readonly TraceEvent[];
  /** Stops listening. @throws Error with a line for each event that was as grave as told, or graver */
  readonly expectNone: () => void;
}

/**
 * Holds a host to having nothing go wrong: a kernel's WARN, a use after free, a lost interrupt are events, and pass unseen unless somebody looks.
 *
 * ```ts
 * const check = failOn(host);
 * // ... the test
 * check.expectNone();
 * ```
 *
 * @param from the least severity that fails; 'fault' has refused accesses too. @default 'warn'
 *
 * @example
 * ```ts
 * import { Host, Process } from '@vsim/vfio-core';
 * import { failOn } from '@vsim/vfio-core/testing';
 *
 * const host = new Host();
 * const check = failOn(host, 'fault');
 * new Process(host).mmap(-1, 0x1000).read(0, 4);
 * check.expectNone();
 * console.log(check.events.length); // 0
 * ```
 */
export function failOn(host: Host, from: Severity = 'warn'): TraceCheck {
  const events: TraceEvent[] = [];
  const stop = host.trace.listen((event) => {
    if (isAtLeast(event, from)) events.push(event);
  });
  const expectNone = (): void => {
    stop();
    if (events.length > 0) throw new Error(`expected no event of severity ${from} or graver, got ${events.length}:\n${events.map(traceLine).join('\n')}`);
  };
  return { events, expectNone };
}

/** An event as one line: virtual time in seconds, severity, id, text. `host.trace.listen((event) => console.log(traceLine(event)))` prints a trace. */
export function traceLine({ at, severity, id, text }: TraceEvent): string {
  return `[${(at / 1e9).toFixed(6).padStart(12)}] ${severity.padEnd(5)} ${id}: ${text}`;
}
