import type { MmioDevice } from './address-space.ts';
import { FrameMap, type FrameRange } from './frame-map.ts';
import { PAGE_SIZE, PageAllocator, PageRun } from './page-allocator.ts';

/**
 * Memory that is not the machine's: that of a program outside of the simulation, as the client of a served device has it, mapped or moved by messages.
 * Accesses behind its end, and after it is gone, do nothing and read ones; it throws nothing.
 */
export interface ForeignMemory {
  /** In bytes. */
  readonly size: number;
  /** Fills `into`. @param offset in bytes */
  read(offset: number, into: Uint8Array): void;
  /** Stores all of `from`. @param offset in bytes */
  write(offset: number, from: Uint8Array): void;
}

/** The first address that no machine has: physical ones have at most 52 bits, and numbers are exact to twice as much. */
const FIRST_ADDRESS = 2 ** 52;

/** Foreign memory at physical addresses: as AddressSpace asks whatever is no RAM. */
export class ForeignWindow implements FrameRange {
  /** Its first frame. */
  readonly first: number;
  /** Its last frame. */
  readonly last: number;
  /** Its first physical address, in bytes. */
  readonly base: number;
  /** In bytes. */
  readonly size: number;
  /** The memory, in blocks. */
  readonly memory: ForeignMemory;
  /** The memory, as registers of any width. */
  readonly device: MmioDevice;

  /** Made by ForeignFrames.add(). @param first the frame that its first byte lies in */
  constructor(first: number, memory: ForeignMemory) {
    this.first = first;
    this.last = first + memory.size / PAGE_SIZE - 1;
    this.base = first * PAGE_SIZE;
    this.size = memory.size;
    this.memory = memory;
    this.device = registersOf(memory);
  }
}

/** Each load and store is one access of the memory, as wide as it was asked for. */
function registersOf(memory: ForeignMemory): MmioDevice {
  const load = (offset: number, width: number): DataView => {
    const bytes = new Uint8Array(width).fill(0xff);
    memory.read(offset, bytes);
    return new DataView(bytes.buffer);
  };
  return {
    read: (offset, width) => {
      const view = load(offset, width);
      return width === 1 ? view.getUint8(0) : width === 2 ? view.getUint16(0, true) : view.getUint32(0, true);
    },
    read64: (offset, into) => {
      const view = load(offset, 8);
      into[0] = view.getUint32(0, true);
      into[1] = view.getUint32(4, true);
    },
    write: (offset, width, value) => {
      const bytes = new Uint8Array(4);
      new DataView(bytes.buffer).setUint32(0, value, true);
      memory.write(offset, bytes.subarray(0, width));
    },
    write64: (offset, lo, hi) => {
      const bytes = new Uint8Array(8);
      const view = new DataView(bytes.buffer);
      view.setUint32(0, lo, true);
      view.setUint32(4, hi, true);
      memory.write(offset, bytes);
    },
  };
}

/**
 * Frames for foreign memory, above all that a machine can have: from 2^52 to 2^53 bytes. What maps and pins pages (an mm, type1, a domain of an IOMMU) has
 * frame numbers and runs, and need not know what is behind them.
 *
 * Not modelled: that a real machine has such memory in its own RAM.
 */
export class ForeignFrames {
  readonly #frames = new PageAllocator({ ranges: [{ base: FIRST_ADDRESS, size: FIRST_ADDRESS }], clear: () => undefined });
  readonly #windows = new FrameMap<ForeignWindow>();

  /** How many memories have frames. */
  get count(): number {
    return this.#windows.size;
  }

  /**
   * Gives memory frames. They are free, and the memory let go of, with the last reference to the run.
   *
   * @returns undefined where no frames are left
   * @throws RangeError for a size that is not a multiple of 4096 above 0
   */
  add(memory: ForeignMemory): PageRun | undefined {
    const count = memory.size / PAGE_SIZE;
    if (!Number.isSafeInteger(count) || count <= 0) throw new RangeError(`"memory" expected a size that is a multiple of 4096 above 0, got ${memory.size}`);
    // A frame between any two: frames that follow each other are one memory, and are moved at once.
    const frames = this.#frames.allocate(count + 1);
    if (frames === undefined) return undefined;
    this.#windows.insert(new ForeignWindow(frames.first, memory));
    return new PageRun(frames.first, count, () => {
      this.#windows.remove(frames.first);
      frames.put();
    });
  }

  /** The memory at a physical address. @param address in bytes */
  find(address: number): ForeignWindow | undefined {
    return address < FIRST_ADDRESS ? undefined : this.#windows.find(Math.floor(address / PAGE_SIZE));
  }
}
