import { describe, expect, it } from 'vitest';
import { fc, parameters } from '../../../../testing/random.ts';
import { AddressSpace } from './address-space.ts';
import { fill, read64AsNumber, readWords, write64FromNumber, writeWords } from './memory.ts';
import { PAGE_SIZE, PageAllocator, type PageRun } from './page-allocator.ts';
import { PhysicalMemory } from './physical-memory.ts';
import { hex, highHalf, lowHalf, toBigint, toNumber } from './u64.ts';

const BASE = 0x4000_0000;

it('a few bytes go across the border of a chunk, also where only one was ever written', () => {
  const memory = new AddressSpace([{ base: BASE, size: 0x2_0000 }]);
  memory.writeBytes(BASE + 0xfffe, Uint8Array.of(1, 2, 3, 4));
  const into = new Uint8Array(6);
  memory.readBytes(BASE + 0xfffd, into);
  expect([...into]).toEqual([0, 1, 2, 3, 4, 0]);
});

describe('words at once', () => {
  const words = Uint32Array.of(0x0403_0201, 0x0807_0605);
  const memories = { ram: new PhysicalMemory([{ base: BASE, size: 0x1_0000 }]), 'an address space': new AddressSpace([{ base: BASE, size: 0x1_0000 }]) };

  it.each(Object.entries(memories))('are read as they were written, at any address: %s', (_name, memory) => {
    // In a chunk, unaligned, and across two.
    for (const at of [BASE + 0x100, BASE + 0x203, BASE + 0x3ffc]) {
      const into = new Uint32Array(2);
      expect([writeWords(memory, at, words, 2), memory.read8(at + 5), readWords(memory, at, into, 2), into]).toEqual([true, 6, true, words]);
    }
  });

  it.each(Object.entries(memories))('are written all or none: %s', (_name, memory) => {
    const end = BASE + 0x1_0000;
    expect([writeWords(memory, end - 4, words, 2), memory.read32(end - 4)]).toEqual([false, 0]);
    expect(writeWords(memory, end, words, 1)).toBe(false);
  });
});

describe('64-bit halves', () => {
  it('agree with bigint', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }), (value) => {
        expect(toBigint(lowHalf(value), highHalf(value))).toBe(value);
        expect(BigInt(lowHalf(value))).toBe(value & 0xffff_ffffn);
        if (value < 1n << 53n) {
          expect(toNumber(lowHalf(value), highHalf(value))).toBe(Number(value));
          expect(highHalf(Number(value))).toBe(highHalf(value));
        }
      }),
      parameters(10),
    );
    expect(hex(0xfee0_0000, 16)).toBe('0x00000000fee00000');
  });
});

describe('PhysicalMemory', () => {
  it('holds what was written, at every width and alignment', () => {
    const access = fc.record({
      at: fc.integer({ min: 0, max: 0x2_0000 - 8 }),
      width: fc.constantFrom(1, 2, 4, 7),
      value: fc.nat(0xffff_ffff),
    });
    fc.assert(
      fc.property(fc.array(access, { maxLength: 40 }), (writes) => {
        const memory = new PhysicalMemory([{ base: BASE, size: 0x2_0000 }]);
        const naive = new DataView(new ArrayBuffer(0x2_0000));
        for (const { at, width, value } of writes) {
          if (width === 1) {
            memory.write8(BASE + at, value);
            naive.setUint8(at, value);
          } else if (width === 2) {
            memory.write16(BASE + at, value);
            naive.setUint16(at, value, true);
          } else if (width === 4) {
            memory.write32(BASE + at, value);
            naive.setUint32(at, value, true);
          } else {
            const bytes = new Uint8Array(7).fill(value);
            memory.writeBytes(BASE + at, bytes);
            new Uint8Array(naive.buffer).set(bytes, at);
          }
          expect(memory.read8(BASE + at)).toBe(naive.getUint8(at));
          expect(memory.read16(BASE + at)).toBe(naive.getUint16(at, true));
          expect(memory.read32(BASE + at)).toBe(naive.getUint32(at, true));
        }
        const all = new Uint8Array(0x2_0000);
        memory.readBytes(BASE, all);
        expect(all).toEqual(new Uint8Array(naive.buffer));
      }),
      parameters(2),
    );
  });

  it('reads ones outside of RAM, writes nothing there, and says so beforehand', () => {
    const memory = new PhysicalMemory([{ base: BASE, size: 0x1_0000 }]);
    memory.write32(BASE - 4, 1);
    expect([memory.read8(BASE - 1), memory.read16(0), memory.read32(BASE - 4)]).toEqual([0xff, 0xffff, 0xffff_ffff]);
    expect(memory.accessible(BASE, 0x1_0000)).toBe(true);
    expect(memory.accessible(BASE, 0x1_0001)).toBe(false);
    expect(() => new PhysicalMemory([])).toThrow(RangeError);
    expect(() => new PhysicalMemory([{ base: 1, size: 0x1_0000 }])).toThrow(/64 KiB/);
    expect(() => new PhysicalMemory([{ base: 0, size: 0x2_0000 }, { base: 0x1_0000, size: 0x1_0000 }])).toThrow(/overlap/);
  });

  it('stores 64 bits as a number, fills and clears', () => {
    const memory = new PhysicalMemory([{ base: BASE, size: 0x2_0000 }]);
    write64FromNumber(memory, BASE + 4, 0x1_2345_6789_abcd);
    expect(read64AsNumber(memory, BASE + 4)).toBe(0x1_2345_6789_abcd);
    fill(memory, BASE, 0x1_8000, 0xa5);
    memory.clear(BASE + 1, 0x1_0000);
    expect([memory.read8(BASE), memory.read8(BASE + 1), memory.read8(BASE + 0x1_0000), memory.read8(BASE + 0x1_0001)]).toEqual([
      0xa5, 0, 0, 0xa5,
    ]);
  });
});

describe('bytes that nobody wrote', () => {
  it('are zero as far as untouched() says, up to the first that was written or the end of RAM', () => {
    const size = 0x40_0000;
    const write = fc.integer({ min: 0, max: size - 1 });
    fc.assert(
      fc.property(fc.array(write, { maxLength: 3 }), write, (writes, from) => {
        const memory = new AddressSpace([{ base: BASE, size }]);
        for (const at of writes) memory.write8(BASE + at, 1);
        const next = Math.min(size, ...writes.filter((at) => at >= from));
        expect(memory.untouched(BASE + from)).toBeLessThanOrEqual(next - from);
      }),
      parameters(10),
    );
    const memory = new AddressSpace([{ base: BASE, size }]);
    memory.write8(BASE + 0x12_3456, 1);
    expect(memory.untouched(BASE + 0xf_ffff)).toBeGreaterThan(0);
    expect(memory.untouched(BASE + 0x12_3456)).toBe(0);
    expect(memory.untouched(BASE - 1)).toBe(0);
    expect(memory.untouched(BASE + size)).toBe(0);
  });
});

describe('AddressSpace', () => {
  it('sends accesses to RAM or to the device at the address, with width and requester', () => {
    const space = new AddressSpace([{ base: BASE, size: 0x1_0000 }]);
    const log: unknown[] = [];
    const unmap = space.map(0x1000, 0x100, {
      read: (offset, width) => (log.push(['read', offset, width]), 0x1_0000_00ff),
      write: (...args) => log.push(['write', ...args]),
    });
    expect(space.read8(0x1004)).toBe(0xff);
    space.write16(0x1010, 0x1_2345, 8);
    space.write64(0x1020, 1, 2, 9);
    expect(log).toEqual([
      ['read', 4, 1],
      ['write', 0x10, 2, 0x2345, 8],
      ['write', 0x20, 4, 1, 9],
      ['write', 0x24, 4, 2, 9],
    ]);
    space.write32(BASE, 7);
    expect([space.read32(BASE), space.isRam(BASE, 4), space.isRam(0x1000, 4), space.accessible(0x10fe, 4)]).toEqual([7, true, false, false]);
    expect(() => space.map(0x10ff, 1, { read: () => 0, write: () => undefined })).toThrow(/free range/);
    expect(() => space.map(BASE - 1, 2, { read: () => 0, write: () => undefined })).toThrow(/free range/);
    unmap();
    expect(space.read32(0x1000)).toBe(0xffff_ffff);
  });

  it('moves bytes in pieces where they are not all of one: nothing, RAM, registers', () => {
    const space = new AddressSpace([{ base: BASE, size: 0x1_0000 }]);
    const log: unknown[] = [];
    space.map(BASE + 0x1_0000, 2, { read: (offset, width) => (log.push(['read', offset, width]), 0xa0 + offset), write: (...args) => log.push(['write', ...args]) });
    const sent = Uint8Array.from({ length: 0x1_0000 + 4 }, (_, i) => (i * 7) & 0x7f);
    space.writeBytes(BASE - 1, sent);
    const into = new Uint8Array(sent.length);
    space.readBytes(BASE - 1, into);
    const expected = sent.slice();
    for (const [at, value] of [[0, 0xff], [0x1_0001, 0xa0], [0x1_0002, 0xa1], [0x1_0003, 0xff]] as const) expected[at] = value;
    expect(into).toEqual(expected);
    expect(log).toEqual([['write', 0, 1, sent[0x1_0001], 0], ['write', 1, 1, sent[0x1_0002], 0], ['read', 0, 1], ['read', 1, 1]]);
  });
});

describe('PageAllocator', () => {
  it('never hands a frame out twice, joins holes again, and gives zeroed pages', () => {
    const operation = fc.record({ take: fc.boolean(), count: fc.integer({ min: 1, max: 9 }), which: fc.nat() });
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 60 }), (operations) => {
        const ram = new PhysicalMemory([{ base: BASE, size: 0x4_0000 }]);
        const pages = new PageAllocator(ram);
        const runs: PageRun[] = [];
        const owned = new Set<number>();
        for (const { take, count, which } of operations) {
          if (take) {
            const run = pages.allocate(count, which % 2 === 0 ? 1 : 4);
            if (run === undefined) continue;
            for (let frame = run.first; frame < run.first + count; frame += 1) {
              expect(owned.has(frame)).toBe(false);
              expect(ram.read32(frame * PAGE_SIZE)).toBe(0);
              ram.write32(frame * PAGE_SIZE, 0xdead);
              owned.add(frame);
            }
            runs.push(run);
          } else if (runs.length > 0) {
            const [run] = runs.splice(which % runs.length, 1);
            run!.get();
            run!.put();
            run!.put();
            for (let frame = run!.first; frame < run!.first + run!.count; frame += 1) owned.delete(frame);
          }
          expect(pages.used).toBe(owned.size);
        }
        for (const run of runs) run.put();
        expect(pages.allocate(0x40)).toBeDefined();
      }),
      parameters(2),
    );
  });
});
