import { describe, expect, test } from 'vitest';
import { eventKind, type EventKind } from '../host/trace.ts';
import { hostFixtures, testHost } from './fixtures.ts';

const WARNED: EventKind<object> = eventKind('test/warned', 'warn', () => 'it warned');
const FAULT: EventKind<object> = eventKind('test/fault', 'fault', () => 'a fault');

describe('hostFixtures()', () => {
  const it = test.extend(hostFixtures({ profile: 'linux-6.12' }));

  it('give a host, and a process in it', ({ host, root }) => {
    expect([host.profile.name, root.host === host, root.name]).toEqual(['linux-6.12', true, 'root']);
  });

  it('let pass what is less grave', ({ host }) => {
    host.trace.emit(FAULT, {});
    expect(host.scheduler.threads).toEqual([]);
  });

  test('fail a test in whose host something warned', async () => {
    const { host } = hostFixtures();
    const ran = host({}, (made) => { made.trace.emit(WARNED, {}); return Promise.resolve(); });
    await expect(ran).rejects.toThrow('test/warned: it warned');
  });
});

describe('testHost()', () => {
  /** A test of node:test that has ended. */
  function ended(init: Parameters<typeof testHost>[1]): () => void {
    const ends: (() => void)[] = [];
    const host = testHost({ after: (end) => ends.push(end) }, init);
    host.trace.emit(FAULT, {});
    host.trace.emit(WARNED, {});
    return () => { for (const end of ends) end(); };
  }

  test('fails a test in whose host something warned', () => {
    expect(ended({})).toThrow('expected no event of severity warn or graver, got 1');
  });

  test('looks as far as it is told', () => {
    expect(ended({ failFrom: 'fault' })).toThrow('got 2');
    expect(ended({ failFrom: 'never' })).not.toThrow();
  });
});
