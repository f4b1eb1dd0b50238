/** Two servers and a client, or a VMM: an NVMe controller with commands in flight moves from one to the other, and each command is completed once. */
import { Random } from '@vsim/vfio-core';
import { MemoryStore, NVME_IO } from '@vsim/devices';
import { describe, expect, it } from 'vitest';
import { LONG, SEED } from '../../../testing/random.ts';
import { FIRST_DATA, MEMORY, NvmeServer, PAGE, RemoteNvme, type Done, type NvmeMachine, type NvmeQueues } from './remote-nvme.ts';
import { VmNvme } from './vm-nvme.ts';

const MIGRATIONS = LONG ? 1000 : 40;
/** A VM has 6 MiB that are copied each time. */
const OF_VMS = LONG ? 1000 : 8;
const BLOCK = 512;
const BLOCKS = 32;
const STEPS = 60;
const PAGES = MEMORY / PAGE - FIRST_DATA;

interface InFlight {
  readonly block: number;
  readonly page: number;
  readonly isRead: boolean;
  readonly value: number;
}

/** What came of programs. */
interface Book {
  migrations: number;
  refusals: number;
  /** Commands that were in flight when the device stopped. */
  carried: number;
  completed: number;
  lost: number;
  doubled: number;
  wrongBytes: number;
}

/** A guest with a driver, and who can move it. */
interface Guest extends NvmeMachine {
  readonly queues: NvmeQueues;
  reap(queue: number): readonly Done[];
  /** @returns 0, or the negative errno of a destination that refused */
  migrate(destination: NvmeServer, meanwhile: () => void): number;
}

type MakeGuest = (server: NvmeServer, random: Random) => Guest;

/** One program: commands to blocks and pages that no other command in flight has, so that what a read gives is known. */
class Program {
  readonly #random: Random;
  readonly #book: Book;
  readonly #store = new MemoryStore(BLOCKS * BLOCK);
  readonly #guest: Guest;
  readonly #inFlight = new Map<number, InFlight>();
  /** What each block has. */
  readonly #blocks = new Uint8Array(BLOCKS);
  #server: NvmeServer;
  #next = 0;

  constructor(seed: number, book: Book, make: MakeGuest) {
    this.#random = new Random(seed);
    this.#book = book;
    this.#server = new NvmeServer(this.#store);
    this.#guest = make(this.#server, this.#random);
  }

  run(): void {
    for (let step = 0; step < STEPS; step += 1) {
      if (this.#random.below(10) === 0) this.#migrate();
      else this.#work();
    }
    while (this.#inFlight.size > 0 && this.#server.disk.serve(1) > 0) this.#reap();
    this.#reap();
    this.#book.lost += this.#inFlight.size;
  }

  #work(): void {
    const what = this.#random.below(10);
    if (what < 6) this.#submit();
    else if (what < 8) this.#server.disk.serve(1 + this.#random.below(4));
    else this.#reap();
  }

  #submit(): void {
    const queue = 1 + this.#random.below(this.#guest.queues.queues);
    const block = this.#random.below(BLOCKS);
    const page = FIRST_DATA + this.#random.below(PAGES);
    if (!this.#guest.queues.hasRoom(queue) || [...this.#inFlight.values()].some((other) => other.block === block || other.page === page)) return;
    const isRead = this.#random.below(2) === 0;
    const value = 1 + this.#random.below(255);
    if (!isRead) this.#guest.store(page * PAGE, new Uint8Array(BLOCK).fill(value));
    const id = (this.#next = (this.#next + 1) & 0xffff);
    this.#inFlight.set(id, { block, page, isRead, value });
    this.#guest.queues.submit(queue, id, [isRead ? NVME_IO.READ : NVME_IO.WRITE, 1, this.#guest.base + page * PAGE, block, 0, 0]);
  }

  #reap(): void {
    for (let queue = 1; queue <= this.#guest.queues.queues; queue += 1) for (const { id, status } of this.#guest.reap(queue)) this.#completed(id, status);
  }

  #completed(id: number, status: number): void {
    const command = this.#inFlight.get(id);
    this.#inFlight.delete(id);
    this.#book.completed += 1;
    if (command === undefined) {
      this.#book.doubled += 1;
      return;
    }
    const { block, page, isRead, value } = command;
    if (!isRead) this.#blocks[block] = value;
    const there = this.#guest.load(page * PAGE, BLOCK);
    if (status !== 0 || there.some((byte) => byte !== this.#blocks[block])) this.#book.wrongBytes += 1;
  }

  #migrate(): void {
    const refuses = this.#random.below(8) === 0;
    const destination = new NvmeServer(this.#store, refuses ? 'ANOTHER' : 'SERVED');
    const code = this.#guest.migrate(destination, () => { for (let n = this.#random.below(12); n > 0; n -= 1) this.#work(); });
    this.#book.carried += this.#inFlight.size;
    if (code === 0) {
      this.#server = destination;
      this.#book.migrations += 1;
    } else this.#book.refusals += 1;
  }
}

/** Programs until there were that many migrations. */
function run(migrations: number, make: MakeGuest): Book {
  const book: Book = { migrations: 0, refusals: 0, carried: 0, completed: 0, lost: 0, doubled: 0, wrongBytes: 0 };
  for (let seed = SEED; book.migrations < migrations && seed < SEED + migrations; seed += 1) {
    try {
      new Program(seed, book, make).run();
    } catch (cause) {
      throw new Error(`VSIM_SEED=${seed}: ${String(cause)}`, { cause });
    }
  }
  console.log(`served migrations: seed ${SEED}, ${Object.entries(book).map(([name, count]) => `${count} ${name}`).join(', ')}`);
  return book;
}

describe('a served controller that migrates', () => {
  it.each<readonly [string, number, MakeGuest]>([
    ['our client', MIGRATIONS, (server, random) => new RemoteNvme(server, 1 + random.below(3), random.below(2) === 0)],
    ['a VMM', OF_VMS, (server, random) => new VmNvme(server, 1 + random.below(3))],
  ])(`by %s completes each command once: %i migrations from seed ${SEED} on`, (_, migrations, make) => {
    const book = run(migrations, make);
    expect([book.lost, book.doubled, book.wrongBytes]).toEqual([0, 0, 0]);
    expect(book.migrations).toBeGreaterThanOrEqual(migrations);
    expect(book.carried).toBeGreaterThan(book.migrations);
    expect(book.refusals).toBeGreaterThan(0);
  }, 120_000);
});
