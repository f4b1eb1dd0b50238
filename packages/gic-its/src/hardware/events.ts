/** The events of the GIC hardware on the host's trace. Ids are API. */
import { eventKind, hex, type EventKind } from '@vsim/vfio-core';

/** One command taken from a queue, as its four doublewords. */
export interface CommandEvent {
  readonly its: number;
  readonly name: string;
  readonly words: readonly bigint[];
}

export interface CommandProblemEvent {
  readonly its: number;
  readonly name: string;
  readonly why: string;
}

export interface MsiDroppedEvent {
  readonly its: number;
  readonly device: number;
  readonly event: number;
  readonly why: string;
}

export interface LpiDroppedEvent {
  readonly cpu: number;
  readonly intid: number;
  readonly why: string;
}

export interface VlpiEvent {
  readonly vpe: number;
  readonly vintid: number;
}

export interface AccessEvent {
  readonly frame: string;
  readonly offset: number;
}

export interface UnpredictableEvent {
  readonly what: string;
}

export const COMMAND: EventKind<CommandEvent> = eventKind(
  'gic/command',
  'info',
  ({ its, name, words }) => `its ${its}: ${name} ${words.map((word) => hex(word, 16)).join(' ')}`,
);

export const COMMAND_IGNORED: EventKind<CommandProblemEvent> = eventKind(
  'gic/command-ignored',
  'fault',
  ({ its, name, why }) => `its ${its}: ${name} ignored: ${why}`,
);

export const COMMAND_STALLED: EventKind<CommandProblemEvent> = eventKind(
  'gic/command-stalled',
  'fault',
  ({ its, name, why }) => `its ${its}: ${name} stalled: ${why}`,
);

export const MSI_DROPPED: EventKind<MsiDroppedEvent> = eventKind(
  'gic/msi-dropped',
  'fault',
  ({ its, device, event, why }) => `its ${its}: msi of device ${hex(device)} event ${event} dropped: ${why}`,
);

export const LPI_DROPPED: EventKind<LpiDroppedEvent> = eventKind(
  'gic/lpi-dropped',
  'fault',
  ({ cpu, intid, why }) => `cpu ${cpu}: lpi ${intid} dropped: ${why}`,
);

export const VLPI_PENDING: EventKind<VlpiEvent> = eventKind(
  'gic/vlpi-pending',
  'info',
  ({ vpe, vintid }) => `vpe ${vpe}: vlpi ${vintid} became pending`,
);

export const ACCESS_IGNORED: EventKind<AccessEvent> = eventKind(
  'gic/access-ignored',
  'fault',
  ({ frame, offset }) => `${frame}: access at ${hex(offset, 4)} ignored`,
);

export const UNPREDICTABLE: EventKind<UnpredictableEvent> = eventKind(
  'gic/unpredictable',
  'warn',
  ({ what }) => `unpredictable use: ${what}`,
);
