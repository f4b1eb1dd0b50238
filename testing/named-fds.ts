/** A user's fds by names of the test's own, for programs whose calls may fail, or sleep, in any order. */
import type { Process, Sleeps, Thread } from '../packages/vfio-core/src/index.ts';

/** An fd number that no process has. */
const NO_FD = 999;

export class NamedFds {
  readonly #process: Process;
  readonly #fds = new Map<string, number>();

  constructor(process: Process) {
    this.#process = process;
  }

  /** The number; of a name that has none, one that is EBADF. */
  fd(name: string): number {
    return this.#fds.get(name) ?? NO_FD;
  }

  has(name: string): boolean {
    return this.#fds.has(name);
  }

  /** Makes a call in a thread, and keeps the fd that it gives. */
  open(name: string, body: Sleeps<number>): Thread<number> {
    return this.#process.start(name, this.#keep(name, body));
  }

  /** Makes a call that gives no fd. */
  call(body: Sleeps<number>): Thread<number> {
    return this.#process.start('call', body);
  }

  close(name: string): void {
    this.call(this.#process.sys.close(this.fd(name)));
    this.#fds.delete(name);
  }

  *#keep(name: string, body: Sleeps<number>): Sleeps<number> {
    const fd = yield* body;
    if (fd >= 0) this.#fds.set(name, fd);
    return fd;
  }
}
