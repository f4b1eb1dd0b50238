/**
 * The tables of an ITS in memory: devices, collections, vPEs (GITS_BASER<n>, flat or two-level), and a device's ITT.
 *
 * Reference: Arm IHI 0069, GITS_BASER<n>, "The ITS tables". The entries are IMPLEMENTATION DEFINED; this model's are
 *   device      8 bytes  Valid 0, Size [5:1], ITT address >> 8 [49:6]
 *   collection  8 bytes  Valid 0, RDbase [16:1]
 *   interrupt  12 bytes (or 16, the last 4 unused)  Valid 0, physical 1, INTID [25:2], ICID [47:32], vPEID [63:48]; doorbell in bytes 8 to 11
 *   vPE (v4.0)  8 bytes  Valid 0, VPT size [5:1], VPT address >> 16 [41:6], RDbase [57:42]
 *   vPE (v4.1) 32 bytes  as v4.0, then vconf address, default doorbell [31:0], and one bit for each ITS that maps it
 * the first four as QEMU has them. ITSs and redistributors may share a vPE table of GICv4.1. Level 1 entries are architected: Valid 63, address [51:12].
 * Modelled: page sizes of 4, 16 and 64 KiB (the reserved one is 64), indirection, addresses of 52 bits with 64 KiB pages.
 * Not modelled: caching; cacheability and shareability have no effect.
 */
import { readWords, writeWords, type Memory } from '@vsim/vfio-core';
import { SPURIOUS } from './pending-bits.ts';

export const DEVICE_ENTRY_BYTES = 8;
export const COLLECTION_ENTRY_BYTES = 8;
export const VPE_ENTRY_BYTES = 8;
export const VPE_ENTRY_BYTES_V41 = 32;

/** There is no entry: the id is beyond the table, or its level 1 entry is not valid. */
export const NO_ENTRY = -1;
/** The table is not in RAM. */
export const BUS_ERROR = -2;

/** What an entry read or write came to. */
export type Access = 'ok' | 'none' | 'bus-error';

/** One table, as GITS_BASER<n> or GICR_VPROPBASER describes it. */
export class ItsTable {
  readonly #memory: Memory;
  readonly #entryBytes: number;
  readonly #maxEntries: number;
  #base = 0;
  #pageBytes = 4096;
  #indirect = false;
  /** Entries in [0, entries) have a place; 0 when the table is not valid. */
  entries = 0;

  /** A table that is not valid yet. @param entryBytes bytes of an entry @param maxEntries 2 ** (the id's width) */
  constructor(memory: Memory, entryBytes: number, maxEntries: number) {
    this.#memory = memory;
    this.#entryBytes = entryBytes;
    this.#maxEntries = maxEntries;
  }

  /**
   * Takes a table's description.
   *
   * @param base physical address, aligned to `pageBytes`
   * @param pages 0 to 256; 0 for a table that is not valid
   * @param pageBytes 4096, 16384 or 65536
   */
  configure(base: number, pages: number, pageBytes: number, indirect: boolean): void {
    this.#base = base;
    this.#pageBytes = pageBytes;
    this.#indirect = indirect;
    const perPage = Math.floor(pageBytes / this.#entryBytes);
    const all = indirect ? pages * (pageBytes / 8) * perPage : pages * perPage;
    this.entries = Math.min(all, this.#maxEntries);
  }

  /** The address of entry `id`, or NO_ENTRY, or BUS_ERROR. */
  entry(id: number): number {
    const address = this.#address(id);
    return address < 0 || this.#memory.accessible(address, this.#entryBytes) ? address : BUS_ERROR;
  }

  /** The first `count` words of entry `id`. */
  load(id: number, into: Uint32Array, count: number): Access {
    const address = this.#address(id);
    if (address === NO_ENTRY) return 'none';
    return address >= 0 && readWords(this.#memory, address, into, count) ? 'ok' : 'bus-error';
  }

  #address(id: number): number {
    if (id >= this.entries) return NO_ENTRY;
    if (this.#indirect) {
      const perPage = Math.floor(this.#pageBytes / this.#entryBytes);
      const level1 = this.#base + Math.floor(id / perPage) * 8;
      if (!this.#memory.accessible(level1, 8)) return BUS_ERROR;
      const high = this.#memory.read32(level1 + 4);
      if ((high & 0x8000_0000) === 0) return NO_ENTRY;
      const page = (high & 0x000f_ffff) * 0x1_0000_0000 + this.#memory.read32(level1);
      return page - (page % this.#pageBytes) + (id % perPage) * this.#entryBytes;
    }
    return this.#base + id * this.#entryBytes;
  }
}

/** The words of the entry that is being read. */
const words = new Uint32Array(8);

/** A device table entry, decoded. An object is read over and over. */
export class DeviceEntry {
  /** The DeviceID for which it was read. */
  id = 0;
  valid = false;
  /** EventID bits less one. */
  size = 0;
  ittAddress = 0;

  read(table: ItsTable, id: number): Access {
    this.id = id;
    this.valid = false;
    const access = table.load(id, words, 2);
    if (access !== 'ok') return access;
    const lo = words[0]!;
    const hi = words[1]!;
    this.valid = (lo & 1) !== 0;
    this.size = (lo >>> 1) & 0x1f;
    this.ittAddress = ((hi & 0x3_ffff) * 0x400_0000 + (lo >>> 6)) * 256;
    return 'ok';
  }

  write(memory: Memory, table: ItsTable, id: number): Access {
    const at = table.entry(id);
    if (at < 0) return at === BUS_ERROR ? 'bus-error' : 'none';
    const frame = this.valid ? this.ittAddress / 256 : 0;
    memory.write32(at, this.valid ? ((frame % 0x400_0000) * 64 + this.size * 2 + 1) >>> 0 : 0);
    memory.write32(at + 4, Math.floor(frame / 0x400_0000));
    return 'ok';
  }
}

/** A collection table entry, decoded. */
export class CollectionEntry {
  valid = false;
  /** The target redistributor's number. */
  rdbase = 0;

  read(table: ItsTable, id: number): Access {
    this.valid = false;
    // The entry has two words, and the second one has nothing; it has to be there.
    const access = table.load(id, words, 2);
    if (access !== 'ok') return access;
    const lo = words[0]!;
    this.valid = (lo & 1) !== 0;
    this.rdbase = (lo >>> 1) & 0xffff;
    return 'ok';
  }

  write(memory: Memory, table: ItsTable, id: number): Access {
    const at = table.entry(id);
    if (at < 0) return at === BUS_ERROR ? 'bus-error' : 'none';
    memory.write32(at, this.valid ? this.rdbase * 2 + 1 : 0);
    memory.write32(at + 4, 0);
    return 'ok';
  }
}

/** An interrupt translation entry, decoded. */
export class InterruptEntry {
  valid = false;
  physical = true;
  /** The LPI, or the virtual INTID of a VLPI. */
  intid = 0;
  icid = 0;
  vpeid = 0;
  /** Individual doorbell (GICv4.0); 1023 for none. */
  doorbell: number = SPURIOUS;
  readonly #bytes: number;

  /** @param bytes GITS_TYPER.ITT_entry_size */
  constructor(bytes: number) {
    this.#bytes = bytes;
  }

  /**
   * The last word of a long entry is not used: it is aligned, so that it has a place where the others have.
   *
   * @param device whose ITT it is in
   * @param event EventID
   */
  read(memory: Memory, device: DeviceEntry, event: number): Access {
    this.valid = false;
    if (!readWords(memory, device.ittAddress + event * this.#bytes, words, 3)) return 'bus-error';
    const lo = words[0]!;
    const ids = words[1]!;
    this.valid = (lo & 1) !== 0;
    this.physical = (lo & 2) !== 0;
    this.intid = (lo >>> 2) & 0xff_ffff;
    this.icid = ids & 0xffff;
    this.vpeid = ids >>> 16;
    this.doorbell = words[2]! & 0xff_ffff;
    return 'ok';
  }

  /** @param event EventID @returns false, with nothing written, unless the entry has a place */
  write(memory: Memory, device: DeviceEntry, event: number): boolean {
    words[0] = this.valid ? (this.intid << 2) | (this.physical ? 3 : 1) : 0;
    words[1] = this.valid ? (this.vpeid << 16) | this.icid : 0;
    words[2] = this.valid ? this.doorbell : 0;
    return writeWords(memory, device.ittAddress + event * this.#bytes, words, 3);
  }

  /** Another ICID for an entry that was read, and has a place for it. @param event EventID @param icid 16 bits */
  writeIcid(memory: Memory, device: DeviceEntry, event: number, icid: number): void {
    this.icid = icid;
    memory.write32(device.ittAddress + event * this.#bytes + 4, ((this.vpeid << 16) | icid) >>> 0);
  }
}

/** A vPE table entry, decoded. The last three fields are those of GICv4.1. */
export class VpeEntry {
  valid = false;
  /** INTID bits less one. */
  vptSize = 0;
  vptAddress = 0;
  rdbase = 0;
  /** Virtual configuration table. */
  vconfAddress = 0;
  defaultDoorbell: number = SPURIOUS;
  /** One bit for each ITS that maps the vPE. */
  itsMask = 0;

  mappedBy(its: number): boolean {
    return (this.itsMask & (1 << its)) !== 0;
  }

  read(table: ItsTable, id: number, v41: boolean): Access {
    this.valid = false;
    const access = table.load(id, words, v41 ? 8 : 2);
    if (access !== 'ok') return access;
    const lo = words[0]!;
    const hi = words[1]!;
    this.valid = (lo & 1) !== 0;
    this.vptSize = (lo >>> 1) & 0x1f;
    this.vptAddress = ((hi & 0x3ff) * 0x400_0000 + (lo >>> 6)) * 0x1_0000;
    this.rdbase = (hi >>> 10) & 0xffff;
    if (v41) {
      this.vconfAddress = words[3]! * 0x1_0000_0000 + words[2]!;
      this.defaultDoorbell = words[4]!;
      this.itsMask = words[5]! & 0xffff;
    }
    return 'ok';
  }

  write(memory: Memory, table: ItsTable, id: number, v41: boolean): Access {
    const at = table.entry(id);
    if (at < 0) return at === BUS_ERROR ? 'bus-error' : 'none';
    const frame = this.valid ? this.vptAddress / 0x1_0000 : 0;
    memory.write32(at, this.valid ? ((frame % 0x400_0000) * 64 + this.vptSize * 2 + 1) >>> 0 : 0);
    memory.write32(at + 4, this.valid ? this.rdbase * 0x400 + Math.floor(frame / 0x400_0000) : 0);
    if (v41) {
      memory.write32(at + 8, this.valid ? this.vconfAddress % 0x1_0000_0000 : 0);
      memory.write32(at + 12, this.valid ? Math.floor(this.vconfAddress / 0x1_0000_0000) : 0);
      memory.write32(at + 16, this.valid ? this.defaultDoorbell : 0);
      memory.write32(at + 20, this.valid ? this.itsMask : 0);
    }
    return 'ok';
  }
}
