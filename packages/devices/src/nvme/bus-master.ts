/** The controller's way to memory: IOVAs in halves. @internal */
export interface BusMaster {
  /**
   * Fills `into`, from `offset` bytes behind the address on.
   *
   * @param lo bits 31:0 of the address
   * @param hi bits 63:32
   * @param offset bytes
   * @returns false for a fault, with nothing read
   */
  read(lo: number, hi: number, into: Uint8Array, offset: number): boolean;
  /**
   * Stores `from`, from `offset` bytes behind the address on.
   *
   * @param lo bits 31:0 of the address
   * @param hi bits 63:32
   * @param offset bytes
   * @returns false for a fault, with nothing written
   */
  write(lo: number, hi: number, from: Uint8Array, offset: number): boolean;
}
