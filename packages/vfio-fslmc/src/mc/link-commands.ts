/** CONNECT, DISCONNECT and GET_CONNECTION: links between any two objects below a container. Offsets are from the first parameter. */
import { get, set } from '@vsim/vfio-core';
import { getText, MC_STATUS_CONFIG_ERR, MC_STATUS_INVALID_STATE, MC_STATUS_OK, setText } from './command.ts';
import { hasInterface, type McLinks, type McEndpoint } from './links.ts';
import type { McContainer } from './mc-container.ts';

/** Where an endpoint is. */
interface EndpointPlace {
  readonly id: number;
  readonly interfaceId: number;
  readonly type: number;
}

const FIRST: EndpointPlace = { id: 0, interfaceId: 4, type: 16 };
const SECOND: EndpointPlace = { id: 8, interfaceId: 12, type: 40 };
const ONLY: EndpointPlace = { id: 0, interfaceId: 4, type: 8 };

/** A firmware as far as connections of its objects go. */
export interface Connected {
  readonly links: McLinks;
}

export function connect(mc: Connected, container: McContainer, params: Uint8Array): number {
  const ends = [FIRST, SECOND].map((place) => endpoint(container, params, place));
  const [a, b] = ends;
  if (a === undefined || b === undefined || !ends.every((end) => end !== undefined && hasInterface(end))) return MC_STATUS_CONFIG_ERR;
  if (!mc.links.canConnect(a, b)) return MC_STATUS_INVALID_STATE;
  mc.links.connect(a, b);
  return MC_STATUS_OK;
}

export function disconnect(mc: Connected, container: McContainer, params: Uint8Array): number {
  const end = endpoint(container, params, ONLY);
  if (end === undefined) return MC_STATUS_CONFIG_ERR;
  if (mc.links.peer(end) === undefined) return MC_STATUS_INVALID_STATE;
  mc.links.disconnect(end);
  return MC_STATUS_OK;
}

/** The state is 1 where both ends are enabled, 0 where not, -1 where there is no link. */
export function describeConnection(mc: Connected, container: McContainer, params: Uint8Array, out: Uint8Array): number {
  const end = endpoint(container, params, ONLY);
  if (end === undefined) return MC_STATUS_CONFIG_ERR;
  const peer = mc.links.peer(end);
  // The first endpoint stays in the answer as it was asked for.
  out.set(params.subarray(0, 24));
  set(out, [48, 's32'], peer === undefined ? -1 : mc.links.isUp(end) ? 1 : 0);
  if (peer === undefined) return MC_STATUS_OK;
  set(out, [24, 'u32'], peer.object.id);
  set(out, [28, 'u16'], peer.interfaceId ?? 0);
  setText(out, 32, 16, peer.object.type);
  return MC_STATUS_OK;
}

function endpoint(container: McContainer, params: Uint8Array, { id, interfaceId, type }: EndpointPlace): McEndpoint | undefined {
  const object = container.find(getText(params, type, 16), get(params, [id, 'u32']));
  return object === undefined ? undefined : { object, interfaceId: get(params, [interfaceId, 'u16']) };
}
