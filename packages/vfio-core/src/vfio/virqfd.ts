/**
 * An eventfd that the kernel listens to for VFIO: unmask eventfds, ioeventfds of a BAR. Kernel: virqfd.c; catalogue: vfio 2.11.
 *
 * In the kernel a handler may put work off to a work queue; here what a signal does is done before the write returns.
 */
import type { EventFdContext, EventFdListener } from '../irq/event-fd.ts';
import type { Process } from '../process/process.ts';
import { EBUSY } from '../uapi/errno.ts';

/** Where at most one virqfd lives: the kernel's struct virqfd pointer in a driver's state. */
export class VirqfdSlot {
  #virqfd: Virqfd | undefined;

  get active(): boolean {
    return this.#virqfd !== undefined;
  }

  /**
   * vfio_virqfd_enable(): from now on each signal of the eventfd runs `signalled`, at once if it is signalled already. With
   * `drains` the count is taken first (since 5.11). Closing the eventfd disables it.
   *
   * @returns 0; -EBADF, -EINVAL for what is no eventfd; -EBUSY if there is one already.
   */
  enable(process: Process, fd: number, drains: boolean, signalled: () => void): number {
    const context = process.eventFdContext(fd);
    if (typeof context === 'number') return context;
    if (this.#virqfd !== undefined) return -EBUSY;
    const virqfd = new Virqfd(context, drains, signalled, () => {
      if (this.#virqfd === virqfd) this.#virqfd = undefined;
    });
    this.#virqfd = virqfd;
    context.listen(virqfd);
    return 0;
  }

  /** vfio_virqfd_disable(). */
  disable(): void {
    const virqfd = this.#virqfd;
    this.#virqfd = undefined;
    virqfd?.end();
  }
}

class Virqfd implements EventFdListener {
  readonly #context: EventFdContext;
  readonly #drains: boolean;
  readonly #act: () => void;
  readonly #gone: () => void;

  constructor(context: EventFdContext, drains: boolean, act: () => void, gone: () => void) {
    this.#context = context;
    this.#drains = drains;
    this.#act = act;
    this.#gone = gone;
  }

  signalled(): void {
    if (this.#drains) this.#context.drain();
    this.#act();
  }

  closed(): void {
    this.#gone();
  }

  end(): void {
    this.#context.unlisten(this);
  }
}
