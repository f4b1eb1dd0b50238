/** VFIO_DEVICE_SET_IRQS of a device behind a connection: eventfds of a process beside DEVICE_SET_IRQS. */
import {
  ENODEV,
  type EventFdContext,
  type EventFdListener,
  get,
  type IrqSet,
  type Process,
  VFIO_IRQ_SET_ACTION_TRIGGER,
  VFIO_IRQ_SET_DATA_EVENTFD,
  VFIO_IRQ_SET_DATA_NONE,
} from '@vsim/vfio-core';
import type { RemoteDevice } from '../client/remote-device.ts';
import type { Descriptor } from '../wire/descriptor.ts';
import { connected } from './remote-iommu.ts';

const FD = [0, 's32'] as const;

/** What a message carries for an eventfd. */
interface Carried {
  readonly descriptor: Descriptor;
  /** The server does not have it any more. */
  readonly end: () => void;
}

/** The interrupts of one device. */
export class RemoteIrqs {
  readonly #remote: RemoteDevice;
  readonly #most: () => number;
  readonly #make: (() => Descriptor) | undefined;
  /** What ends the pairs of eventfds of each interrupt, by index, action and interrupt. */
  readonly #pairs = new Map<string, () => void>();
  /** Triggers of interrupt 0, by index: for what this side has to tell itself. */
  readonly #first = new Map<number, EventFdContext>();

  /** @param most how many descriptors a message may have @param make as Channel.eventfd() */
  constructor(remote: RemoteDevice, most: () => number, make: (() => Descriptor) | undefined) {
    this.#remote = remote;
    this.#most = most;
    this.#make = make;
  }

  /** @returns 0 or more, or a negative errno, with the runs of eventfds before it set */
  set(process: Process, asked: IrqSet): number {
    const { index, start, count, dataType, action, data } = asked;
    const flags = dataType | action;
    if (dataType !== VFIO_IRQ_SET_DATA_EVENTFD) {
      const result = this.#remote.setIrqs({ flags, index, start, count, data });
      if (result >= 0 && count === 0 && dataType === VFIO_IRQ_SET_DATA_NONE && action === VFIO_IRQ_SET_ACTION_TRIGGER) {
        this.#first.delete(index);
        this.#part(`${index} `);
      }
      return connected(result);
    }
    // All fds are looked at before the server hears of one.
    const contexts: (EventFdContext | undefined)[] = [];
    for (let i = 0; i < count; i += 1) {
      const fd = get(data.subarray(4 * i), FD);
      const context = fd < 0 ? undefined : process.eventFdContext(fd);
      if (typeof context === 'number') return context;
      contexts.push(context);
    }
    for (let at = 0; at < count; ) {
      const run = this.#run(contexts, at);
      const made = run.map((context) => this.#carried(context, action));
      const length = Math.max(run.length, 1);
      const result = this.#remote.setIrqs({ flags, index, start: start + at, count: length }, made.map(({ descriptor }) => descriptor));
      if (result < 0) {
        for (const { end } of made) end();
        return connected(result);
      }
      for (let i = 0; i < length; i += 1) {
        const key = `${index} ${action} ${start + at + i}`;
        this.#pairs.get(key)?.();
        this.#pairs.delete(key);
        const pair = made[i];
        if (pair !== undefined) this.#pairs.set(key, pair.end);
      }
      at += length;
    }
    if (start === 0 && count > 0 && action === VFIO_IRQ_SET_ACTION_TRIGGER) this.#keep(index, contexts[0]);
    return 0;
  }

  /** Signals the eventfd of an index that this side has to tell something by. @param index of interrupts */
  signal(index: number): void {
    this.#first.get(index)?.signal();
  }

  /** Takes all eventfds back. @param indices how many kinds of interrupts there are */
  disable(indices: number): void {
    this.#first.clear();
    this.#part('');
    for (let index = 0; index < indices; index += 1) {
      this.#remote.setIrqs({ flags: VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER, index, start: 0, count: 0 });
    }
  }

  /** An eventfd of a process as a message carries it: as it is within one program, else one beside it that the two signal each other by. */
  #carried(context: EventFdContext, action: number): Carried {
    const descriptor = this.#make?.();
    if (descriptor === undefined) return { descriptor: new EventFdDescriptor(context), end: () => undefined };
    const own = new EventFdDescriptor(context);
    const stop = action === VFIO_IRQ_SET_ACTION_TRIGGER ? descriptor.listen(() => { own.signal(); }) : own.listen(() => { descriptor.signal(); });
    return {
      descriptor,
      end: () => {
        stop?.();
        descriptor.close();
      },
    };
  }

  /** Ends pairs. @param key how their keys begin */
  #part(key: string): void {
    for (const [each, end] of this.#pairs) {
      if (!each.startsWith(key)) continue;
      end();
      this.#pairs.delete(each);
    }
  }

  #keep(index: number, context: EventFdContext | undefined): void {
    if (context === undefined) this.#first.delete(index);
    else this.#first.set(index, context);
  }

  /** Eventfds from `at` on that one message may have; none where there is none at `at`. */
  #run(contexts: readonly (EventFdContext | undefined)[], at: number): EventFdContext[] {
    const run: EventFdContext[] = [];
    for (let i = at; i < contexts.length && run.length < this.#most(); i += 1) {
      const context = contexts[i];
      if (context === undefined) break;
      run.push(context);
    }
    return run;
  }
}

/** The eventfd of a process as a message carries it, in one program. */
class EventFdDescriptor implements Descriptor {
  readonly #context: EventFdContext;

  constructor(context: EventFdContext) {
    this.#context = context;
  }

  map(): number {
    return -ENODEV;
  }

  signal(): boolean {
    if (!this.#context.closed) this.#context.signal();
    return true;
  }

  listen(told: () => void): () => void {
    const listener: EventFdListener = {
      signalled: () => {
        this.#context.drain();
        told();
      },
    };
    this.#context.listen(listener);
    return () => { this.#context.unlisten(listener); };
  }

  duplicate(): Descriptor {
    return new EventFdDescriptor(this.#context);
  }

  close(): void {
    // It holds nothing: the process closes its fd.
  }
}
