/** A host for each test, looked at when the test ends: for vitest, and for node:test and its like. */
import { Host, type HostInit } from '../host/host.ts';
import type { Severity } from '../host/trace.ts';
import { Process } from '../process/process.ts';
import { failOn } from './fail-on.ts';

/** How a test's host is made, and what must not happen in it. */
export interface TestHostInit extends HostInit {
  /** The least severity of an event that fails the test; 'never' looks at none. @default 'warn' */
  readonly failFrom?: Severity | 'never' | undefined;
}

/** What hostFixtures() gives to a test. */
export interface HostFixtures {
  /** A host of its own. */
  readonly host: Host;
  /** A process of root in it, made when the test first asks for it. */
  readonly root: Process;
}

/** A fixture as vitest's `test.extend()` takes one: it makes a T out of others, and ends it when `use` comes back. */
export type Fixture<C, T> = (context: C, use: (value: T) => Promise<void>) => Promise<void>;

/**
 * Fixtures for vitest.
 *
 * ```ts
 * import { test } from 'vitest';
 * const it = test.extend(hostFixtures({ profile: 'linux-6.12' }));
 * it('opens nothing', ({ host, root }) => { ... });
 * ```
 *
 * The test fails if an event as grave as `failFrom` happened in its host.
 */
export function hostFixtures(init: TestHostInit = {}): { readonly host: Fixture<object, Host>; readonly root: Fixture<Pick<HostFixtures, 'host'>, Process> } {
  return {
    // vitest reads the names that a fixture takes from its text.
    host: async ({}, use) => {
      const { host, end } = made(init);
      await use(host);
      end();
    },
    root: async ({ host }, use) => use(new Process(host, { name: 'root' })),
  };
}

/** What a test of node:test is, as far as testHost() needs it. */
export interface TestContext {
  /** Runs `end` when the test has ended; what it throws fails the test. */
  after(end: () => void): void;
}

/**
 * A host for one test of node:test, or of any runner whose tests have after().
 *
 * ```ts
 * import { test } from 'node:test';
 * test('opens nothing', (t) => { const host = testHost(t); ... });
 * ```
 *
 * The test fails if an event as grave as `failFrom` happened in the host.
 */
export function testHost(t: TestContext, init: TestHostInit = {}): Host {
  const { host, end } = made(init);
  t.after(end);
  return host;
}

function made({ failFrom = 'warn', ...init }: TestHostInit): { readonly host: Host; readonly end: () => void } {
  const host = new Host(init);
  const check = failFrom === 'never' ? undefined : failOn(host, failFrom);
  return { host, end: () => check?.expectNone() };
}
