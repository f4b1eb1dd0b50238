import { UserBuffer } from '../process/user-buffer.ts';
import { EFAULT } from '../uapi/errno.ts';

/**
 * Takes a pread or pwrite apart, as vfio-platform and the mdev samples do: calls `access` for naturally aligned pieces of 4, 2 and 1 bytes.
 * What went before a fault of the user's buffer is done; and the read that the buffer did not take.
 *
 * @param offset of the first byte, in the numbering that `access` gets
 * @returns the count, the first refusal, or -EFAULT
 */
export function inPieces(bytes: Uint8Array, offset: number, access: (piece: Uint8Array, at: number) => number): number {
  const buffer = bytes.buffer instanceof UserBuffer ? bytes.buffer : undefined;
  for (let done = 0; done < bytes.length; ) {
    const at = offset + done;
    const left = bytes.length - done;
    const width = left >= 4 && at % 4 === 0 ? 4 : left >= 2 && at % 2 === 0 ? 2 : 1;
    const end = bytes.byteOffset + done + width;
    const fault = buffer !== undefined && end > buffer.reach;
    if (fault && !buffer.filled) return -EFAULT;
    const error = access(bytes.subarray(done, done + width), at);
    if (error < 0) return error;
    if (fault) return -EFAULT;
    if (buffer !== undefined) buffer.moved = end;
    done += width;
  }
  return bytes.length;
}
