/** Circles of eventfds, which any user can close. Row R6 of docs/robustness.md. */
import { setIrqTriggers, WORK_WITHOUT_END } from '@vsim/vfio-core';
import { describe, expect, it } from 'vitest';
import { CONFIG, ioeventfd, openEdu, unmaskBy, write16, write32 } from './edu-host.ts';

const PROFILES = ['linux-5.10', 'linux-5.13', 'linux-6.1', 'linux-6.12'] as const;
/** edu's register that raises an interrupt, and the one that takes it back. */
const RAISE = 0x60;

describe.each(PROFILES)('[R6] a circle of eventfds on %s ends neither in the stack nor never, and is told', (profile) => {
  function edu() {
    const made = openEdu({ profile });
    const { process, device } = made;
    write16(process, device, CONFIG + 4, 6);
    const told = () => made.events.filter(({ id }) => id === WORK_WITHOUT_END.id).length;
    return { ...made, told };
  }

  it('an eventfd that is trigger and ioeventfd', () => {
    const { process, device, told } = edu();
    const fd = process.eventfd();
    setIrqTriggers(process, device, 1, 0, [fd]);
    expect(ioeventfd(process, device, RAISE, 4, 1n, fd)).toBe(0);
    process.writeEventfd(fd, 1n);
    expect(told()).toBeGreaterThan(0);
    const before = told();
    process.close(device); // the registrations go, and the work with them
    process.readEventfd(fd);
    process.writeEventfd(fd, 1n);
    expect([told() - before <= 1, process.readEventfd(fd)]).toEqual([true, 1n]);
  });

  it('an eventfd that is trigger of INTx and unmasks it', () => {
    const { process, device, told } = edu();
    const fd = process.eventfd();
    setIrqTriggers(process, device, 0, 0, [fd]);
    unmaskBy(process, device, fd);
    write32(process, device, RAISE, 1);
    expect(told()).toBeGreaterThan(0);
    process.close(device);
    process.close(fd);
  });

  it('a circle of fifty', () => {
    const { process, device, told } = edu();
    const fds = Array.from({ length: 50 }, () => process.eventfd());
    setIrqTriggers(process, device, 1, 0, [fds[0]!]);
    for (const fd of fds) expect(ioeventfd(process, device, RAISE, 4, BigInt(fd), fd)).toBe(0);
    for (const fd of fds) process.writeEventfd(fd, 1n);
    expect(told()).toBeGreaterThan(0);
  });

  it('a thousand ioeventfds of one circle take no more room than they are', () => {
    const { process, device, events } = edu();
    const fd = process.eventfd();
    setIrqTriggers(process, device, 1, 0, [fd]);
    for (let value = 1; value <= 1000; value += 1) expect(ioeventfd(process, device, RAISE, 4, BigInt(value), fd)).toBe(0);
    process.writeEventfd(fd, 1n);
    const told = events.filter(({ id }) => id === WORK_WITHOUT_END.id).map(({ fields }) => fields);
    expect([...new Set(told)]).toEqual(expect.arrayContaining([{ waiting: 1000 }]));
  });

  it('a chain that is no circle is done to its end, at once and untold', () => {
    const { process, device, told } = edu();
    const [cause, effect] = [process.eventfd(), process.eventfd()];
    setIrqTriggers(process, device, 1, 0, [effect]);
    expect(ioeventfd(process, device, RAISE, 4, 1n, cause)).toBe(0);
    process.writeEventfd(cause, 1n);
    expect([process.readEventfd(effect), told()]).toEqual([1n, 0]);
  });
});
