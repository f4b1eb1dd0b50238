import { EBUSY, ENODEV, ENOMEM } from '../uapi/errno.ts';
import { reason, type Reason, type Refusals } from './reason.ts';

/** A test has made a step fail. */
export const INJECTED_FAULT: Reason<{ readonly fault: string }> = reason({
  id: 'host/injected-fault',
  errno: [ENOMEM, EBUSY, ENODEV],
  call: 'any call',
  rule: 'the step was not made to fail by host.faults.failNext()',
  kernel: 'lib/fault-inject.c',
  wayOut: 'try again: a fault is injected once',
  text: ({ fault }) => `${fault} was made to fail`,
});

/** A step that can be made to fail; made once, at module load; its name is public API. */
export interface FaultPoint {
  /** Its name, `room/step`: API, never changes. */
  readonly fault: string;
  /** The errno that it usually fails with, positive. */
  readonly error: number;
}

/**
 * Fault injection: a test makes a step of the kernel fail that fails on no machine by itself, as memory that runs out. Kernel: failslab and
 * fail_function, lib/fault-inject.c.
 *
 * The kernel's code asks before it takes the step. Nothing is armed outside of tests, and the question is then one look at an empty map.
 */
export class FaultInjection {
  readonly #armed = new Map<FaultPoint, number>();
  readonly #refusals: Refusals;

  /** Made by Host, as `faults`. */
  constructor(refusals: Refusals) {
    this.#refusals = refusals;
  }

  /** The next time that the kernel comes to `point` the step fails, once. @param error a positive errno. @default the point's own */
  failNext(point: FaultPoint, error: number = point.error): void {
    this.#armed.set(point, error);
  }

  /** Whether `point` was armed and nobody has come to it yet. */
  isArmed(point: FaultPoint): boolean {
    return this.#armed.has(point);
  }

  /** Asked at the step. @returns 0, or the negative errno that it has to fail with, told as the reason */
  at(point: FaultPoint): number {
    const error = this.fails(point);
    return error < 0 ? this.#refusals.refuse(INJECTED_FAULT, { fault: point.fault }, -error) : 0;
  }

  /** As at(), where the caller has a reason of its own to tell. @returns 0 or the negative errno */
  fails(point: FaultPoint): number {
    const error = this.#armed.get(point);
    if (error === undefined) return 0;
    this.#armed.delete(point);
    return -error;
  }
}
