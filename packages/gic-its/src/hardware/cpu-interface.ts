/**
 * The CPU interface of one PE: ICC_* (physical), ICV_* (virtual) and ICH_* (the hypervisor's view) registers.
 *
 * Reference: Arm IHI 0069, "AArch64 System register descriptions", "Priority drop and deactivation", "List registers".
 * Modelled: Group 1, PMR, BPR1, running priority, preemption, EOImode, four list registers, VLPIs beside them.
 * Not modelled: Group 0, two security states, SGI generation through ICC_SGI1R_EL1, maintenance interrupts, traps.
 */
import { highHalf, lowHalf, toBigint } from '@vsim/vfio-core';
import { FIRST_LPI, NO_PRIORITY, SPURIOUS, type Candidate } from './pending-bits.ts';

/** Registers of the CPU interface by their architected names; `virtual` turns ICC_* to ICV_*. */
export type GicSystemRegister =
  | 'ICC_PMR_EL1'
  | 'ICC_BPR1_EL1'
  | 'ICC_CTLR_EL1'
  | 'ICC_IGRPEN1_EL1'
  | 'ICC_IAR1_EL1'
  | 'ICC_EOIR1_EL1'
  | 'ICC_DIR_EL1'
  | 'ICC_HPPIR1_EL1'
  | 'ICC_RPR_EL1'
  | 'ICC_AP1R0_EL1'
  | 'ICH_HCR_EL2'
  | 'ICH_VMCR_EL2'
  | 'ICH_AP1R0_EL2'
  | 'ICH_LR0_EL2'
  | 'ICH_LR1_EL2'
  | 'ICH_LR2_EL2'
  | 'ICH_LR3_EL2'
  | 'ISR_EL1';

const SYSTEM_REGISTERS: ReadonlySet<string> = new Set<GicSystemRegister>([
  'ICC_PMR_EL1',
  'ICC_BPR1_EL1',
  'ICC_CTLR_EL1',
  'ICC_IGRPEN1_EL1',
  'ICC_IAR1_EL1',
  'ICC_EOIR1_EL1',
  'ICC_DIR_EL1',
  'ICC_HPPIR1_EL1',
  'ICC_RPR_EL1',
  'ICC_AP1R0_EL1',
  'ICH_HCR_EL2',
  'ICH_VMCR_EL2',
  'ICH_AP1R0_EL2',
  'ICH_LR0_EL2',
  'ICH_LR1_EL2',
  'ICH_LR2_EL2',
  'ICH_LR3_EL2',
  'ISR_EL1',
]);

export function isGicSystemRegister(name: string): name is GicSystemRegister {
  return SYSTEM_REGISTERS.has(name);
}

/** ICC_CTLR_EL1 and ICV_CTLR_EL1: A3V, 24 INTID bits, 5 priority bits. */
const CTLR_FIXED = 0x8c00;
const CTLR_EOIMODE = 2;
/** ISR_EL1.I. */
const ISR_IRQ = 0x80;

const HCR_EN = 1;
const VMCR_VENG1 = 2;
const VMCR_VFIQEN = 8;
const VMCR_VEOIM = 0x200;

const LR_STATE = 0xc000_0000;
const LR_PENDING = 0x4000_0000;
const LR_ACTIVE = 0x8000_0000;
const LR_GROUP1 = 0x1000_0000;

/** List registers of this PE. */
export const LIST_REGISTERS = 4;

/** Least Binary Point for Group 1 with 5 priority bits. */
const MIN_BPR1 = 3;
const MIN_BPR0 = 2;

/** What the CPU interface needs of its redistributor. */
export interface CpuInterfaceSource {
  /** The best SGI, PPI, SPI or LPI, after all enables of distributor and redistributor. */
  readonly best: Candidate;
  /** The best VLPI of the resident vPE. */
  readonly bestVlpi: Candidate;
  /** A CPU took `intid`. */
  acknowledge(intid: number): void;
  /** A guest took VLPI `vintid`. */
  acknowledgeVlpi(vintid: number): void;
  deactivate(intid: number): void;
}

/** Group 1 active priorities: one bit for each of 32 preemption levels. */
class ActivePriorities {
  bits = 0;

  /** The running priority; 0xff when idle. */
  get running(): number {
    return this.bits === 0 ? NO_PRIORITY : (31 - Math.clz32(this.bits & -this.bits)) * 8;
  }

  activate(priority: number): void {
    this.bits = (this.bits | (1 << (priority >>> 3))) >>> 0;
  }

  /** Priority drop. @returns the priority dropped, 0xff if none was active. */
  drop(): number {
    const running = this.running;
    this.bits = (this.bits & (this.bits - 1)) >>> 0;
    return running;
  }
}

/** Whether an interrupt may be signalled over a mask and a running priority. */
function preempts(priority: number, pmr: number, running: number, bpr1: number): boolean {
  if (priority >= pmr) return false;
  if (running === NO_PRIORITY) return true;
  const mask = (0xff << bpr1) & 0xff;
  return (priority & mask) < (running & mask);
}

export class CpuInterface {
  readonly #source: CpuInterfaceSource;
  readonly virtual: VirtualCpuInterface;
  readonly #active = new ActivePriorities();
  #pmr = 0;
  #bpr1 = MIN_BPR1;
  #eoiMode = false;
  #group1 = false;
  /** Called whenever the IRQ input of the PE is asserted after a change; the PE decides whether it takes it. */
  interrupt: (() => void) | undefined;
  /** The same for the virtual IRQ input. */
  virtualInterrupt: (() => void) | undefined;

  constructor(source: CpuInterfaceSource) {
    this.#source = source;
    this.virtual = new VirtualCpuInterface(source);
  }

  /** Whether the PE's IRQ input is asserted. */
  get irq(): boolean {
    return this.#group1 && preempts(this.#source.best.priority, this.#pmr, this.#active.running, this.#bpr1);
  }

  /** The redistributor's best candidates changed. */
  update(): void {
    if (this.interrupt !== undefined && this.irq) this.interrupt();
    if (this.virtualInterrupt !== undefined && this.virtual.irq) this.virtualInterrupt();
  }

  /** ICC_IAR1_EL1: takes the best interrupt; 1023 when there is none to take. */
  acknowledge(): number {
    if (!this.irq) return SPURIOUS;
    const { intid, priority } = this.#source.best;
    this.#active.activate(priority & (0xff << this.#bpr1));
    this.#source.acknowledge(intid);
    return intid;
  }

  /** ICC_EOIR1_EL1: priority drop, and deactivation unless EOImode splits the two. */
  endOfInterrupt(intid: number): void {
    if (intid >= 1020 && intid < FIRST_LPI) return;
    if (this.#active.drop() === NO_PRIORITY) return;
    if (!this.#eoiMode && intid < FIRST_LPI) this.#source.deactivate(intid);
    this.update();
  }

  /** A register read at EL1 or EL2, side effects included. */
  read(name: GicSystemRegister): bigint {
    return BigInt(this.#read(name));
  }

  write(name: GicSystemRegister, value: bigint): void {
    this.#write(name, lowHalf(value));
  }

  #read(name: string): number {
    switch (name) {
      case 'ICC_PMR_EL1':
        return this.#pmr;
      case 'ICC_BPR1_EL1':
        return this.#bpr1;
      case 'ICC_CTLR_EL1':
        return CTLR_FIXED | (this.#eoiMode ? CTLR_EOIMODE : 0);
      case 'ICC_IGRPEN1_EL1':
        return this.#group1 ? 1 : 0;
      case 'ICC_IAR1_EL1':
        return this.acknowledge();
      case 'ICC_HPPIR1_EL1':
        return this.#group1 ? this.#source.best.intid : SPURIOUS;
      case 'ICC_RPR_EL1':
        return this.#active.running;
      case 'ICC_AP1R0_EL1':
        return this.#active.bits;
      case 'ISR_EL1':
        return this.irq ? ISR_IRQ : 0;
      default:
        return 0;
    }
  }

  #write(name: string, value: number): void {
    switch (name) {
      case 'ICC_PMR_EL1':
        this.#pmr = value & 0xf8;
        break;
      case 'ICC_BPR1_EL1':
        this.#bpr1 = Math.max(value & 7, MIN_BPR1);
        break;
      case 'ICC_CTLR_EL1':
        this.#eoiMode = (value & CTLR_EOIMODE) !== 0;
        break;
      case 'ICC_IGRPEN1_EL1':
        this.#group1 = (value & 1) !== 0;
        break;
      case 'ICC_EOIR1_EL1':
        this.endOfInterrupt(value & 0xff_ffff);
        return;
      case 'ICC_DIR_EL1':
        if (this.#eoiMode && value < 1020) this.#source.deactivate(value);
        break;
      case 'ICC_AP1R0_EL1':
        this.#active.bits = value >>> 0;
        break;
      default:
        return;
    }
    this.update();
  }
}

/** ICV_* as a guest sees them, and the ICH_* registers behind them. */
export class VirtualCpuInterface {
  readonly #source: CpuInterfaceSource;
  readonly #active = new ActivePriorities();
  /** ICH_LR<n>_EL2 in halves. */
  readonly #lr = new Uint32Array(2 * LIST_REGISTERS);
  #hcr = 0;
  #vmcr: number = ((MIN_BPR0 << 21) | (MIN_BPR1 << 18) | VMCR_VFIQEN) >>> 0;

  constructor(source: CpuInterfaceSource) {
    this.#source = source;
  }

  get #pmr(): number {
    return this.#vmcr >>> 24;
  }

  get #bpr1(): number {
    return (this.#vmcr >>> 18) & 7;
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
    this.#active.activate(this.#priorityOf(list) & (0xff << this.#bpr1));
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
    for (let i = 0; i < LIST_REGISTERS; i += 1) {
      if (this.#lr[2 * i] === vintid && (this.#lr[2 * i + 1]! & LR_ACTIVE) !== 0) this.#lr[2 * i + 1]! &= ~LR_ACTIVE;
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
      case 'ICC_BPR1_EL1':
        return this.#bpr1;
      case 'ICC_CTLR_EL1':
        return CTLR_FIXED | ((this.#vmcr & VMCR_VEOIM) !== 0 ? CTLR_EOIMODE : 0);
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
        this.#vmcr = ((this.#vmcr & 0x00ff_ffff) | ((value & 0xf8) << 24)) >>> 0;
        return;
      case 'ICC_BPR1_EL1':
        this.#setVmcr((this.#vmcr & ~(7 << 18)) | ((value & 7) << 18));
        return;
      case 'ICC_CTLR_EL1':
        this.#setVmcr((this.#vmcr & ~VMCR_VEOIM) | ((value & CTLR_EOIMODE) !== 0 ? VMCR_VEOIM : 0));
        return;
      case 'ICC_IGRPEN1_EL1':
        this.#setVmcr((this.#vmcr & ~VMCR_VENG1) | ((value & 1) !== 0 ? VMCR_VENG1 : 0));
        return;
      case 'ICC_EOIR1_EL1':
        this.endOfInterrupt(value & 0xff_ffff);
        return;
      case 'ICC_DIR_EL1':
        for (let i = 0; i < LIST_REGISTERS; i += 1) if (this.#lr[2 * i] === value) this.#lr[2 * i + 1]! &= ~LR_ACTIVE;
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

  #hppir1(): number {
    if (!this.#group1) return SPURIOUS;
    const list = this.#bestList;
    return list >= 0 ? this.#lr[2 * list]! : this.#source.bestVlpi.intid;
  }

  /** Binary points below the least are raised to it; VFIQEn is RES1. */
  #setVmcr(value: number): void {
    const bpr0 = Math.max((value >>> 21) & 7, MIN_BPR0);
    const bpr1 = Math.max((value >>> 18) & 7, MIN_BPR1);
    this.#vmcr = ((value & 0xff00_0213) | (bpr0 << 21) | (bpr1 << 18) | VMCR_VFIQEN) >>> 0;
  }
}

function listNumber(name: GicSystemRegister): number {
  return name.startsWith('ICH_LR') ? Number(name[6]) : -1;
}
