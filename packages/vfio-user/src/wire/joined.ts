/** Two channels joined in memory: for tests, and for a server and a client in one program. Nobody waits: a side that has to lets the other run. */
import type { Channel, Received } from './channel.ts';
import type { Descriptor, SharedMemory } from './descriptor.ts';

/** Who holds a side: a session of a server or a client. */
export interface Attendant {
  /** Messages that it has taken and not yet done. @default none */
  readonly queued?: number;
  /** Does one message. */
  step(): boolean;
}

/** A side of such a pair. */
export class JoinedChannel implements Channel {
  #other: JoinedChannel = this;
  #inbox: Received[] = [];
  #attendant: Attendant | undefined;
  #runs = false;
  #closed = false;
  /** What is told when this side looks: signals of eventfds that came over it. */
  #later: (() => void)[] = [];

  /** Two sides. */
  static pair(): readonly [JoinedChannel, JoinedChannel] {
    const [one, two] = [new JoinedChannel(), new JoinedChannel()];
    one.#other = two;
    two.#other = one;
    return [one, two];
  }

  /** Messages that wait to be taken. */
  get waiting(): number {
    return this.#inbox.length;
  }

  /** Who does what comes to this side while the other one waits. Without an attendant the other side never waits: it learns that nobody is there. */
  attend(attendant: Attendant): void {
    this.#attendant = attendant;
  }

  /** Sends a copy, with duplicates of the descriptors. */
  send(message: Uint8Array, descriptors: readonly Descriptor[] = []): void {
    if (this.#closed) return;
    const other = this.#other;
    other.#inbox.push({ bytes: message.slice(), descriptors: descriptors.map((one) => new Passed(one.duplicate(), (told) => other.#later.push(told))) });
  }

  /** Takes the next message; where there is none, the other side's attendant runs until there is one, or it has nothing to do. */
  receive(): Received | undefined {
    for (;;) {
      for (const told of this.#later.splice(0)) told();
      const received = this.#inbox.shift();
      if (received !== undefined || this.#closed || !this.#other.#run()) return received;
    }
  }

  /** Ends both sides. The other one still gets what it was sent before. */
  close(): void {
    this.#closed = true;
    this.#other.#closed = true;
    for (const { descriptors } of this.#inbox.splice(0)) for (const descriptor of descriptors) descriptor.close();
    this.#later = [];
  }

  /** Lets the attendant do one message. @returns false where it has none, or is in the middle of one */
  #run(): boolean {
    const attendant = this.#attendant;
    if (attendant === undefined || this.#runs || this.#inbox.length + (attendant.queued ?? 0) === 0) return false;
    this.#runs = true;
    attendant.step();
    this.#runs = false;
    return true;
  }
}

/** A descriptor that came over a channel: what it tells waits until the channel's holder looks. */
class Passed implements Descriptor {
  readonly #inner: Descriptor;
  readonly #later: (told: () => void) => void;

  constructor(inner: Descriptor, later: (told: () => void) => void) {
    this.#inner = inner;
    this.#later = later;
  }

  map(offset: number, size: number, write: boolean): SharedMemory | number {
    return this.#inner.map(offset, size, write);
  }

  signal(): boolean {
    return this.#inner.signal();
  }

  listen(told: () => void): (() => void) | undefined {
    let ended = false;
    const end = this.#inner.listen(() => {
      this.#later(() => {
        if (!ended) told();
      });
    });
    if (end === undefined) return undefined;
    return () => {
      ended = true;
      end();
    };
  }

  duplicate(): Descriptor {
    return new Passed(this.#inner.duplicate(), this.#later);
  }

  close(): void {
    this.#inner.close();
  }
}
