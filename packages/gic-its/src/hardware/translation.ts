/**
 * What an ITS does with its tables: it executes commands and translates MSIs.
 *
 * Reference: Arm IHI 0069, "ITS commands", "Functions of the ITS". A command with an id out of range, or for
 * something that is not mapped, is ignored; one whose table is not in RAM stalls the queue.
 * Modelled: all physical commands and all virtual ones but VSGI, with the encodings of GICv4.0 or GICv4.1. Effects are complete
 * when a command is taken, so SYNC and VSYNC have nothing to wait for.
 * Not modelled: VSGI (ignored, with an event); VMOVP's lists (each ITS acts on its own).
 */
import { toBigint, toNumber, type Memory, type Trace } from '@vsim/vfio-core';
import type { ImplementationChoices } from './choices.ts';
import type { CommandOutcome } from './command-queue.ts';
import { commandName, OPCODE } from './commands.ts';
import { COMMAND, COMMAND_IGNORED, COMMAND_STALLED, MSI_DROPPED, UNPREDICTABLE, VLPI_PENDING } from './events.ts';
import {
  CollectionEntry,
  COLLECTION_ENTRY_BYTES,
  DEVICE_ENTRY_BYTES,
  DeviceEntry,
  InterruptEntry,
  ItsTable,
  VPE_ENTRY_BYTES,
  VPE_ENTRY_BYTES_V41,
  VpeEntry,
  type Access,
} from './its-tables.ts';
import { FIRST_LPI, SPURIOUS } from './pending-bits.ts';
import type { Redistributor } from './redistributor.ts';
import { VpeContext } from './vpe.ts';

/** DeviceID, EventID, INTID, ICID and vPEID bits, less one. */
export const ID_BITS = 15;
const IDS = 0x1_0000;

/** What translation needs of the GIC. */
export interface TranslationHost {
  readonly memory: Memory;
  readonly trace: Trace;
  readonly choices: ImplementationChoices;
  readonly version: 'gicv3' | 'gicv4' | 'gicv4.1';
  readonly redistributors: readonly Redistributor[];
  vpe(vpeid: number): VpeContext | undefined;
  setVpe(vpeid: number, vpe: VpeContext | undefined): void;
}

/** Why a command does nothing; '' when it was executed. A bus error stalls. */
type Refusal = string;
const BUS_ERROR: Refusal = 'a table is not in memory';

type Event = 'set' | 'clear';

export class Translation {
  readonly devices: ItsTable;
  readonly collections: ItsTable;
  readonly vpes: ItsTable;
  readonly #index: number;
  readonly #host: TranslationHost;
  readonly #v41: boolean;
  readonly #device = new DeviceEntry();
  readonly #collection = new CollectionEntry();
  readonly #target = new CollectionEntry();
  readonly #interrupt = new InterruptEntry();
  readonly #vpe = new VpeEntry();
  readonly #targetVpe = new VpeEntry();

  constructor(host: TranslationHost, index: number) {
    this.#host = host;
    this.#index = index;
    this.#v41 = host.version === 'gicv4.1';
    this.devices = new ItsTable(host.memory, DEVICE_ENTRY_BYTES, IDS);
    this.collections = new ItsTable(host.memory, COLLECTION_ENTRY_BYTES, IDS);
    this.vpes = new ItsTable(host.memory, this.#v41 ? VPE_ENTRY_BYTES_V41 : VPE_ENTRY_BYTES, IDS);
  }

  /** A write of GITS_TRANSLATER. */
  msi(device: number, event: number): void {
    const refusal = this.#raise(device, event, 'set');
    if (refusal !== '') this.drop(device, event, refusal);
  }

  /** Tells that an MSI did nothing. */
  drop(device: number, event: number, why: string): void {
    const { trace } = this.#host;
    if (trace.on) trace.emit(MSI_DROPPED, { its: this.#index, device, event, why });
  }

  /** Executes one command of eight words. */
  command(words: Uint32Array): CommandOutcome {
    const { trace } = this.#host;
    if (trace.on) {
      const dws = [0, 2, 4, 6].map((i) => toBigint(words[i]!, words[i + 1]!));
      trace.emit(COMMAND, { its: this.#index, name: commandName(words[0]! & 0xff), words: dws });
    }
    const refusal = this.#dispatch(words[0]! & 0xff, words);
    if (refusal === '') return 'done';
    if (trace.on) {
      const kind = refusal === BUS_ERROR ? COMMAND_STALLED : COMMAND_IGNORED;
      trace.emit(kind, { its: this.#index, name: commandName(words[0]! & 0xff), why: refusal });
    }
    return refusal === BUS_ERROR ? 'stall' : 'done';
  }

  #dispatch(opcode: number, words: Uint32Array): Refusal {
    const device = words[1]!;
    const event = words[2]!;
    switch (opcode) {
      case OPCODE.INT:
        return this.#raise(device, event, 'set');
      case OPCODE.CLEAR:
        return this.#raise(device, event, 'clear');
      case OPCODE.DISCARD:
        return this.#discard(device, event);
      case OPCODE.MAPD:
        return this.#mapd(words);
      case OPCODE.MAPC:
        return this.#mapc(words);
      case OPCODE.MAPTI:
        return this.#mapti(device, event, words[3]!, words[4]! & 0xffff);
      case OPCODE.MAPI:
        return this.#mapti(device, event, event, words[4]! & 0xffff);
      case OPCODE.MOVI:
        return this.#movi(device, event, words[4]! & 0xffff);
      case OPCODE.MOVALL:
        return this.#movall(rdbase(words[4]!, words[5]!), rdbase(words[6]!, words[7]!));
      case OPCODE.INV:
        return this.#inv(device, event);
      case OPCODE.INVALL:
        return this.#invall();
      case OPCODE.SYNC:
        return '';
      default:
        return this.#host.version === 'gicv3' ? 'unknown command' : this.#dispatchVirtual(opcode, words);
    }
  }

  #dispatchVirtual(opcode: number, words: Uint32Array): Refusal {
    const device = words[1]!;
    const event = words[2]!;
    const vpeid = words[3]! & 0xffff;
    switch (opcode) {
      case OPCODE.VMAPP:
        return this.#vmapp(words, vpeid);
      case OPCODE.VMAPTI:
        return this.#vmapti(device, event, vpeid, words[4]!, words[5]!);
      case OPCODE.VMAPI:
        return this.#vmapti(device, event, vpeid, event, words[5]!);
      case OPCODE.VMOVI:
        return this.#vmovi(device, event, vpeid, (words[4]! & 1) !== 0, words[5]!);
      case OPCODE.VMOVP:
        return this.#vmovp(words, vpeid);
      case OPCODE.VINVALL:
        return this.#vinvall(vpeid);
      case OPCODE.VSYNC:
        return '';
      case OPCODE.INVDB:
        return this.#v41 ? this.#invdb(vpeid) : 'unknown command';
      default:
        return opcode === OPCODE.VSGI && this.#v41 ? 'VSGI is not modelled' : 'unknown command';
    }
  }

  // Look-ups: each leaves the decoded entry in its field.

  #findDevice(device: number): Refusal {
    const access = this.#device.read(this.#host.memory, this.devices, device);
    if (access !== 'ok') return refused(access, 'device id out of range');
    return this.#device.valid ? '' : 'device not mapped';
  }

  #findEvent(device: number, event: number): Refusal {
    const refusal = this.#findDevice(device);
    if (refusal !== '') return refusal;
    if (event >= 2 ** (this.#device.size + 1)) return 'event id out of range';
    const access = this.#interrupt.read(this.#host.memory, this.#device.ittAddress, event);
    if (access !== 'ok') return refused(access, '');
    return this.#interrupt.valid ? '' : 'event not mapped';
  }

  #findCollection(icid: number, into: CollectionEntry): Refusal {
    const access = into.read(this.#host.memory, this.collections, icid);
    if (access !== 'ok') return refused(access, 'collection id out of range');
    if (!into.valid) return 'collection not mapped';
    return into.rdbase < this.#host.redistributors.length ? '' : 'no such redistributor';
  }

  #findVpe(vpeid: number, into: VpeEntry): Refusal {
    const access = into.read(this.#host.memory, this.vpes, vpeid, this.#v41);
    if (access !== 'ok') return refused(access, 'vpe id out of range');
    if (!into.valid) return 'vpe not mapped';
    return into.rdbase < this.#host.redistributors.length ? '' : 'no such redistributor';
  }

  #redistributor(index: number): Redistributor {
    return this.#host.redistributors[index]!;
  }

  #writeEvent(event: number): Refusal {
    return refused(this.#interrupt.write(this.#host.memory, this.#device.ittAddress, event), '');
  }

  // Physical commands

  #raise(device: number, event: number, what: Event): Refusal {
    const refusal = this.#findEvent(device, event);
    if (refusal !== '') return refusal;
    const entry = this.#interrupt;
    if (!entry.physical) return this.#raiseVirtual(entry, what);
    const lost = this.#findCollection(entry.icid, this.#collection);
    if (lost !== '') return lost;
    const target = this.#redistributor(this.#collection.rdbase);
    if (what === 'set') target.deliverLpi(entry.intid);
    else target.clearLpi(entry.intid);
    return '';
  }

  #discard(device: number, event: number): Refusal {
    const refusal = this.#raise(device, event, 'clear');
    if (refusal !== '') return refusal;
    this.#interrupt.valid = false;
    return this.#writeEvent(event);
  }

  #mapd(words: Uint32Array): Refusal {
    const size = words[2]! & 0x1f;
    if (size > ID_BITS) return 'too many event id bits';
    const entry = this.#device;
    entry.valid = (words[5]! & 0x8000_0000) !== 0;
    entry.size = size;
    entry.ittAddress = toNumber(words[4]! & 0xffff_ff00, words[5]! & 0x000f_ffff);
    return refused(entry.write(this.#host.memory, this.devices, words[1]!), 'device id out of range');
  }

  #mapc(words: Uint32Array): Refusal {
    const entry = this.#collection;
    entry.valid = (words[5]! & 0x8000_0000) !== 0;
    entry.rdbase = rdbase(words[4]!, words[5]!);
    if (entry.valid && entry.rdbase >= this.#host.redistributors.length) return 'no such redistributor';
    return refused(entry.write(this.#host.memory, this.collections, words[4]! & 0xffff), 'collection id out of range');
  }

  #mapti(device: number, event: number, intid: number, icid: number): Refusal {
    if (icid >= this.collections.entries) return 'collection id out of range';
    const refusal = this.#mappable(device, event);
    if (refusal !== '') return refusal;
    if (intid < FIRST_LPI || intid >= IDS) return 'intid is no lpi';
    const entry = this.#interrupt;
    entry.valid = true;
    entry.physical = true;
    entry.intid = intid;
    entry.icid = icid;
    entry.vpeid = 0;
    entry.doorbell = SPURIOUS;
    return this.#writeEvent(event);
  }

  /** The device is mapped and has this event. */
  #mappable(device: number, event: number): Refusal {
    const refusal = this.#findDevice(device);
    if (refusal !== '') return refusal;
    return event < 2 ** (this.#device.size + 1) ? '' : 'event id out of range';
  }

  #movi(device: number, event: number, icid: number): Refusal {
    const refusal = this.#findEvent(device, event);
    if (refusal !== '') return refusal;
    if (!this.#interrupt.physical) return 'event is virtual';
    const lost = this.#findCollection(this.#interrupt.icid, this.#collection);
    if (lost !== '') return lost;
    const nowhere = this.#findCollection(icid, this.#target);
    if (nowhere !== '') return nowhere;
    if (this.#collection.rdbase !== this.#target.rdbase) {
      this.#redistributor(this.#collection.rdbase).moveLpiTo(this.#redistributor(this.#target.rdbase), this.#interrupt.intid);
    }
    this.#interrupt.icid = icid;
    return this.#writeEvent(event);
  }

  #movall(from: number, to: number): Refusal {
    const count = this.#host.redistributors.length;
    if (from >= count || to >= count) return 'no such redistributor';
    if (from !== to) this.#redistributor(from).moveAllLpisTo(this.#redistributor(to));
    return '';
  }

  #inv(device: number, event: number): Refusal {
    const refusal = this.#findEvent(device, event);
    if (refusal !== '') return refusal;
    if (!this.#interrupt.physical) return this.#vinvall(this.#interrupt.vpeid);
    const lost = this.#findCollection(this.#interrupt.icid, this.#collection);
    if (lost !== '') return lost;
    this.#redistributor(this.#collection.rdbase).rescanLpis();
    return '';
  }

  /** Re-reading more than the collection's is allowed: it needs no look-up that could fail. */
  #invall(): Refusal {
    for (const redistributor of this.#host.redistributors) redistributor.rescanLpis();
    return '';
  }

  // Virtual commands

  #raiseVirtual(entry: InterruptEntry, what: Event): Refusal {
    const refusal = this.#findVpe(entry.vpeid, this.#vpe);
    if (refusal !== '') return refusal;
    if (entry.intid < FIRST_LPI || entry.intid >= 2 ** (this.#vpe.vptSize + 1)) return 'vintid beyond the vpt';
    const target = this.#redistributor(this.#vpe.rdbase);
    if (!this.#v41) {
      if (what === 'set') target.deliverVlpi(this.#vpe.vptAddress, entry.intid, entry.doorbell);
      else target.clearVlpi(this.#vpe.vptAddress, entry.intid);
      return '';
    }
    const vpe = this.#host.vpe(entry.vpeid);
    if (vpe === undefined) return 'vpe not mapped';
    this.#change(vpe, target, this.#vpe.defaultDoorbell, entry.intid, what === 'set');
    return '';
  }

  /** GICv4.1: a pending bit changes, wherever the vPE is. */
  #change(vpe: VpeContext, target: Redistributor, doorbell: number, vintid: number, pending: boolean): void {
    if (!vpe.pending.change(vintid, pending)) return;
    const { trace } = this.#host;
    if (pending && trace.on) trace.emit(VLPI_PENDING, { vpe: vpe.vpeid, vintid });
    if (vpe.residentOn >= 0) {
      const holder = this.#redistributor(vpe.residentOn);
      if (pending) holder.vlpiBecamePending(vintid);
      else holder.vlpiCleared(vintid);
    } else if (pending && vpe.doorbellArmed && vpe.enabled(vintid)) {
      vpe.doorbellArmed = false;
      if (doorbell !== SPURIOUS) target.deliverLpi(doorbell);
    }
  }

  #vmapp(words: Uint32Array, vpeid: number): Refusal {
    const valid = (words[5]! & 0x8000_0000) !== 0;
    const size = words[6]! & 0x1f;
    const target = rdbase(words[4]!, words[5]!);
    if (valid && target >= this.#host.redistributors.length) return 'no such redistributor';
    if (size > ID_BITS) return 'vpt too large';
    const entry = this.#vpe;
    entry.valid = valid;
    entry.rdbase = target;
    entry.vptSize = size;
    entry.vptAddress = toNumber(words[6]! & 0xffff_0000, words[7]! & 0x000f_ffff);
    entry.vconfAddress = toNumber(words[0]! & 0xffff_0000, words[1]! & 0x000f_ffff);
    entry.defaultDoorbell = words[2]!;
    const refusal = refused(entry.write(this.#host.memory, this.vpes, vpeid, this.#v41), 'vpe id out of range');
    if (refusal !== '' || !this.#v41) return refusal;
    if (valid) this.#allocate(vpeid, (words[0]! & 0x100) !== 0, (words[0]! & 0x200) !== 0);
    else if ((words[0]! & 0x100) !== 0) this.#release(vpeid);
    return '';
  }

  /** VMAPP with V = 1: the first ITS that maps the vPE (Alloc = 1) makes the GIC take its VPT over. */
  #allocate(vpeid: number, alloc: boolean, ptz: boolean): void {
    const { memory, choices } = this.#host;
    const known = this.#host.vpe(vpeid);
    if (alloc && known !== undefined) this.#unpredictable(`VMAPP with Alloc of vpe ${vpeid}, which is mapped`);
    if (!alloc && known === undefined) this.#unpredictable(`VMAPP without Alloc of vpe ${vpeid}, which is mapped nowhere`);
    if (known !== undefined) return;
    const zero = ptz && choices.honourPtz;
    const vpe = new VpeContext(memory, vpeid, this.#vpe, choices.cacheVpt, zero);
    if (ptz && vpe.tableHasBits) this.#unpredictable(`VMAPP with PTZ of vpe ${vpeid}, whose VPT is not zero`);
    this.#host.setVpe(vpeid, vpe);
  }

  /** VMAPP with V = 0 and Alloc = 1: the VPT is written back and forgotten. */
  #release(vpeid: number): void {
    const vpe = this.#host.vpe(vpeid);
    if (vpe === undefined) return;
    if (vpe.residentOn >= 0) this.#redistributor(vpe.residentOn).evict(vpe);
    vpe.writeBack();
    this.#host.setVpe(vpeid, undefined);
  }

  #vmapti(device: number, event: number, vpeid: number, vintid: number, doorbell: number): Refusal {
    if (vintid < FIRST_LPI || vintid >= IDS) return 'vintid is no lpi';
    if (doorbell !== SPURIOUS && (doorbell < FIRST_LPI || doorbell >= IDS)) return 'doorbell is no lpi';
    if (vpeid >= this.vpes.entries) return 'vpe id out of range';
    const refusal = this.#mappable(device, event);
    if (refusal !== '') return refusal;
    const entry = this.#interrupt;
    entry.valid = true;
    entry.physical = false;
    entry.intid = vintid;
    entry.icid = 0;
    entry.vpeid = vpeid;
    entry.doorbell = doorbell;
    return this.#writeEvent(event);
  }

  #vmovi(device: number, event: number, vpeid: number, withDoorbell: boolean, doorbell: number): Refusal {
    if (withDoorbell && doorbell !== SPURIOUS && (doorbell < FIRST_LPI || doorbell >= IDS)) return 'doorbell is no lpi';
    if (vpeid >= this.vpes.entries) return 'vpe id out of range';
    const refusal = this.#findEvent(device, event);
    if (refusal !== '') return refusal;
    const entry = this.#interrupt;
    if (entry.physical) return 'event is physical';
    const lost = this.#findVpe(entry.vpeid, this.#vpe);
    if (lost !== '') return lost;
    const nowhere = this.#findVpe(vpeid, this.#targetVpe);
    if (nowhere !== '') return nowhere;
    const limit = 2 ** (Math.min(this.#vpe.vptSize, this.#targetVpe.vptSize) + 1);
    if (entry.intid < FIRST_LPI || entry.intid >= limit) return 'vintid beyond the vpt';
    const from = entry.vpeid;
    entry.vpeid = vpeid;
    if (withDoorbell) entry.doorbell = doorbell;
    const source = this.#redistributor(this.#vpe.rdbase);
    const target = this.#redistributor(this.#targetVpe.rdbase);
    if (this.#v41) this.#moveVlpi(from, vpeid, entry.intid, source, target);
    else source.moveVlpiTo(target, this.#vpe.vptAddress, this.#targetVpe.vptAddress, entry.intid, entry.doorbell);
    return this.#writeEvent(event);
  }

  #moveVlpi(from: number, to: number, vintid: number, source: Redistributor, target: Redistributor): void {
    const old = this.#host.vpe(from);
    const vpe = this.#host.vpe(to);
    if (from === to || old === undefined || vpe === undefined || !old.pending.test(vintid)) return;
    this.#change(old, source, this.#vpe.defaultDoorbell, vintid, false);
    this.#change(vpe, target, this.#targetVpe.defaultDoorbell, vintid, true);
  }

  #vmovp(words: Uint32Array, vpeid: number): Refusal {
    const target = rdbase(words[4]!, words[5]!);
    if (target >= this.#host.redistributors.length) return 'no such redistributor';
    const entry = this.#vpe;
    const refusal = this.#findVpe(vpeid, entry);
    if (refusal !== '') return refusal;
    const old = this.#redistributor(entry.rdbase);
    const vpe = this.#v41 ? this.#host.vpe(vpeid) : undefined;
    if (vpe !== undefined && vpe.residentOn >= 0) this.#redistributor(vpe.residentOn).evict(vpe);
    if (this.#v41 && old.index !== target && this.#host.choices.doorbellFollowsVpe && entry.defaultDoorbell !== SPURIOUS) {
      old.moveLpiTo(this.#redistributor(target), entry.defaultDoorbell);
    }
    if (this.#v41 && (words[5]! & 0x8000_0000) !== 0) entry.defaultDoorbell = words[6]!;
    entry.rdbase = target;
    return refused(entry.write(this.#host.memory, this.vpes, vpeid, this.#v41), '');
  }

  #vinvall(vpeid: number): Refusal {
    const refusal = this.#findVpe(vpeid, this.#vpe);
    if (refusal !== '') return refusal;
    const target = this.#redistributor(this.#vpe.rdbase);
    const vpe = this.#v41 ? this.#host.vpe(vpeid) : undefined;
    if (vpe !== undefined) target.invalidateVpe(vpe);
    else if (target.holdsVpt(this.#vpe.vptAddress)) target.rescanVlpis();
    return '';
  }

  /** The default doorbell's configuration is read again, wherever it is pending. */
  #invdb(vpeid: number): Refusal {
    const refusal = this.#findVpe(vpeid, this.#vpe);
    if (refusal !== '') return refusal;
    for (const redistributor of this.#host.redistributors) redistributor.rescanLpis();
    return '';
  }

  /** GICv4.1: rings the doorbell of a vPE that asked for it, at the redistributor where it is mapped. */
  ringDefaultDoorbell(vpe: VpeContext): void {
    if (this.#findVpe(vpe.vpeid, this.#vpe) !== '') return;
    vpe.doorbellArmed = false;
    if (this.#vpe.defaultDoorbell !== SPURIOUS) this.#redistributor(this.#vpe.rdbase).deliverLpi(this.#vpe.defaultDoorbell);
  }

  #unpredictable(what: string): void {
    const { trace } = this.#host;
    if (trace.on) trace.emit(UNPREDICTABLE, { what });
  }
}

function refused(access: Access, none: string): Refusal {
  if (access === 'ok') return '';
  return access === 'bus-error' ? BUS_ERROR : none;
}

/** RDbase, bits [51:16] of a doubleword: a processor number. */
function rdbase(lo: number, hi: number): number {
  return toNumber(lo & 0xffff_0000, hi & 0x000f_ffff) / 0x1_0000;
}
