import { EINVAL } from '../uapi/errno.ts';
import {
  VFIO_DEVICE_STATE_V1_RESUMING,
  VFIO_DEVICE_STATE_V1_RUNNING,
  VFIO_DEVICE_STATE_V1_SAVING,
  vfio_device_migration_info,
} from '../uapi/vfio.ts';

/** Values of device_state, the bits VFIO_DEVICE_STATE_V1_* joined. */
export const V1_STATE: Readonly<Record<'STOP' | 'RUNNING' | 'SAVING' | 'PRE_COPY' | 'RESUMING' | 'ERROR', number>> = {
  STOP: 0,
  RUNNING: VFIO_DEVICE_STATE_V1_RUNNING,
  SAVING: VFIO_DEVICE_STATE_V1_SAVING,
  PRE_COPY: VFIO_DEVICE_STATE_V1_SAVING | VFIO_DEVICE_STATE_V1_RUNNING,
  RESUMING: VFIO_DEVICE_STATE_V1_RESUMING,
  ERROR: VFIO_DEVICE_STATE_V1_SAVING | VFIO_DEVICE_STATE_V1_RESUMING,
};

/** What the device does. */
export interface MigrationV1Device {
  /**
   * Goes from one state to another; when it returns the change is complete.
   *
   * @param from one of V1_STATE
   * @param to one of V1_STATE
   * @returns 0 or a negative errno
   */
  transition(from: number, to: number): number;
  /** Bytes that are still to be saved; may be a guess while the device runs. */
  pendingBytes(): number;
  /** The next part of the state, at most as long as the data section. */
  nextChunk(): Uint8Array;
  /** Takes a part of a saved state in, in the order in which it was saved. @returns 0 or a negative errno */
  load(chunk: Uint8Array): number;
}

/** What a migration region is like. */
export interface MigrationRegionV1Init {
  /** Size of the data section in bytes. @default 0x1_0000 */
  readonly dataSize?: number | undefined;
  /** Which changes of state are taken: those that the header names, or also those that QEMU makes. @default 'qemu' */
  readonly transitions?: 'documented' | 'qemu' | undefined;
}

const DOCUMENTED: readonly string[] = ['1>0', '1>2', '2>0', '1>3', '3>2', '1>4', '4>1'];
/** A migration that failed or was cancelled, a stopped VM that goes on, an incoming one. */
const QEMU: readonly string[] = ['3>1', '2>1', '0>1', '0>4'];

const DATA_OFFSET = 0x1000;
const STATE_MASK = 7;
const REGISTERS = vfio_device_migration_info;

/**
 * Migration, version 1: a region of the device with registers at its start and a data section behind them. uAPI of 5.8 to 5.17, struct
 * vfio_device_migration_info. A device that has one gives it as a region of type 3, subtype 1, and hands reads and writes to it.
 *
 * Not modelled: an mmap of the data section.
 */
export class MigrationRegionV1 {
  readonly #device: MigrationV1Device;
  readonly #data: Uint8Array;
  readonly #transitions: ReadonlySet<string>;
  #state: number = V1_STATE.RUNNING;
  /** Length of the chunk that lies in the data section; undefined before data_offset was read. */
  #chunk: number | undefined;

  /** Begins in RUNNING. */
  constructor(device: MigrationV1Device, init: MigrationRegionV1Init = {}) {
    this.#device = device;
    this.#data = new Uint8Array(init.dataSize ?? 0x1_0000);
    this.#transitions = new Set(init.transitions === 'documented' ? DOCUMENTED : [...DOCUMENTED, ...QEMU]);
  }

  /** Of the region, in bytes: the data section begins at 0x1000. */
  get size(): number {
    return DATA_OFFSET + this.#data.length;
  }

  /** device_state, one of V1_STATE. */
  get state(): number {
    return this.#state;
  }

  /** VFIO_DEVICE_RESET: RUNNING, also out of ERROR. */
  reset(): void {
    this.#state = V1_STATE.RUNNING;
    this.#chunk = undefined;
  }

  /** The device cannot go on: ERROR, until a reset. */
  fail(): void {
    this.#state = V1_STATE.ERROR;
  }

  /** pread() of the region at `offset`. Registers only whole and aligned. @returns the count of bytes or -EINVAL */
  read(into: Uint8Array, offset: number): number {
    if (offset >= DATA_OFFSET) return this.#section(offset, into.length, (at) => into.set(this.#data.subarray(at, at + into.length)));
    const value = this.#readRegister(offset, into.length);
    if (value === undefined) return -EINVAL;
    const view = new DataView(into.buffer, into.byteOffset, into.length);
    if (into.length === 4) view.setUint32(0, value, true);
    else view.setBigUint64(0, BigInt(value), true);
    return into.length;
  }

  /**
   * pwrite() of the region. Registers only whole and aligned.
   *
   * @param offset in bytes from the region's start
   * @returns the count of bytes; -EINVAL for a register or a change of state that is not taken, or what the device answers
   */
  write(from: Uint8Array, offset: number): number {
    if (offset >= DATA_OFFSET) return this.#section(offset, from.length, (at) => this.#data.set(from, at));
    const view = new DataView(from.buffer, from.byteOffset, from.length);
    const field = `${offset}/${from.length}`;
    let error = 0;
    if (field === `${REGISTERS.device_state[0]}/4`) error = this.#setState(view.getUint32(0, true) & STATE_MASK);
    else if (field === `${REGISTERS.data_size[0]}/8`) error = this.#load(Number(view.getBigUint64(0, true)));
    else if (field !== `${REGISTERS.reserved[0]}/4`) error = -EINVAL;
    return error < 0 ? error : from.length;
  }

  #readRegister(offset: number, length: number): number | undefined {
    switch (`${offset}/${length}`) {
      case `${REGISTERS.device_state[0]}/4`:
        return this.#state;
      case `${REGISTERS.reserved[0]}/4`:
        return 0;
      case `${REGISTERS.pending_bytes[0]}/8`:
        // A look at what is pending ends the turn with the chunk before.
        this.#chunk = undefined;
        return (this.#state & VFIO_DEVICE_STATE_V1_SAVING) !== 0 && this.#state !== V1_STATE.ERROR ? this.#device.pendingBytes() : 0;
      case `${REGISTERS.data_offset[0]}/8`:
        this.#offer();
        return DATA_OFFSET;
      case `${REGISTERS.data_size[0]}/8`:
        return this.#chunk ?? 0;
      default:
        return undefined;
    }
  }

  /** Saving: the next chunk is put into the data section, once for each turn. */
  #offer(): void {
    if ((this.#state & VFIO_DEVICE_STATE_V1_SAVING) === 0 || this.#state === V1_STATE.ERROR || this.#chunk !== undefined) return;
    const chunk = this.#device.nextChunk().subarray(0, this.#data.length);
    this.#data.set(chunk);
    this.#chunk = chunk.length;
  }

  /** Resuming: `size` bytes of the data section are part of the state. */
  #load(size: number): number {
    if (this.#state !== V1_STATE.RESUMING || size > this.#data.length) return -EINVAL;
    return this.#device.load(this.#data.slice(0, size));
  }

  #setState(to: number): number {
    if (to === this.#state && this.#state !== V1_STATE.ERROR) return 0;
    if (!this.#transitions.has(`${this.#state}>${to}`)) return -EINVAL;
    const error = this.#device.transition(this.#state, to);
    if (error < 0) return error;
    this.#state = to;
    this.#chunk = undefined;
    return 0;
  }

  #section(offset: number, length: number, move: (at: number) => void): number {
    const at = offset - DATA_OFFSET;
    if (at + length > this.#data.length) return -EINVAL;
    move(at);
    return length;
  }
}
