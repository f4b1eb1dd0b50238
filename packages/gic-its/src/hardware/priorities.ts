/**
 * Priority grouping, preemption and the active priorities of a CPU interface.
 *
 * Reference: Arm IHI 0069, "Interrupt prioritization", "Priority grouping", "Preemption"; one security state, Group 1.
 */
import { NO_PRIORITY } from './pending-bits.ts';

/** Group 1 active priorities: one bit for each of 16 or 32 preemption levels. */
export class ActivePriorities {
  bits = 0;
  readonly #shift: number;

  /** @param priorityBits 4 or 5 */
  constructor(priorityBits: number) {
    this.#shift = 8 - priorityBits;
  }

  /** The running priority; 0xff when idle. */
  get running(): number {
    return this.bits === 0 ? NO_PRIORITY : (31 - Math.clz32(this.bits & -this.bits)) << this.#shift;
  }

  activate(priority: number): void {
    this.bits = (this.bits | (1 << (priority >>> this.#shift))) >>> 0;
  }

  /** Priority drop. @returns the priority dropped, 0xff if none was active. */
  drop(): number {
    const running = this.running;
    this.bits = (this.bits & (this.bits - 1)) >>> 0;
    return running;
  }
}

/** The least Binary Point of Group 1 with so many priority bits; of Group 0 it is one less. */
export function leastBinaryPoint(priorityBits: number): number {
  return 8 - priorityBits;
}

/** The bits of a priority that preempt: group priority of a Group 1 interrupt. */
export function groupPriority(priority: number, binaryPoint: number): number {
  return priority & (0xff << binaryPoint) & 0xff;
}

/** Whether an interrupt may be signalled over a mask and a running priority. */
export function preempts(priority: number, mask: number, running: number, binaryPoint: number): boolean {
  if (priority >= mask) return false;
  return running === NO_PRIORITY || groupPriority(priority, binaryPoint) < groupPriority(running, binaryPoint);
}
