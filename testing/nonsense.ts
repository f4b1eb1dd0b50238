/** Nonsense from user space: random requests, arguments, reads, writes and mappings on the fds of a process. */
import type { Mapping, Process, Random } from '../packages/vfio-core/src/index.ts';

const ERRNO_LIMIT = 4095;
const SPAN = 2 ** 40;

/** An ioctl argument: a number, an address, or a struct whose argsz and flags are likely enough to pass the first checks. */
export function randomArgument(random: Random, memory: Mapping): number | bigint | Uint8Array {
  const interesting = [0, 1, 8, 24, 32, 48, 0x1000, 0x2000, memory.address, memory.address + 0x1000, 0xfee0_0000, 2 ** 47, 2 ** 52];
  const kind = random.below(10);
  if (kind === 0) return random.uint32();
  if (kind === 1) return interesting[random.below(interesting.length)]!;
  if (kind === 2) return (BigInt(random.uint32()) << 32n) | BigInt(random.uint32());
  const bytes = random.below(2) === 0 ? random.bytes(random.below(96)) : new Uint8Array(random.below(96));
  const view = new DataView(bytes.buffer);
  if (bytes.length >= 8 && random.below(4) > 0) {
    view.setUint32(0, random.below(2) === 0 ? bytes.length : interesting[random.below(6)]!, true);
    view.setUint32(4, random.below(16) | (random.below(4) === 0 ? random.below(8) << 16 : 0), true);
    for (let at = 8; at + 8 <= bytes.length; at += 8) {
      if (random.below(3) > 0) view.setBigUint64(at, BigInt(interesting[random.below(interesting.length)]!), true);
    }
  }
  if (random.below(8) > 0) return bytes;
  memory.writeBytes(0, bytes);
  return memory.address;
}

/** An offset in a device fd, in or near a region. */
function randomOffset(random: Random): number {
  const near = [0, 0x40, 0xff, 0x500, 0xff8, 0x1000, 0x2000, 0x3000, 0x10_0000, SPAN - 4][random.below(10)]!;
  return random.below(12) * (random.below(2) === 0 ? SPAN : 0) + near + random.below(9);
}

/**
 * `count` calls on `fds`, each of which has to answer as a kernel does. What they open is closed at once; `kept` are the fds that stay.
 *
 * @throws if a call throws, sleeps, or answers what no kernel answers
 */
export function nonsense(process: Process, fds: readonly number[], requests: readonly number[], random: Random, count: number, kept: readonly number[] = fds): void {
  const memory = process.mmap(-1, 0x2_0000);
  for (let i = 0; i < count; i += 1) {
    const fd = fds[random.below(fds.length)]!;
    const request = random.below(20) === 0 ? random.uint32() : requests[random.below(requests.length)]!;
    const offset = randomOffset(random);
    const length = random.below(3) === 0 ? 64 : random.below(80);
    const calls = [
      () => process.sys.ioctl(fd, request, randomArgument(random, memory)),
      () => process.sys.pread(fd, new Uint8Array(length), offset),
      () => process.sys.pwrite(fd, random.bytes(length), offset),
    ];
    const kind = random.below(5);
    if (kind < 4) {
      const told = process.start('nonsense', calls[Math.max(0, kind - 1)]!()).result();
      if (!Number.isInteger(told) || told < -ERRNO_LIMIT) throw new Error(`call ${i}: fd ${fd} answers ${told}`);
    } else {
      const mapped = process.tryMmap(fd, 1 + random.below(0x4000), Math.floor(offset / 0x1000) * 0x1000, random.below(4), random.below(3));
      if (typeof mapped !== 'number') mapped.unmap();
    }
    for (const open of process.fds) if (!kept.includes(open)) process.close(open);
  }
  memory.unmap();
}
