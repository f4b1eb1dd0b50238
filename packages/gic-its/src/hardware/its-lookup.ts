/**
 * Look-ups in an ITS's tables: device, event, collection, vPE, each with the reason why there is nothing.
 *
 * Reference: Arm IHI 0069, "The ITS tables". Entries are decoded into objects that the next look-up overwrites. With the choice
 * `cacheTranslations` those of devices and collections are kept until the command that changes one.
 */
import type { Memory, Trace } from '@vsim/vfio-core';
import type { ImplementationChoices } from './choices.ts';
import { UNPREDICTABLE } from './events.ts';
import {
  COLLECTION_ENTRY_BYTES,
  CollectionEntry,
  DEVICE_ENTRY_BYTES,
  DeviceEntry,
  InterruptEntry,
  ItsTable,
  VPE_ENTRY_BYTES,
  VPE_ENTRY_BYTES_V41,
  type Access,
  type VpeEntry,
} from './its-tables.ts';
import { KeptEntries } from './kept-entries.ts';
import type { Redistributor } from './redistributor.ts';
import type { VpeContext } from './vpe.ts';

/** DeviceID, EventID, INTID, ICID and vPEID bits, less one. */
export const ID_BITS = 15;
export const IDS = 0x1_0000;

/** Why a command or message does nothing; '' when it was executed. A bus error stalls the queue. */
export type Refusal = string;
export const BUS_ERROR: Refusal = 'a table is not in memory';

/** What an ITS needs of the GIC. */
export interface TranslationHost {
  readonly memory: Memory;
  readonly trace: Trace;
  readonly choices: ImplementationChoices;
  readonly version: 'gicv3' | 'gicv4' | 'gicv4.1';
  readonly redistributors: readonly Redistributor[];
  /** The number of the redistributor at a physical address; 0xffff if there is none. @param address of its RD frame */
  redistributorAt(address: number): number;
  /** GICv4.1: what the GIC keeps of a mapped vPE. @param vpeid 16 bits */
  vpe(vpeid: number): VpeContext | undefined;
  setVpe(vpeid: number, vpe: VpeContext | undefined): void;
  /** GICv4.1: a doorbell that was asked for, and is due. */
  ringDefaultDoorbell(vpe: VpeContext): void;
  /** GICv4.1: configuration of one VLPI, or of all with vintid 0, is read again. @param vintid a VLPI, or 0 */
  invalidateVpe(vpe: VpeContext, vintid: number): void;
  /** No ITS keeps what it knew of a vPE's place. @param vpeid 16 bits */
  forgetVpe(vpeid: number): void;
  /** VMOVP as one ITS takes it. */
  moveVpe(move: VpeMove): Refusal;
}

/** The fields of a VMOVP. */
export interface VpeMove {
  /** The ITS that took it. */
  readonly its: number;
  readonly vpeid: number;
  readonly rdbase: number;
  readonly sequence: number;
  /** One bit an ITS. */
  readonly list: number;
  /** GICv4.1: the new default doorbell, undefined to keep the old. */
  readonly doorbell: number | undefined;
}

export class ItsLookup {
  readonly devices: ItsTable;
  readonly collections: ItsTable;
  readonly vpes: ItsTable;
  /** The device that was looked up last. */
  device: DeviceEntry = new DeviceEntry();
  readonly interrupt: InterruptEntry;
  readonly v41: boolean;
  /** The ITS's number. */
  readonly index: number;
  readonly host: TranslationHost;
  readonly #kept: KeptEntries | undefined;
  readonly #collection = new CollectionEntry();
  /** Why collection() found none, when it did last. */
  noCollection: Refusal = '';

  constructor(host: TranslationHost, index: number) {
    this.host = host;
    this.index = index;
    this.v41 = host.version === 'gicv4.1';
    this.#kept = host.choices.cacheTranslations ? new KeptEntries() : undefined;
    this.interrupt = new InterruptEntry(host.choices.ittEntryBytes);
    this.devices = new ItsTable(host.memory, DEVICE_ENTRY_BYTES, IDS);
    this.collections = new ItsTable(host.memory, COLLECTION_ENTRY_BYTES, IDS);
    this.vpes = new ItsTable(host.memory, this.v41 ? VPE_ENTRY_BYTES_V41 : VPE_ENTRY_BYTES, IDS);
  }

  findDevice(device: number): Refusal {
    const kept = this.#kept?.device(device);
    if (kept === undefined) return this.#readDevice(device);
    this.device = kept;
    return '';
  }

  #readDevice(device: number): Refusal {
    if (this.#kept !== undefined) this.device = this.#kept.placeOf(device);
    const access = this.device.read(this.devices, device);
    if (access !== 'ok') return refused(access, 'device id out of range');
    return this.device.valid ? '' : 'device not mapped';
  }

  /** An entry of the device table changes. @param device DeviceID */
  forgetDevice(device: number): void {
    this.#kept?.forgetDevice(device);
  }

  /** An entry of the collection table changes. @param icid 16 bits */
  forgetCollection(icid: number): void {
    this.#kept?.forgetCollection(icid);
  }

  /** The tables may be other ones. */
  forgetTables(): void {
    this.#kept?.clear();
  }

  findEvent(device: number, event: number): Refusal {
    const refusal = this.mappable(device, event);
    if (refusal !== '') return refusal;
    const access = this.interrupt.read(this.host.memory, this.device, event);
    if (access !== 'ok') return refused(access, '');
    return this.interrupt.valid ? '' : 'event not mapped';
  }

  /** The device is mapped and has this event. @param device DeviceID @param event EventID */
  mappable(device: number, event: number): Refusal {
    const refusal = this.findDevice(device);
    if (refusal !== '') return refusal;
    // Size has five bits, and a shift by 32 is none.
    const { size } = this.device;
    return size === 31 || event >>> (size + 1) === 0 ? '' : 'event id out of range';
  }

  /** The redistributor to which a collection leads; undefined for the reason that is `noCollection` then. @param icid 16 bits */
  collection(icid: number): Redistributor | undefined {
    return this.#kept?.collection(icid) ?? this.#readCollection(icid);
  }

  #readCollection(icid: number): Redistributor | undefined {
    const entry = this.#collection;
    const access = entry.read(this.collections, icid);
    const target = access === 'ok' && entry.valid ? this.host.redistributors[entry.rdbase] : undefined;
    if (target !== undefined) this.#kept?.keepCollection(icid, target);
    else if (access !== 'ok') this.noCollection = refused(access, 'collection id out of range');
    else this.noCollection = entry.valid ? 'no such redistributor' : 'collection not mapped';
    return target;
  }

  findVpe(vpeid: number, into: VpeEntry): Refusal {
    const access = into.read(this.vpes, vpeid, this.v41);
    if (access !== 'ok') return refused(access, 'vpe id out of range');
    if (!into.valid || (this.v41 && !into.mappedBy(this.index))) return 'vpe not mapped';
    return into.rdbase < this.host.redistributors.length ? '' : 'no such redistributor';
  }

  /**
   * The number of the redistributor that an RDbase names; one that there is not, if it names none.
   *
   * @param lo bits [31:0] of its doubleword
   * @param hi bits [63:32] of its doubleword
   */
  target(lo: number, hi: number): number {
    const value = rdbase(lo, hi);
    return this.host.choices.physicalTargets ? this.host.redistributorAt(value * 0x1_0000) : value;
  }

  redistributor(index: number): Redistributor {
    return this.host.redistributors[index]!;
  }

  /**
   * Stores the interrupt entry to the device that was looked up last; where findEvent() has read it there is a place.
   *
   * @param event EventID
   */
  writeEvent(event: number): Refusal {
    return this.interrupt.write(this.host.memory, this.device, event) ? '' : BUS_ERROR;
  }

  unpredictable(what: string): void {
    const { trace } = this.host;
    if (trace.on) trace.emit(UNPREDICTABLE, { what });
  }
}

export function refused(access: Access, none: string): Refusal {
  if (access === 'ok') return '';
  return access === 'bus-error' ? BUS_ERROR : none;
}

/** RDbase, bits [51:16] of a doubleword. */
function rdbase(lo: number, hi: number): number {
  return (hi & 0x000f_ffff) * 0x1_0000 + (lo >>> 16);
}
