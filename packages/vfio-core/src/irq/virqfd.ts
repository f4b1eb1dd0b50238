import type { Host } from '../host/host.ts';
import type { Work } from '../host/work-queue.ts';
import type { EventFdContext, EventFdListener } from './event-fd.ts';

/** Whose it is: a VFIO device, which has to be there still when the eventfd acts. */
export interface VirqfdOwner {
  /** The device on its bus, for its host. */
  readonly device: { readonly host: Host };
  /** A door of the device: VfioDevice.enter(). */
  enter(operation: string): void;
}

/**
 * An eventfd that user space writes to make the kernel do something, as INTx masking and ioeventfds use it. Kernel: struct virqfd,
 * vfio_virqfd_enable().
 */
export class Virqfd implements EventFdListener, Work {
  readonly #host: Host;
  readonly #owner: VirqfdOwner;
  readonly #context: EventFdContext;
  readonly #act: () => void;
  readonly #gone: () => void;
  #enabled = true;
  #attached = false;

  /**
   * Acts at once if the eventfd is signalled already, and leaves its count: only what is signalled later is drained.
   *
   * @param gone the eventfd was closed, and this has let go of it
   */
  constructor(owner: VirqfdOwner, context: EventFdContext, act: () => void, gone: () => void) {
    this.#host = owner.device.host;
    this.#owner = owner;
    this.#context = context;
    this.#act = act;
    this.#gone = gone;
    context.listen(this);
    this.#attached = true;
  }

  /** What it does may signal this eventfd again: it is work, never done inside the signal, and not before the others have been told. */
  signalled(): void {
    if (this.#attached && this.#host.profile.virqfdDrains) this.#context.drain();
    this.#host.work.queue(this);
  }

  /** Does what was queued, unless it is put off. */
  allTold(): void {
    this.#host.work.doQueued();
  }

  /** Enters the device and acts. */
  work(): void {
    if (!this.#enabled) return;
    this.#owner.enter('eventfd');
    this.#act();
  }

  /** The eventfd is closed: it acts no more, and its owner is told. */
  closed(): void {
    this.#enabled = false;
    this.#gone();
  }

  /** Takes what is in the counter, too: eventfd_ctx_remove_wait_queue(). */
  disable(): void {
    this.#enabled = false;
    this.#context.drain();
    this.#context.unlisten(this);
  }
}
