import { removeItem } from '@vsim/vfio-core';
import type { ItsIrq, ItsVpe } from '../host/index.ts';
import { SparseArray } from './sparse-array.ts';

/** The first INTID of LPIs. */
const FIRST_LPI = 8192;

/** A vCPU as interrupts know it: the list on which they are queued, and where its LPIs are pending. */
export interface IrqTarget {
  /** What KVM_CREATE_VCPU was asked for. */
  readonly id: number;
  /** Pending and active interrupts, in the order in which they came. */
  readonly queue: VgicIrq[];
  /** GICR_CTLR.EnableLPIs. */
  lpisEnabled: boolean;
  /** GICR_PENDBASER in halves, the low one first. */
  readonly pendbaser: Uint32Array;
  /** The hardware's handle of it, on a host with GICv4. */
  readonly vpe: ItsVpe | undefined;
  /** VLPIs that target it. */
  vlpiCount: number;
  /** Something changed for it: it looks at its list again. */
  kick(): void;
}

/**
 * An interrupt of a VM: its state and configuration, its target, and the list of the vCPU that is to take it.
 *
 * Kernel: struct vgic_irq, vgic_queue_irq_unlock(), vgic_target_oracle(), vgic_prune_ap_list() of vgic.c. SGIs, PPIs and SPIs are there for good; LPIs are counted:
 * each ITE, each translation cache entry, the list of the vCPU on which one is queued.
 */
export class VgicIrq {
  /** SGIs are 0 to 15, PPIs 16 to 31, SPIs from 32, LPIs from 8192 on. */
  readonly intid: number;
  /** 8 bits, 0 the highest. */
  priority = 0;
  /** GICD_ISENABLER, GICR_ISENABLER0 or Enable of the LPI's configuration byte. */
  enabled = false;
  /** Edge-triggered: SGIs and LPIs always, SPIs as ICFGR says. */
  edge: boolean;
  /** Of Group 1, the IRQ; else of Group 0, the FIQ. */
  group1 = true;
  /** Pending by an edge, a message or a store to GICD_ISPENDR, until it is delivered. */
  pendingLatch = false;
  /** The input of a wired interrupt. */
  lineLevel = false;
  /** SGIs, PPIs and SPIs: LPIs have no active state. */
  active = false;
  /** Forwarded: the hardware owns its pending state. A latch that is set all the same is delivered by a list register, once. */
  hw = false;
  /** The host interrupt that is forwarded to an LPI; undefined otherwise. */
  hostIrq: ItsIrq | undefined;
  /** Affinity in GICD_IROUTER, as user space or the guest wrote it. */
  route = 0;
  /** The kernel's timer has it: nobody else raises it. Kernel: owner. */
  owned = false;
  /** The vCPU that is to take it. */
  target: IrqTarget | undefined;
  /** The vCPU on whose list it is queued. */
  queuedOn: IrqTarget | undefined;
  /** Who holds an LPI: ITEs, cache entries, a vCPU's list. Without any it goes. */
  references = 1;
  /** LPIs: those that were made before have lower places. */
  place = 0;
  /** It belongs to an event (7.3 alone looks). */
  mapped = false;

  /** An interrupt in its reset state: disabled, of Group 1, not pending. @param intid SGI, PPI, SPI or LPI */
  constructor(intid: number) {
    this.intid = intid;
    this.edge = intid < 16 || intid >= FIRST_LPI;
  }

  /** Whether it is an LPI: counted, without active state. */
  get isLpi(): boolean {
    return this.intid >= FIRST_LPI;
  }

  /** irq_is_pending(): the latch, or the line of a level-sensitive one. */
  get pending(): boolean {
    return this.pendingLatch || (!this.edge && this.lineLevel);
  }
}

/** The LPIs of a VM, by INTID; and where interrupts of all kinds are queued. */
export class LpiList {
  readonly #irqs = new SparseArray<VgicIrq>();
  readonly #byIntid: boolean;
  readonly #distributorEnabled: () => boolean;
  #created = 0;

  /** @param byIntid VgicProfile.lpisByIntid */
  constructor(byIntid: boolean, distributorEnabled: () => boolean) {
    this.#byIntid = byIntid;
    this.#distributorEnabled = distributorEnabled;
  }

  /** The LPI of an INTID; takes no reference. @param intid any */
  find(intid: number): VgicIrq | undefined {
    return this.#irqs.get(intid);
  }

  get count(): number {
    return this.#irqs.size;
  }

  /** As they are now, in the order in which the kernel visits them. */
  all(): VgicIrq[] {
    const irqs = Array.from(this.#irqs.indices(), (intid) => this.#irqs.get(intid)!);
    return this.#byIntid ? irqs : irqs.sort((a, b) => a.place - b.place);
  }

  add(irq: VgicIrq): void {
    irq.place = this.#created;
    this.#created += 1;
    this.#irqs.set(irq.intid, irq);
  }

  put(irq: VgicIrq): void {
    irq.references -= 1;
    // Not an LPI of the same number that was mapped since.
    if (irq.references === 0 && this.#irqs.get(irq.intid) === irq) this.#irqs.delete(irq.intid);
  }

  /** Where an active, or a pending and enabled interrupt is to go; undefined when it is to go nowhere now. */
  oracle(irq: VgicIrq): IrqTarget | undefined {
    if (irq.active) return irq.queuedOn ?? irq.target;
    return irq.enabled && irq.pending && this.#distributorEnabled() ? irq.target : undefined;
  }

  /** Puts an interrupt on its target's list if it belongs there, and makes the vCPU look. */
  queue(irq: VgicIrq): void {
    const vcpu = this.oracle(irq);
    if (irq.queuedOn !== undefined) {
      if (vcpu !== undefined) irq.queuedOn.kick();
      return;
    }
    if (vcpu === undefined) return;
    irq.references += 1;
    irq.queuedOn = vcpu;
    vcpu.queue.push(irq);
    vcpu.kick();
  }

  /** Takes an interrupt off the list on which it is. */
  unqueue(irq: VgicIrq): void {
    const list = irq.queuedOn?.queue;
    const at = list?.indexOf(irq) ?? -1;
    if (list === undefined || at < 0) return;
    list.splice(at, 1);
    irq.queuedOn = undefined;
    this.put(irq);
  }

  /** Drops what has no target, and moves what has another one. Kernel: vgic_prune_ap_list(). */
  prune(vcpu: IrqTarget): void {
    for (const irq of [...vcpu.queue]) {
      // What was moved before may have run a guest, which took this one off.
      if (irq.queuedOn !== vcpu) continue;
      const target = this.oracle(irq);
      if (target === vcpu) continue;
      if (target === undefined) {
        this.unqueue(irq);
        continue;
      }
      removeItem(vcpu.queue, irq);
      irq.queuedOn = target;
      target.queue.push(irq);
      target.kick();
    }
  }
}
