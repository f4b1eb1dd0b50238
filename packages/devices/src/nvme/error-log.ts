/** The error information log. Reference: NVM Express Base 1.4, 5.14.1.1. */
import type { StateReader, StateWriter } from './state-record.ts';

/** Entries that are kept: ELPE is one less. */
export const NVME_ERROR_ENTRIES = 16;
const ENTRY = 64;
/** The id of a queue or a command for an error that belongs to none. */
const NONE = 0xffff;

/** The last errors, newest first. @internal */
export class ErrorLog {
  /** Errors since the controller was made. */
  count = 0;
  readonly #entries = new Uint8Array(NVME_ERROR_ENTRIES * ENTRY);
  readonly #view = new DataView(this.#entries.buffer);

  /** A command failed. @param queue its id @param id command identifier, 16 bits @param status its status field @param namespace 32 bits @param lo bits 31:0 of its first block @param hi bits 63:32 */
  add(queue: number, id: number, status: number, namespace: number, lo: number, hi: number): void {
    this.#entries.copyWithin(ENTRY, 0, (NVME_ERROR_ENTRIES - 1) * ENTRY);
    this.#entries.fill(0, 0, ENTRY);
    this.count += 1;
    this.#view.setUint32(0, this.count % 2 ** 32, true);
    this.#view.setUint32(4, Math.floor(this.count / 2 ** 32), true);
    this.#view.setUint16(8, queue, true);
    this.#view.setUint16(10, id, true);
    // Bit 0 is the phase tag's place.
    this.#view.setUint16(12, status << 1, true);
    this.#view.setUint16(14, 0xffff, true); // no one byte of the command
    this.#view.setUint32(16, lo, true);
    this.#view.setUint32(20, hi, true);
    this.#view.setUint32(24, namespace, true);
  }

  /** An error that is no command's. @param queue whose doorbell it was, 16 bits @param status its status field */
  addDoorbell(queue: number, status: number): void {
    this.add(queue, NONE, status, 0, 0, 0);
  }

  /** What Get Log Page sends: 64 bytes for each entry. */
  get page(): Uint8Array {
    return this.#entries;
  }

  /** Its part of a state. */
  save(into: StateWriter): void {
    into.count(this.count);
    into.run(this.#entries);
  }

  /** Of a state; undefined where it is none. */
  static load(from: StateReader): ErrorLog | undefined {
    const made = new ErrorLog();
    made.count = from.count();
    made.#entries.set(from.run(made.#entries.length));
    return Number.isNaN(made.count) ? undefined : made;
  }
}
