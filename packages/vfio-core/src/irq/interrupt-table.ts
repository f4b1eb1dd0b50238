/** Who has asked for which interrupt: /proc/interrupts. Kernel: show_interrupts(). Not modelled: how often each CPU took it. */
import type { FileTree } from '../host/file-tree.ts';

/** What a handler that was requested shows. */
export interface InterruptRow {
  /** The Linux irq number. */
  readonly irq: number;
  /** The interrupt controller, and its number there. */
  readonly controller: string;
  readonly hardware: number;
  readonly level: boolean;
  /** As request_irq() was given it, e.g. `vfio-irq[34](9010000.pl031)`. */
  readonly name: string;
}

/** Below are the architecture's own. */
const FIRST_IRQ = 16;

export class InterruptTable {
  readonly #rows = new Set<InterruptRow>();
  #next = FIRST_IRQ;

  constructor(files: FileTree) {
    files.constant('/proc/interrupts', () => this.#text());
  }

  get rows(): readonly InterruptRow[] {
    return [...this.#rows].sort((a, b) => a.irq - b.irq);
  }

  /** irq_domain_alloc_descs(): the next Linux irq number. */
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
