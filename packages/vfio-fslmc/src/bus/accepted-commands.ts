/** Which commands user space may send through `/dev/dprc.N`. Kernel: fsl-mc-uapi.c. */
import { EPERM, get, type Process } from '@vsim/vfio-core';
import { mc_header } from '../mc/command.ts';
import { COMMAND_REFUSED } from './fslmc-reasons.ts';

/** A command that user space may send, as the kernel's table has it. It is known by its id under a mask. Kernel: struct fsl_mc_cmd_desc. */
export interface AcceptedCommand {
  /** cmd_id under the mask. */
  readonly id: number;
  /** Which of the 16 bits of cmd_id are compared: 0xfff0 leaves out the version, 0xfc00 the type of object as well. */
  readonly mask: number;
  /** The command is one of an open object. */
  readonly token: boolean;
  /** Bytes, header included; the rest has to be zero. */
  readonly size: number;
  /** Needs CAP_NET_ADMIN. */
  readonly admin: boolean;
  /** The id has a type of object in it. */
  readonly typed: boolean;
}

/** Bits 4 to 9 of cmd_id: the type of object. */
const MODULE_SHIFT = 4;
const MODULE_MASK = 0x3f;
const MAX_MODULE = 0x10;
const EXACT = 0xfff0;
const TYPED = 0xfc00;

const exact = (id: number, size: number, { token = true, admin = false } = {}): AcceptedCommand => ({ id, mask: EXACT, token, size, admin, typed: false });
const typed = (id: number, size: number, { token = false, admin = false } = {}): AcceptedCommand => ({ id, mask: TYPED, token, size, admin, typed: true });
const admin = { admin: true };
const noToken = { token: false };

/**
 * The commands that user space may send, in the order in which the kernel looks. Those at the end are of every type of object, with the
 * type in the id. DPRC_GET_MEM comes with newer kernels and is not among them.
 */
export const ACCEPTED_COMMANDS: readonly AcceptedCommand[] = [
  exact(0x1300, 28), //          DPDBG_DUMP
  exact(0x1400, 28), //          DPDBG_SET
  exact(0x8300, 8, noToken), //  DPRC_GET_CONTAINER_ID
  exact(0x1510, 40, admin), //   DPRC_CREATE_CONT
  exact(0x1520, 12, admin), //   DPRC_DESTROY_CONT
  exact(0x1570, 40, admin), //   DPRC_ASSIGN
  exact(0x1580, 40, admin), //   DPRC_UNASSIGN
  exact(0x1590, 16), //          DPRC_GET_OBJ_COUNT
  exact(0x15a0, 12), //          DPRC_GET_OBJ
  exact(0x15b0, 32), //          DPRC_GET_RES_COUNT
  exact(0x15c0, 40), //          DPRC_GET_RES_IDS
  exact(0x1610, 48, admin), //   DPRC_SET_OBJ_LABEL
  exact(0x16b0, 16, admin), //   DPRC_SET_LOCKED
  exact(0x1670, 56, admin), //   DPRC_CONNECT
  exact(0x1680, 32, admin), //   DPRC_DISCONNECT
  exact(0x1690, 12), //          DPRC_GET_POOL
  exact(0x16a0, 8), //           DPRC_GET_POOL_COUNT
  exact(0x16c0, 32), //          DPRC_GET_CONNECTION
  exact(0x0e10, 8), //           DPCI_GET_LINK_STATE
  exact(0x0e20, 8), //           DPCI_GET_PEER_ATTR
  exact(0x2820, 8), //           DPAIOP_GET_SL_VERSION
  exact(0x2830, 8), //           DPAIOP_GET_STATE
  exact(0x8310, 8, noToken), //  DPMNG_GET_VERSION
  exact(0x1970, 14), //          DPSECI_GET_TX_QUEUE
  exact(0x0c40, 9), //           DPMAC_GET_COUNTER
  exact(0x0c50, 8), //           DPMAC_GET_MAC_ADDR
  exact(0x2240, 16, admin), //   DPNI_SET_PRIM_MAC
  exact(0x2250, 8), //           DPNI_GET_PRIM_MAC
  exact(0x25d0, 10), //          DPNI_GET_STATISTICS
  exact(0x2150, 8), //           DPNI_GET_LINK_STATE
  exact(0x2170, 8), //           DPNI_GET_MAX_FRAME_LENGTH
  exact(0x0a80, 24, admin), //   DPSW_SET_TAILDROP
  exact(0x0a90, 14), //          DPSW_GET_TAILDROP
  exact(0x0340, 11), //          DPSW_IF_GET_COUNTER
  exact(0x0450, 10), //          DPSW_IF_GET_MAX_FRAME_LENGTH
  exact(0x0b20, 11), //          DPDMUX_GET_COUNTER
  exact(0x0a20, 10), //          DPDMUX_IF_GET_MAX_FRAME_LENGTH
  exact(0x0040, 8), //           GET_ATTR
  exact(0x0150, 13), //          GET_IRQ_MASK
  exact(0x0160, 13), //          GET_IRQ_STATUS
  exact(0x8000, 8), //           CLOSE
  typed(0x8000, 12), //          OPEN
  typed(0xa000, 8), //           GET_API_VERSION
  typed(0x9800, 12, { token: true, admin: true }), // DESTROY
  typed(0x9000, 64, { token: true, admin: true }), // CREATE
];

const GET_MEM = exact(0x16d0, 12); // DPRC_GET_MEM

/** fsl_mc_command_check(). @returns 0, -EACCES, or -EPERM without CAP_NET_ADMIN where the command needs it */
export function checkCommand(command: Uint8Array, process: Process): number {
  const id = get(command, mc_header.cmd_id);
  const { refusals, profile } = process.host;
  const known = profile.fslmcGetMem ? [...ACCEPTED_COMMANDS, GET_MEM] : ACCEPTED_COMMANDS;
  const accepted = known.find((each) => (id & each.mask) === each.id);
  if (accepted === undefined) return refusals.refuse(COMMAND_REFUSED, { command: id, why: 'unknown' });
  if (command.subarray(accepted.size).some((byte) => byte !== 0)) return refusals.refuse(COMMAND_REFUSED, { command: id, why: 'too long' });
  if ((get(command, mc_header.token) !== 0) !== accepted.token) return refusals.refuse(COMMAND_REFUSED, { command: id, why: 'token' });
  const module = (id >>> MODULE_SHIFT) & MODULE_MASK;
  if (accepted.typed && (module === 0 || module > MAX_MODULE)) return refusals.refuse(COMMAND_REFUSED, { command: id, why: 'module' });
  return accepted.admin && !process.capable('CAP_NET_ADMIN') ? refusals.refuse(COMMAND_REFUSED, { command: id, why: 'rights' }, EPERM) : 0;
}
