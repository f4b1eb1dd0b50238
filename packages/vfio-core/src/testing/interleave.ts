import type { Point, Scheduler, Sleeps, Thread } from '../host/scheduler.ts';

/** One thing that user space does, to its end or to where it sleeps. It may fail, but not throw. */
export type UserStep = () => void;

/** What everyOrder() needs of a fresh host: a thread of the kernel, and steps of user space that may come between its parts. */
export interface World {
  /** The host's. */
  readonly scheduler: Scheduler;
  /** The kernel's part. */
  readonly kernel: () => Sleeps<unknown>;
  /** The steps, in the order in which they are taken. */
  readonly user: readonly UserStep[];
  /** Looks at the world after each step; throws if a rule is broken. */
  readonly check: () => void;
  /** After all steps: lets go of everything, and demands that nothing is left. */
  readonly end: (kernel: Thread<unknown>) => void;
}

/**
 * Every order of two actors: a kernel thread that goes on from point to point, and user space that does one step after another. The thread
 * is held at each point; between any two of its parts lie any number of the user's steps. Runs `setUp` and its world once for each order.
 *
 * @returns how many there were
 * @throws Error that names the order, with what a step or a check threw as its cause
 */
export function everyOrder(setUp: () => World, points: readonly Point[]): number {
  const parts = points.length + 1;
  const { user } = setUp();
  let count = 0;
  for (const order of orders(parts, user.length)) {
    count += 1;
    try {
      runOrder(setUp(), points, order);
    } catch (cause) {
      throw new Error(`order ${order}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
    }
  }
  return count;
}

/** All words of `parts` K (the kernel goes on) and `steps` U (the user does its next step). */
function* orders(parts: number, steps: number): Generator<string> {
  if (parts === 0 || steps === 0) {
    yield 'K'.repeat(parts) + 'U'.repeat(steps);
    return;
  }
  for (const rest of orders(parts - 1, steps)) yield `K${rest}`;
  for (const rest of orders(parts, steps - 1)) yield `U${rest}`;
}

function runOrder(world: World, points: readonly Point[], order: string): void {
  const { scheduler } = world;
  for (const point of points) scheduler.stopAt(point);
  let thread: Thread<unknown> | undefined;
  let step = 0;
  for (const letter of order) {
    if (letter === 'U') {
      world.user[step]!();
      step += 1;
    } else if (thread === undefined) {
      thread = scheduler.spawn('kernel', world.kernel());
    } else {
      const { outcome } = thread;
      const at = outcome.state === 'held' ? points.find(({ point }) => point === outcome.at) : undefined;
      if (at !== undefined) {
        scheduler.release(at);
        scheduler.stopAt(at);
      }
    }
    world.check();
  }
  for (const point of points) scheduler.release(point);
  world.check();
  if (thread !== undefined) world.end(thread);
}

/**
 * How many subsets of k things n things have: the count of orders of everyOrder().
 *
 * @param n an integer from 0
 * @param k an integer from 0 to n
 */
export function binomial(n: number, k: number): number {
  let result = 1;
  for (let i = 1; i <= k; i += 1) result = (result * (n - k + i)) / i;
  return result;
}
