import {
  EFAULT,
  ENOMEM,
  NO_ADDRESSES,
  PAGE_SIZE,
  set,
  VFIO_PCI_BAR0_REGION_INDEX,
  VFIO_PCI_CONFIG_REGION_INDEX,
  VFIO_PCI_NUM_REGIONS,
  VFIO_REGION_INFO_FLAG_MMAP,
  type Mapping,
  type MmapRequest,
  type PageRun,
  type Process,
  type RegionAnswer,
  type UserArgument,
  type Vfio,
  type VfioDevice,
} from '@vsim/vfio-core';
import type { MdevBus } from '../mdev-bus.ts';
import type { MdevDevice } from '../mdev-device.ts';
import { MdevParent } from '../mdev-parent.ts';
import type { MdevType } from '../mdev-type.ts';
import { CFG_BAR0, CONFIG_BYTES, READ_WRITE, SampleDisplay } from './display.ts';
import { BYTES_PER_PIXEL, GFX_PLANE, queryGfxPlane, XRGB8888, type GfxPlane } from './gfx-plane.ts';

const DISPLAY_REGION = 16;
const INSTANCES = 4;

interface Mode {
  readonly name: string;
  readonly width: number;
  readonly height: number;
}

const MODES: readonly Mode[] = [
  { name: 'vga', width: 640, height: 480 },
  { name: 'xga', width: 1024, height: 768 },
  { name: 'hd', width: 1920, height: 1080 },
];

/** A framebuffer of one resolution: configuration space, and memory as BAR 0 and as display region. */
export class MdpyDevice extends SampleDisplay {
  /** Those of PCI: the display region is not counted, as in the sample. */
  protected override readonly regions: number = VFIO_PCI_NUM_REGIONS;
  readonly #mode: Mode;
  readonly #framebuffer: PageRun;
  readonly #bytes: number;

  /** Made by Mdpy.createDevice(), which gives it its pages. */
  constructor(vfio: Vfio, mdev: MdevDevice, mode: Mode, framebuffer: PageRun) {
    super(vfio, mdev);
    this.#mode = mode;
    this.#framebuffer = framebuffer;
    this.#bytes = framebuffer.count * PAGE_SIZE;
    const { config } = this;
    this.makeConfig(0x000f_1b36, 0x0010_0003);
    config[0x34] = 0x40;
    set(config, [0x40, 'u32'], 0x0010_0009);
    set(config, [0x44, 'u32'], XRGB8888);
    set(config, [0x48, 'u32'], mode.width);
    set(config, [0x4c, 'u32'], mode.height);
    this.#paint();
  }

  /** The framebuffer's pages go with the device. */
  dispose(): void {
    this.#framebuffer.put();
  }

  /** The display region with the type's resolution, and all the memory as its size. */
  protected override queryPlane(argument: UserArgument): number {
    return queryGfxPlane(argument, GFX_PLANE.REGION, () => this.#plane());
  }

  /** VFIO_DEVICE_RESET: the gradient is painted anew. */
  protected override reset(): void {
    this.#paint();
  }

  /**
   * The framebuffer, shared, from its beginning.
   *
   * @returns the mapping; -EINVAL for another offset, a length beyond the memory, or a private mapping
   */
  override mmap(process: Process, { offset, length, shared, read, write }: MmapRequest): Mapping | number {
    if (offset !== PAGE_SIZE || length > this.#bytes || !shared) return this.refuseOffset(offset, length);
    return process.mm.mapDevice(length, { physical: this.#framebuffer.first * PAGE_SIZE, live: () => true }, read, write);
  }

  /**
   * Configuration space, BAR 0, and index 16 as the display region; other regions of PCI have no bytes.
   *
   * @param index VFIO_PCI_*_REGION_INDEX, or 16
   */
  protected override region(index: number): RegionAnswer | undefined {
    if (index >= VFIO_PCI_NUM_REGIONS && index !== DISPLAY_REGION) return undefined;
    switch (index) {
      case VFIO_PCI_CONFIG_REGION_INDEX:
        return { flags: READ_WRITE, size: CONFIG_BYTES, offset: 0 };
      case VFIO_PCI_BAR0_REGION_INDEX:
      case DISPLAY_REGION:
        return { flags: READ_WRITE | VFIO_REGION_INFO_FLAG_MMAP, size: this.#bytes, offset: PAGE_SIZE };
      default:
        return { flags: 0, size: 0, offset: 0 };
    }
  }

  /** Only once GET_INFO was asked, as in the sample. */
  protected override get knowsIrqs(): boolean {
    return this.informed;
  }

  /** BAR 0 is the memory. @param at offset of the BAR's register in configuration space */
  protected override barSize(at: number): number | undefined {
    return at === CFG_BAR0 ? this.#bytes : undefined;
  }

  /**
   * The framebuffer from its first byte on, whatever the offset, as in the sample.
   *
   * @param at offset in the device's fd
   * @returns 0, or -EFAULT where nothing is
   */
  protected override access(bytes: Uint8Array, at: number, write: boolean): number {
    const { memory } = this.device.host;
    if (at < PAGE_SIZE || at + bytes.length > PAGE_SIZE + this.#bytes) return this.refuseOffset(at, bytes.length, EFAULT);
    const base = this.#framebuffer.first * PAGE_SIZE;
    if (write) memory.writeBytes(base, bytes);
    else memory.readBytes(base, bytes);
    return 0;
  }

  /** A grey gradient from top to bottom. */
  #paint(): void {
    const { width, height } = this.#mode;
    const { memory } = this.device.host;
    const row = new Uint8Array(width * BYTES_PER_PIXEL);
    for (let y = 0; y < height; y += 1) {
      row.fill(Math.floor((y * 255) / height));
      memory.writeBytes(this.#framebuffer.first * PAGE_SIZE + y * row.length, row);
    }
  }

  #plane(): GfxPlane {
    const { width, height } = this.#mode;
    return { width, height, stride: width * BYTES_PER_PIXEL, bytes: this.#bytes, where: DISPLAY_REGION };
  }
}

/**
 * mdpy: a parent whose devices are simple framebuffers. Kernel: samples/vfio-mdev/mdpy.c.
 *
 * A count of instances holds for all types together. As in the sample, pread and pwrite of the framebuffer ignore the offset, the display
 * region has an index that num_regions does not count, a plane's size is that of the memory, and nobody knows of interrupts before GET_INFO.
 */
export class Mdpy extends MdevParent {
  /** The module parameter, which the core counts since 6.1; before, the parent does. */
  override readonly maxInstances: number | undefined;
  readonly #vfio: Vfio;
  readonly #count: number;

  /** `count`: the module parameter, in devices of all types; a negative one is no limit. */
  constructor(bus: MdevBus, vfio: Vfio, count: number = INSTANCES) {
    super(
      bus,
      'mdpy',
      MODES.map(({ name, width, height }) => ({ name, pretty: `mdpy-${name}`, description: `virtual display, ${width}x${height} framebuffer` })),
    );
    this.#vfio = vfio;
    this.#count = count;
    // Before 6.1 the parent refuses by itself, with another errno.
    this.maxInstances = bus.host.profile.mdevParentDrivers ? count : undefined;
  }

  /** How many more devices there can be, of any type. */
  override available(type: MdevType): number {
    return this.maxInstances === undefined ? this.#count - this.devices.length : super.available(type);
  }

  /** The module parameter `count`. */
  protected override get parameters(): readonly (readonly [string, number])[] {
    return [['count', this.#count]];
  }

  /**
   * Makes a framebuffer of the type's resolution.
   *
   * @returns the device; -ENOMEM without pages, and before 6.1 when there are `count` devices
   * @throws TypeError for a type of another parent
   */
  override createDevice(mdev: MdevDevice): MdpyDevice | number {
    const mode = modeOf(mdev);
    if (this.maxInstances === undefined && this.devices.length >= this.#count) return -ENOMEM;
    const bytes = 2 ** Math.ceil(Math.log2(mode.width * mode.height * BYTES_PER_PIXEL));
    const framebuffer = this.bus.host.pages.allocate(bytes / PAGE_SIZE);
    return framebuffer === undefined ? this.bus.host.refusals.refuse(NO_ADDRESSES, { length: bytes }) : new MdpyDevice(this.#vfio, mdev, mode, framebuffer);
  }

  /** Gives the framebuffer's pages back. */
  override releaseDevice(_mdev: MdevDevice, device: VfioDevice): void {
    if (device instanceof MdpyDevice) device.dispose();
  }

  /** The attribute `vendor/resolution`: width and height in pixels. */
  override deviceAttributes(mdev: MdevDevice): readonly (readonly [string, () => string])[] {
    const { width, height } = modeOf(mdev);
    return [['resolution', () => `${width}x${height}\n`]];
  }
}

function modeOf(mdev: MdevDevice): Mode {
  const mode = MODES.find(({ name }) => name === mdev.type.init.name);
  if (mode === undefined) throw new TypeError(`"mdev" expected a type of mdpy, got ${mdev.type.id}`);
  return mode;
}
