/** The events of the virtual GIC on the trace. Ids are API. */
import { eventKind, hex, type EventKind } from '@vsim/vfio-core';

/** Something about one vCPU. */
export interface VcpuEvent {
  /** The id that KVM_CREATE_VCPU was given. */
  readonly vcpu: number;
}

/** A vCPU of one of the host's VMs. */
export interface VcpuOfVm extends VcpuEvent {
  /** The VM, in the order of their creation on the host, from 0. */
  readonly vm: number;
}

/** A vCPU on a CPU of the host. */
export interface VcpuLoadedEvent extends VcpuOfVm {
  /** The CPU. */
  readonly cpu: number;
  /** The vPE that is made resident with it; undefined without GICv4. */
  readonly vpe: number | undefined;
}

/** `kvm/vcpu-loaded`: a vCPU is put on a CPU of the host, and its guest runs there from now on. Kernel: kvm_arch_vcpu_load() */
export const VCPU_LOADED: EventKind<VcpuLoadedEvent> = eventKind('kvm/vcpu-loaded', 'info', ({ vm, vcpu, cpu }) => `vm ${vm}: vcpu ${vcpu} runs on cpu ${cpu}`);

/** A vCPU that leaves its CPU. */
export interface VcpuPutEvent extends VcpuOfVm {
  /** The CPU on which it was. */
  readonly cpu: number;
  /** The guest executed WFI, and a doorbell is asked for; else user space, or the host's scheduler, took it off. */
  readonly blocks: boolean;
}

/** `kvm/vcpu-put`: a vCPU leaves its CPU. Kernel: kvm_arch_vcpu_put() */
export const VCPU_PUT: EventKind<VcpuPutEvent> = eventKind(
  'kvm/vcpu-put',
  'info',
  ({ vm, vcpu, cpu, blocks }) => `vm ${vm}: vcpu ${vcpu} leaves cpu ${cpu}${blocks ? ', blocked' : ''}`,
);

/** An interrupt of a guest. */
export interface GuestInterruptEvent {
  /** The VM, in the order of their creation on the host, from 0. */
  readonly vm: number;
  /** What the guest sees. */
  readonly intid: number;
}

/** `kvm/interrupt-raised`: software of the host made an interrupt of a guest pending: an irqfd, KVM_SIGNAL_MSI, KVM_IRQ_LINE, or a command of the guest's ITS. */
export const INTERRUPT_RAISED: EventKind<GuestInterruptEvent> = eventKind('kvm/interrupt-raised', 'info', ({ vm, intid }) => `vm ${vm}: interrupt ${intid} pending`);

/** `kvm/interrupt-taken`: a guest took an interrupt: a read of ICC_IAR1_EL1. */
export const INTERRUPT_TAKEN: EventKind<GuestInterruptEvent & VcpuOfVm> = eventKind(
  'kvm/interrupt-taken',
  'info',
  ({ vm, vcpu, intid }) => `vm ${vm}: vcpu ${vcpu} takes interrupt ${intid}`,
);

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
