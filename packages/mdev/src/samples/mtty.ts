import {
  constant,
  deviceInfo,
  EFAULT,
  ENOSPC,
  eventKind,
  get,
  inPieces,
  irqInfo,
  readIrqSet,
  regionInfo,
  set,
  VFIO_DEVICE_FLAGS_PCI,
  VFIO_DEVICE_GET_INFO,
  VFIO_DEVICE_GET_IRQ_INFO,
  VFIO_DEVICE_GET_REGION_INFO,
  VFIO_DEVICE_RESET,
  VFIO_DEVICE_SET_IRQS,
  VFIO_PCI_CONFIG_REGION_INDEX,
  VFIO_PCI_NUM_IRQS,
  VFIO_PCI_NUM_REGIONS,
  VfioDevice,
  type EventKind,
  type IrqAnswer,
  type DmaLogger,
  type MigrationDriver,
  type Process,
  type RegionAnswer,
  type Sleeps,
  type UserArgument,
  type Vfio,
} from '@vsim/vfio-core';
import type { MdevBus } from '../mdev-bus.ts';
import type { MdevDevice } from '../mdev-device.ts';
import { MdevParent } from '../mdev-parent.ts';
import type { MdevType } from '../mdev-type.ts';
import { CheckedIrqs, LenientIrqs, type MttyIrqs } from './mtty-irqs.ts';
import { EMPTY_LOG, MttyMigration } from './mtty-migration.ts';
import { Uart } from './uart.ts';

const PORTS = 24;
/** A device has memory for two ports, also when it shows one. */
const PORTS_BEHIND = 2;
const CONFIG_BYTES = 0xff;
/** An offset that the sample hands on as 16 bits. */
const OFFSETS = 0x1_0000;
const BAR_BYTES = 8;
const BAR_MASK = 0xffff_fff8;
const SPAN = 2 ** 40;
const READ_WRITE = 3;
const MAGIC = 0x7974_746d; // "mtty"
const VERSION = 1;
const HEADER_BYTES = 16;

/** `mdev/kernel-memory-shown`: a read that the sample answers with bytes of the kernel's own memory. They are zeros here. */
export const KERNEL_MEMORY_SHOWN: EventKind<{ readonly device: string; readonly offset: number; readonly length: number }> = eventKind(
  'mdev/kernel-memory-shown',
  'bug',
  ({ device, offset, length }) => `${device}: ${length} bytes at 0x${offset.toString(16)} of its fd are not its own`,
);

/** Regions that are ports: their index is the port's. */
const BAR = { first: 0, last: 5 } as const;
const CFG = { BAR0: 0x10, BAR1: 0x14, BAR4: 0x20, INTERRUPT_LINE: 0x3c } as const;

/** A PCI serial card with one or two 16550 ports, each a BAR whose transmitter is wired to its receiver. */
export class MttyDevice extends VfioDevice {
  readonly #config: Uint8Array;
  /** Which BARs were last written in part: their other bytes are what the driver's stack held. */
  readonly #partial = new Map<number, number>();
  readonly #uarts: readonly Uart[];
  /** Ports that the device shows: one or two. */
  readonly ports: number;
  readonly #machine: MttyMigration;
  readonly #canMigrate: boolean;
  readonly #irqs: MttyIrqs;
  /** GET_INFO has been called: until then the driver knows of no interrupt. */
  #informed = false;

  /** Made by Mtty.createDevice(). @param ports 1 or 2 @param canMigrate it has the migration of 6.7 */
  constructor(vfio: Vfio, mdev: MdevDevice, ports: number, canMigrate: boolean) {
    super(vfio, mdev);
    this.#config = makeConfig(ports);
    this.ports = ports;
    this.#irqs = mdev.host.profile.mttyChecksIrqs ? new CheckedIrqs() : new LenientIrqs(mdev);
    this.#uarts = Array.from({ length: PORTS_BEHIND }, () => new Uart(() => { this.#irqs.signal(); }));
    this.#canMigrate = canMigrate;
    // It acts only when it is written to: there is nothing to stop.
    this.#machine = new MttyMigration({
      size: HEADER_BYTES + ports * Uart.stateBytes,
      header: () => this.#header(),
      ports: () => this.#savePorts(),
      load: (bytes) => this.#load(bytes),
      enter: () => { this.enter('migration data'); },
    });
  }

  /** Nothing happens at the first open. */
  protected override openDevice(): Sleeps<number> {
    return constant(0);
  }

  /** At the last close a migration that is under way is given up. */
  protected override *closeDevice(): Sleeps<void> {
    this.#machine.reset();
  }

  /** The migration protocol, where the kernel's mtty has it. */
  override get migration(): MigrationDriver | undefined {
    return this.#canMigrate ? this.#machine : undefined;
  }

  /** A log of DMA that is always empty, where the kernel's mtty migrates: it does none. */
  override get dmaLogger(): DmaLogger | undefined {
    return this.#canMigrate ? EMPTY_LOG : undefined;
  }

  /**
   * GET_INFO, GET_REGION_INFO, GET_IRQ_INFO, SET_IRQS and RESET.
   *
   * @param request VFIO_DEVICE_*
   * @returns 0 or a negative errno: -ENOTTY for a request that there is not
   */
  override ioctl(process: Process, request: number, argument: UserArgument): number {
    switch (request) {
      case VFIO_DEVICE_GET_INFO: {
        const answer = deviceInfo(argument, VFIO_DEVICE_FLAGS_PCI, VFIO_PCI_NUM_REGIONS, VFIO_PCI_NUM_IRQS);
        if (answer === 0) this.#informed = true;
        return answer;
      }
      case VFIO_DEVICE_GET_REGION_INFO:
        return regionInfo(argument, (index) => this.#region(index));
      case VFIO_DEVICE_GET_IRQ_INFO:
        return irqInfo(argument, (index) => this.#irq(index));
      case VFIO_DEVICE_SET_IRQS:
        return this.#setIrqs(process, argument);
      case VFIO_DEVICE_RESET:
        this.#machine.reset();
        return 0;
      default:
        return argument.unknown();
    }
  }

  /**
   * Reads configuration space or a port's registers, in aligned pieces of at most 4 bytes.
   *
   * @param offset of the device's fd: the region's index << 40, and bytes within
   * @returns bytes read, or -EFAULT where no region is
   */
  override read(into: Uint8Array, offset: number): number {
    return inPieces(into, offset, (piece, at) => this.#access(piece, at, false));
  }

  /**
   * Writes configuration space or a port's registers, in aligned pieces of at most 4 bytes.
   *
   * @param offset of the device's fd: the region's index << 40, and bytes within
   * @returns bytes written, or -EFAULT where no region is
   */
  override write(from: Uint8Array, offset: number): number {
    return inPieces(from, offset, (piece, at) => this.#access(piece, at, true));
  }

  #region(index: number): RegionAnswer | undefined {
    if (index >= VFIO_PCI_NUM_REGIONS) return undefined;
    const isPort = index < this.ports;
    const size = index === VFIO_PCI_CONFIG_REGION_INDEX ? CONFIG_BYTES : isPort ? BAR_BYTES : 0;
    return { flags: READ_WRITE, size, offset: index * SPAN };
  }

  #irq(index: number): IrqAnswer | undefined {
    return this.#informed ? this.#irqs.info(index) : undefined;
  }

  #setIrqs(process: Process, argument: UserArgument): number {
    const request = readIrqSet(argument, VFIO_PCI_NUM_IRQS, () => (this.#informed ? VFIO_PCI_NUM_IRQS : 0));
    return typeof request === 'number' ? request : this.#irqs.set(process, request);
  }

  #access(bytes: Uint8Array, at: number, write: boolean): number {
    const index = Math.floor(at / SPAN);
    const offset = at - index * SPAN;
    if (index === VFIO_PCI_CONFIG_REGION_INDEX) {
      if (write) this.#writeConfig(offset % OFFSETS, bytes);
      else this.#readConfig(offset, bytes);
      return 0;
    }
    if (index < BAR.first || index > BAR.last) return this.refuseOffset(at, bytes.length, EFAULT);
    const uart = this.#uarts[index];
    if (uart === undefined) {
      if (!write) this.#kernelMemory(at, bytes);
      return 0;
    }
    // Only the first byte of an access means something; the others stay as the driver's buffer was, zero.
    if (write) uart.write(offset % OFFSETS, bytes[0]!);
    else {
      bytes.fill(0);
      bytes[0] = uart.read(offset % OFFSETS);
    }
    return 0;
  }

  /** Zeros, where the sample reads past something of its own. */
  #kernelMemory(offset: number, bytes: Uint8Array): void {
    bytes.fill(0);
    this.device.host.trace.emit(KERNEL_MEMORY_SHOWN, { device: this.name, offset, length: bytes.length });
  }

  #readConfig(offset: number, bytes: Uint8Array): void {
    for (let i = 0; i < bytes.length; i += 1) bytes[i] = this.#config[offset + i] ?? 0;
    // The byte behind the configuration space is padding of the allocation: zero.
    const end = offset + bytes.length;
    this.#showKernelMemory(Math.max(offset, CONFIG_BYTES + 1), end);
    const dword = offset - (offset % 4);
    const written = this.#partial.get(dword);
    if (written !== undefined) this.#showKernelMemory(Math.max(offset, dword + written), Math.min(end, dword + 4));
  }

  /** Tells which bytes of the configuration space are none of the sample's. */
  #showKernelMemory(from: number, to: number): void {
    if (from >= to) return;
    this.device.host.trace.emit(KERNEL_MEMORY_SHOWN, { device: this.name, offset: VFIO_PCI_CONFIG_REGION_INDEX * SPAN + from, length: to - from });
  }

  #writeConfig(offset: number, bytes: Uint8Array): void {
    const config = this.#config;
    if (offset === CFG.INTERRUPT_LINE) config[offset] = bytes[0]!;
    else if (offset === CFG.BAR0 || offset === CFG.BAR1) {
      if ((offset - CFG.BAR0) / 4 >= this.ports) return; // hardwired to zero
      if (bytes.length < 4) this.#partial.set(offset, bytes.length);
      else this.#partial.delete(offset);
      const word = new Uint8Array(4);
      word.set(bytes);
      const asked = get(word, [0, 'u32']);
      const masked = asked === 0xffff_ffff ? asked & BAR_MASK : asked;
      set(config.subarray(offset), [0, 'u32'], masked | (config[offset]! & 3));
    } else if (offset > CFG.BAR1 && offset <= CFG.BAR4 && offset % 4 === 0) {
      set(config.subarray(offset), [0, 'u32'], 0);
    }
  }

  get #shown(): readonly Uart[] {
    return this.#uarts.slice(0, this.ports);
  }

  // Migration: a header (magic, version, flags, ports; 16 bytes), then each port's state.

  #header(): Uint8Array {
    const out = new Uint8Array(HEADER_BYTES);
    [MAGIC, VERSION, 0, this.ports].forEach((word, i) => { set(out, [4 * i, 'u32'], word); });
    return out;
  }

  #savePorts(): Uint8Array {
    const out = new Uint8Array(this.ports * Uart.stateBytes);
    this.#shown.forEach((port, i) => { out.set(port.save(), i * Uart.stateBytes); });
    return out;
  }

  #load(bytes: Uint8Array): boolean {
    if (bytes.length !== HEADER_BYTES + this.ports * Uart.stateBytes) return false;
    const header = [MAGIC, VERSION, 0, this.ports];
    if (header.some((word, i) => get(bytes, [4 * i, 'u32']) !== word)) return false;
    const parts = this.#shown.map((_, i) => bytes.subarray(HEADER_BYTES + i * Uart.stateBytes, HEADER_BYTES + (i + 1) * Uart.stateBytes));
    // Tried on ports of their own first: nothing is half loaded.
    if (parts.some((part) => !new Uart(() => undefined).load(part))) return false;
    this.#shown.forEach((port, i) => port.load(parts[i]!));
    return true;
  }
}

function makeConfig(ports: number): Uint8Array {
  const config = new Uint8Array(CONFIG_BYTES);
  const id = 0x3253_4348;
  set(config, [0x00, 'u32'], id);
  set(config, [0x04, 'u32'], 0x0200_0001);
  set(config, [0x08, 'u32'], 0x0700_0210);
  set(config, [CFG.BAR0, 'u32'], 1);
  if (ports === 2) set(config, [CFG.BAR1, 'u32'], 1);
  set(config, [0x2c, 'u32'], id);
  config[0x3d] = 1;
  set(config, [0x40, 'u32'], 0x8000_0023);
  for (const at of [0x44, 0x48, 0x4c]) config[at] = 0x23;
  config.set(new TextEncoder().encode('PCI Serial/UART'), 0x60);
  return config;
}

/** What may be chosen of mtty. */
export interface MttyInit {
  /** The migration of 6.7. @default as the kernel has it */
  readonly migration?: boolean | undefined;
}

/**
 * mtty: a parent whose devices are PCI serial cards with one or two 16550 ports. Kernel: samples/vfio-mdev/mtty.c, as 6.1 has it; with
 * the migration that it got in 6.7.
 *
 * Its two types share 24 ports. An offset within a BAR, and of a write to configuration space, counts modulo 64 K: the sample's helpers
 * take 16 bits of it. Where the sample shows kernel memory by a bug (behind its configuration space; in a BAR that was written in part) the
 * model gives zeros, and an event.
 */
export class Mtty extends MdevParent {
  readonly #vfio: Vfio;
  readonly #canMigrate: boolean;
  #free = PORTS;

  /** A parent that is not registered yet. */
  constructor(bus: MdevBus, vfio: Vfio, init: MttyInit = {}) {
    super(bus, 'mtty', [
      { name: '1', pretty: 'Single port serial' },
      { name: '2', pretty: 'Dual port serial' },
    ]);
    this.#vfio = vfio;
    this.#canMigrate = init.migration ?? bus.host.profile.mttyMigrates;
  }

  /** How many devices of a type the ports that are left suffice for. */
  override available(type: MdevType): number {
    return Math.floor(this.#free / portsOf(type));
  }

  /**
   * Makes a card with the ports of its type. 5.13 does not look at what is left.
   *
   * @returns the device, or -ENOSPC when fewer ports are left
   */
  override createDevice(mdev: MdevDevice): MttyDevice | number {
    const ports = portsOf(mdev.type);
    if (this.bus.host.profile.mdevParentDrivers && ports > this.#free) return -ENOSPC;
    this.#free -= ports;
    return new MttyDevice(this.#vfio, mdev, ports, this.#canMigrate);
  }

  /** Takes the ports back. */
  override releaseDevice(mdev: MdevDevice): void {
    this.#free += portsOf(mdev.type);
  }

  /** The attribute `vendor/sample_mdev_dev`, which names the device. */
  override deviceAttributes(mdev: MdevDevice): readonly (readonly [string, () => string])[] {
    return [['sample_mdev_dev', () => `This is MDEV ${mdev.name}\n`]];
  }
}

function portsOf(type: MdevType): number {
  return Number(type.init.name);
}
