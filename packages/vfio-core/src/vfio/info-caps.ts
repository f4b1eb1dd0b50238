import { set } from '../uapi/struct.ts';
import { vfio_info_cap_header } from '../uapi/vfio.ts';

/**
 * Builds a capability chain behind an info struct: capabilities in the order in which they are added, offsets relative to the info struct.
 * Kernel: vfio_info_cap_add(), vfio_info_cap_shift().
 */
export class InfoCaps {
  readonly #base: number;
  readonly #alignment: number;
  #bytes: Uint8Array = new Uint8Array(0);
  #last = -1;

  /** `base` is the size of the info struct that the chain follows; each capability is padded to `alignment` bytes (profile.capabilityAlignment). */
  constructor(base: number, alignment = 1) {
    this.#base = base;
    this.#alignment = alignment;
  }

  /** How many bytes the chain has, its padding included. */
  get length(): number {
    return this.#bytes.length;
  }

  /** The chain as it stands; the next add() makes another array. */
  get bytes(): Uint8Array {
    return this.#bytes;
  }

  /**
   * Appends a capability of `size` bytes and gives them, the header filled in, for the rest to be written.
   *
   * @param id of 16 bits, in the numbering of the request
   * @param version of 16 bits; 1 for all that Linux has
   * @returns a view of the capability in `bytes`, its header of 8 bytes included
   */
  add(id: number, version: number, size: number): Uint8Array {
    const at = this.#bytes.length;
    const grown = new Uint8Array(at + Math.ceil(size / this.#alignment) * this.#alignment);
    grown.set(this.#bytes);
    if (this.#last >= 0) set(grown.subarray(this.#last), vfio_info_cap_header.next, this.#base + at);
    set(grown.subarray(at), vfio_info_cap_header.id, id);
    set(grown.subarray(at), vfio_info_cap_header.version, version);
    this.#bytes = grown;
    this.#last = at;
    return grown.subarray(at);
  }
}
