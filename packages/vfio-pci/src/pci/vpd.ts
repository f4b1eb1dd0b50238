import { read16, read32, write16, write32 } from './capabilities.ts';
import type { ConfigSpace } from './config-space.ts';
import { PCI_VPD_ADDR, PCI_VPD_ADDR_F, PCI_VPD_DATA } from './registers.ts';

/** Bytes that the 15 bits of the address reach. */
const MAX = 0x8000;

/**
 * Vital product data as hardware keeps it: an address register whose flag says that the dword behind it has been moved, and a data
 * register. Reference: PCI Local Bus 3.0, 6.4 and appendix I.
 */
export class Vpd {
  readonly at: number;
  readonly #config: ConfigSpace;
  readonly #bytes: Uint8Array;

  /**
   * @param at offset of the capability, in bytes
   * @param bytes the data; copied
   * @throws RangeError unless they are whole dwords, at most 32 KiB
   */
  constructor(config: ConfigSpace, at: number, bytes: Uint8Array) {
    if (bytes.length % 4 !== 0 || bytes.length > MAX) throw new RangeError(`"vpd" expected dwords, at most 32768 bytes, got ${bytes.length} bytes`);
    this.#config = config;
    this.at = at;
    this.#bytes = bytes.slice();
  }

  /** Software wrote the byte with the flag: F clear loads the dword, F set stores it; the flag then turns. An address past the store is left alone. */
  access(): void {
    const { bytes } = this.#config;
    const address = read16(bytes, this.at + PCI_VPD_ADDR);
    const store = (address & PCI_VPD_ADDR_F) !== 0;
    const from = address & ~PCI_VPD_ADDR_F & ~3;
    if (from + 4 > this.#bytes.length) return;
    if (store) write32(this.#bytes, from, read32(bytes, this.at + PCI_VPD_DATA));
    else write32(bytes, this.at + PCI_VPD_DATA, read32(this.#bytes, from));
    write16(bytes, this.at + PCI_VPD_ADDR, address ^ PCI_VPD_ADDR_F);
  }
}
