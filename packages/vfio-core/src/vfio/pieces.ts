/** Accesses of drivers that take a pread or pwrite apart, as vfio-platform and the mdev samples do. */

/** Calls `access` for naturally aligned pieces of 4, 2 and 1 bytes. @returns the count, or the first refusal */
export function inPieces(bytes: Uint8Array, offset: number, access: (piece: Uint8Array, at: number) => number): number {
  for (let done = 0; done < bytes.length; ) {
    const at = offset + done;
    const left = bytes.length - done;
    const width = left >= 4 && at % 4 === 0 ? 4 : left >= 2 && at % 2 === 0 ? 2 : 1;
    const error = access(bytes.subarray(done, done + width), at);
    if (error < 0) return error;
    done += width;
  }
  return bytes.length;
}
