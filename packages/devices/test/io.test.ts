/** I/O commands over /dev/vfio: data, PRPs and SGLs, each status with which they refuse, and full queues. */
import { describe, expect, it } from 'vitest';
import { MemoryStore, NVME_ADMIN, NVME_FEATURE, NVME_IO, NVME_REGISTER, NVME_STATUS, type BlockStore } from '../src/index.ts';
import { DATA, IOVA, PAGE, type Entry, type NvmeDriver } from './nvme-driver.ts';
import { BLOCK, BLOCKS, runningNvme } from './nvme-host.ts';

const { FLUSH, WRITE, READ, COMPARE, WRITE_ZEROES, DATASET_MANAGEMENT, WRITE_UNCORRECTABLE } = NVME_IO;
const UNMAPPED = 0x7000_0000;
const LIST = DATA + 0x10_0000;

function pattern(length: number, seed = 1): Uint8Array {
  return Uint8Array.from({ length }, (_, n) => (n * 7 + (n >> 9) + seed) & 0xff);
}

/** A command with data of `count` blocks at page-aligned DATA, by a PRP list. */
function listed(driver: NvmeDriver, opcode: number, count: number, listAt = LIST): Entry {
  const pages = Math.ceil((count * BLOCK) / PAGE) - 1;
  for (let n = 0; n < pages; n += 1) [IOVA + DATA + (n + 1) * PAGE, 0].forEach((word, i) => driver.memory.write(listAt + 8 * n + 4 * i, 4, word));
  return { opcode, namespace: 1, prp1: IOVA + DATA, prp2: IOVA + listAt, dwords: [0, 0, count - 1] };
}

function descriptors(driver: NvmeDriver, at: number, list: readonly (readonly [type: number, address: number, length: number])[]): void {
  list.forEach(([type, address, length], n) => [address, 0, length, type << 28].forEach((word, i) => driver.memory.write(at + 16 * n + 4 * i, 4, word)));
}

/** A command with an SGL descriptor in it. */
function sgl(opcode: number, count: number, type: number, address: number, length: number, flags = 0x40): Entry {
  return { opcode, flags, namespace: 1, sgl: [address, 0, length, type << 28], dwords: [0, 0, count - 1] };
}

describe('blocks', () => {
  it.each([512, 4096] as const)('of %d bytes are read as they were written, also by 64-bit block numbers', (blockSize) => {
    const { driver } = runningNvme({ namespaces: [{ store: new MemoryStore(2 ** 45), blockSize }] });
    const bytes = pattern(blockSize);
    driver.memory.writeBytes(DATA, bytes);
    const place = [0x10, 1, 0];
    driver.check(driver.run(1, { opcode: WRITE, namespace: 1, prp1: IOVA + DATA, dwords: place }));
    driver.check(driver.run(1, { opcode: READ, namespace: 1, prp1: IOVA + DATA + PAGE, dwords: place }));
    expect(driver.memory.readBytes(DATA + PAGE, blockSize)).toEqual(bytes);
    driver.check(driver.run(1, { opcode: READ, namespace: 1, prp1: IOVA + DATA + PAGE, dwords: [0x10, 0, 0] }));
    expect(driver.memory.readBytes(DATA + PAGE, blockSize)).toEqual(new Uint8Array(blockSize));
  });

  it('belong to their namespace', () => {
    const { driver } = runningNvme({ namespaces: [{ store: new MemoryStore(BLOCK) }, { store: new MemoryStore(BLOCK) }] });
    driver.check(driver.write(0, pattern(BLOCK)));
    driver.check(driver.run(1, { opcode: READ, namespace: 2, prp1: IOVA + DATA, dwords: [0, 0, 0] }));
    expect(driver.memory.readBytes(DATA, BLOCK)).toEqual(new Uint8Array(BLOCK));
  });

  it('are compared', () => {
    const { driver } = runningNvme();
    driver.check(driver.write(3, pattern(BLOCK)));
    expect(driver.run(1, driver.transfer(COMPARE, 3, 1, DATA)).status).toBe(0);
    driver.memory.write(DATA + 100, 1, 0);
    expect(driver.run(1, driver.transfer(COMPARE, 3, 1, DATA)).status).toBe(NVME_STATUS.COMPARE_FAILURE);
  });

  it('are zeroed, more than a transfer may have, and no others', () => {
    const { driver } = runningNvme();
    for (const at of [0, 1, 2000, 2001]) driver.check(driver.write(at, pattern(BLOCK)));
    driver.check(driver.run(1, { opcode: WRITE_ZEROES, namespace: 1, dwords: [1, 0, 1999] }));
    const zero = [0, 1, 2000, 2001].map((at) => {
      driver.check(driver.read(at, 1));
      return driver.memory.readBytes(DATA, BLOCK).every((byte) => byte === 0);
    });
    expect(zero).toEqual([false, true, true, false]);
  });

  it('are deallocated, and read zero', () => {
    const store = new MemoryStore(BLOCKS * BLOCK);
    const { driver } = runningNvme({ namespaces: [{ store }] });
    for (const at of [0, 8, 16]) driver.check(driver.write(at, pattern(PAGE)));
    [0, 8, 0, 0, 0, 8, 16, 0].forEach((word, n) => driver.memory.write(DATA + 4 * n, 4, word));
    driver.check(driver.run(1, { opcode: DATASET_MANAGEMENT, namespace: 1, prp1: IOVA + DATA, dwords: [1, 3] }));
    expect(store.used).toBe(3 * PAGE);
    driver.check(driver.run(1, { opcode: DATASET_MANAGEMENT, namespace: 1, prp1: IOVA + DATA, dwords: [1, 4] }));
    expect(store.used).toBe(PAGE);
    driver.check(driver.read(16, 1));
    expect(driver.memory.readBytes(DATA, BLOCK)).toEqual(new Uint8Array(BLOCK));
  });

  it('stay whole where one of the ranges to deallocate lies outside', () => {
    const store = new MemoryStore(BLOCKS * BLOCK);
    const { driver } = runningNvme({ namespaces: [{ store }] });
    driver.check(driver.write(0, pattern(PAGE)));
    [0, 8, 0, 0, 0, 1, BLOCKS, 0].forEach((word, n) => driver.memory.write(DATA + 4 * n, 4, word));
    expect(driver.run(1, { opcode: DATASET_MANAGEMENT, namespace: 1, prp1: IOVA + DATA, dwords: [1, 4] }).status).toBe(NVME_STATUS.LBA_OUT_OF_RANGE);
    expect(store.used).toBe(PAGE);
  });
});

describe('flushing', () => {
  function flushed() {
    let count = 0;
    const store = Object.assign(new MemoryStore(BLOCKS * BLOCK), { flush: () => (count += 1) > 0 });
    return { ...runningNvme({ namespaces: [{ store }, { store }] }), count: () => count };
  }

  it('is of one namespace or of all', () => {
    const { driver, count } = flushed();
    driver.check(driver.run(1, { opcode: FLUSH, namespace: 1 }));
    expect(count()).toBe(1);
    driver.check(driver.run(1, { opcode: FLUSH, namespace: -1 }));
    expect(count()).toBe(3);
    expect(driver.run(1, { opcode: FLUSH, namespace: 3 }).status).toBe(NVME_STATUS.INVALID_FIELD);
  });

  it('is part of a write with FUA, and of each write with the cache off', () => {
    const { driver, count } = flushed();
    driver.check(driver.write(0, pattern(BLOCK)));
    expect(count()).toBe(0);
    driver.check(driver.run(1, { ...driver.transfer(WRITE, 0, 1, DATA), dwords: [0, 0, 0x4000_0000] }));
    expect(count()).toBe(1);
    driver.check(driver.admin({ opcode: NVME_ADMIN.SET_FEATURES, dwords: [NVME_FEATURE.VOLATILE_WRITE_CACHE, 0] }));
    driver.check(driver.write(0, pattern(BLOCK)));
    expect(count()).toBe(2);
  });
});

describe('a medium that breaks', () => {
  const broken: BlockStore = { size: 4 * BLOCK, read: () => false, write: () => false, flush: () => false };

  it.each([
    ['read', READ, NVME_STATUS.UNRECOVERED_READ_ERROR],
    ['compare', COMPARE, NVME_STATUS.UNRECOVERED_READ_ERROR],
    ['write', WRITE, NVME_STATUS.WRITE_FAULT],
    ['flush', FLUSH, NVME_STATUS.WRITE_FAULT],
    ['zeroes', WRITE_ZEROES, NVME_STATUS.WRITE_FAULT],
  ])('fails a %s', (_, opcode, status) => {
    const { driver } = runningNvme({ namespaces: [{ store: broken }] });
    expect(driver.run(1, driver.transfer(opcode, 0, 1, DATA))).toMatchObject({ status, retry: true });
  });

  it('that cannot deallocate keeps its data, and writes zeroes itself', () => {
    const memory = new MemoryStore(BLOCKS * BLOCK);
    const plain: BlockStore = { size: memory.size, read: (at, into) => memory.read(at, into), write: (at, from) => memory.write(at, from) };
    const { driver } = runningNvme({ namespaces: [{ store: plain }] });
    driver.check(driver.write(0, pattern(2 * BLOCK)));
    [0, 2, 0, 0].forEach((word, n) => driver.memory.write(DATA + PAGE + 4 * n, 4, word));
    driver.check(driver.run(1, { opcode: DATASET_MANAGEMENT, namespace: 1, prp1: IOVA + DATA + PAGE, dwords: [0, 4] }));
    driver.check(driver.run(1, { opcode: WRITE_ZEROES, namespace: 1, dwords: [1, 0, 300] }));
    driver.check(driver.read(0, 2));
    expect(driver.memory.readBytes(DATA, 2 * BLOCK)).toEqual(Uint8Array.from([...pattern(2 * BLOCK).subarray(0, BLOCK), ...new Uint8Array(BLOCK)]));
  });
});

describe('commands are refused', () => {
  it.each([
    ['with an opcode that there is not', { opcode: 0x7f }, NVME_STATUS.INVALID_OPCODE],
    ['as Write Uncorrectable', { opcode: WRITE_UNCORRECTABLE }, NVME_STATUS.INVALID_OPCODE],
    ['as fused ones', { flags: 1 }, NVME_STATUS.INVALID_FIELD],
    ['with the reserved way to data', { flags: 0xc0 }, NVME_STATUS.INVALID_FIELD],
    ['for namespace 0', { namespace: 0 }, NVME_STATUS.INVALID_NAMESPACE],
    ['for a namespace above the highest', { namespace: 17 }, NVME_STATUS.INVALID_NAMESPACE],
    ['for a namespace that is not active', { namespace: 2 }, NVME_STATUS.INVALID_FIELD],
    ['for all namespaces', { namespace: -1 }, NVME_STATUS.INVALID_NAMESPACE],
    ['behind the last block', { dwords: [BLOCKS, 0, 0] }, NVME_STATUS.LBA_OUT_OF_RANGE],
    ['over the last block', { dwords: [BLOCKS - 1, 0, 1] }, NVME_STATUS.LBA_OUT_OF_RANGE],
    ['at block 2^32', { dwords: [0, 1, 0] }, NVME_STATUS.LBA_OUT_OF_RANGE],
    ['at block 2^64 - 1', { dwords: [-1, -1, 0] }, NVME_STATUS.LBA_OUT_OF_RANGE],
    ['with more than a transfer may have', { dwords: [0, 0, 1024] }, NVME_STATUS.INVALID_FIELD],
    ['with data at no dword', { prp1: IOVA + DATA + 1 }, NVME_STATUS.INVALID_PRP_OFFSET],
    ['with a second page that has an offset', { prp1: IOVA + DATA + 0xf00, prp2: IOVA + DATA + PAGE + 4 }, NVME_STATUS.INVALID_PRP_OFFSET],
    ['with a list at no multiple of 8', { prp2: IOVA + LIST + 4, dwords: [0, 0, 16] }, NVME_STATUS.INVALID_PRP_OFFSET],
    ['with a list that cannot be read', { prp2: UNMAPPED, dwords: [0, 0, 16] }, NVME_STATUS.DATA_TRANSFER_ERROR],
    ['with data that cannot be reached', { prp1: UNMAPPED }, NVME_STATUS.DATA_TRANSFER_ERROR],
  ])('%s', (_, entry, status) => {
    for (const opcode of [READ, WRITE]) {
      const { driver } = runningNvme();
      const done = driver.run(1, { opcode, namespace: 1, prp1: IOVA + DATA, dwords: [0, 0, 0], ...entry });
      expect([done.status, done.retry]).toEqual([status, status === NVME_STATUS.DATA_TRANSFER_ERROR]);
    }
  });

  it('before anything is moved: a write with a fault in its second page writes nothing', () => {
    const { driver } = runningNvme();
    driver.memory.writeBytes(DATA, pattern(2 * PAGE));
    expect(driver.run(1, { opcode: WRITE, namespace: 1, prp1: IOVA + DATA, prp2: UNMAPPED, dwords: [0, 0, 15] }).status).toBe(NVME_STATUS.DATA_TRANSFER_ERROR);
    driver.check(driver.read(0, 1));
    expect(driver.memory.readBytes(DATA, BLOCK)).toEqual(new Uint8Array(BLOCK));
  });
});

describe('PRPs', () => {
  it('may begin within a page', () => {
    const { driver } = runningNvme();
    driver.memory.writeBytes(DATA + 0xe04, pattern(2 * BLOCK));
    driver.check(driver.run(1, { opcode: WRITE, namespace: 1, prp1: IOVA + DATA + 0xe04, prp2: IOVA + DATA + PAGE, dwords: [0, 0, 1] }));
    driver.check(driver.read(0, 2, DATA + 0x8000));
    expect(driver.memory.readBytes(DATA + 0x8000, 2 * BLOCK)).toEqual(pattern(2 * BLOCK));
  });

  it.each([LIST, LIST + 0xff0, LIST + 0xff8])('may be a list at 0x%s that goes on in another page', (listAt) => {
    const { driver } = runningNvme();
    const count = 64;
    const bytes = pattern(count * BLOCK);
    driver.memory.writeBytes(DATA, bytes);
    const entry = listed(driver, WRITE, count, LIST + 0x4000);
    // What fits into the first page, and a pointer to the rest.
    const room = (PAGE - (listAt % PAGE)) / 8;
    const fits = Math.min(room < 7 ? room - 1 : 7, 7);
    const rest = driver.memory.readBytes(LIST + 0x4000, 56);
    driver.memory.writeBytes(listAt, rest.subarray(0, 8 * fits));
    if (fits < 7) {
      driver.memory.write(listAt + 8 * fits, 4, IOVA + LIST + 0x2000);
      driver.memory.write(listAt + 8 * fits + 4, 4, 0);
      driver.memory.writeBytes(LIST + 0x2000, rest.subarray(8 * fits));
    }
    driver.check(driver.run(1, { ...entry, prp2: IOVA + listAt }));
    driver.memory.writeBytes(DATA, new Uint8Array(bytes.length));
    driver.check(driver.run(1, { ...entry, opcode: READ, prp2: IOVA + listAt }));
    expect(driver.memory.readBytes(DATA, bytes.length)).toEqual(bytes);
  });

  it('may be a list of the largest transfer', () => {
    const { driver } = runningNvme();
    const bytes = pattern(0x8_0000);
    driver.memory.writeBytes(DATA, bytes);
    driver.check(driver.run(1, listed(driver, WRITE, 1024)));
    driver.memory.writeBytes(DATA, new Uint8Array(bytes.length));
    driver.check(driver.run(1, listed(driver, READ, 1024)));
    expect(driver.memory.readBytes(DATA, bytes.length)).toEqual(bytes);
  });

  it.each([
    ['an entry with an offset', LIST, 8],
    ['a pointer to a list within a page', LIST + 0xff8, 8],
  ])('are refused with %s', (_, listAt, offset) => {
    const { driver } = runningNvme();
    const entry = listed(driver, READ, 64, listAt);
    driver.memory.write(listAt, 4, IOVA + LIST + offset);
    expect(driver.run(1, entry).status).toBe(NVME_STATUS.INVALID_PRP_OFFSET);
  });

  it('end with the data, also of lists that lead to themselves', () => {
    const { driver } = runningNvme();
    const entry = listed(driver, READ, 1024, LIST + 0xff8);
    driver.memory.write(LIST + 0xff8, 4, IOVA + LIST);
    for (let n = 0; n < 512; n += 1) driver.memory.write(LIST + 8 * n, 4, IOVA + LIST);
    expect(driver.run(1, entry).status).toBe(0);
  });
});

describe('SGLs', () => {
  const [BLOCKED, BUCKET, SEGMENT, LAST] = [0, 1, 2, 3];

  it.each([0x40, 0x80])('may be one data block of any alignment (PSDT 0x%s)', (flags) => {
    const { driver } = runningNvme();
    driver.memory.writeBytes(DATA + 3, pattern(2 * BLOCK));
    driver.check(driver.run(1, sgl(WRITE, 2, BLOCKED, IOVA + DATA + 3, 2 * BLOCK, flags)));
    driver.check(driver.run(1, sgl(READ, 2, BLOCKED, IOVA + DATA + 0x3001, 2 * BLOCK, flags)));
    expect(driver.memory.readBytes(DATA + 0x3001, 2 * BLOCK)).toEqual(pattern(2 * BLOCK));
  });

  it('may be segments, with pieces of any length and empty ones', () => {
    const { driver } = runningNvme();
    driver.check(driver.write(0, pattern(2 * BLOCK)));
    descriptors(driver, LIST, [[BLOCKED, IOVA + DATA + 0x1000, 5], [BLOCKED, 0, 0], [SEGMENT, IOVA + LIST + 0x100, 32]]);
    descriptors(driver, LIST + 0x100, [[BLOCKED, IOVA + DATA + 0x2000, 1000], [LAST, IOVA + LIST + 0x200, 16]]);
    descriptors(driver, LIST + 0x200, [[BLOCKED, IOVA + DATA + 0x3000, 19]]);
    driver.check(driver.run(1, sgl(READ, 2, SEGMENT, IOVA + LIST, 48)));
    const got = [[0x1000, 5], [0x2000, 1000], [0x3000, 19]].flatMap(([at, length]) => [...driver.memory.readBytes(DATA + at!, length!)]);
    expect(Uint8Array.from(got)).toEqual(pattern(2 * BLOCK));
  });

  it('may have a bit bucket, which takes data of a read and none of a write', () => {
    const { driver } = runningNvme();
    driver.check(driver.write(0, pattern(2 * BLOCK)));
    driver.memory.writeBytes(DATA, new Uint8Array(BLOCK));
    descriptors(driver, LIST, [[BUCKET, 0, BLOCK], [BLOCKED, IOVA + DATA, BLOCK]]);
    driver.check(driver.run(1, sgl(READ, 2, LAST, IOVA + LIST, 32)));
    expect(driver.memory.readBytes(DATA, BLOCK)).toEqual(pattern(2 * BLOCK).subarray(BLOCK));
    driver.check(driver.run(1, sgl(WRITE, 1, LAST, IOVA + LIST, 32)));
    driver.check(driver.read(0, 1));
    expect(driver.memory.readBytes(DATA, BLOCK)).toEqual(pattern(2 * BLOCK).subarray(BLOCK));
  });

  it.each([
    ['a type that there is not', sgl(READ, 1, 4, IOVA + DATA, BLOCK), [], NVME_STATUS.SGL_TYPE_INVALID],
    ['a subtype', { ...sgl(READ, 1, 0, 0, 0), sgl: [IOVA + DATA, 0, BLOCK, 1 << 24] }, [], NVME_STATUS.SGL_TYPE_INVALID],
    ['too few bytes', sgl(READ, 2, BLOCKED, IOVA + DATA, BLOCK), [], NVME_STATUS.SGL_LENGTH_INVALID],
    ['too many bytes', sgl(READ, 1, BLOCKED, IOVA + DATA, BLOCK + 1), [], NVME_STATUS.SGL_LENGTH_INVALID],
    ['an empty segment', sgl(READ, 1, LAST, IOVA + LIST, 0), [], NVME_STATUS.INVALID_SGL_SEGMENT],
    ['a segment of half a descriptor', sgl(READ, 1, LAST, IOVA + LIST, 24), [], NVME_STATUS.INVALID_SGL_SEGMENT],
    ['a segment that cannot be read', sgl(READ, 1, LAST, UNMAPPED, 16), [], NVME_STATUS.DATA_TRANSFER_ERROR],
    ['a segment that leads nowhere', sgl(READ, 1, SEGMENT, IOVA + LIST, 16), [[BLOCKED, IOVA + DATA, BLOCK]], NVME_STATUS.INVALID_SGL_SEGMENT],
    ['a segment descriptor in the middle', sgl(READ, 1, SEGMENT, IOVA + LIST, 32), [[LAST, IOVA + LIST + 0x100, 16], [BLOCKED, IOVA + DATA, BLOCK]], NVME_STATUS.INVALID_SGL_SEGMENT],
    ['a last segment that leads on', sgl(READ, 1, LAST, IOVA + LIST, 16), [[LAST, IOVA + LIST, 16]], NVME_STATUS.INVALID_SGL_SEGMENT],
    ['a type that there is not in a segment', sgl(READ, 1, LAST, IOVA + LIST, 16), [[5, IOVA + DATA, BLOCK]], NVME_STATUS.SGL_TYPE_INVALID],
    ['too many bytes in segments', sgl(READ, 1, LAST, IOVA + LIST, 32), [[BLOCKED, IOVA + DATA, BLOCK], [BLOCKED, IOVA + DATA, 1]], NVME_STATUS.SGL_LENGTH_INVALID],
    ['segments in a circle', sgl(READ, 1, SEGMENT, IOVA + LIST, 32), [[BLOCKED, 0, 0], [SEGMENT, IOVA + LIST, 32]], NVME_STATUS.INVALID_SGL_COUNT],
    ['a segment of 4 GiB', sgl(READ, 1, LAST, IOVA + LIST, -16), [], NVME_STATUS.INVALID_SGL_COUNT],
    ['data that cannot be reached', sgl(READ, 1, BLOCKED, UNMAPPED, BLOCK), [], NVME_STATUS.DATA_TRANSFER_ERROR],
  ] as readonly (readonly [string, Entry, readonly (readonly [number, number, number])[], number])[])('are refused with %s', (_, entry, list, status) => {
    const { driver } = runningNvme();
    descriptors(driver, LIST, list);
    expect(driver.run(1, entry).status).toBe(status);
  });
});

describe('full queues', () => {
  it('of completions make commands wait until the driver takes some', () => {
    const { driver } = runningNvme({}, { entries: 4 });
    for (let n = 0; n < 3; n += 1) driver.put(1, driver.transfer(READ, n, 1, DATA));
    driver.ring(1);
    expect(driver.peek(1)).toHaveLength(3);
    for (let n = 3; n < 5; n += 1) driver.put(1, driver.transfer(READ, n, 1, DATA));
    driver.ring(1);
    expect(driver.peek(1)).toHaveLength(3);
    const first = driver.reap(1, 1);
    expect([first[0]?.head, driver.peek(1).length]).toEqual([1, 3]);
    expect([...first, ...driver.reap(1), ...driver.reap(1)].map(({ id }) => id)).toEqual([...Array(5).keys()].map((n) => first[0]!.id + n));
  });

  it('of submissions refuse a tail with more entries than there is room for', () => {
    const { driver, events } = runningNvme({}, { entries: 4 });
    const tails = [3, 2, 3].map((tail) => {
      driver.registers.write(NVME_REGISTER.DOORBELLS + 8, 4, tail);
      return events.filter(({ id }) => id === 'nvme/bad-doorbell').length;
    });
    expect(tails).toEqual([0, 0, 1]);
  });

  it('wrap: a thousand commands through queues of four', () => {
    const { driver } = runningNvme({}, { entries: 4 });
    for (let n = 0; n < 1000; n += 1) driver.check(driver.write(n % 8, Uint8Array.from({ length: BLOCK }, () => n & 0xff)));
    driver.check(driver.read(7, 1));
    expect(driver.memory.read(DATA, 1)).toBe(999 & 0xff);
  });
});

describe('several queues', () => {
  it('with one completion queue take turns by the arbitration burst', () => {
    const { driver } = runningNvme({}, { queues: 2, entries: 16 });
    const order = (burst: number): string => {
      driver.enable();
      driver.check(driver.admin({ opcode: NVME_ADMIN.SET_FEATURES, dwords: [NVME_FEATURE.ARBITRATION, burst] }));
      driver.check(driver.admin({ opcode: NVME_ADMIN.CREATE_CQ, prp1: IOVA + driver.cq(1), dwords: [(1 << 16) | 1, 3] }));
      for (const id of [1, 2]) driver.check(driver.admin({ opcode: NVME_ADMIN.CREATE_SQ, prp1: IOVA + driver.sq(id), dwords: [(15 << 16) | id, 0x1_0001] }));
      // The completion queue has room for one: what was rung waits, and is taken in turn when there is room.
      for (const id of [1, 2]) {
        for (let n = 0; n < 5; n += 1) driver.put(id, { opcode: FLUSH, namespace: 1 });
        driver.ring(id);
      }
      let found = '';
      for (let n = 0, head = 0; n < 10; n += 1) {
        found += String(driver.memory.read(driver.cq(1) + 16 * head + 8, 4) >>> 16);
        head ^= 1;
        driver.registers.write(NVME_REGISTER.DOORBELLS + 12, 4, head);
      }
      return found;
    };
    expect([order(0), order(1), order(7)]).toEqual(['1212121212', '1122112212', '1111122222']);
  });
});
