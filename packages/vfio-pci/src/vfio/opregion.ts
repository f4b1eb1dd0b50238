/**
 * The OpRegion that a machine's firmware leaves in memory for Intel graphics: a recording has its address, in the graphics device's ASL
 * Storage register, and not what is there. Reference: Intel, ACPI IGD OpRegion Specification 2.0, and Linux's intel_vbt_defs.h for the VBT.
 */
import type { Host, MmioDevice } from '@vsim/vfio-core';
import { read16, read32 } from '../pci/capabilities.ts';
import { PCI_REVISION_ID, PCI_VENDOR_ID } from '../pci/registers.ts';

const INTEL = 0x8086;
const BASE_CLASS_DISPLAY = 0x03;
/** Where the graphics device says where its OpRegion is: ASL Storage. */
export const ASLS = 0xfc;
/** How an OpRegion begins. */
export const OPREGION_SIGNATURE = 'IntelGraphicsMem';
const SIZE = 0x2000;
const KIB = 1024;
/** Behind the signature: the size in KiB, and the version. */
export const OPREGION_SIZE_AT = 0x10;
const VERSION_AT = 0x16;
const VERSION_2_0 = 0x0200;
const MAILBOXES_AT = 0x58;
/** ACPI methods, and what the driver and ACPI tell each other of the backlight. */
const MAILBOXES = 0x5;
/** Mailbox 4: the video BIOS table. */
const VBT_AT = 0x400;
const VBT_HEADER = 48;
const BDB_HEADER = 22;
const BDB_VERSION = 228;
/** An access of 4 bytes may begin at the last one. */
const BEYOND = 4;

/**
 * Puts a valid OpRegion where the configuration space of Intel graphics says that one is: 8 KiB, version 2.0, with a video BIOS table that
 * has no blocks.
 *
 * @param config the recorded configuration space, 256 bytes or more
 * @returns whether an OpRegion is there now; false for other devices, for graphics that names no address, and where something else is
 */
export function placeOpRegion({ memory }: Host, config: Uint8Array): boolean {
  if (read16(config, PCI_VENDOR_ID) !== INTEL || read32(config, PCI_REVISION_ID) >>> 24 !== BASE_CLASS_DISPLAY) return false;
  const at = read32(config, ASLS);
  if (at === 0 || at === 0xffff_ffff) return false;
  const bytes = opRegion();
  if (memory.isRam(at, SIZE)) {
    memory.writeBytes(at, bytes.subarray(0, SIZE));
    return true;
  }
  try {
    memory.map(at, SIZE, memoryOf(bytes));
  } catch (error) {
    if (error instanceof RangeError) return false; // something else is there
    throw error;
  }
  return true;
}

function opRegion(): Uint8Array {
  const bytes = new Uint8Array(SIZE + BEYOND);
  const view = new DataView(bytes.buffer);
  write(bytes, 0, OPREGION_SIGNATURE);
  view.setUint32(OPREGION_SIZE_AT, SIZE / KIB, true);
  view.setUint16(VERSION_AT, VERSION_2_0, true);
  view.setUint32(MAILBOXES_AT, MAILBOXES, true);
  const size = VBT_HEADER + BDB_HEADER;
  write(bytes, VBT_AT, '$VBT VSIM           ');
  [100, VBT_HEADER, size].forEach((value, i) => view.setUint16(VBT_AT + 20 + 2 * i, value, true));
  view.setUint32(VBT_AT + 28, VBT_HEADER, true);
  write(bytes, VBT_AT + VBT_HEADER, 'BIOS_DATA_BLOCK ');
  [BDB_VERSION, BDB_HEADER, BDB_HEADER].forEach((value, i) => view.setUint16(VBT_AT + VBT_HEADER + 16 + 2 * i, value, true));
  const sum = bytes.subarray(VBT_AT, VBT_AT + size).reduce((all, byte) => all + byte, 0);
  bytes[VBT_AT + 26] = -sum; // all bytes of the table sum up to 0
  return bytes;
}

function write(bytes: Uint8Array, at: number, text: string): void {
  bytes.set(new TextEncoder().encode(text), at);
}

/** Memory that is no RAM of the kernel's: firmware has reserved it. */
function memoryOf(bytes: Uint8Array): MmioDevice {
  const view = new DataView(bytes.buffer);
  return {
    read: (offset, width) => (width === 1 ? view.getUint8(offset) : width === 2 ? view.getUint16(offset, true) : view.getUint32(offset, true)),
    write: (offset, width, value) => {
      if (width === 1) view.setUint8(offset, value);
      else if (width === 2) view.setUint16(offset, value, true);
      else view.setUint32(offset, value, true);
    },
  };
}
