import { describe, expect, it } from 'vitest';
import { BlockedError, Scheduler, WaitQueue, type Point, type Sleeps, type Thread } from './scheduler.ts';
import { Mutex } from './mutex.ts';

const MIDDLE: Point = { point: 'test/middle' };

function* steps(log: string[], name: string): Sleeps<string> {
  log.push(`${name} 1`);
  yield MIDDLE;
  log.push(`${name} 2`);
  return name;
}

describe('Scheduler', () => {
  it('runs a thread to its end before spawn returns, by default', () => {
    const log: string[] = [];
    const sched = new Scheduler();
    expect(sched.spawn('a', steps(log, 'a')).result()).toBe('a');
    expect(sched.call('b', steps(log, 'b'))).toBe('b');
    expect(log).toEqual(['a 1', 'a 2', 'b 1', 'b 2']);
    expect(sched.threads).toEqual([]);
  });

  it('holds threads at a point and lets other threads run', () => {
    const log: string[] = [];
    const sched = new Scheduler();
    sched.stopAt(MIDDLE);
    const a = sched.spawn('a', steps(log, 'a'));
    expect(a.outcome).toEqual({ state: 'held', at: 'test/middle' });
    log.push('user');
    sched.release(MIDDLE);
    expect(a.result()).toBe('a');
    expect(log).toEqual(['a 1', 'user', 'a 2']);
  });

  it('leaves all order to the schedule', () => {
    const log: string[] = [];
    const roundRobin = (runnable: readonly Thread<unknown>[], current: Thread<unknown> | undefined) =>
      runnable[(current === undefined ? 0 : runnable.indexOf(current) + 1) % runnable.length]!;
    const sched = new Scheduler(roundRobin);
    sched.call(
      'main',
      (function* (): Sleeps<void> {
        sched.spawn('a', steps(log, 'a'));
        sched.spawn('b', steps(log, 'b'));
        yield MIDDLE;
      })(),
    );
    expect(log).toEqual(['a 1', 'b 1', 'a 2', 'b 2']);
  });

  it('says what a sleeping thread waits for and who holds it', () => {
    const sched = new Scheduler();
    const lock = new Mutex(sched, 'the lock');
    const holder = sched.spawn(
      'holder',
      (function* (): Sleeps<void> {
        yield* lock.lock();
        yield* sched.sleep(10);
        lock.unlock();
      })(),
    );
    const waiter = sched.spawn('waiter', lock.lock());
    expect(waiter.outcome).toEqual({ state: 'asleep', what: 'the lock', heldBy: ['holder'] });
    expect(() => {
      waiter.result();
    }).toThrow(new BlockedError('waiter', 'the lock', ['holder']));
    sched.advance(10);
    expect([holder.outcome.state, waiter.outcome.state]).toEqual(['done', 'done']);
    expect(lock.tryLock()).toBe(false);
    lock.unlock();
    expect(lock.tryLock()).toBe(true);
  });

  it('wakes timed sleepers in the order of their times, with the clock at each', () => {
    const sched = new Scheduler();
    const woke: number[] = [];
    for (const ns of [30, 10, 20]) {
      sched.spawn(
        `sleeper ${ns}`,
        (function* (): Sleeps<void> {
          yield* sched.sleep(ns);
          woke.push(sched.now);
        })(),
      );
    }
    sched.advance(25);
    expect(woke).toEqual([10, 20]);
    expect(sched.now).toBe(25);
    sched.advance(5);
    expect(woke).toEqual([10, 20, 30]);
    expect(() => {
      sched.advance(-1);
    }).toThrow(RangeError);
  });

  it('looks again after a wake, and tells timeout, signal and ready apart', () => {
    const sched = new Scheduler();
    const queue = new WaitQueue('a thing');
    let ready = false;
    const wait = (until?: number) => sched.spawn('w', queue.waitInterruptible(sched, () => ready, until));
    const timed = wait(5);
    const signalled = wait();
    const woken = wait();
    queue.wake();
    sched.settle();
    expect(woken.outcome.state).toBe('asleep');
    signalled.signal();
    expect(signalled.result()).toBe('signal');
    sched.advance(5);
    expect(timed.result()).toBe('timeout');
    ready = true;
    queue.wake();
    sched.settle();
    expect(woken.result()).toBe('ready');
  });

  it('keeps an error in the thread that threw it', () => {
    const sched = new Scheduler();
    const thread = sched.spawn(
      'bad',
      (function* (): Sleeps<void> {
        throw new TypeError('no');
      })(),
    );
    expect(thread.outcome.state).toBe('failed');
    expect(() => {
      thread.result();
    }).toThrow('no');
    expect(sched.call('next', steps([], 'next'))).toBe('next');
  });
});
