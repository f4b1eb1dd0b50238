/** ITS commands as 32 bytes: opcodes, and an encoder for each command (Arm IHI 0069, "ITS commands"). */

/** Opcodes of ITS commands: bits [7:0] of the first doubleword. */
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

/** The command's name as Arm IHI 0069 has it, `0x..` for an opcode that is none. @param opcode 8 bits: values of OPCODE */
export function commandName(opcode: number): string {
  return NAMES.get(opcode) ?? `0x${opcode.toString(16).padStart(2, '0')}`;
}

const VALID = 0x8000_0000;

/** VMAPP as GICv4.1 has it; GICv4.0 ignores the last four. */
export interface VmappFields {
  /** The vPE, 16 bits. */
  readonly vpeid: number;
  /** V: true maps the vPE, false unmaps it. */
  readonly valid: boolean;
  /** The redistributor: its processor number, or with GITS_TYPER.PTA its physical address / 64 KiB. */
  readonly rdbase: number;
  /** Physical address, 64 KiB aligned. */
  readonly vptAddress: number;
  /** INTID bits of the virtual pending table less one: 15 for the 16 bits that are modelled. */
  readonly vptSize: number;
  /** Alloc: with V the first mapping of the vPE on any ITS, without V the last. */
  readonly alloc: boolean;
  /** PTZ: the virtual pending table holds zeros, and need not be read. */
  readonly ptz: boolean;
  /** Physical address of the virtual configuration table, 64 KiB aligned. */
  readonly vconfAddress: number;
  /** INTID of the physical LPI that is the vPE's default doorbell; 1023 for none. */
  readonly defaultDoorbell: number;
}

/** A vSGI's configuration. */
export interface VsgiFields {
  /** Enable: the vSGI can be delivered. */
  readonly enabled: boolean;
  /** Group: true for Group 1, false for Group 0. */
  readonly group1: boolean;
  /** Bits [7:4] count. */
  readonly priority: number;
}

/** Encodes commands into eight words of 32 bits that the caller owns, the low one first: all are written. An RDbase is a processor number, or with GITS_TYPER.PTA an address / 64 KiB. */
export const encode = {
  /**
   * MAPD: maps a device to its ITT, or with `valid` false unmaps it. `device` is a DeviceID of 32 bits, `size` its EventID bits less one,
   * `ittAddress` physical and 256-byte aligned.
   */
  mapd(to: Uint32Array, device: number, size: number, ittAddress: number, valid: boolean): void {
    start(to, OPCODE.MAPD, device);
    to[2] = size;
    to[4] = ittAddress % 0x1_0000_0000;
    to[5] = (Math.floor(ittAddress / 0x1_0000_0000) | (valid ? VALID : 0)) >>> 0;
  },
  /** MAPC: maps collection `icid` (16 bits) to the redistributor `rdbase`. */
  mapc(to: Uint32Array, icid: number, rdbase: number, valid: boolean): void {
    start(to, OPCODE.MAPC, 0);
    to[4] = (rdbase * 0x1_0000 + icid) >>> 0;
    to[5] = (Math.floor(rdbase / 0x1_0000) | (valid ? VALID : 0)) >>> 0;
  },
  /** MAPTI: event `event` (32 bits) of `device` is the LPI `intid` of collection `icid`. */
  mapti(to: Uint32Array, device: number, event: number, intid: number, icid: number): void {
    start(to, OPCODE.MAPTI, device);
    to[2] = event;
    to[3] = intid;
    to[4] = icid;
  },
  /** MOVI: moves an event to collection `icid`, its pending LPI with it. */
  movi(to: Uint32Array, device: number, event: number, icid: number): void {
    start(to, OPCODE.MOVI, device);
    to[2] = event;
    to[4] = icid;
  },
  /** INT, CLEAR, INV and DISCARD of one event, by `opcode`: a value of OPCODE. */
  event(to: Uint32Array, opcode: number, device: number, event: number): void {
    start(to, opcode, device);
    to[2] = event;
  },
  /** INT: event `event` (32 bits) of `device` is raised, as its MSI would. */
  int(to: Uint32Array, device: number, event: number): void {
    encode.event(to, OPCODE.INT, device, event);
  },
  /** CLEAR: event `event` (32 bits) of `device` is pending no more. */
  clear(to: Uint32Array, device: number, event: number): void {
    encode.event(to, OPCODE.CLEAR, device, event);
  },
  /** INV: the configuration of the LPI of event `event` (32 bits) of `device` is read again. */
  inv(to: Uint32Array, device: number, event: number): void {
    encode.event(to, OPCODE.INV, device, event);
  },
  /** DISCARD: event `event` (32 bits) of `device` has no translation any more, and is not pending. */
  discard(to: Uint32Array, device: number, event: number): void {
    encode.event(to, OPCODE.DISCARD, device, event);
  },
  /** INVALL: configuration of the LPIs of collection `icid` is read again. */
  invall(to: Uint32Array, icid: number): void {
    start(to, OPCODE.INVALL, 0);
    to[4] = icid;
  },
  /** MOVALL: what is pending at RDbase `from` goes to RDbase `target`. */
  movall(to: Uint32Array, from: number, target: number): void {
    start(to, OPCODE.MOVALL, 0);
    setRdbase(to, 4, from);
    setRdbase(to, 6, target);
  },
  /** SYNC: earlier commands have taken effect at RDbase `rdbase`. */
  sync(to: Uint32Array, rdbase: number): void {
    start(to, OPCODE.SYNC, 0);
    setRdbase(to, 4, rdbase);
  },
  /** VSYNC, VINVALL and INVDB of one vPE, by `opcode`: a value of OPCODE. */
  vpe(to: Uint32Array, opcode: number, vpeid: number): void {
    start(to, opcode, 0);
    to[3] = vpeid;
  },
  /** VMAPP: maps or unmaps a vPE. */
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
  /** VSGI: configures the vSGI `sgi` (0 to 15) of a vPE. @param clear pending state is cleared and the configuration ignored */
  vsgi(to: Uint32Array, vpeid: number, sgi: number, fields: VsgiFields, clear: boolean): void {
    start(to, OPCODE.VSGI, sgi);
    const bits = (fields.enabled ? 0x100 : 0) | (clear ? 0x200 : 0) | (fields.group1 ? 0x400 : 0);
    to[0] = OPCODE.VSGI | bits | ((fields.priority & 0xf0) << 16);
    to[3] = vpeid;
  },
  /** VMAPTI: event `event` of `device` is the VLPI `vintid` of `vpeid`; `doorbell` is the LPI that GICv4.0 rings for it, 1023 for none. */
  vmapti(to: Uint32Array, device: number, event: number, vpeid: number, vintid: number, doorbell: number): void {
    start(to, OPCODE.VMAPTI, device);
    to[2] = event;
    to[3] = vpeid;
    to[4] = vintid;
    to[5] = doorbell;
  },
  /** VMOVI: moves an event to another vPE, with the doorbell LPI `doorbell` of GICv4.0, 1023 for none. */
  vmovi(to: Uint32Array, device: number, event: number, vpeid: number, doorbell: number): void {
    start(to, OPCODE.VMOVI, device);
    to[2] = event;
    to[3] = vpeid;
    to[4] = 1;
    to[5] = doorbell;
  },
  /**
   * VMOVP: moves a vPE to another redistributor.
   *
   * @param sequence 16 bits, the same for every ITS of the list
   * @param itsList one bit for each ITS, 16 bits; 0 where GITS_TYPER.VMOVP is 1
   * @param doorbell the default doorbell of GICv4.1; undefined leaves DB 0.
   */
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
