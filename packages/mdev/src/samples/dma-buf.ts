/** A dmabuf: pages of a device as a file that anybody can map, and that lives on its own. Kernel: struct dma_buf. */
import { File, MMAP_RANGE, PAGE_SIZE, type Mapping, type MmapRequest, type PageRun, type Process, type Sleeps } from '@vsim/vfio-core';

export class DmaBufFile extends File {
  override readonly label: string = '/dmabuf:';
  readonly #run: PageRun;
  /** Its first page in the run, and how many are its own. */
  readonly #first: number;
  readonly #pages: number;
  #released = false;

  constructor(run: PageRun, first: number, pages: number) {
    super();
    this.#run = run.get();
    this.#first = first;
    this.#pages = pages;
  }

  override mmap(process: Process, { offset, length, shared, read, write }: MmapRequest): Mapping | number {
    const page = offset / PAGE_SIZE;
    if (!shared || page + Math.ceil(length / PAGE_SIZE) > this.#pages) return this.refuse(MMAP_RANGE, { length, offset });
    const physical = (this.#run.first + this.#first + page) * PAGE_SIZE;
    return process.mm.mapDevice(length, { physical, live: () => !this.#released, cacheable: true }, read, write);
  }

  protected override *release(): Sleeps<void> {
    this.#released = true;
    this.#run.put();
  }
}
