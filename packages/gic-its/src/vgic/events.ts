/** The events of the virtual GIC on the trace. Ids are API. */
import { eventKind, hex, type EventKind } from '@vsim/vfio-core';

export interface VcpuEvent {
  readonly vcpu: number;
}

export interface AccessRefusedEvent {
  readonly frame: string;
  readonly offset: number;
  readonly width: number;
}

/** A guest's access that its register does not take: unaligned, or of another width. A load reads as zero, a store goes nowhere. */
export const ACCESS_REFUSED: EventKind<AccessRefusedEvent> = eventKind(
  'kvm/access-refused',
  'info',
  ({ frame, offset, width }) => `${frame}: access of ${width} bytes at ${hex(offset)} refused`,
);

export interface QueueDeferredEvent {
  readonly its: number;
}

/** A guest's commands cost more than one store may: the rest goes on with its next load of the ITS' registers, or as time passes. */
export const QUEUE_DEFERRED: EventKind<QueueDeferredEvent> = eventKind('kvm/its-queue-deferred', 'info', ({ its }) => `its ${its}: the rest of the command queue is put off`);

export interface VlpiMismatchEvent {
  readonly intid: number;
  /** The host's number of the interrupt. */
  readonly irq: number;
}

/** Forwarding is taken back from a host interrupt to which the LPI does not belong. The kernel warns. */
export const VLPI_MISMATCH: EventKind<VlpiMismatchEvent> = eventKind(
  'kvm/vlpi-mismatch',
  'warn',
  ({ intid, irq }) => `lpi ${intid} is not forwarded from interrupt ${irq}, which is taken back`,
);

/** A vCPU is loaded whose vPE is mapped nowhere: its VLPIs and vSGIs stay away. The kernel warns. */
export const VPE_NOT_MAPPED: EventKind<VcpuEvent> = eventKind('kvm/vpe-not-mapped', 'warn', ({ vcpu }) => `vcpu ${vcpu}: its vpe is not mapped`);

export interface DeviceLeftOutEvent {
  readonly its: number;
  readonly device: number;
}

/** SAVE_TABLES leaves out a device whose DTE cannot be reached (since 6.12.113). */
export const DEVICE_LEFT_OUT: EventKind<DeviceLeftOutEvent> = eventKind(
  'kvm/its-device-left-out',
  'info',
  ({ its, device }) => `its ${its}: device ${hex(device)} has no entry in the device table, and is not saved`,
);

export interface IteDroppedEvent {
  readonly device: number;
  readonly event: number;
  readonly lpi: number;
}

/** RESTORE_TABLES drops an ITE whose LPI another event has (7.3). */
export const ITE_DROPPED: EventKind<IteDroppedEvent> = eventKind(
  'kvm/its-ite-dropped',
  'info',
  ({ device, event, lpi }) => `event ${event} of device ${hex(device)} is not restored: another event has lpi ${lpi}`,
);

export interface EndNotToldEvent {
  readonly intid: number;
  /** `deassign`: the last irqfd with a resampler goes; `level-info`: user space lowers the line; `edge`: the guest has the SPI edge-triggered; `unseen`: no exit saw it active. */
  readonly because: 'deassign' | 'level-info' | 'edge' | 'unseen';
}

/**
 * An irqfd with a resampler has raised an SPI, and the resampler is not told of its end. After `deassign`, `level-info` and `edge` a source that waits for
 * that (an automasked line of VFIO) stays silent, unless user space unmasks it. After `unseen` the line stays up, and the guest takes the interrupt once more.
 *
 * Kernel: irqfd_resampler_shutdown(), vgic_write_irq_line_level_info(), lr_signals_eoi_mi(); vgic_v3_fold_lr() since 6.19.
 */
export const END_NOT_TOLD: EventKind<EndNotToldEvent> = eventKind('kvm/end-not-told', 'warn', ({ intid, because }) => `spi ${intid}: its resampler is not told of the end: ${because}`);
