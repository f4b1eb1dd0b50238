/**
 * Entries of the device and collection tables that an ITS has read: what commands for one device, or one collection, look up over and over.
 *
 * Reference: Arm IHI 0069, "The ITS tables": software does not write them. An entry goes with the command that changes it, at once, as the next
 * command has to see what the one before did; with GITS_CTLR.Enabled all go. Not architected: how many are kept.
 */
import { DeviceEntry } from './its-tables.ts';
import type { Redistributor } from './redistributor.ts';

/** Of each kind. */
const PLACES = 256;
const NONE = -1;

export class KeptEntries {
  /** Made when a device of their place is first looked up; those that are valid are kept. */
  readonly #devices = new Array<DeviceEntry | undefined>(PLACES).fill(undefined);
  readonly #collections = new Int32Array(PLACES).fill(NONE);
  readonly #targets = new Array<Redistributor | undefined>(PLACES).fill(undefined);

  /** What is kept of a device. @param id DeviceID */
  device(id: number): DeviceEntry | undefined {
    const entry = this.#devices[id & (PLACES - 1)];
    return entry?.id === id && entry.valid ? entry : undefined;
  }

  /** Where the entry of a device is to be read to, so that it is kept. @param id DeviceID */
  placeOf(id: number): DeviceEntry {
    return (this.#devices[id & (PLACES - 1)] ??= new DeviceEntry());
  }

  forgetDevice(id: number): void {
    const entry = this.device(id);
    if (entry !== undefined) entry.valid = false;
  }

  /** To which redistributor it leads, if that is kept. @param icid 16 bits */
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
    for (const entry of this.#devices) if (entry !== undefined) entry.valid = false;
    this.#collections.fill(NONE);
  }
}
