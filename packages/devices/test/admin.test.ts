/** Admin commands over /dev/vfio: what they give, and each status with which they refuse. */
import { describe, expect, it } from 'vitest';
import { MemoryStore, NVME_ADMIN, NVME_CNS, NVME_FEATURE, NVME_LOG, NVME_REGISTER, NVME_STATUS } from '../src/index.ts';
import { DATA, IOVA, PAGE, type Completion, type NvmeDriver } from './nvme-driver.ts';
import { BLOCK, BLOCKS, runningNvme } from './nvme-host.ts';

const { CREATE_CQ, CREATE_SQ, DELETE_CQ, DELETE_SQ, GET_FEATURES, SET_FEATURES, GET_LOG_PAGE, ABORT, ASYNC_EVENT_REQUEST } = NVME_ADMIN;

function text(driver: NvmeDriver, at: number, length: number): string {
  return new TextDecoder().decode(driver.memory.readBytes(DATA + at, length));
}

function log(driver: NvmeDriver, id: number, bytes: number, flags = 0, offset = 0): Completion {
  return driver.admin({ opcode: GET_LOG_PAGE, prp1: IOVA + DATA, prp2: IOVA + DATA + PAGE, dwords: [((bytes / 4 - 1) << 16) | flags | id, 0, offset] });
}

function get(driver: NvmeDriver, feature: number, select = 0, argument = 0): Completion {
  return driver.admin({ opcode: GET_FEATURES, dwords: [(select << 8) | feature, argument] });
}

function set(driver: NvmeDriver, feature: number, argument: number, save = false, namespace = 0): Completion {
  return driver.admin({ opcode: SET_FEATURES, namespace, dwords: [(save ? 0x8000_0000 : 0) | feature, argument] });
}

describe('Identify', () => {
  it('of the controller tells names and limits', () => {
    const { driver } = runningNvme({ serial: 'ABC', model: 'A disk', firmware: '7', maxTransfer: 0x1_0000 });
    driver.check(driver.identify(NVME_CNS.CONTROLLER, 0));
    expect([text(driver, 4, 20), text(driver, 24, 40).trim(), text(driver, 64, 8)]).toEqual(['ABC                 ', 'A disk', '7       ']);
    expect([77, 258, 259, 261, 262, 512, 513, 525].map((at) => driver.memory.read(DATA + at, 1))).toEqual([4, 3, 3, 4, 15, 0x66, 0x44, 7]);
    expect([driver.memory.read(DATA + 80, 4), driver.memory.read(DATA + 516, 4), driver.memory.read(DATA + 520, 2), driver.memory.read(DATA + 536, 4)]).toEqual([0x1_0400, 16, 0x1d, 0x1_0001]);
    expect(driver.memory.read(DATA + 256, 2)).toBe(0);
    expect(text(driver, 768, 25)).toBe('nqn.2026-11.vsim:nvme:ABC');
  });

  it('of a namespace tells its blocks, and zeros of one that is not there', () => {
    const { driver } = runningNvme({ namespaces: [{ store: new MemoryStore(8192), blockSize: 4096 }] });
    driver.check(driver.identify(NVME_CNS.NAMESPACE, 1));
    expect([driver.memory.read(DATA, 4), driver.memory.read(DATA + 8, 4), driver.memory.read(DATA + 130, 1), driver.memory.read(DATA + 33, 1)]).toEqual([2, 2, 12, 9]);
    driver.check(driver.identify(NVME_CNS.NAMESPACE, 2));
    expect(driver.memory.readBytes(DATA, 4096).some((byte) => byte !== 0)).toBe(false);
  });

  it('lists the active namespaces above an id', () => {
    const store = new MemoryStore(BLOCK);
    const { driver, disk } = runningNvme({ namespaces: [{ store }, { store }, { store }] });
    disk.detach(2);
    driver.check(driver.identify(NVME_CNS.ACTIVE_LIST, 0));
    expect([0, 4, 8].map((at) => driver.memory.read(DATA + at, 4))).toEqual([1, 3, 0]);
    driver.check(driver.identify(NVME_CNS.ACTIVE_LIST, 1));
    expect([0, 4].map((at) => driver.memory.read(DATA + at, 4))).toEqual([3, 0]);
  });

  it('gives the NGUID of a namespace, which two namespaces do not share', () => {
    const guid = Uint8Array.from({ length: 16 }, (_, n) => n + 1);
    const store = new MemoryStore(BLOCK);
    const { driver } = runningNvme({ namespaces: [{ store, guid }, { store }, { store }] });
    const guids = [1, 2, 3].map((id) => {
      driver.check(driver.identify(NVME_CNS.DESCRIPTORS, id));
      expect([driver.memory.read(DATA, 1), driver.memory.read(DATA + 1, 1), driver.memory.read(DATA + 20, 1)]).toEqual([2, 16, 0]);
      return driver.memory.readBytes(DATA + 4, 16).join();
    });
    expect([guids[0], new Set(guids).size]).toEqual([guid.join(), 3]);
  });

  it.each([
    ['a page that there is not', 0x10, 0, NVME_STATUS.INVALID_FIELD],
    ['namespace 0', NVME_CNS.NAMESPACE, 0, NVME_STATUS.INVALID_NAMESPACE],
    ['a namespace above the highest', NVME_CNS.NAMESPACE, 17, NVME_STATUS.INVALID_NAMESPACE],
    ['all namespaces', NVME_CNS.NAMESPACE, -1, NVME_STATUS.INVALID_NAMESPACE],
    ['the list above the last id', NVME_CNS.ACTIVE_LIST, -2, NVME_STATUS.INVALID_NAMESPACE],
    ['descriptors of a namespace that is not active', NVME_CNS.DESCRIPTORS, 2, NVME_STATUS.INVALID_FIELD],
    ['descriptors of namespace 0', NVME_CNS.DESCRIPTORS, 0, NVME_STATUS.INVALID_NAMESPACE],
  ])('refuses %s, and for good', (_, cns, namespace, status) => {
    const { driver } = runningNvme();
    expect(driver.identify(cns, namespace)).toMatchObject({ status, retry: false });
  });

  it.each([
    ['an SGL', { flags: 0x40 }, NVME_STATUS.INVALID_FIELD],
    ['a fused command', { flags: 1 }, NVME_STATUS.INVALID_FIELD],
    ['data at no dword', { prp1: IOVA + DATA + 2 }, NVME_STATUS.INVALID_PRP_OFFSET],
    ['a second page with an offset', { prp1: IOVA + DATA + 8, prp2: IOVA + DATA + PAGE + 8 }, NVME_STATUS.INVALID_PRP_OFFSET],
    ['data that it cannot reach', { prp1: 0x7000_0000 }, NVME_STATUS.DATA_TRANSFER_ERROR],
  ])('refuses %s', (_, entry, status) => {
    const { driver } = runningNvme();
    const done = driver.admin({ opcode: NVME_ADMIN.IDENTIFY, prp1: IOVA + DATA, dwords: [NVME_CNS.CONTROLLER], ...entry });
    expect([done.status, done.retry]).toEqual([status, status === NVME_STATUS.DATA_TRANSFER_ERROR]);
  });
});

describe('opcodes', () => {
  it.each([NVME_ADMIN.FORMAT_NVM, NVME_ADMIN.KEEP_ALIVE, 0x0d, 0x10, 0x14, 0x7c, 0xff])('that it does not have are refused: 0x%s', (opcode) => {
    const { driver } = runningNvme();
    expect(driver.admin({ opcode })).toMatchObject({ status: NVME_STATUS.INVALID_OPCODE, retry: false });
  });
});

describe('queues', () => {
  const size = (entries: number, id: number): number => ((entries - 1) << 16) | id;

  it.each([
    ['queue 0', [size(16, 0), 3], NVME_STATUS.INVALID_QUEUE_ID],
    ['a queue that there is', [size(16, 1), 3], NVME_STATUS.INVALID_QUEUE_ID],
    ['a queue above those allotted', [size(16, 3), 3], NVME_STATUS.INVALID_QUEUE_ID],
    ['one entry', [size(1, 2), 3], NVME_STATUS.INVALID_QUEUE_SIZE],
    ['more entries than MQES', [size(65, 2), 3], NVME_STATUS.INVALID_QUEUE_SIZE],
    ['a queue in pieces', [size(16, 2), 2], NVME_STATUS.INVALID_FIELD],
    ['a vector that there is not', [size(16, 2), (17 << 16) | 3], NVME_STATUS.INVALID_INTERRUPT_VECTOR],
  ])('Create I/O Completion Queue refuses %s', (_, dwords, status) => {
    const { driver } = runningNvme({ maxEntries: 64 }, { queues: 2 });
    driver.check(driver.admin({ opcode: DELETE_SQ, dwords: [2] }));
    driver.check(driver.admin({ opcode: DELETE_CQ, dwords: [2] }));
    expect(driver.admin({ opcode: CREATE_CQ, prp1: IOVA + DATA, dwords }).status).toBe(status);
  });

  it.each([
    ['queue 0', [size(16, 0), (2 << 16) | 1], NVME_STATUS.INVALID_QUEUE_ID],
    ['a queue that there is', [size(16, 1), (2 << 16) | 1], NVME_STATUS.INVALID_QUEUE_ID],
    ['a queue above those allotted', [size(16, 4), (2 << 16) | 1], NVME_STATUS.INVALID_QUEUE_ID],
    ['completions to the admin queue', [size(16, 2), 1], NVME_STATUS.INVALID_QUEUE_ID],
    ['completions to a queue above those allotted', [size(16, 2), (4 << 16) | 1], NVME_STATUS.INVALID_QUEUE_ID],
    ['completions to a queue that was not made', [size(16, 2), (3 << 16) | 1], NVME_STATUS.COMPLETION_QUEUE_INVALID],
    ['one entry', [size(1, 2), (2 << 16) | 1], NVME_STATUS.INVALID_QUEUE_SIZE],
    ['more entries than MQES', [size(65, 2), (2 << 16) | 1], NVME_STATUS.INVALID_QUEUE_SIZE],
    ['a queue in pieces', [size(16, 2), 2 << 16], NVME_STATUS.INVALID_FIELD],
  ])('Create I/O Submission Queue refuses %s', (_, dwords, status) => {
    const { driver } = runningNvme({ maxEntries: 64 }, { queues: 3 });
    for (const id of [2, 3]) driver.check(driver.admin({ opcode: DELETE_SQ, dwords: [id] }));
    driver.check(driver.admin({ opcode: DELETE_CQ, dwords: [3] }));
    expect(driver.admin({ opcode: CREATE_SQ, prp1: IOVA + DATA, dwords }).status).toBe(status);
  });

  it('refuse an address that is not aligned to a page', () => {
    const { driver } = runningNvme({}, { queues: 2 });
    driver.check(driver.admin({ opcode: DELETE_SQ, dwords: [2] }));
    expect(driver.admin({ opcode: CREATE_SQ, prp1: IOVA + DATA + 64, dwords: [size(16, 2), (2 << 16) | 1] }).status).toBe(NVME_STATUS.INVALID_PRP_OFFSET);
    driver.check(driver.admin({ opcode: DELETE_CQ, dwords: [2] }));
    expect(driver.admin({ opcode: CREATE_CQ, prp1: IOVA + DATA + 16, dwords: [size(16, 2), 3] }).status).toBe(NVME_STATUS.INVALID_PRP_OFFSET);
  });

  it.each([
    ['of completions', 0x0006_0001, CREATE_CQ],
    ['of submissions', 0x0040_0001, CREATE_SQ],
  ])('refuse a size of entries %s that CC does not have', (_, cc, opcode) => {
    const { driver } = runningNvme();
    driver.enable(cc);
    if (opcode === CREATE_SQ) driver.check(driver.admin({ opcode: CREATE_CQ, prp1: IOVA + driver.cq(1), dwords: [size(16, 1), 3] }));
    expect(driver.admin({ opcode, prp1: IOVA + DATA, dwords: [size(16, 1), 0x1_0001 & (opcode === CREATE_SQ ? -1 : 0xffff)] }).status).toBe(NVME_STATUS.INVALID_QUEUE_SIZE);
  });

  it('are deleted in their order: a completion queue after its submission queues', () => {
    const { driver } = runningNvme();
    expect(driver.admin({ opcode: DELETE_CQ, dwords: [1] }).status).toBe(NVME_STATUS.INVALID_QUEUE_DELETION);
    expect(driver.admin({ opcode: DELETE_SQ, dwords: [1] }).status).toBe(0);
    expect(driver.admin({ opcode: DELETE_SQ, dwords: [1] }).status).toBe(NVME_STATUS.INVALID_QUEUE_ID);
    expect(driver.admin({ opcode: DELETE_CQ, dwords: [1] }).status).toBe(0);
    expect(driver.admin({ opcode: DELETE_CQ, dwords: [1] }).status).toBe(NVME_STATUS.INVALID_QUEUE_ID);
    for (const opcode of [DELETE_SQ, DELETE_CQ]) expect(driver.admin({ opcode, dwords: [0] }).status).toBe(NVME_STATUS.INVALID_QUEUE_ID);
    driver.forget();
  });
});

describe('features', () => {
  it('have defaults, are set, and are saved over a reset', () => {
    const { driver } = runningNvme();
    expect(get(driver, NVME_FEATURE.VOLATILE_WRITE_CACHE).result).toBe(1);
    driver.check(set(driver, NVME_FEATURE.VOLATILE_WRITE_CACHE, 0));
    driver.check(set(driver, NVME_FEATURE.ARBITRATION, 0x0302_0103, true));
    expect([0, 1, 2, 3].map((select) => get(driver, NVME_FEATURE.VOLATILE_WRITE_CACHE, select).result)).toEqual([0, 1, 1, 5]);
    driver.bringUp();
    expect([get(driver, NVME_FEATURE.VOLATILE_WRITE_CACHE).result, get(driver, NVME_FEATURE.ARBITRATION).result]).toEqual([1, 0x0302_0103]);
  });

  it('of queues are allotted up to those that there are, before the first is made', () => {
    const { driver } = runningNvme({ ioQueues: 3 });
    expect(set(driver, NVME_FEATURE.NUMBER_OF_QUEUES, 0).status).toBe(NVME_STATUS.COMMAND_SEQUENCE_ERROR);
    driver.enable();
    expect(set(driver, NVME_FEATURE.NUMBER_OF_QUEUES, 0x0008_0001).result).toBe(0x0002_0001);
    expect(get(driver, NVME_FEATURE.NUMBER_OF_QUEUES).result).toBe(0x0002_0001);
    expect(set(driver, NVME_FEATURE.NUMBER_OF_QUEUES, 0xffff).status).toBe(NVME_STATUS.INVALID_FIELD);
    expect(set(driver, NVME_FEATURE.NUMBER_OF_QUEUES, 0xffff_0000).status).toBe(NVME_STATUS.INVALID_FIELD);
  });

  it('of temperature have a threshold over and one under', () => {
    const { driver } = runningNvme();
    driver.check(set(driver, NVME_FEATURE.TEMPERATURE_THRESHOLD, 350));
    driver.check(set(driver, NVME_FEATURE.TEMPERATURE_THRESHOLD, 0x10_0000 | 280));
    expect([get(driver, NVME_FEATURE.TEMPERATURE_THRESHOLD).result, get(driver, NVME_FEATURE.TEMPERATURE_THRESHOLD, 0, 0x10_0000).result]).toEqual([350, 280]);
    expect([set(driver, NVME_FEATURE.TEMPERATURE_THRESHOLD, 0x1_0000).status, set(driver, NVME_FEATURE.TEMPERATURE_THRESHOLD, 0x20_0000).status]).toEqual([2, 2]);
  });

  it('of a vector say whether its interrupts are coalesced', () => {
    const { driver } = runningNvme({ vectors: 4 });
    driver.check(set(driver, NVME_FEATURE.INTERRUPT_VECTOR, 0x1_0002));
    expect([1, 2].map((vector) => get(driver, NVME_FEATURE.INTERRUPT_VECTOR, 0, vector).result)).toEqual([1, 0x1_0002]);
    expect([get(driver, NVME_FEATURE.INTERRUPT_VECTOR, 0, 4).status, set(driver, NVME_FEATURE.INTERRUPT_VECTOR, 4).status]).toEqual([2, 2]);
  });

  it.each([NVME_FEATURE.INTERRUPT_COALESCING, NVME_FEATURE.WRITE_ATOMICITY, NVME_FEATURE.ASYNC_EVENT, NVME_FEATURE.ERROR_RECOVERY])('0x%s is taken and given back', (feature) => {
    const { driver } = runningNvme();
    driver.check(set(driver, feature, 1));
    expect(get(driver, feature).result).toBe(1);
  });

  it.each([
    ['a feature that there is not', 0x03, 0, false, 0, NVME_STATUS.INVALID_FIELD],
    ['a power state that there is not', NVME_FEATURE.POWER_MANAGEMENT, 1, false, 0, NVME_STATUS.INVALID_FIELD],
    ['errors for deallocated blocks', NVME_FEATURE.ERROR_RECOVERY, 0x1_0000, false, 1, NVME_STATUS.INVALID_FIELD],
    ['to save what is not saved', NVME_FEATURE.NUMBER_OF_QUEUES, 0, true, 0, NVME_STATUS.FEATURE_NOT_SAVEABLE],
    ['one namespace, where it is of all', NVME_FEATURE.ARBITRATION, 0, false, 1, NVME_STATUS.FEATURE_NOT_NAMESPACE_SPECIFIC],
    ['a namespace that is not active', NVME_FEATURE.ERROR_RECOVERY, 0, false, 2, NVME_STATUS.INVALID_FIELD],
    ['a namespace above the highest', NVME_FEATURE.ERROR_RECOVERY, 0, false, 99, NVME_STATUS.INVALID_NAMESPACE],
  ])('refuse %s', (_, feature, argument, save, namespace, status) => {
    const { driver } = runningNvme();
    expect(set(driver, feature, argument, save, namespace).status).toBe(status);
  });

  it('refuse to be read where they are not, or by a select that there is not', () => {
    const { driver } = runningNvme();
    expect([get(driver, 0x7f).status, get(driver, NVME_FEATURE.ARBITRATION, 4).status]).toEqual([2, 2]);
  });
});

describe('log pages', () => {
  it('tell of errors, newest first, and count them', () => {
    const { driver } = runningNvme();
    const first = driver.admin({ opcode: 0xff });
    const second = driver.read(BLOCKS, 1);
    driver.check(log(driver, NVME_LOG.ERROR, 128));
    const entry = (n: number): readonly number[] => [driver.memory.read(DATA + 64 * n, 4), driver.memory.read(DATA + 64 * n + 8, 2), driver.memory.read(DATA + 64 * n + 10, 2), (driver.memory.read(DATA + 64 * n + 12, 2) >> 1) & 0x7ff];
    expect([entry(0), entry(1)]).toEqual([[2, 1, second.id, 0x80], [1, 0, first.id, 1]]);
    expect([driver.memory.read(DATA + 16, 4), driver.memory.read(DATA + 24, 4)]).toEqual([BLOCKS, 1]);
  });

  it('tell of health: temperature, data and errors', () => {
    const { driver, disk } = runningNvme();
    for (let n = 0; n < 3; n += 1) driver.write(n, new Uint8Array(BLOCK));
    driver.read(0, 1);
    driver.read(BLOCKS, 1);
    disk.temperature = 300;
    driver.check(log(driver, NVME_LOG.SMART, 512));
    expect([0, 3].map((at) => driver.memory.read(DATA + at, 1))).toEqual([0, 100]);
    expect([1, 32, 48, 64, 80, 176].map((at) => driver.memory.read(DATA + at, 1) + 256 * driver.memory.read(DATA + at + 1, 1))).toEqual([300, 1, 1, 1, 3, 1]);
  });

  it('tell of firmware and of namespaces that changed, until they were read', () => {
    const { driver, disk } = runningNvme();
    driver.check(log(driver, NVME_LOG.FIRMWARE, 512));
    expect([driver.memory.read(DATA, 1), text(driver, 8, 8)]).toEqual([1, '1.0     ']);
    disk.attach(3, { store: new MemoryStore(BLOCK) });
    disk.detach(1);
    const changed = (flags = 0): readonly number[] => {
      driver.check(log(driver, NVME_LOG.CHANGED_NAMESPACES, 12, flags));
      return [0, 4, 8].map((at) => driver.memory.read(DATA + at, 4));
    };
    expect([changed(0x8000), changed(), changed()]).toEqual([[1, 3, 0], [1, 3, 0], [0, 0, 0]]);
  });

  it('are read from an offset, with zeros behind their end', () => {
    const { driver } = runningNvme();
    driver.memory.writeBytes(DATA, new Uint8Array(64).fill(0xee));
    driver.check(log(driver, NVME_LOG.FIRMWARE, 16, 0, 504));
    expect([...driver.memory.readBytes(DATA, 17)]).toEqual([...new Array<number>(16).fill(0), 0xee]);
    driver.check(log(driver, NVME_LOG.FIRMWARE, 8, 0, 8));
    expect(text(driver, 0, 8)).toBe('1.0     ');
  });

  it.each([
    ['a page that there is not', 0x70, 0, 0, NVME_STATUS.INVALID_LOG_PAGE],
    ['an offset that is no dword', NVME_LOG.SMART, 2, 0, NVME_STATUS.INVALID_FIELD],
    ['an offset behind its end', NVME_LOG.SMART, 516, 0, NVME_STATUS.INVALID_FIELD],
    ['an offset of 4 GiB', NVME_LOG.SMART, 0, 1, NVME_STATUS.INVALID_FIELD],
  ])('refuse %s', (_, id, lo, hi, status) => {
    const { driver } = runningNvme();
    expect(driver.admin({ opcode: GET_LOG_PAGE, prp1: IOVA + DATA, dwords: [(3 << 16) | id, 0, lo, hi] }).status).toBe(status);
  });

  it('refuse more than a transfer may have', () => {
    const { driver } = runningNvme();
    expect(driver.admin({ opcode: GET_LOG_PAGE, prp1: IOVA + DATA, dwords: [NVME_LOG.ERROR, 0xffff] }).status).toBe(NVME_STATUS.INVALID_FIELD);
  });
});

describe('asynchronous events', () => {
  const request = (driver: NvmeDriver): number => driver.submit(0, { opcode: ASYNC_EVENT_REQUEST });

  it('are asked for up to a limit', () => {
    const { driver } = runningNvme();
    for (let n = 0; n < 4; n += 1) request(driver);
    expect(driver.peek(0)).toEqual([]);
    expect(driver.admin({ opcode: ASYNC_EVENT_REQUEST }).status).toBe(NVME_STATUS.AER_LIMIT_EXCEEDED);
  });

  it.each([
    ['a doorbell that there is not', NVME_REGISTER.DOORBELLS + 8 * 5, 1, 0x0001_0000],
    ['a doorbell of no queue at all', NVME_REGISTER.DOORBELLS + 0xff8, 1, 0x0001_0000],
    ['a tail outside its queue', NVME_REGISTER.DOORBELLS + 8, 16, 0x0001_0100],
    ['a head outside its queue', NVME_REGISTER.DOORBELLS + 12, 0xffff_ffff, 0x0001_0100],
    ['a head past the tail', NVME_REGISTER.DOORBELLS + 12, 1, 0x0001_0100],
  ])('tell of %s, and nothing else happens', (_, offset, value, event) => {
    const { driver, events } = runningNvme();
    const id = request(driver);
    driver.registers.write(offset, 4, value);
    expect(driver.reap(0)).toMatchObject([{ id, status: 0, result: event }]);
    expect(events.filter((each) => each.id === 'nvme/bad-doorbell')).toHaveLength(1);
    expect([driver.read(0, 1).status, driver.register(NVME_REGISTER.CSTS)]).toEqual([0, 1]);
  });

  it('wait for a request, and of a type for its log page', () => {
    const { driver } = runningNvme();
    driver.registers.write(NVME_REGISTER.DOORBELLS + 8, 4, 99);
    driver.registers.write(NVME_REGISTER.DOORBELLS + 8, 4, 99);
    request(driver);
    expect(driver.reap(0)).toHaveLength(1);
    request(driver);
    driver.registers.write(NVME_REGISTER.DOORBELLS + 80, 4, 0);
    driver.check(log(driver, NVME_LOG.ERROR, 64, 0x8000));
    expect(driver.peek(0)).toEqual([]);
    driver.submit(0, { opcode: GET_LOG_PAGE, prp1: IOVA + DATA, dwords: [(15 << 16) | NVME_LOG.ERROR] });
    expect(driver.reap(0).map(({ result }) => result)).toEqual([0, 0x0001_0000]);
    expect([driver.memory.read(DATA, 4), driver.memory.read(DATA + 8, 2), driver.memory.read(DATA + 10, 2)]).toEqual([3, 10, 0xffff]);
  });

  it('tell of temperature and namespaces where they were asked for', () => {
    const { driver, disk } = runningNvme();
    for (let n = 0; n < 2; n += 1) request(driver);
    disk.temperature = 400;
    disk.detach(1);
    expect(driver.peek(0)).toEqual([]);
    driver.check(set(driver, NVME_FEATURE.ASYNC_EVENT, 0x102));
    disk.temperature = 401;
    disk.attach(1, { store: new MemoryStore(BLOCK) });
    expect(driver.reap(0).map(({ result }) => result)).toEqual([0x0002_0101, 0x0004_0002]);
    driver.check(log(driver, NVME_LOG.SMART, 4));
    expect(driver.memory.read(DATA, 1)).toBe(2);
  });

  it('are withdrawn by Abort', () => {
    const { driver } = runningNvme();
    const id = request(driver);
    driver.submit(0, { opcode: ABORT, dwords: [id << 16] });
    const done = driver.reap(0);
    expect(done.map(({ status, result }) => [status, result])).toEqual([[0, 0], [NVME_STATUS.ABORT_REQUESTED, 0]]);
    expect(done[1]?.id).toBe(id);
    driver.registers.write(NVME_REGISTER.DOORBELLS + 8, 4, 99);
    expect(driver.peek(0)).toEqual([]);
  });
});

describe('Abort', () => {
  it('aborts nothing that is not in flight', () => {
    const { driver } = runningNvme();
    expect(driver.admin({ opcode: ABORT, dwords: [0x0007_0001] })).toMatchObject({ status: 0, result: 1 });
  });
});
