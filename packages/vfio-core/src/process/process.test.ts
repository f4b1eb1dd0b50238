import { describe, expect, it } from 'vitest';
import { Host } from '../host/host.ts';
import { outcomeOf } from '../testing/suite.ts';
import { MEMORY_FAULT } from './mm.ts';
import { O_RDONLY, O_RDWR, PROT_READ } from './flags.ts';
import { Process } from './process.ts';
import { SyscallError } from './syscall-error.ts';

const PAGE = 4096;

describe('Process', () => {
  it('throws what Node throws', () => {
    const process = new Process(new Host());
    try {
      process.open('/dev/none');
      expect.unreachable();
    } catch (error) {
      expect(error).toBeInstanceOf(SyscallError);
      expect(error).toMatchObject({ code: 'ENOENT', errno: -2, syscall: 'open', path: '/dev/none' });
    }
    expect(outcomeOf(() => process.ioctl(9, 0))).toBe('EBADF');
    expect(outcomeOf(() => { process.close(9); })).toBe('EBADF');
    expect(outcomeOf(() => process.open('/sys'))).toBe('ENOENT');
  });

  it('gives the lowest free fd, up to its limit', () => {
    const process = new Process(new Host(), { maxFiles: 6 });
    const [a, b, c] = [process.eventfd(), process.eventfd(), process.eventfd()];
    expect([a, b, c]).toEqual([3, 4, 5]);
    expect(outcomeOf(() => process.eventfd())).toBe('EMFILE');
    process.close(4);
    expect(process.dup(a)).toBe(4);
    process.close(a);
    process.writeEventfd(4, 5n);
    expect(process.readEventfd(4)).toBe(5n);
    process.exit();
    expect(process.fds).toEqual([]);
  });

  it('sleeps in a blocking eventfd until another thread writes', () => {
    const process = new Process(new Host());
    const fd = process.eventfd(0, { nonblocking: false });
    const read = process.start('read', process.sys.read(fd, new Uint8Array(8)));
    expect(read.outcome).toMatchObject({ state: 'asleep', what: 'a count in process-1 eventfd 3' });
    process.writeEventfd(fd, 1n);
    expect(read.result()).toBe(8);
    expect(() => process.read(fd, new Uint8Array(8))).toThrow(/waits for a count/);
    const nonblocking = process.eventfd();
    expect(outcomeOf(() => process.read(nonblocking, new Uint8Array(8)))).toBe('EAGAIN');
    expect(outcomeOf(() => process.read(nonblocking, new Uint8Array(4)))).toBe('EINVAL');
    expect(outcomeOf(() => process.write(nonblocking, new Uint8Array(8).fill(0xff)))).toBe('EINVAL');
  });

  it('reads and writes attributes, by their mode', () => {
    const host = new Host();
    host.files.constant('/sys/a/readonly', 'hello\n');
    const stored: string[] = [];
    host.files.add('/sys/a/writable', {
      kind: 'attribute',
      mode: 0o200,
      *store(bytes) {
        stored.push(new TextDecoder().decode(bytes));
        return bytes.length;
      },
    });
    host.files.link('/sys/b', '/sys/a');
    const root = new Process(host);
    expect([root.readFile('/sys/b/readonly'), root.readdir('/sys/a'), root.readlink('/sys/b')]).toEqual([
      'hello\n',
      ['readonly', 'writable'],
      '/sys/a',
    ]);
    expect([root.writeFile('/sys/a/writable', 'x'), root.writeFile('/sys/a/writable', '')]).toEqual([1, 0]);
    expect(stored).toEqual(['x']);
    const user = new Process(host, { uid: 5 });
    expect(outcomeOf(() => user.writeFile('/sys/a/writable', 'x'))).toBe('EACCES');
    expect(outcomeOf(() => user.readFile('/sys/a/writable'))).toBe('EACCES');
    expect(outcomeOf(() => root.readFile('/sys/a'))).toBe('EISDIR');
    expect(outcomeOf(() => root.readlink('/sys/a/readonly'))).toBe('EINVAL');
    expect(() => { host.files.add('/sys/a/readonly/x', { kind: 'link', target: '/' }); }).toThrow(RangeError);
    host.files.link('/sys/loop', '/sys/loop');
    expect(outcomeOf(() => root.open('/sys/loop', O_RDONLY))).toBe('ENOENT');
    expect(outcomeOf(() => root.open('/sys/a', O_RDWR))).toBe('EISDIR');
  });
});

describe('Mm', () => {
  it('maps zeroed memory, takes it away in parts, and tells a fault', () => {
    const host = new Host();
    const faults = host.trace.record();
    const process = new Process(host);
    const mapping = process.mmap(-1, 4 * PAGE);
    expect(mapping.address % 0x20_0000).toBe(0);
    mapping.write(PAGE - 2, 4, 0x1122_3344);
    expect([mapping.read(PAGE, 1), mapping.read(PAGE - 2, 2), mapping.read(PAGE - 2, 4)]).toEqual([0x22, 0x3344, 0x1122_3344]);
    process.mm.unmap(mapping.address + PAGE, PAGE);
    expect(process.mm.accessible(mapping.address, 2 * PAGE)).toBe(false);
    mapping.write(2 * PAGE, 4, 7);
    expect(mapping.read(2 * PAGE, 4)).toBe(7);
    expect(faults).toEqual([]);
    expect([mapping.read(PAGE, 4), ...mapping.readBytes(PAGE - 1, 2)]).toEqual([0xffff_ffff, 0x33, 0xff]);
    expect(faults.map(({ id, fields }) => [id, fields])).toEqual([
      [MEMORY_FAULT.id, { signal: 'SIGSEGV', address: mapping.address + PAGE, write: false }],
      [MEMORY_FAULT.id, { signal: 'SIGSEGV', address: mapping.address + PAGE, write: false }],
    ]);
    mapping.unmap();
    expect([mapping.mapped, host.pages.used]).toEqual([false, 0]);
  });

  it('keeps protections, and pins only what is so accessible', () => {
    const host = new Host();
    const process = new Process(host);
    const mapping = process.mmap(-1, 3 * PAGE);
    expect(process.mm.protect(mapping.address + PAGE, PAGE, true, false)).toBe(0);
    expect(process.mm.copyToUser(mapping.address + PAGE - 1, new Uint8Array(2))).toBe(false);
    expect(process.mm.copyToUser(mapping.address + 2 * PAGE, new Uint8Array(2))).toBe(true);
    expect(process.mm.pin(mapping.address + PAGE, 1, true)).toBeLessThan(0);
    expect(process.mm.pin(mapping.address, 3, true)).toMatchObject({ count: 1 });
    expect(process.mm.protect(0, PAGE, true, true)).toBeLessThan(0);
    const readonly = process.mmap(-1, PAGE, 0, PROT_READ);
    readonly.write(0, 4, 1);
    expect(readonly.read(0, 4)).toBe(0);
    expect(outcomeOf(() => process.mmap(-1, 0))).toBe('EINVAL');
    expect(outcomeOf(() => process.mmap(-1, 2 ** 45))).toBe('ENOMEM');
    expect(outcomeOf(() => process.mmap(process.eventfd(), PAGE))).toBe('ENODEV');
  });
});

it('[mdev 18] FIONBIO, FIOCLEX and FIONCLEX are answered before the file is asked; FIONBIO has an eventfd wait or not', () => {
  const process = new Process(new Host());
  const eventfd = process.eventfd();
  const nonblocking = (on: number) => process.ioctl(eventfd, 0x5421, new Uint8Array([on, 0, 0, 0]));
  expect([process.ioctl(eventfd, 0x5450), process.ioctl(eventfd, 0x5451), outcomeOf(() => process.ioctl(eventfd, 0x5421, 0)), outcomeOf(() => process.ioctl(eventfd, 0x541b))]).toEqual([0, 0, 'EFAULT', 'ENOTTY']);
  expect([nonblocking(0), process.start('read', process.sys.pread(eventfd, new Uint8Array(8), 0)).outcome.state]).toEqual([0, 'asleep']);
  expect([nonblocking(1), outcomeOf(() => process.read(eventfd, new Uint8Array(8)))]).toEqual([0, 'EAGAIN']);
});
