import { describe, expect, it } from 'vitest';
import { Host } from '../host/host.ts';
import { eventKind } from '../host/trace.ts';
import { failOn, traceLine } from './fail-on.ts';

const LOST = eventKind<{ readonly irq: number }>('test/lost', 'bug', ({ irq }) => `irq ${irq} is lost`);
const NOTED = eventKind<{ readonly irq: number }>('test/noted', 'info', ({ irq }) => `irq ${irq} came`);

describe('failOn', () => {
  it('throws with a line for each event that is grave enough', () => {
    const host = new Host();
    const check = failOn(host);
    host.scheduler.advance(1_500_000_000);
    host.trace.emit(NOTED, { irq: 5 });
    host.trace.emit(LOST, { irq: 7 });
    expect(check.events.map(({ id }) => id)).toEqual(['test/lost']);
    expect(() => { check.expectNone(); }).toThrow('expected no event of severity warn or graver, got 1:\n[    1.500000] bug   test/lost: irq 7 is lost');
  });

  it('is satisfied with lesser events, and listens no more afterwards', () => {
    const host = new Host();
    const check = failOn(host);
    host.trace.emit(NOTED, { irq: 5 });
    check.expectNone();
    expect(host.trace.on).toBe(false);
  });

  it('takes another severity', () => {
    const host = new Host();
    const check = failOn(host, 'info');
    host.trace.emit(NOTED, { irq: 5 });
    expect(() => { check.expectNone(); }).toThrow('test/noted');
  });
});

describe('traceLine', () => {
  it('has time, severity, id and text', () => {
    const host = new Host();
    const events = host.trace.record();
    host.trace.emit(NOTED, { irq: 5 });
    expect(events.map(traceLine)).toEqual(['[    0.000000] info  test/noted: irq 5 came']);
  });
});
