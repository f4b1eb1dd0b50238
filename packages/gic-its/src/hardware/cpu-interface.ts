/**
 * The CPU interface of one PE: the ICC_* registers. ICV_* and ICH_* are in virtual-cpu-interface.ts.
 *
 * Reference: Arm IHI 0069, "AArch64 System register descriptions", "Priority drop and deactivation".
 * Modelled: Group 1, PMR, BPR0 and BPR1 with CBPR, running priority, preemption, EOImode and DIR, SGI1R.
 * Not modelled: Group 0 interrupts, two security states, traps.
 */
import { highHalf, lowHalf } from '@vsim/vfio-core';
import { FIRST_LPI, NO_PRIORITY, SPURIOUS, type Candidate } from './pending-bits.ts';
import { ActivePriorities, groupPriority, leastBinaryPoint, preempts } from './priorities.ts';
import { CTLR_CBPR, CTLR_EOIMODE, ctlr, ISR_IRQ, type GicSystemRegister } from './system-registers.ts';
import { VirtualCpuInterface } from './virtual-cpu-interface.ts';

/** What the CPU interface needs of its redistributor. */
export interface CpuInterfaceSource {
  /** The best SGI, PPI, SPI or LPI, after all enables of distributor and redistributor. */
  readonly best: Candidate;
  /** The best VLPI or vSGI of the resident vPE. */
  readonly bestVlpi: Candidate;
  /** A CPU took `intid`. */
  acknowledge(intid: number): void;
  /** A guest took VLPI or vSGI `vintid`. */
  acknowledgeVlpi(vintid: number): void;
  deactivate(intid: number): void;
  /** Software did what the architecture leaves open. */
  unpredictable(what: string): void;
  /** ICC_SGI1R_EL1. @param targets one bit for each Aff0 @param cluster the other affinity fields @param others all PEs but this */
  sendSgi(sgi: number, targets: number, cluster: number, others: boolean): void;
}

export class CpuInterface {
  readonly #source: CpuInterfaceSource;
  readonly virtual: VirtualCpuInterface;
  readonly #active: ActivePriorities;
  readonly #priorityBits: number;
  #pmr = 0;
  #bpr0: number;
  #bpr1: number;
  /** ICC_CTLR_EL1.CBPR: BPR0 is the binary point of both groups. */
  #cbpr = false;
  #eoiMode = false;
  #group1 = false;
  /** Called whenever the IRQ input of the PE is asserted after a change; the PE decides whether it takes it. */
  interrupt: (() => void) | undefined;
  /** The same for the virtual IRQ input. */
  virtualInterrupt: (() => void) | undefined;

  /** @param priorityBits 4 or 5 */
  constructor(source: CpuInterfaceSource, priorityBits: number) {
    this.#source = source;
    this.#priorityBits = priorityBits;
    this.#active = new ActivePriorities(priorityBits);
    this.#bpr1 = leastBinaryPoint(priorityBits);
    this.#bpr0 = this.#bpr1 - 1;
    this.virtual = new VirtualCpuInterface(source, priorityBits);
  }

  /** The binary point of Group 1. */
  get #binaryPoint(): number {
    return this.#cbpr ? Math.min(this.#bpr0 + 1, 7) : this.#bpr1;
  }

  /** Whether the PE's IRQ input is asserted. */
  get irq(): boolean {
    return this.#group1 && preempts(this.#source.best.priority, this.#pmr, this.#active.running, this.#binaryPoint);
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
    this.#active.activate(groupPriority(priority, this.#binaryPoint));
    this.#source.acknowledge(intid);
    return intid;
  }

  /** ICC_EOIR1_EL1: priority drop, and deactivation unless EOImode splits the two. */
  endOfInterrupt(intid: number): void {
    if (intid >= 1020 && intid < FIRST_LPI) return;
    if (this.#active.drop() === NO_PRIORITY) {
      this.#source.unpredictable('ICC_EOIR1_EL1 written with nothing active');
      return;
    }
    if (!this.#eoiMode && intid < FIRST_LPI) this.#source.deactivate(intid);
    this.update();
  }

  /** A register read at EL1 or EL2, side effects included. */
  read(name: GicSystemRegister): bigint {
    return BigInt(this.#read(name));
  }

  write(name: GicSystemRegister, value: bigint): void {
    if (name === 'ICC_SGI1R_EL1') this.#sendSgi(lowHalf(value), highHalf(value));
    else this.#write(name, lowHalf(value));
  }

  /** TargetList [15:0], Aff1 [23:16], INTID [27:24], Aff2 [39:32], IRM 40, Aff3 [55:48]. */
  #sendSgi(lo: number, hi: number): void {
    const cluster = ((hi >>> 16) & 0xff) * 0x1_0000 + (hi & 0xff) * 0x100 + ((lo >>> 16) & 0xff);
    this.#source.sendSgi((lo >>> 24) & 0xf, lo & 0xffff, cluster, (hi & 0x100) !== 0);
  }

  #read(name: string): number {
    switch (name) {
      case 'ICC_PMR_EL1':
        return this.#pmr;
      case 'ICC_BPR0_EL1':
        return this.#bpr0;
      case 'ICC_BPR1_EL1':
        return this.#binaryPoint;
      case 'ICC_CTLR_EL1':
        return ctlr(this.#priorityBits) | (this.#eoiMode ? CTLR_EOIMODE : 0) | (this.#cbpr ? CTLR_CBPR : 0);
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
        this.#pmr = groupPriority(value, leastBinaryPoint(this.#priorityBits));
        break;
      case 'ICC_BPR0_EL1':
        this.#bpr0 = Math.max(value & 7, leastBinaryPoint(this.#priorityBits) - 1);
        break;
      case 'ICC_BPR1_EL1':
        // With CBPR writes are ignored.
        if (!this.#cbpr) this.#bpr1 = Math.max(value & 7, leastBinaryPoint(this.#priorityBits));
        break;
      case 'ICC_CTLR_EL1':
        this.#eoiMode = (value & CTLR_EOIMODE) !== 0;
        this.#cbpr = (value & CTLR_CBPR) !== 0;
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
