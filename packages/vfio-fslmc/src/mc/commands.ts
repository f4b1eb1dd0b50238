/** Which command the firmware carries out, and whom it lets. Offsets are from the first parameter. */
import { get, set } from '@vsim/vfio-core';
import {
  DPMNG_GET_SOC_VERSION,
  DPMNG_GET_VERSION,
  DPRC_GET_CONT_ID,
  DPRC_GET_OBJ_REG,
  getAddress,
  MC_CLEAR_IRQ_STATUS,
  MC_CLOSE,
  MC_GET_IRQ_ENABLE,
  MC_GET_IRQ_MASK,
  MC_GET_IRQ_STATUS,
  MC_RESET,
  MC_SET_IRQ,
  MC_SET_IRQ_ENABLE,
  MC_SET_IRQ_MASK,
  MC_STATUS_AUTH_ERR,
  MC_STATUS_CONFIG_ERR,
  MC_STATUS_OK,
  MC_STATUS_UNSUPPORTED_OP,
  OPEN_COMMANDS,
} from './command.ts';
import { createObject, destroyObject } from './create-commands.ts';
import { ofContainer } from './dprc-commands.ts';
import type { ManagementComplex } from './management-complex.ts';
import { McContainer } from './mc-container.ts';
import type { McObject } from './mc-object.ts';
import type { McPortal } from './mc-portal.ts';
import { ofPlainObject } from './object-commands.ts';

export interface Execution {
  readonly mc: ManagementComplex;
  readonly portal: McPortal;
  /** What the token stands for; undefined if nothing. */
  readonly object: McObject | undefined;
  readonly version: number;
  readonly params: Uint8Array;
  readonly out: Uint8Array;
  token: number;
}

/** From a type's open command to its others that name no object by token. */
const CREATE = 0x100;
const DESTROY = 0x180;
const API_VERSION = 0x200;

/** The upper digit of a network interface's own commands: some are younger than the headers. */
const DPNI_COMMANDS = 2;

const TYPES: ReadonlyMap<number, string> = new Map([...OPEN_COMMANDS].map(([type, command]) => [command, type]));

/**
 * Carries a command out.
 *
 * @param command the upper 12 bits of cmd_id
 * @returns the status: AUTH_ERR for a token that stands for nothing comes first, then UNSUPPORTED_OP, then what the command itself says
 */
export function execute(command: number, execution: Execution): number {
  const { object } = execution;
  if (!needsToken(command)) return withoutToken(command, execution);
  if (object === undefined) return MC_STATUS_AUTH_ERR;
  const inContainer = createdType(command) ?? destroyedType(command);
  if (inContainer !== undefined) return withContainer(inContainer, command, object, execution);
  if (!isSupported(command, object.type, execution)) return MC_STATUS_UNSUPPORTED_OP;
  const common = ofObject(command, object, execution);
  if (common !== undefined) return common;
  return object instanceof McContainer ? ofContainer(command, object, execution) : ofPlainObject(command, object, execution);
}

/** Commands about the firmware, the portal, and types of objects; OPEN makes a token. */
function withoutToken(command: number, execution: Execution): number {
  const { out, mc, portal, params, version } = execution;
  const opened = TYPES.get(command);
  const asked = TYPES.get(command - API_VERSION);
  if (version !== 1) return MC_STATUS_UNSUPPORTED_OP;
  switch (command) {
    case DPMNG_GET_VERSION: {
      const [major, minor, revision] = mc.firmware.release;
      set(out, [0, 'u32'], revision);
      set(out, [4, 'u32'], major);
      set(out, [8, 'u32'], minor);
      return MC_STATUS_OK;
    }
    case DPMNG_GET_SOC_VERSION: {
      const [svr, pvr] = mc.choices.soc;
      if (mc.choices.commands === 'bus') return MC_STATUS_UNSUPPORTED_OP;
      set(out, [0, 'u32'], svr);
      set(out, [4, 'u32'], pvr);
      return MC_STATUS_OK;
    }
    case DPRC_GET_CONT_ID:
      set(out, [0, 'u32'], portal.container.id);
      return MC_STATUS_OK;
  }
  if (opened !== undefined) {
    const { status, token } = mc.open(portal, opened, get(params, [0, 'u32']));
    if (status === MC_STATUS_OK) execution.token = token;
    return status;
  }
  if (asked === undefined) return MC_STATUS_UNSUPPORTED_OP;
  // The firmware of the preset `bus` tells one version for all but containers.
  const [major, minor] = mc.choices.commands === 'bus' && asked !== 'dprc' ? [7, 0] : mc.firmware.apiVersion(asked);
  set(out, [0, 'u16'], major);
  set(out, [2, 'u16'], minor);
  return MC_STATUS_OK;
}

function needsToken(command: number): boolean {
  if (command === DPMNG_GET_VERSION || command === DPMNG_GET_SOC_VERSION || command === DPRC_GET_CONT_ID) return false;
  return !TYPES.has(command) && !TYPES.has(command - API_VERSION);
}

function createdType(command: number): string | undefined {
  return TYPES.get(command - CREATE);
}

function destroyedType(command: number): string | undefined {
  return TYPES.get(command - DESTROY);
}

/** CREATE and DESTROY are told to the container, and are commands of the type. */
function withContainer(type: string, command: number, object: McObject, execution: Execution): number {
  const { mc, portal, params, out } = execution;
  if (!(object instanceof McContainer)) return MC_STATUS_AUTH_ERR;
  // A container is made by DPRC_CREATE_CONT.
  if (type === 'dprc' || mc.choices.commands === 'bus' || !isSupported(command, type, execution)) return MC_STATUS_UNSUPPORTED_OP;
  return createdType(command) === undefined ? destroyObject(mc, portal, object, type, params) : createObject(mc, object, type, params, out);
}

/** Whether the release knows the command in this version. */
function isSupported(command: number, type: string, { mc, version }: Execution): boolean {
  if (version === 0) return false;
  const newest = mc.choices.commands === 'bus' ? newestOfBus(command, type, mc) : mc.firmware.newestVersion(type, command);
  if (newest !== undefined) return version <= newest;
  // The headers no longer tell of all interrupt commands for all types.
  if (command >= MC_SET_IRQ && command <= MC_CLEAR_IRQ_STATUS) return version === 1;
  return type === 'dpni' && command >> 8 === DPNI_COMMANDS && mc.choices.unmodelledDpni === 'zeros';
}

/** Those of Linux's bus: all in version 1, but two of containers that grew with the API. */
function newestOfBus(command: number, type: string, { firmware }: ManagementComplex): number {
  return type === 'dprc' && (command === MC_RESET || command === DPRC_GET_OBJ_REG) ? (firmware.newestVersion(type, command) ?? 1) : 1;
}

/** Commands that every object has. */
function ofObject(command: number, object: McObject, { portal, token, params, out }: Execution): number | undefined {
  if (command === MC_CLOSE) {
    portal.open.delete(token);
    return MC_STATUS_OK;
  }
  if (command < MC_SET_IRQ || command > MC_CLEAR_IRQ_STATUS) return undefined;
  const irq = object.irqs[get(params, [4, 'u8'])];
  if (irq === undefined) return MC_STATUS_CONFIG_ERR;
  const value = get(params, [0, 'u32']);
  switch (command) {
    case MC_SET_IRQ:
      irq.data = value;
      irq.address = getAddress(params, 8);
      return MC_STATUS_OK;
    case MC_SET_IRQ_ENABLE:
      irq.enabled = (value & 1) !== 0;
      return MC_STATUS_OK;
    case MC_GET_IRQ_ENABLE:
      set(out, [0, 'u32'], irq.enabled ? 1 : 0);
      return MC_STATUS_OK;
    case MC_SET_IRQ_MASK:
      irq.mask = value;
      return MC_STATUS_OK;
    case MC_GET_IRQ_MASK:
      set(out, [0, 'u32'], irq.mask);
      return MC_STATUS_OK;
    case MC_GET_IRQ_STATUS:
      set(out, [0, 'u32'], irq.status);
      return MC_STATUS_OK;
    case MC_CLEAR_IRQ_STATUS:
      irq.status = (irq.status & ~value) >>> 0;
      return MC_STATUS_OK;
    default:
      return undefined;
  }
}
