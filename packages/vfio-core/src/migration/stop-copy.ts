import type { Sleeps } from '../host/scheduler.ts';
import type { File } from '../process/file.ts';
import { EINVAL } from '../uapi/errno.ts';
import { VFIO_MIGRATION_STOP_COPY } from '../uapi/vfio.ts';
import { ResumeFile, SaveFile } from './data-file.ts';
import { MIG_STATE, MigrationDriver, type MigState, type MigrationArcs } from './migration-driver.ts';

const { RUNNING, STOP, STOP_COPY, RESUMING } = MIG_STATE;

/** A device whose whole state is one record. */
export interface RecordedState {
  /** The most bytes that a state has. */
  readonly stateLimit: number;
  /** No DMA and no interrupt until start(). */
  stop(): void;
  /** It works again. */
  start(): void;
  /** Its state, as load() takes it. */
  save(): Uint8Array;
  /** Takes a state whole, or refuses it with nothing changed. */
  load(bytes: Uint8Array): boolean;
  /** Asked before each arc: 0, or the negative errno with which the device's firmware answers, its state staying as it was. @default 0 */
  refusal?(from: MigState, to: MigState): number;
}

class StopCopyArcs implements MigrationArcs {
  readonly #device: RecordedState;
  #saving: SaveFile | undefined;
  #resuming: ResumeFile | undefined;

  constructor(device: RecordedState) {
    this.#device = device;
  }

  *arc(from: MigState, to: MigState): Sleeps<File | number> {
    const refused = this.#device.refusal?.(from, to) ?? 0;
    if (refused < 0) return refused;
    if (from === RUNNING && to === STOP) this.#device.stop();
    else if (from === STOP && to === RUNNING) this.#device.start();
    else if (from === STOP && to === STOP_COPY) return (this.#saving = new SaveFile(this.#device.save()));
    else if (from === STOP && to === RESUMING) return (this.#resuming = new ResumeFile(this.#device.stateLimit));
    else if (from === STOP_COPY && to === STOP) this.end();
    else if (from === RESUMING && to === STOP) return this.#finishResume();
    else return -EINVAL;
    return 0;
  }

  stopCopyLength(): number {
    return this.#device.stateLimit;
  }

  /** The stream that there is belongs to no state any more. */
  end(): void {
    this.#saving?.disable();
    this.#resuming?.disable();
    this.#saving = undefined;
    this.#resuming = undefined;
  }

  #finishResume(): number {
    const bytes = this.#resuming?.bytes ?? new Uint8Array(0);
    this.end();
    return this.#device.load(bytes) ? 0 : -EINVAL;
  }
}

/** Migration of a device whose whole state is one record: what most drivers of the version 2 protocol are, without PRE_COPY and P2P. */
export class StopCopyMigration extends MigrationDriver {
  readonly #arcs: StopCopyArcs;

  /** @param device what is stopped, saved, loaded and started */
  constructor(device: RecordedState) {
    const arcs = new StopCopyArcs(device);
    super(VFIO_MIGRATION_STOP_COPY, arcs);
    this.#arcs = arcs;
  }

  /** A reset of the device: RUNNING from any state. Ends the open stream, too. */
  override reset(): void {
    this.#arcs.end();
    super.reset();
  }
}
