import {
  EINVAL,
  VFIO_PCI_CONFIG_REGION_INDEX,
  VFIO_PCI_NUM_REGIONS,
  VFIO_PCI_ROM_REGION_INDEX,
  VFIO_PCI_VGA_REGION_INDEX,
  type Mapping,
  type MmapRequest,
  type Process,
} from '@vsim/vfio-core';
import { PCI_STD_NUM_BARS } from '../pci/registers.ts';
import { BarRegions, type BarOwner } from './bar-region.ts';
import type { DeviceRegion } from './device-region.ts';
import { REGION_SPAN } from './info.ts';
import { canMmap } from './mmap.ts';
import { MMAP_BAR, REGION_RANGE, VGA_ARBITER } from './vfio-pci-reasons.ts';
import type { VirtualConfig } from './virtual-config.ts';

const PAGE = 4096;

/** Legacy VGA: memory, and two ranges of ports. */
const VGA_RANGES: readonly { readonly first: number; readonly last: number }[] = [
  { first: 0xa_0000, last: 0xb_ffff },
  { first: 0x3b0, last: 0x3bb },
  { first: 0x3c0, last: 0x3df },
];

export interface RegionOwner extends BarOwner {
  readonly hasVga: boolean;
  /** Memory is reached by mappings, too. */
  readonly mappingsLive: boolean;
}

/**
 * The regions of an open device by their file offsets: BARs, ROM, configuration space, VGA, and what a driver adds behind them. Kernel:
 * vfio_pci_rw(), vfio_pci_mmap(), vfio_pci_core_register_dev_region().
 */
export class Regions {
  readonly #owner: RegionOwner;
  readonly #bars: BarRegions;
  #config: VirtualConfig | undefined;
  #mappable: readonly boolean[] = [];
  #own: readonly DeviceRegion[] = [];

  constructor(owner: RegionOwner) {
    this.#owner = owner;
    this.#bars = new BarRegions(owner);
  }

  /** The first open: the configuration as its user sees it, and the driver's own regions. */
  open(config: VirtualConfig, own: readonly DeviceRegion[]): void {
    const { device } = this.#owner;
    if (device.host.profile.claimsBarsAtOpen) for (const bar of device.function.bars) this.#claim(bar.index, 'vfio');
    this.#config = config;
    this.#own = own;
    this.#mappable = Array.from({ length: PCI_STD_NUM_BARS }, (_, index) => canMmap(this.#owner.device, index));
  }

  close(): void {
    this.#config = undefined;
    this.#own = [];
  }

  /** Undefined while nobody has the device open. */
  get config(): VirtualConfig | undefined {
    return this.#config;
  }

  get count(): number {
    return VFIO_PCI_NUM_REGIONS + this.#own.length;
  }

  /** A region of the driver's own. @param index from 9 */
  own(index: number): DeviceRegion | undefined {
    return this.#own[index - VFIO_PCI_NUM_REGIONS];
  }

  canMmap(bar: number): boolean {
    return this.#mappable[bar] ?? false;
  }

  read(into: Uint8Array, offset: number): number {
    const index = Math.floor(offset / REGION_SPAN);
    const at = offset - index * REGION_SPAN;
    const config = this.#config;
    if (config === undefined || offset < 0 || index >= this.count) return this.#outside(index, at, 0);
    if (index === VFIO_PCI_CONFIG_REGION_INDEX) return config.read(into, at);
    if (index === VFIO_PCI_VGA_REGION_INDEX) return this.#vga(at, into, into.length);
    const own = this.own(index);
    if (own === undefined) {
      const count = this.#bars.read(index, at, into);
      if (count !== -EINVAL) this.#claim(index, 'vfio');
      return count;
    }
    return at >= own.size ? this.#outside(index, at, own.size) : own.read(into.subarray(0, own.size - at), at);
  }

  write(from: Uint8Array, offset: number): number {
    const index = Math.floor(offset / REGION_SPAN);
    const at = offset - index * REGION_SPAN;
    const config = this.#config;
    if (config === undefined || offset < 0 || index >= this.count) return this.#outside(index, at, 0);
    if (index === VFIO_PCI_CONFIG_REGION_INDEX) return config.write(from, at);
    if (index === VFIO_PCI_VGA_REGION_INDEX) return this.#vga(at, undefined, from.length);
    const own = this.own(index);
    if (own === undefined) {
      const count = this.#bars.write(index, at, from);
      if (count !== -EINVAL) this.#claim(index, 'vfio');
      return count;
    }
    return at >= own.size ? this.#outside(index, at, own.size) : own.write(from.subarray(0, own.size - at), at);
  }

  mmap(process: Process, request: MmapRequest): Mapping | number {
    const owner = this.#owner;
    const index = Math.floor(request.offset / REGION_SPAN);
    const at = request.offset - index * REGION_SPAN;
    const bar = owner.function.bar(index);
    const { refusals } = process.host;
    const device = owner.device.name;
    if (!request.shared) return refusals.refuse(MMAP_BAR, { device, region: index, why: 'the mapping is private' });
    if (index >= VFIO_PCI_ROM_REGION_INDEX || bar === undefined || !this.canMmap(index)) {
      return refusals.refuse(MMAP_BAR, { device, region: index, why: 'it cannot be mapped' });
    }
    const pages = (bytes: number): number => Math.ceil(bytes / PAGE) * PAGE;
    if (at + pages(request.length) > pages(bar.size)) {
      return refusals.refuse(MMAP_BAR, { device, region: index, why: `${request.length} bytes at ${at} leave its ${bar.size} bytes` });
    }
    this.#claim(index, 'vfio-pci');
    const region = { physical: bar.address + at, live: () => owner.mappingsLive };
    return process.mm.mapDevice(request.length, region, request.read, request.write);
  }

  #outside(region: number, at: number, size: number): number {
    const { device } = this.#owner;
    return device.host.refusals.refuse(REGION_RANGE, { device: device.name, region, at, size });
  }

  /** The first use of a BAR claims it; the ROM is never claimed, nor what cannot be mapped. */
  #claim(index: number, name: string): void {
    const { barClaims, nonMappableBars } = this.#owner.device;
    if (index < VFIO_PCI_ROM_REGION_INDEX && !nonMappableBars && !barClaims.has(index)) barClaims.set(index, name);
  }

  /** Around each access the arbiter makes the device the one that answers to legacy addresses. Not modelled beyond that: reads give ones. */
  #vga(at: number, into: Uint8Array | undefined, length: number): number {
    const { device, hasVga } = this.#owner;
    const range = VGA_RANGES.find(({ first, last }) => at >= first && at <= last);
    if (!hasVga || range === undefined) return this.#outside(VFIO_PCI_VGA_REGION_INDEX, at, 0);
    const error = device.bus.vga.access(device);
    if (error < 0) return device.host.refusals.refuse(VGA_ARBITER, { device: device.name });
    const count = Math.min(length, range.last + 1 - at);
    into?.fill(0xff, 0, count);
    return count;
  }
}
