import { EEXIST, ENOENT, removeItem, type EventFdContext } from '@vsim/vfio-core';

/** What a store has to be. */
export interface Ioeventfd {
  /** Where: only MMIO is reached on arm64, the others are kept apart. */
  readonly bus: 'mmio' | 'pio' | 'ccw';
  /** Guest physical address, exact. */
  readonly address: bigint;
  /** Bytes of the store; 0 for any. */
  readonly length: number;
  /** What is stored; undefined for anything. */
  readonly match: bigint | undefined;
  /** What is signalled. */
  readonly eventfd: EventFdContext;
}

/** The ioeventfds of a VM: a guest's store at an address signals an eventfd, and ends there. Kernel: virt/kvm/eventfd.c. */
export class Ioeventfds {
  readonly #all: Ioeventfd[] = [];

  /** KVM_IOEVENTFD. @returns 0, or -EEXIST if a store could signal another one */
  assign(added: Ioeventfd): number {
    if (this.#all.some((other) => collides(other, added))) return -EEXIST;
    this.#all.push(added);
    return 0;
  }

  /** KVM_IOEVENTFD with KVM_IOEVENTFD_FLAG_DEASSIGN, of one with the same fields. @returns 0, or -ENOENT without such a one */
  deassign({ bus, address, length, match, eventfd }: Ioeventfd): number {
    const found = this.#all.find(
      (other) => other.bus === bus && other.eventfd === eventfd && other.address === address && other.length === length && other.match === match,
    );
    if (found === undefined) return -ENOENT;
    removeItem(this.#all, found);
    return 0;
  }

  /**
   * A guest's store that meets no memory.
   *
   * @param address guest physical
   * @param width bytes: 1, 2, 4 or 8
   * @param value unsigned, of that width
   * @returns whether an eventfd has taken it
   */
  store(address: number, width: number, value: bigint): boolean {
    if (this.#all.length === 0) return false;
    const found = this.#all.find(
      (one) => one.bus === 'mmio' && one.address === BigInt(address) && (one.length === 0 || (one.length === width && (one.match === undefined || one.match === value))),
    );
    found?.eventfd.signal();
    return found !== undefined;
  }
}

function collides(a: Ioeventfd, b: Ioeventfd): boolean {
  if (a.bus !== b.bus || a.address !== b.address) return false;
  if (a.length === 0 || b.length === 0) return true;
  return a.length === b.length && (a.match === undefined || b.match === undefined || a.match === b.match);
}
