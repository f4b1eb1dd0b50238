/**
 * A command of the Management Complex: 64 bytes, a header and seven parameters of 8 bytes, little-endian. Kernel: struct
 * fsl_mc_command, mc-sys.c.
 */
import { EACCES, EBUSY, EINVAL, EIO, ENAVAIL, ENODEV, ENOMEM, ENOTSUPP, ENXIO, EPERM, ETIMEDOUT, get, set } from '@vsim/vfio-core';

export const COMMAND_SIZE = 64;
/** Where the parameters start. */
export const PARAMS = 8;

/** The fields of the header. */
export const mc_header = {
  src_id: [0, 'u8'],
  flags_hw: [1, 'u8'],
  status: [2, 'u8'],
  flags_sw: [3, 'u8'],
  token: [4, 'u16'],
  cmd_id: [6, 'u16'],
} as const;

/** In flags_hw: before commands of low priority. */
export const MC_CMD_FLAG_PRI_HIGH = 0x80;
/** In flags_sw: no interrupt when the command is done. */
export const MC_CMD_FLAG_INTR_DIS = 0x01;

export const MC_STATUS_OK = 0;
/** Submitted, and not yet answered. */
export const MC_STATUS_READY = 1;
export const MC_STATUS_AUTH_ERR = 3;
export const MC_STATUS_NO_PRIVILEGE = 4;
export const MC_STATUS_CONFIG_ERR = 6;
export const MC_STATUS_NO_RESOURCE = 8;
export const MC_STATUS_BUSY = 0xa;
export const MC_STATUS_UNSUPPORTED_OP = 0xb;
export const MC_STATUS_INVALID_STATE = 0xc;

/** By status; the hole at 2 is no error. */
const ERRNO: readonly number[] = [0, ETIMEDOUT, 0, EACCES, EPERM, EIO, ENXIO, ETIMEDOUT, ENAVAIL, ENOMEM, EBUSY, ENOTSUPP, ENODEV];

/** mc_status_to_error(). READY counts as no answer in time. @returns 0 or a negative errno */
export function statusError(status: number): number {
  const errno = ERRNO[status] ?? EINVAL;
  return errno === 0 ? 0 : -errno;
}

/** Commands by the upper 12 bits of cmd_id; the low 4 are the version. */
export const MC_CLOSE = 0x800;
export const MC_ENABLE = 0x002;
export const MC_DISABLE = 0x003;
export const MC_GET_ATTR = 0x004;
export const MC_RESET = 0x005;
export const MC_IS_ENABLED = 0x006;
export const MC_SET_IRQ = 0x010;
export const MC_SET_IRQ_ENABLE = 0x012;
export const MC_GET_IRQ_ENABLE = 0x013;
export const MC_SET_IRQ_MASK = 0x014;
export const MC_GET_IRQ_MASK = 0x015;
export const MC_GET_IRQ_STATUS = 0x016;
export const MC_CLEAR_IRQ_STATUS = 0x017;
export const DPMNG_GET_VERSION = 0x831;
export const DPMNG_GET_SOC_VERSION = 0x832;
export const DPRC_GET_CONT_ID = 0x830;
export const DPRC_OPEN = 0x805;
export const DPRC_GET_API_VERSION = 0xa05;
export const DPRC_RESET_CONT = 0x005;
export const DPRC_CREATE_CONT = 0x151;
export const DPRC_DESTROY_CONT = 0x152;
export const DPRC_ASSIGN = 0x157;
export const DPRC_UNASSIGN = 0x158;
export const DPRC_GET_OBJ_COUNT = 0x159;
export const DPRC_GET_OBJ = 0x15a;
export const DPRC_GET_RES_COUNT = 0x15b;
export const DPRC_GET_RES_IDS = 0x15c;
export const DPRC_GET_OBJ_REG = 0x15e;
export const DPRC_SET_OBJ_IRQ = 0x15f;
export const DPRC_SET_OBJ_LABEL = 0x161;
export const DPRC_CONNECT = 0x167;
export const DPRC_DISCONNECT = 0x168;
export const DPRC_GET_POOL = 0x169;
export const DPRC_GET_POOL_COUNT = 0x16a;
export const DPRC_SET_LOCKED = 0x16b;
export const DPRC_GET_CONNECTION = 0x16c;
export const DPNI_GET_LINK_STATE = 0x215;
export const DPNI_SET_MAX_FRAME_LENGTH = 0x216;
export const DPNI_GET_MAX_FRAME_LENGTH = 0x217;
export const DPNI_SET_PRIM_MAC = 0x224;
export const DPNI_GET_PRIM_MAC = 0x225;
export const DPNI_GET_STATISTICS = 0x25d;
export const DPNI_GET_PORT_MAC = 0x263;
export const DPMAC_GET_COUNTER = 0x0c4;
export const DPMAC_GET_MAC_ADDR = 0x0c5;
export const DPCI_GET_LINK_STATE = 0x0e1;
export const DPCI_GET_PEER_ATTR = 0x0e2;
export const DPSECI_GET_TX_QUEUE = 0x197;

/** The open command of each type that the bus knows. Kernel: fsl_mc_bus_type's device types, dp*-cmd.h. */
export const OPEN_COMMANDS: ReadonlyMap<string, number> = new Map([
  ['dpni', 0x801],
  ['dpsw', 0x802],
  ['dpio', 0x803],
  ['dpbp', 0x804],
  ['dprc', DPRC_OPEN],
  ['dpdmux', 0x806],
  ['dpci', 0x807],
  ['dpcon', 0x808],
  ['dpseci', 0x809],
  ['dpaiop', 0x80a],
  ['dpmcp', 0x80b],
  ['dpmac', 0x80c],
  ['dpdcei', 0x80d],
  ['dpdmai', 0x80e],
  ['dpdbg', 0x80f],
  ['dprtc', 0x810],
]);

/** A command ready to be submitted. `command` has 12 bits, `version` 4. */
export function mcCommand(command: number, version: number, token: number): Uint8Array {
  const bytes = new Uint8Array(COMMAND_SIZE);
  set(bytes, mc_header.status, MC_STATUS_READY);
  set(bytes, mc_header.token, token);
  set(bytes, mc_header.cmd_id, (command << 4) | version);
  return bytes;
}

/** NUL-padded text of at most `size` bytes at `offset`. */
export function getText(bytes: Uint8Array, offset: number, size: number): string {
  const field = bytes.subarray(offset, offset + size);
  const end = field.indexOf(0);
  return new TextDecoder().decode(end < 0 ? field : field.subarray(0, end));
}

export function setText(bytes: Uint8Array, offset: number, size: number, text: string): void {
  bytes.fill(0, offset, offset + size);
  bytes.set(new TextEncoder().encode(text).subarray(0, size), offset);
}

/** An address below 2^53, of 64 bits at `offset`. */
export function getAddress(bytes: Uint8Array, offset: number): number {
  return get(bytes, [offset + 4, 'u32']) * 0x1_0000_0000 + get(bytes, [offset, 'u32']);
}

export function setAddress(bytes: Uint8Array, offset: number, address: number): void {
  set(bytes, [offset, 'u32'], address % 0x1_0000_0000);
  set(bytes, [offset + 4, 'u32'], Math.floor(address / 0x1_0000_0000));
}
