import { EINVAL, ENODEV, ENOSPC, eventKind, type Device, type EventKind, type HostIrq, type MsiController } from '@vsim/vfio-core';

/** Interrupts of one container at most: FSL_MC_IRQ_POOL_MAX_TOTAL_IRQS. */
export const IRQ_POOL_MAX = 256;

/** The interrupts of a container were given back, and its domain is still there: they cannot be had again before its driver goes (Linux 7.3). */
export const DOMAIN_LEFT: EventKind<{ readonly dprc: string }> = eventKind(
  'fsl-mc/domain-left',
  'warn',
  ({ dprc }) => `${dprc}: its interrupt domain is left over from the last time: no interrupts until it is bound anew`,
);

/** What the containers of a kernel share. */
export interface IrqSpace {
  /** Interrupts in use by ICID: containers of one ICID share the events of one ITS device (its_fsl_mc_msi_prepare()). */
  readonly used: Map<number, number>;
  /** The kernel says once in its life that a domain is left over. */
  warned: boolean;
}

/** An interrupt of the pool. */
export interface FslMcIrq {
  /** Its place in the pool, before 7.3 plus ICID times 10000: what interrupt listings show. */
  readonly hwirq: number;
  /** The host's interrupt: its Linux irq number and its message. */
  readonly irq: HostIrq;
}

/** The interrupts of one container, which its objects share. Kernel: fsl_mc_populate_irq_pool(), fsl-mc-msi.c. */
export class IrqPool {
  readonly #msi: MsiController;
  readonly #device: Pick<Device, 'host' | 'name' | 'sysfs'>;
  readonly #icid: number;
  readonly #space: IrqSpace;
  /** Made when it is filled, by kernels that make one; never taken away. */
  #hasDomain = false;
  #all: readonly FslMcIrq[] = [];
  readonly #free: FslMcIrq[] = [];

  /**
   * @param msi where it gets them
   * @param device whose interrupts they are: its folder shows them
   * @param space what it shares with the other containers
   */
  constructor(msi: MsiController, device: Pick<Device, 'host' | 'name' | 'sysfs'> & { readonly icid: number }, space: IrqSpace) {
    this.#msi = msi;
    this.#device = device;
    this.#icid = device.icid;
    this.#space = space;
  }

  /** Interrupts in it, lent ones included: 0 until it is filled, 256 then. */
  get size(): number {
    return this.#all.length;
  }

  /** Interrupts that are lent. */
  get inUse(): number {
    return this.#all.length - this.#free.length;
  }

  /**
   * Fills it; what is filled already stays.
   *
   * @param count from 1 to 256
   * @returns 0; -EINVAL for 0 or more than 256; -ENOSPC where the ICID or the controller has not so many left; -ENODEV where it was filled
   * before (7.3)
   */
  populate(count: number): number {
    if (this.#all.length > 0) return 0;
    if (count === 0 || count > IRQ_POOL_MAX) return -EINVAL;
    const { host, name } = this.#device;
    if (this.#hasDomain) {
      if (!this.#space.warned) host.trace.emit(DOMAIN_LEFT, { dprc: name });
      this.#space.warned = true;
      return -ENODEV;
    }
    const used = this.#space.used.get(this.#icid) ?? 0;
    if (used + count > IRQ_POOL_MAX) return -ENOSPC;
    const irqs = this.#msi.allocate(this.#icid, count, false);
    if (irqs.length < count) {
      this.#msi.release(this.#icid, irqs);
      return -ENOSPC;
    }
    this.#hasDomain = host.profile.fslmcIrqDomains;
    this.#all = irqs.map((irq, i) => ({ hwirq: (host.profile.fslmcIrqDomains ? 0 : this.#icid * 10_000) + i, irq }));
    this.#space.used.set(this.#icid, used + count);
    this.#free.push(...this.#all);
    for (const { irq } of this.#all) host.files.constant(this.#attribute(irq), 'msi\n');
    return 0;
  }

  /** Kernel: msi_device_populate_sysfs(). */
  #attribute({ number }: HostIrq): string {
    return `${this.#device.sysfs}/msi_irqs/${number}`;
  }

  /** Takes all or nothing. @param count how many, 0 or more @returns -ENOSPC where not so many are free */
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
    const left = (this.#space.used.get(this.#icid) ?? 0) - this.#all.length;
    if (left > 0) this.#space.used.set(this.#icid, left);
    else this.#space.used.delete(this.#icid);
    this.#all = [];
    this.#free.length = 0;
  }
}
