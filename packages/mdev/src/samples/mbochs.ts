import {
  EFAULT,
  ARGUMENT_SIZE,
  ENOENT,
  ENOMEM,
  ENOSPC,
  eventKind,
  get,
  InfoCaps,
  NO_INDEX,
  O_RDONLY,
  PAGE_SIZE,
  set,
  VFIO_DEVICE_GET_GFX_DMABUF,
  VFIO_DEVICE_GET_REGION_INFO,
  VFIO_PCI_BAR0_REGION_INDEX,
  VFIO_PCI_CONFIG_REGION_INDEX,
  VFIO_PCI_NUM_REGIONS,
  VFIO_REGION_INFO_CAP_TYPE,
  VFIO_REGION_INFO_FLAG_CAPS,
  VFIO_REGION_INFO_FLAG_MMAP,
  vfio_region_info,
  vfio_region_info_cap_type,
  type EventKind,
  type Mapping,
  type MmapRequest,
  type ModuleUse,
  type PageRun,
  type Process,
  type RegionAnswer,
  type Sleeps,
  type UserArgument,
  type Vfio,
  type VfioDevice,
} from '@vsim/vfio-core';
import { PLANE } from '../mdev-reasons.ts';
import type { MdevBus } from '../mdev-bus.ts';
import type { MdevDevice } from '../mdev-device.ts';
import { MdevParent } from '../mdev-parent.ts';
import type { MdevType } from '../mdev-type.ts';
import { DmaBufFile } from './dma-buf.ts';
import { CFG_BAR0, CONFIG_BYTES, READ_WRITE, SampleDisplay } from './display.ts';
import { EdidRegion } from './edid.ts';
import { GFX_PLANE, queryGfxPlane, type GfxPlane } from './gfx-plane.ts';
import { Vbe, VBE_REGISTERS, type VbeMode } from './vbe.ts';

/** `mdev/past-framebuffer`: an access to the framebuffer reaches behind its last page: the sample's array of pages ends there. */
export const PAST_FRAMEBUFFER: EventKind<{ readonly device: string; readonly offset: number }> = eventKind(
  'mdev/past-framebuffer',
  'bug',
  ({ device, offset }) => `${device}: access at 0x${offset.toString(16)} of the framebuffer goes to a page behind it`,
);

const MMIO_OFFSET = PAGE_SIZE;
const EDID_OFFSET = 2 * PAGE_SIZE;
const MEMORY_OFFSET = 3 * PAGE_SIZE;
const BAR2_REGION = 2;
const EDID_REGION = VFIO_PCI_NUM_REGIONS;
const REGION_INFO_WITH_TYPE = vfio_region_info.size + vfio_region_info_cap_type.size;
/** VFIO_REGION_TYPE_GFX with VFIO_REGION_SUBTYPE_GFX_EDID. */
const TYPE_GFX = 1;
const SUBTYPE_GFX_EDID = 1;
const EDID: RegionAnswer = { flags: READ_WRITE | VFIO_REGION_INFO_FLAG_CAPS, size: PAGE_SIZE, offset: EDID_OFFSET };
const MMIO_EDID_END = 0x400;
const MMIO_VBE = 0x500;
const CFG_BAR2 = 0x18;
const DRM_PLANE_TYPE_PRIMARY = 1;
const MIB = 0x10_0000;
const MAX_MBYTES = 256;

interface Card {
  readonly name: string;
  readonly mbytes: number;
  /** 0 is no limit. */
  readonly maxWidth: number;
  readonly maxHeight: number;
}

const CARDS: readonly Card[] = [
  { name: 'small', mbytes: 4, maxWidth: 800, maxHeight: 600 },
  { name: 'medium', mbytes: 16, maxWidth: 1920, maxHeight: 1440 },
  { name: 'large', mbytes: 64, maxWidth: 0, maxHeight: 0 },
];

/** A framebuffer that was asked for, as user space can have it. */
interface DmaBuf {
  readonly id: number;
  readonly mode: VbeMode;
}

/** A Bochs display: configuration space, video memory as BAR 0, registers as BAR 2, an EDID region, and dmabufs of the mode that is set. */
export class MbochsDevice extends SampleDisplay {
  /** Those of PCI, and the EDID region. */
  protected override readonly regions: number = VFIO_PCI_NUM_REGIONS + 1;
  /** Always: each index is there, with 0 interrupts. */
  protected override readonly knowsIrqs: boolean = true;
  readonly #bytes: number;
  readonly #vbe: Vbe;
  readonly #edid: EdidRegion;
  /** The framebuffer, from its first use to the last close. */
  #pages: PageRun | undefined;
  readonly #module: ModuleUse;
  #dmabufs: DmaBuf[] = [];
  #nextId = 1;

  /** Made by Mbochs.createDevice(). @param mdev the device that stands for it */
  constructor(vfio: Vfio, mdev: MdevDevice, { mbytes, maxWidth, maxHeight }: Card) {
    super(vfio, mdev);
    this.#bytes = mbytes * MIB;
    this.#module = mdev.parent.driver;
    this.#vbe = new Vbe(this.#bytes);
    this.#edid = new EdidRegion(maxWidth, maxHeight);
    this.makeConfig(0x1111_1234, 0x0000_0003);
  }

  /** What is in the framebuffer goes; a dmabuf that somebody has keeps its pages. */
  protected override *closeDevice(): Sleeps<void> {
    this.#dmabufs = [];
    this.dropPages();
  }

  /** The framebuffer's pages go: at the last close, and when the parent takes the device back. @internal */
  dropPages(): void {
    this.#pages?.put();
    this.#pages = undefined;
  }

  /**
   * GET_REGION_INFO with the EDID region, GET_GFX_DMABUF, and what all sample displays have.
   *
   * @param request VFIO_DEVICE_*
   * @returns 0, an fd, or a negative errno: -ENOTTY for a request that there is not
   */
  override ioctl(process: Process, request: number, argument: UserArgument): number {
    switch (request) {
      case VFIO_DEVICE_GET_REGION_INFO:
        return this.#regionInfo(argument);
      case VFIO_DEVICE_GET_GFX_DMABUF:
        return this.#getDmaBuf(process, argument);
      default:
        return super.ioctl(process, request, argument);
    }
  }

  /** The dmabuf of the mode that is set; the first query of a new mode is -ENOMEM, as in the sample. */
  protected override queryPlane(argument: UserArgument): number {
    return queryGfxPlane(argument, GFX_PLANE.DMABUF, (type) => this.#plane(type));
  }

  /** VFIO_DEVICE_RESET: the display's registers are as at creation. */
  protected override reset(): void {
    this.#vbe.reset();
  }

  /**
   * BAR 0, shared, from its beginning.
   *
   * @returns the mapping; -EINVAL for another offset, a length beyond the memory, or a private mapping; -ENOMEM without pages
   */
  override mmap(process: Process, { offset, length, shared, read, write }: MmapRequest): Mapping | number {
    if (offset !== MEMORY_OFFSET || length > this.#bytes || !shared) return this.refuseOffset(offset, length);
    const pages = this.#framebuffer();
    if (pages === undefined) return this.refuseOffset(offset, length, ENOMEM);
    return process.mm.mapDevice(length, { physical: pages.first * PAGE_SIZE, live: () => this.#pages === pages, cacheable: true }, read, write);
  }

  /** Takes 32 to 48 bytes, and writes as many: behind the struct, zeros for each region but EDID, whose argsz says 48 in any case. */
  #regionInfo(argument: UserArgument): number {
    const asked = argument.copyIn(vfio_region_info.size);
    if (asked === undefined) return argument.fault();
    const argsz = get(asked, vfio_region_info.argsz);
    const room = argsz - asked.length;
    if (room < 0 || argsz > REGION_INFO_WITH_TYPE) return argument.refuse(ARGUMENT_SIZE, { request: argument.request, argsz, least: asked.length });
    const index = get(asked, vfio_region_info.index);
    const answer = index === EDID_REGION ? EDID : this.region(index);
    if (answer === undefined) return argument.refuse(NO_INDEX, { request: argument.request, index });
    const info = new Uint8Array(REGION_INFO_WITH_TYPE);
    info.set(asked);
    set(info, vfio_region_info.flags, answer.flags);
    set(info, vfio_region_info.region_size, answer.size);
    set(info, vfio_region_info.offset, answer.offset);
    if (index === EDID_REGION) {
      set(info, vfio_region_info.argsz, info.length);
      set(info, vfio_region_info.cap_offset, vfio_region_info.size);
      info.set(edidType().bytes, vfio_region_info.size);
    }
    return argument.copyOut(info.subarray(0, argsz)) ? 0 : argument.fault();
  }

  /** Configuration space, BAR 0 and BAR 2; other regions of PCI have no bytes. @param index VFIO_PCI_*_REGION_INDEX */
  protected override region(index: number): RegionAnswer | undefined {
    switch (index) {
      case VFIO_PCI_CONFIG_REGION_INDEX:
        return { flags: READ_WRITE, size: CONFIG_BYTES, offset: 0 };
      case VFIO_PCI_BAR0_REGION_INDEX:
        return { flags: READ_WRITE | VFIO_REGION_INFO_FLAG_MMAP, size: this.#bytes, offset: MEMORY_OFFSET };
      case BAR2_REGION:
        return { flags: READ_WRITE, size: PAGE_SIZE, offset: MMIO_OFFSET };
      default:
        return index < VFIO_PCI_NUM_REGIONS ? { flags: 0, size: 0, offset: 0 } : undefined;
    }
  }

  /** BAR 0 is the video memory, BAR 2 a page. @param at offset of the BAR's register in configuration space */
  protected override barSize(at: number): number | undefined {
    return at === CFG_BAR0 ? this.#bytes : at === CFG_BAR2 ? PAGE_SIZE : undefined;
  }

  /**
   * Registers, EDID region and framebuffer, the last two pages too far, as in the sample.
   *
   * @param at offset in the device's fd
   * @returns 0; -EFAULT where nothing is; -ENOMEM without pages for the framebuffer
   */
  protected override access(bytes: Uint8Array, at: number, write: boolean): number {
    const end = at + bytes.length;
    if (at >= MMIO_OFFSET && end <= MMIO_OFFSET + PAGE_SIZE) {
      this.#mmio(bytes, at - MMIO_OFFSET, write);
    } else if (at >= EDID_OFFSET && end <= EDID_OFFSET + PAGE_SIZE) {
      this.#edid.access(bytes, at - EDID_OFFSET, write);
    } else if (at >= MEMORY_OFFSET && end <= MEMORY_OFFSET + this.#bytes) {
      return this.#memory(bytes, at - MEMORY_OFFSET, write);
    } else {
      return this.refuseOffset(at, bytes.length, EFAULT);
    }
    return 0;
  }

  /** The monitor's data for the guest, and the display's registers, which are read and written whole. */
  #mmio(bytes: Uint8Array, at: number, write: boolean): void {
    const index = (at - MMIO_VBE) / 2;
    const isRegister = bytes.length === 2 && index >= 0 && index < VBE_REGISTERS;
    if (write) {
      if (isRegister) this.#vbe.write(index, get(bytes, [0, 'u16']));
    } else if (at < MMIO_EDID_END) {
      this.#edid.read(bytes, at);
    } else {
      bytes.fill(0);
      if (isRegister) set(bytes, [0, 'u16'], this.#vbe.read(index));
    }
  }

  /** Offsets count from the registers' page instead of the memory's: two pages too many. */
  #memory(bytes: Uint8Array, offset: number, write: boolean): number {
    const at = offset + MEMORY_OFFSET - MMIO_OFFSET;
    const pages = this.#framebuffer();
    if (pages === undefined) return this.refuseOffset(offset, bytes.length, ENOMEM);
    const { memory, trace } = this.device.host;
    if (at >= this.#bytes) {
      trace.emit(PAST_FRAMEBUFFER, { device: this.name, offset });
      if (!write) bytes.fill(0);
    } else if (write) {
      memory.writeBytes(pages.first * PAGE_SIZE + at, bytes);
    } else {
      memory.readBytes(pages.first * PAGE_SIZE + at, bytes);
    }
    return 0;
  }

  #framebuffer(): PageRun | undefined {
    this.#pages ??= this.device.host.pages.allocate(this.#bytes / PAGE_SIZE);
    return this.#pages;
  }

  /** A mode that is asked for the first time gets its dmabuf, and -ENOMEM: the sample forgets to look at what it has made. */
  #plane(type: number): GfxPlane | undefined | number {
    const mode = type === DRM_PLANE_TYPE_PRIMARY ? this.#vbe.mode : undefined;
    if (mode === undefined) return undefined;
    const found = this.#dmabufs.find((dmabuf) => sameMode(dmabuf.mode, mode));
    if (found !== undefined) return { width: mode.width, height: mode.height, stride: mode.stride, bytes: mode.bytes, where: found.id };
    this.#dmabufs.push({ id: this.#nextId, mode });
    this.#nextId += 1;
    return this.device.host.refusals.refuse(PLANE, { what: 'the dmabuf of this mode is made only now' }, ENOMEM);
  }

  /** @returns an fd, -ENOENT for an id that is none, -EINVAL for a framebuffer that begins within a page */
  #getDmaBuf(process: Process, argument: UserArgument): number {
    const id = argument.copyIn(4);
    if (id === undefined) return argument.fault();
    const dmabuf = this.#dmabufs.find((known) => known.id === get(id, [0, 'u32']));
    if (dmabuf === undefined) return argument.refuse(PLANE, { what: `no dmabuf has id ${get(id, [0, 'u32'])}` }, ENOENT);
    if (dmabuf.mode.offset % PAGE_SIZE !== 0) return argument.refuse(PLANE, { what: 'the framebuffer begins within a page' });
    const pages = this.#framebuffer();
    if (pages === undefined) return this.refuseOffset(MEMORY_OFFSET, this.#bytes, ENOMEM);
    const fd = process.nextFd();
    if (fd < 0) return fd;
    return process.install(new DmaBufFile(pages, dmabuf.mode.bytes, this.#module), O_RDONLY, fd);
  }
}

/** The capability that says what the EDID region is. */
function edidType(): InfoCaps {
  const caps = new InfoCaps(vfio_region_info.size);
  const type = caps.add(VFIO_REGION_INFO_CAP_TYPE, 1, vfio_region_info_cap_type.size);
  set(type, vfio_region_info_cap_type.type, TYPE_GFX);
  set(type, vfio_region_info_cap_type.subtype, SUBTYPE_GFX_EDID);
  return caps;
}

function sameMode(a: VbeMode, b: VbeMode): boolean {
  return a.width === b.width && a.height === b.height && a.stride === b.stride && a.offset === b.offset;
}

/**
 * mbochs: a parent whose devices are Bochs displays: VBE registers, an EDID region, and the framebuffer as dmabufs. Kernel:
 * samples/vfio-mdev/mbochs.c.
 *
 * Its three types share some megabytes of video memory. As in the sample, pread and pwrite of the framebuffer miss it by two pages, and the
 * first query of a new mode fails though it makes the dmabuf.
 */
export class Mbochs extends MdevParent {
  readonly #vfio: Vfio;
  readonly #mbytes: number;
  /** Compared and divided as 32 bits without sign. */
  #left: number;

  /** `mbytes`: the module parameter count, in MB of all devices together; -1 is as good as no limit. */
  constructor(bus: MdevBus, vfio: Vfio, mbytes: number = MAX_MBYTES) {
    super(
      bus,
      'mbochs',
      CARDS.map((card) => ({ name: card.name, pretty: `mbochs-${card.name}`, description: `virtual display, ${card.mbytes} MB video memory` })),
    );
    this.#vfio = vfio;
    this.#mbytes = mbytes;
    this.#left = mbytes >>> 0;
  }

  /** How many devices of a type the memory that is left suffices for. */
  override available(type: MdevType): number {
    return Math.floor(this.#left / cardOf(type).mbytes);
  }

  /**
   * Makes a display with the video memory of its type.
   *
   * @returns the device; -ENOSPC, before 6.1 -ENOMEM, when less memory is left
   * @throws TypeError for a type of another parent
   */
  override createDevice(mdev: MdevDevice): MbochsDevice | number {
    const card = cardOf(mdev.type);
    if (card.mbytes > this.#left) return this.bus.host.profile.mdevParentDrivers ? -ENOSPC : -ENOMEM;
    this.#left -= card.mbytes;
    return new MbochsDevice(this.#vfio, mdev, card);
  }

  /** Takes the video memory back, and drops the framebuffer's pages. */
  override releaseDevice(mdev: MdevDevice, device: VfioDevice): void {
    this.#left += cardOf(mdev.type).mbytes;
    if (device instanceof MbochsDevice) device.dropPages();
  }

  /** The module parameter `count`. */
  protected override get parameters(): readonly (readonly [string, number])[] {
    return [['count', this.#mbytes]];
  }

  /** The attribute `vendor/memory`: video memory in MB. */
  override deviceAttributes(mdev: MdevDevice): readonly (readonly [string, () => string])[] {
    return [['memory', () => `${cardOf(mdev.type).mbytes} MB\n`]];
  }
}

function cardOf(type: MdevType): Card {
  const card = CARDS.find(({ name }) => name === type.init.name);
  if (card === undefined) throw new TypeError(`"type" expected a type of mbochs, got ${type.id}`);
  return card;
}
