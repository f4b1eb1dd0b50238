/**
 * ITS commands for vPEs, VLPIs and vSGIs, with the encodings of GICv4.0 or GICv4.1.
 *
 * Reference: Arm IHI 0069, "ITS commands". A command with an id out of range, or for something that is not mapped, is refused.
 * What is unpredictable is reported, and has the outcome that the code shows.
 */
import { toNumber } from '@vsim/vfio-core';
import { ID_BITS, IDS, refused, type ItsLookup, type Refusal, type VpeMove } from './its-lookup.ts';
import { VpeEntry } from './its-tables.ts';
import { EFFECT, NONE, type OutstandingEffects } from './outstanding.ts';
import { FIRST_LPI, SPURIOUS } from './pending-bits.ts';
import type { PhysicalCommands } from './physical-commands.ts';
import { VpeRoute, type VlpiDelivery } from './vlpi-delivery.ts';
import { VpeContext } from './vpe.ts';

const VALID = 0x8000_0000;
// VMAPP of GICv4.1, first word.
const ALLOC = 0x100;
const PTZ = 0x200;
// VSGI, first word.
const VSGI_ENABLE = 0x100;
const VSGI_CLEAR = 0x200;
const VSGI_GROUP1 = 0x400;

export class VirtualCommands {
  readonly #lookup: ItsLookup;
  readonly #outstanding: OutstandingEffects;
  readonly #physical: PhysicalCommands;
  readonly #delivery: VlpiDelivery;
  readonly #vpe = new VpeEntry();
  readonly #target = new VpeEntry();

  constructor(lookup: ItsLookup, outstanding: OutstandingEffects, physical: PhysicalCommands, delivery: VlpiDelivery) {
    this.#lookup = lookup;
    this.#outstanding = outstanding;
    this.#physical = physical;
    this.#delivery = delivery;
  }

  /** Where the VLPIs of a vPE go, or why they go nowhere. @param vpeid 16 bits */
  route(vpeid: number): VpeRoute | Refusal {
    const refusal = this.#lookup.findVpe(vpeid, this.#vpe);
    return refusal === '' ? new VpeRoute(vpeid, this.#vpe, this.#lookup.v41 ? this.#lookup.host.vpe(vpeid) : undefined) : refusal;
  }

  // Mapping

  vmapp(words: Uint32Array, vpeid: number): Refusal {
    const { host, vpes, v41, index } = this.#lookup;
    const valid = (words[5]! & VALID) !== 0;
    const size = words[6]! & 0x1f;
    const target = this.#lookup.target(words[4]!, words[5]!);
    if (valid && target >= host.redistributors.length) return 'no such redistributor';
    if (size > ID_BITS) return 'vpt too large';
    const entry = this.#vpe;
    const access = entry.read(vpes, vpeid, v41);
    if (access !== 'ok') return refused(access, 'vpe id out of range');
    const others = v41 && entry.valid ? entry.itsMask & ~(1 << index) : 0;
    this.#checkVmapp(vpeid, valid, entry);
    if (entry.valid && others === 0) this.#forgetDoorbells(entry);
    entry.itsMask = others | (valid ? 1 << index : 0);
    if (valid || others === 0) {
      if (valid && others !== 0) this.#checkJoin(words, vpeid, entry);
      entry.valid = valid;
      entry.rdbase = target;
      entry.vptSize = size;
      entry.vptAddress = toNumber(words[6]! & 0xffff_0000, words[7]! & 0x000f_ffff);
      entry.vconfAddress = toNumber(words[0]! & 0xffff_0000, words[1]! & 0x000f_ffff);
      entry.defaultDoorbell = words[2]!;
    }
    const refusal = refused(entry.write(host.memory, vpes, vpeid, v41), '');
    if (refusal !== '') return refusal;
    if (v41 && valid) this.#allocate(vpeid, (words[0]! & ALLOC) !== 0, (words[0]! & PTZ) !== 0);
    else if (v41 && (words[0]! & ALLOC) !== 0) this.#release(vpeid, others);
    host.forgetVpe(vpeid);
    return '';
  }

  /** The vPE is mapped anew, or not any more: its doorbells may be LPIs of devices next. */
  #forgetDoorbells({ rdbase: place, vptAddress, defaultDoorbell }: VpeEntry): void {
    const lpis = this.#lookup.host.redistributors[place]?.lpis;
    if (this.#lookup.v41) lpis?.forget(defaultDoorbell);
    else lpis?.forgetDoorbells(vptAddress);
  }

  #checkVmapp(vpeid: number, valid: boolean, entry: VpeEntry): void {
    const { host, v41, index } = this.#lookup;
    if (!host.choices.reportUnpredictable) return;
    const mapped = entry.valid && (!v41 || entry.mappedBy(index));
    if (valid && mapped) this.#lookup.unpredictable(`VMAPP of vpe ${vpeid}, which its ${index} maps`);
    if (!valid && !mapped) this.#lookup.unpredictable(`VMAPP with V=0 of vpe ${vpeid}, which its ${index} does not map`);
    if (!v41 && mapped && host.redistributors[entry.rdbase]?.v40.holds(entry.vptAddress) === true) {
      this.#lookup.unpredictable(`vpe ${vpeid} unmapped or moved while it is resident`);
    }
  }

  /** Another ITS maps the vPE: its tables have to be the same. */
  #checkJoin(words: Uint32Array, vpeid: number, entry: VpeEntry): void {
    const vpt = toNumber(words[6]! & 0xffff_0000, words[7]! & 0x000f_ffff);
    const vconf = toNumber(words[0]! & 0xffff_0000, words[1]! & 0x000f_ffff);
    if (vpt !== entry.vptAddress || vconf !== entry.vconfAddress) {
      this.#lookup.unpredictable(`vpe ${vpeid} mapped with other tables than another its has`);
    }
  }

  /** VMAPP with V = 1: the first ITS that maps the vPE (Alloc = 1) makes the GIC take its VPT over. */
  #allocate(vpeid: number, alloc: boolean, ptz: boolean): void {
    const { host } = this.#lookup;
    const known = host.vpe(vpeid);
    if (alloc && known !== undefined) this.#lookup.unpredictable(`VMAPP with Alloc of vpe ${vpeid}, which is mapped`);
    if (!alloc && known === undefined) this.#lookup.unpredictable(`VMAPP without Alloc of vpe ${vpeid}, which is mapped nowhere`);
    if (known !== undefined) return;
    const { memory, choices } = host;
    const vpe = new VpeContext(memory, vpeid, this.#vpe, choices.cacheVpt, ptz && choices.honourPtz);
    if (ptz && vpe.tableHasBits()) this.#lookup.unpredictable(`VMAPP with PTZ of vpe ${vpeid}, whose VPT is not zero`);
    host.setVpe(vpeid, vpe);
  }

  /** VMAPP with V = 0 and Alloc = 1: the VPT is written back and forgotten. @param others ITSs that still map it */
  #release(vpeid: number, others: number): void {
    const { host } = this.#lookup;
    const vpe = host.vpe(vpeid);
    if (vpe === undefined) return;
    if (others !== 0) this.#lookup.unpredictable(`VMAPP with V=0 and Alloc of vpe ${vpeid}, which other itss map`);
    vpe.residency?.evict(vpe);
    vpe.writeBack();
    host.setVpe(vpeid, undefined);
  }

  vmapti(device: number, event: number, vpeid: number, vintid: number, doorbell: number): Refusal {
    if (vintid < FIRST_LPI || vintid >= IDS) return 'vintid is no lpi';
    if (!isDoorbell(doorbell)) return 'doorbell is no lpi';
    if (vpeid >= this.#lookup.vpes.entries) return 'vpe id out of range';
    const refusal = this.#lookup.mappable(device, event);
    if (refusal !== '') return refusal;
    this.#physical.checkUnmapped(device, event);
    const entry = this.#lookup.interrupt;
    entry.valid = true;
    entry.physical = false;
    entry.intid = vintid;
    entry.icid = 0;
    entry.vpeid = vpeid;
    entry.doorbell = doorbell;
    this.#outstanding.add(NONE, vpeid, EFFECT.FORGET_EVENT, device, event);
    return this.#lookup.writeEvent(event);
  }

  // Moving

  vmovi(device: number, event: number, vpeid: number, withDoorbell: boolean, doorbell: number): Refusal {
    const lookup = this.#lookup;
    if (withDoorbell && !isDoorbell(doorbell)) return 'doorbell is no lpi';
    if (vpeid >= lookup.vpes.entries) return 'vpe id out of range';
    const refusal = lookup.findEvent(device, event);
    if (refusal !== '') return refusal;
    const entry = lookup.interrupt;
    if (entry.physical) return 'event is physical';
    const lost = lookup.findVpe(entry.vpeid, this.#vpe);
    if (lost !== '') return lost;
    const nowhere = lookup.findVpe(vpeid, this.#target);
    if (nowhere !== '') return nowhere;
    const limit = 2 ** (Math.min(this.#vpe.vptSize, this.#target.vptSize) + 1);
    if (entry.intid < FIRST_LPI || entry.intid >= limit) return 'vintid beyond the vpt';
    const from = entry.vpeid;
    const { intid } = entry;
    entry.vpeid = vpeid;
    if (!lookup.v41) lookup.redistributor(this.#vpe.rdbase).lpis.forget(entry.doorbell);
    if (withDoorbell) entry.doorbell = doorbell;
    const individual = entry.doorbell;
    lookup.writeEvent(event);
    this.#outstanding.add(NONE, vpeid, EFFECT.FORGET_EVENT, device, event);
    if (lookup.v41) this.#moveVlpi(from, vpeid, intid);
    else this.#moveVlpiV40(vpeid, intid, individual);
    return '';
  }

  #moveVlpi(from: number, to: number, vintid: number): void {
    const old = this.#lookup.host.vpe(from);
    const vpe = this.#lookup.host.vpe(to);
    if (from === to || old === undefined || vpe === undefined) return;
    const pending = old.lpis.test(vintid);
    if (pending) this.#delivery.clear(old, vintid);
    old.lpis.forget(vintid);
    if (pending) this.#delivery.raise(vpe, vintid);
  }

  #moveVlpiV40(to: number, vintid: number, doorbell: number): void {
    const source = this.#lookup.redistributor(this.#vpe.rdbase);
    const target = this.#lookup.redistributor(this.#target.rdbase);
    const { vptAddress } = this.#target;
    if (source === target && this.#vpe.vptAddress === vptAddress) return;
    const pending = source.v40.takeAway(this.#vpe.vptAddress, vintid);
    source.v40.forget(this.#vpe.vptAddress, vintid);
    if (!pending) return;
    if (target.v40.deliver(to, vptAddress, vintid) && doorbell !== SPURIOUS) target.lpis.ring(doorbell, vptAddress);
  }

  vmovp(words: Uint32Array, vpeid: number): Refusal {
    const { host, index, v41 } = this.#lookup;
    const target = this.#lookup.target(words[4]!, words[5]!);
    if (target >= host.redistributors.length) return 'no such redistributor';
    const refusal = this.#lookup.findVpe(vpeid, this.#vpe);
    if (refusal !== '') return refusal;
    const doorbell = v41 && (words[5]! & VALID) !== 0 ? words[6]! : undefined;
    const moved = host.moveVpe({ its: index, vpeid, rdbase: target, sequence: words[1]! & 0xffff, list: words[2]! & 0xffff, doorbell });
    if (moved === '') this.#outstanding.add(NONE, vpeid, EFFECT.FORGET_VPE, vpeid);
    return moved;
  }

  /** The part of a VMOVP that is this ITS's; none if it does not map the vPE. */
  applyMove({ vpeid, rdbase: target, doorbell }: VpeMove): void {
    const { host, vpes, v41 } = this.#lookup;
    const entry = this.#vpe;
    if (this.#lookup.findVpe(vpeid, entry) !== '') return;
    const old = this.#lookup.redistributor(entry.rdbase);
    const vpe = v41 ? host.vpe(vpeid) : undefined;
    vpe?.residency?.evict(vpe);
    if (!v41 && host.choices.reportUnpredictable && old.v40.holds(entry.vptAddress)) {
      this.#lookup.unpredictable(`vpe ${vpeid} unmapped or moved while it is resident`);
    }
    const pendingDoorbell = entry.defaultDoorbell;
    if (doorbell !== undefined) entry.defaultDoorbell = doorbell;
    entry.rdbase = target;
    entry.write(host.memory, vpes, vpeid, v41);
    if (!v41) old.lpis.forgetDoorbells(entry.vptAddress);
    if (v41 && old.index !== target && host.choices.doorbellFollowsVpe && pendingDoorbell !== SPURIOUS) {
      old.lpis.moveTo(this.#lookup.redistributor(target).lpis, pendingDoorbell);
    }
  }

  /** GICv4.1: the default doorbell of a vPE that this ITS maps, and where it rings. @param vpeid 16 bits */
  doorbellOf(vpeid: number): { readonly lpi: number; readonly rdbase: number } | undefined {
    if (!this.maps(vpeid)) return undefined;
    return { lpi: this.#vpe.defaultDoorbell, rdbase: this.#vpe.rdbase };
  }

  /** Whether this ITS maps a vPE. @param vpeid 16 bits */
  maps(vpeid: number): boolean {
    return this.#lookup.findVpe(vpeid, this.#vpe) === '';
  }

  // Pending state and configuration

  /** DISCARD of a virtual event: `interrupt` of the look-up has it. @param device DeviceID @param event EventID */
  discard(device: number, event: number): Refusal {
    const { interrupt } = this.#lookup;
    const { vpeid, intid, doorbell } = interrupt;
    const route = this.route(vpeid);
    if (typeof route === 'string') return route;
    const refusal = this.#delivery.deliver(route, intid, SPURIOUS, false);
    if (refusal !== '') return refusal;
    interrupt.valid = false;
    this.#outstanding.add(NONE, vpeid, EFFECT.FORGET_EVENT, device, event);
    if (route.vpe === undefined) {
      const { v40, lpis } = this.#lookup.redistributor(route.rdbase);
      v40.forget(route.vptAddress, intid);
      lpis.forget(doorbell);
    } else route.vpe.lpis.forget(intid);
    this.#lookup.writeEvent(event);
    return '';
  }

  /** INV of a virtual event: `interrupt` of the look-up has it. */
  inv(): Refusal {
    const { vpeid, intid } = this.#lookup.interrupt;
    return this.#invalidate(vpeid, intid);
  }

  vinvall(vpeid: number): Refusal {
    return this.#invalidate(vpeid, 0);
  }

  /** @param vintid 0 for all */
  #invalidate(vpeid: number, vintid: number): Refusal {
    const lookup = this.#lookup;
    const refusal = lookup.findVpe(vpeid, this.#vpe);
    if (refusal !== '') return refusal;
    const { rdbase: target, vptAddress } = this.#vpe;
    this.#outstanding.add(NONE, vpeid, EFFECT.INVALIDATE_VLPI, vpeid, vintid, target, vptAddress);
    return '';
  }

  /**
   * Configuration of a VLPI, or with 0 of all of a vPE, is read again. @internal
   *
   * @param vpeid 16 bits
   * @param vintid a VLPI, or 0
   * @param rdbase number of the redistributor
   * @param vptAddress physical address
   */
  invalidateNow(vpeid: number, vintid: number, rdbase: number, vptAddress: number): void {
    const { v41, host } = this.#lookup;
    const vpe = v41 ? host.vpe(vpeid) : undefined;
    if (vpe !== undefined) {
      if (vintid === 0 || (vintid >= FIRST_LPI && vintid < vpe.end)) host.invalidateVpe(vpe, vintid);
      return;
    }
    const { v40 } = this.#lookup.redistributor(rdbase);
    if (!v40.holds(vptAddress)) return;
    if (vintid === 0) v40.invalidateAll();
    else v40.invalidate(vintid);
  }

  /** The default doorbell's configuration is read again, on all redistributors. @param vpeid 16 bits */
  invdb(vpeid: number): Refusal {
    const refusal = this.#lookup.findVpe(vpeid, this.#vpe);
    if (refusal !== '') return refusal;
    this.#outstanding.add(NONE, vpeid, EFFECT.INVALIDATE_DOORBELL, this.#vpe.defaultDoorbell);
    return '';
  }

  vsgi(words: Uint32Array, vpeid: number): Refusal {
    const refusal = this.#lookup.findVpe(vpeid, this.#vpe);
    if (refusal !== '') return refusal;
    const vpe = this.#lookup.host.vpe(vpeid);
    if (vpe === undefined) return 'vpe not mapped';
    const bits = words[0]!;
    const sgi = words[1]! & 0xf;
    if ((bits & VSGI_CLEAR) !== 0) vpe.sgis.clear(sgi);
    else vpe.sgis.configure(sgi, (bits & VSGI_ENABLE) !== 0, (bits & VSGI_GROUP1) !== 0, (bits >>> 16) & 0xf0);
    this.#delivery.sgiConfigured(vpe);
    return '';
  }

  /**
   * GITS_SGIR: a vSGI becomes pending.
   *
   * @param vpeid 16 bits
   * @param sgi 0 to 15
   * @returns '' or why not
   */
  raiseSgi(vpeid: number, sgi: number): Refusal {
    const refusal = this.#lookup.findVpe(vpeid, this.#vpe);
    if (refusal !== '') return refusal;
    const vpe = this.#lookup.host.vpe(vpeid);
    if (vpe === undefined) return 'vpe not mapped';
    this.#delivery.sgi(vpe, sgi);
    return '';
  }

  /** VSYNC. A vPE that is mapped nowhere cannot be waited for. @param vpeid 16 bits */
  vsync(vpeid: number): void {
    const { host } = this.#lookup;
    if (host.choices.reportUnpredictable && this.#lookup.v41 && !this.maps(vpeid)) {
      this.#lookup.unpredictable(`VSYNC of vpe ${vpeid}, which is not mapped`);
    }
    this.#outstanding.vsync(vpeid);
  }
}

function isDoorbell(intid: number): boolean {
  return intid === SPURIOUS || (intid >= FIRST_LPI && intid < IDS);
}
