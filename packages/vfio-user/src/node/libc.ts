/** The calls of the C library that Node has none of: sockets with descriptors beside the bytes. Linux, by koffi. */
import { EINTR } from '@vsim/vfio-core';
import koffi from 'koffi';

/** Domain of sockets with paths. */
export const AF_UNIX = 1;
/** Type: a stream of bytes. */
export const SOCK_STREAM = 1;
/** With a type: closed on exec. */
export const SOCK_CLOEXEC = 0o2000000;
/** Level of control messages of sockets. */
export const SOL_SOCKET = 1;
/** SCM_RIGHTS: descriptors beside the bytes. */
export const SCM_RIGHTS = 1;
/** MSG_NOSIGNAL: no SIGPIPE where the other side is gone. */
export const MSG_NOSIGNAL = 0x4000;
/** MSG_CMSG_CLOEXEC: descriptors that come are closed on exec. */
export const MSG_CMSG_CLOEXEC = 0x4000_0000;
/** MSG_CTRUNC, in msg_flags: descriptors were lost for want of room. */
export const MSG_CTRUNC = 8;
/** Both ways. */
export const SHUT_RDWR = 2;
/** There is something to read. */
export const POLLIN = 1;
/** There is room to write. */
export const POLLOUT = 4;
/** EFD_NONBLOCK | EFD_CLOEXEC. */
export const EFD_FLAGS = 0o2004000;
/** Flag of memfd_create(2): closed on exec. */
export const MFD_CLOEXEC = 1;

/** Bytes of a struct sockaddr_un. */
export const SOCKADDR_UN = 110;

const library = koffi.load(null);

/** socket(2). */
export const socket: (domain: number, type: number, protocol: number) => number = library.func('int socket(int, int, int)');
/** socketpair(2): two numbers of 32 bits into `pair`. */
export const socketpair: (domain: number, type: number, protocol: number, pair: Uint8Array) => number = library.func('int socketpair(int, int, int, void *)');
/** bind(2). */
export const bind: (fd: number, address: Uint8Array, length: number) => number = library.func('int bind(int, void *, uint32_t)');
/** listen(2). */
export const listen: (fd: number, backlog: number) => number = library.func('int listen(int, int)');
/** accept4(2); the address is not asked for. */
export const accept4: (fd: number, address: null, length: null, flags: number) => number = library.func('int accept4(int, void *, void *, int)');
/** connect(2). */
export const connect: (fd: number, address: Uint8Array, length: number) => number = library.func('int connect(int, void *, uint32_t)');
/** send(2). */
export const send: (fd: number, bytes: Uint8Array, length: number, flags: number) => number = library.func('long send(int, void *, size_t, int)');
/** sendmsg(2) of a message header in native memory. */
export const sendmsg: (fd: number, header: bigint, flags: number) => number = library.func('long sendmsg(int, void *, int)');
/** recvmsg(2) into a message header in native memory. */
export const recvmsg: (fd: number, header: bigint, flags: number) => number = library.func('long recvmsg(int, void *, int)');
/** poll(2) of `struct pollfd`s, 8 bytes each. */
export const poll: (fds: Uint8Array, count: number, timeout: number) => number = library.func('int poll(void *, unsigned long, int)');
/** shutdown(2): ends a receive in another thread. */
export const shutdown: (fd: number, how: number) => number = library.func('int shutdown(int, int)');
/** eventfd(2). */
export const eventfd: (count: number, flags: number) => number = library.func('int eventfd(unsigned int, int)');
/** memfd_create(2). */
export const memfdCreate: (name: string, flags: number) => number = library.func('int memfd_create(const char *, unsigned int)');
/** dup(2). */
export const dup: (fd: number) => number = library.func('int dup(int)');

/** errno after a call that failed. */
export function errno(): number {
  return koffi.errno();
}

const POLLFD = new Uint8Array(8);
const POLLFD_WORDS = new Int32Array(POLLFD.buffer);

/** Whether a descriptor can be read or written at once. @param fd open @param events POLLIN or POLLOUT */
export function isReady(fd: number, events: number): boolean {
  POLLFD_WORDS[0] = fd;
  POLLFD_WORDS[1] = events;
  return poll(POLLFD, 1, 0) === 1 && (POLLFD_WORDS[1] >>> 16) === events;
}

/**
 * Waits until one of some descriptors can be read, or its other side is gone.
 *
 * @param fds their numbers; nobody waits for one below 0
 * @param most how long it waits, in ms; -1 without an end
 * @returns what poll(2) says of each: 0 for one that is to be waited for further, POLLIN for one that can be read
 */
export function waitFor(fds: readonly number[], most = -1): number[] {
  const words = new Int32Array(2 * fds.length);
  fds.forEach((fd, i) => { words.set([fd, POLLIN], 2 * i); });
  const bytes = new Uint8Array(words.buffer);
  while (poll(bytes, fds.length, most) < 0 && errno() === EINTR);
  return fds.map((_, i) => words[2 * i + 1]! >>> 16);
}

/** Memory that stays where it is, for structures that point at each other. */
export class NativeMemory {
  /** Where it is. */
  readonly address: bigint;
  /** Its bytes. */
  readonly bytes: Uint8Array;
  /** The same. */
  readonly view: DataView;

  /** @param size in bytes; zero at first */
  constructor(size: number) {
    this.address = koffi.address(koffi.alloc('uint8_t', size));
    const buffer = koffi.view(this.address, size);
    this.bytes = new Uint8Array(buffer);
    this.view = new DataView(buffer);
    this.bytes.fill(0);
  }

  /** Gives it back: nobody may touch it from then on. */
  free(): void {
    koffi.free(this.address);
  }
}
