/** A door for fuzzers: threads of one user asleep in reads and writes of eventfds. Row R11 of docs/robustness.md: what a wake costs is counted. */
import { EINTR, Host, POLLIN, Process, runToBlock, type Random, type Thread } from '@vsim/vfio-core';
import { pick, same, type Depth, type Door, type World } from '../../../testing/fuzz.ts';

const MOST = (1n << 64n) - 2n;
const FDS = 2;

interface SleeperInput {
  readonly kind: 'read' | 'write' | 'try' | 'signal';
  /** The first is a semaphore. */
  readonly fd: number;
  /** Threads that do the same. */
  readonly count: number;
  readonly value: bigint;
}

interface Sleeper {
  readonly thread: Thread<number>;
  readonly writes: bigint | undefined;
  readonly bytes: Uint8Array;
}

/** An eventfd's threads, and its count by what was written and taken. */
class Shadow {
  readonly fd: number;
  sleepers: Sleeper[] = [];
  count = 0n;

  constructor(fd: number) {
    this.fd = fd;
  }

  /** Takes in what has ended. @returns how many threads that are */
  settle(): number {
    const ended = this.sleepers.filter(({ thread }) => thread.finished);
    this.sleepers = this.sleepers.filter(({ thread }) => !thread.finished);
    for (const { thread, writes, bytes } of ended) {
      const told = thread.result();
      if (told === -EINTR) continue;
      same('bytes', told, 8);
      this.count += writes ?? -wordOf(bytes);
    }
    return ended.length;
  }
}

/** Nobody sleeps who could go on, no count is lost or made, and nobody runs who has nothing to do. */
class Sleepers implements World<SleeperInput> {
  #steps = 0;
  readonly #host = new Host({
    schedule: (runnable, current) => {
      this.#steps += 1;
      return runToBlock(runnable, current);
    },
  });
  readonly #user = new Process(this.#host);
  readonly #shadows: readonly Shadow[] = Array.from({ length: FDS }, (_, i) => new Shadow(this.#user.eventfd(0, { nonblocking: false, semaphore: i === 0 })));

  generate(random: Random): SleeperInput {
    return {
      kind: pick(random, ['read', 'read', 'write', 'write', 'write', 'try', 'signal'] as const),
      fd: random.below(FDS),
      count: pick(random, [1, 1, 1, 1, 1, 30]),
      value: pick(random, [1n, 1n, 1n, 2n, 7n, 1n << 63n, MOST - 1n, MOST]),
    };
  }

  check({ kind, fd, count, value }: SleeperInput): Depth {
    const shadow = this.#shadows[fd]!;
    const { sleepers } = shadow;
    const before = sleepers.length;
    this.#steps = 0;
    let started = 0;
    if (kind === 'read' || kind === 'write') {
      for (; started < count; started += 1) {
        const bytes = new Uint8Array(8);
        if (kind === 'write') new DataView(bytes.buffer).setBigUint64(0, value, true);
        const body = kind === 'read' ? this.#user.sys.read(shadow.fd, bytes) : this.#user.sys.write(shadow.fd, bytes);
        shadow.sleepers.push({ thread: this.#user.start(kind, body), writes: kind === 'write' ? value : undefined, bytes });
      }
    } else if (kind === 'signal') {
      if (before === 0) return 'refused';
      sleepers[Number(value % BigInt(before))]!.thread.signal();
    } else if (this.#ready(shadow)) {
      const bytes = new Uint8Array(8);
      same('a read of what is there', this.#user.tryRead(shadow.fd, bytes), 8);
      shadow.count -= wordOf(bytes);
    }
    const ended = shadow.settle();
    const readers = shadow.sleepers.filter(({ writes }) => writes === undefined).length;
    const least = shadow.sleepers.reduce((low, { writes }) => (writes !== undefined && writes < low ? writes : low), MOST + 1n);
    same('whether there is a count', this.#ready(shadow), shadow.count > 0n);
    same('readers that could go on', shadow.count > 0n ? readers : 0, 0);
    same('a writer that could go on', least <= MOST && shadow.count + least <= MOST, false);
    if (this.#steps > 3 * (ended + started) + 3) throw new Error(`${this.#steps} steps for ${started} threads that came and ${ended} that ended, of ${before}`);
    return ended > 0 ? 'succeeded' : 'past';
  }

  end(): void {
    this.#user.exit();
    same('threads and pages that are left', [this.#host.scheduler.threads.length, this.#host.pages.used], [0, 0]);
  }

  #ready({ fd }: Shadow): boolean {
    return this.#user.poll([{ fd, events: POLLIN }])[0] === POLLIN;
  }
}

function wordOf(bytes: Uint8Array): bigint {
  return new DataView(bytes.buffer).getBigUint64(0, true);
}

export const SLEEPERS: Door<SleeperInput> = { name: 'eventfd-sleepers', length: 100, open: () => new Sleepers() };
