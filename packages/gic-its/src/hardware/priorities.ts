/**
 * Priority grouping, preemption and the active priorities of a CPU interface.
 *
 * Reference: Arm IHI 0069, "Interrupt prioritization", "Priority grouping", "Preemption"; one security state.
 */
import { NO_PRIORITY } from './pending-bits.ts';

/** Active priorities of both groups: one bit for each of 16 or 32 preemption levels. */
export class ActivePriorities {
  /** AP0R0 and AP1R0. */
  group0 = 0;
  group1 = 0;
  readonly #shift: number;

  /** @param priorityBits 4 or 5 */
  constructor(priorityBits: number) {
    this.#shift = 8 - priorityBits;
  }

  /** The running priority; 0xff when idle. */
  get running(): number {
    const bits = this.group0 | this.group1;
    return bits === 0 ? NO_PRIORITY : (31 - Math.clz32(bits & -bits)) << this.#shift;
  }

  /** The group of the running priority, 0 where both have it; -1 when idle. */
  get group(): number {
    const bits = this.group0 | this.group1;
    return bits === 0 ? -1 : (this.group0 & bits & -bits) !== 0 ? 0 : 1;
  }

  activate(group: number, priority: number): void {
    const bit = 1 << (priority >>> this.#shift);
    if (group === 0) this.group0 = (this.group0 | bit) >>> 0;
    else this.group1 = (this.group1 | bit) >>> 0;
  }

  /** Priority drop of the group that runs. @returns false if none was active */
  drop(): boolean {
    const { group } = this;
    if (group === 0) this.group0 = (this.group0 & (this.group0 - 1)) >>> 0;
    else if (group === 1) this.group1 = (this.group1 & (this.group1 - 1)) >>> 0;
    return group >= 0;
  }

  clear(): void {
    this.group0 = 0;
    this.group1 = 0;
  }
}

/** The least Binary Point of Group 1 with so many priority bits; of Group 0 it is one less. @param priorityBits 4 or 5 */
export function leastBinaryPoint(priorityBits: number): number {
  return 8 - priorityBits;
}

/** The bits of a priority that preempt. @param priority 8 bits @param binaryPoint that of Group 1, 0 to 7; of Group 0 it counts one more */
export function groupPriority(priority: number, binaryPoint: number): number {
  return priority & (0xff << binaryPoint) & 0xff;
}

/**
 * Whether an interrupt may be signalled over a mask and a running priority.
 *
 * @param priority of the interrupt, 8 bits
 * @param mask ICC_PMR_EL1, 8 bits
 * @param running the running priority, 0xff when idle
 * @param binaryPoint as groupPriority() counts it
 */
export function preempts(priority: number, mask: number, running: number, binaryPoint: number): boolean {
  if (priority >= mask) return false;
  return running === NO_PRIORITY || groupPriority(priority, binaryPoint) < groupPriority(running, binaryPoint);
}
