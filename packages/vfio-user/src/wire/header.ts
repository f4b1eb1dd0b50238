/** The 16 bytes that every message begins with. */
import { get, set, type Field32 } from '@vsim/vfio-core';

/** Bytes of the header. */
export const HEADER_SIZE = 16;

/** Bits of the header's flags that hold the type. */
export const FLAG_TYPE_MASK = 0xf;
/** Flag of a header: the message answers a command of its id. A command has type 0. */
export const FLAG_REPLY = 1;
/** Flag of a command: it gets no answer, not even an error. */
export const FLAG_NO_REPLY = 0x10;
/** Flag of a reply: the command failed with the header's errno, and there is no payload. */
export const FLAG_ERROR = 0x20;

/** A message's header, decoded. */
export interface Header {
  /** Chosen by the sender of the command, of 16 bits; its reply has the same. */
  readonly id: number;
  /** The number of the command, of 16 bits. */
  readonly command: number;
  /** Bytes of the whole message, of 32 bits. */
  readonly size: number;
  /** Bits FLAG_*, of 32 bits. */
  readonly flags: number;
  /** With FLAG_ERROR the errno, positive; 0 where the other side names none. */
  readonly error: number;
}

const ID: Field32 = [0, 'u16'];
const COMMAND: Field32 = [2, 'u16'];
const SIZE: Field32 = [4, 'u32'];
const FLAGS: Field32 = [8, 'u32'];
const ERROR: Field32 = [12, 'u32'];

/** Reads the header of a message or of what has come of it. @returns undefined where there are fewer than 16 bytes */
export function decodeHeader(bytes: Uint8Array): Header | undefined {
  if (bytes.length < HEADER_SIZE) return undefined;
  return { id: get(bytes, ID), command: get(bytes, COMMAND), size: get(bytes, SIZE), flags: get(bytes, FLAGS), error: get(bytes, ERROR) };
}

/** Writes a header into the first 16 bytes. @throws RangeError if there are fewer */
export function encodeHeader(bytes: Uint8Array, header: Header): void {
  set(bytes, ID, header.id);
  set(bytes, COMMAND, header.command);
  set(bytes, SIZE, header.size);
  set(bytes, FLAGS, header.flags);
  set(bytes, ERROR, header.error);
}
