/** The data fds of a migrating device: streams out of PRE_COPY and STOP_COPY, a stream into RESUMING. */
import type { Sleeps } from '../host/scheduler.ts';
import { File, STREAM } from '../process/file.ts';
import type { Process } from '../process/process.ts';
import type { UserArgument } from '../process/user-argument.ts';
import { get, set } from '../uapi/struct.ts';
import { VFIO_MIG_GET_PRECOPY_INFO, VFIO_PRECOPY_INFO_REINIT, vfio_precopy_info } from '../uapi/vfio.ts';
import { PRECOPY_STATE, STREAM_EMPTY, STREAM_FULL, STREAM_OFFSET, STREAM_OVER } from '../vfio/feature-reasons.ts';
import { MIG_STATE, type MigrationDriver, type PrecopyInfo } from './migration-driver.ts';

/** The data fd of STOP_COPY: gives the bytes of a saved state, then 0: the end. After disable() it answers -ENODEV. */
export class SaveFile extends File {
  /** What /proc/PID/fd shows. */
  override readonly label: string = 'anon_inode:[vfio-mig-save]';
  readonly #bytes: Uint8Array;
  #at = 0;
  #enabled = true;

  /** @param bytes the whole state */
  constructor(bytes: Uint8Array) {
    super();
    this.#bytes = bytes;
  }

  /**
   * Takes the next bytes of the state.
   *
   * @param offset STREAM; pread() at any other is -ESPIPE
   * @returns the count of bytes, 0 at the end, -ENODEV after disable()
   */
  override read(into: Uint8Array, offset: number): number {
    if (offset !== STREAM) return this.refuse(STREAM_OFFSET, { stream: this.label });
    if (!this.#enabled) return this.refuse(STREAM_OVER, { stream: this.label });
    const part = this.#bytes.subarray(this.#at, this.#at + into.length);
    into.set(part);
    this.#at += part.length;
    return part.length;
  }

  /** The device left the state that the stream belongs to. */
  disable(): void {
    this.#enabled = false;
  }

  /** The last fd of it is closed. */
  protected override *release(): Sleeps<void> {
    this.#enabled = false;
  }
}

/**
 * The data fd of PRE_COPY: a stream that begins while the device runs. First what the destination needs at once, then what changes, then,
 * from STOP_COPY on, the rest and the end. Where nothing is left for now a read is -ENOMSG.
 */
export class PreCopyFile extends File {
  /** What /proc/PID/fd shows. */
  override readonly label: string = 'anon_inode:[vfio-mig-precopy]';
  readonly #driver: () => MigrationDriver;
  #bytes: Uint8Array;
  /** Of #bytes: what is left of the first part. */
  #initial: number;
  /** New initial data that PRECOPY_INFO has not told of yet. */
  #reinit = false;
  #finished = false;
  #enabled = true;

  /** `driver`: gives the device's state machine, and enters the device (VfioDevice.handler()): all else is the stream's own. */
  constructor(driver: () => MigrationDriver, initial: Uint8Array) {
    super();
    this.#driver = driver;
    this.#bytes = initial;
    this.#initial = initial.length;
  }

  /** How many bytes a reader would find now, first part and changes apart. */
  get info(): PrecopyInfo {
    return { initialBytes: this.#initial, dirtyBytes: this.#bytes.length - this.#initial };
  }

  /** More for the reader, behind what is there: a change of the device. */
  append(bytes: Uint8Array): void {
    const grown = new Uint8Array(this.#bytes.length + bytes.length);
    grown.set(this.#bytes);
    grown.set(bytes, this.#bytes.length);
    this.#bytes = grown;
  }

  /**
   * The device needs new initial data, as it was configured anew. For who asked for MIG_PRECOPY_INFOv2 all that is left to read is
   * initial from now on, and the next PRECOPY_INFO says REINIT; for others it is one more change.
   */
  restart(bytes: Uint8Array): void {
    this.append(bytes);
    if (!this.#driver().preCopyInfo2) return;
    this.#initial = this.#bytes.length;
    this.#reinit = true;
  }

  /** The device has stopped: with `rest` the stream ends. */
  finish(rest: Uint8Array): void {
    this.append(rest);
    this.#finished = true;
  }

  /**
   * Takes bytes off the front of what there is.
   *
   * @param offset STREAM; pread() at any other is -ESPIPE
   * @returns the count of bytes; 0 at the end, -ENOMSG for nothing now, -ENODEV after disable()
   */
  override read(into: Uint8Array, offset: number): number {
    if (offset !== STREAM) return this.refuse(STREAM_OFFSET, { stream: this.label });
    if (!this.#enabled) return this.refuse(STREAM_OVER, { stream: this.label });
    if (this.#bytes.length === 0) return this.#finished ? 0 : this.refuse(STREAM_EMPTY, { stream: this.label });
    const part = this.#bytes.subarray(0, into.length);
    into.set(part);
    this.#bytes = this.#bytes.subarray(part.length);
    this.#initial = Math.max(0, this.#initial - part.length);
    return part.length;
  }

  /**
   * VFIO_MIG_GET_PRECOPY_INFO. Without MIG_PRECOPY_INFOv2 the flags stay as the user had them. Kernel: vfio_check_precopy_ioctl(),
   * mtty_precopy_ioctl().
   *
   * @param request VFIO_MIG_GET_PRECOPY_INFO; another is -ENOTTY
   * @returns 0; -EFAULT, -EINVAL for a short argsz or outside of PRE_COPY and PRE_COPY_P2P, -ENODEV after disable()
   */
  override ioctl(_process: Process, request: number, argument: UserArgument): number {
    if (request !== VFIO_MIG_GET_PRECOPY_INFO) return argument.unknown();
    const bytes = argument.copyIn(vfio_precopy_info.size);
    if (bytes === undefined) return argument.fault();
    const argsz = get(bytes, vfio_precopy_info.argsz);
    if (argsz < vfio_precopy_info.size) return argument.tooShort(argsz, vfio_precopy_info.size);
    // The device comes first, whose state says whether there is such a stream; then whether it is this one.
    const { state, preCopyInfo2 } = this.#driver();
    if (state !== MIG_STATE.PRE_COPY && state !== MIG_STATE.PRE_COPY_P2P) return this.refuse(PRECOPY_STATE, { state });
    if (!this.#enabled) return this.refuse(STREAM_OVER, { stream: this.label });
    if (preCopyInfo2) set(bytes, vfio_precopy_info.flags, this.#reinit ? VFIO_PRECOPY_INFO_REINIT : 0);
    this.#reinit = false;
    set(bytes, vfio_precopy_info.initial_bytes, this.info.initialBytes);
    set(bytes, vfio_precopy_info.dirty_bytes, this.info.dirtyBytes);
    return argument.copyOut(bytes) ? 0 : argument.fault();
  }

  /** The device went on to a state without stream: the next read is -ENODEV. */
  disable(): void {
    this.#enabled = false;
  }

  /** The last fd of it is closed. */
  protected override *release(): Sleeps<void> {
    this.#enabled = false;
  }
}

/** The data fd of RESUMING: collects what is written, up to a limit. After disable() it answers -ENODEV. */
export class ResumeFile extends File {
  /** What /proc/PID/fd shows. */
  override readonly label: string = 'anon_inode:[vfio-mig-resume]';
  readonly #buffer: Uint8Array;
  #length = 0;
  #enabled = true;

  /** `limit`: the most bytes a saved state of this device can have. */
  constructor(limit: number) {
    super();
    this.#buffer = new Uint8Array(limit);
  }

  /** What has been written so far. */
  get bytes(): Uint8Array {
    return this.#buffer.subarray(0, this.#length);
  }

  /**
   * Adds bytes to the state.
   *
   * @param offset STREAM; pwrite() at any other is -ESPIPE
   * @returns the count of bytes; -ENOMEM beyond the limit, -ENODEV after disable()
   */
  override write(from: Uint8Array, offset: number): number {
    if (offset !== STREAM) return this.refuse(STREAM_OFFSET, { stream: this.label });
    if (!this.#enabled) return this.refuse(STREAM_OVER, { stream: this.label });
    if (this.#length + from.length > this.#buffer.length) return this.refuse(STREAM_FULL, { limit: this.#buffer.length });
    this.#buffer.set(from, this.#length);
    this.#length += from.length;
    return from.length;
  }

  /** The device went on to another state: the next write is -ENODEV. */
  disable(): void {
    this.#enabled = false;
  }

  /** The last fd of it is closed. */
  protected override *release(): Sleeps<void> {
    this.#enabled = false;
  }
}
