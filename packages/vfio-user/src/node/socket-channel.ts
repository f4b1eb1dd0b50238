/** A channel over a connected UNIX socket. Its calls block: it belongs into a thread of its own. */
import { closeSync, readSync } from 'node:fs';
import { EINTR } from '@vsim/vfio-core';
import { DEFAULT_CAPABILITIES } from '../negotiation/capabilities.ts';
import type { Channel, Received } from '../wire/channel.ts';
import type { Descriptor } from '../wire/descriptor.ts';
import { Framer } from '../wire/framer.ts';
import { HEADER_SIZE } from '../wire/header.ts';
import { commandLimit } from '../wire/limits.ts';
import { errno, MSG_CMSG_CLOEXEC, MSG_CTRUNC, MSG_NOSIGNAL, NativeMemory, POLLIN, SCM_RIGHTS, SHUT_RDWR, SOL_SOCKET, recvmsg, send, sendmsg, shutdown, waitFor } from './libc.ts';
import { makeEventfd, RealDescriptor, type Listened } from './real-descriptor.ts';

/** The most descriptors that one sendmsg() may have: SCM_MAX_FD. */
const MOST_FDS = 253;
/** struct cmsghdr: length of 64 bits, level, type. */
const CMSG_HEADER = 16;
const CONTROL = CMSG_HEADER + 4 * MOST_FDS + 4;
/** struct msghdr, struct iovec, control data, bytes that are lent, and other bytes, one behind the other. */
const MSGHDR = { NAME: 0, NAMELEN: 8, IOV: 16, IOVLEN: 24, CONTROL: 32, CONTROLLEN: 40, FLAGS: 48, SIZE: 56 } as const;
const IOV_AT = MSGHDR.SIZE;
const CONTROL_AT = IOV_AT + 16;
const LENT_AT = 2048;
/** Bytes of a read, at least: a message is mostly there with its first, and others behind it. */
const CHUNK = 0x1_0000;
const DATA_AT = LENT_AT + CHUNK;
/** Messages up to this size are lent in views that are made once. */
const SMALL = 256;
const NO_DESCRIPTORS: readonly Descriptor[] = [];
/** Whatever is negotiated, no message is longer. */
const MOST_BYTES = 0x40_0000;

/** Options of a SocketChannel. */
export interface SocketChannelOptions {
  /** The longest message that is taken, in bytes. @default what a server takes that says nothing else */
  readonly largest?: number;
}

/** Messages over a connected socket, with descriptors by SCM_RIGHTS; those that come are closed on exec. */
export class SocketChannel implements Channel, Listened {
  /** The socket; -1 once it is closed. */
  fd: number;
  readonly #largest: number;
  readonly #framer: Framer;
  readonly #memory: NativeMemory;
  readonly #listeners: { readonly fd: number; readonly told: () => void }[] = [];
  readonly #count = new Uint8Array(8);
  /** Where the message header points. */
  #at = 0;
  /** Messages that were lent, by their sizes. */
  readonly #lent: (Received | undefined)[] = [];

  /** @param fd a connected socket, owned from now on @throws RangeError for a limit below a header or above 4 MiB */
  constructor(fd: number, { largest = commandLimit(DEFAULT_CAPABILITIES.maxDataXferSize) }: SocketChannelOptions = {}) {
    if (!(largest >= HEADER_SIZE && largest <= MOST_BYTES)) throw new RangeError(`"largest" expected a number from ${HEADER_SIZE} to ${MOST_BYTES}, got ${largest}`);
    this.fd = fd;
    this.#largest = largest;
    this.#framer = new Framer({ messageSize: largest, descriptors: MOST_FDS });
    this.#memory = new NativeMemory(DATA_AT + Math.max(largest, CHUNK));
    const { view, address } = this.#memory;
    view.setBigUint64(MSGHDR.IOV, address + BigInt(IOV_AT), true);
    view.setBigUint64(MSGHDR.IOVLEN, 1n, true);
    view.setBigUint64(MSGHDR.CONTROL, address + BigInt(CONTROL_AT), true);
  }

  /** Sends it whole; nothing where the other side is gone. @throws TypeError for descriptors that are not of this process */
  send(message: Uint8Array, descriptors: readonly Descriptor[] = []): void {
    if (this.fd < 0) return;
    let done = descriptors.length > 0 ? this.#sendWith(message, descriptors) : 0;
    while (done >= 0 && done < message.length) {
      const took = send(this.fd, done === 0 ? message : message.subarray(done), message.length - done, MSG_NOSIGNAL);
      if (took < 0 && errno() !== EINTR) return;
      done += Math.max(0, took);
    }
  }

  /** @returns bytes sent, or -1 where the other side is gone */
  #sendWith(message: Uint8Array, descriptors: readonly Descriptor[]): number {
    const { view, bytes, address } = this.#memory;
    const length = Math.min(message.length, this.#largest);
    bytes.set(message.subarray(0, length), DATA_AT);
    const size = CMSG_HEADER + 4 * descriptors.length;
    view.setBigUint64(CONTROL_AT, BigInt(size), true);
    view.setInt32(CONTROL_AT + 8, SOL_SOCKET, true);
    view.setInt32(CONTROL_AT + 12, SCM_RIGHTS, true);
    descriptors.forEach((descriptor, i) => {
      if (!(descriptor instanceof RealDescriptor)) throw new TypeError('a socket sends descriptors of this process alone');
      view.setInt32(CONTROL_AT + CMSG_HEADER + 4 * i, descriptor.fd, true);
    });
    this.#prepare(DATA_AT, length, size);
    let took: number;
    do took = sendmsg(this.fd, address, MSG_NOSIGNAL);
    while (took < 0 && errno() === EINTR);
    return took;
  }

  /** Points the message header at bytes and control data. Halves of 32 bits are enough for lengths. */
  #prepare(at: number, length: number, control: number): void {
    const { view, address } = this.#memory;
    if (this.#at !== at) view.setBigUint64(IOV_AT, address + BigInt(at), true);
    this.#at = at;
    view.setUint32(IOV_AT + 8, length, true);
    view.setUint32(MSGHDR.CONTROLLEN, control, true);
    view.setInt32(MSGHDR.FLAGS, 0, true);
  }

  /** Whether a message is here already: one read may bring several, of which the socket's own readiness tells nothing. */
  get ready(): boolean {
    return this.#framer.ready;
  }

  /** As Channel says; a message that is longer than the limit, or half, ends the connection. */
  receive(): Received | undefined {
    if (this.fd < 0) return undefined;
    this.#pollListeners();
    while (this.#framer.broken === undefined) {
      const message = this.#framer.next();
      if (message !== undefined) return message;
      this.#feed(DATA_AT, this.#read(DATA_AT, Math.max(this.#framer.missing, CHUNK)));
    }
    return undefined;
  }

  /** As Channel says: without a copy where a read brings one message alone, as it does of who waits for each answer. */
  borrow(): Received | undefined {
    if (this.fd < 0 || !this.#framer.idle) return this.receive();
    this.#pollListeners();
    const took = this.#read(LENT_AT, CHUNK);
    const { view } = this.#memory;
    // Descriptors may be lost, and then none are told of.
    const bare = took >= HEADER_SIZE && view.getUint32(MSGHDR.CONTROLLEN, true) === 0 && (view.getInt32(MSGHDR.FLAGS, true) & MSG_CTRUNC) === 0;
    if (bare && took <= this.#largest && view.getUint32(LENT_AT + 4, true) === took) return this.#lend(took);
    this.#feed(LENT_AT, took);
    return this.receive();
  }

  /** @returns bytes that came, or that none do: 0 or below */
  #read(at: number, length: number): number {
    let took: number;
    do {
      this.#prepare(at, length, CONTROL);
      took = recvmsg(this.fd, this.#memory.address, MSG_CMSG_CLOEXEC);
    } while (took < 0 && errno() === EINTR);
    return took;
  }

  /**
   * Gives the framer what was read. Descriptors are of the last message of a read: the kernel ends one behind the bytes that were sent with them, and who sends
   * a message with descriptors sends no other in the same call.
   */
  #feed(at: number, took: number): void {
    this.#framer.feed(this.#memory.bytes.subarray(at, at + Math.max(0, took)), took > 0 ? this.#takeDescriptors() : NO_DESCRIPTORS);
    if (took <= 0 || (this.#memory.view.getInt32(MSGHDR.FLAGS, true) & MSG_CTRUNC) !== 0) this.#framer.end();
  }

  #lend(size: number): Received {
    const known = this.#lent[size];
    if (known !== undefined) return known;
    const lent = { bytes: this.#memory.bytes.subarray(LENT_AT, LENT_AT + size), descriptors: NO_DESCRIPTORS };
    if (size <= SMALL) this.#lent[size] = lent;
    return lent;
  }

  #takeDescriptors(): RealDescriptor[] {
    const { view } = this.#memory;
    const descriptors: RealDescriptor[] = [];
    const length = Number(view.getBigUint64(MSGHDR.CONTROLLEN, true));
    for (let at = 0; at + CMSG_HEADER <= length; ) {
      const size = Number(view.getBigUint64(CONTROL_AT + at, true));
      if (size < CMSG_HEADER) break;
      if (view.getInt32(CONTROL_AT + at + 8, true) === SOL_SOCKET && view.getInt32(CONTROL_AT + at + 12, true) === SCM_RIGHTS) {
        for (let i = CMSG_HEADER; i + 4 <= size; i += 4) descriptors.push(new RealDescriptor(view.getInt32(CONTROL_AT + at + i, true), this));
      }
      at += (size + 7) & ~7;
    }
    return descriptors;
  }

  /** As Channel says. @throws SyscallError EMFILE */
  eventfd(): RealDescriptor {
    return new RealDescriptor(makeEventfd(), this);
  }

  /** Tells listeners of what their eventfds have, without waiting: for a client that has nothing to ask. */
  look(): void {
    if (this.fd >= 0) this.#pollListeners(-1, 0);
  }

  /** Polls an eventfd in each receive(). @param fd its number @returns what ends it */
  listen(fd: number, told: () => void): () => void {
    const listener = { fd, told };
    this.#listeners.push(listener);
    return () => {
      const at = this.#listeners.indexOf(listener);
      if (at >= 0) this.#listeners.splice(at, 1);
    };
  }

  /**
   * Waits as receive() does before it takes anything.
   *
   * @param wake number of an eventfd that ends the wait
   * @returns true: receive() has something to take, or the end; false: `wake` was signalled, and is zero again
   */
  wait(wake: number): boolean {
    return this.fd < 0 || this.#pollListeners(wake);
  }

  /** Tells listeners of their eventfds until there is something to take. Without listeners the receive itself waits. @param most how long it waits, in ms: 0 or -1 @returns false where `wake` is signalled first */
  #pollListeners(wake = -1, most = -1): boolean {
    while (this.#listeners.length > 0 || wake >= 0) {
      const { ready } = this.#framer;
      const polled = [...this.#listeners];
      const [socket, woken, ...told] = waitFor([this.fd, wake, ...polled.map(({ fd }) => fd)], ready ? 0 : most);
      polled.forEach((listener, i) => {
        if (told[i] !== POLLIN || !this.#listeners.includes(listener)) return;
        readSync(listener.fd, this.#count);
        listener.told();
      });
      if (woken === POLLIN) {
        readSync(wake, this.#count);
        return false;
      }
      if (ready || most === 0 || socket !== 0) return true;
    }
    return true;
  }

  /** Ends a receive() that waits, also in another thread. */
  shutdown(): void {
    if (this.fd >= 0) shutdown(this.fd, SHUT_RDWR);
  }

  /** Closes the socket; not in the middle of what is done with a borrowed message, whose bytes go. */
  close(): void {
    if (this.fd < 0) return;
    closeSync(this.fd);
    this.fd = -1;
    this.#framer.end();
    this.#memory.free();
  }
}
