import { toNumber, type MmioDevice } from '@vsim/vfio-core';
import { CommandQueue } from './command-queue.ts';
import { ACCESS_IGNORED, UNPREDICTABLE } from './events.ts';
import {
  COLLECTION_ENTRY_BYTES,
  DEVICE_ENTRY_BYTES,
  VPE_ENTRY_BYTES,
  VPE_ENTRY_BYTES_V41,
  type ItsTable,
} from './its-tables.ts';
import { ID_BITS, type TranslationHost } from './its-lookup.ts';
import { IIDR } from './redistributor.ts';
import { Translation } from './translation.ts';

/** Bytes of the control frame and the translation frame, 64 KiB each. A GICv4.1 has as much again, with GITS_SGIR. */
export const ITS_BYTES = 0x2_0000;

/**
 * Offsets of registers in an ITS, in bytes from its control frame (Arm IHI 0069, GITS_*). TRANSLATER is in the second frame, SGIR in the
 * third, which GICv4.1 has; IDREGS is PIDR4, the first of the identification registers.
 */
export const GITS = {
  CTLR: 0x0000,
  IIDR: 0x0004,
  TYPER: 0x0008,
  MPIDR: 0x0018,
  CBASER: 0x0080,
  CWRITER: 0x0088,
  CREADR: 0x0090,
  BASER: 0x0100,
  IDREGS: 0xffd0,
  TRANSLATER: 0x1_0040,
  SGIR: 0x2_0020,
} as const;

const CTLR_ENABLED = 1;
/** GITS_TYPER.PTA. */
const TYPER_PTA = 0x8_0000;
const CTLR_QUIESCENT = 0x8000_0000;

/** Values of GITS_BASER<n>.Type, bits [58:56]: which table the register is for. */
export const BASER_TYPE = { DEVICE: 1, VPE: 2, COLLECTION: 4 } as const;
const BASER_VALID = 0x8000_0000;
const BASER_INDIRECT = 0x4000_0000;
/** Type and Entry_Size, bits [58:56] and [52:48], are read-only. */
const BASER_READ_ONLY = 0x071f_0000;

export interface ItsHost extends TranslationHost {
  /**
   * PIDR and CIDR registers, as all frames have them.
   *
   * @param offset bytes from the frame's start, 0xffd0 to 0xfffc
   * @param part PIDR0 of the frame, 8 bits
   */
  idRegister(offset: number, part: number): number;
}

/**
 * An interrupt translation service: its control frame and GITS_TRANSLATER.
 *
 * Reference: Arm IHI 0069, GITS_* registers. An MSI is a store to GITS_TRANSLATER: its data is the EventID, the requester id
 * that comes with the bus transaction is the DeviceID.
 * Modelled: CTLR, IIDR, TYPER, the command queue, BASER0 to BASER2 (devices, collections, vPEs), SGIR, identification.
 * Not modelled: UMSIR, MPAM, affinity groups (MPIDR is 0); narrow accesses to the control frame read as zero and write nothing.
 */
export class Its implements MmioDevice {
  /** Its place in Gic.its, and with GICv4 its ITS_Number in GITS_CTLR. */
  readonly index: number;
  /** Physical address of the control frame. */
  readonly base: number;
  readonly #host: ItsHost;
  readonly #translation: Translation;
  readonly #queue: CommandQueue;
  readonly #tables: readonly { readonly type: number; readonly entryBytes: number; readonly table: ItsTable }[];
  /** GITS_BASER<n> in halves. */
  readonly #baser = new Uint32Array(16);

  constructor(host: ItsHost, index: number, base: number) {
    this.#host = host;
    this.index = index;
    this.base = base;
    const translation = new Translation(host, index);
    this.#translation = translation;
    this.#queue = new CommandQueue(host.memory, host.choices, translation, (what) => this.#unpredictable(what));
    const vpeEntry = host.version === 'gicv4.1' ? VPE_ENTRY_BYTES_V41 : VPE_ENTRY_BYTES;
    this.#tables = [
      { type: BASER_TYPE.DEVICE, entryBytes: DEVICE_ENTRY_BYTES, table: translation.lookup.devices },
      { type: BASER_TYPE.COLLECTION, entryBytes: COLLECTION_ENTRY_BYTES, table: translation.lookup.collections },
      ...(host.version === 'gicv3' ? [] : [{ type: BASER_TYPE.VPE, entryBytes: vpeEntry, table: translation.lookup.vpes }]),
    ];
    this.reset();
  }

  /** Registers as after a warm reset; nothing that was kept is any more. */
  reset(): void {
    this.#queue.reset();
    this.#translation.reset();
    this.#tables.forEach(({ type, entryBytes, table }, n) => {
      this.#baser[2 * n] = 0x200; // 64 KiB pages
      this.#baser[2 * n + 1] = (type << 24) | ((entryBytes - 1) << 16);
      table.configure(0, 0, 4096, false);
    });
  }

  /** Where devices write their messages. */
  get translater(): number {
    return this.base + GITS.TRANSLATER;
  }

  /** GITS_CTLR.Enabled: commands are executed and MSIs translated. */
  get enabled(): boolean {
    return this.#queue.enabled;
  }

  /**
   * Translates one message and delivers its interrupt; what leads nowhere is the event `gic/msi-dropped`.
   *
   * @param device DeviceID, 32 bits
   * @param event EventID, 32 bits
   */
  msi(device: number, event: number): void {
    if (this.#queue.enabled) this.#translation.msi(device, event);
    else this.#translation.drop(device, event, 'its disabled');
  }

  /** Its tables, what it keeps of them, and the commands. */
  get translation(): Translation {
    return this.#translation;
  }

  /**
   * A load of less than 8 bytes; what has no register reads as zero.
   *
   * @param offset bytes from the control frame
   * @param width 1, 2 or 4 bytes: only 4 reads a register
   */
  read(offset: number, width: number): number {
    if (width !== 4 || offset % 4 !== 0) return this.#ignored(offset);
    const { choices, version } = this.#host;
    if (offset >= GITS.CBASER && offset < GITS.CREADR + 8) return this.#queue.read((offset - GITS.CBASER) / 4);
    if (offset >= GITS.BASER && offset < GITS.BASER + 64) return this.#baser[(offset - GITS.BASER) / 4]!;
    switch (offset) {
      case GITS.CTLR: {
        const quiescent = choices.alwaysQuiescent || !this.#queue.enabled;
        const number = version === 'gicv3' ? 0 : this.index << 4;
        return ((this.#queue.enabled ? CTLR_ENABLED : 0) | number | (quiescent ? CTLR_QUIESCENT : 0)) >>> 0;
      }
      case GITS.IIDR:
        return IIDR;
      case GITS.TYPER:
        return (1 | (version === 'gicv3' ? 0 : 2) | ((choices.ittEntryBytes - 1) << 4) | (ID_BITS << 8) | (ID_BITS << 13) | (choices.physicalTargets ? TYPER_PTA : 0)) >>> 0;
      case GITS.TYPER + 4:
        // CIDbits and CIL; VMOVP; VSGI, VMAPP, SVPET (one vPE table for PEs with the same Aff3) and nID.
        return 0x1f | (version === 'gicv3' || !choices.vmovpOnce ? 0 : 0x20) | (version === 'gicv4.1' ? 0x0b80 : 0);
      case GITS.MPIDR:
        return version === 'gicv4.1' ? 0 : this.#ignored(offset);
      default:
        return offset >= GITS.IDREGS && offset < 0x1_0000 ? this.#host.idRegister(offset, 0x94) : this.#ignored(offset);
    }
  }

  /**
   * An 8-byte load: only registers of 64 bits answer it.
   *
   * @param offset bytes from the control frame
   * @param into gets bits [31:0] and [63:32]
   */
  read64(offset: number, into: Uint32Array): void {
    const wide = offset === GITS.TYPER || (offset % 8 === 0 && offset >= GITS.CBASER && offset < GITS.BASER + 64);
    into[0] = wide ? this.read(offset, 4) : this.#ignored(offset);
    into[1] = wide ? this.read(offset + 4, 4) : 0;
  }

  /**
   * A store of less than 8 bytes. At GITS_TRANSLATER it is an MSI, from a width of 2 on.
   *
   * @param offset bytes from the control frame
   * @param width 1, 2 or 4 bytes
   * @param value unsigned, of that width: at GITS_TRANSLATER the EventID
   * @param requester requester id of the transaction: at GITS_TRANSLATER the DeviceID
   */
  write(offset: number, width: number, value: number, requester: number): void {
    if (offset === GITS.TRANSLATER && width >= 2) this.msi(requester, value);
    else this.#writeRegister(offset, width, value);
  }

  #writeRegister(offset: number, width: number, value: number): void {
    if (width !== 4 || offset % 4 !== 0) {
      this.#ignored(offset);
      return;
    }
    if (offset >= GITS.CBASER && offset < GITS.CREADR + 8) this.#queue.write((offset - GITS.CBASER) / 4, value);
    else if (offset >= GITS.BASER && offset < GITS.BASER + 64) this.#writeBaser((offset - GITS.BASER) / 4, value);
    else if (offset === GITS.CTLR) this.#setEnabled((value & CTLR_ENABLED) !== 0);
    else this.#ignored(offset);
  }

  /**
   * An 8-byte store: GITS_SGIR takes no other; at GITS_TRANSLATER its low half is the EventID.
   *
   * @param offset bytes from the control frame
   * @param lo bits [31:0]
   * @param hi bits [63:32]
   * @param requester requester id of the transaction
   */
  write64(offset: number, lo: number, hi: number, requester: number): void {
    if (offset === GITS.TRANSLATER) this.msi(requester, lo);
    else if (offset === GITS.SGIR && this.#host.version === 'gicv4.1') this.#sgi(hi & 0xffff, lo & 0xf);
    else if (offset % 8 !== 0) this.#ignored(offset);
    else if (offset >= GITS.CBASER && offset <= GITS.CREADR) this.#queue.write64((offset - GITS.CBASER) / 4, lo, hi);
    else {
      this.write(offset, 4, lo, requester);
      this.write(offset + 4, 4, hi, requester);
    }
  }

  /** GITS_SGIR: a vSGI becomes pending. */
  #sgi(vpeid: number, sgi: number): void {
    const why = this.#queue.enabled ? this.#translation.raiseSgi(vpeid, sgi) : 'its disabled';
    if (why !== '') this.#ignored(GITS.SGIR);
  }

  #setEnabled(enable: boolean): void {
    if (enable !== this.#queue.enabled) this.#translation.finish();
    if (enable) for (let n = 0; n < this.#tables.length; n += 1) this.#configure(n);
    if (enable && !this.#queue.based) this.#unpredictable(`its ${this.index} enabled without CBASER`);
    if (enable && this.#host.choices.reportUnpredictable) this.#checkTables();
    this.#queue.enabled = enable;
    this.#queue.run();
  }

  #checkTables(): void {
    this.#tables.forEach((_table, n) => {
      if ((this.#baser[2 * n + 1]! & BASER_VALID) === 0) this.#unpredictable(`its ${this.index} enabled without BASER${n}`);
    });
  }

  #configure(n: number): void {
    const lo = this.#baser[2 * n]!;
    const hi = this.#baser[2 * n + 1]!;
    const pages = (hi & BASER_VALID) === 0 ? 0 : (lo & 0xff) + 1;
    const pageBytes = [4096, 16384, 65536, 65536][(lo >>> 8) & 3]!;
    const low = pageBytes === 65536 ? lo & 0xffff_0000 : lo & 0xffff_f000;
    // With 64 KiB pages bits [15:12] of the register are address bits [51:48].
    const high = (hi & 0xffff) + (pageBytes === 65536 ? ((lo >>> 12) & 0xf) * 0x1_0000 : 0);
    this.#tables[n]!.table.configure(toNumber(low, high), pages, pageBytes, (hi & BASER_INDIRECT) !== 0);
  }

  #writeBaser(half: number, value: number): void {
    // A register without a table is RES0: Linux stores 0 to all eight at each boot.
    if (half >= 2 * this.#tables.length) return;
    if (this.#queue.enabled) {
      this.#ignored(GITS.BASER + 4 * half);
      this.#unpredictable(`BASER${half >>> 1} of its ${this.index} written while it is enabled`);
      return;
    }
    if (half % 2 === 0) this.#baser[half] = value & (this.#host.choices.coherent ? 0xffff_ffff : ~0xc00);
    else this.#baser[half] = ((value & ~BASER_READ_ONLY) | (this.#baser[half]! & BASER_READ_ONLY)) >>> 0;
  }

  #unpredictable(what: string): void {
    const { trace } = this.#host;
    if (trace.on) trace.emit(UNPREDICTABLE, { what });
  }

  #ignored(offset: number): number {
    const { trace } = this.#host;
    if (trace.on) trace.emit(ACCESS_IGNORED, { frame: `its ${this.index}`, offset });
    return 0;
  }
}
