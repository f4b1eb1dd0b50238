/** What the display samples mdpy and mbochs have in common: PCI configuration space, no interrupts, one plane. Kernel: samples/vfio-mdev/mdpy.c, mbochs.c. */
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
  #informed = false;

  protected override openDevice(): Sleeps<number> {
    return constant(0);
  }

  protected override closeDevice(): Sleeps<void> {
    return constant(undefined);
  }

  override ioctl(_process: Process, request: number, argument: UserArgument): number {
    switch (request) {
      case VFIO_DEVICE_GET_INFO: {
        const answer = deviceInfo(argument, VFIO_DEVICE_FLAGS_PCI, this.regions, VFIO_PCI_NUM_IRQS);
        if (answer === 0) this.#informed = true;
        return answer;
      }
      case VFIO_DEVICE_GET_REGION_INFO:
        return regionInfo(argument, (index) => this.region(index));
      case VFIO_DEVICE_GET_IRQ_INFO:
        return irqInfo(argument, (index) => (index < VFIO_PCI_NUM_IRQS && this.knowsIrqs ? { flags: 0, count: 0 } : undefined));
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
    return inPieces(into, offset, (piece, at) => this.#access(piece, at, false));
  }

  override write(from: Uint8Array, offset: number): number {
    return inPieces(from, offset, (piece, at) => this.#access(piece, at, true));
  }

  /** What GET_INFO says. */
  protected abstract readonly regions: number;

  /** GET_INFO has succeeded once: a sample that looks into its answer for the count of interrupts knows of none before. */
  protected get informed(): boolean {
    return this.#informed;
  }

  /** Whether GET_IRQ_INFO answers. */
  protected abstract readonly knowsIrqs: boolean;

  protected abstract region(index: number): RegionAnswer | undefined;

  /** The size of the BAR whose register is at `at` of configuration space; undefined where none is. */
  protected abstract barSize(at: number): number | undefined;

  /** An aligned piece of at most 4 bytes behind configuration space, `at` in the device fd. @returns 0 or a negative errno */
  protected abstract access(bytes: Uint8Array, at: number, write: boolean): number;

  protected abstract queryPlane(argument: UserArgument): number;

  protected abstract reset(): void;

  /**
   * Vendor and device id, class, and a first BAR that is memory and prefetchable; the subsystem is QEMU's.
   *
   * @param id the first dword of configuration space
   * @param commandAndStatus the second dword
   */
  protected makeConfig(id: number, commandAndStatus: number): void {
    set(this.config, [0x00, 'u32'], id);
    set(this.config, [0x04, 'u32'], commandAndStatus);
    set(this.config, [0x08, 'u32'], 0x0380_0001);
    set(this.config, [CFG_BAR0, 'u32'], 8);
    set(this.config, [0x2c, 'u32'], 0x1100_1af4);
  }

  /** What begins in configuration space is an access to it, also where it ends behind: there are zeros, and nothing to write. */
  #access(bytes: Uint8Array, at: number, write: boolean): number {
    if (at >= CONFIG_BYTES) return this.access(bytes, at, write);
    if (write) this.#writeConfig(bytes, at);
    else for (let i = 0; i < bytes.length; i += 1) bytes[i] = this.config[at + i] ?? 0;
    return 0;
  }

  /** Only whole BARs can be written: all ones ask for the size. */
  #writeConfig(bytes: Uint8Array, at: number): void {
    const size = this.barSize(at);
    if (size === undefined || bytes.length !== 4) return;
    const asked = get(bytes, [0, 'u32']);
    const masked = asked === 0xffff_ffff ? asked & ~(size - 1) : asked;
    set(this.config, [at, 'u32'], (masked & ~0xf) | (this.config[at]! & 0xf));
  }
}
