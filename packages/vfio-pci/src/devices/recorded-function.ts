import type { Host } from '@vsim/vfio-core';
import { PciFunction, type PciFunctionInit } from '../pci/pci-function.ts';
import { PCI_ROM_RESOURCE } from '../pci/registers.ts';

const PAGE = 4096;

/**
 * A function of which only a recording is known: configuration space and BARs as recorded, its registers unknown.
 *
 * BARs hold what is written to them and read zero before: no side effects, no interrupts.
 */
export class RecordedFunction extends PciFunction {
  /** Written pages of all BARs, by BAR and page number. */
  readonly #pages = new Map<number, Uint8Array>();
  readonly #rom: Uint8Array;

  /** @param rom the first bytes of the ROM's image, as many as are known */
  constructor(host: Host, init: PciFunctionInit, rom: Uint8Array = new Uint8Array(0)) {
    super(host, init);
    this.#rom = rom;
  }

  /**
   * What was written there; 0 before.
   *
   * @param bar 0 to 5
   * @param offset bytes
   * @param width of the access, in bytes
   */
  protected override barRead(bar: number, offset: number, width: number): number {
    const page = this.#pages.get(key(bar, offset));
    if (page === undefined) return 0;
    let value = 0;
    for (let i = width - 1; i >= 0; i -= 1) value = value * 0x100 + page[(offset % PAGE) + i]!;
    return value;
  }

  /**
   * Keeps what is written.
   *
   * @param bar 0 to 5
   * @param offset bytes
   * @param width of the access, in bytes
   * @param value unsigned
   */
  protected override barWrite(bar: number, offset: number, width: number, value: number): void {
    let page = this.#pages.get(key(bar, offset));
    if (page === undefined) {
      page = new Uint8Array(PAGE);
      this.#pages.set(key(bar, offset), page);
    }
    for (let i = 0; i < width; i += 1) page[(offset % PAGE) + i] = value >>> (8 * i);
  }

  /** A byte of the image; 0xff where it is not known. @param offset bytes */
  protected override romRead(offset: number): number {
    return this.#rom[offset] ?? 0xff;
  }

  /** Of an image that is known by its first bytes, nobody knows the end: it fills its BAR. @param size bytes of the ROM BAR */
  protected override romImageBytes(size: number): number {
    return this.#rom.length === 0 || (this.#rom[0] === 0x55 && this.#rom[1] === 0xaa) ? size : 0;
  }

  /** BARs read zero again. */
  protected override reset(): void {
    this.#pages.clear();
  }
}

/** BARs are at most 2^40 bytes here: page numbers fit 28 bits. */
function key(bar: number, offset: number): number {
  return Math.floor(offset / PAGE) * (PCI_ROM_RESOURCE + 1) + bar;
}
