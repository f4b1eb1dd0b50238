import { describe, expect, it } from 'vitest';
import { EINVAL } from '../uapi/errno.ts';
import { eventList } from './event-list.ts';
import { Host } from './host.ts';
import { isReason, reason, reasonRow } from './reason.ts';

const RULE = reason<{ readonly at: number }>({
  id: 'test/rule',
  errno: [EINVAL, 5],
  call: 'TEST',
  rule: 'at is even',
  kernel: 'test()',
  wayOut: 'make it even',
  text: ({ at }) => `at ${at} is odd`,
});

describe('a refusal', () => {
  it('gives the errno of its reason, or the one that is told', () => {
    const { refusals } = new Host();
    expect([refusals.refuse(RULE, { at: 3 }), refusals.refuse(RULE, { at: 3 }, 5)]).toEqual([-EINVAL, -5]);
  });

  it('is one event of severity info', () => {
    const host = new Host();
    const events = host.trace.record();
    host.refusals.refuse(RULE, { at: 3 });
    expect(events).toEqual([{ at: 0, id: 'test/rule', severity: 'info', fields: { at: 3 }, text: 'at 3 is odd' }]);
  });

  it('is known to whoever watches the call, and only if the call failed of it', () => {
    const { refusals } = new Host();
    const since = refusals.watch();
    const result = refusals.refuse(RULE, { at: 7 });
    const why = refusals.last(since, 'nobody');
    refusals.unwatch(since);
    expect([result, why?.text, why?.reason.id, why?.fields]).toEqual([-EINVAL, 'at 7 is odd', 'test/rule', { at: 7 }]);
    expect(refusals.last(refusals.watch(), 'nobody')).toBeUndefined();
  });

  it('is kept for nobody once the last call is over', () => {
    const { refusals } = new Host();
    refusals.unwatch(refusals.watch());
    refusals.refuse(RULE, { at: 3 });
    expect(refusals.watch()).toBe(0);
  });

  it('that a call within met is not taken for that of the call around it', () => {
    const { refusals } = new Host();
    const outer = refusals.watch();
    refusals.refuse(RULE, { at: 1 });
    const inner = refusals.watch();
    expect(refusals.last(inner, 'nobody')).toBeUndefined();
    refusals.refuse(RULE, { at: 3 });
    refusals.unwatch(inner);
    expect(refusals.last(outer, 'nobody')?.text).toBe('at 1 is odd');
  });

  it('of another thread is not taken for one\'s own', () => {
    const { refusals, scheduler } = new Host();
    function* other() {
      refusals.refuse(RULE, { at: 1 });
      yield { point: 'test/here' };
    }
    const since = refusals.watch();
    scheduler.spawn('theirs', other());
    expect(refusals.last(since, 'mine')).toBeUndefined();
  });

  it('puts nothing into words while nobody listens and nobody watches', () => {
    let built = 0;
    const counted = reason<object>({ ...RULE, errno: EINVAL, text: () => `${(built += 1)}` });
    new Host().refusals.refuse(counted, {});
    expect(built).toBe(0);
  });
});

describe('a reason', () => {
  it('is a row of the table', () => {
    expect(isReason(RULE)).toBe(true);
    expect(reasonRow(RULE)).toEqual(['test/rule', 'EINVAL, EIO', 'TEST', 'at is even', 'test()', 'make it even']);
  });
});

describe('eventList()', () => {
  it('prints one line an event, from a severity on', () => {
    const event = (severity: 'info' | 'bug', at: number) => ({ at, id: `test/${severity}`, severity, fields: {}, text: 'words' });
    const events = [event('info', 0), event('bug', 1_500_000)];
    expect(eventList(events)).toBe('     0.000 info  test/info: words\n     1.500 bug   test/bug: words\n');
    expect(eventList(events, 'warn')).toBe('     1.500 bug   test/bug: words\n');
  });
});
