/**
 * The translation cache of a VM: MSIs that were translated lately, so that an irqfd can inject without sleeping.
 *
 * Kernel: struct vgic_translation_cache_entry of vgic-its.c (up to 6.9: 16 entries a vCPU, least recently used goes). A reference
 * is held for each entry. Dropped as a whole by anything that may change a translation.
 */
import type { KvmVm } from './kvm-vm.ts';
import type { VgicIrq } from './vgic-irq.ts';

const ENTRIES_PER_VCPU = 16;

export class TranslationCache {
  readonly #vm: KvmVm;
  /** By ITS, DeviceID and EventID; the least recently used is first. */
  readonly #entries = new Map<number, VgicIrq>();

  constructor(vm: KvmVm) {
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
    if (this.#entries.size >= ENTRIES_PER_VCPU * this.#vm.vcpus.length) {
      for (const [oldest, old] of this.#entries) {
        this.#entries.delete(oldest);
        this.#vm.lpis.put(old);
        break;
      }
    }
    irq.references += 1;
    this.#entries.set(key, irq);
  }

  /** Forgets everything. */
  invalidate(): void {
    for (const irq of this.#entries.values()) this.#vm.lpis.put(irq);
    this.#entries.clear();
  }
}

function keyOf(its: number, device: number, event: number): number {
  return its * 0x1_0000_0000 + device * 0x1_0000 + event;
}
