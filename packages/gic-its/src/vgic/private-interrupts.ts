/**
 * SGIs and PPIs of a vCPU: the SGI frame of its redistributor. On GICv4.1 the hardware can deliver the SGIs, as vSGIs.
 *
 * Kernel: vgic_mmio_*() on the SGI frame, vgic_v4_enable_vsgis(), vgic_v4_disable_vsgis(). While SGIs are vSGIs, their enable, group and
 * priority go to the GIC as they are written, and what is pending is asked of it; the latches here are clear.
 * Not modelled: delivery of PPIs; Group 0.
 */
import { WiredInterrupts } from '../hardware/wired.ts';
import type { ItsVsgis } from '../host/index.ts';
import type { Accessor } from './vgic-frames.ts';

const SGIS = 16;
const IGROUPR0 = 0x80;
const ISENABLER0 = 0x100;
const ICENABLER0 = 0x180;
const ISPENDR0 = 0x200;
const ICPENDR0 = 0x280;
const IPRIORITYR = 0x400;

const NONE: readonly VgicSgi[] = [];

/** An SGI as a list register takes it: a view onto the registers. */
export class VgicSgi {
  readonly intid: number;
  readonly #bank: WiredInterrupts;

  constructor(intid: number, bank: WiredInterrupts) {
    this.intid = intid;
    this.#bank = bank;
  }

  get priority(): number {
    return this.#bank.priority[this.intid]!;
  }

  get pendingLatch(): boolean {
    return this.#bank.latch[this.intid] !== 0;
  }

  set pendingLatch(pending: boolean) {
    this.#bank.latch[this.intid] = pending ? 1 : 0;
  }

  get active(): boolean {
    return this.#bank.active[this.intid] !== 0;
  }

  set active(active: boolean) {
    this.#bank.active[this.intid] = active ? 1 : 0;
  }

  get deliverable(): boolean {
    return this.pendingLatch && this.#bank.enabled[this.intid] !== 0 && this.#bank.group[this.intid] !== 0;
  }

  get group1(): boolean {
    return this.#bank.group[this.intid] !== 0;
  }
}

export class PrivateInterrupts {
  readonly #bank = new WiredInterrupts(0, 32);
  readonly #sgis: readonly VgicSgi[] = Array.from({ length: SGIS }, (_, intid) => new VgicSgi(intid, this.#bank));
  /** The vPE's, while the hardware delivers the SGIs. */
  #vsgis: ItsVsgis | undefined;

  constructor() {
    this.#bank.group.fill(1);
    this.#bank.enabled.fill(1, 0, SGIS);
  }

  /** An SGI is sent to this vCPU. @param group1 the sender may reach Group 1 */
  send(intid: number, group1: boolean): void {
    const sgi = this.#sgis[intid]!;
    if (sgi.group1 && !group1) return;
    if (this.#vsgis !== undefined) this.#vsgis.setPending(intid, true);
    else sgi.pendingLatch = true;
  }

  /** SGIs that belong in a list register: the active ones, and, with the distributor on, those that can be delivered. */
  ready(distributorEnabled: boolean): readonly VgicSgi[] {
    const wanted = (sgi: VgicSgi): boolean => sgi.active || (distributorEnabled && sgi.deliverable);
    // Most of the time there are none.
    return this.#sgis.some(wanted) ? this.#sgis.filter(wanted) : NONE;
  }

  /** Whether one can be delivered through a priority mask. */
  somethingPending(mask: number): boolean {
    return this.#sgis.some((sgi) => sgi.deliverable && !sgi.active && sgi.priority < mask);
  }

  // vSGIs

  /** The hardware takes the SGIs over, with what is pending. */
  forward(vsgis: ItsVsgis): void {
    if (this.#vsgis !== undefined) return;
    this.#vsgis = vsgis;
    for (const { intid } of this.#sgis) {
      vsgis.activate(intid, this.#configuration(intid));
      vsgis.setPending(intid, this.#bank.latch[intid] !== 0);
      this.#bank.latch[intid] = 0;
    }
  }

  /** They are software's again, with what is pending. */
  takeBack(): void {
    const vsgis = this.#vsgis;
    if (vsgis === undefined) return;
    this.#vsgis = undefined;
    for (const { intid } of this.#sgis) {
      this.#bank.latch[intid] = vsgis.pending(intid) === true ? 1 : 0;
      vsgis.deactivate(intid);
    }
  }

  readLevels(first: number): number {
    return this.#bank.readLevels(first);
  }

  writeLevels(first: number, levels: number): void {
    this.#bank.writeLevels(first, levels);
  }

  // Registers. Offsets are those of the SGI frame.

  read(offset: number, width: number, by: Accessor): number {
    if (by === 'user' && isClearPending(offset)) return 0;
    const value = this.#bank.read(offset, width);
    if (this.#vsgis === undefined || (offset !== ISPENDR0 && offset !== ICPENDR0) || width !== 4) return value;
    let pending = 0;
    for (const { intid } of this.#sgis) if (this.#vsgis.pending(intid) === true) pending |= 1 << intid;
    return ((value & ~0xffff) | pending) >>> 0;
  }

  write(offset: number, width: number, value: number, by: Accessor): void {
    const { enabled } = this.#bank;
    const before = this.#vsgis === undefined || by === 'user' ? undefined : enabled.slice(0, SGIS);
    writeBank(this.#bank, offset, width, value, by);
    const vsgis = this.#vsgis;
    if (vsgis === undefined) return;
    for (const { intid } of this.#sgis) {
      const bit = (value & (1 << intid)) !== 0;
      if (offset === ISENABLER0 || offset === ICENABLER0) {
        // Only what changes, and only by the guest.
        if (before !== undefined && before[intid] !== enabled[intid]) vsgis.setEnabled(intid, offset === ISENABLER0);
      } else if (offset === ISPENDR0 || (offset === ICPENDR0 && by === 'guest')) {
        this.#bank.latch[intid] = 0;
        if (bit || by === 'user') vsgis.setPending(intid, bit && offset === ISPENDR0);
      } else if (offset === IGROUPR0 || (intid >= offset - IPRIORITYR && intid < offset - IPRIORITYR + width)) {
        const { priority, group1 } = this.#configuration(intid);
        vsgis.update(intid, priority, group1);
      }
    }
  }

  #configuration(intid: number): { enabled: boolean; priority: number; group1: boolean } {
    return { enabled: this.#bank.enabled[intid] !== 0, priority: this.#bank.priority[intid]!, group1: this.#bank.group[intid] !== 0 };
  }
}

/** A VMM sees ICPENDR as zero: ISPENDR has all. */
export function isClearPending(offset: number): boolean {
  return offset >= ICPENDR0 && offset < 0x300;
}

/** A VMM's write of ISPENDR sets the latches as given, and one of ICPENDR does nothing. */
export function writeBank(bank: WiredInterrupts, offset: number, width: number, value: number, by: Accessor): void {
  if (by === 'user' && isClearPending(offset)) return;
  if (by === 'user' && offset >= ISPENDR0 && offset < ICPENDR0) bank.write(offset + 0x80, width, 0xffff_ffff);
  bank.write(offset, width, value);
}
