/** The events of the GIC hardware on the host's trace. Ids are API. */
import { eventKind, hex, type EventKind } from '@vsim/vfio-core';

/** One command taken from a queue, as its four doublewords. */
export interface CommandEvent {
  /** The ITS, in the order of Gic.its. */
  readonly its: number;
  /** The command's name, as commandName() gives it. */
  readonly name: string;
  /** The four doublewords, the first one with the opcode first. */
  readonly words: readonly bigint[];
}

/** A command that was not executed. */
export interface CommandProblemEvent {
  /** The ITS, in the order of Gic.its. */
  readonly its: number;
  /** The command's name, as commandName() gives it. */
  readonly name: string;
  /** Which field or table entry does not do, in English. */
  readonly why: string;
}

/** A message that reached an ITS and became no interrupt. */
export interface MsiDroppedEvent {
  /** The ITS, in the order of Gic.its. */
  readonly its: number;
  /** DeviceID, 32 bits: the requester id of the store. */
  readonly device: number;
  /** EventID, 32 bits: the data of the store. */
  readonly event: number;
  /** What the translation did not find, in English. */
  readonly why: string;
}

/** An LPI that reached a redistributor which cannot hold it. */
export interface LpiDroppedEvent {
  /** The PE of the redistributor. */
  readonly cpu: number;
  /** The LPI, 8192 or more. */
  readonly intid: number;
  /** 'EnableLPIs is 0' or 'beyond PROPBASER.IDbits'. */
  readonly why: string;
}

/** An interrupt at a PE. */
export interface InterruptEvent {
  /** The PE. */
  readonly cpu: number;
  /** The INTID. */
  readonly intid: number;
}

/** A VLPI of a vPE. */
export interface VlpiEvent {
  /** vPEID, 16 bits. */
  readonly vpe: number;
  /** The virtual INTID, 8192 or more. */
  readonly vintid: number;
}

/** An access to a frame where no register answers. */
export interface AccessEvent {
  /** 'distributor', 'redistributor N' or 'its N'. */
  readonly frame: string;
  /** Bytes from the frame's start. */
  readonly offset: number;
}

/** A use that Arm IHI 0069 calls UNPREDICTABLE. */
export interface UnpredictableEvent {
  /** What software did, in English. */
  readonly what: string;
}

/** `gic/command`: an ITS took a command from its queue. The words are as they were in memory. */
export const COMMAND: EventKind<CommandEvent> = eventKind(
  'gic/command',
  'info',
  ({ its, name, words }) => `its ${its}: ${name} ${words.map((word) => hex(word, 16)).join(' ')}`,
);

/** `gic/command-ignored`: a command could not be executed, and GITS_CREADR moved on (choice `commandErrors: 'skip'`). */
export const COMMAND_IGNORED: EventKind<CommandProblemEvent> = eventKind(
  'gic/command-ignored',
  'fault',
  ({ its, name, why }) => `its ${its}: ${name} ignored: ${why}`,
);

/**
 * `gic/command-stalled`: a command could not be executed, and the queue waits at it: a table is outside memory, or the choice is
 * `commandErrors: 'stall'`.
 */
export const COMMAND_STALLED: EventKind<CommandProblemEvent> = eventKind(
  'gic/command-stalled',
  'fault',
  ({ its, name, why }) => `its ${its}: ${name} stalled: ${why}`,
);

/** `gic/msi-dropped`: a store to GITS_TRANSLATER led to no interrupt. */
export const MSI_DROPPED: EventKind<MsiDroppedEvent> = eventKind(
  'gic/msi-dropped',
  'fault',
  ({ its, device, event, why }) => `its ${its}: msi of device ${hex(device)} event ${event} dropped: ${why}`,
);

/** `gic/lpi-dropped`: a redistributor was given an LPI while GICR_CTLR.EnableLPIs was 0, or beyond its tables. */
export const LPI_DROPPED: EventKind<LpiDroppedEvent> = eventKind(
  'gic/lpi-dropped',
  'fault',
  ({ cpu, intid, why }) => `cpu ${cpu}: lpi ${intid} dropped: ${why}`,
);

/** `gic/lpi-pending`: the pending bit of a physical LPI went from 0 to 1. */
export const LPI_PENDING: EventKind<InterruptEvent> = eventKind('gic/lpi-pending', 'info', ({ cpu, intid }) => `cpu ${cpu}: lpi ${intid} became pending`);

/** `gic/lpi-set`: a store to GICR_SETLPIR: no device has written a message. */
export const LPI_SET: EventKind<InterruptEvent> = eventKind('gic/lpi-set', 'info', ({ cpu, intid }) => `cpu ${cpu}: lpi ${intid} set by GICR_SETLPIR`);

/** `gic/acknowledged`: a PE took an interrupt: a read of ICC_IAR0_EL1 or ICC_IAR1_EL1. */
export const ACKNOWLEDGED: EventKind<InterruptEvent> = eventKind('gic/acknowledged', 'info', ({ cpu, intid }) => `cpu ${cpu}: takes interrupt ${intid}`);

/** `gic/vlpi-acknowledged`: the guest on a PE took a VLPI or vSGI of the resident vPE: a read of ICV_IAR0_EL1 or ICV_IAR1_EL1. */
export const VLPI_ACKNOWLEDGED: EventKind<InterruptEvent> = eventKind(
  'gic/vlpi-acknowledged',
  'info',
  ({ cpu, intid }) => `cpu ${cpu}: its guest takes vlpi or vsgi ${intid}`,
);

/** `gic/vlpi-pending`: the pending bit of a VLPI went from 0 to 1. */
export const VLPI_PENDING: EventKind<VlpiEvent> = eventKind(
  'gic/vlpi-pending',
  'info',
  ({ vpe, vintid }) => `vpe ${vpe}: vlpi ${vintid} became pending`,
);

/** `gic/access-ignored`: a load read zero, or a store did nothing, because no register of that width is at the offset. */
export const ACCESS_IGNORED: EventKind<AccessEvent> = eventKind(
  'gic/access-ignored',
  'fault',
  ({ frame, offset }) => `${frame}: access at ${hex(offset, 4)} ignored`,
);

/**
 * `gic/unpredictable`: software relies on what the architecture leaves open. The preset `strict` reports every use, others those that they
 * notice anyway.
 */
export const UNPREDICTABLE: EventKind<UnpredictableEvent> = eventKind(
  'gic/unpredictable',
  'warn',
  ({ what }) => `unpredictable use: ${what}`,
);
