/** Names of those PCI classes that the recordings have, as lspci prints them. Source: pci.ids. */

/** By base class and subclass, 16 bits. */
export const CLASS_NAMES: ReadonlyMap<number, string> = new Map([
  [0x0000, 'Non-VGA unclassified device'],
  [0x0001, 'VGA compatible unclassified device'],
  [0x0005, 'Image coprocessor'],
  [0x0100, 'SCSI storage controller'],
  [0x0101, 'IDE interface'],
  [0x0104, 'RAID bus controller'],
  [0x0105, 'ATA controller'],
  [0x0106, 'SATA controller'],
  [0x0107, 'Serial Attached SCSI controller'],
  [0x0108, 'Non-Volatile memory controller'],
  [0x0180, 'Mass storage controller'],
  [0x0200, 'Ethernet controller'],
  [0x0207, 'Infiniband controller'],
  [0x0280, 'Network controller'],
  [0x0300, 'VGA compatible controller'],
  [0x0302, '3D controller'],
  [0x0380, 'Display controller'],
  [0x0400, 'Multimedia video controller'],
  [0x0401, 'Multimedia audio controller'],
  [0x0403, 'Audio device'],
  [0x0480, 'Multimedia controller'],
  [0x0500, 'RAM memory'],
  [0x0580, 'Memory controller'],
  [0x0600, 'Host bridge'],
  [0x0601, 'ISA bridge'],
  [0x0604, 'PCI bridge'],
  [0x0607, 'CardBus bridge'],
  [0x0609, 'Semi-transparent PCI-to-PCI bridge'],
  [0x0680, 'Bridge'],
  [0x0700, 'Serial controller'],
  [0x0703, 'Modem'],
  [0x0780, 'Communication controller'],
  [0x0800, 'PIC'],
  [0x0805, 'SD Host controller'],
  [0x0806, 'IOMMU'],
  [0x0880, 'System peripheral'],
  [0x0b40, 'Co-processor'],
  [0x0c00, 'FireWire (IEEE 1394)'],
  [0x0c03, 'USB controller'],
  [0x0c05, 'SMBus'],
  [0x0c07, 'IPMI Interface'],
  [0x0c80, 'Serial bus controller'],
  [0x0d11, 'Bluetooth'],
  [0x0d80, 'Wireless controller'],
  [0x1080, 'Encryption controller'],
  [0x1101, 'Performance counters'],
  [0x1180, 'Signal processing controller'],
  [0x1200, 'Processing accelerators'],
]);

/** Base classes, 8 bits, for subclasses that have no name of their own. */
const BASE_NAMES: ReadonlyMap<number, string> = new Map([
  [0x00, 'Unclassified device'],
  [0x01, 'Mass storage controller'],
  [0x02, 'Network controller'],
  [0x03, 'Display controller'],
  [0x04, 'Multimedia controller'],
  [0x05, 'Memory controller'],
  [0x06, 'Bridge'],
  [0x07, 'Communication controller'],
  [0x08, 'Generic system peripheral'],
  [0x09, 'Input device controller'],
  [0x0a, 'Docking station'],
  [0x0b, 'Processor'],
  [0x0c, 'Serial bus controller'],
  [0x0d, 'Wireless controller'],
  [0x0e, 'Intelligent controller'],
  [0x0f, 'Satellite communications controller'],
  [0x10, 'Encryption controller'],
  [0x11, 'Signal processing controller'],
  [0x12, 'Processing accelerators'],
  [0x13, 'Non-Essential Instrumentation'],
  [0x40, 'Coprocessor'],
  [0xff, 'Unassigned class'],
]);

/** What lspci calls a class without `-nn`; a subclass that has no name keeps its number. */
export function className(code: number): string {
  const base = BASE_NAMES.get(code >>> 8);
  return CLASS_NAMES.get(code) ?? (base === undefined ? `Class ${hex(code)}` : `${base} [${hex(code)}]`);
}

/** What lspci calls it with `-nn`. */
export function classNameWithCode(code: number): string {
  const name = CLASS_NAMES.get(code) ?? BASE_NAMES.get(code >>> 8) ?? 'Class';
  return `${name} [${hex(code)}]`;
}

function hex(value: number): string {
  return value.toString(16).padStart(4, '0');
}
