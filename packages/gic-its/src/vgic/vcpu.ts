import { EBUSY, EINVAL, invariant } from '@vsim/vfio-core';
import { SPURIOUS } from '../hardware/index.ts';
import type { ItsVpe } from '../host/index.ts';
import type { KvmVm } from './kvm-vm.ts';
import { INTERRUPT_TAKEN, VCPU_LOADED, VCPU_PUT, VPE_NOT_MAPPED } from './events.ts';
import { PrivateInterrupts } from './private-interrupts.ts';
import type { VgicIrq } from './vgic-irq.ts';

const LR_ACTIVE = 0x8000_0000;
const LR_PENDING = 0x4000_0000;
const LR_HW = 0x2000_0000;
// ICH_HCR_EL2: En, and what a maintenance interrupt is wanted for.
const HCR_EN = 1;
const HCR_UIE = 2;
const HCR_NPIE = 8;
const HCR_VGRP0E = 0x10;
const HCR_VGRP0D = 0x20;
const HCR_VGRP1E = 0x40;
const HCR_VGRP1D = 0x80;
const HCR_VSGI_EOI_COUNT = 0x100;
const VMCR_ENG0 = 1;
const VMCR_ENG1 = 2;
const SGIS = 16;
/** EOI: the end of it is told. */
const LR_EOI = 0x200;
const FIRST_SPI = 32;
const FIRST_SPECIAL = 1020;
/** SPIs from one interrupt of the host's timer to the next: any number will do. */
const SPIS_PER_TICK = 256;
const LR_GROUP1 = 0x1000_0000;

/** PPIs of EL1's virtual and physical timer, unless user space moved them. */
const TIMER_PPIS = [27, 30] as const;

/** 'running' is on a CPU, in KVM_RUN; 'blocked' waits in KVM_RUN, in WFI, for an interrupt or a CPU; 'stopped' is outside of KVM_RUN. */
export type VcpuState = 'stopped' | 'running' | 'blocked';

/**
 * A vCPU: where it runs, what its guest sees of the CPU interface, and its vPE.
 *
 * Kernel: kvm_vgic_load(), kvm_vgic_put(), kvm_vgic_flush_hwstate(), kvm_vgic_sync_hwstate(), kvm_vgic_vcpu_pending_irq().
 * A running vCPU sits on a physical CPU, whose virtual CPU interface has its list registers and its vPE. Guest
 * code is the caller's: onInterrupt runs when the virtual IRQ is asserted, as the vector at VBAR_EL1 would.
 * Modelled: run, stop, WFI with doorbell, moving between CPUs, list registers. Not modelled: PSTATE.I beyond `irqsMasked`.
 */
export class Vcpu {
  /** The VM that it is of. */
  readonly vm: KvmVm;
  /** What KVM_CREATE_VCPU was asked for. Kernel: vcpu_id. */
  readonly id: number;
  /** How many vCPUs were there before. Kernel: vcpu_idx. */
  readonly index: number;
  /** Affinity fields of the guest's MPIDR_EL1, Aff3 to Aff0 from the top. Kernel: reset_mpidr(), which keeps Aff0 below 16 for SGIs. */
  affinity: number;
  /** Pending and active interrupts of this vCPU, in the order in which they came. Kernel: ap_list. */
  readonly queue: VgicIrq[] = [];
  /** SGIs and PPIs. */
  readonly privates: PrivateInterrupts;
  /** The hardware's handle of this vCPU, once the vgic is initialised on a host with GICv4. */
  vpe: ItsVpe | undefined;
  /** VLPIs that target this vCPU. */
  vlpiCount = 0;
  /** It is on a CPU again, or a CPU may be free for it. */
  onWake: (() => void) | undefined;
  /** The guest's interrupt vector. */
  onInterrupt: (() => void) | undefined;
  /** PSTATE.I. */
  irqsMasked = false;
  /** GICR_PENDBASER in halves, the low one first. */
  readonly pendbaser: Uint32Array = new Uint32Array([0x580, 0]);
  /** GICR_CTLR.EnableLPIs. */
  lpisEnabled = false;
  #state: VcpuState = 'stopped';
  #cpu = 0;
  #inGuestHandler = false;
  /** Guest code runs, and list registers hold what it may take. */
  #inGuest = false;
  /** ICH_HCR_EL2 of its last stay in the guest. */
  #hcr = HCR_EN;
  /** Interrupts that the guest took. */
  #acknowledged = 0;
  /** SPIs that it took since the last tick. */
  #servedSpis = 0;
  /** ICH_VMCR_EL2 as it was when the vCPU last left the guest. */
  vmcr = 0n;
  /** ICH_AP0R0_EL2 as it was when the vCPU last left the guest. */
  ap0r = 0n;
  /** ICH_AP1R0_EL2 as it was when the vCPU last left the guest. */
  ap1r = 0n;
  /** What each list register stands for. */
  readonly #loaded: (VgicIrq | undefined)[] = [];

  /**
   * Made by KvmVm.createVcpu().
   *
   * @internal
   * @param id below 512
   * @param index how many vCPUs were there before
   */
  constructor(vm: KvmVm, id: number, index: number) {
    this.vm = vm;
    this.privates = new PrivateInterrupts(vm, this);
    this.id = id;
    this.index = index;
    this.affinity = (id & 0xf) | (((id >>> 4) & 0xff) << 8) | (((id >>> 12) & 0xff) << 16);
  }

  /** Whether it is in KVM_RUN, and on a CPU. */
  get state(): VcpuState {
    return this.#state;
  }

  /** The physical CPU on which it runs, or ran last. */
  get cpu(): number {
    return this.#cpu;
  }

  /**
   * KVM_RUN on a physical CPU, until stop().
   *
   * @param cpu of the host, counted from 0
   * @returns 0; -EINVAL for a CPU that does not exist or is offline, or a vCPU that runs; -EBUSY where another vCPU runs; what
   * KvmVm.firstRun() says
   */
  run(cpu: number): number {
    const { cpus } = this.vm.driver;
    if (this.#state === 'running' || !cpus.isOnline(cpu)) return -EINVAL;
    if (cpus.guests[cpu] !== undefined) return -EBUSY;
    const error = this.vm.firstRun(this);
    if (error < 0) return error;
    // kvm_timer_enable(): from here on these are the kernel's.
    for (const intid of TIMER_PPIS) this.privates.irq(intid)!.owned = this.vm.vgic !== undefined;
    this.#load(cpu);
    this.enterGuest();
    return 0;
  }

  /** The vCPU leaves KVM_RUN: its vPE is not resident any more, and list registers are folded back. One that sleeps is woken for it, by a signal. */
  stop(): void {
    const cpu = this.#state === 'blocked' ? this.vm.cpuFor(this) : undefined;
    if (cpu !== undefined) this.#load(cpu);
    if (this.#state === 'running') this.#put(false);
    this.#state = 'stopped';
    this.vm.cpuFreed(this);
  }

  /** The guest executes WFI: it blocks unless something is pending, with a doorbell requested. */
  wfi(): void {
    // It completes at once where something is signalled, and is not trapped.
    if (this.#state !== 'running' || this.#irqAsserted) return;
    this.#put(true);
    this.#state = 'blocked';
    // Its CPU may be taken already: by a vCPU that the same doorbell woke.
    this.kick();
    if (this.state === 'blocked') this.vm.cpuFreed(this);
  }

  /** Whether a blocked vCPU has a reason to run. Kernel: kvm_vgic_vcpu_pending_irq(). */
  get hasPendingInterrupt(): boolean {
    if (!this.vm.distributorEnabled) return false;
    this.vm.work += this.queue.length;
    if (this.vpe?.pendingLast === true) return true;
    const pmr = Number((this.vmcr >> 24n) & 0xffn);
    return this.queue.some((irq) => irq.enabled && irq.pending && !irq.active && irq.priority < pmr);
  }

  /** Something changed for this vCPU: a blocked one wakes, a running one looks at its list again. */
  kick(): void {
    if (this.#state === 'blocked') {
      const cpu = this.hasPendingInterrupt ? this.vm.cpuFor(this) : undefined;
      if (cpu === undefined) return;
      this.#load(cpu);
      this.enterGuest();
    } else if (this.#inGuest) {
      this.exitGuest();
      this.enterGuest();
    } else if (this.#state === 'stopped') {
      this.onWake?.();
    }
  }

  /** The distributor's enable changed: the vPE is loaded again with the new group enable. */
  reload(): void {
    if (this.#state !== 'running') return;
    const inGuest = this.#inGuest;
    this.#put(false);
    this.#load(this.#cpu);
    if (inGuest) this.enterGuest();
  }

  /** Out of guest mode, still loaded: list registers are folded back, before anybody looks. Kernel: kvm_vgic_sync_hwstate(). */
  exitGuest(): void {
    if (!this.#inGuest) return;
    this.#inGuest = false;
    this.#fold();
  }

  /** Back into guest mode. Kernel: kvm_vgic_flush_hwstate(). */
  enterGuest(): void {
    if (this.#state === 'running' && !this.#inGuest) this.#flush();
  }

  /** The virtual IRQ of its CPU rose. @internal */
  virtualInterrupt(): void {
    this.#signal();
  }

  /** Out of the guest and back: list registers are filled anew. Kernel: vgic_maintenance_handler() does nothing @internal */
  maintenance(): void {
    if (!this.#inGuest) return;
    this.exitGuest();
    this.enterGuest();
  }

  // What guest code does

  /** ICC_IAR1_EL1 read by the guest; 1023 when there is nothing, or the vCPU does not run. */
  acknowledge(): number {
    if (this.#state !== 'running') return SPURIOUS;
    const intid = this.vm.driver.gic.cpu(this.#cpu).virtual.acknowledge();
    if (intid === SPURIOUS) return intid;
    this.#acknowledged += 1;
    if (this.vm.trace.followed) this.vm.trace.step(INTERRUPT_TAKEN, { vm: this.vm.number, vcpu: this.id, intid });
    if (this.vm.profile.tellsSeenEndsOnly && intid >= FIRST_SPI && intid < FIRST_SPECIAL) this.#tick();
    return intid;
  }

  /** The host's own timer interrupts the guest now and then, here while it serves an SPI: without it one that comes again and again would for ever. */
  #tick(): void {
    this.#servedSpis = (this.#servedSpis + 1) % SPIS_PER_TICK;
    if (this.#servedSpis !== 0) return;
    this.exitGuest();
    this.enterGuest();
  }

  /** ICC_EOIR1_EL1 written by the guest. @param intid what acknowledge() returned */
  endOfInterrupt(intid: number): void {
    if (this.#state !== 'running') return;
    this.vm.driver.gic.cpu(this.#cpu).virtual.endOfInterrupt(intid);
    this.#timerRings(intid);
  }

  /** ICC_PMR_EL1 written by the guest. @param mask 8 bits, of which the upper five count */
  setPriorityMask(mask: number): void {
    if (this.#state === 'running') this.vm.driver.gic.cpu(this.#cpu).virtual.write('ICC_PMR_EL1', BigInt(mask));
    else this.vmcr = (this.vmcr & 0xff_ffffn) | (BigInt(mask & 0xf8) << 24n);
    this.#signal();
  }

  /** ICC_IGRPEN1_EL1 written by the guest. */
  setGroup1(enabled: boolean): void {
    if (this.#state === 'running') this.vm.driver.gic.cpu(this.#cpu).virtual.write('ICC_IGRPEN1_EL1', enabled ? 1n : 0n);
    else this.vmcr = (this.vmcr & ~2n) | (enabled ? 2n : 0n);
    this.#signal();
  }

  /** ICC_SGI1R_EL1 written by the guest: an SGI to vCPUs of one cluster, or to all but this one. @param value the register's 64 bits */
  sendSgi(value: bigint): void {
    const sgi = Number((value >> 24n) & 0xfn);
    const targets = Number(value & 0xffffn);
    const cluster = Number((((value >> 48n) & 0xffn) << 16n) | (((value >> 32n) & 0xffn) << 8n) | ((value >> 16n) & 0xffn));
    const others = ((value >> 40n) & 1n) !== 0n;
    const { vcpusById } = this.vm.profile;
    this.exitGuest();
    for (const vcpu of this.vm.vcpus) {
      const level0 = vcpu.affinity & 0xff;
      const listed = vcpu.affinity >>> 8 === cluster && level0 < 16 && (targets & (1 << level0)) !== 0;
      if (others ? (vcpusById ? vcpu === this : vcpu.index === this.id) : !listed) continue;
      vcpu.privates.send(sgi, true);
    }
    this.enterGuest();
  }

  /** ICC_DIR_EL1 written by the guest, with EOImode 1. @param intid SGI, PPI or SPI */
  deactivate(intid: number): void {
    if (this.#state !== 'running') return;
    this.vm.driver.gic.cpu(this.#cpu).virtual.write('ICC_DIR_EL1', BigInt(intid));
    this.#timerRings(intid);
  }

  /** The guest's end is the end of the host's timer interrupt, which comes again while the timer's output is up: an exit. Kernel: kvm_arch_timer_handler() */
  #timerRings(intid: number): void {
    const irq = TIMER_PPIS.some((ppi) => ppi === intid) ? this.privates.irq(intid) : undefined;
    if (irq?.owned === true && irq.lineLevel) this.kick();
  }

  /**
   * The output of the guest's virtual timer, PPI 27, which the kernel alone raises once the vCPU has run. Not modelled: what the timer
   * counts.
   *
   * Kernel: kvm_timer_update_irq()
   *
   * @param level of the timer's output
   */
  setTimer(level: boolean): void {
    const irq = this.privates.irq(TIMER_PPIS[0])!;
    irq.lineLevel = level;
    if (level) this.vm.queue(irq);
  }

  /** Whether the virtual IRQ is asserted. */
  get interruptAsserted(): boolean {
    return this.#irqAsserted;
  }

  // Loading

  #load(cpu: number): void {
    const { cpus } = this.vm.driver;
    invariant(cpus.guests[cpu] === undefined, `cpu ${cpu} runs another vcpu`);
    cpus.guests[cpu] = this;
    this.#cpu = cpu;
    this.#state = 'running';
    if (this.vm.trace.followed) this.vm.trace.step(VCPU_LOADED, { vm: this.vm.number, vcpu: this.id, cpu, vpe: this.vpe?.vpeid });
    const port = this.vm.driver.gic.cpu(cpu);
    port.virtual.write('ICH_VMCR_EL2', this.vmcr);
    port.virtual.write('ICH_AP0R0_EL2', this.ap0r);
    port.virtual.write('ICH_AP1R0_EL2', this.ap1r);
    port.virtual.write('ICH_HCR_EL2', 1n);
    // vgic_v4_load(): the vPE where this CPU is, then resident.
    if (this.vpe !== undefined) {
      if (this.vpe.setAffinity(cpu) === 0) this.vpe.makeResident(false, this.vm.distributorEnabled);
      else if (this.vm.trace.on) this.vm.trace.emit(VPE_NOT_MAPPED, { vcpu: this.id });
    }
    this.onWake?.();
  }

  #put(doorbell: boolean): void {
    const port = this.vm.driver.gic.cpu(this.#cpu);
    this.exitGuest();
    // kvm_vcpu_wfi() has VMCR in memory before it asks for a doorbell.
    if (doorbell) this.vmcr = port.virtual.read('ICH_VMCR_EL2');
    this.#state = 'stopped';
    this.vpe?.makeNonResident(doorbell);
    this.vmcr = port.virtual.read('ICH_VMCR_EL2');
    this.ap0r = port.virtual.read('ICH_AP0R0_EL2');
    this.ap1r = port.virtual.read('ICH_AP1R0_EL2');
    port.virtual.write('ICH_HCR_EL2', 0n);
    this.vm.driver.cpus.guests[this.#cpu] = undefined;
    if (this.vm.trace.followed) this.vm.trace.step(VCPU_PUT, { vm: this.vm.number, vcpu: this.id, cpu: this.#cpu, blocks: doorbell });
  }

  /** List registers back to the interrupts that they stand for, then pruning. Kernel: vgic_v3_fold_lr_state() */
  #fold(): void {
    const port = this.vm.driver.gic.cpu(this.#cpu).virtual;
    // Kernels that follow groups turn it off at each exit, others only where list registers are in use.
    if (this.vm.profile.followsGroups) port.write('ICH_HCR_EL2', 0n);
    else if (this.#loaded.some((irq) => irq !== undefined)) port.write('ICH_HCR_EL2', BigInt(this.#hcr & ~HCR_EN));
    for (let n = 0; n < port.listRegisters; n += 1) {
      const irq = this.#loaded[n];
      if (irq === undefined) continue;
      const high = port.listHigh(n);
      // The guest is done with a level: whoever raised it may look whether it still stands.
      if ((high & (LR_PENDING | LR_ACTIVE)) === 0 && (high & LR_EOI) !== 0 && irq.intid >= FIRST_SPI) {
        if (irq.active || !this.vm.profile.tellsSeenEndsOnly) this.vm.irqfds.acknowledged(irq.intid);
        else this.vm.irqfds.endUnseen(irq.intid);
      }
      // LPIs have no active state.
      if (!irq.isLpi) irq.active = (high & LR_ACTIVE) !== 0;
      if (irq.edge && (high & LR_PENDING) !== 0) irq.pendingLatch = true;
      if (!irq.edge && (high & (LR_PENDING | LR_ACTIVE)) === 0) irq.pendingLatch = false;
      port.setList(n, 0, 0);
      this.#loaded[n] = undefined;
    }
    this.vm.lpis.prune(this);
  }

  /** The queue to list registers: if it is too long, in order of rank. An edge is consumed when it is written. Kernel: vgic_flush_lr_state() */
  #flush(): void {
    this.vm.work += this.queue.length;
    const port = this.vm.driver.gic.cpu(this.#cpu).virtual;
    if (this.queue.length > port.listRegisters) this.queue.sort(byRank);
    const ready = this.queue.filter((irq) => this.vm.lpis.oracle(irq) === this);
    this.#hcr = this.#control(ready);
    port.write('ICH_HCR_EL2', BigInt(this.#hcr));
    ready.slice(0, port.listRegisters).forEach((irq, n) => {
      port.setList(n, irq.intid, listRegister(irq));
      if (irq.edge) irq.pendingLatch = false;
      this.#loaded[n] = irq;
    });
    this.#inGuest = true;
    this.#signal();
  }

  /** ICH_HCR_EL2: which maintenance interrupts are wanted. Kernel: vgic_set_underflow(), vgic_v3_configure_hcr() */
  #control(ready: readonly VgicIrq[]): number {
    const port = this.vm.driver.gic.cpu(this.#cpu).virtual;
    const overflow = ready.length > port.listRegisters;
    if (!this.vm.profile.followsGroups) return HCR_EN | (overflow ? HCR_UIE : 0);
    const vmcr = Number(port.read('ICH_VMCR_EL2'));
    const groups = ((vmcr & VMCR_ENG0) === 0 ? HCR_VGRP0E : HCR_VGRP0D) | ((vmcr & VMCR_ENG1) === 0 ? HCR_VGRP1E : HCR_VGRP1D);
    const outside = overflow ? HCR_UIE | (ready.slice(port.listRegisters).some(({ pending }) => pending) ? HCR_NPIE : 0) : 0;
    return HCR_EN | groups | outside | (ready.some(({ intid }) => intid < SGIS) ? 0 : HCR_VSGI_EOI_COUNT);
  }

  /** Enters the guest's vector while its IRQ is asserted and it takes interrupts. */
  #signal(): void {
    if (this.#inGuestHandler || !this.#inGuest) return;
    this.#inGuestHandler = true;
    while (this.onInterrupt !== undefined && !this.irqsMasked && this.#irqAsserted) {
      const before = this.#acknowledged;
      this.onInterrupt();
      // A guest whose vector takes nothing is left alone until its line changes or it is kicked.
      if (this.#acknowledged === before) break;
    }
    this.#inGuestHandler = false;
  }

  get #irqAsserted(): boolean {
    return this.#state === 'running' && this.vm.driver.gic.cpu(this.#cpu).virtual.irq;
  }
}

/** The high half of a list register. Kernel: vgic_v3_populate_lr() */
function listRegister(irq: VgicIrq): number {
  // A level that is active is not made pending beside: its EOI is what brings the next look at it.
  const pending = irq.pending && (irq.edge || !irq.active);
  // One that is forwarded says so, of physical INTID 0; a timer's is the host's timer's, whose end the hardware makes of the guest's.
  const kind = irq.owned ? LR_HW | irq.intid : irq.hw && irq.isLpi ? LR_HW : irq.edge ? 0 : LR_EOI;
  return ((irq.active ? LR_ACTIVE : 0) | (pending ? LR_PENDING : 0) | kind | (irq.group1 ? LR_GROUP1 : 0) | (irq.priority << 16)) >>> 0;
}

/** Active ones first, then those that can be delivered, by priority. Kernel: vgic_irq_cmp() */
function byRank(a: VgicIrq, b: VgicIrq): number {
  if (a.active || b.active) return Number(b.active) - Number(a.active);
  const [first, second] = [a.enabled && a.pending, b.enabled && b.pending];
  return first && second ? a.priority - b.priority : Number(second) - Number(first);
}
