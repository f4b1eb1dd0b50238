import {
  EINVAL,
  ENODEV,
  ENOMEM,
  EOVERFLOW,
  ESPIPE,
  File,
  O_RDWR,
  VFIO_DEVICE_FEATURE_GET,
  checkFeature,
  get,
  type FeatureArgument,
  type Process,
  type Sleeps,
  type UserArgument,
  type VfioDevice,
} from '@vsim/vfio-core';
import type { PciDevice } from '../bus/pci-device.ts';
import { PCI_STD_NUM_BARS } from '../pci/registers.ts';
import { DMA_BUF_CALL, DMA_BUF_RANGE, DMA_BUF_REQUEST } from './vfio-pci-reasons.ts';

/** struct vfio_device_feature_dma_buf, and of its ranges struct vfio_region_dma_range. */
const HEAD = { size: 16, region: [0, 'u32'], flags: [8, 'u32'], ranges: [12, 'u32'] } as const;
const RANGE = { size: 16, offset: [0, 'u64'], length: [8, 'u64'] } as const;
const PAGE = 4096n;
const END = 1n << 64n;
/** Bytes of ranges that the kernel does not even try to allocate. */
const INT_MAX = 0x7fff_ffff;
const SEEK_SET = 0;
const SEEK_END = 2;
/** DMA_BUF_IOCTL_SYNC, and the bits of its flags: read, write, end. */
const DMA_BUF_IOCTL_SYNC = 0x4008_6200;
const SYNC_DIRECTION = 3n;
const SYNC_FLAGS = 7n;

/** The device whose BAR it is: it knows its buffers until its last close. */
export interface DmaBufOwner extends VfioDevice {
  readonly device: PciDevice;
  readonly dmaBufs: Set<PciDmaBuf>;
}

/** The fd of a dma-buf of vfio-pci: it lives on its own, whatever becomes of the device. */
export class PciDmaBuf extends File {
  override readonly label: string = '/dmabuf:';
  readonly #size: number;
  #owner: DmaBufOwner | undefined;

  constructor(size: number, owner: DmaBufOwner) {
    super();
    this.#size = size;
    this.#owner = owner;
    owner.dmaBufs.add(this);
  }

  /** vfio_pci_dma_buf_cleanup(): the device is closed, and the buffer has no device any more. */
  orphan(): void {
    this.#owner = undefined;
  }

  /**
   * Its size can be asked, and nothing else.
   *
   * @param offset 0
   * @param whence SEEK_SET or SEEK_END
   * @returns 0, the size, or -EINVAL
   */
  override seek(offset: number, whence: number): number {
    if (offset !== 0 || (whence !== SEEK_SET && whence !== SEEK_END)) return this.refuse(DMA_BUF_CALL, { call: 'lseek elsewhere' });
    return whence === SEEK_END ? this.#size : 0;
  }

  override read(): number {
    return this.refuse(DMA_BUF_CALL, { call: 'read' }, ESPIPE);
  }

  override write(): number {
    return this.refuse(DMA_BUF_CALL, { call: 'write' }, ESPIPE);
  }

  override mmap(): number {
    return this.refuse(DMA_BUF_CALL, { call: 'mmap' });
  }

  override ioctl(_process: Process, request: number, argument: UserArgument): number {
    if (request !== DMA_BUF_IOCTL_SYNC) return argument.unknown();
    const bytes = argument.copyIn(8);
    if (bytes === undefined) return argument.fault();
    const flags = get(bytes, [0, 'u64']);
    return (flags & ~SYNC_FLAGS) !== 0n || (flags & SYNC_DIRECTION) === 0n ? this.refuse(DMA_BUF_CALL, { call: 'a sync without direction' }) : 0;
  }

  override fdinfo(): readonly string[] {
    return [`size:\t${this.#size}`, `count:\t${this.references}`, 'exp_name:\tvfio_pci_core'];
  }

  protected override *release(): Sleeps<void> {
    this.#owner?.enter('dma-buf');
    this.#owner?.dmaBufs.delete(this);
    this.#owner = undefined;
  }
}

/**
 * VFIO_DEVICE_FEATURE_DMA_BUF: ranges of a BAR as a dma-buf, for other drivers to import. Kernel: vfio_pci_core_feature_dma_buf(), and what
 * struct dma_buf answers to its fd.
 *
 * Not modelled: importers. So nobody sees the pages, nor that they are revoked while memory decoding is off or the device sleeps.
 *
 * Makes a dma-buf.
 *
 * @param flags GET, SET and PROBE of VFIO_DEVICE_FEATURE
 * @returns its fd, or a negative errno, with the checks in the kernel's order
 */
export function dmaBufFeature(owner: DmaBufOwner, process: Process, flags: number, data: FeatureArgument): number {
  const { device } = owner;
  const asked = checkFeature(data, flags, VFIO_DEVICE_FEATURE_GET, HEAD.size);
  if (asked !== 1) return asked;
  const head = data.copyIn(HEAD.size);
  const { argument } = data;
  if (head === undefined) return argument.fault();
  const count = get(head, HEAD.ranges);
  const index = get(head, HEAD.region);
  const request = { device: device.name, region: index, count, flags: get(head, HEAD.flags) };
  if (count === 0 || get(head, HEAD.flags) !== 0) return argument.refuse(DMA_BUF_REQUEST, request);
  const bar = index < PCI_STD_NUM_BARS ? device.function.bar(index) : undefined;
  if (bar === undefined || !device.barClaims.has(index)) return argument.refuse(DMA_BUF_REQUEST, request, ENODEV);
  const ranges = readRanges(data, count);
  if (typeof ranges === 'number') return ranges;
  const size = sizeOf(ranges);
  if (bar.kind === 'io') return argument.refuse(DMA_BUF_REQUEST, request);
  const wrong = (range: Range | undefined, errno: number): number =>
    argument.refuse(DMA_BUF_RANGE, { device: device.name, offset: range?.offset ?? 0n, length: range?.length ?? 0n, size: bar.size }, errno);
  if (size === undefined) return wrong(ranges[0], EINVAL);
  for (const range of ranges) {
    const { offset, length } = range;
    const start = BigInt(bar.address) + offset;
    if (start >= END || start + length > END) return wrong(range, EOVERFLOW);
    if (offset + length > BigInt(bar.size)) return wrong(range, EINVAL);
  }
  const fd = process.nextFd();
  return fd < 0 ? fd : process.install(new PciDmaBuf(Number(size), owner), O_RDWR, fd);
}

interface Range {
  readonly offset: bigint;
  readonly length: bigint;
}

/** All of them are copied before any is looked at. */
function readRanges(data: FeatureArgument, count: number): readonly Range[] | number {
  if (count * RANGE.size > INT_MAX) return data.argument.fault(ENOMEM);
  const ranges: Range[] = [];
  for (let i = 0; i < count; i += 1) {
    const bytes = data.copyIn(RANGE.size, HEAD.size + i * RANGE.size);
    if (bytes === undefined) return data.argument.fault();
    ranges.push({ offset: get(bytes, RANGE.offset), length: get(bytes, RANGE.length) });
  }
  return ranges;
}

/** The sum of the lengths; undefined: a range is not made of whole pages, or the sum has bit 63 set or more. */
function sizeOf(ranges: readonly Range[]): bigint | undefined {
  let size = 0n;
  for (const { offset, length } of ranges) {
    size += length;
    if (length === 0n || ((offset | length) & (PAGE - 1n)) !== 0n || size >= END >> 1n) return undefined;
  }
  return size;
}
