/**
 * Forwarding: a device's interrupt becomes a VLPI of the vCPU that its LPI targets.
 *
 * Kernel: kvm_vgic_v4_set_forwarding(), kvm_vgic_v4_unset_forwarding(), vgic_v4_init(). Forwarding is DISCARD then VMAPTI: the device
 * must be silent. Taking it back discards what is pending; nothing copies a VPT to a latch.
 */
import { EBUSY, type Trace } from '@vsim/vfio-core';
import { LPI_ENABLED, LPI_GROUP1, type ItsDriver, type ItsIrq, type ItsVm } from '../host/index.ts';
import { VLPI_MISMATCH } from './events.ts';
import type { MsiRoute } from './gsi-routing.ts';
import type { LpiList, VgicIrq } from './vgic-irq.ts';
import type { VgicProfile } from './vgic-profile.ts';

/** A VM as forwarding knows it: its vPEs, and the ITSs that say to which LPI a route leads. */
export interface ForwardingVm {
  /** What the kernel's vgic does otherwise than another's. */
  readonly profile: VgicProfile;
  /** Where its events go. */
  readonly trace: Trace;
  /** The host's GIC driver. */
  readonly driver: ItsDriver;
  /** Its vPEs, once they exist. */
  readonly itsVm: ItsVm | undefined;
  /** Its ITSs. */
  readonly itss: readonly unknown[];
  /** Its LPIs. */
  readonly lpis: LpiList;
  /** The ITS of a doorbell. @param address guest physical */
  itsAt(address: number): { resolve(device: number, event: number): VgicIrq | number } | undefined;
}

/** Whether this VM's MSIs can go directly to its vCPUs. */
export function supportsDirectMsis(vm: ForwardingVm): boolean {
  return vm.itsVm !== undefined && (vm.driver.gicv41 || (vm.driver.gicv4 && vm.itss.length > 0));
}

/** The configuration byte that a VLPI gets from its LPI. */
export function propertiesOf(irq: VgicIrq): number {
  return (irq.priority & 0xfc) | LPI_GROUP1 | (irq.enabled ? LPI_ENABLED : 0);
}

/**
 * Forwards a host interrupt to the LPI to which its route leads.
 *
 * @returns 0, also when this VM or route cannot forward; a positive ITS code when the event is not mapped; -EBUSY when the ITS
 *   or the target's LPIs are disabled; or what the driver answered
 */
export function setForwarding(vm: ForwardingVm, hostIrq: ItsIrq, route: MsiRoute): number {
  if (!supportsDirectMsis(vm)) return 0;
  const its = vm.itsAt(route.address);
  if (its === undefined || route.device === undefined) return 0;
  const irq = its.resolve(route.device, route.data);
  if (typeof irq === 'number') return irq;
  if (irq.hw && vm.profile.forwardsOnce) return 0;
  const vcpu = irq.target;
  const vpe = vcpu?.vpe;
  if (vcpu === undefined || vpe === undefined) return -EBUSY;
  const error = hostIrq.mapVlpi({ vpe, vintid: irq.intid, properties: propertiesOf(irq), doorbell: true });
  if (error !== 0) return error;
  irq.hw = true;
  irq.hostIrq = hostIrq;
  vcpu.vlpiCount += 1;
  if (irq.pendingLatch && vm.driver.switches.transferPendingOnForward) {
    hostIrq.setPending(true);
    irq.pendingLatch = false;
    if (irq.queuedOn !== undefined) irq.queuedOn.kick();
  }
  return 0;
}

/**
 * Takes forwarding back, if the route still leads to an LPI. Where two events share an LPI it has one host interrupt, the last that was
 * forwarded: the kernel warns, and one of the two stays forwarded until it or the VM goes. 7.3 looks for the interrupt instead.
 *
 * @returns 0, also when this VM or route cannot forward; what its.resolve() says; or what the driver answered
 */
export function unsetForwarding(vm: ForwardingVm, hostIrq: ItsIrq, route: MsiRoute | undefined): number {
  if (!supportsDirectMsis(vm)) return 0;
  if (vm.profile.unsetsByHostIrq) {
    for (const irq of vm.lpis.all()) if (irq.hw && irq.hostIrq === hostIrq) unmapVlpi(irq);
    return 0;
  }
  const its = route === undefined ? undefined : vm.itsAt(route.address);
  if (its === undefined || route?.device === undefined) return 0;
  const irq = its.resolve(route.device, route.data);
  if (typeof irq === 'number') return irq;
  if ((!irq.hw || irq.hostIrq !== hostIrq) && vm.trace.on) vm.trace.emit(VLPI_MISMATCH, { intid: irq.intid, irq: hostIrq.number });
  if (!irq.hw) return 0;
  disown(irq);
  return hostIrq.unmapVlpi();
}

/**
 * An event of a forwarded LPI goes: the interrupt is the host's again. The kernels up to 6.12 leave `hw` set on an LPI that another event
 * keeps alive (K-22), and a software MSI of it then raises itself for ever; this is not modelled.
 */
export function unmapVlpi(irq: VgicIrq): void {
  disown(irq)?.unmapVlpi();
}

/** The LPI is software's. @returns what it was forwarded from */
function disown(irq: VgicIrq): ItsIrq | undefined {
  const { hostIrq } = irq;
  if (irq.target !== undefined) irq.target.vlpiCount -= 1;
  irq.hw = false;
  irq.hostIrq = undefined;
  return hostIrq;
}

/** A forwarded LPI has another target: its VLPI moves, with its pending state. */
export function moveVlpi(irq: VgicIrq, from: VgicIrq['target']): number {
  const map = irq.hostIrq?.getVlpi();
  const vpe = irq.target?.vpe;
  if (irq.hostIrq === undefined || map === undefined || vpe === undefined) return 0;
  if (from !== undefined) from.vlpiCount -= 1;
  if (irq.target !== undefined) irq.target.vlpiCount += 1;
  return irq.hostIrq.mapVlpi({ ...map, vpe });
}
