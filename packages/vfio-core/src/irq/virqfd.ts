/** An eventfd that user space writes to make the kernel do something. Kernel: struct virqfd, vfio_virqfd_enable(). */
import type { EventFdContext, EventFdListener } from './event-fd.ts';

export class Virqfd implements EventFdListener {
  readonly #context: EventFdContext;
  readonly #drains: boolean;
  readonly #act: () => void;
  readonly #gone: () => void;

  /**
   * Acts at once if the eventfd is signalled already.
   *
   * @param drains whether the kernel takes the count: since 5.11
   * @param gone the eventfd was closed, and this has let go of it
   */
  constructor(context: EventFdContext, drains: boolean, act: () => void, gone: () => void) {
    this.#context = context;
    this.#drains = drains;
    this.#act = act;
    this.#gone = gone;
    context.listen(this);
  }

  signalled(): void {
    if (this.#drains) this.#context.drain();
    this.#act();
  }

  closed(): void {
    this.#gone();
  }

  /** Takes what is in the counter, too: eventfd_ctx_remove_wait_queue(). */
  disable(): void {
    this.#context.drain();
    this.#context.unlisten(this);
  }
}
