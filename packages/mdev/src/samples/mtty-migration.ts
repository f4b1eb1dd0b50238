/**
 * The migration of mtty since 6.7: every state of version 2. Its stream is a header, which is all that PRE_COPY sends, and the state of each
 * port. The log of DMA that it offers is always empty, as it does no DMA. Kernel: samples/vfio-mdev/mtty.c, mtty_step_state(), mtty_log_ops.
 */
import {
  EINVAL,
  MIG_STATE,
  MigrationDriver,
  PreCopyFile,
  ResumeFile,
  SaveFile,
  VFIO_MIGRATION_P2P,
  VFIO_MIGRATION_PRE_COPY,
  VFIO_MIGRATION_STOP_COPY,
  type DmaLogger,
  type File,
  type MigState,
  type MigrationArcs,
  type Sleeps,
} from '@vsim/vfio-core';

const { RUNNING, STOP, STOP_COPY, RESUMING, RUNNING_P2P, PRE_COPY, PRE_COPY_P2P } = MIG_STATE;

/** What is saved and loaded. */
export interface MttyState {
  /** Bytes of header and ports. */
  readonly size: number;
  header(): Uint8Array;
  ports(): Uint8Array;
  /** Takes header and ports whole, or refuses them with nothing changed. */
  load(bytes: Uint8Array): boolean;
  /** A data file asks where the state machine stands. */
  enter(): void;
}

class MttyArcs implements MigrationArcs {
  readonly #state: MttyState;
  readonly #driver: () => MigrationDriver;
  #early: PreCopyFile | undefined;
  #saving: SaveFile | undefined;
  #resuming: ResumeFile | undefined;

  constructor(state: MttyState, driver: () => MigrationDriver) {
    this.#state = state;
    this.#driver = driver;
  }

  *arc(from: MigState, to: MigState): Sleeps<File | number> {
    if ((from === RUNNING && to === PRE_COPY) || (from === RUNNING_P2P && to === PRE_COPY_P2P)) return (this.#early = new PreCopyFile(this.#driver, this.#state.header()));
    if (from === PRE_COPY_P2P && to === STOP_COPY) this.#early?.finish(this.#state.ports());
    else if (from === STOP && to === STOP_COPY) return (this.#saving = new SaveFile(concat(this.#state.header(), this.#state.ports())));
    else if (from === STOP && to === RESUMING) return (this.#resuming = new ResumeFile(this.#state.size));
    else if (from === RESUMING && to === STOP) return this.#finishResume();
    else if (to !== PRE_COPY && to !== PRE_COPY_P2P) this.end();
    return 0;
  }

  stopCopyLength(): number {
    return this.#state.size;
  }

  /** The streams that there are belong to no state any more. */
  end(): void {
    this.#early?.disable();
    this.#saving?.disable();
    this.#resuming?.disable();
    this.#early = undefined;
    this.#saving = undefined;
    this.#resuming = undefined;
  }

  #finishResume(): number {
    const bytes = this.#resuming?.bytes ?? new Uint8Array(0);
    this.end();
    return this.#state.load(bytes) ? 0 : -EINVAL;
  }
}

export class MttyMigration extends MigrationDriver {
  readonly #arcs: MttyArcs;

  constructor(state: MttyState) {
    const arcs = new MttyArcs(state, () => {
      state.enter();
      return this;
    });
    super(VFIO_MIGRATION_STOP_COPY | VFIO_MIGRATION_P2P | VFIO_MIGRATION_PRE_COPY, arcs);
    this.#arcs = arcs;
  }

  /** Ends the open streams, too. */
  override reset(): void {
    this.#arcs.end();
    super.reset();
  }
}

/** A log that takes any ranges and any page size, and in which nothing is ever dirty. */
export const EMPTY_LOG: DmaLogger = {
  start: (_ranges, pageSize) => pageSize,
  stop: () => 0,
  readAndClear: () => 0,
};

function concat(a: Uint8Array, b: Uint8Array): Uint8Array {
  const out = new Uint8Array(a.length + b.length);
  out.set(a);
  out.set(b, a.length);
  return out;
}
