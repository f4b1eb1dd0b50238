/** Commands of containers: what is in them, their attributes, resets. Offsets are from the first parameter. */
import { get, set } from '@vsim/vfio-core';
import { assign, unassign } from './assign-commands.ts';
import {
  DPRC_ASSIGN,
  DPRC_CONNECT,
  DPRC_CREATE_CONT,
  DPRC_DESTROY_CONT,
  DPRC_DISCONNECT,
  DPRC_GET_CONNECTION,
  DPRC_GET_OBJ,
  DPRC_GET_OBJ_COUNT,
  DPRC_GET_OBJ_REG,
  DPRC_GET_POOL,
  DPRC_GET_POOL_COUNT,
  DPRC_GET_RES_COUNT,
  DPRC_GET_RES_IDS,
  DPRC_SET_LOCKED,
  DPRC_SET_OBJ_IRQ,
  DPRC_SET_OBJ_LABEL,
  DPRC_UNASSIGN,
  getAddress,
  getText,
  MC_GET_ATTR,
  MC_RESET,
  MC_STATUS_CONFIG_ERR,
  MC_STATUS_OK,
  MC_STATUS_UNSUPPORTED_OP,
  setAddress,
  setText,
} from './command.ts';
import type { Execution } from './commands.ts';
import { createContainer, destroyContainer } from './create-commands.ts';
import { connect, describeConnection, disconnect } from './link-commands.ts';
import type { ManagementComplex } from './management-complex.ts';
import { McContainer } from './mc-container.ts';
import { REGION_KINDS, type McObject } from './mc-object.ts';
import { POOL_TYPES } from './resource-pools.ts';

/** Bit 0 of the options of RESET_CONT. */
const NON_RECURSIVE = 1;
/** The iteration over ranges of resources: bits 2 to 7 of a byte. 3 is what the recordings have for the last. */
const ITERATION_SHIFT = 2;
const MORE = 1;
const LAST = 3;

export function ofContainer(command: number, container: McContainer, execution: Execution): number {
  const { mc, version, params, out, portal } = execution;
  switch (command) {
    case MC_GET_ATTR:
      describeContainer(container, execution);
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
  }
  if (mc.choices.commands === 'bus') return MC_STATUS_UNSUPPORTED_OP;
  switch (command) {
    case DPRC_CREATE_CONT:
      return createContainer(mc, container, params, out);
    case DPRC_DESTROY_CONT:
      return destroyContainer(mc, portal, container, params);
    case DPRC_ASSIGN:
      return assign(container, params);
    case DPRC_UNASSIGN:
      return unassign(container, params);
    case DPRC_CONNECT:
      return connect(mc, container, params);
    case DPRC_DISCONNECT:
      return disconnect(mc, container, params);
    case DPRC_SET_OBJ_LABEL: {
      const object = container.find(getText(params, 24, 16), get(params, [0, 'u32']));
      if (object === undefined) return MC_STATUS_CONFIG_ERR;
      object.label = getText(params, 8, 16);
      return MC_STATUS_OK;
    }
    case DPRC_SET_LOCKED: {
      const child = container.own('dprc', get(params, [4, 'u32']));
      if (!(child instanceof McContainer)) return MC_STATUS_CONFIG_ERR;
      child.locked = (get(params, [0, 'u8']) & 1) !== 0;
      return MC_STATUS_OK;
    }
    default:
      return ofPools(command, container, params, out);
  }
}

function ofPools(command: number, { pools }: McContainer, params: Uint8Array, out: Uint8Array): number {
  switch (command) {
    case DPRC_GET_POOL_COUNT:
      set(out, [0, 'u32'], POOL_TYPES.length);
      return MC_STATUS_OK;
    case DPRC_GET_POOL: {
      const type = POOL_TYPES[get(params, [0, 'u32'])];
      if (type === undefined) return MC_STATUS_CONFIG_ERR;
      setText(out, 8, 16, type);
      return MC_STATUS_OK;
    }
    case DPRC_GET_RES_COUNT: {
      const type = getText(params, 8, 16);
      if (!POOL_TYPES.includes(type)) return MC_STATUS_CONFIG_ERR;
      set(out, [0, 'u32'], pools.count(type));
      return MC_STATUS_OK;
    }
    case DPRC_GET_RES_IDS: {
      const type = getText(params, 16, 16);
      if (!POOL_TYPES.includes(type)) return MC_STATUS_CONFIG_ERR;
      const first = get(params, [5, 'u8']) >>> ITERATION_SHIFT === 0;
      const ranges = pools.ranges(type).filter((range) => first || range.first > get(params, [12, 'u32']));
      const [range] = ranges;
      set(out, [5, 'u8'], (ranges.length > 1 ? MORE : LAST) << ITERATION_SHIFT);
      if (range === undefined) return MC_STATUS_CONFIG_ERR;
      set(out, [8, 'u32'], range.first);
      set(out, [12, 'u32'], range.last);
      return MC_STATUS_OK;
    }
    default:
      return MC_STATUS_UNSUPPORTED_OP;
  }
}

/** The firmware of the preset `bus` tells no options, and the portal that the question came through. */
function describeContainer(container: McContainer, { mc, portal, out }: Execution): void {
  const bus = mc.choices.commands === 'bus';
  set(out, [0, 'u32'], container.id);
  set(out, [4, 'u32'], container.icid);
  set(out, [8, 'u32'], bus ? 0 : container.options);
  set(out, [12, 'u32'], bus ? portal.id : (mc.portalOf(container)?.id ?? 0));
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
