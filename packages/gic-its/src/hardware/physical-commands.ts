/**
 * ITS commands for devices, collections and physical LPIs.
 *
 * Reference: Arm IHI 0069, "ITS commands". A command with an id out of range, or for something that is not mapped, is refused.
 * What a MAPD takes from a device that still has events stays pending.
 */
import { toNumber } from '@vsim/vfio-core';
import type { Forgetting } from './translation.ts';
import { CollectionEntry, DeviceEntry } from './its-tables.ts';
import { ID_BITS, IDS, refused, type ItsLookup, type Refusal } from './its-lookup.ts';
import { EFFECT, NONE, type OutstandingEffects } from './outstanding.ts';
import { FIRST_LPI, SPURIOUS } from './pending-bits.ts';

// V8 folds a module's own constants, but loads what is imported or exported at each use.
const FIRST = FIRST_LPI;
const { FORGET_EVENT, FORGET_COLLECTION, INVALIDATE_LPI, INVALIDATE_LPIS } = EFFECT;
const NOWHERE = NONE;

export class PhysicalCommands {
  readonly #lookup: ItsLookup;
  readonly #outstanding: OutstandingEffects;
  readonly #forgetting: Forgetting;
  readonly #device = new DeviceEntry();
  readonly #collection = new CollectionEntry();

  constructor(lookup: ItsLookup, outstanding: OutstandingEffects, forgetting: Forgetting) {
    this.#lookup = lookup;
    this.#outstanding = outstanding;
    this.#forgetting = forgetting;
  }

  mapd(words: Uint32Array): Refusal {
    const size = words[2]! & 0x1f;
    if (size > ID_BITS) return 'too many event id bits';
    const { devices, host } = this.#lookup;
    const device = this.#device;
    device.valid = (words[5]! & 0x8000_0000) !== 0;
    device.size = size;
    device.ittAddress = toNumber(words[4]! & 0xffff_ff00, words[5]! & 0x000f_ffff);
    const refusal = refused(device.write(host.memory, devices, words[1]!), 'device id out of range');
    this.#lookup.forgetDevice(words[1]!);
    if (refusal === '') this.#forgetting.forgetDevice(words[1]!);
    return refusal;
  }

  mapc(words: Uint32Array): Refusal {
    const { host, collections } = this.#lookup;
    const entry = this.#collection;
    const icid = words[4]! & 0xffff;
    entry.valid = (words[5]! & 0x8000_0000) !== 0;
    entry.rdbase = this.#lookup.target(words[4]!, words[5]!);
    if (entry.valid && entry.rdbase >= host.redistributors.length) return 'no such redistributor';
    const refusal = refused(entry.write(host.memory, collections, icid), 'collection id out of range');
    this.#lookup.forgetCollection(icid);
    if (refusal === '') this.#outstanding.add(entry.rdbase, NOWHERE, FORGET_COLLECTION, icid);
    return refusal;
  }

  mapti(device: number, event: number, intid: number, icid: number): Refusal {
    if (icid >= this.#lookup.collections.entries) return 'collection id out of range';
    const refusal = this.#lookup.mappable(device, event);
    if (refusal !== '') return refusal;
    if (intid < FIRST || intid >= IDS) return 'intid is no lpi';
    this.checkUnmapped(device, event);
    const entry = this.#lookup.interrupt;
    entry.valid = true;
    entry.physical = true;
    entry.intid = intid;
    entry.icid = icid;
    entry.vpeid = 0;
    entry.doorbell = SPURIOUS;
    this.#forgetEvent(device, event, this.#rdbaseOf(icid));
    return this.#lookup.writeEvent(event);
  }

  /** MAPTI and VMAPTI of an event that is mapped are unpredictable. @param device DeviceID @param event EventID */
  checkUnmapped(device: number, event: number): void {
    const { host, interrupt } = this.#lookup;
    if (!host.choices.reportUnpredictable) return;
    interrupt.read(host.memory, this.#lookup.device, event);
    if (interrupt.valid) this.#lookup.unpredictable(`device ${device} event ${event} mapped, which is mapped`);
  }

  movi(device: number, event: number, icid: number): Refusal {
    const lookup = this.#lookup;
    const refusal = lookup.findEvent(device, event);
    if (refusal !== '') return refusal;
    const { interrupt } = lookup;
    if (!interrupt.physical) return 'event is virtual';
    const source = lookup.collection(interrupt.icid);
    if (source === undefined) return lookup.noCollection;
    const target = lookup.collection(icid);
    if (target === undefined) return lookup.noCollection;
    const { intid } = interrupt;
    interrupt.writeIcid(lookup.host.memory, lookup.device, event, icid);
    // SYNC of either redistributor completes it: Linux waits for the one that loses the event.
    this.#forgetEvent(device, event, source.index);
    if (source !== target) this.#forgetEvent(device, event, target.index);
    // Last: the target's CPU may take the interrupt at once, and its handler raise others.
    if (source !== target) source.lpis.moveTo(target.lpis, intid);
    return '';
  }

  movall(from: number, to: number): Refusal {
    const { redistributors } = this.#lookup.host;
    const source = redistributors[from];
    const target = redistributors[to];
    if (source === undefined || target === undefined) return 'no such redistributor';
    if (from !== to) source.lpis.moveAllTo(target.lpis);
    return '';
  }

  /** INT and CLEAR of an event that is physical: `interrupt` of the look-up has it. */
  raise(pending: boolean): Refusal {
    const { interrupt } = this.#lookup;
    const target = this.#lookup.collection(interrupt.icid);
    if (target === undefined) return this.#lookup.noCollection;
    if (pending) target.lpis.deliver(interrupt.intid);
    else target.lpis.clear(interrupt.intid);
    return '';
  }

  /** DISCARD of an event that is physical: `interrupt` of the look-up has it. @param device DeviceID @param event EventID */
  discard(device: number, event: number): Refusal {
    const { interrupt } = this.#lookup;
    const target = this.#lookup.collection(interrupt.icid);
    if (target === undefined) return this.#lookup.noCollection;
    const { lpis, index } = target;
    const { intid } = interrupt;
    interrupt.valid = false;
    this.#lookup.writeEvent(event);
    this.#forgetEvent(device, event, index);
    lpis.clear(intid);
    lpis.forget(intid);
    return '';
  }

  /** INV of a physical event. */
  inv(): Refusal {
    const { interrupt } = this.#lookup;
    const target = this.#lookup.collection(interrupt.icid);
    if (target === undefined) return this.#lookup.noCollection;
    this.#outstanding.add(target.index, NOWHERE, INVALIDATE_LPI, target.index, interrupt.intid);
    return '';
  }

  /**
   * Without caches every redistributor looks again: more than the collection's is allowed, and needs no look-up that could fail.
   *
   * @param icid 16 bits
   */
  invall(icid: number): Refusal {
    const { host } = this.#lookup;
    if (!host.choices.cacheLpis) {
      for (const { lpis } of host.redistributors) lpis.invalidateAll();
      return '';
    }
    const target = this.#lookup.collection(icid);
    if (target === undefined) return this.#lookup.noCollection;
    this.#outstanding.add(target.index, NOWHERE, INVALIDATE_LPIS, target.index);
    return '';
  }

  #rdbaseOf(icid: number): number {
    const target = this.#lookup.collection(icid);
    return target === undefined ? NOWHERE : target.index;
  }

  #forgetEvent(device: number, event: number, target: number): void {
    // Without a redistributor to wait for, there is nothing to wait for.
    if (target === NOWHERE || this.#outstanding.atOnce) this.#forgetting.forgetEvent(device, event);
    else this.#outstanding.add(target, NOWHERE, FORGET_EVENT, device, event);
  }
}
