/** pci-testdev as its users see it, through VFIO. */
import type { Process } from '@vsim/vfio-core';
import { describe, expect, it } from 'vitest';
import { PCI_TESTDEV, REGION_SPAN, createPciTestdev } from '../src/index.ts';
import { CONFIG, bind, eduHost, ioeventfd, open, write16 } from './edu-host.ts';

const NAME = '0000:00:05.0';

function opened(membar = 0) {
  const { host, bus, process } = eduHost();
  bus.plug(createPciTestdev(host, NAME, { membar }), { group: 5 });
  bind(process, NAME);
  const { device } = open(process, NAME, 5);
  write16(process, device, CONFIG + 4, 3);
  const read = (bar: number, at: number, width: number): number => {
    const bytes = new Uint8Array(width);
    process.pread(device, bytes, bar * REGION_SPAN + at);
    return bytes.reduceRight((value, byte) => value * 0x100 + byte, 0);
  };
  const write = (bar: number, at: number, width: number, value: number): void => {
    process.pwrite(device, Uint8Array.from({ length: width }, (_, i) => value >>> (8 * i)), bar * REGION_SPAN + at);
  };
  const name = (bar: number): string => {
    const bytes = new Uint8Array(32);
    process.pread(device, bytes, bar * REGION_SPAN + PCI_TESTDEV.NAME);
    return new TextDecoder().decode(bytes.subarray(0, bytes.indexOf(0)));
  };
  return { bus, process, device, read, write, name };
}

describe('pci-testdev', () => {
  it.each([
    [0, ['mmio-no-eventfd', 'mmio-wildcard-eventfd', 'mmio-datamatch-eventfd'], 0x800],
    [1, ['portio-no-eventfd', 'portio-wildcard-eventfd', 'portio-datamatch-eventfd'], 0x83],
  ] as const)('BAR %i: each test has a name, a place and a value; the first number without one ends the scan', (bar, names, first) => {
    const { read, write, name } = opened();
    expect([read(bar, 0, 4), read(bar, PCI_TESTDEV.NAME, 4)]).toEqual([0, 0]);
    names.forEach((wanted, test) => {
      write(bar, PCI_TESTDEV.TEST, 1, test);
      expect([read(bar, 0, 1), read(bar, PCI_TESTDEV.WIDTH, 1), name(bar)]).toEqual([3 * bar + test, 1, wanted]);
      expect([read(bar, PCI_TESTDEV.OFFSET, 4), read(bar, PCI_TESTDEV.DATA, 4)]).toEqual([first + test, test === 1 ? 0xce : 0xfa]);
      expect(name(1 - bar)).toBe(wanted); // both BARs show the test that runs
    });
    write(bar, PCI_TESTDEV.TEST, 1, names.length);
    expect([read(bar, PCI_TESTDEV.WIDTH, 1), name(bar)]).toEqual([0, '']);
  });

  it('counts what reaches it: the byte it waits for, and what goes past its eventfd', () => {
    const { read, write } = opened();
    const count = (): number => read(0, PCI_TESTDEV.COUNT, 4);
    const target = 0x800;
    write(0, PCI_TESTDEV.TEST, 1, 0);
    write(0, target, 1, 0xfa);
    write(0, target, 1, 0xfb);
    write(0, target, 4, 0xfa);
    write(0, target - 1, 2, 0xfa00); // VFIO makes two of it
    write(0, target + 1, 1, 0xfa);
    expect(count()).toBe(3);
    write(0, PCI_TESTDEV.TEST, 1, 1);
    write(0, target + 1, 1, 0x11);
    write(0, target + 1, 1, 0x22);
    expect(count()).toBe(0);
    write(0, PCI_TESTDEV.TEST, 1, 2);
    write(0, target + 2, 1, 0xfa);
    expect(count()).toBe(0);
    write(0, target + 2, 2, 0x55fa);
    expect(count()).toBe(1);
    write(0, PCI_TESTDEV.TEST, 4, 2);
    expect(count()).toBe(0);
  });

  it('is written by an ioeventfd of VFIO, in memory and in ports', () => {
    const { process, device, read, write } = opened();
    const kick = (user: Process, fd: number): number => user.write(fd, new Uint8Array([1, 0, 0, 0, 0, 0, 0, 0]));
    for (const [bar, target] of [
      [0, 0x800],
      [1, 0x83],
    ] as const) {
      write(bar, PCI_TESTDEV.TEST, 1, 0);
      const eventfd = process.eventfd();
      expect(ioeventfd(process, device, bar * REGION_SPAN + target, 1, 0xfan, eventfd)).toBe(0);
      for (let i = 0; i < 3; i += 1) kick(process, eventfd);
      expect(read(bar, PCI_TESTDEV.COUNT, 4)).toBe(3);
    }
  });

  it('ports answer ones with decoding off; a memory BAR without anything behind it reads zero', () => {
    const { process, device, read, write } = opened(0x20_0000);
    write(1, PCI_TESTDEV.TEST, 1, 0);
    write16(process, device, CONFIG + 4, 2);
    expect([read(1, 0, 4), read(2, 0x1000, 4)]).toEqual([0xffff_ffff, 0]);
    write(2, 0x1000, 4, 0x1234_5678);
    expect(read(2, 0x1000, 4)).toBe(0);
  });

  it('forgets its test in a reset', () => {
    const { bus, read, write } = opened();
    write(0, PCI_TESTDEV.TEST, 1, 1);
    expect(read(0, PCI_TESTDEV.WIDTH, 1)).toBe(1);
    const fn = bus.function(NAME)!;
    const { bytes } = fn.config;
    const header = bytes.slice(0, 64);
    fn.resetFunction();
    bytes.set(header); // what software would put back
    expect(read(0, PCI_TESTDEV.WIDTH, 1)).toBe(0);
  });
});
