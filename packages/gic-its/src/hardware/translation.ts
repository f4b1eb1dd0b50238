/**
 * What an ITS does: it executes commands, and translates MSIs.
 *
 * Reference: Arm IHI 0069, "Functions of the ITS". A command that cannot be executed is skipped or stalls the queue, by choice; one
 * whose table is not in RAM stalls it. With the choice `cacheTranslations` an MSI is translated from what the ITS kept of earlier
 * ones; commands read the event's entry in the tables each time.
 */
import { toBigint } from '@vsim/vfio-core';
import type { CommandExecutor, CommandOutcome } from './command-queue.ts';
import { commandName, OPCODE } from './commands.ts';
import { COMMAND, COMMAND_IGNORED, COMMAND_STALLED, MSI_DROPPED } from './events.ts';
import { BUS_ERROR, ItsLookup, type Refusal, type TranslationHost } from './its-lookup.ts';
import { EFFECT, OutstandingEffects } from './outstanding.ts';
import { PhysicalCommands } from './physical-commands.ts';
import type { PhysicalLpis } from './physical-lpis.ts';
import { INTID_MASK, PHYSICAL, TranslationCache } from './translation-cache.ts';
import { VirtualCommands } from './virtual-commands.ts';
import { VlpiDelivery, type VpeRoute } from './vlpi-delivery.ts';

// V8 folds a module's own constants, but loads what is imported or exported at each use.
const { MOVI, INT, CLEAR, SYNC, MAPD, MAPC, MAPTI, MAPI, INV, INVALL, MOVALL, DISCARD } = OPCODE;
const { VMAPP, VMAPTI, VMAPI, VMOVI, VMOVP, VINVALL, VSYNC, INVDB, VSGI } = OPCODE;
const { FORGET_EVENT, FORGET_COLLECTION, FORGET_VPE, INVALIDATE_LPI, INVALIDATE_LPIS, INVALIDATE_VLPI, INVALIDATE_DOORBELL } = EFFECT;
const IS_PHYSICAL = PHYSICAL;
const INTID = INTID_MASK;

/** What commands make an ITS forget. */
export interface Forgetting {
  forgetEvent(device: number, event: number): void;
  forgetDevice(device: number): void;
  forgetCollection(icid: number): void;
  forgetRoute(vpeid: number): void;
}

export class Translation implements CommandExecutor, Forgetting {
  readonly lookup: ItsLookup;
  readonly virtual: VirtualCommands;
  readonly #host: TranslationHost;
  readonly #physical: PhysicalCommands;
  readonly #delivery: VlpiDelivery;
  readonly #outstanding: OutstandingEffects;
  readonly #cache: TranslationCache | undefined;
  /** The LPIs to which each ICID that was looked up leads. */
  #targets: (PhysicalLpis | undefined)[] = [];
  /** Places of vPEs that were looked up. */
  #routes: (VpeRoute | undefined)[] = [];

  constructor(host: TranslationHost, index: number) {
    this.#host = host;
    this.lookup = new ItsLookup(host, index);
    this.#outstanding = new OutstandingEffects(host.choices.completion === 'command', (effect, a, b, c, d) => this.#complete(effect, a, b, c, d));
    this.#delivery = new VlpiDelivery(this.lookup);
    this.#physical = new PhysicalCommands(this.lookup, this.#outstanding, this);
    this.virtual = new VirtualCommands(this.lookup, this.#outstanding, this.#physical, this.#delivery);
    this.#cache = host.choices.cacheTranslations ? new TranslationCache() : undefined;
  }

  /** A write of GITS_TRANSLATER. @param device DeviceID, 32 bits @param event EventID, 32 bits */
  msi(device: number, event: number): void {
    const cache = this.#cache;
    if (cache !== undefined) {
      const at = cache.find(device, event);
      if (at >= 0) {
        const kind = cache.words[at]!;
        const target = cache.words[at + 1]!;
        if ((kind & IS_PHYSICAL) === 0) {
          if (this.#deliverVlpi(device, event, kind, target)) return;
        } else {
          const lpis = this.#targets[target & 0xffff];
          if (lpis !== undefined) {
            lpis.deliver(kind & INTID);
            return;
          }
        }
      }
    }
    this.#msiByTables(device, event);
  }

  /** Tells that an MSI did nothing. @param device DeviceID, 32 bits @param event EventID, 32 bits */
  drop(device: number, event: number, why: string): void {
    const { trace } = this.#host;
    if (trace.on) trace.emit(MSI_DROPPED, { its: this.lookup.index, device, event, why });
  }

  /**
   * GITS_SGIR: a vSGI becomes pending.
   *
   * @param vpeid 16 bits
   * @param sgi 0 to 15
   * @returns '' or why not
   */
  raiseSgi(vpeid: number, sgi: number): Refusal {
    return this.virtual.raiseSgi(vpeid, sgi);
  }

  /** GITS_CTLR.Enabled changed: what commands began is done. */
  finish(): void {
    this.#outstanding.all();
    this.reset();
  }

  /** Nothing that was kept is any more. */
  reset(): void {
    this.#outstanding.reset();
    this.lookup.forgetTables();
    this.#cache?.clear();
    this.#targets = [];
    this.#routes = [];
  }

  /** What a command began takes effect in what is kept. */
  #complete(effect: number, a: number, b: number, c: number, d: number): void {
    const { host } = this.lookup;
    switch (effect) {
      case FORGET_EVENT:
        this.forgetEvent(a, b);
        return;
      case FORGET_COLLECTION:
        this.forgetCollection(a);
        return;
      case FORGET_VPE:
        host.forgetVpe(a);
        return;
      case INVALIDATE_LPI:
        this.lookup.redistributor(a).lpis.invalidate(b);
        return;
      case INVALIDATE_LPIS:
        this.lookup.redistributor(a).lpis.invalidateAll();
        return;
      case INVALIDATE_VLPI:
        this.virtual.invalidateNow(a, b, c, d);
        return;
      case INVALIDATE_DOORBELL:
        for (const { lpis } of host.redistributors) lpis.invalidate(a);
    }
  }

  // Forgetting

  forgetEvent(device: number, event: number): void {
    this.#cache?.forget(device, event);
  }

  forgetDevice(device: number): void {
    this.#cache?.forgetDevice(device);
  }

  forgetCollection(icid: number): void {
    if (icid < this.#targets.length) this.#targets[icid] = undefined;
  }

  forgetRoute(vpeid: number): void {
    if (vpeid < this.#routes.length) this.#routes[vpeid] = undefined;
  }

  // MSIs

  #refuse(device: number, event: number, why: Refusal): void {
    if (why !== '') this.drop(device, event, why);
  }

  #msiByTables(device: number, event: number): void {
    this.#refuse(device, event, this.#translate(device, event));
  }

  /** Translates by the tables, and keeps what it found. */
  #translate(device: number, event: number): Refusal {
    const { lookup } = this;
    const refusal = lookup.findEvent(device, event);
    if (refusal !== '') return refusal;
    const { physical, intid, icid, vpeid, doorbell } = lookup.interrupt;
    this.#cache?.add(device, event, intid, physical ? IS_PHYSICAL : 0, physical ? icid : vpeid, doorbell);
    if (!physical) {
      const route = this.#route(vpeid);
      return typeof route === 'string' ? route : this.#delivery.deliver(route, intid, doorbell, true);
    }
    const target = this.#targetOf(icid);
    if (typeof target === 'string') return target;
    target.deliver(intid);
    return '';
  }

  /** @returns false if the vPE's place is not kept */
  #deliverVlpi(device: number, event: number, kind: number, target: number): boolean {
    const route = this.#routes[target & 0xffff];
    if (route === undefined) return false;
    const vintid = kind & INTID;
    // GICv4.1: what deliver() comes to, without its other cases.
    if (route.vpe !== undefined && route.has(vintid)) this.#delivery.raise(route.vpe, vintid);
    else this.#deliverVlpiAnyhow(route, device, event, vintid, target >>> 16);
    return true;
  }

  /** With all cases; apart, like msiByTables(), so that msi() with what it takes in is short enough to be taken into its callers. */
  #deliverVlpiAnyhow(route: VpeRoute, device: number, event: number, vintid: number, doorbell: number): void {
    this.#refuse(device, event, this.#delivery.deliver(route, vintid, doorbell, true));
  }

  #targetOf(icid: number): PhysicalLpis | Refusal {
    const known = this.#targets[icid];
    if (known !== undefined) return known;
    const target = this.lookup.collection(icid);
    if (target === undefined) return this.lookup.noCollection;
    const { lpis } = target;
    if (this.#cache === undefined) return lpis;
    while (this.#targets.length <= icid) this.#targets.push(undefined);
    this.#targets[icid] = lpis;
    return lpis;
  }

  #route(vpeid: number): VpeRoute | Refusal {
    const known = this.#routes[vpeid];
    if (known !== undefined) return known;
    const route = this.virtual.route(vpeid);
    if (typeof route === 'string' || this.#cache === undefined) return route;
    while (this.#routes.length <= vpeid) this.#routes.push(undefined);
    this.#routes[vpeid] = route;
    return route;
  }

  // Commands

  command(words: Uint32Array): CommandOutcome {
    if (this.#host.trace.on) this.#tellCommand(words);
    const refusal = this.#dispatch(words[0]! & 0xff, words);
    return refusal === '' ? 'done' : this.#refuseCommand(words, refusal);
  }

  #tellCommand(words: Uint32Array): void {
    const dws = [0, 2, 4, 6].map((i) => toBigint(words[i]!, words[i + 1]!));
    this.#host.trace.emit(COMMAND, { its: this.lookup.index, name: commandName(words[0]! & 0xff), words: dws });
  }

  #refuseCommand(words: Uint32Array, why: Refusal): CommandOutcome {
    const { trace, choices } = this.#host;
    const stall = why === BUS_ERROR || choices.commandErrors === 'stall';
    if (trace.on) trace.emit(stall ? COMMAND_STALLED : COMMAND_IGNORED, { its: this.lookup.index, name: commandName(words[0]! & 0xff), why });
    return stall ? 'stall' : 'done';
  }

  /** Here those that software sends all the time, apart from the others so that this is short enough to be taken into its caller. */
  #dispatch(opcode: number, words: Uint32Array): Refusal {
    const device = words[1]!;
    const event = words[2]!;
    switch (opcode) {
      case SYNC:
        this.#outstanding.sync(this.lookup.target(words[4]!, words[5]!));
        return '';
      case INV: {
        const refusal = this.lookup.findEvent(device, event);
        if (refusal !== '') return refusal;
        return this.lookup.interrupt.physical ? this.#physical.inv() : this.virtual.inv();
      }
      case MOVI:
        return this.#physical.movi(device, event, words[4]! & 0xffff);
      case MAPTI:
        return this.#physical.mapti(device, event, words[3]!, words[4]! & 0xffff);
      case INT:
        return this.#raise(device, event, true);
      case CLEAR:
        return this.#raise(device, event, false);
      default:
        return this.#dispatchOther(opcode, words);
    }
  }

  #dispatchOther(opcode: number, words: Uint32Array): Refusal {
    const device = words[1]!;
    const event = words[2]!;
    switch (opcode) {
      case MAPI:
        return this.#physical.mapti(device, event, event, words[4]! & 0xffff);
      case DISCARD: {
        const refusal = this.lookup.findEvent(device, event);
        if (refusal !== '') return refusal;
        return this.lookup.interrupt.physical ? this.#physical.discard(device, event) : this.virtual.discard(device, event);
      }
      case MAPD:
        return this.#physical.mapd(words);
      case MAPC:
        return this.#physical.mapc(words);
      case MOVALL:
        return this.#physical.movall(this.lookup.target(words[4]!, words[5]!), this.lookup.target(words[6]!, words[7]!));
      case INVALL:
        return this.#physical.invall(words[4]! & 0xffff);
      default:
        return this.#host.version === 'gicv3' ? 'unknown command' : this.#dispatchVirtual(opcode, words);
    }
  }

  #dispatchVirtual(opcode: number, words: Uint32Array): Refusal {
    const device = words[1]!;
    const event = words[2]!;
    const vpeid = words[3]! & 0xffff;
    const { virtual } = this;
    switch (opcode) {
      case VMAPP:
        return virtual.vmapp(words, vpeid);
      case VMAPTI:
        return virtual.vmapti(device, event, vpeid, words[4]!, words[5]!);
      case VMAPI:
        return virtual.vmapti(device, event, vpeid, event, words[5]!);
      case VMOVI:
        return virtual.vmovi(device, event, vpeid, (words[4]! & 1) !== 0, words[5]!);
      case VMOVP:
        return virtual.vmovp(words, vpeid);
      case VINVALL:
        return virtual.vinvall(vpeid);
      case VSYNC:
        virtual.vsync(vpeid);
        return '';
      case INVDB:
        return this.lookup.v41 ? virtual.invdb(vpeid) : 'unknown command';
      case VSGI:
        return this.lookup.v41 ? virtual.vsgi(words, vpeid) : 'unknown command';
      default:
        return 'unknown command';
    }
  }

  /** INT and CLEAR: by the tables, never by what is kept. */
  #raise(device: number, event: number, pending: boolean): Refusal {
    const refusal = this.lookup.findEvent(device, event);
    if (refusal !== '') return refusal;
    const { physical, intid, vpeid, doorbell } = this.lookup.interrupt;
    if (physical) return this.#physical.raise(pending);
    const route = this.virtual.route(vpeid);
    return typeof route === 'string' ? route : this.#delivery.deliver(route, intid, doorbell, pending);
  }
}
