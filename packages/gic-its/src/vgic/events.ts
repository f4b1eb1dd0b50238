/** The events of the virtual GIC on the trace. Ids are API. */
import { eventKind, hex, type EventKind } from '@vsim/vfio-core';

/** Something about one vCPU. */
export interface VcpuEvent {
  /** The id that KVM_CREATE_VCPU was given. */
  readonly vcpu: number;
}

/** A guest's access to a register of the vgic or of an ITS. */
export interface AccessRefusedEvent {
  /** 'distributor', 'redistributor ID' with the vCPU's id, or 'its N'. */
  readonly frame: string;
  /** Bytes from the frame's start. */
  readonly offset: number;
  /** Bytes of the access: 1, 2, 4 or 8. */
  readonly width: number;
}

/**
 * `kvm/access-refused`: a guest's access that its register does not take: unaligned, or of another width. A load reads as zero, a store
 * goes nowhere.
 */
export const ACCESS_REFUSED: EventKind<AccessRefusedEvent> = eventKind(
  'kvm/access-refused',
  'info',
  ({ frame, offset, width }) => `${frame}: access of ${width} bytes at ${hex(offset)} refused`,
);

/** The command queue of a guest's ITS. */
export interface QueueDeferredEvent {
  /** The ITS, in the order of their creation. */
  readonly its: number;
}

/**
 * `kvm/its-queue-deferred`: a guest's commands cost more than one store may: the rest goes on with its next load of the ITS' registers, or
 * as time passes.
 */
export const QUEUE_DEFERRED: EventKind<QueueDeferredEvent> = eventKind('kvm/its-queue-deferred', 'info', ({ its }) => `its ${its}: the rest of the command queue is put off`);

/** An LPI of the guest, and a host interrupt. */
export interface VlpiMismatchEvent {
  /** The LPI that the route of the irqfd leads to. */
  readonly intid: number;
  /** The host's number of the interrupt. */
  readonly irq: number;
}

/** `kvm/vlpi-mismatch`: forwarding is taken back from a host interrupt to which the LPI does not belong. The kernel warns. */
export const VLPI_MISMATCH: EventKind<VlpiMismatchEvent> = eventKind(
  'kvm/vlpi-mismatch',
  'warn',
  ({ intid, irq }) => `lpi ${intid} is not forwarded from interrupt ${irq}, which is taken back`,
);

/** `kvm/vpe-not-mapped`: a vCPU is loaded whose vPE is mapped nowhere: its VLPIs and vSGIs stay away. The kernel warns. */
export const VPE_NOT_MAPPED: EventKind<VcpuEvent> = eventKind('kvm/vpe-not-mapped', 'warn', ({ vcpu }) => `vcpu ${vcpu}: its vpe is not mapped`);

/** A device of a guest's ITS. */
export interface DeviceLeftOutEvent {
  /** The ITS, in the order of their creation. */
  readonly its: number;
  /** DeviceID in the guest, 32 bits. */
  readonly device: number;
}

/** `kvm/its-device-left-out`: SAVE_TABLES leaves out a device whose DTE cannot be reached (since 6.12.113). */
export const DEVICE_LEFT_OUT: EventKind<DeviceLeftOutEvent> = eventKind(
  'kvm/its-device-left-out',
  'info',
  ({ its, device }) => `its ${its}: device ${hex(device)} has no entry in the device table, and is not saved`,
);

/** A saved interrupt translation entry. */
export interface IteDroppedEvent {
  /** DeviceID in the guest, 32 bits. */
  readonly device: number;
  /** EventID, 16 bits. */
  readonly event: number;
  /** The LPI of the entry, 8192 or more. */
  readonly lpi: number;
}

/** `kvm/its-ite-dropped`: RESTORE_TABLES drops an ITE whose LPI another event has (7.3). */
export const ITE_DROPPED: EventKind<IteDroppedEvent> = eventKind(
  'kvm/its-ite-dropped',
  'info',
  ({ device, event, lpi }) => `event ${event} of device ${hex(device)} is not restored: another event has lpi ${lpi}`,
);

/** An SPI that an irqfd with a resampler has raised. */
export interface EndNotToldEvent {
  /** The SPI, 32 or more. */
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
