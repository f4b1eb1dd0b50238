/**
 * Entries of the device and collection tables that an ITS has read: what commands for one device, or one collection, look up over and over.
 *
 * Reference: Arm IHI 0069, "The ITS tables": software does not write them. An entry goes with the command that changes it, at once, as the next
 * command has to see what the one before did; with GITS_CTLR.Enabled all go. Not architected: how many are kept.
 */
import type { DeviceEntry } from './its-tables.ts';
import type { Redistributor } from './redistributor.ts';

/** Of each kind. */
const PLACES = 1024;
const NONE = -1;

export class KeptEntries {
  readonly #devices = new Int32Array(PLACES).fill(NONE);
  readonly #sizes = new Uint8Array(PLACES);
  readonly #itts = new Float64Array(PLACES);
  readonly #collections = new Int32Array(PLACES).fill(NONE);
  readonly #targets = new Array<Redistributor | undefined>(PLACES).fill(undefined);

  /** @returns whether it is kept; it is in `into` then */
  device(id: number, into: DeviceEntry): boolean {
    const place = id & (PLACES - 1);
    if (this.#devices[place] !== id) return false;
    into.valid = true;
    into.size = this.#sizes[place]!;
    into.ittAddress = this.#itts[place]!;
    return true;
  }

  keepDevice(id: number, { size, ittAddress }: DeviceEntry): void {
    const place = id & (PLACES - 1);
    this.#devices[place] = id;
    this.#sizes[place] = size;
    this.#itts[place] = ittAddress;
  }

  forgetDevice(id: number): void {
    const place = id & (PLACES - 1);
    if (this.#devices[place] === id) this.#devices[place] = NONE;
  }

  /** To which redistributor it leads, if that is kept. */
  collection(icid: number): Redistributor | undefined {
    const place = icid & (PLACES - 1);
    return this.#collections[place] === icid ? this.#targets[place] : undefined;
  }

  keepCollection(icid: number, target: Redistributor): void {
    const place = icid & (PLACES - 1);
    this.#collections[place] = icid;
    this.#targets[place] = target;
  }

  forgetCollection(icid: number): void {
    const place = icid & (PLACES - 1);
    if (this.#collections[place] === icid) this.#collections[place] = NONE;
  }

  clear(): void {
    this.#devices.fill(NONE);
    this.#collections.fill(NONE);
  }
}
