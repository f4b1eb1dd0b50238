/**
 * A command of the Management Complex: 64 bytes, a header and seven parameters of 8 bytes, little-endian. Kernel: struct
 * fsl_mc_command, mc-sys.c.
 */
import { EACCES, EBUSY, EINVAL, EIO, ENAVAIL, ENODEV, ENOMEM, ENOTSUPP, ENXIO, EPERM, ETIMEDOUT, get, set } from '@vsim/vfio-core';

/** Bytes of a command: a header of 8, and seven parameters of 8. */
export const COMMAND_SIZE = 64;
/** Where the parameters start, in bytes. */
export const PARAMS = 8;

/** The fields of the header, as offset and type. Kernel: struct mc_cmd_header. */
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

/** MC_CMD_STATUS_OK: it is done. */
export const MC_STATUS_OK = 0;
/** MC_CMD_STATUS_READY: submitted, and not yet answered; -ETIMEDOUT in the end. */
export const MC_STATUS_READY = 1;
/** MC_CMD_STATUS_AUTH_ERR: the token stands for nothing; -EACCES. */
export const MC_STATUS_AUTH_ERR = 3;
/** MC_CMD_STATUS_NO_PRIVILEGE; -EPERM. This firmware never says it. */
export const MC_STATUS_NO_PRIVILEGE = 4;
/** MC_CMD_STATUS_CONFIG_ERR: parameters name what is not there; -ENXIO. */
export const MC_STATUS_CONFIG_ERR = 6;
/** MC_CMD_STATUS_NO_RESOURCE: portals, tokens, contexts or resources are used up; -ENAVAIL. */
export const MC_STATUS_NO_RESOURCE = 8;
/** MC_CMD_STATUS_BUSY: somebody else has it open; -EBUSY. */
export const MC_STATUS_BUSY = 0xa;
/** MC_CMD_STATUS_UNSUPPORTED_OP: the release has no such command, or not in this version; -ENOTSUPP. */
export const MC_STATUS_UNSUPPORTED_OP = 0xb;
/** MC_CMD_STATUS_INVALID_STATE: not while the object is as it is; -ENODEV. */
export const MC_STATUS_INVALID_STATE = 0xc;

/** By status; the hole at 2 is no error. */
const ERRNO: readonly number[] = [0, ETIMEDOUT, 0, EACCES, EPERM, EIO, ENXIO, ETIMEDOUT, ENAVAIL, ENOMEM, EBUSY, ENOTSUPP, ENODEV];

/**
 * mc_status_to_error(). READY counts as no answer in time.
 *
 * @param status MC_STATUS_*, 8 bits
 * @returns 0 or a negative errno: -EINVAL for a status that the kernel does not know
 */
export function statusError(status: number): number {
  const errno = ERRNO[status] ?? EINVAL;
  return errno === 0 ? 0 : -errno;
}

/** Ends the session of the token. Commands are known by the upper 12 bits of cmd_id; the low 4 are the version. */
export const MC_CLOSE = 0x800;
/** Enables an object that is plugged: dpni_enable() and the like. */
export const MC_ENABLE = 0x002;
/** Disables an object: dpni_disable() and the like. */
export const MC_DISABLE = 0x003;
/** What an object was made with; of a container its id, ICID, options and portal: dprc_get_attributes(). */
export const MC_GET_ATTR = 0x004;
/** Resets an object that is no container: dpni_reset() and the like. Of a container it is DPRC_RESET_CONT. */
export const MC_RESET = 0x005;
/** Whether an object is enabled, in bit 0 of the answer. */
export const MC_IS_ENABLED = 0x006;
/** An interrupt's message: data, index, address, and the number of software's interrupt. dprc_set_irq(). */
export const MC_SET_IRQ = 0x010;
/** Turns an interrupt on or off, with bit 0: dprc_set_irq_enable(). */
export const MC_SET_IRQ_ENABLE = 0x012;
/** Whether an interrupt is on. */
export const MC_GET_IRQ_ENABLE = 0x013;
/** The 32 causes that raise an interrupt: dprc_set_irq_mask(). */
export const MC_SET_IRQ_MASK = 0x014;
/** The mask that was set. */
export const MC_GET_IRQ_MASK = 0x015;
/** The causes that are latched: dprc_get_irq_status(). */
export const MC_GET_IRQ_STATUS = 0x016;
/** Clears the causes whose bits are set: dprc_clear_irq_status(). */
export const MC_CLEAR_IRQ_STATUS = 0x017;
/** The firmware's release: revision, major, minor. Needs no token. mc_get_version(). */
export const DPMNG_GET_VERSION = 0x831;
/** The chip's system version register, and the processor's. Needs no token. */
export const DPMNG_GET_SOC_VERSION = 0x832;
/** The id of the container that the portal is of. Needs no token. dprc_get_container_id(). */
export const DPRC_GET_CONT_ID = 0x830;
/** Opens a container by its id: dprc_open(). The token is in the answer's header. */
export const DPRC_OPEN = 0x805;
/** Major and minor of the commands of containers, 16 bits each. Needs no token. dprc_get_api_version(). */
export const DPRC_GET_API_VERSION = 0xa05;
/** Resets a container's objects and closes them, those of its children too unless version 2 says NON_RECURSIVE: dprc_reset_container(). */
export const DPRC_RESET_CONT = 0x005;
/** Makes a child: options, ICID, portal and label; its id and its portal's offset are answered. restool dprc create. */
export const DPRC_CREATE_CONT = 0x151;
/** Takes a child away, with what it created; the rest goes to the parent. restool dprc destroy. */
export const DPRC_DESTROY_CONT = 0x152;
/** Gives an object or resources to a child, or plugs an object where it is. restool dprc assign. */
export const DPRC_ASSIGN = 0x157;
/** Takes an object or resources back from a child, or unplugs an object. restool dprc unassign. */
export const DPRC_UNASSIGN = 0x158;
/** How many objects are in a container, without those further below: dprc_get_obj_count(). */
export const DPRC_GET_OBJ_COUNT = 0x159;
/** The object at an index from 0: type, id, vendor, version, state, label. dprc_get_obj(). */
export const DPRC_GET_OBJ = 0x15a;
/** How much a container's pool has of a type of resource. */
export const DPRC_GET_RES_COUNT = 0x15b;
/** The ranges of a container's pool, one with each command. */
export const DPRC_GET_RES_IDS = 0x15c;
/** Where a region of an object lies; version 2 tells the base, version 3 the size as it is. dprc_get_obj_region(). */
export const DPRC_GET_OBJ_REG = 0x15e;
/** As MC_SET_IRQ, for an object in or below the container: dprc_set_obj_irq(). */
export const DPRC_SET_OBJ_IRQ = 0x15f;
/** Names an object, with at most 16 bytes. restool dprc set-label. */
export const DPRC_SET_OBJ_LABEL = 0x161;
/** Connects two endpoints in or below the container. restool dprc connect. */
export const DPRC_CONNECT = 0x167;
/** Ends the link of an endpoint. restool dprc disconnect. */
export const DPRC_DISCONNECT = 0x168;
/** The type of the pool at an index from 0. */
export const DPRC_GET_POOL = 0x169;
/** How many pools a container has. */
export const DPRC_GET_POOL_COUNT = 0x16a;
/** Locks a child or unlocks it. It is kept, and has no effect here. */
export const DPRC_SET_LOCKED = 0x16b;
/** What is at the other end of an endpoint's link, and its state: dprc_get_connection(). */
export const DPRC_GET_CONNECTION = 0x16c;
/** Whether a network interface's link is up, and its rate in Mbit/s: dpni_get_link_state(). */
export const DPNI_GET_LINK_STATE = 0x215;
/** A network interface's longest frame, 16 bits, in bytes: dpni_set_max_frame_length(). */
export const DPNI_SET_MAX_FRAME_LENGTH = 0x216;
/** The longest frame that was set, in bytes; 10240 at first. */
export const DPNI_GET_MAX_FRAME_LENGTH = 0x217;
/** The primary MAC address of a network interface, the last byte first: dpni_set_primary_mac_addr(). */
export const DPNI_SET_PRIM_MAC = 0x224;
/** The primary MAC address, the last byte first: dpni_get_primary_mac_addr(). */
export const DPNI_GET_PRIM_MAC = 0x225;
/** A page of counters: zeros here, as no frame passes. dpni_get_statistics(). */
export const DPNI_GET_STATISTICS = 0x25d;
/** The address of the port behind a network interface, here that of the dpmac of the same number: dpni_get_port_mac_addr(). */
export const DPNI_GET_PORT_MAC = 0x263;
/** One counter of a MAC: zero here, as no frame passes. dpmac_get_counter(). */
export const DPMAC_GET_COUNTER = 0x0c4;
/** The address of a MAC, the last byte first: dpmac_get_mac_addr(). */
export const DPMAC_GET_MAC_ADDR = 0x0c5;
/** Whether both ends of a communication interface are enabled, in bit 0. */
export const DPCI_GET_LINK_STATE = 0x0e1;
/** The id of the dpci at the other end, -1 without one, and its number of priorities. */
export const DPCI_GET_PEER_ATTR = 0x0e2;
/** Frame queue id and priority of a crypto engine's queue, by an index in byte 5: dpseci_get_tx_queue(). */
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

/**
 * A command ready to be submitted, of 64 bytes, with status READY and no parameters.
 *
 * @param command 12 bits
 * @param version 4 bits, from 1
 * @param token 16 bits; 0 where the command needs none
 */
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

/**
 * Writes NUL-padded text; what is longer than the field is cut off.
 *
 * @param offset of the field, in bytes
 * @param size of the field, in bytes
 */
export function setText(bytes: Uint8Array, offset: number, size: number, text: string): void {
  bytes.fill(0, offset, offset + size);
  bytes.set(new TextEncoder().encode(text).subarray(0, size), offset);
}

/** An address below 2^53, of 64 bits at `offset`. */
export function getAddress(bytes: Uint8Array, offset: number): number {
  return get(bytes, [offset + 4, 'u32']) * 0x1_0000_0000 + get(bytes, [offset, 'u32']);
}

/** Writes 64 bits, little-endian. @param offset of the field, in bytes @param address below 2^53 */
export function setAddress(bytes: Uint8Array, offset: number, address: number): void {
  set(bytes, [offset, 'u32'], address % 0x1_0000_0000);
  set(bytes, [offset + 4, 'u32'], Math.floor(address / 0x1_0000_0000));
}
