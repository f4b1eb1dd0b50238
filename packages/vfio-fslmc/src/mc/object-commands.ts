/** Commands of objects that are no containers. What a network interface does with packets is not modelled. Offsets are from the first parameter. */
import { get, set } from '@vsim/vfio-core';
import {
  DPCI_GET_LINK_STATE,
  DPCI_GET_PEER_ATTR,
  DPMAC_GET_COUNTER,
  DPMAC_GET_MAC_ADDR,
  DPNI_GET_LINK_STATE,
  DPNI_GET_MAX_FRAME_LENGTH,
  DPNI_GET_PORT_MAC,
  DPNI_GET_PRIM_MAC,
  DPNI_GET_STATISTICS,
  DPNI_SET_MAX_FRAME_LENGTH,
  DPNI_SET_PRIM_MAC,
  DPSECI_GET_TX_QUEUE,
  MC_DISABLE,
  MC_ENABLE,
  MC_GET_ATTR,
  MC_IS_ENABLED,
  MC_RESET,
  MC_STATUS_CONFIG_ERR,
  MC_STATUS_INVALID_STATE,
  MC_STATUS_OK,
  MC_STATUS_UNSUPPORTED_OP,
  setAddress,
} from './command.ts';
import type { Execution } from './commands.ts';
import { DPMAC_MAC, macAddress, type McObject } from './mc-object.ts';
import { valueOf, writeAttributes } from './object-config.ts';

/** Where a MAC address lies. */
const MAC_AT = 2;
/** Of a link, in Mbit/s. */
const RATE = 10_000;
const NO_PEER = -1;
/** The number of a crypto engine's first frame queue. */
const SEC_FQID = 0x500;

export function ofPlainObject(command: number, object: McObject, execution: Execution): number {
  const { mc, out } = execution;
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
      describe(object, execution);
      return MC_STATUS_OK;
  }
  if (mc.choices.commands === 'bus') return MC_STATUS_UNSUPPORTED_OP;
  switch (object.type) {
    case 'dpni':
      return ofNetworkInterface(command, object, execution);
    case 'dpmac':
      return ofMac(command, object, execution);
    case 'dpci':
      return ofInterface(command, object, execution);
    case 'dpseci':
      return command === DPSECI_GET_TX_QUEUE ? describeTxQueue(object, execution) : MC_STATUS_UNSUPPORTED_OP;
    default:
      return MC_STATUS_UNSUPPORTED_OP;
  }
}

/** The firmware of the preset `bus` tells the id. */
function describe(object: McObject, { mc, out }: Execution): void {
  if (mc.choices.commands === 'bus') {
    set(out, [0, 'u32'], object.id);
    return;
  }
  writeAttributes(object.type, object.id, object.config, out);
  // The two views of its portal.
  if (object.type === 'dpio') for (const [i, { offset }] of object.regions.entries()) setAddress(out, 8 + 8 * i, offset);
}

function ofNetworkInterface(command: number, object: McObject, { mc, params, out }: Execution): number {
  switch (command) {
    case DPNI_GET_LINK_STATE:
      if (!mc.links.isUp({ object })) return MC_STATUS_OK;
      set(out, [4, 'u8'], 1);
      set(out, [8, 'u32'], RATE);
      return MC_STATUS_OK;
    case DPNI_GET_MAX_FRAME_LENGTH:
      set(out, [0, 'u16'], object.maxFrameLength);
      return MC_STATUS_OK;
    case DPNI_SET_MAX_FRAME_LENGTH:
      object.maxFrameLength = get(params, [0, 'u16']);
      return MC_STATUS_OK;
    case DPNI_GET_PRIM_MAC:
      out.set(object.mac, MAC_AT);
      return MC_STATUS_OK;
    case DPNI_SET_PRIM_MAC:
      object.mac.set(params.subarray(MAC_AT, MAC_AT + object.mac.length));
      return MC_STATUS_OK;
    case DPNI_GET_STATISTICS:
      return MC_STATUS_OK;
  }
  if (mc.choices.unmodelledDpni === 'unsupported') return MC_STATUS_UNSUPPORTED_OP;
  if (command === DPNI_GET_PORT_MAC) out.set(macAddress(DPMAC_MAC, object.id), MAC_AT);
  return MC_STATUS_OK;
}

/** Nothing was counted. */
function ofMac(command: number, object: McObject, { out }: Execution): number {
  if (command === DPMAC_GET_MAC_ADDR) out.set(macAddress(DPMAC_MAC, object.id), MAC_AT);
  return command === DPMAC_GET_MAC_ADDR || command === DPMAC_GET_COUNTER ? MC_STATUS_OK : MC_STATUS_UNSUPPORTED_OP;
}

function ofInterface(command: number, object: McObject, { mc, out }: Execution): number {
  const peer = mc.choices.dpciPeer === 'told' ? mc.links.peer({ object })?.object : undefined;
  switch (command) {
    case DPCI_GET_LINK_STATE:
      set(out, [0, 'u8'], mc.links.isUp({ object }) ? 1 : 0);
      return MC_STATUS_OK;
    case DPCI_GET_PEER_ATTR:
      set(out, [0, 's32'], peer?.type === 'dpci' ? peer.id : NO_PEER);
      set(out, [4, 'u8'], peer?.type === 'dpci' ? valueOf(peer.config, 'num_of_priorities') : 0);
      return MC_STATUS_OK;
    default:
      return MC_STATUS_UNSUPPORTED_OP;
  }
}

/** The queue is in byte 5; its number and its priority are told. */
function describeTxQueue(object: McObject, { params, out }: Execution): number {
  const queue = get(params, [5, 'u8']);
  if (queue >= valueOf(object.config, 'num_tx_queues')) return MC_STATUS_CONFIG_ERR;
  set(out, [4, 'u32'], SEC_FQID + queue);
  set(out, [8, 'u8'], object.config.get('priorities')?.[queue] ?? 0);
  return MC_STATUS_OK;
}
