/** The door of this package for fuzzers: device trees. */
import type { Random } from '@vsim/vfio-core';
import { pick, type Depth, type Door, type World } from '../../../testing/fuzz.ts';
import { describeDevices, FdtError, parseFdt } from '../src/index.ts';
import { Blob } from './blob.ts';

/** For a blob of some kilobytes; what grows too fast takes far more. */
const MOST_MS = 2500;
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
    const before = performance.now();
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
    const took = performance.now() - before;
    if (took > MOST_MS) throw new Error(`${bytes.length} bytes took ${Math.round(took)} ms`);
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

export const DOORS: readonly Door[] = [{ name: 'device-tree', length: 100, open: () => new Trees() }];
