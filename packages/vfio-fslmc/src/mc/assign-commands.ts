/**
 * ASSIGN and UNASSIGN: an object goes to a child container, comes back, or is plugged and unplugged where it is; and numbers of pools.
 * Offsets are from the first parameter.
 */
import { get } from '@vsim/vfio-core';
import { getText, MC_STATUS_CONFIG_ERR, MC_STATUS_INVALID_STATE, MC_STATUS_NO_RESOURCE, MC_STATUS_OK } from './command.ts';
import { DPRC_IRQ_EVENT_OBJ_ADDED, DPRC_IRQ_EVENT_OBJ_REMOVED, McContainer } from './mc-container.ts';
import type { McObject } from './mc-object.ts';
import { POOL_TYPES } from './resource-pools.ts';

const EXPLICIT = 1;
const ALIGNED = 2;
const PLUGGED = 4;

interface Request {
  /** The child that gets it, or gives it back; the container itself: it stays where it is. */
  readonly child: McContainer;
  readonly options: number;
  readonly count: number;
  /** The id, or the alignment. */
  readonly number: number;
  readonly type: string;
}

export function assign(container: McContainer, params: Uint8Array): number {
  const request = requestOf(container, params);
  if (request === undefined) return MC_STATUS_CONFIG_ERR;
  const { child, options, number, type } = request;
  if (isOfPool(request)) return moveResources(container, child, request);
  const object = container.own(type, number);
  if (object === undefined || object === child) return MC_STATUS_CONFIG_ERR;
  return moveObject(object, container, child, (options & PLUGGED) !== 0);
}

export function unassign(container: McContainer, params: Uint8Array): number {
  const request = requestOf(container, params);
  if (request === undefined) return MC_STATUS_CONFIG_ERR;
  const { child, options, number, type } = request;
  if (isOfPool(request)) return moveResources(child, container, request);
  const object = child.own(type, number);
  if (object === undefined) return MC_STATUS_CONFIG_ERR;
  return moveObject(object, child, container, (options & PLUGGED) !== 0);
}

/** An object that is plugged stays where it is; there, it is plugged or unplugged. */
function moveObject(object: McObject, from: McContainer, to: McContainer, plugged: boolean): number {
  if (from === to) {
    setPlugged(object, from, plugged);
    return MC_STATUS_OK;
  }
  if (object.plugged) return MC_STATUS_INVALID_STATE;
  object.plugged = plugged;
  from.give(object, to);
  return MC_STATUS_OK;
}

function requestOf(container: McContainer, params: Uint8Array): Request | undefined {
  const id = get(params, [0, 'u32']);
  const child = id === container.id ? container : container.own('dprc', id);
  if (!(child instanceof McContainer)) return undefined;
  return { child, options: get(params, [4, 'u32']), count: get(params, [8, 'u32']), number: get(params, [12, 'u32']), type: getText(params, 16, 16) };
}

/** An object is always named. */
function isOfPool({ options, type }: Request): boolean {
  return (options & EXPLICIT) === 0 || POOL_TYPES.includes(type);
}

function moveResources(from: McContainer, to: McContainer, { options, count, number, type }: Request): number {
  if (from === to) return from.pools.count(type) < count || !POOL_TYPES.includes(type) ? MC_STATUS_NO_RESOURCE : MC_STATUS_OK;
  const base = (options & EXPLICIT) === 0 ? undefined : number;
  const alignment = (options & ALIGNED) === 0 ? 1 : Math.max(1, number);
  return from.pools.give(to.pools, type, count, { base, alignment }) ? MC_STATUS_OK : MC_STATUS_NO_RESOURCE;
}

/** The container tells of it as of an object that comes or goes. */
function setPlugged(object: McObject, container: McContainer, plugged: boolean): void {
  if (object.plugged === plugged) return;
  object.plugged = plugged;
  container.tell(plugged ? DPRC_IRQ_EVENT_OBJ_ADDED : DPRC_IRQ_EVENT_OBJ_REMOVED);
}
