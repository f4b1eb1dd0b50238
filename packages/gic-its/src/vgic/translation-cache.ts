/**
 * The translation cache of a VM: MSIs that were translated lately, so that an irqfd can inject without sleeping.
 *
 * Kernel: struct vgic_translation_cache_entry of vgic-its.c (up to 6.9: 16 entries a vCPU, least recently used goes), then one xarray
 * for each ITS. A reference is held for each entry. Dropped as a whole by anything that may change a translation.
 */
import type { LpiList, VgicIrq } from './vgic-irq.ts';
import type { VgicProfile } from './vgic-profile.ts';

/** A VM as its cache knows it: how many entries there may be, and the LPIs that they hold. */
interface CachingVm {
  readonly profile: VgicProfile;
  readonly vcpus: readonly unknown[];
  readonly lpis: LpiList;
}

export class TranslationCache {
  readonly #vm: CachingVm;
  /** By ITS, DeviceID and EventID; the least recently used is first. */
  readonly #entries = new Map<number, VgicIrq>();

  constructor(vm: CachingVm) {
    this.#vm = vm;
  }

  get size(): number {
    return this.#entries.size;
  }

  find(its: number, device: number, event: number): VgicIrq | undefined {
    if (device > 0xffff || event > 0xffff) return undefined;
    const key = keyOf(its, device, event);
    const irq = this.#entries.get(key);
    if (irq === undefined) return undefined;
    this.#entries.delete(key);
    this.#entries.set(key, irq);
    return irq;
  }

  add(its: number, device: number, event: number, irq: VgicIrq): void {
    const key = keyOf(its, device, event);
    if (irq.hw || this.#entries.has(key)) return;
    const { cachedPerVcpu } = this.#vm.profile;
    if (cachedPerVcpu !== undefined && this.#entries.size >= cachedPerVcpu * this.#vm.vcpus.length) {
      for (const oldest of this.#entries.keys()) {
        this.#drop(oldest);
        break;
      }
    }
    irq.references += 1;
    this.#entries.set(key, irq);
  }

  /**
   * A translation of an ITS may have changed: everything is forgotten, or, where each ITS has its own cache, all of that ITS.
   *
   * @param its the ITS, in the order of their creation
   */
  invalidate(its: number): void {
    if (this.#vm.profile.cachedPerVcpu !== undefined) this.invalidateAll();
    else for (const key of [...this.#entries.keys()]) if (Math.floor(key / 0x1_0000_0000) === its) this.#drop(key);
  }

  invalidateAll(): void {
    for (const key of [...this.#entries.keys()]) this.#drop(key);
  }

  /** An entry's reference goes with it, once. */
  #drop(key: number): void {
    const irq = this.#entries.get(key);
    if (irq !== undefined && this.#entries.delete(key)) this.#vm.lpis.put(irq);
  }
}

function keyOf(its: number, device: number, event: number): number {
  return its * 0x1_0000_0000 + device * 0x1_0000 + event;
}
