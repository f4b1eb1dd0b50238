/** What the main thread tells a worker that waits at a socket, and hears from it. */
import type { DeviceChoice } from './device-choice.ts';

/** Words that both threads see. */
const STOP = 0;
const LISTENING = 1;
const CLIENT = 2;
const NONE = -1;

/** A worker's sockets, and the wish that it ends. Its fds are numbers of the whole program. */
export class Control {
  /** Shared by the threads. */
  readonly buffer: SharedArrayBuffer;
  readonly #words: Int32Array;

  constructor(buffer?: SharedArrayBuffer) {
    this.buffer = buffer ?? new SharedArrayBuffer(12);
    this.#words = new Int32Array(this.buffer);
    if (buffer === undefined) this.#words.fill(NONE, LISTENING);
  }

  /** Whether it is to end. */
  get stopped(): boolean {
    return Atomics.load(this.#words, STOP) === 1;
  }

  /** It is to end. @returns sockets at which it may wait */
  stop(): readonly number[] {
    Atomics.store(this.#words, STOP, 1);
    return [LISTENING, CLIENT].map((word) => Atomics.load(this.#words, word)).filter((fd) => fd !== NONE);
  }

  /** The worker may wait at these from now on. To be told before it asks whether it is stopped. */
  at(listening: number, client: number = NONE): void {
    Atomics.store(this.#words, LISTENING, listening);
    Atomics.store(this.#words, CLIENT, client);
  }

  /** Whether a client is there. */
  get connected(): boolean {
    return Atomics.load(this.#words, CLIENT) !== NONE;
  }
}

/** What a worker is to serve. */
export interface ServeOrder {
  readonly job: 'serve';
  readonly choice: DeviceChoice;
  /** Path of the socket, whole, or the number of one that was passed. */
  readonly at: string | number;
  /** As the person wrote it. */
  readonly shownAt: string;
  /** For one client alone. */
  readonly once: boolean;
  /** Another device file takes the place of the first. */
  readonly watch: boolean;
  readonly trace: string | undefined;
  readonly cwd: string;
  readonly control: SharedArrayBuffer;
  readonly counts: SharedArrayBuffer;
}

/** What a worker is to record. Paths are whole, and beside them as the person wrote them. */
export interface CaptureOrder {
  readonly job: 'capture';
  readonly file: string;
  readonly shownFile: string;
  /** Where clients connect, as of ServeOrder. */
  readonly at: string | number;
  readonly shownAt: string;
  /** Where the server is. */
  readonly to: string;
  readonly shownTo: string;
  readonly control: SharedArrayBuffer;
}

/** What a worker tells. */
export type Report =
  /** A line for the person. */
  | { readonly kind: 'line'; readonly text: string }
  /** Text for standard output. */
  | { readonly kind: 'write'; readonly text: string }
  /** It waits for clients. */
  | { readonly kind: 'listening' }
  /** What it was made of, and the eventfd that has it made again. */
  | { readonly kind: 'loaded'; readonly files: readonly string[]; readonly wake: number }
  /** It cannot be done, and why. */
  | { readonly kind: 'refused'; readonly why: string };
