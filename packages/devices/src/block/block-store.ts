/**
 * Bytes that a disk keeps. Write your own for a file, a network, or a disk that breaks.
 *
 * Calls are synchronous, and lie within [0, size): whoever calls has looked. False is a medium error: the command that asked fails with a
 * status of media errors, and nothing else happens.
 */
export interface BlockStore {
  /** How much it keeps, in bytes: below 2^53, and always the same. */
  readonly size: number;
  /**
   * Fills `into` with the bytes from `offset` on.
   *
   * @param offset bytes
   * @returns false for a medium error
   */
  read(offset: number, into: Uint8Array): boolean;
  /**
   * Keeps `from` at `offset`; it must not keep the array, which is used again.
   *
   * @param offset bytes
   * @returns false for a medium error
   */
  write(offset: number, from: Uint8Array): boolean;
  /** What was written outlasts a loss of power from now on. @default nothing to do @returns false for a medium error */
  flush?(): boolean;
  /**
   * The bytes read zero from now on, and need no room. Left out: zeros are written where zeros are asked for, and a deallocation keeps data.
   *
   * @param offset bytes
   * @param length bytes
   * @returns false for a medium error
   */
  discard?(offset: number, length: number): boolean;
}
