/**
 * A VM's memory slots by number, as user space sets them and reads their dirty logs; which addresses they cover is GuestMemory's.
 *
 * Kernel: __kvm_set_memory_region(), kvm_get_dirty_log_protect(), kvm_clear_dirty_log_protect(), kvm_arch_prepare_memory_region().
 * Not modelled: guest_memfd, the dirty ring.
 */
import { EINVAL, exactAddress, get, isInside, overlaps, PAGE_SIZE, passes64, TASK_SIZE, type Process, type UserArgument } from '@vsim/vfio-core';
import type { GuestMemory, MemorySlot } from '../vgic/guest-memory.ts';
import {
  KVM_DIRTY_RANGE,
  KVM_DIRTY_SLOT,
  KVM_MEMORY_CHANGE,
  KVM_MEMORY_FLAGS,
  KVM_MEMORY_IPA,
  KVM_MEMORY_OVERLAP,
  KVM_MEMORY_REGION,
} from './kvm-reasons.ts';
import {
  KVM_DIRTY_LOG_INITIALLY_SET,
  KVM_MEM_LOG_DIRTY_PAGES,
  KVM_MEM_READONLY,
  kvm_clear_dirty_log,
  kvm_dirty_log,
  kvm_userspace_memory_region,
} from './uapi.ts';

/** KVM_CAP_NR_MEMSLOTS: slots of guest memory that a VM can have. */
export const USER_MEM_SLOTS = 0x7fff;
/** KVM_MEM_MAX_NR_PAGES. */
const MAX_PAGES = 0x7fff_ffff;
/** Pages of a word of the dirty log. */
const WORD = 64;

interface UserSlot {
  readonly range: MemorySlot;
  readonly flags: number;
}

export class MemorySlots {
  readonly #process: Process;
  readonly #memory: GuestMemory;
  readonly #ipaBits: number;
  readonly #slots = new Map<number, UserSlot>();
  /** KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, as it was enabled. */
  manualProtect = 0;

  constructor(process: Process, memory: GuestMemory, ipaBits: number) {
    this.#process = process;
    this.#memory = memory;
    this.#ipaBits = ipaBits;
  }

  /** KVM_SET_USER_MEMORY_REGION. `region` has at least the first version of the struct. @returns 0 or a negative errno */
  set(argument: UserArgument, region: Uint8Array): number {
    const flags = get(region, kvm_userspace_memory_region.flags);
    const slot = get(region, kvm_userspace_memory_region.slot);
    const base = get(region, kvm_userspace_memory_region.guest_phys_addr);
    const size = get(region, kvm_userspace_memory_region.memory_size);
    const vaddr = get(region, kvm_userspace_memory_region.userspace_addr);
    const wrong = (field: string, value: bigint): number => argument.refuse(KVM_MEMORY_REGION, { slot, field, value });
    if ((slot & 0xffff) >= USER_MEM_SLOTS) return wrong('the slot', BigInt(slot));
    if ((flags & ~(KVM_MEM_LOG_DIRTY_PAGES | KVM_MEM_READONLY)) !== 0) return argument.refuse(KVM_MEMORY_FLAGS, { flags });
    const page = BigInt(PAGE_SIZE);
    if (size % page !== 0n) return wrong('memory_size', size);
    if (base % page !== 0n) return wrong('guest_phys_addr', base);
    if (vaddr % page !== 0n || !isUserRange(vaddr, size)) return wrong('userspace_addr', vaddr);
    if (slot >= 0x1_0000) return wrong('the address space', BigInt(slot >>> 16));
    if (size > 0n && passes64(base, size + 1n)) return wrong('guest_phys_addr', base);
    if (size / page > BigInt(MAX_PAGES)) return wrong('memory_size', size);

    const old = this.#slots.get(slot);
    if (size === 0n) {
      if (old === undefined) return wrong('memory_size', size);
      this.#remove(slot, old);
      return 0;
    }
    const offset = Number(vaddr);
    const bytes = Number(size);
    if (old !== undefined) {
      const changed =
        offset !== old.range.offset ? 'memory' : bytes !== old.range.size ? 'size' : ((flags ^ old.flags) & KVM_MEM_READONLY) !== 0 ? 'KVM_MEM_READONLY' : undefined;
      if (changed !== undefined) return argument.refuse(KVM_MEMORY_CHANGE, { slot, field: changed });
      if (base === BigInt(old.range.gpa) && flags === old.flags) return 0;
    }
    // What is beyond the exact numbers is beyond every VM's addresses; nothing is there to overlap.
    const gpa = exactAddress(base);
    if (gpa !== undefined && gpa !== old?.range.gpa) {
      const other = [...this.#slots].find(([id, { range }]) => id !== slot && overlaps(gpa, bytes, range.gpa, range.size));
      if (other !== undefined) return argument.refuse(KVM_MEMORY_OVERLAP, { slot, other: other[0] });
    }
    if (gpa === undefined || !isInside(gpa, bytes, 0, 2 ** this.#ipaBits)) return argument.refuse(KVM_MEMORY_IPA, { slot, ipaBits: this.#ipaBits });
    if (old?.range.gpa === gpa) {
      this.#log(old.range, flags, old.flags);
      this.#slots.set(slot, { range: old.range, flags });
      return 0;
    }
    const log = old === undefined ? undefined : this.#memory.dirtyBitmap(old.range);
    if (old !== undefined) this.#remove(slot, old);
    const range: MemorySlot = { gpa, size: bytes, memory: this.#process.mm, offset, readOnly: (flags & KVM_MEM_READONLY) !== 0 };
    this.#memory.addSlot(range);
    this.#log(range, flags, 0);
    // A slot that moves takes its log along.
    if (log !== undefined) this.#memory.dirtyBitmap(range)?.set(log);
    this.#slots.set(slot, { range, flags });
    return 0;
  }

  /** KVM_GET_DIRTY_LOG: the bitmap of a slot; without manual protection the log begins anew. @returns 0 or a negative errno */
  getDirtyLog(argument: UserArgument, request: Uint8Array): number {
    const slot = get(request, kvm_dirty_log.slot);
    const bitmap = this.#bitmap(argument, slot);
    if (typeof bitmap === 'number') return bitmap;
    const bytes = new Uint8Array(bitmap.buffer.slice(0));
    if (this.manualProtect === 0) bitmap.fill(0);
    const at = exactAddress(get(request, kvm_dirty_log.dirty_bitmap));
    return at !== undefined && this.#process.mm.copyToUser(at, bytes) ? 0 : argument.fault();
  }

  /** KVM_CLEAR_DIRTY_LOG: pages whose bits the caller has set are clean. @returns 0 or a negative errno */
  clearDirtyLog(argument: UserArgument, request: Uint8Array): number {
    const slot = get(request, kvm_clear_dirty_log.slot);
    const first = get(request, kvm_clear_dirty_log.first_page);
    const count = get(request, kvm_clear_dirty_log.num_pages);
    const pages = (this.#slots.get(slot)?.range.size ?? 0) / PAGE_SIZE;
    const wrong = (): number => argument.refuse(KVM_DIRTY_RANGE, { slot, first, count, pages });
    if (this.#isUserSlot(slot) && first % BigInt(WORD) !== 0n) return wrong();
    const bitmap = this.#bitmap(argument, slot);
    if (typeof bitmap === 'number') return bitmap;
    if (first > BigInt(pages)) return wrong();
    const left = pages - Number(first);
    if (count > left || (count < left && count % WORD !== 0)) return wrong();
    const bytes = new Uint8Array(Math.ceil(count / WORD) * 8);
    const at = exactAddress(get(request, kvm_clear_dirty_log.dirty_bitmap));
    if (at === undefined || !this.#process.mm.copyFromUser(at, bytes)) return argument.fault();
    const from = Number(first) / 8;
    const live = new Uint8Array(bitmap.buffer);
    bytes.forEach((bits, n) => {
      live[from + n]! &= ~bits;
    });
    return 0;
  }

  #isUserSlot(slot: number): boolean {
    return slot < 0x1_0000 && slot < USER_MEM_SLOTS;
  }

  #bitmap(argument: UserArgument, slot: number): Uint32Array | number {
    if (!this.#isUserSlot(slot)) return argument.refuse(KVM_DIRTY_SLOT, { slot, exists: false }, EINVAL);
    const found = this.#slots.get(slot);
    const bitmap = found === undefined ? undefined : this.#memory.dirtyBitmap(found.range);
    return bitmap ?? argument.refuse(KVM_DIRTY_SLOT, { slot, exists: found !== undefined });
  }

  #log(range: MemorySlot, flags: number, before: number): void {
    const wanted = (flags & KVM_MEM_LOG_DIRTY_PAGES) !== 0;
    if (wanted === ((before & KVM_MEM_LOG_DIRTY_PAGES) !== 0)) return;
    this.#memory.logDirty(wanted, range);
    const pages = range.size / PAGE_SIZE;
    if (!wanted || (this.manualProtect & KVM_DIRTY_LOG_INITIALLY_SET) === 0) return;
    const bitmap = this.#memory.dirtyBitmap(range)!;
    for (let page = 0; page < pages; page += 1) bitmap[page >>> 5]! |= 1 << (page & 31);
  }

  #remove(slot: number, { range }: UserSlot): void {
    this.#slots.delete(slot);
    this.#memory.removeSlot(range.gpa);
  }
}

/** access_ok(). */
function isUserRange(vaddr: bigint, size: bigint): boolean {
  const start = exactAddress(vaddr);
  return start !== undefined && isInside(start, Number(size), 0, TASK_SIZE);
}
