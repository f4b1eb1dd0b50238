/** What carries messages between two sides. */
import type { Descriptor } from './descriptor.ts';

/** A message as it came: all of its bytes, header and payload, and the descriptors beside it. */
export interface Received {
  /** `size` bytes, as its header says. */
  readonly bytes: Uint8Array;
  /** In their order. Who takes the message owns them. */
  readonly descriptors: readonly Descriptor[];
}

/**
 * A connection that keeps messages whole and in order, as one side holds it. Calls wait: a server asks for the client's memory in the middle of an access to
 * a register, and has to have it before it answers.
 */
export interface Channel {
  /** Sends a message; its bytes and the descriptors stay the caller's, who may change them at once. Nothing happens once the other side is gone. */
  send(message: Uint8Array, descriptors?: readonly Descriptor[]): void;
  /** Waits for the next message, and takes it; undefined: the other side is gone, or sent what is no message. */
  receive(): Received | undefined;
  /**
   * As receive(), for who is done with a message before the next one is borrowed: the bytes may be the channel's own, and then change with the next borrow().
   * A receive() in between leaves them alone.
   *
   * @default receive()
   */
  borrow?(): Received | undefined;
  /**
   * A new eventfd that a message over this channel may carry; the caller's.
   *
   * @default none: the other side is of this program, and eventfds of simulated processes go over as they are
   */
  eventfd?(): Descriptor;
  /**
   * Ends the connection. What waits unread here is dropped, and its descriptors are closed; the other side still gets what was sent before. A second call does
   * nothing.
   */
  close(): void;
}
