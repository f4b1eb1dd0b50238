import { bytesToEnd, holdsAddress, isInside, overlaps, rangeEnd, type Memory } from '@vsim/vfio-core';

/** A window of guest physical addresses onto memory of the host. */
export interface MemorySlot {
  /** Guest physical address, a multiple of 4 KiB. */
  readonly gpa: number;
  /** Bytes, a multiple of 4 KiB. */
  readonly size: number;
  /** What is behind the slot. */
  readonly memory: Memory;
  /** Where in `memory` the slot begins, in bytes. */
  readonly offset: number;
  /** KVM_MEM_READONLY: the guest's stores do not reach the memory. @default false */
  readonly readOnly?: boolean | undefined;
}

const PAGE = 4096;

/**
 * A VM's memory slots: guest physical addresses, each slot a window onto some memory of the host, with a dirty log.
 *
 * Kernel: kvm_read_guest(), kvm_write_guest(), KVM_SET_USER_MEMORY_REGION, KVM_GET_DIRTY_LOG.
 */
export class GuestMemory implements Memory {
  readonly #slots: MemorySlot[] = [];
  /** Dirty bitmaps of the slots that have one: a bit for each page. */
  readonly #dirty = new Map<MemorySlot, Uint32Array>();
  /** Checked writes until one fails; undefined: none does. */
  #writesLeft: number | undefined;

  /**
   * Adds a slot; a slot of a VM with fds is made by KVM_SET_USER_MEMORY_REGION.
   *
   * @throws RangeError if the slot overlaps another, or is no range of whole bytes below 2^53
   */
  addSlot(slot: MemorySlot): void {
    const { gpa, size } = slot;
    if (!isInside(gpa, size, 0, Number.MAX_SAFE_INTEGER) || this.#slots.some((other) => overlaps(gpa, size, other.gpa, other.size))) {
      throw new RangeError(`"slot" expected a free range, got 0x${slot.gpa.toString(16)} size 0x${slot.size.toString(16)}`);
    }
    this.#slots.push(slot);
  }

  /** Deletes the slot that begins at `gpa`, a guest physical address, with its dirty log; nothing if there is none. */
  removeSlot(gpa: number): void {
    const at = this.#slots.findIndex((slot) => slot.gpa === gpa);
    for (const slot of at < 0 ? [] : this.#slots.splice(at, 1)) this.#dirty.delete(slot);
  }

  /** KVM_MEM_LOG_DIRTY_PAGES on a slot, or on all; false forgets the log. A log that there is already goes on. */
  logDirty(on: boolean, slot?: MemorySlot): void {
    for (const one of slot === undefined ? this.#slots : [slot]) {
      if (!on) this.#dirty.delete(one);
      else if (!this.#dirty.has(one)) this.#dirty.set(one, new Uint32Array(2 * Math.ceil(one.size / PAGE / 64)));
    }
  }

  /** The dirty bitmap of a slot, as KVM keeps it: whole words of 64 pages; undefined without log. */
  dirtyBitmap(slot: MemorySlot): Uint32Array | undefined {
    return this.#dirty.get(slot);
  }

  /** Page frame numbers written since the last call in all slots that are logged, ascending. */
  takeDirty(): readonly number[] {
    const pages: number[] = [];
    for (const [{ gpa }, bitmap] of this.#dirty) {
      bitmap.forEach((word, n) => {
        for (let rest = word; rest !== 0; rest &= rest - 1) pages.push(gpa / PAGE + n * 32 + 31 - Math.clz32(rest & -rest));
      });
      bitmap.fill(0);
    }
    return pages.sort((a, b) => a - b);
  }

  /** After `writes` more writes that KVM checks, 0 or more, the next finds its page gone: -EFAULT, once. undefined: none does. */
  failWriteAfter(writes: number | undefined): void {
    this.#writesLeft = writes;
  }

  /** Whether a slot covers an address, whatever is behind it. Kernel: kvm_is_visible_gfn(). @param address guest physical */
  visible(address: number): boolean {
    return this.#slot(address) !== undefined;
  }

  /** Whether a slot that is not read-only covers an address, whatever is behind it. @param address guest physical */
  writable(address: number): boolean {
    const slot = this.#slot(address);
    return slot !== undefined && slot.readOnly !== true;
  }

  /**
   * Whether memory is behind a whole range, and with `write` can be written by the guest. Kernel: kvm_read_guest(), kvm_write_guest()
   *
   * @param address guest physical
   * @param length bytes
   * @param write the write that follows is one that failWriteAfter() counts
   */
  accessible(address: number, length: number, write = false): boolean {
    if (write && this.#writesLeft !== undefined) {
      if (this.#writesLeft === 0) {
        this.#writesLeft = undefined;
        return false;
      }
      this.#writesLeft -= 1;
    }
    const slot = this.#slot(address);
    if (slot === undefined || (write && slot.readOnly === true)) return false;
    const here = Math.min(length, bytesToEnd(slot.gpa, slot.size, address));
    if (!slot.memory.accessible(slot.offset + address - slot.gpa, here, write)) return false;
    return here === length || this.accessible(rangeEnd(slot.gpa, slot.size), length - here, write);
  }

  /** Loads a byte; outside every slot it is 0xff. @param address guest physical */
  read8(address: number): number {
    const slot = this.#slot(address);
    return slot === undefined ? 0xff : slot.memory.read8(slot.offset + address - slot.gpa);
  }

  /** Loads 2 bytes, little-endian; outside every slot they are 0xff. @param address guest physical */
  read16(address: number): number {
    const slot = this.#slot(address);
    if (slot !== undefined && bytesToEnd(slot.gpa, slot.size, address) >= 2) return slot.memory.read16(slot.offset + address - slot.gpa);
    return this.read8(address) | (this.read8(address + 1) << 8);
  }

  /** Loads 4 bytes, little-endian; outside every slot they are 0xff. @param address guest physical */
  read32(address: number): number {
    const slot = this.#slot(address);
    if (slot !== undefined && bytesToEnd(slot.gpa, slot.size, address) >= 4) return slot.memory.read32(slot.offset + address - slot.gpa);
    return (this.read16(address) | (this.read16(address + 2) << 16)) >>> 0;
  }

  /** Stores a byte, which the dirty log sees; outside writable slots nothing happens. @param address guest physical @param value 8 bits */
  write8(address: number, value: number): void {
    const slot = this.#slot(address);
    if (slot === undefined || slot.readOnly === true) return;
    slot.memory.write8(slot.offset + address - slot.gpa, value);
    this.#markDirty(slot, address, 1);
  }

  /**
   * Stores 2 bytes, little-endian, which the dirty log sees; outside writable slots nothing happens.
   *
   * @param address guest physical
   * @param value 16 bits
   */
  write16(address: number, value: number): void {
    const slot = this.#slot(address);
    if (slot === undefined || slot.readOnly === true || bytesToEnd(slot.gpa, slot.size, address) < 2) {
      this.write8(address, value & 0xff);
      this.write8(address + 1, (value >>> 8) & 0xff);
      return;
    }
    slot.memory.write16(slot.offset + address - slot.gpa, value);
    this.#markDirty(slot, address, 2);
  }

  /**
   * Stores 4 bytes, little-endian, which the dirty log sees; outside writable slots nothing happens.
   *
   * @param address guest physical
   * @param value 32 bits
   */
  write32(address: number, value: number): void {
    const slot = this.#slot(address);
    if (slot === undefined || slot.readOnly === true || bytesToEnd(slot.gpa, slot.size, address) < 4) {
      this.write16(address, value & 0xffff);
      this.write16(address + 2, value >>> 16);
      return;
    }
    slot.memory.write32(slot.offset + address - slot.gpa, value);
    this.#markDirty(slot, address, 4);
  }

  /**
   * readWords() of a slot whose memory has it.
   *
   * @param address guest physical
   * @param into gets the words, the lowest first
   * @param count words of 4 bytes
   * @returns false, with nothing read, where not all are in one such slot
   */
  readWords(address: number, into: Uint32Array, count: number): boolean {
    const slot = this.#slot(address);
    if (slot === undefined || bytesToEnd(slot.gpa, slot.size, address) < 4 * count) return false;
    return slot.memory.readWords?.(slot.offset + address - slot.gpa, into, count) === true;
  }

  /**
   * writeWords() of a slot whose memory has it. A write that is to fail goes the other way, where it is counted.
   *
   * @param address guest physical
   * @param from the words, the lowest first
   * @param count words of 4 bytes
   * @returns false, with nothing written, where not all are in one such slot
   */
  writeWords(address: number, from: Uint32Array, count: number): boolean {
    const slot = this.#writesLeft === undefined ? this.#slot(address) : undefined;
    if (slot === undefined || slot.readOnly === true || bytesToEnd(slot.gpa, slot.size, address) < 4 * count) return false;
    if (slot.memory.writeWords?.(slot.offset + address - slot.gpa, from, count) !== true) return false;
    this.#markDirty(slot, address, 4 * count);
    return true;
  }

  /** Fills `into`; bytes outside every slot are 0xff. @param address guest physical */
  readBytes(address: number, into: Uint8Array): void {
    for (let done = 0; done < into.length; ) {
      const at = address + done;
      const slot = this.#slot(at);
      // Outside every slot byte by byte: the next one may begin anywhere.
      const take = slot === undefined ? 1 : Math.min(into.length - done, bytesToEnd(slot.gpa, slot.size, at));
      const part = into.subarray(done, done + take);
      if (slot === undefined) part.fill(0xff);
      else slot.memory.readBytes(slot.offset + at - slot.gpa, part);
      done += take;
    }
  }

  /** Stores bytes, which the dirty log sees; those outside writable slots go nowhere. @param address guest physical */
  writeBytes(address: number, from: Uint8Array): void {
    for (let done = 0; done < from.length; ) {
      const at = address + done;
      const slot = this.#slot(at);
      const take = slot === undefined ? 1 : Math.min(from.length - done, bytesToEnd(slot.gpa, slot.size, at));
      if (slot !== undefined && slot.readOnly !== true) {
        slot.memory.writeBytes(slot.offset + at - slot.gpa, from.subarray(done, done + take));
        this.#markDirty(slot, at, take);
      }
      done += take;
    }
  }

  /**
   * How many bytes of the slot are zero from here on because nobody ever wrote them; 0 where only reading tells.
   *
   * @param address guest physical
   */
  untouched(address: number): number {
    const slot = this.#slot(address);
    if (slot === undefined) return 0;
    return Math.min(slot.memory.untouched?.(slot.offset + address - slot.gpa) ?? 0, bytesToEnd(slot.gpa, slot.size, address));
  }

  /** Only pages that the VMM has mapped: elsewhere nothing was written. */
  #markDirty(slot: MemorySlot, address: number, length: number): void {
    const bitmap = this.#dirty.size === 0 ? undefined : this.#dirty.get(slot);
    if (bitmap === undefined) return;
    const { gpa, offset, memory } = slot;
    const end = rangeEnd(address, length);
    for (let page = Math.floor(address / PAGE); page * PAGE < end; page += 1) {
      if (!memory.accessible(offset + page * PAGE - gpa, 1, true)) continue;
      const n = page - gpa / PAGE;
      bitmap[n >>> 5]! |= 1 << (n & 31);
    }
  }

  #slot(address: number): MemorySlot | undefined {
    for (const slot of this.#slots) if (holdsAddress(slot.gpa, slot.size, address)) return slot;
    return undefined;
  }
}
