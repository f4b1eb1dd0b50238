/**
 * ITS commands as 32 bytes: opcodes, and an encoder for each command.
 *
 * Reference: Arm IHI 0069, "ITS commands". A command is eight 32-bit words, low word first; an encoder writes all of them.
 * RDbase is a processor number (GITS_TYPER.PTA is 0).
 */

export const OPCODE = {
  MOVI: 0x01,
  INT: 0x03,
  CLEAR: 0x04,
  SYNC: 0x05,
  MAPD: 0x08,
  MAPC: 0x09,
  MAPTI: 0x0a,
  MAPI: 0x0b,
  INV: 0x0c,
  INVALL: 0x0d,
  MOVALL: 0x0e,
  DISCARD: 0x0f,
  VMOVI: 0x21,
  VMOVP: 0x22,
  VSGI: 0x23,
  VSYNC: 0x25,
  VMAPP: 0x29,
  VMAPTI: 0x2a,
  VMAPI: 0x2b,
  VINVALL: 0x2d,
  INVDB: 0x2e,
} as const;

const NAMES: ReadonlyMap<number, string> = new Map(Object.entries(OPCODE).map(([name, code]) => [code, name]));

/** The command's name, `0x..` for an opcode that is none. */
export function commandName(opcode: number): string {
  return NAMES.get(opcode) ?? `0x${opcode.toString(16).padStart(2, '0')}`;
}

const VALID = 0x8000_0000;

/** VMAPP as GICv4.1 has it; GICv4.0 ignores the last four. */
export interface VmappFields {
  readonly vpeid: number;
  readonly valid: boolean;
  readonly rdbase: number;
  /** Physical address, 64 KiB aligned. */
  readonly vptAddress: number;
  /** INTID bits less one. */
  readonly vptSize: number;
  readonly alloc: boolean;
  readonly ptz: boolean;
  /** Physical address, 64 KiB aligned. */
  readonly vconfAddress: number;
  readonly defaultDoorbell: number;
}

/** A vSGI's configuration. */
export interface VsgiFields {
  readonly enabled: boolean;
  readonly group1: boolean;
  /** Bits [7:4] count. */
  readonly priority: number;
}

/** Encodes commands into eight words that the caller owns. An RDbase is a processor number, or with GITS_TYPER.PTA an address / 64 KiB. */
export const encode = {
  mapd(to: Uint32Array, device: number, size: number, ittAddress: number, valid: boolean): void {
    start(to, OPCODE.MAPD, device);
    to[2] = size;
    to[4] = ittAddress % 0x1_0000_0000;
    to[5] = (Math.floor(ittAddress / 0x1_0000_0000) | (valid ? VALID : 0)) >>> 0;
  },
  mapc(to: Uint32Array, icid: number, rdbase: number, valid: boolean): void {
    start(to, OPCODE.MAPC, 0);
    to[4] = (rdbase * 0x1_0000 + icid) >>> 0;
    to[5] = (Math.floor(rdbase / 0x1_0000) | (valid ? VALID : 0)) >>> 0;
  },
  mapti(to: Uint32Array, device: number, event: number, intid: number, icid: number): void {
    start(to, OPCODE.MAPTI, device);
    to[2] = event;
    to[3] = intid;
    to[4] = icid;
  },
  movi(to: Uint32Array, device: number, event: number, icid: number): void {
    start(to, OPCODE.MOVI, device);
    to[2] = event;
    to[4] = icid;
  },
  /** INT, CLEAR, INV and DISCARD. */
  event(to: Uint32Array, opcode: number, device: number, event: number): void {
    start(to, opcode, device);
    to[2] = event;
  },
  invall(to: Uint32Array, icid: number): void {
    start(to, OPCODE.INVALL, 0);
    to[4] = icid;
  },
  movall(to: Uint32Array, from: number, target: number): void {
    start(to, OPCODE.MOVALL, 0);
    setRdbase(to, 4, from);
    setRdbase(to, 6, target);
  },
  sync(to: Uint32Array, rdbase: number): void {
    start(to, OPCODE.SYNC, 0);
    setRdbase(to, 4, rdbase);
  },
  /** VSYNC, VINVALL and INVDB. */
  vpe(to: Uint32Array, opcode: number, vpeid: number): void {
    start(to, opcode, 0);
    to[3] = vpeid;
  },
  vmapp(to: Uint32Array, fields: VmappFields): void {
    start(to, OPCODE.VMAPP, 0);
    const vconfHigh = Math.floor(fields.vconfAddress / 0x1_0000_0000);
    to[0] = (OPCODE.VMAPP | (fields.alloc ? 0x100 : 0) | (fields.ptz ? 0x200 : 0) | (fields.vconfAddress % 0x1_0000_0000)) >>> 0;
    to[1] = vconfHigh;
    to[2] = fields.defaultDoorbell;
    to[3] = fields.vpeid;
    setRdbase(to, 4, fields.rdbase);
    to[5] = (to[5]! | (fields.valid ? VALID : 0)) >>> 0;
    to[6] = ((fields.vptAddress % 0x1_0000_0000) | fields.vptSize) >>> 0;
    to[7] = Math.floor(fields.vptAddress / 0x1_0000_0000);
  },
  /** @param clear pending state is cleared and the configuration ignored */
  vsgi(to: Uint32Array, vpeid: number, sgi: number, fields: VsgiFields, clear: boolean): void {
    start(to, OPCODE.VSGI, sgi);
    const bits = (fields.enabled ? 0x100 : 0) | (clear ? 0x200 : 0) | (fields.group1 ? 0x400 : 0);
    to[0] = OPCODE.VSGI | bits | ((fields.priority & 0xf0) << 16);
    to[3] = vpeid;
  },
  vmapti(to: Uint32Array, device: number, event: number, vpeid: number, vintid: number, doorbell: number): void {
    start(to, OPCODE.VMAPTI, device);
    to[2] = event;
    to[3] = vpeid;
    to[4] = vintid;
    to[5] = doorbell;
  },
  vmovi(to: Uint32Array, device: number, event: number, vpeid: number, doorbell: number): void {
    start(to, OPCODE.VMOVI, device);
    to[2] = event;
    to[3] = vpeid;
    to[4] = 1;
    to[5] = doorbell;
  },
  /** @param doorbell the default doorbell of GICv4.1; undefined leaves DB 0. */
  vmovp(to: Uint32Array, vpeid: number, rdbase: number, sequence: number, itsList: number, doorbell: number | undefined): void {
    start(to, OPCODE.VMOVP, sequence);
    to[2] = itsList;
    to[3] = vpeid;
    setRdbase(to, 4, rdbase);
    to[5] = (to[5]! | (doorbell === undefined ? 0 : VALID)) >>> 0;
    to[6] = doorbell ?? 0;
  },
} as const;

/** RDbase, bits [51:16] of a doubleword. */
function setRdbase(to: Uint32Array, word: number, rdbase: number): void {
  to[word] = (rdbase * 0x1_0000) >>> 0;
  to[word + 1] = Math.floor(rdbase / 0x1_0000);
}

function start(to: Uint32Array, opcode: number, high: number): void {
  to.fill(0);
  to[0] = opcode;
  to[1] = high;
}
