/**
 * Saving and restoring the tables of an emulated ITS in guest memory, table format (ABI) revision 0.
 *
 * Kernel: vgic_its_save_tables_v0() and vgic_its_restore_tables_v0(). Entries are 8 bytes, little endian; "next" is the distance to
 * the next entry in use, capped; only entries in use are written. Collections are restored first. A failed restore leaves an
 * ITS without mappings; pending bits that it took from guest memory are gone.
 */
import { EEXIST, EINVAL, readWords, toNumber, writeWords } from '@vsim/vfio-core';
import { FIRST_LPI } from '../hardware/index.ts';
import { DEVICE_LEFT_OUT, ITE_DROPPED } from './events.ts';
import { BAD_CTE, BAD_DTE, BAD_ITE, DEVICE_RANGE, ENTRY_UNREADABLE, ENTRY_UNWRITABLE, LPI_UNREADABLE, SAVE_FORWARDED } from './its-reasons.ts';
import type { ItsDriver } from '../host/index.ts';
import type { Collection } from './event-table.ts';
import type { GuestMemory } from './guest-memory.ts';
import type { IrqTarget } from './vgic-irq.ts';
import type { CommandVm } from './vgic-its-commands.ts';
import { NOT_MAPPED, type ItsGuestDevice, type ItsMappings } from './vgic-its-mappings.ts';
import { BASER_COLLECTION, BASER_DEVICE, type ItsRegisters } from './vgic-its-registers.ts';

/** An ITS as its saved tables know it. */
interface SavedIts {
  readonly vm: CommandVm & { readonly driver: ItsDriver };
  readonly index: number;
  readonly registers: ItsRegisters;
  readonly mappings: ItsMappings;
}

const ENTRY = 8;
const PAGE_64K = 0x1_0000;
const VALID = 0x8000_0000;
const MAX_NEXT_DEVICE = 0x3fff;
const MAX_NEXT_EVENT = 0xffff;

// V8 folds a module's own constants, but loads what is imported or exported at each use.
const FIRST = FIRST_LPI;

/** The entry that is read or written. */
const words = new Uint32Array(2);

/** KVM_DEV_ARM_ITS_SAVE_TABLES. @returns 0 or a negative errno */
export function saveTables(its: SavedIts): number {
  return saveDevices(its) || saveCollections(its);
}

/** KVM_DEV_ARM_ITS_RESTORE_TABLES. @returns 0 or a negative errno */
export function restoreTables(its: SavedIts): number {
  const frees = its.vm.profile.failedRestoreFrees;
  const collections = restoreCollections(its);
  if (collections < 0) {
    if (frees) its.mappings.freeCollections();
    return collections;
  }
  const devices = restoreDevices(its);
  if (devices < 0 && frees) {
    its.mappings.freeDevices();
    its.mappings.freeCollections();
  }
  return devices;
}

// Save

function saveDevices(its: SavedIts): number {
  if (!its.registers.tableValid(BASER_DEVICE)) return 0;
  const entryOf = ({ id }: ItsGuestDevice): number | undefined => its.registers.entryAddress(BASER_DEVICE, id);
  let devices = its.mappings.devices.sort((a, b) => a.id - b.id);
  if (its.vm.profile.skipsUnreachable) {
    devices = devices.filter((device) => {
      if (entryOf(device) !== undefined) return true;
      if (its.vm.trace.on) its.vm.trace.emit(DEVICE_LEFT_OUT, { its: its.index, device: device.id });
      return false;
    });
  }
  for (let i = 0; i < devices.length; i += 1) {
    const device = devices[i]!;
    const entry = entryOf(device);
    if (entry === undefined) return unreachable(its, 'SAVE_TABLES', device.id);
    const next = devices[i + 1];
    const distance = next === undefined ? 0 : Math.min(next.id - device.id, MAX_NEXT_DEVICE);
    const frame = device.itt / 256;
    const lo = ((frame % 0x800_0000) * 32 + device.bits - 1) >>> 0;
    const hi = (VALID | (distance << 17) | Math.floor(frame / 0x800_0000)) >>> 0;
    const error = saveEvents(its, device);
    if (error < 0) return error;
    if (!store(its, entry, lo, hi)) return unwritable(its, 'dte', entry, { device: device.id });
  }
  return 0;
}

function saveEvents(its: SavedIts, device: ItsGuestDevice): number {
  const { driver } = its.vm;
  const { events } = device;
  const ids = events.sort();
  const skips = its.vm.profile.nextSkipsOrphans;
  let next = 0;
  for (let i = 0; i < ids.length; i += 1) {
    const id = ids[i]!;
    const irq = events.irq(id)!;
    // The state of a VLPI can be read on GICv4.1 only.
    if (irq.hw && !(driver.gicv41 && driver.switches.allowSaveForwardedV41)) {
      return its.vm.refusals.refuse(SAVE_FORWARDED, { device: device.id, event: id, lpi: irq.intid });
    }
    next = Math.max(next, i + 1);
    while (skips && next < ids.length && events.collection(ids[next]!) === undefined) next += 1;
    const address = device.itt + id * ENTRY;
    if (!saveEvent(its, address, irq.intid, events.collection(id), (ids[next] ?? id) - id)) return unwritable(its, 'ite', address, { device: device.id, event: id });
  }
  return 0;
}

/** @param distance to the next entry, 0 for the last @returns whether there is a place for it */
function saveEvent(its: SavedIts, address: number, intid: number, collection: Collection | undefined, distance: number): boolean {
  // An orphan is nothing to come back to.
  if (collection === undefined) return store(its, address, 0, 0);
  const next = Math.min(distance, MAX_NEXT_EVENT);
  return store(its, address, ((intid << 16) | collection.icid) >>> 0, ((next << 16) | (intid >>> 16)) >>> 0);
}

function saveCollections(its: SavedIts): number {
  if (!its.registers.tableValid(BASER_COLLECTION)) return 0;
  const end = its.registers.tableBytes(BASER_COLLECTION);
  let at = its.registers.tableAddress(BASER_COLLECTION);
  const last = at + end;
  for (const { icid, target } of its.mappings.collections) {
    if (!store(its, at, ((target % 0x1_0000) * 0x1_0000 + icid) >>> 0, (VALID | Math.floor(target / 0x1_0000)) >>> 0)) return unwritable(its, 'cte', at, { icid });
    at += ENTRY;
    if (at >= last) return 0;
  }
  return store(its, at, 0, 0) ? 0 : unwritable(its, 'cte', at, {});
}

/** Whose an entry is. */
interface Owner {
  readonly device?: number;
  readonly event?: number;
  readonly icid?: number;
}

/** @returns whether guest memory has a place for the entry */
function store(its: SavedIts, address: number, lo: number, hi: number): boolean {
  words[0] = lo;
  words[1] = hi;
  return writeWords(its.vm.memory, address, words, 2);
}

function unwritable(its: SavedIts, entry: string, address: number, owner: Owner): number {
  return its.vm.refusals.refuse(ENTRY_UNWRITABLE, { entry, address, ...owner });
}

// Restore

function restoreCollections(its: SavedIts): number {
  if (!its.registers.tableValid(BASER_COLLECTION)) return 0;
  const { memory, refusals } = its.vm;
  const base = its.registers.tableAddress(BASER_COLLECTION);
  for (let at = base; at < base + its.registers.tableBytes(BASER_COLLECTION); at += ENTRY) {
    if (!readWords(memory, at, words, 2)) return refusals.refuse(ENTRY_UNREADABLE, { entry: 'cte', address: at });
    const [lo, hi] = [words[0]!, words[1]!];
    if ((hi & VALID) === 0) return 0;
    const target = ((hi & 0xffff) * 0x1_0000 + (lo >>> 16)) >>> 0;
    const icid = lo & 0xffff;
    const bad = (field: string, value: number, errno = EINVAL): number => refusals.refuse(BAD_CTE, { field, value, address: at, icid }, errno);
    if (target !== NOT_MAPPED && its.vm.vcpuOfTarget(target) === undefined) return bad('RDbase', target);
    if (its.mappings.findCollection(icid) !== undefined) return bad('ICID', icid, EEXIST);
    if (its.registers.entryAddress(BASER_COLLECTION, icid) === undefined) {
      if (its.vm.profile.checksCteIcid) return bad('ICID', icid);
      continue;
    }
    its.mappings.addCollection(icid, target);
  }
  return 0;
}

/** What an entry came to: a negative errno, 0 to stop, or the distance to the next entry. */
type Step = (id: number, lo: number, hi: number, address: number) => number;

/**
 * scan_its_table(). The kernel's length is unsigned: before 6.1 a step past the end leaves a length that never ends, and it reads on.
 *
 * @param bytes as the kernel's int has them: below zero for 2 GiB, which is a length without end, too
 * @returns 1 when the end was reached, 0 when an entry was the last, or a negative errno
 */
function scan(its: SavedIts, entry: string, device: number | undefined, base: number, bytes: number, first: number, step: Step): number {
  const { memory, refusals, profile } = its.vm;
  let left = bytes < 0 ? Infinity : bytes;
  if (left === 0 && profile.scansPastEnd) return 1;
  for (let at = 0, id = first; ; ) {
    if (!readWords(memory, base + at, words, 2)) return refusals.refuse(ENTRY_UNREADABLE, { entry, address: base + at, device: device ?? id });
    const [lo, hi] = [words[0]!, words[1]!];
    const next = lo === 0 && hi === 0 ? unused(memory, base + at, left) : step(id, lo, hi, base + at);
    if (next <= 0) return next;
    const taken = next * ENTRY;
    if (profile.scansPastEnd ? taken === left : taken >= left) return 1;
    left = taken > left ? Infinity : left - taken;
    at += taken;
    id += next;
  }
}

/** How many entries from an empty one on are empty too, at least: what nobody has written is not read one by one. */
function unused(memory: GuestMemory, address: number, left: number): number {
  return Math.max(1, Math.min(Math.floor(memory.untouched(address) / ENTRY), left / ENTRY));
}

function restoreDevices(its: SavedIts): number {
  if (!its.registers.tableValid(BASER_DEVICE)) return 0;
  const base = its.registers.tableAddress(BASER_DEVICE);
  const bytes = its.registers.tableBytes(BASER_DEVICE);
  const restore: Step = (id, lo, hi, address) => restoreDevice(its, id, lo, hi, address);
  const result = its.registers.tableIndirect(BASER_DEVICE)
    ? scan(its, 'first level', undefined, base, bytes, 0, (index, lo, hi) => {
        if ((hi & VALID) === 0) return 1;
        const page = toNumber(lo & 0xffff_0000, hi & 0xf_ffff);
        return scan(its, 'dte', undefined, page, PAGE_64K, index * (PAGE_64K / ENTRY), restore);
      })
    : scan(its, 'dte', undefined, base, bytes, 0, restore);
  return Math.min(result, 0);
}

function restoreDevice(its: SavedIts, id: number, lo: number, hi: number, address: number): number {
  if ((hi & VALID) === 0) return 1;
  const bits = (lo & 0x1f) + 1;
  const { checksDte } = its.vm.profile;
  if (bits > 16 && checksDte) return its.vm.refusals.refuse(BAD_DTE, { field: 'EventID bits', value: bits, address, device: id });
  if (checksDte && its.registers.entryAddress(BASER_DEVICE, id) === undefined) return unreachable(its, 'RESTORE_TABLES', id);
  // ITT_addr is bits [48:5] of the entry, address bits [51:8].
  const itt = ((hi & 0x1_ffff) * 0x800_0000 + (lo >>> 5)) * 256;
  const device = its.mappings.addDevice(id, bits, itt);
  // The kernel counts bytes in an int: an ITT of 29 EventID bits or more has none.
  const result = scan(its, 'ite', id, itt, (2 ** bits * ENTRY) | 0, 0, (event, low, high) => restoreEvent(its, device, event, low, high));
  if (result < 0) {
    its.mappings.freeDevice(device);
    return result;
  }
  return (hi >>> 17) & MAX_NEXT_DEVICE;
}

function restoreEvent(its: SavedIts, device: ItsGuestDevice, id: number, lo: number, hi: number): number {
  const intid = ((hi & 0xffff) * 0x1_0000 + (lo >>> 16)) >>> 0;
  const distance = hi >>> 16;
  if (intid === 0) return 1;
  if (intid < FIRST) return badEvent(its, device, id, 'lpi', intid);
  if (id + distance >= device.end) return badEvent(its, device, id, 'next', distance);
  const collection = its.mappings.findCollection(lo & 0xffff);
  if (collection === undefined) return badEvent(its, device, id, 'ICID', lo & 0xffff);
  const vcpu = its.mappings.vcpuOf(collection);
  const irq = its.mappings.addLpi(intid, vcpu);
  if (typeof irq === 'number') return unreadable(its, device, id, intid, vcpu);
  if (irq === undefined) {
    if (its.vm.trace.on) its.vm.trace.emit(ITE_DROPPED, { device: device.id, event: id, lpi: intid });
    return distance;
  }
  device.events.add(id, irq, collection);
  return distance;
}

function badEvent(its: SavedIts, device: ItsGuestDevice, event: number, field: string, value: number): number {
  return its.vm.refusals.refuse(BAD_ITE, { field, value, address: device.itt + event * ENTRY, device: device.id, event });
}

/** A device's DTE has no place in guest memory. */
function unreachable(its: SavedIts, what: string, device: number): number {
  const { table, is } = its.registers.entryProblem(BASER_DEVICE, device) ?? { table: its.registers.tableAddress(BASER_DEVICE), is: 'not there' };
  return its.vm.refusals.refuse(DEVICE_RANGE, { what, device, table, is });
}

/** What the tables say of an LPI cannot be read: its property byte, or its bit in the pending table of its target. */
function unreadable(its: SavedIts, device: ItsGuestDevice, event: number, lpi: number, vcpu: IrqTarget | undefined): number {
  const { memory, vgic, refusals } = its.vm;
  const property = its.mappings.propertyAddress(lpi);
  const known = memory.accessible(property, 1) && vcpu !== undefined && vgic !== undefined;
  const [table, address] = known ? ['pending bit', vgic.pendingTable(vcpu) + (lpi >>> 3)] as const : ['property', property] as const;
  return refusals.refuse(LPI_UNREADABLE, { what: 'RESTORE_TABLES', device: device.id, event, lpi, table, address });
}
