/**
 * SGIs and PPIs of a vCPU: the SGI frame of its redistributor. On GICv4.1 the hardware can deliver the SGIs, as vSGIs.
 *
 * Kernel: vgic_mmio_*() on the SGI frame, vgic_v4_enable_vsgis(), vgic_v4_disable_vsgis(). While SGIs are vSGIs, their enable, group and
 * priority go to the GIC as they are written, and what is pending is asked of it; the latches here are clear.
 */
import type { ItsVsgis } from '../host/index.ts';
import { ICENABLER, ICPENDR, IGROUPR, InterruptBank, IPRIORITYR, ISENABLER, ISPENDR, type BankOwner } from './interrupt-bank.ts';
import type { BusVcpu } from './guest-bus.ts';
import type { Accessor } from './vgic-frames.ts';
import { VgicIrq, type IrqTarget } from './vgic-irq.ts';

const SGIS = 16;
const PRIVATE_IRQS = 32;

/** A vCPU as the registers of a distributor and of redistributors know it. */
export interface GicVcpu extends IrqTarget, BusVcpu {
  /** Aff3 to Aff0, 8 bits each, from the top. */
  readonly affinity: number;
  readonly privates: PrivateInterrupts;
  /** The distributor's enable changed. */
  reload(): void;
}

export class PrivateInterrupts {
  readonly #bank: InterruptBank;
  readonly #owner: BankOwner;
  readonly #sgis: readonly VgicIrq[];
  /** The vPE's, while the hardware delivers the SGIs. */
  #vsgis: ItsVsgis | undefined;

  constructor(owner: BankOwner, vcpu: IrqTarget) {
    const irqs = Array.from({ length: PRIVATE_IRQS }, (_, intid) => new VgicIrq(intid));
    for (const irq of irqs) {
      irq.target = vcpu;
      irq.enabled = irq.intid < SGIS;
    }
    this.#owner = owner;
    this.#bank = new InterruptBank(owner, 0, irqs);
    this.#sgis = irqs.slice(0, SGIS);
  }

  /** An SGI or a PPI. @param intid 0 to 31 */
  irq(intid: number): VgicIrq | undefined {
    return this.#bank.irqs[intid];
  }

  /** An SGI is sent to this vCPU. @param group1 the sender may reach Group 1 @param intid 0 to 15 */
  send(intid: number, group1: boolean): void {
    const sgi = this.#sgis[intid]!;
    if (sgi.group1 && !group1) return;
    if (this.#vsgis !== undefined) {
      this.#vsgis.setPending(intid, true);
      return;
    }
    sgi.pendingLatch = true;
    this.#owner.queue(sgi);
  }

  // vSGIs

  /** The hardware takes the SGIs over, with what is pending. */
  forward(vsgis: ItsVsgis): void {
    if (this.#vsgis !== undefined) return;
    this.#vsgis = vsgis;
    for (const sgi of this.#sgis) {
      vsgis.activate(sgi.intid, { enabled: sgi.enabled, priority: sgi.priority, group1: sgi.group1 });
      vsgis.setPending(sgi.intid, sgi.pendingLatch);
      sgi.pendingLatch = false;
      sgi.hw = true;
    }
  }

  /** They are software's again, with what is pending. */
  takeBack(): void {
    const vsgis = this.#vsgis;
    if (vsgis === undefined) return;
    this.#vsgis = undefined;
    for (const sgi of this.#sgis) {
      sgi.hw = false;
      sgi.pendingLatch = vsgis.pending(sgi.intid) === true;
      vsgis.deactivate(sgi.intid);
    }
  }

  readLevels(first: number): number {
    return this.#bank.readLevels(first);
  }

  writeLevels(first: number, levels: number): void {
    this.#bank.writeLevels(first, levels);
  }

  // Registers. Offsets are those of the SGI frame.

  read(offset: number, width: number, by: Accessor): number {
    const value = this.#bank.read(offset, width, by);
    if (this.#vsgis === undefined || width !== 4 || (offset !== ISPENDR && (offset !== ICPENDR || by === 'user'))) return value;
    let pending = 0;
    for (const { intid } of this.#sgis) if (this.#vsgis.pending(intid) === true) pending |= 1 << intid;
    return ((value & ~0xffff) | pending) >>> 0;
  }

  write(offset: number, width: number, value: number, by: Accessor): void {
    const vsgis = this.#vsgis;
    const before = vsgis === undefined || by === 'user' ? undefined : this.#sgis.map(({ enabled }) => enabled);
    this.#bank.write(offset, width, value, by);
    if (vsgis === undefined) return;
    for (const sgi of this.#sgis) {
      const { intid } = sgi;
      const bit = (value & (1 << intid)) !== 0;
      if (offset === ISENABLER || offset === ICENABLER) {
        // Only what changes, and only by the guest.
        if (before !== undefined && before[intid] !== sgi.enabled) vsgis.setEnabled(intid, offset === ISENABLER);
      } else if (offset === ISPENDR || (offset === ICPENDR && by === 'guest')) {
        sgi.pendingLatch = false;
        if (bit || by === 'user') vsgis.setPending(intid, bit && offset === ISPENDR);
      } else if (offset === IGROUPR || (intid >= offset - IPRIORITYR && intid < offset - IPRIORITYR + width)) {
        vsgis.update(intid, sgi.priority, sgi.group1);
      }
    }
  }
}
