/** The interrupts of one container, which its objects share. Kernel: fsl_mc_populate_irq_pool(), fsl-mc-msi.c; catalogue: vfio 5.4, 5.6. */
import { EINVAL, ENOSPC, type HostIrq, type MsiController } from '@vsim/vfio-core';

/** FSL_MC_IRQ_POOL_MAX_TOTAL_IRQS. */
export const IRQ_POOL_MAX = 256;

/** An interrupt of the pool. */
export interface FslMcIrq {
  /** ICID times 10000, plus its place in the pool: what interrupt listings show. */
  readonly hwirq: number;
  readonly irq: HostIrq;
}

export class IrqPool {
  readonly #msi: MsiController;
  readonly #icid: number;
  #all: readonly FslMcIrq[] = [];
  readonly #free: FslMcIrq[] = [];

  constructor(msi: MsiController, icid: number) {
    this.#msi = msi;
    this.#icid = icid;
  }

  get size(): number {
    return this.#all.length;
  }

  get inUse(): number {
    return this.#all.length - this.#free.length;
  }

  /** Fills it; what is filled already stays. @returns 0; -EINVAL for 0 or more than 256; -ENOSPC where the controller has not so many */
  populate(count: number): number {
    if (this.#all.length > 0) return 0;
    if (count === 0 || count > IRQ_POOL_MAX) return -EINVAL;
    const irqs = this.#msi.allocate(this.#icid, count, false);
    if (irqs.length < count) {
      this.#msi.release(this.#icid, irqs);
      return -ENOSPC;
    }
    this.#all = irqs.map((irq, i) => ({ hwirq: this.#icid * 10_000 + i, irq }));
    this.#free.push(...this.#all);
    return 0;
  }

  /** Takes all or nothing: -ENOSPC. */
  take(count: number): readonly FslMcIrq[] | number {
    return this.#free.length < count ? -ENOSPC : this.#free.splice(0, count);
  }

  /** They go to the end of the free list. */
  give(irqs: readonly FslMcIrq[]): void {
    this.#free.push(...irqs);
  }

  /** fsl_mc_cleanup_irq_pool(): nothing happens while one is taken. */
  cleanup(): void {
    if (this.inUse > 0) return;
    this.#msi.release(this.#icid, this.#all.map(({ irq }) => irq));
    this.#all = [];
    this.#free.length = 0;
  }
}
