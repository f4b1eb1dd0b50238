/** The state of the controller: what a migration carries, over the calls of a VMM, and what is refused. */
import { MIG_STATE, setMigrationState, type Process } from '@vsim/vfio-core';
import { migrationSuite, vfioDeviceSuite } from '@vsim/vfio-core/testing';
import { describe, expect, it } from 'vitest';
import { MemoryStore, NVME_ADMIN, NVME_FEATURE, NVME_IO, NVME_REGISTER, NVME_STATUS, createNvme, type NvmeInit } from '../src/index.ts';
import { DATA, IOVA, NvmeDriver } from './nvme-driver.ts';
import { ADDRESS, BLOCK, BLOCKS, nvmeHost, runningNvme } from './nvme-host.ts';

const { STOP, STOP_COPY, RUNNING, RESUMING } = MIG_STATE;

function readState(process: Process, device: number): Uint8Array {
  const fd = setMigrationState(process, device, STOP_COPY);
  const bytes: number[] = [];
  const part = new Uint8Array(4096);
  for (let got = process.read(fd, part); got > 0; got = process.read(fd, part)) bytes.push(...part.subarray(0, got));
  setMigrationState(process, device, STOP);
  process.close(fd);
  return Uint8Array.from(bytes);
}

/** Another machine with the same stores, where the driver goes on with its memory. */
function moved(from: { readonly driver: NvmeDriver; readonly process: Process }, init: NvmeInit) {
  const state = readState(from.process, from.driver.opened.device);
  const to = nvmeHost(init);
  const driver = new NvmeDriver(to.process, ADDRESS, { queues: from.driver.queues, entries: from.driver.entries });
  driver.memory.writeBytes(0, from.driver.memory.readBytes(0, DATA + 0x1_0000));
  driver.takeOver(from.driver);
  const fd = setMigrationState(to.process, driver.opened.device, RESUMING);
  for (let at = 0; at < state.length; at += 4096) to.process.write(fd, state.subarray(at, at + 4096));
  setMigrationState(to.process, driver.opened.device, STOP);
  to.process.close(fd);
  setMigrationState(to.process, driver.opened.device, RUNNING);
  return { ...to, driver, state };
}

describe('a migration', () => {
  it('carries queues, phases and commands in flight, over a shared store', () => {
    const init = { hold: true, namespaces: [{ store: new MemoryStore(BLOCKS * BLOCK) }] };
    const source = runningNvme(init, { entries: 4 });
    for (let n = 0; n < 6; n += 1) {
      source.driver.submit(1, source.driver.transfer(NVME_IO.WRITE, n, 1, DATA));
      source.disk.serve();
      source.driver.reap(1);
    }
    const ids = [7, 8].map((n) => source.driver.submit(1, source.driver.transfer(NVME_IO.READ, n, 1, DATA)));
    const { driver, disk, state } = moved(source, init);
    expect(state.length).toBeLessThan(disk.stateLimit);
    expect(disk.inFlight.map(({ command }) => command)).toEqual(ids);
    disk.serve(2);
    expect(driver.reap(1).map(({ id, status }) => [id, status])).toEqual(ids.map((id) => [id, 0]));
    expect(driver.identify(1, 0).status).toBe(0);
  });

  it('lets a controller that does not hold go on with what was in flight', () => {
    const namespaces = [{ store: new MemoryStore(BLOCKS * BLOCK) }];
    const source = runningNvme({ hold: true, namespaces });
    const id = source.driver.submit(1, source.driver.transfer(NVME_IO.READ, 0, 1, DATA));
    const { driver } = moved(source, { namespaces });
    expect(driver.reap(1)).toMatchObject([{ id, status: 0 }]);
  });

  it('carries features, event requests and logs', () => {
    const init = { namespaces: [{ store: new MemoryStore(BLOCKS * BLOCK) }] };
    const source = runningNvme(init);
    source.driver.check(source.driver.admin({ opcode: NVME_ADMIN.SET_FEATURES, dwords: [NVME_FEATURE.VOLATILE_WRITE_CACHE, 0] }));
    source.driver.read(BLOCKS, 1);
    const request = source.driver.submit(0, { opcode: NVME_ADMIN.ASYNC_EVENT_REQUEST });
    const { driver } = moved(source, init);
    expect(driver.admin({ opcode: NVME_ADMIN.GET_FEATURES, dwords: [NVME_FEATURE.VOLATILE_WRITE_CACHE] }).result).toBe(0);
    driver.check(driver.admin({ opcode: NVME_ADMIN.GET_LOG_PAGE, prp1: IOVA + DATA, dwords: [(15 << 16) | 1] }));
    expect([driver.memory.read(DATA, 4), (driver.memory.read(DATA + 12, 2) >> 1) & 0x7ff]).toEqual([1, NVME_STATUS.LBA_OUT_OF_RANGE]);
    driver.registers.write(NVME_REGISTER.DOORBELLS + 8, 4, 99);
    expect(driver.reap(0)).toMatchObject([{ id: request, result: 0x0001_0100 }]);
  });

  it('lets doorbells wait while it is stopped', () => {
    const { driver, disk, process } = runningNvme();
    driver.raised();
    setMigrationState(process, driver.opened.device, STOP);
    expect(disk.isStopped).toBe(true);
    const id = driver.submit(1, { opcode: NVME_IO.FLUSH, namespace: 1 });
    expect([driver.peek(1), driver.raised()]).toEqual([[], [0, 0]]);
    setMigrationState(process, driver.opened.device, RUNNING);
    expect([driver.reap(1)[0]?.id, driver.raised()]).toEqual([id, [0, 1]]);
  });

  it('lets nothing go on while it is stopped, whoever asks', () => {
    const { driver, disk } = runningNvme({ hold: true });
    driver.submit(0, { opcode: NVME_ADMIN.ASYNC_EVENT_REQUEST });
    driver.check(driver.admin({ opcode: NVME_ADMIN.SET_FEATURES, dwords: [NVME_FEATURE.ASYNC_EVENT, 0x102] }));
    const id = driver.submit(1, { opcode: NVME_IO.FLUSH, namespace: 1 });
    disk.stop();
    disk.temperature = 400;
    disk.hold = false;
    expect([disk.serve(1), driver.peek(0), driver.peek(1)]).toEqual([0, [], []]);
    disk.start();
    expect([driver.reap(0)[0]?.result, driver.reap(1)[0]?.id]).toEqual([0x0002_0101, id]);
  });

  it('logs the pages that it writes', () => {
    const { driver, disk } = runningNvme();
    disk.dmaLog.start([{ iova: BigInt(IOVA), length: 0x20_0000n }], 4096n);
    driver.check(driver.run(1, driver.transfer(NVME_IO.READ, 0, 1, DATA + 0x3000)));
    const pages: bigint[] = [];
    disk.dmaLog.readAndClear({ iova: BigInt(IOVA), length: 0x20_0000n }, (iova) => pages.push(iova));
    expect(pages).toEqual([BigInt(IOVA + driver.cq(1)), BigInt(IOVA + DATA + 0x3000)]);
  });
});

describe('a state', () => {
  it.each([
    ['another serial number', { serial: 'OTHER' }],
    ['other namespaces', { namespaces: [{ store: new MemoryStore(BLOCK) }] }],
    ['more queues', { ioQueues: 17 }],
    ['other names', { firmware: '2' }],
  ])('is refused by a controller with %s, with a reason', (_, init) => {
    const { disk } = runningNvme();
    const other = nvmeHost(init);
    const before = other.disk.save();
    expect(other.disk.load(disk.save())).toBe(false);
    expect(other.events.filter(({ id }) => id === 'nvme/state-refused')).toHaveLength(1);
    expect(other.disk.save()).toEqual(before);
  });

  it('is taken by its like, and given back as it was', () => {
    const { driver, disk } = runningNvme({ hold: true });
    driver.submit(1, driver.transfer(NVME_IO.READ, 0, 1, DATA));
    disk.detach(1);
    disk.attach(1, { store: new MemoryStore(BLOCKS * BLOCK) });
    const other = nvmeHost().disk;
    expect([other.load(disk.save()), other.save()]).toEqual([true, disk.save()]);
  });

  it('of any length but its own is refused', () => {
    const { disk } = runningNvme();
    const state = disk.save();
    const other = nvmeHost().disk;
    for (let length = 0; length < state.length; length += 13) expect(other.load(state.subarray(0, length))).toBe(false);
    expect(other.load(Uint8Array.from([...state, 0]))).toBe(false);
  });

  it('keeps its size below the limit with everything in flight', () => {
    const { driver, disk } = runningNvme({ hold: true, ioQueues: 1, vectors: 2 });
    for (let n = 0; n < 1024; n += 1) driver.submit(1, { opcode: NVME_IO.FLUSH, namespace: 1 });
    for (let n = 0; n < 4; n += 1) driver.submit(0, { opcode: NVME_ADMIN.ASYNC_EVENT_REQUEST });
    const state = disk.save();
    expect([disk.inFlight.length, state.length <= disk.stateLimit]).toEqual([1024, true]);
  });
});

describe('the device', () => {
  for (const { name, run } of migrationSuite(() => {
    const { process, driver } = runningNvme();
    return { process, device: driver.opened.device };
  })) it(name, run);

  for (const { name, run } of vfioDeviceSuite(() => {
    const { process, bus, disk } = nvmeHost();
    bus.plug(createNvme(disk.host, '0000:00:06.0'), { group: 9 });
    process.writeFile(`/sys/bus/pci/devices/0000:00:06.0/driver_override`, 'nvme-vfio-pci');
    process.writeFile('/sys/bus/pci/drivers_probe', '0000:00:06.0');
    return { process, device: '0000:00:06.0', group: 9, unbind: () => process.start('unbind', process.sys.writeFile(`${bus.sysfs}/drivers/nvme-vfio-pci/unbind`, '0000:00:06.0')) };
  })) it(`as any VFIO device: ${name}`, run);
});
