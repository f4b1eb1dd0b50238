/** The events of the virtual GIC on the trace. Ids are API. */
import { eventKind, type EventKind } from '@vsim/vfio-core';

export interface VcpuEvent {
  readonly vcpu: number;
}

/** A vCPU is loaded whose vPE is mapped nowhere: its VLPIs and vSGIs stay away. The kernel warns. */
export const VPE_NOT_MAPPED: EventKind<VcpuEvent> = eventKind('kvm/vpe-not-mapped', 'warn', ({ vcpu }) => `vcpu ${vcpu}: its vpe is not mapped`);
