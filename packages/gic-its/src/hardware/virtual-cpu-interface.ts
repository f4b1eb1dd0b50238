/**
 * The virtual CPU interface of one PE: ICV_* as a guest sees them, and the ICH_* registers behind them.
 *
 * Reference: Arm IHI 0069, "AArch64 System register descriptions", "List registers". VLPIs and vSGIs stand beside the list registers: the
 * best priority goes first, a list register before a VLPI of the same.
 * Modelled: Group 1, four list registers with HW, VMCR, active priorities, EOImode and DIR.
 * Not modelled: Group 0, maintenance interrupts, traps, ICV_SGI1R_EL1 (a hypervisor traps it).
 */
import { highHalf, lowHalf, toBigint } from '@vsim/vfio-core';
import type { CpuInterfaceSource } from './cpu-interface.ts';
import { FIRST_LPI, NO_PRIORITY, SPURIOUS } from './pending-bits.ts';
import { ActivePriorities, groupPriority, leastBinaryPoint, preempts } from './priorities.ts';
import { CTLR_CBPR, CTLR_EOIMODE, ctlr, ISR_IRQ, type GicSystemRegister } from './system-registers.ts';

const HCR_EN = 1;
const VMCR_VENG1 = 2;
const VMCR_VFIQEN = 8;
const VMCR_VCBPR = 0x10;
const VMCR_VEOIM = 0x200;

// High half of ICH_LR<n>_EL2.
const LR_STATE = 0xc000_0000;
const LR_PENDING = 0x4000_0000;
const LR_ACTIVE = 0x8000_0000;
const LR_HW = 0x2000_0000;
const LR_GROUP1 = 0x1000_0000;
const LR_PINTID = 0x1fff;

/** List registers of this PE. */
export const LIST_REGISTERS = 4;

/** ICV_* as a guest sees them, and the ICH_* registers behind them. */
export class VirtualCpuInterface {
  readonly #source: CpuInterfaceSource;
  readonly #active: ActivePriorities;
  readonly #priorityBits: number;
  readonly #leastBpr1: number;
  /** ICH_LR<n>_EL2 in halves. */
  readonly #lr = new Uint32Array(2 * LIST_REGISTERS);
  #hcr = 0;
  #vmcr: number;

  /** @param priorityBits 4 or 5 */
  constructor(source: CpuInterfaceSource, priorityBits: number) {
    this.#source = source;
    this.#priorityBits = priorityBits;
    this.#active = new ActivePriorities(priorityBits);
    this.#leastBpr1 = leastBinaryPoint(priorityBits);
    this.#vmcr = (((this.#leastBpr1 - 1) << 21) | (this.#leastBpr1 << 18) | VMCR_VFIQEN) >>> 0;
  }

  get #pmr(): number {
    return this.#vmcr >>> 24;
  }

  get #bpr0(): number {
    return (this.#vmcr >>> 21) & 7;
  }

  /** The binary point of Group 1. */
  get #bpr1(): number {
    return (this.#vmcr & VMCR_VCBPR) === 0 ? (this.#vmcr >>> 18) & 7 : Math.min(this.#bpr0 + 1, 7);
  }

  get #group1(): boolean {
    return (this.#hcr & HCR_EN) !== 0 && (this.#vmcr & VMCR_VENG1) !== 0;
  }

  /** The list register that would be taken next, -1 if none is pending, or a VLPI goes before it. */
  get #bestList(): number {
    let best = -1;
    let priority = NO_PRIORITY + 1;
    for (let i = 0; i < LIST_REGISTERS; i += 1) {
      const hi = this.#lr[2 * i + 1]!;
      if (((hi & LR_STATE) >>> 0) !== LR_PENDING || (hi & LR_GROUP1) === 0) continue;
      const own = (hi >>> 16) & 0xff;
      if (own < priority) {
        best = i;
        priority = own;
      }
    }
    return best >= 0 && priority <= this.#source.bestVlpi.priority ? best : -1;
  }

  #priorityOf(list: number): number {
    return list >= 0 ? (this.#lr[2 * list + 1]! >>> 16) & 0xff : this.#source.bestVlpi.priority;
  }

  /** Whether the virtual IRQ of the PE is asserted. */
  get irq(): boolean {
    if (!this.#group1) return false;
    return preempts(this.#priorityOf(this.#bestList), this.#pmr, this.#active.running, this.#bpr1);
  }

  /** ICV_IAR1_EL1. */
  acknowledge(): number {
    if (!this.irq) return SPURIOUS;
    const list = this.#bestList;
    this.#active.activate(groupPriority(this.#priorityOf(list), this.#bpr1));
    if (list < 0) {
      const vintid = this.#source.bestVlpi.intid;
      this.#source.acknowledgeVlpi(vintid);
      return vintid;
    }
    const vintid = this.#lr[2 * list]!;
    const hi = this.#lr[2 * list + 1]! & ~LR_STATE;
    this.#lr[2 * list + 1] = vintid < FIRST_LPI ? hi | LR_ACTIVE : hi;
    return vintid;
  }

  /** ICV_EOIR1_EL1. */
  endOfInterrupt(vintid: number): void {
    if (vintid >= 1020 && vintid < FIRST_LPI) return;
    if (this.#active.drop() === NO_PRIORITY || (this.#vmcr & VMCR_VEOIM) !== 0) return;
    this.#deactivate(vintid);
  }

  /** The list register is inactive; one with HW set deactivates the physical interrupt too. */
  #deactivate(vintid: number): void {
    for (let i = 0; i < LIST_REGISTERS; i += 1) {
      const hi = this.#lr[2 * i + 1]!;
      if (this.#lr[2 * i] !== vintid || (hi & LR_ACTIVE) === 0) continue;
      this.#lr[2 * i + 1] = hi & ~LR_ACTIVE;
      if ((hi & LR_HW) !== 0 && (hi & LR_PINTID) < 1020) this.#source.deactivate(hi & LR_PINTID);
      return;
    }
  }

  /** ICH_LR<n>_EL2, bits [31:0] and [63:32]. */
  listLow(n: number): number {
    return this.#lr[2 * n]!;
  }

  listHigh(n: number): number {
    return this.#lr[2 * n + 1]!;
  }

  setList(n: number, lo: number, hi: number): void {
    this.#lr[2 * n] = lo;
    this.#lr[2 * n + 1] = hi;
  }

  /** A register read, ICC_* in the guest's view, side effects included. */
  read(name: GicSystemRegister): bigint {
    const list = listNumber(name);
    return list < 0 ? BigInt(this.#read(name)) : toBigint(this.#lr[2 * list]!, this.#lr[2 * list + 1]!);
  }

  write(name: GicSystemRegister, value: bigint): void {
    const list = listNumber(name);
    if (list < 0) this.#write(name, lowHalf(value));
    else this.setList(list, lowHalf(value), highHalf(value));
  }

  #read(name: string): number {
    switch (name) {
      case 'ICC_PMR_EL1':
        return this.#pmr;
      case 'ICC_BPR0_EL1':
        return this.#bpr0;
      case 'ICC_BPR1_EL1':
        return this.#bpr1;
      case 'ICC_CTLR_EL1':
        return ctlr(this.#priorityBits) | ((this.#vmcr & VMCR_VEOIM) !== 0 ? CTLR_EOIMODE : 0) | ((this.#vmcr & VMCR_VCBPR) !== 0 ? CTLR_CBPR : 0);
      case 'ICC_IGRPEN1_EL1':
        return (this.#vmcr & VMCR_VENG1) !== 0 ? 1 : 0;
      case 'ICC_IAR1_EL1':
        return this.acknowledge();
      case 'ICC_HPPIR1_EL1':
        return this.#hppir1();
      case 'ICC_RPR_EL1':
        return this.#active.running;
      case 'ISR_EL1':
        return this.irq ? ISR_IRQ : 0;
      case 'ICH_HCR_EL2':
        return this.#hcr;
      case 'ICH_VMCR_EL2':
        return this.#vmcr;
      case 'ICH_ELRSR_EL2':
        return this.#emptyLists;
      case 'ICC_AP1R0_EL1':
      case 'ICH_AP1R0_EL2':
        return this.#active.bits;
      default:
        return 0;
    }
  }

  #write(name: string, value: number): void {
    switch (name) {
      case 'ICC_PMR_EL1':
        this.#setVmcr((this.#vmcr & 0x00ff_ffff) | (groupPriority(value & 0xff, this.#leastBpr1) << 24));
        return;
      case 'ICC_BPR0_EL1':
        this.#setVmcr((this.#vmcr & ~(7 << 21)) | ((value & 7) << 21));
        return;
      case 'ICC_BPR1_EL1':
        if ((this.#vmcr & VMCR_VCBPR) === 0) this.#setVmcr((this.#vmcr & ~(7 << 18)) | ((value & 7) << 18));
        return;
      case 'ICC_CTLR_EL1':
        this.#setVmcr(
          (this.#vmcr & ~(VMCR_VEOIM | VMCR_VCBPR)) | ((value & CTLR_EOIMODE) !== 0 ? VMCR_VEOIM : 0) | ((value & CTLR_CBPR) !== 0 ? VMCR_VCBPR : 0),
        );
        return;
      case 'ICC_IGRPEN1_EL1':
        this.#setVmcr((this.#vmcr & ~VMCR_VENG1) | ((value & 1) !== 0 ? VMCR_VENG1 : 0));
        return;
      case 'ICC_EOIR1_EL1':
        this.endOfInterrupt(value & 0xff_ffff);
        return;
      case 'ICC_DIR_EL1':
        if ((this.#vmcr & VMCR_VEOIM) !== 0) this.#deactivate(value & 0xff_ffff);
        return;
      case 'ICH_HCR_EL2':
        this.#hcr = value >>> 0;
        return;
      case 'ICH_VMCR_EL2':
        this.#setVmcr(value);
        return;
      case 'ICC_AP1R0_EL1':
      case 'ICH_AP1R0_EL2':
        this.#active.bits = value >>> 0;
        return;
      default:
        return;
    }
  }

  /** One bit for each list register that holds nothing. */
  get #emptyLists(): number {
    let empty = 0;
    for (let i = 0; i < LIST_REGISTERS; i += 1) if ((this.#lr[2 * i + 1]! & LR_STATE) === 0) empty |= 1 << i;
    return empty;
  }

  #hppir1(): number {
    if (!this.#group1) return SPURIOUS;
    const list = this.#bestList;
    return list >= 0 ? this.#lr[2 * list]! : this.#source.bestVlpi.intid;
  }

  /** Binary points below the least are raised to it; VFIQEn is RES1. VPMR keeps all its bits, unlike ICV_PMR_EL1. */
  #setVmcr(value: number): void {
    const bpr0 = Math.max((value >>> 21) & 7, this.#leastBpr1 - 1);
    const bpr1 = Math.max((value >>> 18) & 7, this.#leastBpr1);
    this.#vmcr = ((value & 0xff00_0213) | (bpr0 << 21) | (bpr1 << 18) | VMCR_VFIQEN) >>> 0;
  }
}

function listNumber(name: GicSystemRegister): number {
  return name.startsWith('ICH_LR') ? Number(name[6]) : -1;
}
