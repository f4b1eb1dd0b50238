import type { PciDevice } from '../bus/pci-device.ts';
import type { Bar } from '../pci/bars.ts';
import type { PciFunction } from '../pci/pci-function.ts';
import { PCI_ROM_RESOURCE } from '../pci/registers.ts';
import { MEMORY_OFF, NON_MAPPABLE, NO_ROM, REGION_RANGE } from './vfio-pci-reasons.ts';

/** A BAR that the kernel could not map for itself either: vdev->barmap holds the error. @param region 0 to 5 @returns -ENODEV */
export function refuseNonMappable(device: PciDevice, region: number): number {
  return device.host.refusals.refuse(NON_MAPPABLE, { device: device.name, region });
}

/** What the regions need of the open device. */
export interface BarOwner {
  readonly device: PciDevice;
  readonly function: PciFunction;
  /** The user has memory decoding on, and the device is awake. */
  readonly memoryEnabled: boolean;
  /** BAR accesses of 8 bytes go out as one. */
  readonly wide: boolean;
}

/**
 * BAR and ROM regions: reads and writes by file offset. Kernel: vfio_pci_rdwr.c.
 *
 * An access is cut into naturally aligned pieces of 4, 2 and 1 bytes (6.12: also 8). The MSI-X table is kept from the user: it reads ones
 * and ignores writes.
 */
export class BarRegions {
  readonly #owner: BarOwner;
  readonly #pair = new Uint32Array(2);

  constructor(owner: BarOwner) {
    this.#owner = owner;
  }

  /**
   * @param index 0 to 5, 6 for the ROM
   * @param at bytes from its start
   * @returns the count of bytes, cut at the end of the BAR, or -EINVAL, -EIO, -ENOMEM for a ROM without image
   */
  read(index: number, at: number, into: Uint8Array): number {
    if (index === PCI_ROM_RESOURCE && this.#owner.device.firmwareRomSize > 0) return this.#readFirmwareRom(at, into);
    const bar = this.#bar(index, at);
    if (typeof bar === 'number') return bar;
    const count = Math.min(into.length, bar.size - at);
    if (index === PCI_ROM_RESOURCE) {
      if (!this.#owner.memoryEnabled) return this.#memoryOff(index);
      const image = this.#owner.function.romSize;
      if (image === 0) return this.#owner.device.host.refusals.refuse(NO_ROM, { device: this.#owner.device.name });
      for (let i = 0; i < count; i += 1) into[i] = at + i < image ? this.#owner.function.readRom(at + i) : 0xff;
      return count;
    }
    for (let done = 0; done < count; ) {
      const width = this.#width(bar, at + done, count - done);
      if (width > 0 && !this.#decodes(bar)) return this.#memoryOff(index);
      this.#readPiece(index, at + done, width, into, done);
      done += Math.max(width, 1);
    }
    return count;
  }

  /** RAM, not the device: decoding counts only if there is a ROM BAR, which nobody has given an address. Behind the image are ones. */
  #readFirmwareRom(at: number, into: Uint8Array): number {
    const { firmwareRom, firmwareRomSize: size } = this.#owner.device;
    if (at >= size) return this.#outside(PCI_ROM_RESOURCE, at, size);
    if (this.#owner.function.bar(PCI_ROM_RESOURCE) !== undefined && !this.#owner.memoryEnabled) return this.#memoryOff(PCI_ROM_RESOURCE);
    const count = Math.min(into.length, size - at);
    for (let i = 0; i < count; i += 1) into[i] = firmwareRom[at + i] ?? 0xff;
    return count;
  }

  write(index: number, at: number, from: Uint8Array): number {
    if (index === PCI_ROM_RESOURCE) return this.#outside(index, at, 0);
    const bar = this.#bar(index, at);
    if (typeof bar === 'number') return bar;
    const count = Math.min(from.length, bar.size - at);
    for (let done = 0; done < count; ) {
      const width = this.#width(bar, at + done, count - done);
      if (width > 0 && !this.#decodes(bar)) return this.#memoryOff(index);
      this.#writePiece(index, at + done, width, from, done);
      done += Math.max(width, 1);
    }
    return count;
  }

  #bar(index: number, at: number): Bar | number {
    const { function: fn } = this.#owner;
    const bar = fn.bar(index);
    if (bar === undefined || bar.address === 0 || at >= bar.size) return this.#outside(index, at, bar?.size ?? 0);
    if (index !== PCI_ROM_RESOURCE && this.#owner.device.nonMappableBars) return refuseNonMappable(this.#owner.device, index);
    return bar;
  }

  #outside(region: number, at: number, size: number): number {
    const { device } = this.#owner;
    return device.host.refusals.refuse(REGION_RANGE, { device: device.name, region, at, size });
  }

  #memoryOff(region: number): number {
    const { device } = this.#owner;
    return device.host.refusals.refuse(MEMORY_OFF, { device: device.name, region });
  }

  /** Asked for each access that is made: the MSI-X table is not accessed, so it "reads" with decoding off, too. */
  #decodes(bar: Bar): boolean {
    return bar.kind === 'io' || this.#owner.memoryEnabled;
  }

  /** The width of the access that is made at `offset`; 0: a byte of the MSI-X table. */
  #width(bar: Bar, offset: number, left: number): number {
    const { msix } = this.#owner.function;
    let room = left;
    if (msix?.tableBar === bar.index) {
      if (offset >= msix.tableOffset && offset < msix.tableOffset + msix.tableBytes) return 0;
      if (offset < msix.tableOffset) room = Math.min(left, msix.tableOffset - offset);
    }
    if (this.#owner.wide && room >= 8 && offset % 8 === 0) return 8;
    if (room >= 4 && offset % 4 === 0) return 4;
    return room >= 2 && offset % 2 === 0 ? 2 : 1;
  }

  #readPiece(index: number, offset: number, width: number, into: Uint8Array, done: number): void {
    const { function: fn } = this.#owner;
    if (width === 0) {
      into[done] = 0xff;
    } else if (width === 8) {
      fn.readBar64(index, offset, this.#pair);
      for (let i = 0; i < 8; i += 1) into[done + i] = this.#pair[i >> 2]! >>> (8 * (i & 3));
    } else {
      const value = fn.readBar(index, offset, width);
      for (let i = 0; i < width; i += 1) into[done + i] = value >>> (8 * i);
    }
  }

  #writePiece(index: number, offset: number, width: number, from: Uint8Array, done: number): void {
    const { function: fn } = this.#owner;
    if (width === 0) return;
    let value = 0;
    for (let i = Math.min(width, 4) - 1; i >= 0; i -= 1) value = value * 0x100 + from[done + i]!;
    if (width < 8) {
      fn.writeBar(index, offset, width, value);
      return;
    }
    let high = 0;
    for (let i = 7; i >= 4; i -= 1) high = high * 0x100 + from[done + i]!;
    fn.writeBar64(index, offset, value, high);
  }
}
