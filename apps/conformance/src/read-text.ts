/** Reading what a person names: up to a limit, packed or not. */
import { closeSync, openSync, readSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';

/** The most bytes of a file, and of what is packed in it. */
export const MOST_FILE_BYTES = 0x400_0000;
const PIECE = 0x1_0000;

/** A file that is not read: `message` says why, in a few words. */
export class UnreadableText extends Error {
  override readonly name = 'UnreadableText';
}

/** The text of a file, or of an open fd; unpacked if it is packed, by its bytes or its name. @throws UnreadableText */
export function readText(path: string | number, most: number = MOST_FILE_BYTES): string {
  const bytes = reading(() => readBytes(path, most));
  const packed = (bytes[0] === 0x1f && bytes[1] === 0x8b) || (typeof path === 'string' && path.endsWith('.gz'));
  if (!packed) return bytes.toString('utf8');
  try {
    return gunzipSync(bytes, { maxOutputLength: most }).toString('utf8');
  } catch (error) {
    throw new UnreadableText(codeOf(error) === 'ERR_BUFFER_TOO_LARGE' ? `more than ${most} bytes when it is unpacked` : 'not a whole gzip file');
  }
}

/** Runs a call of the file system; its failure becomes a few words. @throws UnreadableText */
export function reading<T>(call: () => T): T {
  try {
    return call();
  } catch (error) {
    if (error instanceof UnreadableText) throw error;
    const code = codeOf(error) ?? 'cannot be read';
    throw new UnreadableText(code === 'ENOENT' ? 'no such file or folder' : code);
  }
}

/** The bytes of a file. Not readFileSync(): a device has no end, and its size says nothing. @throws UnreadableText, and what the file system throws */
export function readBytes(path: string | number, most: number = MOST_FILE_BYTES): Buffer {
  const fd = typeof path === 'number' ? path : openSync(path, 'r');
  try {
    const pieces: Buffer[] = [];
    for (let total = 0; ; ) {
      const piece = Buffer.allocUnsafe(PIECE);
      const got = readSync(fd, piece, 0, PIECE, null);
      if (got === 0) return Buffer.concat(pieces);
      total += got;
      if (total > most) throw new UnreadableText(`more than ${most} bytes`);
      pieces.push(piece.subarray(0, got));
    }
  } finally {
    if (typeof path !== 'number') closeSync(fd);
  }
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}
