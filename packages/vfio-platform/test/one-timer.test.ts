/** However often a guest sets an alarm, a PL031 has one timer. */
import { Host } from '@vsim/vfio-core';
import { describe, expect, it } from 'vitest';
import { IrqLine, PL031, Pl031 } from '../src/index.ts';

const SECOND = 1_000_000_000;

function clock(): { host: Host; irq: IrqLine; device: Pl031; threads: () => number } {
  const host = new Host();
  const irq = new IrqLine(34, 'level-high');
  const device = new Pl031(host, irq);
  device.write(PL031.IMSC, 4, 1);
  return { host, irq, device, threads: () => host.scheduler.threads.length };
}

describe('a PL031', () => {
  it('has one thread after any number of stores to MR and LR, and none when nothing is due [R10]', () => {
    const { host, device, threads, irq } = clock();
    for (let n = 1; n <= 2000; n += 1) {
      device.write(PL031.MR, 4, n + 10);
      device.write(PL031.LR, 4, n);
    }
    expect(threads()).toBe(1);
    host.scheduler.advance(9 * SECOND);
    expect([threads(), irq.asserted]).toEqual([1, false]);
    host.scheduler.advance(SECOND);
    expect([threads(), irq.asserted]).toEqual([0, true]);
  });

  it('rings at the last match alone, sooner or later than the one before [R10]', () => {
    const { host, device, irq } = clock();
    device.write(PL031.MR, 4, 100);
    device.write(PL031.MR, 4, 3);
    host.scheduler.advance(3 * SECOND - 1);
    expect(irq.asserted).toBe(false);
    device.write(PL031.MR, 4, 5);
    host.scheduler.advance(2 * SECOND);
    expect(irq.asserted).toBe(false);
    host.scheduler.advance(1);
    expect(irq.asserted).toBe(true);
    device.write(PL031.ICR, 4, 1);
    host.scheduler.advance(200 * SECOND);
    expect(irq.asserted).toBe(false);
  });

  it('a match that is met at once takes the timer away [R10]', () => {
    const { host, device, irq, threads } = clock();
    device.write(PL031.MR, 4, 100);
    device.write(PL031.MR, 4, 0);
    expect([irq.asserted, threads()]).toEqual([true, 0]);
    device.write(PL031.ICR, 4, 1);
    host.scheduler.advance(200 * SECOND);
    expect(irq.asserted).toBe(false);
  });

  it('an interrupt handler that sets the next alarm has it, and no second timer [R10]', () => {
    const { host, device, irq, threads } = clock();
    let rang = 0;
    irq.request(() => {
      rang += 1;
      device.write(PL031.ICR, 4, 1);
      device.write(PL031.MR, 4, device.read(PL031.DR) + 2);
    });
    irq.enable();
    device.write(PL031.MR, 4, 2);
    host.scheduler.advance(9 * SECOND);
    expect([rang, threads()]).toEqual([4, 1]);
  });

  it('stores of a kernel thread, before it sleeps, make one timer [R10]', () => {
    const { host, device, irq, threads } = clock();
    host.scheduler.call('writer', (function* () {
      yield { point: 'test' };
      for (let n = 1; n <= 50; n += 1) device.write(PL031.MR, 4, n);
    })());
    expect(threads()).toBe(1);
    host.scheduler.advance(50 * SECOND);
    expect([irq.asserted, threads()]).toEqual([true, 0]);
  });
});
