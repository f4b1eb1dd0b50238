/** The events of the virtual GIC on the trace. Ids are API. */
import { eventKind, type EventKind } from '@vsim/vfio-core';

export interface VcpuEvent {
  readonly vcpu: number;
}

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
