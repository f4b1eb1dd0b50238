import type { McObject } from './mc-object.ts';
import type { McPortal } from './mc-portal.ts';

/** A command as it was submitted. */
export interface McSubmission {
  /** Where it came through, and so whose it is. */
  readonly portal: McPortal;
  /** The upper 12 bits of cmd_id. */
  readonly command: number;
  /** The lowest 4 bits of cmd_id. */
  readonly version: number;
  /** What its token stands for; undefined if nothing. */
  readonly object: McObject | undefined;
  /** All 64 bytes. */
  readonly bytes: Uint8Array;
}

/** What the MC does wrong. */
export interface McFault {
  /** It does not answer, and does nothing. */
  readonly hangs?: boolean | undefined;
  /** It does and answers what it would, so many ns later. */
  readonly delay?: number | undefined;
  /** It does nothing, and answers with this status: MC_STATUS_*, 8 bits. */
  readonly status?: number | undefined;
  /** It answers as ever, but for these bytes of the 64. */
  readonly patch?: readonly (readonly [at: number, bytes: Uint8Array])[] | undefined;
}

/**
 * Who listens at the Management Complex, and may have it fail: a recorder, a tool that shows the conversation, a test. See
 * ManagementComplex.watch().
 */
export interface McWatcher {
  /** Before a command is executed. The first watcher that has a fault decides. */
  submitted?(submission: McSubmission): McFault | undefined;
  /** Afterwards: the 64 bytes of the answer; undefined, there is none yet. One that comes late is told when somebody looks for it. */
  answered?(submission: McSubmission, answer: Uint8Array | undefined): void;
}
