/** What the firmware does for each command. Catalogue: vfio 5.3; offsets are from the first parameter. */
import { get, set } from '@vsim/vfio-core';
import {
  DPMNG_GET_VERSION,
  DPRC_GET_CONNECTION,
  DPRC_GET_CONT_ID,
  DPRC_GET_OBJ,
  DPRC_GET_OBJ_COUNT,
  DPRC_GET_OBJ_REG,
  DPRC_SET_OBJ_IRQ,
  getAddress,
  getText,
  MC_CLEAR_IRQ_STATUS,
  MC_CLOSE,
  MC_DISABLE,
  MC_ENABLE,
  MC_GET_ATTR,
  MC_GET_IRQ_ENABLE,
  MC_GET_IRQ_MASK,
  MC_GET_IRQ_STATUS,
  MC_IS_ENABLED,
  MC_RESET,
  MC_SET_IRQ,
  MC_SET_IRQ_ENABLE,
  MC_SET_IRQ_MASK,
  MC_STATUS_AUTH_ERR,
  MC_STATUS_CONFIG_ERR,
  MC_STATUS_INVALID_STATE,
  MC_STATUS_OK,
  MC_STATUS_UNSUPPORTED_OP,
  OPEN_COMMANDS,
  setAddress,
  setText,
} from './command.ts';
import type { ManagementComplex } from './management-complex.ts';
import { McContainer } from './mc-container.ts';
import type { McPortal } from './mc-portal.ts';
import { REGION_KINDS, type McObject } from './mc-object.ts';

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

/** Bit 0 of the options of RESET_CONT. */
const NON_RECURSIVE = 1;
/** From a type's open command to its others that need no token. */
const CREATE = 0x100;
const API_VERSION = 0x200;

const TYPES: ReadonlyMap<number, string> = new Map([...OPEN_COMMANDS].map(([type, command]) => [command, type]));

/** @returns the status: AUTH_ERR for a token that stands for nothing comes first, then UNSUPPORTED_OP, then CONFIG_ERR for a parameter */
export function execute(command: number, execution: Execution): number {
  const { object, mc, version } = execution;
  if (!needsToken(command)) return version === 1 ? withoutToken(command, execution) : MC_STATUS_UNSUPPORTED_OP;
  if (object === undefined) return MC_STATUS_AUTH_ERR;
  if (version === 0 || version > newestVersion(command, object, mc)) return MC_STATUS_UNSUPPORTED_OP;
  const common = ofObject(command, object, execution);
  if (common !== undefined) return common;
  return object instanceof McContainer ? ofContainer(command, object, execution) : ofPlainObject(command, object, execution);
}

/** Commands about the firmware, the portal, and types of objects; OPEN makes a token. */
function withoutToken(command: number, execution: Execution): number {
  const { out, mc, portal, params } = execution;
  switch (command) {
    case DPMNG_GET_VERSION:
      set(out, [0, 'u32'], 0);
      set(out, [4, 'u32'], 10);
      set(out, [8, 'u32'], 28);
      return MC_STATUS_OK;
    case DPRC_GET_CONT_ID:
      set(out, [0, 'u32'], portal.container.id);
      return MC_STATUS_OK;
  }
  const opened = TYPES.get(command);
  if (opened !== undefined) {
    const { status, token } = mc.open(portal, opened, get(params, [0, 'u32']));
    if (status === MC_STATUS_OK) execution.token = token;
    return status;
  }
  const asked = TYPES.get(command - API_VERSION);
  if (asked === undefined) return MC_STATUS_UNSUPPORTED_OP;
  const [major, minor] = asked === 'dprc' ? mc.apiVersion : [7, 0];
  set(out, [0, 'u16'], major);
  set(out, [2, 'u16'], minor);
  return MC_STATUS_OK;
}

function needsToken(command: number): boolean {
  if (command === DPMNG_GET_VERSION || command === DPRC_GET_CONT_ID) return false;
  return ![0, CREATE, API_VERSION].some((kind) => TYPES.has(command - kind));
}

/** RESET_CONT got options with API 6.5, GET_OBJ_REG a base with 6.3 and true sizes with 6.6. */
function newestVersion(command: number, object: McObject, mc: ManagementComplex): number {
  if (!(object instanceof McContainer)) return 1;
  if (command === MC_RESET) return apiAtLeast(mc, 5) ? 2 : 1;
  if (command === DPRC_GET_OBJ_REG) return apiAtLeast(mc, 6) ? 3 : apiAtLeast(mc, 3) ? 2 : 1;
  return 1;
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

function ofPlainObject(command: number, object: McObject, { out }: Execution): number {
  switch (command) {
    case MC_ENABLE:
      if (!object.plugged) return MC_STATUS_INVALID_STATE;
      object.enabled = true;
      return MC_STATUS_OK;
    case MC_DISABLE:
      object.enabled = false;
      return MC_STATUS_OK;
    case MC_IS_ENABLED:
      set(out, [0, 'u32'], object.enabled ? 1 : 0);
      return MC_STATUS_OK;
    case MC_RESET:
      object.reset();
      return MC_STATUS_OK;
    case MC_GET_ATTR:
      set(out, [0, 'u32'], object.id);
      return MC_STATUS_OK;
    default:
      return MC_STATUS_UNSUPPORTED_OP;
  }
}

function ofContainer(command: number, container: McContainer, { mc, version, params, out, portal }: Execution): number {
  switch (command) {
    case MC_GET_ATTR:
      set(out, [0, 'u32'], container.id);
      set(out, [4, 'u32'], container.icid);
      set(out, [8, 'u32'], 0);
      set(out, [12, 'u32'], portal.id);
      return MC_STATUS_OK;
    case MC_RESET:
      return resetContainer(mc, container, version, params);
    case DPRC_GET_OBJ_COUNT:
      set(out, [4, 'u32'], container.objects.length);
      return MC_STATUS_OK;
    case DPRC_GET_OBJ: {
      const object = container.objects[get(params, [0, 'u32'])];
      if (object === undefined) return MC_STATUS_CONFIG_ERR;
      describe(object, mc, out);
      return MC_STATUS_OK;
    }
    case DPRC_GET_OBJ_REG:
      return describeRegion(mc, container, version, params, out);
    case DPRC_SET_OBJ_IRQ: {
      const irq = container.find(getText(params, 24, 16), get(params, [20, 'u32']))?.irqs[get(params, [4, 'u8'])];
      if (irq === undefined) return MC_STATUS_CONFIG_ERR;
      irq.data = get(params, [0, 'u32']);
      irq.address = getAddress(params, 8);
      return MC_STATUS_OK;
    }
    case DPRC_GET_CONNECTION:
      return describeConnection(mc, container, params, out);
    default:
      return MC_STATUS_UNSUPPORTED_OP;
  }
}

/** The state is 1 where both ends are enabled, 0 where not, -1 where there is no link. */
function describeConnection(mc: ManagementComplex, container: McContainer, params: Uint8Array, out: Uint8Array): number {
  const object = container.find(getText(params, 8, 16), get(params, [0, 'u32']));
  if (object === undefined) return MC_STATUS_CONFIG_ERR;
  const peer = mc.links.peer({ object, interfaceId: get(params, [4, 'u16']) });
  // The first endpoint stays in the answer as it was asked for.
  out.set(params.subarray(0, 24));
  set(out, [48, 's32'], peer === undefined ? -1 : object.enabled && peer.object.enabled ? 1 : 0);
  if (peer === undefined) return MC_STATUS_OK;
  set(out, [24, 'u32'], peer.object.id);
  set(out, [28, 'u16'], peer.interfaceId ?? 0);
  setText(out, 32, 16, peer.object.type);
  return MC_STATUS_OK;
}

/** Version 2 has options. */
function resetContainer(mc: ManagementComplex, container: McContainer, version: number, params: Uint8Array): number {
  const child = container.find('dprc', get(params, [0, 'u32']));
  if (!(child instanceof McContainer)) return MC_STATUS_CONFIG_ERR;
  mc.resetContainer(child, version < 2 || (get(params, [4, 'u32']) & NON_RECURSIVE) === 0);
  return MC_STATUS_OK;
}

function describe(object: McObject, mc: ManagementComplex, out: Uint8Array): void {
  const isOpen = mc.isOpen(object);
  set(out, [4, 'u32'], object.id);
  set(out, [8, 'u16'], object.vendor);
  set(out, [10, 'u8'], object.irqs.length);
  set(out, [11, 'u8'], object.regions.length);
  set(out, [12, 'u32'], (isOpen ? 1 : 0) | (object.plugged ? 2 : 0));
  set(out, [16, 'u16'], object.version[0]);
  set(out, [18, 'u16'], object.version[1]);
  set(out, [20, 'u16'], object.flags);
  setText(out, 24, 16, object.type);
  setText(out, 40, 16, object.label);
}

/** Version 2 gives the base as well, version 3 the true size of a portal. */
function describeRegion(mc: ManagementComplex, container: McContainer, version: number, params: Uint8Array, out: Uint8Array): number {
  const object = container.find(getText(params, 24, 16), get(params, [0, 'u32']));
  const region = object?.regions[get(params, [6, 'u8'])];
  if (region === undefined) return MC_STATUS_CONFIG_ERR;
  setAddress(out, 8, region.offset);
  set(out, [16, 'u32'], version === 3 ? region.size : region.kind === 'mc-portal' ? 64 : 0x1000);
  set(out, [20, 'u8'], REGION_KINDS.indexOf(region.kind));
  set(out, [24, 'u32'], region.flags);
  if (version >= 2) setAddress(out, 32, mc.baseOf(region.kind));
  return MC_STATUS_OK;
}

function apiAtLeast({ apiVersion: [major, minor] }: ManagementComplex, wanted: number): boolean {
  return major > 6 || (major === 6 && minor >= wanted);
}
