/** What small calls leave behind: a lock, a registration, a broken link. */
import { describe, expect, it } from 'vitest';
import { createRingNic, EDU } from '../src/index.ts';
import { cardHost } from './card-host.ts';
import { bind, CONFIG, ioeventfd, openEdu, read32, write16 } from './edu-host.ts';
import { CARD, slotHost } from './slot-host.ts';

describe('an ioeventfd that is taken away', () => {
  it('writes nothing any more, and its place may be had again', () => {
    const { process, device } = openEdu();
    const eventfd = process.eventfd();
    const at = (fd: number) => ioeventfd(process, device, EDU.LIVENESS, 4, 0x55n, fd);
    write16(process, device, CONFIG + 4, 6);
    expect([at(eventfd), at(-1)]).toEqual([0, 0]);
    process.writeEventfd(eventfd, 1n);
    expect(read32(process, device, EDU.LIVENESS)).toBe(0);
    expect(at(eventfd)).toBe(0);
    process.writeEventfd(eventfd, 1n);
    expect(read32(process, device, EDU.LIVENESS)).toBe(~0x55 >>> 0);
  });
});

describe('a slot whose link broke', () => {
  it('has a link again with the next card', () => {
    const { port, bus, host } = slotHost({ slot: { number: 7, surprise: true } });
    port.linkDown();
    host.scheduler.advance(10e9);
    port.surpriseRemove();
    host.scheduler.advance(10e9);
    expect([port.linkActive, bus.device(CARD)]).toEqual([false, undefined]);
    bus.insert(port, [createRingNic(host, CARD)]);
    host.scheduler.advance(10e9);
    expect([port.linkActive, bus.device(CARD)?.name]).toEqual([true, CARD]);
  });
});

describe('the lock of a function', () => {
  it('is given back by who reads sriov_numvfs: it is read twice, and bound', () => {
    const { process, card } = cardHost();
    const path = `/sys/bus/pci/devices/${card.name}/sriov_numvfs`;
    expect([process.readFile(path), process.readFile(path)]).toEqual(['0\n', '0\n']);
    bind(process, CARD);
    expect([process.writeFile(path, '1'), process.readFile(path)]).toEqual([1, '1\n']);
  });
});
