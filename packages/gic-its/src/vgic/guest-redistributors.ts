/**
 * The redistributors that a guest sees: two frames for each vCPU.
 *
 * Kernel: the GICR_* handlers of vgic-mmio-v3.c; vgic_enable_lpis(), vgic_flush_pending_lpis(), its_sync_lpi_pending_table().
 * GICR_PROPBASER is one for the VM. There is no VLPI frame. Not modelled: RWP is never seen set.
 */
import { toNumber } from '@vsim/vfio-core';
import { idRegister, IIDR, type GuestDistributor } from './guest-distributor.ts';
import type { GuestDevice } from './guest-bus.ts';
import type { GuestMemory } from './guest-memory.ts';
import type { GicVcpu } from './private-interrupts.ts';
import { RedistributorRegions, type RegionsVm } from './redistributor-regions.ts';
import type { TranslationCache } from './translation-cache.ts';
import { checkedFrame, FRAME_64K, loadHalves, storeHalves, type Accessor } from './vgic-frames.ts';
import type { IrqTarget, LpiList } from './vgic-irq.ts';

const CTLR_ENABLE_LPIS = 1;
const CTLR_IR_CES = 6;
const PENDBASER_PTZ = 0x4000_0000;
const PROPBASER_RESET = 0x580;
/** The revision from which on guests can invalidate by GICR_INVLPIR and INVALLR. */
const REVISION_INVALIDATES = 3;

/** A VM as its redistributors know it: its LPIs, and what GICR_INVLPIR and GICR_INVALLR ask for. */
interface RedistributorsVm extends RegionsVm {
  readonly memory: GuestMemory;
  readonly lpis: LpiList;
  readonly cache: TranslationCache;
  readonly itss: readonly {
    readonly mappings: {
      invalidateLpi(intid: number): void;
      invalidateAll(vcpu: GicVcpu): void;
    };
  }[];
}

export class GuestRedistributors {
  readonly #vm: RedistributorsVm;
  readonly #distributor: GuestDistributor;
  readonly regions: RedistributorRegions;
  /** GICR_PROPBASER in halves. */
  readonly #propbaser = new Uint32Array([PROPBASER_RESET, 0]);

  constructor(vm: RedistributorsVm, distributor: GuestDistributor) {
    this.#vm = vm;
    this.#distributor = distributor;
    this.regions = new RedistributorRegions(vm, (vcpu) => this.#frame(vcpu));
  }

  /** INTIDs of LPIs are below this. */
  get lpiLimit(): number {
    return 2 ** Math.min((this.#propbaser[0]! & 0x1f) + 1, 16);
  }

  /** Guest physical address of the property table. */
  get propertyTable(): number {
    return toNumber(this.#propbaser[0]! & 0xffff_f000, this.#propbaser[1]! & 0xf_ffff);
  }

  /** Guest physical address of a vCPU's pending table. */
  pendingTable(vcpu: IrqTarget): number {
    return toNumber(vcpu.pendbaser[0]! & 0xffff_0000, vcpu.pendbaser[1]! & 0xf_ffff);
  }

  #frame(vcpu: GicVcpu): GuestDevice {
    return checkedFrame(this.#vm, `redistributor ${vcpu.id}`, widthsOf, {
      load: (_from, offset, width) => loadHalves(offset, width, (at, w) => this.read(vcpu, at, w, 'guest')),
      store: (_from, offset, width, value) => {
        storeHalves(offset, width, value, (at, w, word) => this.write(vcpu, at, w, word, 'guest'));
      },
    });
  }

  read(vcpu: GicVcpu, offset: number, width: number, by: Accessor): number {
    if (offset >= FRAME_64K) return vcpu.privates.read(offset - FRAME_64K, width, by);
    switch (offset) {
      case 0x0:
        return (vcpu.lpisEnabled ? CTLR_ENABLE_LPIS : 0) | (this.#invalidates ? CTLR_IR_CES : 0);
      case 0x4:
        return IIDR;
      case 0x8:
        return (vcpu.id << 8) | (this.#vm.itss.length > 0 ? 1 : 0) | (this.regions.isLast(vcpu, by === 'user') ? 0x10 : 0);
      case 0xc:
        return vcpu.affinity & 0xff_ffff;
      case 0x70:
      case 0x74:
        return this.#propbaser[(offset - 0x70) / 4]!;
      case 0x78:
        return vcpu.pendbaser[0]!;
      case 0x7c:
        return vcpu.pendbaser[1]! & ~PENDBASER_PTZ;
      default:
        return offset >= 0xffd0 ? idRegister(offset) : 0;
    }
  }

  write(vcpu: GicVcpu, offset: number, width: number, value: number, by: Accessor): void {
    if (offset >= FRAME_64K) {
      vcpu.privates.write(offset - FRAME_64K, width, value, by);
      if (by === 'guest') vcpu.kick();
      return;
    }
    switch (offset) {
      case 0x0:
        this.#setLpisEnabled(vcpu, (value & CTLR_ENABLE_LPIS) !== 0);
        return;
      case 0x70:
        if (!vcpu.lpisEnabled) this.#propbaser[0] = sanitiseLow(value & 0xffff_ff9f);
        return;
      case 0x74:
        if (!vcpu.lpisEnabled) this.#propbaser[1] = sanitiseOuter(value & 0x070f_ffff);
        return;
      case 0x78:
        if (!vcpu.lpisEnabled) vcpu.pendbaser[0] = sanitiseLow(value & 0xffff_0f80);
        return;
      case 0x7c:
        if (!vcpu.lpisEnabled) vcpu.pendbaser[1] = sanitiseOuter(value & 0x470f_ffff);
        return;
      case 0xa0:
        if (vcpu.lpisEnabled && this.#invalidates) this.#vm.itss[0]?.mappings.invalidateLpi(value);
        return;
      case 0xb0:
        if (vcpu.lpisEnabled && this.#invalidates) this.#vm.itss[0]?.mappings.invalidateAll(vcpu);
        return;
    }
  }

  get #invalidates(): boolean {
    return this.#distributor.revision >= REVISION_INVALIDATES;
  }

  #setLpisEnabled(vcpu: GicVcpu, enable: boolean): void {
    if (this.#vm.itss.length === 0 || enable === vcpu.lpisEnabled) return;
    if (enable) {
      vcpu.lpisEnabled = true;
      if ((vcpu.pendbaser[1]! & PENDBASER_PTZ) === 0) this.#readPendingTable(vcpu);
      return;
    }
    vcpu.exitGuest();
    for (const irq of [...vcpu.queue]) {
      if (this.#vm.profile.disableClearsPending) irq.pendingLatch = false;
      this.#vm.lpis.unqueue(irq);
    }
    this.#vm.cache.invalidateAll();
    vcpu.lpisEnabled = false;
    vcpu.enterGuest();
  }

  /** Latches are what the table says; the table stays. */
  #readPendingTable(vcpu: GicVcpu): void {
    const { memory, lpis } = this.#vm;
    for (const irq of lpis.all()) {
      if (irq.target !== vcpu) continue;
      const address = this.pendingTable(vcpu) + (irq.intid >>> 3);
      if (!memory.accessible(address, 1)) return;
      irq.pendingLatch = (memory.read8(address) & (1 << (irq.intid & 7))) !== 0;
      lpis.queue(irq);
    }
  }
}

/** TYPER, PROPBASER, PENDBASER, INVLPIR and INVALLR have 64 bits, IPRIORITYR of the SGI frame bytes. */
function widthsOf(offset: number): number {
  if (offset >= FRAME_64K + 0x400 && offset < FRAME_64K + 0x420) return 4 | 1;
  const register = offset & ~7;
  return register === 0x8 || register === 0x70 || register === 0x78 || register === 0xa0 || register === 0xb0 ? 8 | 4 : 4;
}

/** Registers of the SGI frame, by where each begins, and how many bytes it has. */
const SGI_FRAME: readonly (readonly [number, number])[] = [0x80, 0x100, 0x180, 0x200, 0x280, 0x300, 0x380, 0x400, 0xc00, 0xd00, 0xe00].map((at) => [at, at === 0x400 ? 32 : at === 0xc00 ? 8 : 4]);

/** Whether there is a register at an offset of a redistributor's two frames. @param offset bytes from the RD frame */
export function isRedistributorRegister(offset: number): boolean {
  if (offset % 4 !== 0) return false;
  if (offset >= FRAME_64K) {
    const at = offset - FRAME_64K;
    return SGI_FRAME.some(([start, bytes]) => at >= start && at < start + bytes);
  }
  if (offset < 0x18 || (offset >= 0x70 && offset < 0x80) || (offset >= 0xffd0 && offset < FRAME_64K)) return true;
  return (offset & ~4) === 0xa0 || (offset & ~4) === 0xb0 || offset === 0xc0;
}

/** Shareability [11:10] and inner cacheability [9:7] as KVM accepts them. */
function sanitiseLow(value: number): number {
  const share = (value >>> 10) & 3;
  const inner = (value >>> 7) & 7;
  return ((value & ~0xf80) | ((share === 2 ? 1 : share) << 10) | ((inner < 2 ? 3 : inner) << 7)) >>> 0;
}

/** Outer cacheability, bits [58:56]. */
function sanitiseOuter(value: number): number {
  return ((value >>> 24) & 7) >= 2 ? value & ~0x0700_0000 : value >>> 0;
}
