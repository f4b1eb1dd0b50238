import { isAtLeast, type Severity, type TraceEvent } from './trace.ts';

/**
 * What `trace.record()` gave, for people: lines `time severity id: text`, time in ms.
 *
 * @param from the least severity that is listed.
 * @default 'info': all
 */
export function eventList(events: readonly TraceEvent[], from: Severity = 'info'): string {
  const shown = events.filter((event) => isAtLeast(event, from));
  return shown.map(({ at, severity, id, text }) => `${(at / 1e6).toFixed(3).padStart(10)} ${severity.padEnd(5)} ${id}: ${text}\n`).join('');
}
