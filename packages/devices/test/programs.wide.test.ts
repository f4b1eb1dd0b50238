/** Random programs of two queues with commands in flight, beside a list of blocks: nothing is lost, and each command completes once, also over migrations. */
import { Host } from '@vsim/vfio-core';
import { describe, expect, it } from 'vitest';
import { fc, parameters } from '../../../testing/random.ts';
import { MemoryStore, NVME_ADMIN, NVME_IO, NVME_STATUS } from '../src/index.ts';
import { BareDriver, DATA, bareController, type Done } from './bare-driver.ts';
import { RAM } from './bare-nvme.ts';

const BLOCK = 512;
const BLOCKS = 64;
const SLOT = 0x4000;

const io = fc.record({
  step: fc.constant('io' as const),
  queue: fc.integer({ min: 1, max: 2 }),
  opcode: fc.constantFrom(NVME_IO.READ, NVME_IO.WRITE, NVME_IO.WRITE_ZEROES, NVME_IO.COMPARE, NVME_IO.DATASET_MANAGEMENT, NVME_IO.FLUSH),
  first: fc.nat(BLOCKS + 1),
  count: fc.integer({ min: 1, max: 16 }),
  value: fc.integer({ min: 1, max: 255 }),
  offset: fc.nat(127).map((n) => 4 * n),
});
const other = fc.oneof(
  fc.record({ step: fc.constant('serve' as const), count: fc.integer({ min: 1, max: 6 }) }),
  fc.record({ step: fc.constant('reap' as const), queue: fc.nat(2) }),
  fc.record({ step: fc.constant('abort' as const), nth: fc.nat(20) }),
  fc.record({ step: fc.constant('event' as const) }),
  fc.record({ step: fc.constant('doorbell' as const) }),
);
const programs = fc.array(fc.oneof({ weight: 3, arbitrary: io }, { weight: 2, arbitrary: other }), { minLength: 1, maxLength: 80 });
type Step = (typeof programs)['generate'] extends (...args: never[]) => { value: infer T } ? (T extends readonly (infer S)[] ? S : never) : never;
type Io = Extract<Step, { step: 'io' }>;

/** The program on one controller, or on a new one after each step. */
class Run {
  readonly #store = new MemoryStore(BLOCKS * BLOCK);
  readonly #host = new Host();
  readonly #driver: BareDriver;
  readonly #migrates: boolean;
  /** What each block is full of. */
  readonly #blocks = new Uint8Array(BLOCKS);
  readonly #commands = new Map<number, Io>();
  /** Identifiers that have no completion yet. */
  readonly #open = new Set<number>();
  readonly #expected = new Map<number, number>();
  readonly log: Done[] = [];
  readonly #reads: boolean[] = [];
  #id = 0;
  #events = 0;

  constructor(migrates: boolean) {
    this.#migrates = migrates;
    this.#driver = new BareDriver(this.#host, this.#made(), 2);
    this.#driver.bringUp();
    this.#id = 1;
  }

  do(step: Step): void {
    const driver = this.#driver;
    const id = (this.#id += 1);
    switch (step.step) {
      case 'io':
        if (driver.hasRoom(step.queue) && this.#open.size < 30) this.#submit(id, step);
        break;
      case 'serve':
        this.#serve(step.count);
        break;
      case 'reap':
        this.#reap(step.queue);
        break;
      case 'abort': {
        const { inFlight } = driver.disk;
        const found = inFlight[step.nth % Math.max(inFlight.length, 1)];
        if (found === undefined || !driver.hasRoom(0)) break;
        this.#open.add(id);
        // One that was aborted already, and waits for room, is not aborted twice.
        const again = this.#expected.get(found.command) === NVME_STATUS.ABORT_REQUESTED;
        if (!again) this.#expected.set(found.command, NVME_STATUS.ABORT_REQUESTED);
        driver.submit(0, [(id << 16) | NVME_ADMIN.ABORT, 0, 0, 0, (found.command << 16) | found.queue]);
        break;
      }
      case 'event':
        if (!driver.hasRoom(0) || this.#events >= 4) break;
        this.#events += 1;
        this.#open.add(id);
        driver.submit(0, [(id << 16) | NVME_ADMIN.ASYNC_EVENT_REQUEST]);
        break;
      case 'doorbell':
        driver.disk.writeBar(0, 0x1000 + 8 * 9, 4, 1);
        break;
    }
    if (this.#migrates) this.#migrate();
  }

  /** Everything is let go and taken. */
  finish(): Uint8Array {
    for (let before = -1; before !== this.log.length; ) {
      before = this.log.length;
      this.#serve(100);
      for (const queue of [0, 1, 2]) this.#reap(queue);
      if (this.#migrates) this.#migrate();
    }
    expect(this.#driver.disk.inFlight).toEqual([]);
    // Requests for events stay, but for the one that the doorbell is told by.
    expect(this.#open.size).toBeLessThanOrEqual(this.#events);
    const contents = new Uint8Array(BLOCKS * BLOCK);
    this.#store.read(0, contents);
    for (let n = 0; n < BLOCKS; n += 1) expect(contents.subarray(n * BLOCK, (n + 1) * BLOCK).every((byte) => byte === this.#blocks[n])).toBe(true);
    return contents;
  }

  #made() {
    return bareController(this.#host, { hold: true, ioQueues: 2, namespaces: [{ store: this.#store }], serial: 'RUN' });
  }

  #migrate(): void {
    const from = this.#driver.disk;
    from.stop();
    const state = from.save();
    const to = this.#made();
    to.stop();
    expect(to.load(state)).toBe(true);
    expect(to.save()).toEqual(state);
    to.start();
    this.#driver.disk = to;
  }

  #submit(id: number, step: Io): void {
    const { queue, opcode, first, count, value, offset } = step;
    this.#commands.set(id, step);
    this.#open.add(id);
    const at = DATA + (id % 64) * SLOT;
    const data = opcode === NVME_IO.DATASET_MANAGEMENT ? new Uint8Array(Int32Array.of(0, count, first, 0).buffer) : new Uint8Array(count * BLOCK).fill(value);
    this.#host.memory.writeBytes(RAM + at + offset, data);
    // Up to three pages: the second and third by a list.
    const listAt = at + 0x3000;
    this.#host.memory.writeBytes(RAM + listAt, new Uint8Array(Int32Array.of(at + 0x1000, 1, at + 0x2000, 1).buffer));
    const pages = Math.ceil((offset + data.length) / 4096);
    const dwords = opcode === NVME_IO.DATASET_MANAGEMENT ? [0, 4] : [first, 0, count - 1];
    this.#driver.submit(queue, [(id << 16) | opcode, 1, at + offset, pages > 2 ? listAt : at + 0x1000, ...dwords]);
  }

  /** What leaves the list of commands in flight was executed, in its order. */
  #serve(count: number): void {
    const before = this.#driver.disk.inFlight;
    const done = this.#driver.disk.serve(count);
    const after = new Set(this.#driver.disk.inFlight.map(({ command }) => command));
    const gone = before.filter(({ command }) => !after.has(command) && !this.#expected.has(command));
    expect(gone).toHaveLength(done);
    for (const { command } of gone) this.#execute(command);
  }

  #execute(id: number): void {
    const { opcode, first, count, value, offset } = this.#commands.get(id)!;
    const blocks = this.#blocks.subarray(first, first + count);
    let status: number = NVME_STATUS.SUCCESS;
    if (opcode !== NVME_IO.FLUSH && first + count > BLOCKS) status = NVME_STATUS.LBA_OUT_OF_RANGE;
    else if (opcode === NVME_IO.WRITE) blocks.fill(value);
    else if (opcode === NVME_IO.WRITE_ZEROES || opcode === NVME_IO.DATASET_MANAGEMENT) blocks.fill(0);
    else if (opcode === NVME_IO.COMPARE && !blocks.every((each) => each === value)) status = NVME_STATUS.COMPARE_FAILURE;
    else if (opcode === NVME_IO.READ) {
      const got = new Uint8Array(count * BLOCK);
      this.#host.memory.readBytes(RAM + DATA + (id % 64) * SLOT + offset, got);
      this.#reads.push(got.every((byte, n) => byte === blocks[Math.floor(n / BLOCK)]));
    }
    this.#expected.set(id, status);
  }

  /** Whether each read gave what the blocks held when it was executed. */
  get readsAreRight(): boolean {
    return this.#reads.every((right) => right);
  }

  #reap(queue: number): void {
    for (const done of this.#driver.reap(queue)) {
      this.log.push(done);
      expect(done.queue).toBe(queue);
      expect(this.#open.delete(done.id), `a completion of ${done.id}`).toBe(true);
      if (queue > 0) expect([done.id, done.status]).toEqual([done.id, this.#expected.get(done.id)]);
    }
  }
}

describe('random programs', () => {
  it('complete each command once, with the data and the status that it ought to have', () => {
    fc.assert(
      fc.property(programs, (program) => {
        const run = new Run(false);
        for (const step of program) run.do(step);
        run.finish();
        expect(run.readsAreRight).toBe(true);
      }),
      parameters(5),
    );
  });

  it('go the same way with a migration after each step as without', () => {
    fc.assert(
      fc.property(programs, (program) => {
        const [stays, moves] = [new Run(false), new Run(true)];
        for (const step of program) {
          stays.do(step);
          moves.do(step);
        }
        expect(moves.finish()).toEqual(stays.finish());
        expect(moves.log).toEqual(stays.log);
      }),
      parameters(1),
    );
  });
});
