/**
 * The host's CPUs as far as interrupts go: each takes what its CPU interface signals, runs the handler, and ends it.
 *
 * Kernel: gic_handle_irq() of irq-gic-v3.c. Handlers run inside the access that raised the interrupt, unless interrupts are off
 * (a section of the driver that holds a raw spinlock) or the CPU is in a handler already; then when that ends.
 * Not modelled: SGIs between CPUs, threaded handlers, nesting.
 */
import type { Host, Trace } from '@vsim/vfio-core';
import { GICD, LINE, SPURIOUS, type Gic } from '../hardware/index.ts';
import { UNEXPECTED_INTERRUPT } from './events.ts';

/** GICD_CTLR: affinity routing and Group 1. */
const GICD_CTLR_GRP1 = 0x12;
/** The kernel's priority mask: below it, everything is taken. */
const PMR_OPEN = 0xf0n;

/** A vCPU in guest mode: its virtual IRQ is asserted. */
export interface RunningGuest {
  virtualInterrupt(): void;
}

export class HostCpus {
  readonly #gic: Gic;
  readonly #trace: Trace;
  readonly #handlers = new Map<number, () => void>();
  readonly #busy: boolean[];
  /** The vCPU that each CPU runs; undefined when it runs none. */
  readonly guests: (RunningGuest | undefined)[];
  #off = 0;

  constructor(host: Host, gic: Gic) {
    this.#gic = gic;
    this.#trace = host.trace;
    this.#busy = gic.redistributors.map(() => false);
    this.guests = gic.redistributors.map(() => undefined);
    host.memory.write32(gic.distributorBase + GICD.CTLR, GICD_CTLR_GRP1);
    gic.redistributors.forEach(({ cpu }, n) => {
      cpu.write('ICC_PMR_EL1', PMR_OPEN);
      cpu.write('ICC_IGRPEN1_EL1', 1n);
      cpu.onLines = (levels) => {
        if ((levels & LINE.IRQ) !== 0) this.#take(n);
        if ((levels & LINE.VIRTUAL_IRQ) !== 0) this.guests[n]?.virtualInterrupt();
      };
    });
  }

  get count(): number {
    return this.#busy.length;
  }

  /** Hangs a handler on an INTID, or takes it away. */
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
      if (this.#off === 0) for (let cpu = 0; cpu < this.#busy.length; cpu += 1) this.#take(cpu);
    }
  }

  #take(cpu: number): void {
    if (this.#off > 0 || this.#busy[cpu] === true) return;
    this.#busy[cpu] = true;
    const port = this.#gic.cpu(cpu);
    for (let intid = port.acknowledge(); intid !== SPURIOUS; intid = port.acknowledge()) {
      const handler = this.#handlers.get(intid);
      if (handler !== undefined) handler();
      else if (this.#trace.on) this.#trace.emit(UNEXPECTED_INTERRUPT, { cpu, intid });
      port.endOfInterrupt(intid);
    }
    this.#busy[cpu] = false;
  }
}
