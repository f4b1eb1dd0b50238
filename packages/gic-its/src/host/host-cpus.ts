import type { Host, Point, Scheduler, Sleeps, Trace } from '@vsim/vfio-core';
import { GICD, LINE, SPURIOUS, type Gic } from '../hardware/index.ts';
import { INTERRUPT_LOST, UNEXPECTED_INTERRUPT } from './events.ts';

/** GICD_CTLR: affinity routing and Group 1. */
const GICD_CTLR_GRP1 = 0x12;
/** The kernel's priority mask: below it, everything is taken. */
const PMR_OPEN = 0xf0n;

/** After a handler has done its work, before it returns: hold threads here to see an interrupt come again on another CPU meanwhile. */
export const IRQ_HANDLED: Point = { point: 'gic-host/irq-handled' };

/** A vCPU on its CPU. */
export interface RunningGuest {
  /** Its virtual IRQ is asserted. */
  virtualInterrupt(): void;
  /** So is the maintenance interrupt: what counts is that it leaves the guest, so no handler runs. */
  maintenance(): void;
}

/**
 * The host's CPUs as far as interrupts go: each takes what its CPU interface signals, runs the handler, and ends it.
 *
 * Kernel: gic_handle_irq() of irq-gic-v3.c. Handlers run inside the access that raised the interrupt, unless interrupts are off
 * (a section of the driver that holds a raw spinlock) or the CPU is in a handler already; then when that ends. A handler that is held at
 * IRQ_HANDLED has done its work and not returned: its CPU takes nothing, others do, and of the same interrupt handle_fasteoi_irq() thinks
 * that it is in progress.
 * Not modelled: SGIs between CPUs, threaded handlers, nesting.
 */
export class HostCpus {
  readonly #gic: Gic;
  readonly #trace: Trace;
  readonly #handlers = new Map<number, () => void>();
  readonly #busy: boolean[];
  readonly #scheduler: Scheduler;
  readonly #resends: boolean;
  /** Interrupts whose handlers have not returned, and whether they came again. Kernel: IRQD_IRQ_INPROGRESS, IRQS_PENDING. */
  readonly #inProgress = new Map<number, boolean>();
  /** The vCPU that each CPU runs; undefined when it runs none. */
  readonly guests: (RunningGuest | undefined)[];
  /** vCPUs, of all VMs, that want a CPU while none is free: the first is told when one is. */
  readonly waiting: { kick(): void }[] = [];
  /** CPUs whose IRQ came while interrupts were off. */
  readonly #missed: boolean[];
  readonly #offline = new Set<number>();
  #off = 0;

  /**
   * Enables affinity routing and Group 1, and opens every CPU interface.
   *
   * @param resends an interrupt that comes while it is in progress is handled again after that
   */
  constructor(host: Host, gic: Gic, resends: boolean) {
    this.#gic = gic;
    this.#scheduler = host.scheduler;
    this.#resends = resends;
    this.#trace = host.trace;
    this.#busy = gic.redistributors.map(() => false);
    this.guests = gic.redistributors.map(() => undefined);
    this.#missed = gic.redistributors.map(() => false);
    host.memory.write32(gic.distributorBase + GICD.CTLR, GICD_CTLR_GRP1);
    gic.redistributors.forEach(({ cpu }, n) => {
      cpu.write('ICC_PMR_EL1', PMR_OPEN);
      cpu.write('ICC_IGRPEN1_EL1', 1n);
      const onLines = (levels: number): void => {
        if ((levels & LINE.IRQ) !== 0) this.#take(n);
        if ((levels & LINE.MAINTENANCE) !== 0) this.guests[n]?.maintenance();
        if ((levels & LINE.VIRTUAL_IRQ) !== 0) this.guests[n]?.virtualInterrupt();
      };
      cpu.onLines = onLines;
    });
  }

  /** How many CPUs there are, as many as redistributors. */
  get count(): number {
    return this.#busy.length;
  }

  /** Whether a CPU is there and not switched off. @param cpu any number */
  isOnline(cpu: number): boolean {
    return cpu >= 0 && cpu < this.count && !this.#offline.has(cpu);
  }

  /**
   * Its CPU interface takes interrupts, or none: they wait. ItsDriver.offlineCpu() and onlineCpu() do the rest.
   *
   * @internal
   * @param cpu below `count`
   */
  setOnline(cpu: number, online: boolean): void {
    if (online) this.#offline.delete(cpu);
    else this.#offline.add(cpu);
    this.#gic.cpu(cpu).write('ICC_IGRPEN1_EL1', online ? 1n : 0n);
  }

  /** A CPU that runs no vCPU; undefined if there is none. @param first is asked first: any number */
  free(first: number): number | undefined {
    const free = (cpu: number): boolean => this.isOnline(cpu) && this.guests[cpu] === undefined;
    if (free(first)) return first;
    const cpu = this.guests.findIndex((_, n) => free(n));
    return cpu < 0 ? undefined : cpu;
  }

  /**
   * Hangs a handler on an INTID, or with undefined takes it away.
   *
   * @param intid what ICC_IAR1_EL1 gives: an LPI from 8192 on, or a PPI or SPI
   */
  setHandler(intid: number, handler: (() => void) | undefined): void {
    if (handler === undefined) this.#handlers.delete(intid);
    else this.#handlers.set(intid, handler);
  }

  /** Runs `section` with interrupts off, then takes what came meanwhile. Kernel: raw_spin_lock_irqsave(). */
  withoutInterrupts<T>(section: () => T): T {
    this.#off += 1;
    try {
      return section();
    } finally {
      this.#off -= 1;
      for (let cpu = 0; cpu < this.#missed.length && this.#off === 0; cpu += 1) if (this.#missed[cpu] === true) this.#take(cpu);
    }
  }

  #take(cpu: number): void {
    this.#missed[cpu] = this.#off > 0;
    if (this.#off > 0 || this.#busy[cpu] === true) return;
    this.#busy[cpu] = true;
    const port = this.#gic.cpu(cpu);
    for (let intid = port.acknowledge(); intid !== SPURIOUS; intid = port.acknowledge()) {
      if (!this.#handle(cpu, intid)) return;
      port.endOfInterrupt(intid);
    }
    this.#busy[cpu] = false;
  }

  /** handle_fasteoi_irq(). @returns false if the handler does not return yet: the rest is its thread's */
  #handle(cpu: number, intid: number): boolean {
    const handler = this.#handlers.get(intid);
    if (handler === undefined) {
      if (this.#trace.on) this.#trace.emit(UNEXPECTED_INTERRUPT, { cpu, intid });
      return true;
    }
    if (this.#inProgress.has(intid)) {
      if (this.#resends) this.#inProgress.set(intid, true);
      else if (this.#trace.on) this.#trace.emit(INTERRUPT_LOST, { cpu, intid });
      return true;
    }
    handler();
    if (!this.#scheduler.holds(IRQ_HANDLED)) return true;
    this.#inProgress.set(intid, false);
    this.#scheduler.spawn(`irq ${intid}`, this.#return(cpu, intid));
    return false;
  }

  /** The end of a handler that was held; check_irq_resend(). */
  *#return(cpu: number, intid: number): Sleeps<void> {
    yield IRQ_HANDLED;
    const again = this.#inProgress.get(intid) === true;
    this.#inProgress.delete(intid);
    this.#gic.cpu(cpu).endOfInterrupt(intid);
    if (again) this.#handlers.get(intid)?.();
    this.#busy[cpu] = false;
    this.#take(cpu);
  }
}
