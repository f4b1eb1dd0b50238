/** A list of events for people: one line each. */
import type { Severity, TraceEvent } from './trace.ts';

const ORDER: readonly Severity[] = ['info', 'fault', 'warn', 'bug'];

/**
 * What `trace.record()` gave, as lines `time severity id: text`, time in ms.
 *
 * @param from the least severity that is listed. @default 'info': all
 */
export function eventList(events: readonly TraceEvent[], from: Severity = 'info'): string {
  const least = ORDER.indexOf(from);
  const shown = events.filter(({ severity }) => ORDER.indexOf(severity) >= least);
  return shown.map(({ at, severity, id, text }) => `${(at / 1e6).toFixed(3).padStart(10)} ${severity.padEnd(5)} ${id}: ${text}\n`).join('');
}
