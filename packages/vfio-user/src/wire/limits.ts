/** How large a message may be: what framers and sessions hold the other side to. */
import { HEADER_SIZE } from './header.ts';

/** Before the data of an access, or of a bitmap, at most. */
const FIXED = 32;
/** Room for messages that carry no data of accesses: VERSION, ranges of a log, many writes at once. */
const OTHERS = 65_536;

/** Bytes of the largest message that a server takes. @param maxDataXferSize its own, in bytes */
export function commandLimit(maxDataXferSize: number): number {
  return HEADER_SIZE + FIXED + Math.max(maxDataXferSize, OTHERS);
}

/** Bytes of the largest message that a client takes. @param maxDataXferSize its own, in bytes @param maxBitmapSize of the bitmaps that it asks for, in bytes */
export function replyLimit(maxDataXferSize: number, maxBitmapSize: number): number {
  return HEADER_SIZE + FIXED + Math.max(maxDataXferSize, maxBitmapSize, OTHERS);
}
