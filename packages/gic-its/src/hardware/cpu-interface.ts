import { highHalf, lowHalf } from '@vsim/vfio-core';
import type { ImplementationChoices } from './choices.ts';
import { LINE } from './lines.ts';
import { FIRST_LPI, NO_PRIORITY, SPURIOUS, type Candidate } from './pending-bits.ts';
import { ActivePriorities, groupPriority, leastBinaryPoint, preempts } from './priorities.ts';
import {
  admit,
  CTLR_CBPR,
  CTLR_EOIMODE,
  ctlr,
  ISR_FIQ,
  ISR_IRQ,
  isVirtualAccess,
  registerAt,
  registerNamed,
  type GicSystemRegister,
  type RegisterAccess,
  type RegisterOutcome,
  type SystemRegister,
} from './system-registers.ts';
import { VirtualCpuInterface } from './virtual-cpu-interface.ts';

/** What the CPU interface needs of its redistributor. */
export interface CpuInterfaceSource {
  /** Version of the GIC: 'gicv3' has no VLPIs, 'gicv4.1' has vSGIs. */
  readonly version: 'gicv3' | 'gicv4' | 'gicv4.1';
  /** What the chip's implementer chose: priority bits, list registers, ICC_SRE_EL2. */
  readonly choices: ImplementationChoices;
  /** The best SGI, PPI, SPI or LPI of Group 1, after all enables of distributor and redistributor. */
  readonly best: Candidate;
  /** The same of Group 0, which has no LPIs. */
  readonly best0: Candidate;
  /** The best VLPI or vSGI of Group 1 of the resident vPE. */
  readonly bestVlpi: Candidate;
  /** The best vSGI of Group 0 of the resident vPE. */
  readonly bestVsgi0: Candidate;
  /** A CPU took an interrupt: it becomes active, an LPI is no longer pending. @param intid what was the best candidate, 24 bits */
  acknowledge(intid: number): void;
  /** A guest took a VLPI or vSGI. @param vintid what was the best virtual candidate, 24 bits */
  acknowledgeVlpi(vintid: number): void;
  /** An interrupt is no longer active. @param intid SGI, PPI or SPI, below 1020; others do nothing */
  deactivate(intid: number): void;
  /** The maintenance interrupt, a PPI. */
  maintenance(level: boolean): void;
  /** Software did what the architecture leaves open. */
  unpredictable(what: string): void;
  /**
   * The PE sends an SGI.
   *
   * @param sgi 0 to 15
   * @param targets one bit for each Aff0, 16 bits
   * @param cluster the other affinity fields, Aff3.Aff2.Aff1 with 8 bits each
   * @param others all PEs but this, whatever `targets` says
   * @param group0Only it arrives only where it is of Group 0
   */
  sendSgi(sgi: number, targets: number, cluster: number, others: boolean, group0Only: boolean): void;
}

// ICC_SRE_EL<n>: SRE, DFB, DIB; Enable, of EL2 alone.
const SRE = 7;
const SRE_ENABLE = 8;

/**
 * The CPU interface of one PE: how MRS and MSR reach it, the ICC_* registers, and the lines to the PE.
 *
 * Reference: Arm IHI 0069, "AArch64 System register descriptions", "Priority drop and deactivation". ICV_* and ICH_* are in
 * virtual-cpu-interface.ts.
 * Modelled: both groups (Group 0 is the FIQ), PMR, binary points with CBPR, running priority, preemption, EOImode and DIR, SGIs, traps to EL2.
 * Not modelled: two security states, EL3, PMHE, SRE = 0 (SRE, DFB and DIB are RAO/WI), NMIs.
 */
export class CpuInterface {
  readonly #source: CpuInterfaceSource;
  /** The virtual CPU interface of the same PE: ICH_* and what a guest sees as ICV_*. */
  readonly virtual: VirtualCpuInterface;
  readonly #active: ActivePriorities;
  readonly #priorityBits: number;
  #pmr = 0;
  #bpr0 = 0;
  #bpr1 = 0;
  /** ICC_CTLR_EL1.CBPR: BPR0 is the binary point of both groups. */
  #cbpr = false;
  #eoiMode = false;
  #group0 = false;
  #group1 = false;
  #sreEnable = false;
  #onLines: ((levels: number) => void) | undefined;
  /** What onLines was told last. */
  #told = 0;

  /** An interface in its reset state. @param source the redistributor that offers interrupts */
  constructor(source: CpuInterfaceSource) {
    this.#source = source;
    this.#priorityBits = source.choices.priorityBits;
    this.#active = new ActivePriorities(this.#priorityBits);
    this.virtual = new VirtualCpuInterface(source, () => this.updateVirtual());
    this.reset();
  }

  /** Registers as after a warm reset; update() and updateVirtual() have to follow. */
  reset(): void {
    this.#pmr = 0;
    this.#bpr1 = leastBinaryPoint(this.#priorityBits);
    this.#bpr0 = this.#bpr1 - 1;
    this.#cbpr = false;
    this.#eoiMode = false;
    this.#group0 = false;
    this.#group1 = false;
    this.#sreEnable = this.#source.choices.sreEnableFixed;
    this.#active.clear();
    this.virtual.reset();
  }

  // Lines

  /** Called with the levels of all lines of this PE (bits of LINE) when one has changed. The PE decides whether it takes an interrupt. */
  get onLines(): ((levels: number) => void) | undefined {
    return this.#onLines;
  }

  set onLines(listener: ((levels: number) => void) | undefined) {
    this.#onLines = listener;
    this.#told = this.lines;
  }

  /** The levels of all lines: bits of LINE. */
  get lines(): number {
    return this.#physicalLines() | this.virtual.lines;
  }

  /** Whether the PE's IRQ input is asserted. */
  get irq(): boolean {
    return (this.#physicalLines() & LINE.IRQ) !== 0;
  }

  /** The redistributor's best candidates changed, or a register here. */
  update(): void {
    if (this.#onLines !== undefined) this.#tell((this.#told & ~(LINE.IRQ | LINE.FIQ)) | this.#physicalLines());
  }

  /** The same for the virtual half. */
  updateVirtual(): void {
    if (this.#onLines !== undefined) this.#tell((this.#told & (LINE.IRQ | LINE.FIQ)) | this.virtual.lines);
  }

  #tell(levels: number): void {
    if (levels === this.#told) return;
    this.#told = levels;
    this.#onLines?.(levels);
  }

  #physicalLines(): number {
    const group = this.#pendingGroup;
    if (group < 0) return 0;
    const { priority } = this.#candidate(group);
    if (!preempts(priority, this.#pmr, this.#active.running, this.#binaryPoint(group))) return 0;
    return group === 0 ? LINE.FIQ : LINE.IRQ;
  }

  /** The group of the highest priority pending interrupt, of the groups that are enabled here; -1 if there is none. */
  get #pendingGroup(): number {
    const zero = this.#group0 ? this.#source.best0.priority : NO_PRIORITY;
    const one = this.#group1 ? this.#source.best.priority : NO_PRIORITY;
    if (zero === NO_PRIORITY && one === NO_PRIORITY) return -1;
    return zero <= one ? 0 : 1;
  }

  #candidate(group: number): Candidate {
    return group === 0 ? this.#source.best0 : this.#source.best;
  }

  /** As groupPriority() counts them. */
  #binaryPoint(group: number): number {
    if (group === 0) return this.#bpr0 + 1;
    return this.#cbpr ? Math.min(this.#bpr0 + 1, 7) : this.#bpr1;
  }

  // What a CPU does at an interrupt

  /** ICC_IAR1_EL1: takes the best interrupt of Group 1; 1023 when there is none to take. */
  acknowledge(): number {
    return this.#acknowledge(1);
  }

  /**
   * ICC_EOIR1_EL1: priority drop, and deactivation unless EOImode splits the two.
   *
   * @param intid what acknowledge() returned, 24 bits; 1020 to 1023 do nothing
   */
  endOfInterrupt(intid: number): void {
    this.#endOfInterrupt(1, intid);
  }

  #acknowledge(group: number): number {
    if ((this.#physicalLines() & (group === 0 ? LINE.FIQ : LINE.IRQ)) === 0) return SPURIOUS;
    const { intid, priority } = this.#candidate(group);
    this.#active.activate(group, groupPriority(priority, this.#binaryPoint(group)));
    this.#source.acknowledge(intid);
    return intid;
  }

  #endOfInterrupt(group: number, intid: number): void {
    if (intid >= 1020 && intid < FIRST_LPI) return;
    const running = this.#active.group;
    if (running !== group) {
      // What is active in the other group is not ended by this register.
      if (running < 0) this.#source.unpredictable(`ICC_EOIR${group}_EL1 written with nothing active`);
      return;
    }
    this.#active.drop();
    if (!this.#eoiMode && intid < FIRST_LPI) this.#source.deactivate(intid);
    this.update();
  }

  #pending(group: number): number {
    return this.#pendingGroup === group ? this.#candidate(group).intid : SPURIOUS;
  }

  // MRS and MSR

  /**
   * MRS. A guest's view, traps and registers that are not there are as the architecture has them.
   *
   * @param encoding op0, op1, CRn, CRm and op2 in 16 bits: see registerEncoding()
   * @param into bits [31:0] and [63:32]; unchanged unless the access is done
   * @returns 'trap' or 'undefined' where the access is not done
   */
  readRegister(encoding: number, from: RegisterAccess, into: Uint32Array): RegisterOutcome {
    const register = registerAt(encoding);
    if (register === undefined || !this.has(register)) return 'undefined';
    const outcome = admit(register, false, from, this.virtual.hcr, this.#sreEnable);
    if (outcome !== 'done') return outcome;
    if (register.isList) {
      into[0] = this.virtual.listLow(register.index);
      into[1] = this.virtual.listHigh(register.index);
      return 'done';
    }
    into[1] = 0;
    if (register.kind === 'isr') into[0] = this.#isr(from);
    else into[0] = isVirtualAccess(register, from) && register.name !== 'ICC_SRE_EL2' ? this.virtual.readWord(register.name) : this.#read(register.name);
    return 'done';
  }

  /**
   * MSR, with the same traps.
   *
   * @param encoding op0, op1, CRn, CRm and op2 in 16 bits: see registerEncoding()
   * @param lo bits [31:0]
   * @param hi bits [63:32]
   * @returns 'trap' or 'undefined' where the access is not done
   */
  writeRegister(encoding: number, from: RegisterAccess, lo: number, hi: number): RegisterOutcome {
    const register = registerAt(encoding);
    if (register === undefined || !this.has(register)) return 'undefined';
    const outcome = admit(register, true, from, this.virtual.hcr, this.#sreEnable);
    if (outcome !== 'done') return outcome;
    if (register.isList) this.virtual.setList(register.index, lo, hi);
    else if (isVirtualAccess(register, from) && register.name !== 'ICC_SRE_EL2') this.virtual.writeWord(register.name, lo);
    else this.#write(register.name, lo, hi);
    return 'done';
  }

  /**
   * Whether this chip has a register: list registers by ImplementationChoices.listRegisters, active priorities registers by priorityBits.
   */
  has({ isList, isActivePriorities, index }: SystemRegister): boolean {
    if (isList) return index < this.virtual.listRegisters;
    return !isActivePriorities || index < 2 ** (this.#priorityBits - 5);
  }

  /** A physical register by name, from EL2, side effects included; ICH_* too. @throws RangeError if there is none, or it has no MRS */
  read(name: GicSystemRegister): bigint {
    const register = this.#named(name, 'wo');
    if (register.kind === 'el2' && name !== 'ICC_SRE_EL2') return this.virtual.read(name);
    return BigInt(this.#read(name));
  }

  /**
   * Writes a physical register by name, from EL2, with its side effects; ICH_* too.
   *
   * @param value 64 bits, of which most registers take the low 32
   * @throws RangeError if there is no such register, or it has no MSR
   */
  write(name: GicSystemRegister, value: bigint): void {
    const register = this.#named(name, 'ro');
    if (register.kind === 'el2' && name !== 'ICC_SRE_EL2') this.virtual.write(name, value);
    else this.#write(name, lowHalf(value), highHalf(value));
  }

  #named(name: GicSystemRegister, not: string): SystemRegister {
    const register = registerNamed(name);
    if (register === undefined || !this.has(register) || register.direction === not) {
      throw new RangeError(`"name" expected a register that can be ${not === 'wo' ? 'read' : 'written'}, got ${name}`);
    }
    return register;
  }

  #isr({ el, imo, fmo }: RegisterAccess): number {
    const physical = this.#physicalLines();
    const virtual = this.virtual.lines;
    const irq = el === 1 && imo ? virtual & LINE.VIRTUAL_IRQ : physical & LINE.IRQ;
    const fiq = el === 1 && fmo ? virtual & LINE.VIRTUAL_FIQ : physical & LINE.FIQ;
    return (irq !== 0 ? ISR_IRQ : 0) | (fiq !== 0 ? ISR_FIQ : 0);
  }

  #read(name: string): number {
    switch (name) {
      case 'ICC_PMR_EL1':
        return this.#pmr;
      case 'ICC_BPR0_EL1':
        return this.#bpr0;
      case 'ICC_BPR1_EL1':
        return this.#binaryPoint(1);
      case 'ICC_CTLR_EL1':
        return ctlr(this.#priorityBits) | (this.#eoiMode ? CTLR_EOIMODE : 0) | (this.#cbpr ? CTLR_CBPR : 0);
      case 'ICC_IGRPEN0_EL1':
        return this.#group0 ? 1 : 0;
      case 'ICC_IGRPEN1_EL1':
        return this.#group1 ? 1 : 0;
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
      case 'ICC_AP0R0_EL1':
        return this.#active.group0;
      case 'ICC_AP1R0_EL1':
        return this.#active.group1;
      case 'ICC_SRE_EL1':
        return SRE;
      case 'ICC_SRE_EL2':
        return SRE | (this.#sreEnable ? SRE_ENABLE : 0);
      case 'ISR_EL1': {
        const lines = this.#physicalLines();
        return ((lines & LINE.IRQ) !== 0 ? ISR_IRQ : 0) | ((lines & LINE.FIQ) !== 0 ? ISR_FIQ : 0);
      }
      default:
        return 0;
    }
  }

  #write(name: string, lo: number, hi: number): void {
    switch (name) {
      case 'ICC_PMR_EL1':
        this.#pmr = groupPriority(lo, leastBinaryPoint(this.#priorityBits));
        break;
      case 'ICC_BPR0_EL1':
        this.#bpr0 = Math.max(lo & 7, leastBinaryPoint(this.#priorityBits) - 1);
        break;
      case 'ICC_BPR1_EL1':
        // With CBPR writes are ignored.
        if (!this.#cbpr) this.#bpr1 = Math.max(lo & 7, leastBinaryPoint(this.#priorityBits));
        break;
      case 'ICC_CTLR_EL1':
        this.#eoiMode = (lo & CTLR_EOIMODE) !== 0;
        this.#cbpr = (lo & CTLR_CBPR) !== 0;
        break;
      case 'ICC_IGRPEN0_EL1':
        this.#group0 = (lo & 1) !== 0;
        break;
      case 'ICC_IGRPEN1_EL1':
        this.#group1 = (lo & 1) !== 0;
        break;
      case 'ICC_EOIR0_EL1':
        this.#endOfInterrupt(0, lo & 0xff_ffff);
        return;
      case 'ICC_EOIR1_EL1':
        this.#endOfInterrupt(1, lo & 0xff_ffff);
        return;
      case 'ICC_DIR_EL1':
        if (this.#eoiMode && (lo & 0xff_ffff) < 1020) this.#source.deactivate(lo & 0xff_ffff);
        break;
      case 'ICC_AP0R0_EL1':
        this.#active.group0 = lo >>> 0;
        break;
      case 'ICC_AP1R0_EL1':
        this.#active.group1 = lo >>> 0;
        break;
      case 'ICC_SGI0R_EL1':
      case 'ICC_ASGI1R_EL1':
        this.#sendSgi(lo, hi, true);
        return;
      case 'ICC_SGI1R_EL1':
        this.#sendSgi(lo, hi, false);
        return;
      case 'ICC_SRE_EL2':
        this.#sreEnable = this.#source.choices.sreEnableFixed || (lo & SRE_ENABLE) !== 0;
        return;
      default:
        return;
    }
    this.update();
  }

  /** TargetList [15:0], Aff1 [23:16], INTID [27:24], Aff2 [39:32], IRM 40, Aff3 [55:48]. */
  #sendSgi(lo: number, hi: number, group0Only: boolean): void {
    const cluster = ((hi >>> 16) & 0xff) * 0x1_0000 + (hi & 0xff) * 0x100 + ((lo >>> 16) & 0xff);
    this.#source.sendSgi((lo >>> 24) & 0xf, lo & 0xffff, cluster, (hi & 0x100) !== 0, group0Only);
  }
}
