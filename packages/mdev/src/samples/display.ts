/** What the display samples mdpy and mbochs have in common: PCI configuration space, no interrupts, one plane. Catalogue: vfio 6.6, 6.7. */
import {
  constant,
  deviceInfo,
  EINVAL,
  get,
  inPieces,
  irqInfo,
  regionInfo,
  set,
  VFIO_DEVICE_FLAGS_PCI,
  VFIO_DEVICE_GET_INFO,
  VFIO_DEVICE_GET_IRQ_INFO,
  VFIO_DEVICE_GET_REGION_INFO,
  VFIO_DEVICE_QUERY_GFX_PLANE,
  VFIO_DEVICE_RESET,
  VFIO_DEVICE_SET_IRQS,
  VFIO_PCI_NUM_IRQS,
  VfioDevice,
  type Process,
  type RegionAnswer,
  type Sleeps,
  type UserArgument,
} from '@vsim/vfio-core';
import { SAMPLE_IRQ } from '../mdev-reasons.ts';

export const CONFIG_BYTES = 0xff;
/** Flags of a region that can be read and written. */
export const READ_WRITE = 3;
export const CFG_BAR0 = 0x10;

export abstract class SampleDisplay extends VfioDevice {
  protected readonly config: Uint8Array = new Uint8Array(CONFIG_BYTES);

  protected override openDevice(): Sleeps<number> {
    return constant(0);
  }

  protected override closeDevice(): Sleeps<void> {
    return constant(undefined);
  }

  override ioctl(_process: Process, request: number, argument: UserArgument): number {
    switch (request) {
      case VFIO_DEVICE_GET_INFO:
        return deviceInfo(argument, VFIO_DEVICE_FLAGS_PCI, this.regions, VFIO_PCI_NUM_IRQS);
      case VFIO_DEVICE_GET_REGION_INFO:
        return regionInfo(argument, (index) => this.region(index));
      case VFIO_DEVICE_GET_IRQ_INFO:
        return irqInfo(argument, (index) => (index < VFIO_PCI_NUM_IRQS ? { flags: 0, count: 0 } : undefined));
      case VFIO_DEVICE_SET_IRQS:
        return argument.refuse(SAMPLE_IRQ, { index: 0, action: 0, active: undefined }, EINVAL);
      case VFIO_DEVICE_RESET:
        this.reset();
        return 0;
      case VFIO_DEVICE_QUERY_GFX_PLANE:
        return this.queryPlane(argument);
      default:
        return argument.unknown();
    }
  }

  override read(into: Uint8Array, offset: number): number {
    return inPieces(into, offset, (piece, at) => this.access(piece, at, false));
  }

  override write(from: Uint8Array, offset: number): number {
    return inPieces(from, offset, (piece, at) => this.access(piece, at, true));
  }

  /** What GET_INFO says. */
  protected abstract readonly regions: number;

  protected abstract region(index: number): RegionAnswer | undefined;

  /** An aligned piece of at most 4 bytes, `at` in the device fd. @returns 0 or a negative errno */
  protected abstract access(bytes: Uint8Array, at: number, write: boolean): number;

  protected abstract queryPlane(argument: UserArgument): number;

  protected abstract reset(): void;

  /** Vendor and device id, class, and a first BAR that is memory and prefetchable; the subsystem is QEMU's. */
  protected makeConfig(id: number, commandAndStatus: number): void {
    set(this.config, [0x00, 'u32'], id);
    set(this.config, [0x04, 'u32'], commandAndStatus);
    set(this.config, [0x08, 'u32'], 0x0380_0001);
    set(this.config, [CFG_BAR0, 'u32'], 8);
    set(this.config, [0x2c, 'u32'], 0x1100_1af4);
  }

  /** A whole BAR of `size` bytes is written: all ones ask for its size. */
  protected writeBar(at: number, bytes: Uint8Array, size: number): void {
    if (bytes.length !== 4) return;
    const asked = get(bytes, [0, 'u32']);
    const masked = asked === 0xffff_ffff ? asked & ~(size - 1) : asked;
    set(this.config, [at, 'u32'], (masked & ~0xf) | (this.config[at]! & 0xf));
  }
}
