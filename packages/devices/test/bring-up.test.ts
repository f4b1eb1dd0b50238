/** The controller as Linux's driver meets it: registers, enabling, resets, shutdown, interrupts. */
import { resetDevice } from '@vsim/vfio-core';
import { failOn } from '@vsim/vfio-core/testing';
import { describe, expect, it } from 'vitest';
import { MemoryStore, NVME_ADMIN, NVME_CNS, NVME_IO, NVME_REGISTER } from '../src/index.ts';
import { MESSAGE, bareNvme } from './bare-nvme.ts';
import { DATA, NvmeDriver } from './nvme-driver.ts';
import { ADDRESS, BLOCK, BLOCKS, nvmeHost, runningNvme } from './nvme-host.ts';

const { CAP, VS, CC, CSTS, AQA, ASQ, ACQ } = NVME_REGISTER;

function opened() {
  const made = nvmeHost();
  return { ...made, driver: new NvmeDriver(made.process, ADDRESS) };
}

describe('registers', () => {
  it('tell what it can, by accesses of 4 and of 8 bytes', () => {
    const { driver } = opened();
    expect(driver.register(CAP)).toBe(0x0f01_07ff);
    expect(driver.register(CAP + 4)).toBe(0x0040_0020);
    expect(driver.registers.read64(CAP)).toBe(0x0040_0020_0f01_07ffn);
    expect(driver.register(VS)).toBe(0x0001_0400);
    expect([driver.register(CC), driver.register(CSTS), driver.register(0x20), driver.register(0x1000)]).toEqual([0, 0, 0, 0]);
  });

  it('take 8 bytes at once for a queue address', () => {
    const { driver } = opened();
    driver.registers.write64(ASQ, 0x12_3456_7000n);
    expect([driver.register(ASQ), driver.register(ASQ + 4)]).toEqual([0x3456_7000, 0x12]);
  });

  it('give the bytes of a narrow load, and ignore a narrow store', () => {
    const { driver } = opened();
    expect([driver.registers.read(VS + 2, 2), driver.registers.read(VS + 1, 1)]).toEqual([1, 4]);
    driver.registers.write(AQA, 2, 7);
    expect(driver.register(AQA)).toBe(0);
  });

  it('keep the admin queues where they are while it is enabled', () => {
    const { driver } = runningNvme();
    const before = [driver.register(AQA), driver.register(ASQ), driver.register(ACQ)];
    for (const register of [AQA, ASQ, ACQ]) driver.registers.write(register, 4, 0x4000);
    expect([driver.register(AQA), driver.register(ASQ), driver.register(ACQ)]).toEqual(before);
  });
});

describe('CC', () => {
  it('keeps command set, page size and arbitration while it is enabled', () => {
    const { driver } = runningNvme();
    driver.registers.write(CC, 4, 0x0046_0ff1);
    expect([driver.register(CC), driver.read(0, 1).status]).toEqual([0x0046_0001, 0]);
  });

  it('has no other bits', () => {
    const { driver } = opened();
    driver.registers.write(CC, 4, 0xffff_fffe);
    expect(driver.register(CC)).toBe(0x00ff_fff0);
  });
});

describe('enabling', () => {
  it('makes it ready, and disabling takes that back with the queues', () => {
    const { driver, disk } = runningNvme();
    expect([driver.register(CSTS), disk.isReady]).toEqual([1, true]);
    const [aqa, asq] = [driver.register(AQA), driver.register(ASQ)];
    driver.registers.write(CC, 4, 0);
    expect([driver.register(CSTS), disk.isReady, driver.register(AQA), driver.register(ASQ)]).toEqual([0, false, aqa, asq]);
    driver.enable();
    expect(driver.admin({ opcode: NVME_ADMIN.DELETE_SQ, dwords: [1] }).status).toBe(0x101);
  });

  it.each([
    ['an admin queue of one entry', AQA, 0x000f_0000, 0x0046_0001],
    ['an admin completion queue of one entry', AQA, 0x0000_000f, 0x0046_0001],
    ['a submission queue that is not aligned', ASQ, 0x10_0040, 0x0046_0001],
    ['a completion queue that is not aligned', ACQ, 0x10_0010, 0x0046_0001],
    ['another command set', AQA, 0x000f_000f, 0x0046_0011],
    ['weighted arbitration', AQA, 0x000f_000f, 0x0046_0801],
    ['pages of 128 KiB', AQA, 0x000f_000f, 0x0046_0281],
  ])('fails with CFS for %s, and can be tried again', (_, register, value, cc) => {
    const { driver, events } = opened();
    driver.registers.write(AQA, 4, 0x000f_000f);
    driver.registers.write(register, 4, value);
    driver.registers.write(CC, 4, cc);
    expect(driver.register(CSTS)).toBe(2);
    expect(events.filter(({ id }) => id === 'nvme/fatal')).toHaveLength(1);
    driver.enable();
    expect(driver.register(CSTS)).toBe(1);
  });

  it('wants queues aligned to the page that CC.MPS says', () => {
    const { driver } = opened();
    driver.enable(0x0046_0201);
    expect(driver.register(CSTS)).toBe(2);
  });

  it('hears no doorbell before it is ready', () => {
    const { driver, events } = opened();
    driver.submit(0, { opcode: NVME_ADMIN.IDENTIFY });
    expect(driver.peek(0)).toEqual([]);
    expect(events.filter(({ id }) => id.startsWith('nvme/'))).toEqual([]);
  });
});

describe('a fault of a queue itself', () => {
  it.each([
    ['submission', ASQ],
    ['completion', ACQ],
  ])('of the admin %s queue is fatal until a controller reset', (_, register) => {
    const { driver, events, disk } = opened();
    driver.enable();
    driver.registers.write(CC, 4, 0);
    driver.registers.write(register, 4, 0x7000_0000);
    driver.registers.write(CC, 4, 0x0046_0001);
    driver.submit(0, { opcode: NVME_ADMIN.GET_FEATURES, dwords: [1] });
    expect([driver.register(CSTS), disk.isReady]).toEqual([3, false]);
    expect(events.filter(({ id }) => id === 'nvme/fatal')).toHaveLength(1);
    driver.ring(0);
    expect(events.filter(({ id }) => id === 'nvme/fatal')).toHaveLength(1);
    driver.enable();
    expect(driver.identify(NVME_CNS.CONTROLLER, 0).status).toBe(0);
  });
});

describe('resets', () => {
  it('by FLR clear every register', () => {
    const { driver, disk } = runningNvme();
    resetDevice(driver.process, driver.opened.device);
    expect([driver.register(CC), driver.register(CSTS), driver.register(AQA), driver.register(ASQ), disk.isReady]).toEqual([0, 0, 0, 0, false]);
    driver.bringUp();
    expect(driver.read(0, 1).status).toBe(0);
  });

  it('lose commands in flight, with no completion of theirs', () => {
    const { driver, disk } = runningNvme({ hold: true });
    driver.submit(1, driver.transfer(NVME_IO.READ, 0, 1, DATA));
    expect(disk.inFlight).toEqual([{ queue: 1, command: expect.any(Number) as number, opcode: NVME_IO.READ }]);
    driver.registers.write(CC, 4, 0);
    driver.bringUp();
    expect([disk.inFlight.length, disk.serve(9), driver.peek(1).length]).toEqual([0, 0, 0]);
  });

  it('keep what the namespaces hold', () => {
    const { driver } = runningNvme();
    driver.check(driver.write(5, new Uint8Array(BLOCK).fill(7)));
    resetDevice(driver.process, driver.opened.device);
    driver.bringUp();
    driver.check(driver.read(5, 1));
    expect(driver.memory.readBytes(DATA, BLOCK)).toEqual(new Uint8Array(BLOCK).fill(7));
  });
});

describe('shutdown', () => {
  it.each([
    ['normal', 0x4000],
    ['abrupt', 0x8000],
  ])('that is %s flushes, completes at once, and takes no commands until it is enabled again', (_, notice) => {
    let flushed = 0;
    const store = Object.assign(new MemoryStore(BLOCKS * BLOCK), { flush: () => (flushed += 1) > 0 });
    const { driver } = runningNvme({ namespaces: [{ store }] });
    driver.registers.write(CC, 4, 0x0046_0001 | notice);
    expect([driver.register(CSTS), flushed]).toEqual([0x9, 1]);
    driver.submit(1, driver.transfer(NVME_IO.READ, 0, 1, DATA));
    expect(driver.peek(1)).toEqual([]);
    driver.bringUp();
    expect([driver.register(CSTS), driver.read(0, 1).status]).toEqual([1, 0]);
  });
});

describe('interrupts', () => {
  it('by MSI-X come once for each completion, on the vector of the queue', () => {
    const { driver, host } = runningNvme({}, { queues: 2 });
    const check = failOn(host, 'fault');
    driver.raised();
    for (let n = 0; n < 3; n += 1) driver.put(2, driver.transfer(NVME_IO.READ, n, 1, DATA));
    driver.ring(2);
    expect(driver.raised()).toEqual([0, 0, 3]);
    driver.read(0, 1);
    expect(driver.raised()).toEqual([0, 1, 0]);
    check.expectNone();
  });

  it('wait for INTMC with MSI, and come once', () => {
    const { disk, host, command } = bareNvme({ vectors: 1 });
    const { msi } = disk;
    msi!.setMessage(MESSAGE, 0x41);
    disk.configWrite(msi!.at + 2, 2, 1);
    const taken = (): boolean => {
      const word = host.memory.read32(MESSAGE);
      host.memory.write32(MESSAGE, 0);
      return word === 0x41;
    };
    disk.writeBar(0, NVME_REGISTER.INTMS, 4, 1);
    command(0);
    expect([disk.readBar(0, NVME_REGISTER.INTMS, 4), taken()]).toEqual([1, false]);
    disk.writeBar(0, NVME_REGISTER.INTMC, 4, 1);
    expect([disk.readBar(0, NVME_REGISTER.INTMC, 4), taken()]).toEqual([0, true]);
    disk.writeBar(0, NVME_REGISTER.INTMC, 4, 1);
    expect(taken()).toBe(false);
    command(1);
    expect(taken()).toBe(true);
  });

  it('by INTx are up while completions wait, and not where INTMS masks them', () => {
    const { disk, command } = bareNvme();
    const pin = (): boolean => (disk.configRead(6, 2) & 8) !== 0;
    command(0);
    expect(pin()).toBe(true);
    disk.writeBar(0, NVME_REGISTER.INTMS, 4, 1);
    expect(pin()).toBe(false);
    disk.writeBar(0, NVME_REGISTER.INTMC, 4, 1);
    expect(pin()).toBe(true);
    disk.writeBar(0, NVME_REGISTER.DOORBELLS + 4, 4, 1);
    expect(pin()).toBe(false);
    command(1);
    disk.writeBar(0, CC, 4, 0);
    expect(pin()).toBe(false);
  });
});

describe('without bus mastering', () => {
  it('commands wait until it is on', () => {
    const { disk, command, completion, events } = bareNvme();
    disk.configWrite(4, 2, 2);
    command(0);
    expect(completion(0)).toBe(0);
    disk.configWrite(4, 2, 6);
    expect(completion(0)).toBe(0x1_0000);
    expect(events.filter(({ id }) => id === 'nvme/fatal')).toEqual([]);
  });
});

describe('its own DMA', () => {
  it('does not reach its registers', () => {
    const { disk, host, command, events } = bareNvme({ namespaces: [{ store: new MemoryStore(BLOCKS * BLOCK) }] });
    // The completion queue is where its registers are: an entry would be CC, among others.
    disk.writeBar(0, CC, 4, 0);
    host.memory.map(0x3000_0000, 0x4000, { read: (at, width) => disk.readBar(0, at, width), write: (at, width, value) => disk.writeBar(0, at, width, value) });
    disk.writeBar64(0, ACQ, 0x3000_0000, 0);
    disk.writeBar(0, CC, 4, 0x0046_0001);
    command(0);
    command(1);
    expect([disk.readBar(0, CC, 4), disk.readBar(0, CSTS, 4)]).toEqual([0x0046_0001, 1]);
    expect(events.some(({ id }) => id === 'nvme/own-dma')).toBe(true);
  });
});
