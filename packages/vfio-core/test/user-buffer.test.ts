/** Reads and writes whose buffer is not all there: what went before the fault is done. */
import { describe, expect, it } from 'vitest';
import { BUFFER_FAULT, Host, inPieces, PAGE_SIZE, PROT_READ, PROT_WRITE, Process, File, O_RDWR, type Sleeps } from '../src/index.ts';
import { why } from '../../../testing/why.ts';

/** A file of four bytes' registers: what is read is counted, what is written is kept. */
class Registers extends File {
  override readonly label = 'registers';
  readonly read32: number[] = [];
  readonly written: number[] = [];

  override read(into: Uint8Array, offset: number): number {
    return inPieces(into, offset, (piece, at) => {
      this.read32.push(at);
      piece.fill(at + 1);
      return 0;
    });
  }

  override write(from: Uint8Array, offset: number): number {
    return inPieces(from, offset, (piece, at) => {
      this.written.push(at, ...piece);
      return 0;
    });
  }

  protected override *release(): Sleeps<void> {
    // Nothing is held.
  }
}

function setUp() {
  const host = new Host();
  const reasons = host.trace.record();
  const process = new Process(host, { name: 'user' });
  const file = new Registers();
  const fd = process.install(file, O_RDWR);
  const map = process.mmap(-1, 2 * PAGE_SIZE, 0, PROT_READ | PROT_WRITE);
  process.mm.unmap(map.address + PAGE_SIZE, PAGE_SIZE);
  return { process, file, fd, map, end: map.address + PAGE_SIZE, reasons };
}

describe('a buffer that ends in the middle [platform 24]', () => {
  it('takes what is read before its end, and the piece that it does not take was read', () => {
    const { process, file, fd, map, end } = setUp();
    expect(process.tryPreadTo(fd, end - 8, 16, 0)).toBe(-14);
    expect(file.read32).toEqual([0, 4, 8]);
    expect([...map.readBytes(PAGE_SIZE - 8, 8)]).toEqual([1, 1, 1, 1, 5, 5, 5, 5]);
  });

  it('gives what is written before its end, and nothing of the piece that goes over it', () => {
    const { process, file, fd, map, end } = setUp();
    map.writeBytes(PAGE_SIZE - 6, Uint8Array.of(1, 2, 3, 4, 5, 6));
    expect(process.tryPwriteFrom(fd, end - 6, 16, 0)).toBe(-14);
    expect(file.written).toEqual([0, 1, 2, 3, 4]);
  });

  it('is none that matters where nothing is moved, or all of it is there', () => {
    const { process, fd, map, end } = setUp();
    expect([process.tryPreadTo(fd, 1, 0, 0), process.tryPwriteFrom(fd, 1, 0, 0), process.tryPreadTo(fd, end - 3, 3, 0)]).toEqual([0, 0, 3]);
    expect([...map.readBytes(PAGE_SIZE - 3, 3)]).toEqual([1, 1, 3]);
  });

  it('says so', () => {
    const { process, fd, reasons, end } = setUp();
    const told = `EFAULT ${BUFFER_FAULT.id}: registers: of 16 bytes at 0x${(end - 8).toString(16)} 8 can be reached`;
    expect(why(reasons, () => process.tryPreadTo(fd, end - 8, 16, 0))).toBe(told);
  });
});
