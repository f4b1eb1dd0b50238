/** Commands that stay in flight until they are let go. */
import { Host } from '@vsim/vfio-core';
import { describe, expect, it } from 'vitest';
import { MemoryStore, NVME_ADMIN, NVME_IO, NVME_REGISTER, NVME_STATUS } from '../src/index.ts';
import { bareController } from './bare-driver.ts';
import { RAM } from './bare-nvme.ts';
import { DATA, type NvmeDriver } from './nvme-driver.ts';
import { BLOCK, runningNvme } from './nvme-host.ts';

const { ABORT, DELETE_SQ, DELETE_CQ } = NVME_ADMIN;

/** `count` reads in flight, by their identifiers. */
function inFlight(count: number) {
  const made = runningNvme({ hold: true });
  const ids = Array.from({ length: count }, (_, n) => made.driver.submit(1, made.driver.transfer(NVME_IO.READ, n, 1, DATA)));
  return { ...made, ids };
}

function abort(driver: NvmeDriver, id: number): number {
  return driver.admin({ opcode: ABORT, dwords: [(id << 16) | 1] }).result;
}

describe('commands in flight', () => {
  it('are fetched, and complete oldest first as they are let go', () => {
    const { driver, disk, ids } = inFlight(3);
    expect([disk.inFlight.map(({ command }) => command), driver.peek(1)]).toEqual([ids, []]);
    expect(disk.serve(2)).toBe(2);
    expect(driver.reap(1).map(({ id, status, head }) => [id, status, head])).toEqual([[ids[0], 0, 3], [ids[1], 0, 3]]);
    expect([disk.serve(9), disk.serve(9), driver.reap(1).length]).toEqual([1, 0, 1]);
  });

  it('are all let go when commands are held no more', () => {
    const { driver, disk, ids } = inFlight(3);
    disk.hold = false;
    expect([driver.reap(1).map(({ id }) => id), disk.inFlight, driver.read(0, 1).status]).toEqual([ids, [], 0]);
  });

  it('are done when they are let go, not when they are fetched', () => {
    const { driver, disk } = runningNvme({ hold: true });
    driver.submit(1, driver.transfer(NVME_IO.WRITE, 0, 1, DATA));
    driver.submit(1, driver.transfer(NVME_IO.READ, 0, 1, DATA + 0x1000));
    driver.memory.writeBytes(DATA, new Uint8Array(BLOCK).fill(9));
    disk.serve(2);
    expect(driver.memory.readBytes(DATA + 0x1000, BLOCK)).toEqual(new Uint8Array(BLOCK).fill(9));
  });

  it('stay where their completion queue is full, and go on when there is room', () => {
    const { driver, disk } = runningNvme({ hold: true }, { entries: 4 });
    const ids: number[] = [];
    for (let n = 0; n < 5; n += 1) ids.push(driver.submit(1, { opcode: NVME_IO.FLUSH, namespace: 1 }));
    expect([disk.serve(5), disk.inFlight.length]).toEqual([3, 2]);
    const first = driver.reap(1);
    expect([disk.inFlight.length, disk.serve(5)]).toEqual([2, 2]);
    expect([...first, ...driver.reap(1)].map(({ id }) => id)).toEqual(ids);
  });

  it('do not hold up admin commands', () => {
    const { driver } = inFlight(3);
    expect(driver.identify(1, 0).status).toBe(0);
  });

  it('are 1024 at most: others wait in their queue', () => {
    const { driver, disk } = runningNvme({ hold: true });
    for (let n = 0; n < 1024; n += 1) driver.submit(1, { opcode: NVME_IO.FLUSH, namespace: 1 });
    driver.submit(1, { opcode: NVME_IO.FLUSH, namespace: 1 });
    expect(disk.inFlight).toHaveLength(1024);
    expect([disk.serve(1), disk.inFlight.length]).toEqual([1, 1024]);
  });
});

describe('Abort', () => {
  it('ends one with a status of its own, before the rest', () => {
    const { driver, disk, ids } = inFlight(3);
    expect(abort(driver, ids[1]!)).toBe(0);
    expect(driver.reap(1)).toMatchObject([{ id: ids[1], status: NVME_STATUS.ABORT_REQUESTED, retry: true }]);
    expect(abort(driver, ids[1]!)).toBe(1);
    disk.serve(9);
    expect(driver.reap(1).map(({ id, status }) => [id, status])).toEqual([[ids[0], 0], [ids[2], 0]]);
  });

  it('waits for room in the completion queue, and ends it once', () => {
    const { driver, disk } = runningNvme({ hold: true }, { entries: 4 });
    const ids = Array.from({ length: 4 }, () => driver.submit(1, { opcode: NVME_IO.FLUSH, namespace: 1 }));
    disk.serve(3);
    expect([abort(driver, ids[3]!), driver.peek(1).length, disk.serve(9)]).toEqual([0, 3, 0]);
    driver.reap(1);
    expect(driver.reap(1)).toMatchObject([{ id: ids[3], status: NVME_STATUS.ABORT_REQUESTED }]);
    expect(disk.inFlight).toEqual([]);
  });
});

describe('deletion of queues', () => {
  it('completes what it ended before itself', () => {
    const host = new Host();
    const disk = bareController(host, { hold: true, ioQueues: 1, namespaces: [{ store: new MemoryStore(BLOCK) }] });
    // The completion queues are on two pages that tell who is written.
    const written: number[] = [];
    host.memory.map(0x3000_0000, 0x2000, { read: () => 0, write: (at) => written.push(at) });
    const command = (queue: number, n: number, words: readonly number[]): void => {
      host.memory.writeBytes(RAM + 0x1000 * queue + 64 * n, new Uint8Array(Int32Array.of(...words, ...new Array<number>(16 - words.length).fill(0)).buffer));
      disk.writeBar(0, NVME_REGISTER.DOORBELLS + 8 * queue, 4, n + 1);
    };
    disk.writeBar(0, NVME_REGISTER.AQA, 4, 0x0007_0007);
    disk.writeBar64(0, NVME_REGISTER.ASQ, 0, 1);
    disk.writeBar64(0, NVME_REGISTER.ACQ, 0x3000_0000, 0);
    disk.writeBar(0, NVME_REGISTER.CC, 4, 0x0046_0001);
    command(0, 0, [NVME_ADMIN.CREATE_CQ, 0, 0, 0, 0, 0, 0x3000_1000, 0, 0, 0, 0x0007_0001, 1]);
    command(0, 1, [NVME_ADMIN.CREATE_SQ, 0, 0, 0, 0, 0, 0x1000, 1, 0, 0, 0x0007_0001, 0x1_0001]);
    command(1, 0, [NVME_IO.FLUSH, 1]);
    written.length = 0;
    command(0, 2, [DELETE_SQ, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    expect([...new Set(written.map((at) => at & ~15))]).toEqual([0x1000, 0x20]);
  });

  it('ends what is in flight with a status of its own', () => {
    const { driver, disk, ids } = inFlight(2);
    const deletion = driver.put(0, { opcode: DELETE_SQ, dwords: [1] });
    driver.raised();
    driver.ring(0);
    expect(driver.reap(1).map(({ id, status, queue }) => [id, status, queue])).toEqual(ids.map((id) => [id, NVME_STATUS.SQ_DELETED, 1]));
    expect(driver.reap(0)).toMatchObject([{ id: deletion, status: 0, result: 0 }]);
    expect([disk.serve(9), disk.inFlight.length]).toEqual([0, 0]);
  });

  it('forgets completions that wait for room in a queue that goes', () => {
    const { driver, disk } = runningNvme({ hold: true }, { entries: 4 });
    for (let n = 0; n < 5; n += 1) driver.submit(1, { opcode: NVME_IO.FLUSH, namespace: 1 });
    disk.serve(3);
    driver.check(driver.admin({ opcode: DELETE_SQ, dwords: [1] }));
    expect(disk.inFlight).toHaveLength(2);
    driver.check(driver.admin({ opcode: DELETE_CQ, dwords: [1] }));
    expect(disk.inFlight).toEqual([]);
  });
});
