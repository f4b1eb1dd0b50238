/** The doors of this package for fuzzers: device trees, and a clock's registers. */
import { Host, type Random } from '@vsim/vfio-core';
import { bounded } from '../../../testing/cost.ts';
import { pick, same, type Depth, type Door, type World } from '../../../testing/fuzz.ts';
import { describeDevices, FdtError, IrqLine, parseFdt, PL031, Pl031 } from '../src/index.ts';
import { Blob } from './blob.ts';

const NAMES = ['compatible', 'reg', 'ranges', '#address-cells', '#size-cells', 'interrupts', 'interrupts-extended', 'interrupt-parent', 'interrupt-map', 'interrupt-map-mask', '#interrupt-cells', 'interrupt-controller', 'phandle', 'status'];

class Trees implements World<Uint8Array> {
  generate(random: Random): Uint8Array {
    const blob = new Blob();
    node(random, blob, '', 0);
    const bytes = blob.bytes;
    for (let n = Math.max(0, random.below(5) - 2); n > 0; n -= 1) bytes[random.below(bytes.length)] = pick(random, [0, 1, 2, 3, 9, 255, random.below(256)]);
    return random.below(12) === 0 ? bytes.slice(0, random.below(bytes.length)) : bytes;
  }

  check(bytes: Uint8Array): Depth {
    return bounded(`${bytes.length} bytes`, () => this.#parse(bytes));
  }

  #parse(bytes: Uint8Array): Depth {
    let depth: Depth = 'refused';
    try {
      const root = parseFdt(bytes);
      depth = 'past';
      let names = 0;
      for (const { name, properties } of root) names += name.length + [...properties.keys()].reduce((sum, key) => sum + key.length, 0);
      // The spec bounds names; whatever a blob says, what is read of it is bounded by its own length.
      if (names > 32 * bytes.length) throw new Error(`${names} characters of names in ${bytes.length} bytes`);
      const devices = describeDevices(root);
      for (const { ranges, interrupts } of devices) {
        for (const { start, size } of ranges) if (!Number.isSafeInteger(start) || !Number.isSafeInteger(size)) throw new Error(`a range of ${start} and ${size}`);
        if (interrupts.length > bytes.length) throw new Error(`${interrupts.length} interrupts in ${bytes.length} bytes`);
      }
      depth = 'succeeded';
    } catch (error) {
      if (!(error instanceof FdtError)) throw error;
    }
    return depth;
  }
}

function node(random: Random, blob: Blob, name: string, depth: number): void {
  blob.begin(name);
  for (let n = random.below(7); n > 0; n -= 1) property(random, blob);
  for (let n = depth < 5 ? random.below(4) : 0; n > 0; n -= 1) node(random, blob, pick(random, ['uart@1000', 'bus', 'gic', 'x'.repeat(random.below(random.below(12) === 0 ? 400 : 40))]), depth + 1);
  blob.end();
}

function property(random: Random, blob: Blob): void {
  const name = pick(random, NAMES);
  if (random.below(80) === 0) {
    // Names that are the ends of one.
    const offset = blob.offset('x'.repeat(3000));
    for (let n = 0; n < 100; n += 1) blob.at(offset + n, []);
  } else if (name === 'compatible') blob.text(name, pick(random, ['simple-bus', 'arm,pl031', 'x']));
  else if (name === 'status') blob.text(name, pick(random, ['okay', 'disabled']));
  else if (name.startsWith('#') || name === 'phandle' || name === 'interrupt-parent') blob.cells(name, [random.below(5)]);
  else {
    const count = random.below(24) === 0 ? 3000 : random.below(9);
    blob.cells(name, Array.from({ length: count }, () => (random.below(6) === 0 ? random.uint32() : random.below(4))));
  }
}

// A clock

type ClockInput = readonly ['match' | 'load' | 'mask' | 'clear' | 'advance', number];

/** A PL031 beside a count of seconds that knows when it has to ring. */
class Clock implements World<ClockInput> {
  readonly #host = new Host();
  readonly #irq = new IrqLine(34, 'level-high');
  readonly #clock = new Pl031(this.#host, this.#irq);
  #seconds = 0;
  #match = 0;
  #armed = false;
  #raw = false;
  #mask = false;

  generate(random: Random): ClockInput {
    const what = pick(random, ['match', 'match', 'load', 'mask', 'clear', 'advance'] as const);
    return [what, what === 'mask' ? random.below(2) : what === 'clear' ? 1 : what === 'advance' ? random.below(30) : (this.#seconds + random.below(40)) >>> 0];
  }

  check([what, value]: ClockInput): Depth {
    switch (what) {
      case 'advance':
        this.#host.scheduler.advance(value * 1_000_000_000);
        if (this.#armed && value >= this.#match - this.#seconds) this.#ring();
        this.#seconds += value;
        break;
      case 'mask':
        this.#clock.write(PL031.IMSC, 4, value);
        this.#mask = value === 1;
        break;
      case 'clear':
        this.#clock.write(PL031.ICR, 4, 1);
        this.#raw = false;
        break;
      case 'match':
      case 'load':
        this.#clock.write(what === 'match' ? PL031.MR : PL031.LR, 4, value);
        if (what === 'match') this.#match = value;
        else this.#seconds = value;
        this.#armed = this.#match > this.#seconds;
        if (this.#match === this.#seconds) this.#ring();
    }
    same('seconds, interrupt and line', [this.#clock.read(PL031.DR), this.#clock.read(PL031.RIS), this.#irq.asserted], [this.#seconds, this.#raw ? 1 : 0, this.#raw && this.#mask]);
    if (this.#host.scheduler.threads.length > 1) throw new Error(`${this.#host.scheduler.threads.length} threads`);
    return 'succeeded';
  }

  #ring(): void {
    this.#raw = true;
    this.#armed = false;
  }
}

export const DOORS: readonly Door[] = [
  { name: 'device-tree', length: 100, open: () => new Trees() },
  { name: 'pl031', length: 100, open: () => new Clock() },
];
