import { highHalf, lowHalf, toBigint } from '@vsim/vfio-core';
import type { CpuInterfaceSource } from './cpu-interface.ts';
import { LINE } from './lines.ts';
import { doneLists, emptyLists, HCR_EOICOUNT_SHIFT, LR_ACTIVE, LR_GROUP1, LR_HW, LR_PENDING, LR_STATE, maintenanceStatus, VMCR_VENG0, VMCR_VENG1 } from './list-registers.ts';
import { FIRST_LPI, NO_PRIORITY, SPURIOUS, type Candidate } from './pending-bits.ts';
import { ActivePriorities, groupPriority, leastBinaryPoint, preempts } from './priorities.ts';
import { CTLR_CBPR, CTLR_EOIMODE, ctlr, HCR_EN, ISR_FIQ, ISR_IRQ, registerNamed, type GicSystemRegister } from './system-registers.ts';

// ICH_HCR_EL2
/** GICv4.1: vSGIs do not count in EOIcount. */
const HCR_VSGI_EOI_COUNT = 0x100;
const HCR_MASK = 0xf800_7cff;

const VMCR_VFIQEN = 8;
const VMCR_VCBPR = 0x10;
const VMCR_VEOIM = 0x200;

const LR_PINTID = 0x1fff;

// What would be taken next, where it is no list register: the best VLPI or vSGI of Group 1, the best vSGI of Group 0, nothing.
const DIRECT1 = -1;
const DIRECT0 = -2;
const NONE = -3;

/**
 * The virtual CPU interface of one PE: ICV_* as a guest sees them, and the ICH_* registers behind them.
 *
 * Reference: Arm IHI 0069, "AArch64 System register descriptions", "List registers", "Maintenance interrupts". VLPIs and vSGIs stand beside the
 * list registers: the best priority goes first, a list register before a VLPI of the same.
 * Modelled: both groups, list registers with HW and EOI, VMCR, active priorities, EOImode and DIR, EOIcount, the maintenance interrupt.
 * Not modelled: ICH_HCR_EL2.TSEI (there are no SEIs) and DVIM; a guest's SGIs, which trap.
 */
export class VirtualCpuInterface {
  /** How many list registers there are. */
  readonly listRegisters: number;
  readonly #source: CpuInterfaceSource;
  readonly #changed: () => void;
  readonly #active: ActivePriorities;
  readonly #priorityBits: number;
  readonly #leastBpr1: number;
  /** ICH_LR<n>_EL2 in halves. */
  readonly #lr: Uint32Array;
  #hcr = 0;
  #vmcr = 0;
  #maintenance = false;

  /**
   * An interface with its registers at zero; reset() gives them their reset values.
   *
   * @param changed called when a line may have another level
   */
  constructor(source: CpuInterfaceSource, changed: () => void) {
    this.#source = source;
    this.#changed = changed;
    this.#priorityBits = source.choices.priorityBits;
    this.listRegisters = source.choices.listRegisters;
    this.#lr = new Uint32Array(2 * this.listRegisters);
    this.#active = new ActivePriorities(this.#priorityBits);
    this.#leastBpr1 = leastBinaryPoint(this.#priorityBits);
  }

  /** Registers as after a warm reset. */
  reset(): void {
    this.#lr.fill(0);
    this.#active.clear();
    this.#hcr = 0;
    this.#setVmcr(0);
    this.#maintenance = false;
  }

  /** ICH_HCR_EL2, 32 bits. */
  get hcr(): number {
    return this.#hcr;
  }

  get #enabled(): boolean {
    return (this.#hcr & HCR_EN) !== 0;
  }

  get #pmr(): number {
    return this.#vmcr >>> 24;
  }

  get #bpr0(): number {
    return (this.#vmcr >>> 21) & 7;
  }

  get #bpr1(): number {
    return (this.#vmcr & VMCR_VCBPR) === 0 ? (this.#vmcr >>> 18) & 7 : Math.min(this.#bpr0 + 1, 7);
  }

  /** As groupPriority() counts them. */
  #binaryPoint(group: number): number {
    return group === 0 ? this.#bpr0 + 1 : this.#bpr1;
  }

  // Candidates

  /** What would be taken next, of the groups that are enabled: a list register, or DIRECT1, DIRECT0, NONE. */
  get #next(): number {
    const veng0 = (this.#vmcr & VMCR_VENG0) !== 0;
    const veng1 = (this.#vmcr & VMCR_VENG1) !== 0;
    let next = NONE;
    let priority = NO_PRIORITY;
    for (let i = 0; i < this.listRegisters; i += 1) {
      const hi = this.#lr[2 * i + 1]!;
      if (((hi & LR_STATE) >>> 0) !== LR_PENDING || !((hi & LR_GROUP1) !== 0 ? veng1 : veng0)) continue;
      const own = (hi >>> 16) & 0xff;
      if (own >= priority && next !== NONE) continue;
      next = i;
      priority = own;
    }
    const { bestVlpi, bestVsgi0 } = this.#source;
    if (veng0 && bestVsgi0.priority < priority) {
      next = DIRECT0;
      ({ priority } = bestVsgi0);
    }
    return veng1 && bestVlpi.priority < priority ? DIRECT1 : next;
  }

  #groupOf(next: number): number {
    return next >= 0 ? ((this.#lr[2 * next + 1]! & LR_GROUP1) !== 0 ? 1 : 0) : next === DIRECT0 ? 0 : 1;
  }

  #intidOf(next: number): number {
    return next >= 0 ? this.#lr[2 * next]! : this.#directly(next).intid;
  }

  #priorityOf(next: number): number {
    return next >= 0 ? (this.#lr[2 * next + 1]! >>> 16) & 0xff : this.#directly(next).priority;
  }

  #directly(next: number): Candidate {
    return next === DIRECT0 ? this.#source.bestVsgi0 : this.#source.bestVlpi;
  }

  /** Levels of the virtual IRQ and FIQ, and of the maintenance interrupt: bits of LINE. */
  get lines(): number {
    return this.#signals | (this.#maintenance ? LINE.MAINTENANCE : 0);
  }

  get #signals(): number {
    if (!this.#enabled || (this.#vmcr & (VMCR_VENG0 | VMCR_VENG1)) === 0) return 0;
    const next = this.#next;
    if (next === NONE) return 0;
    const group = this.#groupOf(next);
    if (!preempts(this.#priorityOf(next), this.#pmr, this.#active.running, this.#binaryPoint(group))) return 0;
    return group === 0 ? LINE.VIRTUAL_FIQ : LINE.VIRTUAL_IRQ;
  }

  /** Whether the virtual IRQ of the PE is asserted. */
  get irq(): boolean {
    return (this.#signals & LINE.VIRTUAL_IRQ) !== 0;
  }

  // What a guest does at an interrupt

  /** ICV_IAR1_EL1: the guest takes the best virtual interrupt of Group 1; 1023 when there is none to take. */
  acknowledge(): number {
    return this.#acknowledge(1);
  }

  /**
   * ICV_EOIR1_EL1: priority drop, and deactivation unless VEOIM splits the two.
   *
   * @param vintid what acknowledge() returned, 24 bits; 1020 to 1023 do nothing
   */
  endOfInterrupt(vintid: number): void {
    this.#endOfInterrupt(vintid);
  }

  #acknowledge(group: number): number {
    if ((this.#signals & (group === 0 ? LINE.VIRTUAL_FIQ : LINE.VIRTUAL_IRQ)) === 0) return SPURIOUS;
    const next = this.#next;
    const vintid = this.#intidOf(next);
    this.#active.activate(group, groupPriority(this.#priorityOf(next), this.#binaryPoint(group)));
    if (next < 0) {
      this.#source.acknowledgeVlpi(vintid);
      return vintid;
    }
    const hi = this.#lr[2 * next + 1]! & ~LR_STATE;
    this.#lr[2 * next + 1] = vintid < FIRST_LPI ? hi | LR_ACTIVE : hi;
    this.#update();
    return vintid;
  }

  #endOfInterrupt(vintid: number): void {
    if (vintid >= 1020 && vintid < FIRST_LPI) return;
    if (!this.#active.drop()) return;
    if ((this.#vmcr & VMCR_VEOIM) === 0) this.#deactivate(vintid);
    this.#update();
  }

  /** The list register is inactive; one with HW set deactivates the physical interrupt too. Without a list register it counts in EOIcount. */
  #deactivate(vintid: number): void {
    for (let i = 0; i < this.listRegisters; i += 1) {
      const hi = this.#lr[2 * i + 1]!;
      if (this.#lr[2 * i] !== vintid || (hi & LR_ACTIVE) === 0) continue;
      this.#lr[2 * i + 1] = hi & ~LR_ACTIVE;
      if ((hi & LR_HW) !== 0 && (hi & LR_PINTID) < 1020) this.#source.deactivate(hi & LR_PINTID);
      return;
    }
    if (vintid >= FIRST_LPI || (vintid < 16 && (this.#hcr & HCR_VSGI_EOI_COUNT) !== 0)) return;
    const count = (this.#hcr >>> HCR_EOICOUNT_SHIFT) + 1;
    this.#hcr = ((this.#hcr & ~(0x1f << HCR_EOICOUNT_SHIFT)) | (count << HCR_EOICOUNT_SHIFT)) >>> 0;
  }

  // Registers

  /** ICH_LR<n>_EL2, bits [31:0]: the virtual INTID. @param n below listRegisters */
  listLow(n: number): number {
    return this.#lr[2 * n]!;
  }

  /** ICH_LR<n>_EL2, bits [63:32]: state, HW, group, priority and physical INTID. @param n below listRegisters */
  listHigh(n: number): number {
    return this.#lr[2 * n + 1]!;
  }

  /**
   * Writes ICH_LR<n>_EL2; lines and the maintenance interrupt follow.
   *
   * @param n below listRegisters
   * @param lo bits [31:0]
   * @param hi bits [63:32]
   */
  setList(n: number, lo: number, hi: number): void {
    this.#lr[2 * n] = lo;
    this.#lr[2 * n + 1] = hi;
    this.#update();
  }

  /** A register by name, ICC_* in the guest's view, side effects included. @throws RangeError if there is none, or it has no MRS */
  read(name: GicSystemRegister): bigint {
    const list = this.#named(name, 'wo');
    return list < 0 ? BigInt(this.readWord(name)) : toBigint(this.#lr[2 * list]!, this.#lr[2 * list + 1]!);
  }

  /**
   * Writes a register by name, ICC_* in the guest's view, with its side effects.
   *
   * @param value 64 bits, of which only list registers take the upper half
   * @throws RangeError if there is no such register, or it has no MSR
   */
  write(name: GicSystemRegister, value: bigint): void {
    const list = this.#named(name, 'ro');
    if (list < 0) this.writeWord(name, lowHalf(value));
    else this.setList(list, lowHalf(value), highHalf(value));
  }

  /** @returns the number of a list register, -1 for another register */
  #named(name: GicSystemRegister, not: string): number {
    const register = registerNamed(name);
    const there = register !== undefined && register.direction !== not && register.kind !== 'sgi' && register.kind !== 'sre' && name !== 'ICC_SRE_EL2';
    if (!there || (register.isActivePriorities && register.index > 0) || (register.isList && register.index >= this.listRegisters)) {
      throw new RangeError(`"name" expected a register that can be ${not === 'wo' ? 'read' : 'written'} in this view, got ${name}`);
    }
    return register.isList ? register.index : -1;
  }

  /**
   * Bits [31:0] of a register that is no list register; a read of ICC_IAR<n>_EL1 takes the interrupt.
   *
   * @internal
   * @param name architected name
   */
  readWord(name: string): number {
    switch (name) {
      case 'ICC_PMR_EL1':
        return this.#pmr;
      case 'ICC_BPR0_EL1':
        return this.#bpr0;
      case 'ICC_BPR1_EL1':
        return this.#bpr1;
      case 'ICC_CTLR_EL1':
        return ctlr(this.#priorityBits) | ((this.#vmcr & VMCR_VEOIM) !== 0 ? CTLR_EOIMODE : 0) | ((this.#vmcr & VMCR_VCBPR) !== 0 ? CTLR_CBPR : 0);
      case 'ICC_IGRPEN0_EL1':
        return (this.#vmcr & VMCR_VENG0) !== 0 ? 1 : 0;
      case 'ICC_IGRPEN1_EL1':
        return (this.#vmcr & VMCR_VENG1) !== 0 ? 1 : 0;
      case 'ICC_IAR0_EL1':
        return this.#acknowledge(0);
      case 'ICC_IAR1_EL1':
        return this.#acknowledge(1);
      case 'ICC_HPPIR0_EL1':
        return this.#pending(0);
      case 'ICC_HPPIR1_EL1':
        return this.#pending(1);
      case 'ICC_RPR_EL1':
        return this.#active.running;
      case 'ISR_EL1':
        return ((this.#signals & LINE.VIRTUAL_IRQ) !== 0 ? ISR_IRQ : 0) | ((this.#signals & LINE.VIRTUAL_FIQ) !== 0 ? ISR_FIQ : 0);
      case 'ICC_AP0R0_EL1':
      case 'ICH_AP0R0_EL2':
        return this.#active.group0;
      case 'ICC_AP1R0_EL1':
      case 'ICH_AP1R0_EL2':
        return this.#active.group1;
      case 'ICH_HCR_EL2':
        return this.#hcr;
      case 'ICH_VTR_EL2':
        return this.#vtr;
      case 'ICH_VMCR_EL2':
        return this.#vmcr;
      case 'ICH_MISR_EL2':
        return maintenanceStatus(this.#hcr, this.#vmcr, this.#lr);
      case 'ICH_EISR_EL2':
        return doneLists(this.#lr);
      case 'ICH_ELRSR_EL2':
        return emptyLists(this.#lr);
      default:
        return 0;
    }
  }

  /**
   * Writes bits [31:0] of a register that is no list register, with its side effects.
   *
   * @internal
   * @param name architected name
   * @param value 32 bits
   */
  writeWord(name: string, value: number): void {
    switch (name) {
      case 'ICC_PMR_EL1':
        this.#setVmcr((this.#vmcr & 0x00ff_ffff) | (groupPriority(value & 0xff, this.#leastBpr1) << 24));
        break;
      case 'ICC_BPR0_EL1':
        this.#setVmcr((this.#vmcr & ~(7 << 21)) | ((value & 7) << 21));
        break;
      case 'ICC_BPR1_EL1':
        if ((this.#vmcr & VMCR_VCBPR) === 0) this.#setVmcr((this.#vmcr & ~(7 << 18)) | ((value & 7) << 18));
        break;
      case 'ICC_CTLR_EL1':
        this.#setVmcr(
          (this.#vmcr & ~(VMCR_VEOIM | VMCR_VCBPR)) | ((value & CTLR_EOIMODE) !== 0 ? VMCR_VEOIM : 0) | ((value & CTLR_CBPR) !== 0 ? VMCR_VCBPR : 0),
        );
        break;
      case 'ICC_IGRPEN0_EL1':
        this.#setVmcr((this.#vmcr & ~VMCR_VENG0) | (value & 1));
        break;
      case 'ICC_IGRPEN1_EL1':
        this.#setVmcr((this.#vmcr & ~VMCR_VENG1) | ((value & 1) << 1));
        break;
      case 'ICC_EOIR0_EL1':
      case 'ICC_EOIR1_EL1':
        this.#endOfInterrupt(value & 0xff_ffff);
        return;
      case 'ICC_DIR_EL1':
        if ((this.#vmcr & VMCR_VEOIM) !== 0) this.#deactivate(value & 0xff_ffff);
        break;
      case 'ICH_HCR_EL2':
        this.#hcr = (value & (this.#source.version === 'gicv4.1' ? HCR_MASK | HCR_VSGI_EOI_COUNT : HCR_MASK)) >>> 0;
        break;
      case 'ICH_VMCR_EL2':
        this.#setVmcr(value);
        break;
      case 'ICC_AP0R0_EL1':
      case 'ICH_AP0R0_EL2':
        this.#active.group0 = value >>> 0;
        break;
      case 'ICC_AP1R0_EL1':
      case 'ICH_AP1R0_EL2':
        this.#active.group1 = value >>> 0;
        break;
      default:
        return;
    }
    this.#update();
  }

  /** PRIbits, PREbits, 24 INTID bits, A3V, nV4, TDS, ListRegs. */
  get #vtr(): number {
    const bits = this.#priorityBits - 1;
    return ((bits << 29) | (bits << 26) | 0x00a8_0000 | (this.#source.version === 'gicv3' ? 0x0010_0000 : 0) | (this.listRegisters - 1)) >>> 0;
  }

  #pending(group: number): number {
    const next = this.#next;
    return this.#enabled && next !== NONE && this.#groupOf(next) === group ? this.#intidOf(next) : SPURIOUS;
  }

  /** Binary points below the least are raised to it; VFIQEn is RES1. VPMR keeps all its bits, unlike ICV_PMR_EL1. */
  #setVmcr(value: number): void {
    const bpr0 = Math.max((value >>> 21) & 7, this.#leastBpr1 - 1);
    const bpr1 = Math.max((value >>> 18) & 7, this.#leastBpr1);
    this.#vmcr = ((value & 0xff00_0213) | (bpr0 << 21) | (bpr1 << 18) | VMCR_VFIQEN) >>> 0;
  }

  /** Something here changed: the lines are looked at, and the maintenance interrupt's PPI follows. */
  #update(): void {
    const level = this.#enabled && maintenanceStatus(this.#hcr, this.#vmcr, this.#lr) !== 0;
    const rose = level !== this.#maintenance;
    this.#maintenance = level;
    this.#changed();
    if (rose) this.#source.maintenance(level);
  }
}
