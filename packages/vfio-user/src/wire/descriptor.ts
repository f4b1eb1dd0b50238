/** What travels beside the bytes of a message: file descriptors, as whatever carries messages has them. */

/**
 * A descriptor that came with a message or goes with one: a real one behind `@vsim/vfio-user/node`, a file of a simulated process elsewhere. Who receives
 * one owns it: it is kept or closed.
 */
export interface Descriptor {
  /**
   * Maps a part of the memory that it names (a memfd), shared with the other side.
   *
   * @param offset in bytes, a multiple of 4096
   * @param size in bytes, a multiple of 4096
   * @param write whether it is to be written, too
   * @returns a negative errno: -ENODEV where it is no memory, -EINVAL where it ends before
   */
  map(offset: number, size: number, write: boolean): SharedMemory | number;
  /** Adds one to the eventfd that it is. @returns false where it is none */
  signal(): boolean;
  /**
   * Calls `told` after each signal of the eventfd that it is, when the holder of the channel looks (`Channel.receive`), never inside of another call.
   *
   * @returns what ends it; undefined where it is no eventfd
   */
  listen(told: () => void): (() => void) | undefined;
  /** Another descriptor of the same file, with a close() of its own: what a channel in memory hands to its other side. */
  duplicate(): Descriptor;
  /** Gives it back; mappings made of it stay. */
  close(): void;
}

/** A mapping of another side's memory. Accesses behind its end, or after unmap(), do nothing and read ones. */
export interface SharedMemory {
  /** In bytes. */
  readonly size: number;
  /** Fills `into`. @param offset in bytes */
  read(offset: number, into: Uint8Array): void;
  /** Stores all of `from`. @param offset in bytes */
  write(offset: number, from: Uint8Array): void;
  /** Ends it. */
  unmap(): void;
}

/** Gives descriptors back. */
export function closeAll(descriptors: readonly Descriptor[]): void {
  for (const descriptor of descriptors) descriptor.close();
}
