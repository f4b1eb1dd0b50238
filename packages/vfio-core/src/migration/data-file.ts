/** The data fds of a migrating device: a stream out of STOP_COPY, a stream into RESUMING. */
import type { Sleeps } from '../host/scheduler.ts';
import { File, STREAM } from '../process/file.ts';
import { ENODEV, ENOMEM, ESPIPE } from '../uapi/errno.ts';

/** Gives the bytes of a saved state, then 0: the end. After disable() it answers -ENODEV. */
export class SaveFile extends File {
  override readonly label: string = 'anon_inode:[vfio-mig-save]';
  readonly #bytes: Uint8Array;
  #at = 0;
  #enabled = true;

  constructor(bytes: Uint8Array) {
    super();
    this.#bytes = bytes;
  }

  override read(into: Uint8Array, offset: number): number {
    if (offset !== STREAM) return -ESPIPE;
    if (!this.#enabled) return -ENODEV;
    const part = this.#bytes.subarray(this.#at, this.#at + into.length);
    into.set(part);
    this.#at += part.length;
    return part.length;
  }

  /** The device left the state that the stream belongs to. */
  disable(): void {
    this.#enabled = false;
  }

  protected override *release(): Sleeps<void> {
    this.#enabled = false;
  }
}

/** Collects what is written, up to a limit. */
export class ResumeFile extends File {
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

  override write(from: Uint8Array, offset: number): number {
    if (offset !== STREAM) return -ESPIPE;
    if (!this.#enabled) return -ENODEV;
    if (this.#length + from.length > this.#buffer.length) return -ENOMEM;
    this.#buffer.set(from, this.#length);
    this.#length += from.length;
    return from.length;
  }

  disable(): void {
    this.#enabled = false;
  }

  protected override *release(): Sleeps<void> {
    this.#enabled = false;
  }
}
