/** Writes a machine in lspci's own forms. */
import { read16, read32 } from '../pci/capabilities.ts';
import { PCI_DEVICE_ID, PCI_REVISION_ID, PCI_VENDOR_ID } from '../pci/registers.ts';

/** What a line of lspci is made of. */
export interface LspciSource {
  /** With its domain, as `0000:00:02.0`. */
  readonly address: string;
  /** Its bytes: 64, 128, 256 or 4096. */
  readonly config: Uint8Array;
  /** Vendor id, 16 bits, that is not in the configuration space: a virtual function's. */
  readonly vendor?: number | undefined;
  /** Device id, 16 bits, that is not in the configuration space. */
  readonly device?: number | undefined;
}

const ROW = 16;

/** The dump that `lspci -F` reads: a heading and rows of bytes for each device, and an empty line. */
export function formatLspciDump(devices: readonly LspciSource[]): string {
  return devices.map((device) => `${dumpHeading(device)}\n${rows(device.config)}\n`).join('');
}

/** One line a device, as `lspci -Dn` has it. */
export function formatLspciList(devices: readonly LspciSource[]): string {
  return devices.map((source) => {
    const { vendor, device, classCode } = identity(source);
    const revision = source.config[PCI_REVISION_ID]!;
    return `${source.address} ${hex(classCode >>> 8, 4)}: ${hex(vendor, 4)}:${hex(device, 4)}${revision === 0 ? '' : ` (rev ${hex(revision, 2)})`}\n`;
  }).join('');
}

function dumpHeading(source: LspciSource): string {
  const { vendor, device, classCode } = identity(source);
  return `${source.address} 0x${hex(classCode, 6)}: ${hex(vendor, 4)}:${hex(device, 4)}`;
}

function identity({ config, vendor, device }: LspciSource): { vendor: number; device: number; classCode: number } {
  return {
    vendor: vendor ?? read16(config, PCI_VENDOR_ID),
    device: device ?? read16(config, PCI_DEVICE_ID),
    classCode: read32(config, PCI_REVISION_ID) >>> 8,
  };
}

function rows(config: Uint8Array): string {
  let out = '';
  for (let at = 0; at < config.length; at += ROW) {
    const cells = Array.from(config.subarray(at, at + ROW), (byte) => hex(byte, 2));
    out += `${hex(at, 2)}: ${cells.join(' ')}\n`;
  }
  return out;
}

function hex(value: number, digits: number): string {
  return value.toString(16).padStart(digits, '0');
}
