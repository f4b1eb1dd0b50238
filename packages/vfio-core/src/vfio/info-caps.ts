/** Capability chains behind an info struct. Kernel: vfio_info_cap_add(), vfio_info_cap_shift(). */
import { set } from '../uapi/struct.ts';
import { vfio_info_cap_header } from '../uapi/vfio.ts';

/** Builds a chain: capabilities in the order in which they are added, offsets relative to the info struct. */
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

  get length(): number {
    return this.#bytes.length;
  }

  get bytes(): Uint8Array {
    return this.#bytes;
  }

  /** Appends a capability of `size` bytes and gives them, the header filled in, for the rest to be written. */
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
