import { expect, it } from 'vitest';
import { Host } from '../host/host.ts';
import { Process } from '../process/process.ts';
import { EBADF, EBUSY, EINVAL } from '../uapi/errno.ts';
import { Vfio } from './vfio.ts';
import { VirqfdSlot } from './virqfd.ts';

function setUp(drains = true) {
  const host = new Host();
  const vfio = new Vfio(host);
  const process = new Process(vfio.host);
  const fd = process.eventfd();
  const slot = new VirqfdSlot();
  let fired = 0;
  const enable = (which = fd) => slot.enable(process, which, drains, () => (fired += 1));
  return { process, fd, slot, enable, fired: () => fired };
}

it('wants an open eventfd, and one to a slot', () => {
  const { process, enable, slot } = setUp();
  expect(enable(77)).toBe(-EBADF);
  expect([enable(), slot.active]).toEqual([0, true]);
  expect(enable(process.eventfd())).toBe(-EBUSY);
  expect(enable(-1)).toBe(-EBADF);
  expect(enable(process.open('/dev/vfio/vfio'))).toBe(-EINVAL);
});

it('fires at each signal, at once for one that was there, and empties the counter', () => {
  const { process, fd, slot, enable, fired } = setUp();
  process.writeEventfd(fd, 5n);
  enable();
  expect([fired(), process.readEventfd(fd)]).toEqual([1, 0n]);
  process.writeEventfd(fd, 1n);
  expect([fired(), process.readEventfd(fd)]).toEqual([2, 0n]);
  slot.disable();
  process.writeEventfd(fd, 1n);
  expect([fired(), process.readEventfd(fd), slot.active]).toEqual([2, 1n, false]);
});

it('leaves the counter alone before 5.11', () => {
  const { process, fd, enable, fired } = setUp(false);
  enable();
  process.writeEventfd(fd, 2n);
  process.writeEventfd(fd, 3n);
  expect([fired(), process.readEventfd(fd)]).toEqual([2, 5n]);
});

it('goes with its eventfd', () => {
  const { process, fd, slot, enable } = setUp();
  enable();
  process.close(fd);
  expect(slot.active).toBe(false);
  expect(enable(process.eventfd())).toBe(0);
});
