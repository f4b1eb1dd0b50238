/** Objects and containers made and taken away by command: CREATE, DESTROY, DPRC_CREATE_CONT, DPRC_DESTROY_CONT. */
import { get, set } from '@vsim/vfio-core';
import { getText, MC_STATUS_BUSY, MC_STATUS_CONFIG_ERR, MC_STATUS_NO_RESOURCE, MC_STATUS_OK, setAddress } from './command.ts';
import type { ManagementComplex } from './management-complex.ts';
import { McContainer } from './mc-container.ts';
import type { McObject } from './mc-object.ts';
import { PORTAL_SIZE, type McPortal } from './mc-portal.ts';
import { createdConfig } from './object-config.ts';

/** For an ICID and a portal: any. */
const ANY_ICID = 0xffff;
const ANY_PORTAL = 0xffff_ffff;
/** Objects of these types are numbered from 1. */
const FROM_ONE: readonly string[] = ['dprc', 'dpmcp'];

/** The object is in the container whose token was given, under the lowest number that is free; a dpmac under that of its MAC. */
export function createObject(mc: ManagementComplex, container: McContainer, type: string, params: Uint8Array, out: Uint8Array): number {
  if (!mc.hasRoomFor(type)) return MC_STATUS_NO_RESOURCE;
  const id = type === 'dpmac' ? get(params, [0, 'u32']) : freeId(mc, type);
  if (mc.root.find(type, id) !== undefined) return MC_STATUS_CONFIG_ERR;
  const object = container.add({ type, id, plugged: mc.choices.created === 'plugged', config: createdConfig(type, params) });
  set(out, [0, 'u32'], object.id);
  return MC_STATUS_OK;
}

/** Of the container whose token was given. What is open through another portal is BUSY. */
export function destroyObject(mc: ManagementComplex, portal: McPortal, container: McContainer, type: string, params: Uint8Array): number {
  const object = container.own(type, get(params, [0, 'u32']));
  if (object === undefined) return MC_STATUS_CONFIG_ERR;
  if (isHeld(mc, portal, object, object)) return MC_STATUS_BUSY;
  container.remove(object);
  return MC_STATUS_OK;
}

export function createContainer(mc: ManagementComplex, parent: McContainer, params: Uint8Array, out: Uint8Array): number {
  const asked = get(params, [4, 'u32']) & 0xffff;
  const portal = get(params, [12, 'u32']);
  const icid = asked === ANY_ICID ? mc.freeIcid() : asked;
  if (!mc.hasRoomFor('dprc') || icid === undefined) return MC_STATUS_NO_RESOURCE;
  if (portal !== ANY_PORTAL && !mc.isFreePortal(portal)) return MC_STATUS_CONFIG_ERR;
  const container = parent.addContainer({
    id: freeId(mc, 'dprc'),
    icid,
    options: get(params, [0, 'u32']),
    portal: portal === ANY_PORTAL ? undefined : portal,
    label: getText(params, 16, 16),
    plugged: mc.choices.created === 'plugged',
  });
  set(out, [8, 'u32'], container.id);
  setAddress(out, 16, (mc.portalOf(container)?.id ?? 0) * PORTAL_SIZE);
  return MC_STATUS_OK;
}

/** Its own children go first. What it did not create itself goes to the parent. */
export function destroyContainer(mc: ManagementComplex, portal: McPortal, parent: McContainer, params: Uint8Array): number {
  const container = parent.own('dprc', get(params, [0, 'u32']));
  if (!(container instanceof McContainer)) return MC_STATUS_CONFIG_ERR;
  if (container.all.some((object) => isHeld(mc, portal, object, container))) return MC_STATUS_BUSY;
  if (mc.choices.orphans === 'by-creator') for (const object of container.all) if (!isOwn(object, container)) object.parent?.give(object, parent);
  parent.remove(container);
  return MC_STATUS_OK;
}

/** Open through a portal that does not go with `going`, and is not the one that the command came through. */
function isHeld(mc: ManagementComplex, portal: McPortal, object: McObject, going: McObject): boolean {
  return mc.portalsWith(object).some((other) => other !== portal && !goesWith(mc, other, going));
}

function goesWith(mc: ManagementComplex, portal: McPortal, going: McObject): boolean {
  return mc.portalOf(going) === portal || (going instanceof McContainer && portal.container.isWithin(going));
}

/** A container, or what was created with the token of one that goes. */
function isOwn(object: McObject, going: McContainer): boolean {
  return object instanceof McContainer || (object.creator?.isWithin(going) ?? false);
}

function freeId(mc: ManagementComplex, type: string): number {
  let id = FROM_ONE.includes(type) ? 1 : 0;
  while (mc.root.find(type, id) !== undefined) id += 1;
  return id;
}
