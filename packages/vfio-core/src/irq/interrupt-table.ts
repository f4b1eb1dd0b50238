import type { FileTree } from '../host/file-tree.ts';

/** What a handler that was requested shows. */
export interface InterruptRow {
  /** The Linux irq number. */
  readonly irq: number;
  /** The interrupt controller, as it calls itself. */
  readonly controller: string;
  /** Its number there. */
  readonly hardware: number;
  /** Level-triggered; else by an edge. */
  readonly level: boolean;
  /** As request_irq() was given it, e.g. `vfio-irq[34](9010000.pl031)`. */
  readonly name: string;
}

/** Below are the architecture's own. */
const FIRST_IRQ = 16;

/** Who has asked for which interrupt: /proc/interrupts. Kernel: show_interrupts(). Not modelled: how often each CPU took it. */
export class InterruptTable {
  readonly #rows = new Set<InterruptRow>();
  #next = FIRST_IRQ;

  /** Made by Host, as `interrupts`. */
  constructor(files: FileTree) {
    files.constant('/proc/interrupts', () => this.#text());
  }

  /** What is shown, by ascending irq number. */
  get rows(): readonly InterruptRow[] {
    return [...this.#rows].sort((a, b) => a.irq - b.irq);
  }

  /** irq_domain_alloc_descs(): the next Linux irq number, from 16 on. */
  allocate(): number {
    this.#next += 1;
    return this.#next - 1;
  }

  /** request_irq() was granted. @returns what free_irq() takes away */
  add(row: InterruptRow): () => void {
    this.#rows.add(row);
    return () => {
      this.#rows.delete(row);
    };
  }

  #text(): string {
    return this.rows.map(({ irq, controller, hardware, level, name }) => `${`${irq}:`.padStart(4)} ${controller} ${hardware} ${level ? 'Level' : 'Edge'} ${name}\n`).join('');
  }
}
