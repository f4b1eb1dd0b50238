/** The interrupts of one container, which its objects share. Kernel: fsl_mc_populate_irq_pool(), fsl-mc-msi.c; catalogue: vfio 5.4, 5.6. */
import { EINVAL, ENOSPC, type HostIrq, type MsiController } from '@vsim/vfio-core';
import type { FslMcDevice } from './fslmc-device.ts';

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
  readonly #device: Pick<FslMcDevice, 'host' | 'sysfs'>;
  readonly #icid: number;
  readonly #events: Map<number, number>;
  #all: readonly FslMcIrq[] = [];
  readonly #free: FslMcIrq[] = [];

  /**
   * @param device whose interrupts they are: its folder shows them
   * @param events how many are in use by ICID: containers of one ICID share the events of one ITS device (its_fsl_mc_msi_prepare())
   */
  constructor(msi: MsiController, device: Pick<FslMcDevice, 'host' | 'icid' | 'sysfs'>, events: Map<number, number>) {
    this.#msi = msi;
    this.#device = device;
    this.#icid = device.icid;
    this.#events = events;
  }

  get size(): number {
    return this.#all.length;
  }

  get inUse(): number {
    return this.#all.length - this.#free.length;
  }

  /** Fills it; what is filled already stays. @returns 0; -EINVAL for 0 or more than 256; -ENOSPC where the ICID or the controller has not so many left */
  populate(count: number): number {
    if (this.#all.length > 0) return 0;
    if (count === 0 || count > IRQ_POOL_MAX) return -EINVAL;
    const used = this.#events.get(this.#icid) ?? 0;
    if (used + count > IRQ_POOL_MAX) return -ENOSPC;
    const irqs = this.#msi.allocate(this.#icid, count, false);
    if (irqs.length < count) {
      this.#msi.release(this.#icid, irqs);
      return -ENOSPC;
    }
    this.#all = irqs.map((irq, i) => ({ hwirq: this.#icid * 10_000 + i, irq }));
    this.#events.set(this.#icid, used + count);
    this.#free.push(...this.#all);
    for (const { irq } of this.#all) this.#device.host.files.constant(this.#attribute(irq), 'msi\n');
    return 0;
  }

  /** Kernel: msi_device_populate_sysfs(). */
  #attribute({ number }: HostIrq): string {
    return `${this.#device.sysfs}/msi_irqs/${number}`;
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
    if (this.#all.length > 0) this.#device.host.files.remove(`${this.#device.sysfs}/msi_irqs`);
    this.#msi.release(this.#icid, this.#all.map(({ irq }) => irq));
    const left = (this.#events.get(this.#icid) ?? 0) - this.#all.length;
    if (left > 0) this.#events.set(this.#icid, left);
    else this.#events.delete(this.#icid);
    this.#all = [];
    this.#free.length = 0;
  }
}
