import { InvariantError } from '../host/errors.ts';
import type { Sleeps } from '../host/scheduler.ts';
import type { File } from '../process/file.ts';
import { EINVAL } from '../uapi/errno.ts';
import { VFIO_MIGRATION_P2P, VFIO_MIGRATION_PRE_COPY } from '../uapi/vfio.ts';

/** enum vfio_device_mig_state, by short names: the values of VFIO_DEVICE_STATE_*. */
export const MIG_STATE = {
  ERROR: 0,
  STOP: 1,
  RUNNING: 2,
  STOP_COPY: 3,
  RESUMING: 4,
  RUNNING_P2P: 5,
  PRE_COPY: 6,
  PRE_COPY_P2P: 7,
} as const;
/** One of MIG_STATE's values. */
export type MigState = (typeof MIG_STATE)[keyof typeof MIG_STATE];

const { ERROR, STOP, RUNNING, STOP_COPY, RESUMING, RUNNING_P2P, PRE_COPY, PRE_COPY_P2P } = MIG_STATE;

/** The first step from a state (row) towards a target (column), if the driver has every state. */
const NEXT: Readonly<Record<MigState, Readonly<Record<MigState, MigState>>>> = {
  [ERROR]: row(ERROR, ERROR, ERROR, ERROR, ERROR, ERROR, ERROR),
  [STOP]: row(STOP, RUNNING_P2P, STOP_COPY, RESUMING, RUNNING_P2P, RUNNING_P2P, RUNNING_P2P),
  [RUNNING]: row(RUNNING_P2P, RUNNING, RUNNING_P2P, RUNNING_P2P, RUNNING_P2P, PRE_COPY, RUNNING_P2P),
  [STOP_COPY]: row(STOP, STOP, STOP_COPY, STOP, STOP, ERROR, ERROR),
  [RESUMING]: row(STOP, STOP, STOP, RESUMING, STOP, STOP, STOP),
  [RUNNING_P2P]: row(STOP, RUNNING, STOP, STOP, RUNNING_P2P, RUNNING, PRE_COPY_P2P),
  [PRE_COPY]: row(RUNNING, RUNNING, PRE_COPY_P2P, RUNNING, RUNNING, PRE_COPY, PRE_COPY_P2P),
  [PRE_COPY_P2P]: row(RUNNING_P2P, RUNNING_P2P, STOP_COPY, RUNNING_P2P, RUNNING_P2P, PRE_COPY, PRE_COPY_P2P),
};

/** A row of the table, targets in the order STOP, RUNNING, STOP_COPY, RESUMING, RUNNING_P2P, PRE_COPY, PRE_COPY_P2P. */
function row(...next: readonly [MigState, MigState, MigState, MigState, MigState, MigState, MigState]): Readonly<Record<MigState, MigState>> {
  const [stop, running, stopCopy, resuming, runningP2p, preCopy, preCopyP2p] = next;
  return {
    [ERROR]: ERROR,
    [STOP]: stop,
    [RUNNING]: running,
    [STOP_COPY]: stopCopy,
    [RESUMING]: resuming,
    [RUNNING_P2P]: runningP2p,
    [PRE_COPY]: preCopy,
    [PRE_COPY_P2P]: preCopyP2p,
  };
}

/** The state with this number; undefined if there is none. @param value any number */
export function migStateOf(value: number): MigState | undefined {
  return Object.values(MIG_STATE).find((state) => state === value);
}

/** What is left to read while the device runs on. */
export interface PrecopyInfo {
  /** Bytes that the destination needs at once. */
  readonly initialBytes: number;
  /** Bytes that have changed since. */
  readonly dirtyBytes: number;
}

/** Does what a driver must do on each arc. */
export interface MigrationArcs {
  /**
   * One arc. Only those that begin a data stream give one: into PRE_COPY (from RUNNING and RUNNING_P2P), STOP_COPY (from STOP) and
   * RESUMING. PRE_COPY_P2P to STOP_COPY goes on with the stream that there is.
   *
   * @returns 0, the stream, or a negative errno, the state staying as it was, or ERROR after fail().
   */
  arc(from: MigState, to: MigState): Sleeps<File | number>;
  /** VFIO_DEVICE_FEATURE_MIG_DATA_SIZE: about how many bytes STOP_COPY would give now. @default 0 */
  stopCopyLength?(): number;
}

/** Every state that this model knows. */
const ALL_FLAGS = 7;
const STATES = Object.keys(MIG_STATE).length;

/**
 * The migration state machine of a VFIO device, version 2 of the uAPI. Kernel: vfio_mig_get_next_state(),
 * vfio_ioctl_device_feature_mig_device_state().
 *
 * A driver implements single arcs; the machine walks from arc to arc, leaving out the states that the driver lacks. A VfioDevice gives it
 * as `migration`.
 */
export class MigrationDriver {
  /** VFIO_MIGRATION_STOP_COPY, P2P, PRE_COPY. */
  readonly flags: number;
  readonly #arcs: MigrationArcs;
  /** Feature MIG_PRECOPY_INFOv2 was set: the flags of PRECOPY_INFO are output. The last close forgets it (7.3). */
  preCopyInfo2 = false;
  #state: MigState = RUNNING;

  /** Begins in RUNNING. @param flags VFIO_MIGRATION_STOP_COPY, with P2P and PRE_COPY where the driver has those */
  constructor(flags: number, arcs: MigrationArcs) {
    this.flags = flags;
    this.#arcs = arcs;
  }

  /** Where the device stands. */
  get state(): MigState {
    return this.#state;
  }

  /** About how many bytes STOP_COPY would give now. */
  get stopCopyLength(): number {
    return this.#arcs.stopCopyLength?.() ?? 0;
  }

  /** Whether the driver has this state. ERROR is nobody's: it cannot be asked for, nor passed through. `known`: flags the kernel knows. */
  supports(state: MigState, known: number = ALL_FLAGS): boolean {
    const flags = this.flags & known;
    const p2p = state === RUNNING_P2P || state === PRE_COPY_P2P;
    const preCopy = state === PRE_COPY || state === PRE_COPY_P2P;
    return state !== ERROR && (!p2p || (flags & VFIO_MIGRATION_P2P) !== 0) && (!preCopy || (flags & VFIO_MIGRATION_PRE_COPY) !== 0);
  }

  /**
   * The next state on the way from the present one to `target`; undefined where there is no way.
   *
   * @param known VFIO_MIGRATION_* that the kernel knows; all by default
   * @throws InvariantError never, unless the table has a circle
   */
  next(target: MigState, known: number = ALL_FLAGS): MigState | undefined {
    if (!this.supports(target, known)) return undefined;
    let state = this.#state;
    for (let skipped = 0; skipped < STATES; skipped += 1) {
      state = NEXT[state][target];
      if (state === ERROR) return undefined;
      if (this.supports(state, known)) return state;
    }
    throw new InvariantError(`no end on the way to migration state ${target}`);
  }

  /**
   * Walks to `target`.
   *
   * @param known VFIO_MIGRATION_* that the kernel knows; all by default
   * @returns a data stream if the last arc began one, 0, or a negative errno where it stopped; -EINVAL where there is no way
   */
  *setState(target: MigState, known: number = ALL_FLAGS): Sleeps<File | number> {
    let stream: File | number = 0;
    while (this.#state !== target) {
      const to = this.next(target, known);
      if (to === undefined) return -EINVAL;
      stream = yield* this.#arcs.arc(this.#state, to);
      if (typeof stream === 'number' && stream < 0) return stream;
      this.#state = to;
    }
    return stream;
  }

  /** The device is in a state that nobody knows: ERROR, until a reset. For a driver whose arc failed half way. */
  fail(): void {
    this.#state = ERROR;
  }

  /** A reset of the device: RUNNING from any state. The driver ends its open streams itself. */
  reset(): void {
    this.#state = RUNNING;
  }
}
