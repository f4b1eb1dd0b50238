/** Memory of a server that clients map: a memfd. */
import { ftruncateSync } from 'node:fs';
import { SyscallError } from '@vsim/vfio-core';
import type { SharedMemory } from '../wire/descriptor.ts';
import { errno, memfdCreate, MFD_CLOEXEC } from './libc.ts';
import { RealDescriptor } from './real-descriptor.ts';

const PAGE = 4096;
/** A memfd is no eventfd: nobody listens to it. */
const NOBODY = { listen: () => () => undefined };

/** Bytes behind a region (`mappable()`) that the device here and the clients' mappings share. */
export class MemoryFd {
  /** The bytes, for the device. */
  readonly memory: SharedMemory;
  readonly #descriptor: RealDescriptor;

  /**
   * Makes memory that is zero.
   *
   * @param size in bytes, a multiple of 4096 above 0
   * @throws RangeError for another size
   * @throws SyscallError EMFILE, ENOMEM
   */
  constructor(size: number) {
    if (!(size > 0 && size % PAGE === 0)) throw new RangeError(`"size" expected a multiple of ${PAGE} above 0, got ${size}`);
    const fd = memfdCreate('vsim', MFD_CLOEXEC);
    if (fd < 0) throw new SyscallError('memfd_create', errno(), 'vsim');
    this.#descriptor = new RealDescriptor(fd, NOBODY);
    ftruncateSync(fd, size);
    const memory = this.#descriptor.map(0, size);
    if (typeof memory === 'number') throw new SyscallError('mmap', -memory, 'vsim');
    this.memory = memory;
  }

  /** A descriptor for a client, which is the caller's. */
  descriptor(): RealDescriptor {
    return this.#descriptor.duplicate();
  }

  /** Gives it back; clients keep what they have mapped. */
  close(): void {
    this.memory.unmap();
    this.#descriptor.close();
  }
}
