/** Compliance suites as data: any runner can run them, and an author's own device proves itself with five lines. */

/** One case of a suite. `run` throws if the subject does not comply. */
export interface ComplianceCase {
  /** What the subject does if it complies: a test's title. */
  readonly name: string;
  /** Sets a subject up and asks it. @throws ComplianceError if it does not comply */
  readonly run: () => void;
}

/** A subject broke a rule of its suite. */
export class ComplianceError extends Error {
  /** Always `ComplianceError`. */
  override readonly name = 'ComplianceError';
}

/**
 * Demands that two values are the same, by Object.is().
 *
 * @param what what is compared, for the message
 * @throws ComplianceError unless they are
 */
export function expectSame<T>(what: string, actual: T, expected: T): void {
  if (!Object.is(actual, expected)) throw new ComplianceError(`${what}: expected ${String(expected)}, got ${String(actual)}`);
}

/** Runs `act` and gives the errno's name if it failed with one, else 'success'. */
export function outcomeOf(act: () => unknown): string {
  try {
    act();
    return 'success';
  } catch (error) {
    if (error instanceof Error && 'code' in error && typeof error.code === 'string') return error.code;
    throw error;
  }
}
