/** The events of the host's GIC driver on the trace. Ids are API. */
import { eventKind, hex, type EventKind } from '@vsim/vfio-core';

/** A command queue of the host's driver. */
export interface QueueEvent {
  /** The ITS, in the order of Gic.its. */
  readonly its: number;
}

/** An interrupt that a host CPU acknowledged, and for which no handler ran. */
export interface SpuriousEvent {
  /** The CPU, counted from 0. */
  readonly cpu: number;
  /** What ICC_IAR1_EL1 gave. */
  readonly intid: number;
}

/** A virtual pending table, of which no CPU holds old lines any more. */
export interface VptFlushEvent {
  /** vPEID, 16 bits. */
  readonly vpe: number;
  /** Physical address of the table, 64 KiB aligned. */
  readonly address: number;
}

/** A vPE of the host. */
export interface DoorbellEvent {
  /** vPEID, 16 bits. */
  readonly vpe: number;
}

/** `gic-host/queue-stuck`: GITS_CREADR does not reach GITS_CWRITER: the kernel gives up after a second. */
export const QUEUE_STUCK: EventKind<QueueEvent> = eventKind('gic-host/queue-stuck', 'warn', ({ its }) => `its ${its}: command queue does not move`);

/** `gic-host/unexpected-interrupt`: the host took an interrupt that nobody asked for. */
export const UNEXPECTED_INTERRUPT: EventKind<SpuriousEvent> = eventKind(
  'gic-host/unexpected-interrupt',
  'warn',
  ({ cpu, intid }) => `cpu ${cpu}: interrupt ${intid} has no handler`,
);

/**
 * `gic-host/interrupt-lost`: handle_fasteoi_irq() drops an interrupt that is in progress on another CPU: a vCPU whose doorbell it was
 * sleeps on.
 */
export const INTERRUPT_LOST: EventKind<SpuriousEvent> = eventKind(
  'gic-host/interrupt-lost',
  'bug',
  ({ cpu, intid }) => `cpu ${cpu}: interrupt ${intid} came while its handler ran on another cpu, and is lost`,
);

/**
 * `gic-host/vpt-flushed`: its_vpe_irq_domain_deactivate() invalidated the CPUs' lines of a VPT after the unmapping of its vPE
 * (MigrationSwitches.flushVptOnUnmap).
 */
export const VPT_FLUSHED: EventKind<VptFlushEvent> = eventKind(
  'gic-host/vpt-flushed',
  'info',
  ({ vpe, address }) => `vpe ${vpe}: cpu caches cleaned and invalidated for the vpt at ${hex(address)}`,
);

/** `gic-host/doorbell`: the host took a vPE's doorbell LPI, and its vCPU is woken. */
export const DOORBELL: EventKind<DoorbellEvent> = eventKind('gic-host/doorbell', 'info', ({ vpe }) => `vpe ${vpe}: doorbell`);

/** `gic-host/vpt-read-mapped`: a VPT is read while the GIC may hold bits of it: the answer may be old. */
export const VPT_READ_MAPPED: EventKind<DoorbellEvent> = eventKind('gic-host/vpt-read-mapped', 'warn', ({ vpe }) => `vpe ${vpe}: vpt read while the vpe is mapped`);

/** An interrupt that was still forwarded when its VM went. */
export interface VlpiLeftEvent {
  /** DeviceID, 32 bits. */
  readonly device: number;
  /** EventID, counted from 0. */
  readonly event: number;
  /** The INTID that the guest had seen, 8192 or more. */
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

/** A status bit that was polled in vain. */
export interface StuckEvent {
  /** The CPU of the redistributor. */
  readonly cpu: number;
  /** Register and bit, as 'SYNCR.Busy'. */
  readonly what: string;
}

/**
 * `gic-host/register-stuck`: a status bit of a redistributor does not clear: the kernel gives up after its timeout, the model after 1000
 * reads.
 */
export const REGISTER_STUCK: EventKind<StuckEvent> = eventKind('gic-host/register-stuck', 'warn', ({ cpu, what }) => `cpu ${cpu}: ${what} does not clear`);
