/**
 * Whether something blows up: work that ought to take moments, and takes minutes where a bound is missing. For tests only.
 *
 * CPU time of this process is asked, so that what else runs on the machine does not count, and the limit is so high that only a blow-up
 * meets it: nothing here measures how fast code is.
 */
const LIMIT_MS = 30_000;

/** Runs `work`. @returns whether it stayed within the limit */
export function staysBounded(work: () => unknown): boolean {
  const before = process.cpuUsage().user;
  work();
  return (process.cpuUsage().user - before) / 1000 < LIMIT_MS;
}

/** Runs `work` for its result. @throws Error with `what` where it did not stay within the limit */
export function bounded<T>(what: string, work: () => T): T {
  const results: T[] = [];
  if (!staysBounded(() => results.push(work()))) throw new Error(`${what}: took more than ${LIMIT_MS} ms`);
  return results[0]!;
}
