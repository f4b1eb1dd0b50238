/** The events of the host's GIC driver on the trace. Ids are API. */
import { eventKind, hex, type EventKind } from '@vsim/vfio-core';

export interface QueueEvent {
  readonly its: number;
}

export interface SpuriousEvent {
  readonly cpu: number;
  readonly intid: number;
}

export interface VptFlushEvent {
  readonly vpe: number;
  readonly address: number;
}

export interface DoorbellEvent {
  readonly vpe: number;
}

/** The queue does not move: the kernel gives up after a second. */
export const QUEUE_STUCK: EventKind<QueueEvent> = eventKind('gic-host/queue-stuck', 'warn', ({ its }) => `its ${its}: command queue does not move`);

/** The host took an interrupt that nobody asked for. */
export const UNEXPECTED_INTERRUPT: EventKind<SpuriousEvent> = eventKind(
  'gic-host/unexpected-interrupt',
  'warn',
  ({ cpu, intid }) => `cpu ${cpu}: interrupt ${intid} has no handler`,
);

/** handle_fasteoi_irq() drops an interrupt that is in progress on another CPU: a vCPU whose doorbell it was sleeps on. */
export const INTERRUPT_LOST: EventKind<SpuriousEvent> = eventKind(
  'gic-host/interrupt-lost',
  'bug',
  ({ cpu, intid }) => `cpu ${cpu}: interrupt ${intid} came while its handler ran on another cpu, and is lost`,
);

export const VPT_FLUSHED: EventKind<VptFlushEvent> = eventKind(
  'gic-host/vpt-flushed',
  'info',
  ({ vpe, address }) => `vpe ${vpe}: cpu caches cleaned and invalidated for the vpt at ${hex(address)}`,
);

export const DOORBELL: EventKind<DoorbellEvent> = eventKind('gic-host/doorbell', 'info', ({ vpe }) => `vpe ${vpe}: doorbell`);

/** A VPT is read while the GIC may hold bits of it: the answer may be old. */
export const VPT_READ_MAPPED: EventKind<DoorbellEvent> = eventKind('gic-host/vpt-read-mapped', 'warn', ({ vpe }) => `vpe ${vpe}: vpt read while the vpe is mapped`);

export interface VlpiLeftEvent {
  readonly device: number;
  readonly event: number;
  readonly vintid: number;
}

/**
 * A VM's vPEs and tables are freed while an interrupt is forwarded to one. The kernel leaves it mapped, to the next VM that gets the vPEID
 * and to freed memory; the model takes it back.
 */
export const VLPI_LEFT: EventKind<VlpiLeftEvent> = eventKind(
  'gic-host/vlpi-left',
  'bug',
  ({ device, event, vintid }) => `vpe freed: event ${event} of device ${hex(device)} is forwarded to its vlpi ${vintid}`,
);

export interface StuckEvent {
  readonly cpu: number;
  readonly what: string;
}

/** A status bit does not clear: the kernel gives up after its timeout. */
export const REGISTER_STUCK: EventKind<StuckEvent> = eventKind('gic-host/register-stuck', 'warn', ({ cpu, what }) => `cpu ${cpu}: ${what} does not clear`);
