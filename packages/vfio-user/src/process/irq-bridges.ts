/** Eventfds of a client, joined with eventfds of the process that serves its device. */
import {
  EBUSY,
  EINVAL,
  EMFILE,
  get,
  set,
  VFIO_DEVICE_SET_IRQS,
  VFIO_IRQ_SET_ACTION_TRIGGER,
  VFIO_IRQ_SET_DATA_EVENTFD,
  VFIO_IRQ_SET_DATA_NONE,
  vfio_irq_set,
  type Process,
} from '@vsim/vfio-core';
import type { Descriptor } from '../wire/descriptor.ts';
import { finish } from './finish.ts';

const NONE = -1;
const ONE = Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0);

/** An eventfd of the process, and the client's that it stands for. */
interface Bridge {
  readonly fd: number;
  end(): void;
}

/** The eventfds of one device: a trigger goes out to the client, what masks and unmasks comes in. */
export class IrqBridges {
  readonly #process: Process;
  readonly #device: number;
  /** By index, action and interrupt: `2/32/0`. */
  readonly #bridges = new Map<string, Bridge>();

  /** @param device the fd of the device */
  constructor(process: Process, device: number) {
    this.#process = process;
    this.#device = device;
  }

  /**
   * VFIO_DEVICE_SET_IRQS, as ServedDevice has it.
   *
   * @param eventfds closed, here or when something takes their places
   * @returns what the device answers; -EINVAL for what is no eventfd, or another count of them; -EMFILE
   */
  set(argument: Uint8Array, eventfds: readonly (Descriptor | undefined)[]): number {
    if (argument.length < vfio_irq_set.size) return closed(eventfds, -EINVAL);
    const flags = get(argument, vfio_irq_set.flags);
    if ((flags & VFIO_IRQ_SET_DATA_EVENTFD) !== 0) return this.#give(argument, flags & ~VFIO_IRQ_SET_DATA_EVENTFD, eventfds);
    const result = this.#setIrqs(argument);
    const disables = flags === (VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER) && get(argument, vfio_irq_set.count) === 0;
    if (result >= 0 && disables) this.#drop(`${get(argument, vfio_irq_set.index)}/`);
    return closed(eventfds, result);
  }

  /** Disables all interrupts of `indices` indices. */
  disable(indices: number): void {
    for (let index = 0; index < indices; index += 1) {
      const request = new Uint8Array(vfio_irq_set.size);
      set(request, vfio_irq_set.argsz, request.length);
      set(request, vfio_irq_set.flags, VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER);
      set(request, vfio_irq_set.index, index);
      this.#setIrqs(request);
    }
    this.#drop('');
  }

  #give(argument: Uint8Array, action: number, eventfds: readonly (Descriptor | undefined)[]): number {
    const { size, index, start, count, argsz } = vfio_irq_set;
    if (get(argument, count) !== eventfds.length) return closed(eventfds, -EINVAL);
    const made: (Bridge | undefined)[] = [];
    let error = 0;
    for (const descriptor of eventfds) {
      const bridge = descriptor === undefined || error < 0 ? undefined : this.#bridge(descriptor, action);
      if (typeof bridge === 'number') error = bridge;
      made.push(typeof bridge === 'number' ? undefined : bridge);
    }
    const first = get(argument, start);
    const keys = made.map((_, i) => `${get(argument, index)}/${action}/${first + i}`);
    if (error === 0) {
      const request = new Uint8Array(size + 4 * eventfds.length);
      request.set(argument.subarray(0, size));
      set(request, argsz, request.length);
      const fill = (fds: readonly (number | undefined)[]): void => { fds.forEach((fd, i) => { set(request, [size + 4 * i, 's32'], fd ?? NONE); }); };
      fill(made.map((bridge) => bridge?.fd));
      error = this.#setIrqs(request);
      // The kernel wants what masks and unmasks taken away before it has another. A client of this protocol names the new one.
      if (error === -EBUSY && keys.some((key) => this.#bridges.has(key))) {
        fill(made.map(() => NONE));
        this.#setIrqs(request);
        for (const key of keys) this.#drop(key);
        fill(made.map((bridge) => bridge?.fd));
        error = this.#setIrqs(request);
      }
    }
    if (error < 0) {
      for (const bridge of made) bridge?.end();
      // Those of bridges are closed with them.
      return closed(eventfds.filter((_, i) => made[i] === undefined), error);
    }
    made.forEach((bridge, i) => { this.#replace(keys[i]!, bridge); });
    return error;
  }

  /** An eventfd of the process for one of the client. @returns -EINVAL where it is none, -EMFILE */
  #bridge(descriptor: Descriptor, action: number): Bridge | number {
    const process = this.#process;
    if (process.nextFd() < 0) return -EMFILE;
    const fd = process.eventfd();
    const context = process.eventFdContext(fd);
    const told = (): void => void process.tryWrite(fd, ONE);
    // A trigger only asks whether it is an eventfd.
    const unlisten = descriptor.listen(action === VFIO_IRQ_SET_ACTION_TRIGGER ? () => undefined : told);
    if (unlisten === undefined || typeof context === 'number') {
      process.close(fd);
      return -EINVAL;
    }
    if (action !== VFIO_IRQ_SET_ACTION_TRIGGER) return { fd, end: () => { unlisten(); this.#close(fd, descriptor); } };
    unlisten();
    const listener = {
      priority: true,
      signalled: () => {
        context.drain();
        descriptor.signal();
      },
    };
    context.listen(listener);
    return { fd, end: () => { context.unlisten(listener); this.#close(fd, descriptor); } };
  }

  #close(fd: number, descriptor: Descriptor): void {
    // The process may have exited, and its fds with it.
    if (this.#process.file(fd) !== undefined) this.#process.close(fd);
    descriptor.close();
  }

  #replace(key: string, bridge: Bridge | undefined): void {
    this.#bridges.get(key)?.end();
    if (bridge === undefined) this.#bridges.delete(key);
    else this.#bridges.set(key, bridge);
  }

  #drop(prefix: string): void {
    for (const [key, bridge] of [...this.#bridges]) {
      if (!key.startsWith(prefix)) continue;
      this.#bridges.delete(key);
      bridge.end();
    }
  }

  #setIrqs(request: Uint8Array): number {
    return finish(this.#process, 'ioctl', this.#process.sys.ioctl(this.#device, VFIO_DEVICE_SET_IRQS, request));
  }
}

function closed(eventfds: readonly (Descriptor | undefined)[], result: number): number {
  for (const descriptor of eventfds) descriptor?.close();
  return result;
}
