/** The errors that are not a kernel's answer: see docs/architecture.md, "four kinds of wrong". */

/** A bug of vsim itself. Never caught inside the model. */
export class InvariantError extends Error {
  /** Always `InvariantError`. */
  override readonly name = 'InvariantError';
}

/** Holds a bug of vsim itself to light. @param what what was not so, for the message @throws InvariantError unless `condition` holds */
export function invariant(condition: boolean, what: string): asserts condition {
  if (!condition) throw new InvariantError(what);
}
