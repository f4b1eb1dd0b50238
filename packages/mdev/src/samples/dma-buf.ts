/**
 * The dmabuf of mbochs: pages of the device as a file, which lives on its own. Kernel: struct dma_buf, dma_buf_fops.
 *
 * As in the sample its fd is for reading only, so that do_mmap() makes each mapping a private one, and those the sample refuses: nobody can map
 * it, and only importers see what it holds. Not modelled: importers.
 */
import { EACCES, EBADF, EINVAL, ESPIPE, File, get, STREAM, type Mapping, type MmapRequest, type ModuleUse, type PageRun, type Process, type Sleeps, type UserArgument } from '@vsim/vfio-core';
import { DMA_BUF } from '../mdev-reasons.ts';

/** Requests of linux/dma-buf.h. The second number of SET_NAME is that of programs of 64 bits. */
const DMA_BUF_IOCTL_SYNC = 0x4008_6200;
const DMA_BUF_SET_NAME = [0x4004_6201, 0x4008_6201];
/** DMA_BUF_SYNC_RW: read, write, or both; DMA_BUF_SYNC_END. */
const SYNC_RW = 3;
const SYNC_FLAGS = 7n;
const NAME_BYTES = 32;
const SEEK_SET = 0;
const SEEK_END = 2;

export class DmaBufFile extends File {
  override readonly label: string = '/dmabuf:';
  readonly #run: PageRun;
  readonly #bytes: number;
  readonly #module: ModuleUse;

  /** `bytes`: what lseek() says, of the pages in `run`; `module`: the exporter's, which the file keeps loaded. */
  constructor(run: PageRun, bytes: number, module: ModuleUse) {
    super();
    this.#run = run.get();
    this.#bytes = bytes;
    this.#module = module;
    module.users += 1;
  }

  override mmap(_process: Process, { shared, write }: MmapRequest): Mapping | number {
    return this.#refuse('mmap', shared && write ? EACCES : EINVAL);
  }

  override read(_into: Uint8Array, offset: number): number {
    return offset === STREAM ? this.#refuse('read', EINVAL) : this.#refuse('pread', ESPIPE);
  }

  override write(_from: Uint8Array, offset: number): number {
    return offset === STREAM ? this.#refuse('write', EBADF) : this.#refuse('pwrite', ESPIPE);
  }

  /**
   * dma_buf_llseek(): to its ends only, so that its size can be asked for.
   *
   * @param offset 0
   * @param whence SEEK_SET or SEEK_END
   * @returns the position, or -EINVAL for any other
   */
  override seek(offset: number, whence: number): number {
    const whole = whence === SEEK_END ? this.#bytes : 0;
    return offset === 0 && (whence === SEEK_SET || whence === SEEK_END) ? whole : this.#refuse('lseek', EINVAL);
  }

  override ioctl(_process: Process, request: number, argument: UserArgument): number {
    if (DMA_BUF_SET_NAME.includes(request)) {
      const name = argument.copyInString(NAME_BYTES);
      return typeof name === 'number' ? name : 0;
    }
    return request === DMA_BUF_IOCTL_SYNC ? this.#sync(argument) : argument.unknown();
  }

  /** Caches are coherent here: there is nothing to do but to look at the flags. */
  #sync(argument: UserArgument): number {
    const sync = argument.copyIn(8);
    if (sync === undefined) return argument.fault();
    const flags = get(sync, [0, 'u64']);
    if (flags > SYNC_FLAGS || (Number(flags) & SYNC_RW) === 0) return this.#refuse('DMA_BUF_IOCTL_SYNC', EINVAL);
    return 0;
  }

  #refuse(operation: string, errno: number): number {
    return this.refuse(DMA_BUF, { operation }, errno);
  }

  protected override *release(): Sleeps<void> {
    this.#run.put();
    this.#module.users -= 1;
  }
}
