import { describe, expect, it } from 'vitest';
import { BlockedError, runToBlock, Scheduler, WaitQueue, type Point, type Sleeps, type Thread } from './scheduler.ts';
import { Host } from './host.ts';
import { Mutex } from './mutex.ts';
import { Process } from '../process/process.ts';

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

describe('[R11] a wait costs no more than a logarithm of the waiters', () => {
  const N = 20_000;

  it('n readers of one eventfd, n writes: each wakes one', () => {
    const host = new Host();
    const n = 2000; // what is asked is counted
    const queue = new WaitQueue('q');
    let asked = 0;
    let count = 0;
    function* reader(): Sleeps<void> {
      yield* queue.waitExclusive(host.scheduler, () => ((asked += 1), count > 0));
      count -= 1;
      if (count > 0) queue.wake();
    }
    for (let i = 0; i < n; i += 1) host.scheduler.spawn('reader', reader());
    for (let i = 0; i < n; i += 1) {
      count += 1;
      queue.wake();
      host.scheduler.settle();
    }
    expect([count, host.scheduler.threads.length, asked]).toEqual([0, 0, 2 * n]);
  });

  it('n writers of a full eventfd, n reads: each wakes one', () => {
    let steps = 0;
    const host = new Host({ schedule: (runnable, current) => ((steps += 1), runToBlock(runnable, current)) });
    const process = new Process(host, { name: 'user' });
    const fd = process.eventfd(0, { nonblocking: false });
    const most = new Uint8Array(8).fill(0xff);
    most[0] = 0xfe; // 2^64 - 2
    const n = 1000;
    for (let i = 0; i <= n; i += 1) process.start('write', process.sys.write(fd, most));
    const asleep = host.scheduler.threads.length;
    steps = 0;
    for (let i = 0; i <= n; i += 1) process.read(fd, new Uint8Array(8));
    expect([asleep, host.scheduler.threads.length, steps <= 3 * n]).toEqual([n, 0, true]);
  });

  it('a writer with less to write is not kept by one with more, nor by one that a signal took away', () => {
    const process = new Process(new Host());
    const fd = process.eventfd(0, { nonblocking: false, semaphore: true });
    const write = (value: bigint) => {
      const bytes = new Uint8Array(8);
      new DataView(bytes.buffer).setBigUint64(0, value, true);
      return process.start('write', process.sys.write(fd, bytes));
    };
    const [, large, gone, small] = [write(0xffff_ffff_ffff_fffen), write(100n), write(1n), write(1n)];
    gone.signal();
    process.read(fd, new Uint8Array(8));
    expect([large, gone, small].map(({ outcome }) => outcome.state)).toEqual(['asleep', 'done', 'done']);
  });

  it('a read that makes room for many lets all of them write', () => {
    const process = new Process(new Host());
    const fd = process.eventfd(0, { nonblocking: false });
    const most = new Uint8Array(8).fill(0xff);
    most[0] = 0xfe;
    process.write(fd, most);
    const one = new Uint8Array(8).fill(1, 0, 1);
    const threads = Array.from({ length: 5 }, () => process.start('write', process.sys.write(fd, one)));
    process.readEventfd(fd);
    expect([threads.every(({ finished }) => finished), process.readEventfd(fd)]).toEqual([true, 5n]);
  });

  it('readers of a semaphore are served in the order in which they came, one write for many', () => {
    const process = new Process(new Host());
    const fd = process.eventfd(0, { nonblocking: false, semaphore: true });
    const threads = Array.from({ length: 5 }, () => process.start('read', process.sys.read(fd, new Uint8Array(8))));
    process.writeEventfd(fd, 3n);
    expect(threads.map(({ outcome }) => outcome.state)).toEqual(['done', 'done', 'done', 'asleep', 'asleep']);
  });

  it('n sleepers with times of their own wake in order', () => {
    const { scheduler } = new Host();
    const woken: number[] = [];
    function* sleeper(ns: number): Sleeps<void> {
      yield* scheduler.sleep(ns);
      woken.push(scheduler.now);
    }
    for (let i = N; i > 0; i -= 1) scheduler.spawn('sleeper', sleeper(i));
    scheduler.advance(N);
    expect(woken).toEqual(Array.from({ length: N }, (_, i) => i + 1));
  });

  it('a thread that keeps the processor moves the clock, and a sleeper is late; the clock never goes back', () => {
    const { scheduler } = new Host();
    const woken: number[] = [];
    function* polls(): Sleeps<void> {
      yield* scheduler.sleep(10);
      scheduler.pass(50);
    }
    function* sleeps(): Sleeps<void> {
      yield* scheduler.sleep(20);
      woken.push(scheduler.now);
    }
    scheduler.spawn('polls', polls());
    scheduler.spawn('sleeps', sleeps());
    scheduler.advance(30);
    expect([scheduler.now, woken]).toEqual([60, [60]]);
    expect(() => { scheduler.pass(-1); }).toThrow(RangeError);
  });

  it('deadlines of sleeps that ended early are not kept', () => {
    const { scheduler } = new Host();
    const queue = new WaitQueue('q');
    let ends = false;
    scheduler.spawn('polls', queue.wait(scheduler, () => ends, 1e9));
    for (let i = 0; i < N; i += 1) {
      queue.wake();
      scheduler.settle();
    }
    ends = true;
    scheduler.advance(2e9);
    expect([scheduler.now, scheduler.threads.length]).toEqual([2e9, 0]);
  });
});

it('[R11] n eventfds, closed and opened again: the lowest number each time', () => {
  const process = new Process(new Host(), { maxFiles: 1_000_000 });
  const fds = Array.from({ length: 20_000 }, () => process.eventfd());
  expect([fds[0], fds.at(-1)]).toEqual([3, 20_002]);
  for (let i = 0; i < 20_000; i += 1) {
    process.close(3);
    expect([process.eventfd(), process.nextFd()]).toEqual([3, 20_003]);
  }
  for (const fd of [900, 7, 50]) process.close(fd);
  expect([process.eventfd(), process.dup(3), process.eventfd(), process.eventfd()]).toEqual([7, 50, 900, 20_003]);
});

it('[R11] n mappings and protections of pages, then unmapped one by one', () => {
  const host = new Host();
  const process = new Process(host);
  const memory = process.mmap(-1, 20_000 * 4096);
  for (let page = 0; page < 20_000; page += 2) process.mm.protect(memory.address + page * 4096, 4096, true, false);
  const more = Array.from({ length: 5000 }, () => process.mmap(-1, 4096));
  for (const one of more) one.unmap();
  for (let page = 0; page < 20_000; page += 1) process.mm.unmap(memory.address + page * 4096, 4096);
  expect(host.pages.used).toBe(0);
});
