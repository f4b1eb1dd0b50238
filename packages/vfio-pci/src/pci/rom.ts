/** Expansion ROM images. Reference: PCI Firmware Specification 3.0, 5.1; kernel: pci_get_rom_size(). */

const SIGNATURE = 0xaa55;
/** "PCIR", little endian. */
const DATA_STRUCTURE = 0x5249_4350;
const SECTOR = 512;

/** Bytes of the BAR that a ROM would have which holds an image of this length: a power of two. @param length bytes, from 1 */
export function romBarSize(length: number): number {
  return 2 ** Math.ceil(Math.log2(length));
}

/**
 * How many bytes of a ROM the images in it take, from the first to the one that says that it is the last; 0 if it has none.
 *
 * @param byte one byte of the ROM
 * @param size bytes that the ROM's BAR decodes
 */
export function romImageSize(byte: (at: number) => number, size: number): number {
  const word = (at: number): number => byte(at) | (byte(at + 1) << 8);
  let image = 0;
  while (image + 0x1a <= size && word(image) === SIGNATURE) {
    const structure = image + word(image + 0x18);
    if (structure + 0x18 > size || word(structure) + word(structure + 2) * 0x1_0000 !== DATA_STRUCTURE) break;
    const length = word(structure + 0x10);
    image += length * SECTOR;
    if (length === 0 || (byte(structure + 0x15) & 0x80) !== 0) break;
  }
  return Math.min(image, size);
}
