/** The 16 bytes that every message begins with. */
import { get, set } from '@vsim/vfio-core';
import { HEADER_LAYOUT } from './layouts.ts';

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

/** Reads the header of a message or of what has come of it. @returns undefined where there are fewer than 16 bytes */
export function decodeHeader(bytes: Uint8Array): Header | undefined {
  if (bytes.length < HEADER_SIZE) return undefined;
  const { id, command, length, flags, error } = HEADER_LAYOUT;
  return { id: get(bytes, id), command: get(bytes, command), size: get(bytes, length), flags: get(bytes, flags), error: get(bytes, error) };
}

/** Writes a header into the first 16 bytes. @throws RangeError if there are fewer */
export function encodeHeader(bytes: Uint8Array, header: Header): void {
  const { id, command, length, flags, error } = HEADER_LAYOUT;
  set(bytes, id, header.id);
  set(bytes, command, header.command);
  set(bytes, length, header.size);
  set(bytes, flags, header.flags);
  set(bytes, error, header.error);
}
