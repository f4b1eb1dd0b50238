/**
 * The registers of SGIs, PPIs and SPIs that a guest and its VMM see: GICD_IGROUPR<n> to GICD_ICFGR<n>, and their twins in a redistributor's SGI frame.
 *
 * Kernel: vgic-mmio.c, vgic_v3_uaccess_write_pending(). A VMM's access has other effects than the guest's: it sees latches where the guest sees what is pending, and
 * sets them exactly. Not modelled: GICR_NSACR and GICD_IGRPMODR, which are zero, and GICv2.
 */
import type { VgicIrq } from './vgic-irq.ts';
import type { Accessor } from './vgic-frames.ts';

export const IGROUPR = 0x080;
export const ISENABLER = 0x100;
export const ICENABLER = 0x180;
export const ISPENDR = 0x200;
export const ICPENDR = 0x280;
const ISACTIVER = 0x300;
const ICACTIVER = 0x380;
export const IPRIORITYR = 0x400;
const ITARGETSR = 0x800;
const ICFGR = 0xc00;
/** SGIs and PPIs: the kernel's timers rely on how they are triggered. */
const PRIVATE_IRQS = 32;
/** Five bits of priority. */
const PRIORITY_MASK = 0xf8;

/** What the bank needs of its VM. */
export interface BankOwner {
  /** An interrupt may have to be delivered now. */
  queue(irq: VgicIrq): void;
  /** All vCPUs leave the guest for an access to active state, so that no list register holds it. Kernel: vgic_access_active_prepare() */
  halted(access: () => void): void;
}

export class InterruptBank {
  /** INTID of the first. */
  readonly first: number;
  readonly irqs: readonly VgicIrq[];
  readonly #owner: BankOwner;

  constructor(owner: BankOwner, first: number, irqs: readonly VgicIrq[]) {
    this.#owner = owner;
    this.first = first;
    this.irqs = irqs;
  }

  /** What lies outside of the bank is zero. @param offset bytes from the frame's start @param width 1, 2 or 4 bytes */
  read(offset: number, width: number, by: Accessor): number {
    if (offset >= IPRIORITYR && offset < ITARGETSR) {
      let value = 0;
      for (let i = width - 1; i >= 0; i -= 1) value = value * 0x100 + (this.#at(offset - IPRIORITYR + i)?.priority ?? 0);
      return value;
    }
    if (width !== 4) return 0;
    if (offset >= ICFGR) return offset < ICFGR + 0x100 ? this.#configuration((offset - ICFGR) * 4) : 0;
    const from = (offset & 0x7f) * 8;
    switch (offset & ~0x7f) {
      case IGROUPR:
        return this.#word(from, (irq) => irq.group1);
      case ISENABLER:
      case ICENABLER:
        return this.#word(from, (irq) => irq.enabled);
      case ISPENDR:
        return this.#word(from, (irq) => (by === 'user' ? irq.pendingLatch : irq.pending));
      case ICPENDR:
        return by === 'user' ? 0 : this.#word(from, (irq) => irq.pending);
      case ISACTIVER:
      case ICACTIVER: {
        let active = 0;
        this.#activeState(by, () => { active = this.#word(from, (irq) => irq.active); });
        return active;
      }
      default:
        return 0;
    }
  }

  write(offset: number, width: number, value: number, by: Accessor): void {
    if (offset >= IPRIORITYR && offset < ITARGETSR) {
      for (let i = 0; i < width; i += 1) {
        const irq = this.#at(offset - IPRIORITYR + i);
        if (irq !== undefined) irq.priority = (value >>> (8 * i)) & PRIORITY_MASK;
      }
      return;
    }
    if (width !== 4) return;
    if (offset >= ICFGR) {
      if (offset < ICFGR + 0x100) this.#configure((offset - ICFGR) * 4, value);
      return;
    }
    const from = (offset & 0x7f) * 8;
    const owner = this.#owner;
    switch (offset & ~0x7f) {
      case IGROUPR:
        this.#each(from, (irq, n) => {
          irq.group1 = (value & (1 << n)) !== 0;
          owner.queue(irq);
        });
        return;
      case ISENABLER:
        this.#set(from, value, (irq) => {
          irq.enabled = true;
          owner.queue(irq);
        });
        return;
      case ICENABLER:
        this.#set(from, value, (irq) => { irq.enabled = false; });
        return;
      case ISPENDR:
        if (by === 'user') this.#each(from, (irq, n) => { this.#latch(irq, (value & (1 << n)) !== 0); });
        else this.#set(from, value, (irq) => { this.#latch(irq, true); });
        return;
      case ICPENDR:
        if (by === 'guest') this.#set(from, value, (irq) => { irq.pendingLatch = false; });
        return;
      case ISACTIVER:
      case ICACTIVER: {
        const active = (offset & ~0x7f) === ISACTIVER;
        this.#activeState(by, () => {
          this.#set(from, value, (irq) => {
            // The hardware delivers it, and knows no active state of it.
            irq.active = active && !irq.hw;
            if (irq.active) owner.queue(irq);
          });
        });
        return;
      }
    }
  }

  /** Inputs of 32 interrupts, one bit each, of those that are level-sensitive. @param first INTID of the first */
  readLevels(first: number): number {
    return this.#word(first, (irq) => irq.intid >= 16 && !irq.edge && irq.lineLevel);
  }

  /** Sets inputs alone, however they are triggered: no edge is seen. @param first INTID of bit 0 @param levels 32 bits */
  writeLevels(first: number, levels: number): void {
    this.#each(first, (irq, n) => {
      if (irq.intid < 16) return;
      irq.lineLevel = (levels & (1 << n)) !== 0;
      if (irq.lineLevel) this.#owner.queue(irq);
    });
  }

  /** User space has its vCPUs stopped; for a guest they are halted. */
  #activeState(by: Accessor, access: () => void): void {
    if (by === 'guest') this.#owner.halted(access);
    else access();
  }

  #latch(irq: VgicIrq, pending: boolean): void {
    irq.pendingLatch = pending;
    if (pending) this.#owner.queue(irq);
  }

  #at(intid: number): VgicIrq | undefined {
    return this.irqs[intid - this.first];
  }

  #each(from: number, visit: (irq: VgicIrq, bit: number) => void): void {
    for (let n = 0; n < 32; n += 1) {
      const irq = this.#at(from + n);
      if (irq !== undefined) visit(irq, n);
    }
  }

  #set(from: number, bits: number, visit: (irq: VgicIrq) => void): void {
    this.#each(from, (irq, n) => {
      if ((bits & (1 << n)) !== 0) visit(irq);
    });
  }

  #word(from: number, bit: (irq: VgicIrq) => boolean): number {
    let word = 0;
    this.#each(from, (irq, n) => {
      if (bit(irq)) word |= 1 << n;
    });
    return word >>> 0;
  }

  #configuration(from: number): number {
    let word = 0;
    for (let n = 0; n < 16; n += 1) if (this.#at(from + n)?.edge === true) word |= 2 << (2 * n);
    return word >>> 0;
  }

  #configure(from: number, value: number): void {
    for (let n = 0; n < 16; n += 1) {
      const irq = this.#at(from + n);
      if (irq !== undefined && irq.intid >= PRIVATE_IRQS) irq.edge = (value & (2 << (2 * n))) !== 0;
    }
  }
}
