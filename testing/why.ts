/** Why a call was refused: as the event tells it, and as whoever catches the error reads it. For tests only. */
import { expect } from 'vitest';
import { SyscallError, errnoName, type TraceEvent } from '../packages/vfio-core/src/index.ts';

/**
 * The one reason that a call is refused for: its errno, id, and the case in words. The event and the error that is thrown have the same
 * fields, and the error's message is one line with words and way out. A call that does not throw gives a negative errno.
 */
export function why(events: readonly TraceEvent[], call: () => unknown): string {
  const seen = events.length;
  const told = (): TraceEvent => {
    const reasons = events.slice(seen).filter(({ severity }) => severity === 'info');
    expect(reasons.map(({ id }) => id)).toHaveLength(1);
    return reasons[0]!;
  };
  let result: unknown;
  try {
    result = call();
  } catch (error) {
    if (!(error instanceof SyscallError)) throw error;
    const { id, text, fields } = told();
    expect([error.why?.reason.id, error.why?.fields]).toEqual([id, fields]);
    expect(error.message.split('\n')).toHaveLength(1);
    expect(error.message).toContain(`${error.code}: ${text}; ${error.why?.reason.wayOut}`);
    return `${error.code} ${id}: ${text}`;
  }
  if (typeof result !== 'number' || result >= 0) throw new Error('it was not refused');
  const { id, text } = told();
  return `${errnoName(-result)} ${id}: ${text}`;
}
