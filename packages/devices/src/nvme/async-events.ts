/** Asynchronous events. Reference: NVM Express Base 1.4, 5.2. */
import type { StateReader, StateWriter } from './state-record.ts';
import { NVME_LOG } from './opcodes.ts';

/** Event types, figure 147. */
export const NVME_EVENT = { ERROR: 0, SMART: 1, NOTICE: 2 } as const;
/** Error events, figure 148: the register, or the value. */
export const NVME_ERROR_EVENT = { INVALID_REGISTER: 0, INVALID_VALUE: 1 } as const;
/** SMART events, figure 149: the temperature passed a threshold. */
export const NVME_SMART_TEMPERATURE = 1;
/** Notices, figure 150: a namespace came, went, or changed. */
export const NVME_NOTICE_NAMESPACE = 0;
/** Requests that may be outstanding: AERL is one less. */
export const NVME_EVENT_REQUESTS = 4;

const LOGS: readonly number[] = [NVME_LOG.ERROR, NVME_LOG.SMART, NVME_LOG.CHANGED_NAMESPACES];
/** Different events that there can be: more are none. */
const MAX_PENDING = 8;

/** Requests that wait for events, and events that wait for requests. @internal */
export class AsyncEvents {
  /** Command identifiers, oldest first. */
  readonly #requests: number[] = [];
  /** As dword 0 of a completion, oldest first. */
  readonly #pending: number[] = [];
  /** Bit n: an event of type n was reported, and its log page not read yet. */
  #masked = 0;

  /** How many requests wait. */
  get requests(): number {
    return this.#requests.length;
  }

  /** A request. @param id command identifier, 16 bits @returns false where there are too many */
  request(id: number): boolean {
    if (this.#requests.length === NVME_EVENT_REQUESTS) return false;
    this.#requests.push(id);
    return true;
  }

  /** Something happened: one event of a kind waits at a time. @param type NVME_EVENT @param info by type */
  add(type: number, info: number): void {
    const event = (LOGS[type]! << 16) | (info << 8) | type;
    if (!this.#pending.includes(event)) this.#pending.push(event);
  }

  /** Whether a request can be completed. */
  get isReady(): boolean {
    return this.#requests.length > 0 && this.#pending.length > 0 && this.#next() !== -1;
  }

  /** The request to complete, and dword 0 of its completion; its type waits for the log page from now on. */
  take(): { readonly id: number; readonly event: number } | undefined {
    const at = this.#next();
    const id = this.#requests[0];
    if (at === -1 || id === undefined) return undefined;
    this.#requests.shift();
    const [event = 0] = this.#pending.splice(at, 1);
    this.#masked |= 1 << (event & 7);
    return { id, event };
  }

  /** A log page was read, and events of its type may come again. @param log NVME_LOG */
  logRead(log: number): void {
    LOGS.forEach((each, type) => {
      if (each === log) this.#masked &= ~(1 << type);
    });
  }

  /** A request is withdrawn. @param id command identifier, 16 bits @returns false where there is no such request */
  abort(id: number): boolean {
    const at = this.#requests.indexOf(id);
    if (at === -1) return false;
    this.#requests.splice(at, 1);
    return true;
  }

  /** No request and no event is left. */
  clear(): void {
    this.#requests.length = 0;
    this.#pending.length = 0;
    this.#masked = 0;
  }

  /** Its part of a state. */
  save(into: StateWriter): void {
    into.word(this.#masked);
    for (const list of [this.#requests, this.#pending]) {
      into.word(list.length);
      into.words(list);
    }
  }

  /** Of a state; undefined where it is none. */
  static load(from: StateReader): AsyncEvents | undefined {
    const made = new AsyncEvents();
    made.#masked = from.word();
    if (made.#masked > 7 || !readList(from, made.#requests, NVME_EVENT_REQUESTS) || !readList(from, made.#pending, MAX_PENDING)) return undefined;
    const known = made.#pending.every((event) => LOGS[event & 7] === event >>> 16 && ((event >>> 8) & 0xff) <= 1);
    return known && made.#requests.every((id) => id <= 0xffff) ? made : undefined;
  }

  #next(): number {
    return this.#pending.findIndex((event) => (this.#masked & (1 << (event & 7))) === 0);
  }
}

function readList(from: StateReader, into: number[], most: number): boolean {
  const count = from.word();
  if (count > most) return false;
  for (let n = 0; n < count; n += 1) into.push(from.word());
  return true;
}
