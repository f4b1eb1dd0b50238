/** UNIX sockets by name: a server's, for one client after another, and a client's. */
import { chmodSync, closeSync, fstatSync, lstatSync, readSync, unlinkSync } from 'node:fs';
import { EADDRINUSE, ECONNREFUSED, EINTR, SyscallError } from '@vsim/vfio-core';
import { AF_UNIX, POLLIN, SHUT_RDWR, SOCKADDR_UN, SOCK_CLOEXEC, SOCK_STREAM, accept4, bind, connect, errno, listen, shutdown, socket, socketpair, waitFor } from './libc.ts';

const ADDRESS_AT = 2;

function addressOf(path: string): Uint8Array {
  const name = new TextEncoder().encode(path);
  if (name.length === 0 || name.length > SOCKADDR_UN - ADDRESS_AT - 1 || name.includes(0)) throw new RangeError(`"path" expected 1 to ${SOCKADDR_UN - ADDRESS_AT - 1} bytes without NUL, got ${name.length}`);
  const address = new Uint8Array(SOCKADDR_UN);
  address[0] = AF_UNIX;
  address.set(name, ADDRESS_AT);
  return address;
}

function open(): number {
  const fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) throw new SyscallError('socket', errno(), 'AF_UNIX');
  return fd;
}

/** A socket that waits for clients at a path. Only its owner may connect (mode 0600); a path that a dead server left behind is taken over. */
export class ListeningSocket {
  /** Where it is; undefined of one that was passed. */
  readonly path: string | undefined;
  #fd: number;

  /** Its number; -1 once it is closed. */
  get fd(): number {
    return this.#fd;
  }

  /**
   * Makes the socket.
   *
   * @param at its path, at most 107 bytes; or the number of a socket that listens already, which somebody has passed to this program, and which is owned from now on
   * @throws RangeError for a path that is none, or a number that is of no socket
   * @throws SyscallError EADDRINUSE where another server is at it, or a file that is no socket; what bind() answers else
   */
  constructor(at: string | number) {
    if (typeof at === 'number') {
      if (!isSocket(at)) throw new RangeError(`"at" expected the number of a socket, got ${at}`);
      this.#fd = at;
      return;
    }
    this.path = at;
    const address = addressOf(at);
    this.#fd = open();
    // Nobody can connect before listen(), so that the mode is right before anyone may.
    if (bind(this.#fd, address, SOCKADDR_UN) < 0) {
      const error = errno();
      if (error !== EADDRINUSE || !isStale(at, address)) this.#refuse('bind', error);
      unlinkSync(at);
      if (bind(this.#fd, address, SOCKADDR_UN) < 0) this.#refuse('bind', errno());
    }
    chmodSync(at, 0o600);
    if (listen(this.#fd, 1) < 0) this.#refuse('listen', errno());
  }

  #refuse(call: string, error: number): never {
    closeSync(this.#fd);
    throw new SyscallError(call, error, this.path ?? '');
  }

  /** Waits until there is a client, or the socket is shut down. @param wake number of an eventfd that ends the wait @returns false: `wake` was signalled, and is zero again */
  wait(wake: number): boolean {
    const [client, woken] = waitFor([this.#fd, wake]);
    if (woken === POLLIN) readSync(wake, new Uint8Array(8));
    return woken !== POLLIN || client !== 0;
  }

  /** Waits for the next client. @returns its socket; undefined once the socket is shut down */
  accept(): number | undefined {
    for (;;) {
      const fd = accept4(this.#fd, null, null, SOCK_CLOEXEC);
      if (fd >= 0) return fd;
      if (errno() !== EINTR) return undefined;
    }
  }

  /** Ends an accept() that waits, also in another thread that has `fd`. */
  shutdown(): void {
    shutdown(this.#fd, SHUT_RDWR);
  }

  /** Closes the socket, and takes its path away, if it has made it. */
  close(): void {
    if (this.#fd < 0) return;
    closeSync(this.#fd);
    this.#fd = -1;
    if (this.path !== undefined) unlinkSync(this.path);
  }
}

function isSocket(fd: number): boolean {
  try {
    return fstatSync(fd).isSocket();
  } catch {
    return false;
  }
}

/** Whether a path is a socket that nobody listens at. */
function isStale(path: string, address: Uint8Array): boolean {
  if (!lstatSync(path).isSocket()) return false;
  const fd = open();
  const error = connect(fd, address, SOCKADDR_UN) < 0 ? errno() : 0;
  closeSync(fd);
  return error === ECONNREFUSED;
}

/** Connects to a server. @param path at most 107 bytes @returns the socket @throws SyscallError ENOENT, ECONNREFUSED, EACCES */
export function connectTo(path: string): number {
  const address = addressOf(path);
  const fd = open();
  if (connect(fd, address, SOCKADDR_UN) === 0) return fd;
  const error = errno();
  closeSync(fd);
  throw new SyscallError('connect', error, path);
}

/** Ends what waits at a socket, in whichever thread: an accept(), a receive(). @param fd a number of this process */
export function shutDown(fd: number): void {
  shutdown(fd, SHUT_RDWR);
}

/** Two sockets that are connected with each other. @throws SyscallError EMFILE */
export function connectedPair(): readonly [number, number] {
  const pair = new Int32Array(2);
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, new Uint8Array(pair.buffer)) < 0) throw new SyscallError('socketpair', errno(), 'AF_UNIX');
  return [pair[0]!, pair[1]!];
}
