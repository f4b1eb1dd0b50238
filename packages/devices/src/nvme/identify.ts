/** Pages of Identify. Reference: NVM Express Base 1.4, 5.15, figures 245 to 249. */
import { NVME_ERROR_ENTRIES } from './error-log.ts';
import { NVME_EVENT_REQUESTS } from './async-events.ts';
import type { NvmeLimits } from './limits.ts';
import type { Namespace } from './namespace.ts';
import { NVME_PAGE, NVME_VERSION } from './registers.ts';

/** Bytes of each page of Identify. */
export const NVME_IDENTIFY_SIZE = 4096;
/** ONCS: Compare, Dataset Management, Write Zeroes, and Save and Select of features. */
export const NVME_ONCS = 0x1d;
/** SGLS: lists of any alignment, and bit buckets. */
export const NVME_SGLS = 0x1_0001;
const ENCODER = new TextEncoder();

/** CNS 01h: the controller. @param vendor Vendor ID of the function @param subsystem Subsystem Vendor ID */
export function identifyController(limits: NvmeLimits, vendor: number, subsystem: number): Uint8Array {
  const out = new Uint8Array(NVME_IDENTIFY_SIZE);
  const view = new DataView(out.buffer);
  const text = (at: number, value: string, length: number): void => {
    out.set(ENCODER.encode(value.padEnd(length)), at);
  };
  view.setUint16(0, vendor, true);
  view.setUint16(2, subsystem, true);
  text(4, limits.serial, 20);
  text(24, limits.model, 40);
  text(64, limits.firmware, 8);
  out[77] = Math.log2(limits.maxTransfer / NVME_PAGE); // MDTS
  view.setUint32(80, NVME_VERSION, true);
  view.setUint32(92, 0x100, true); // OAES: namespace attribute notices
  out[111] = 1; // CNTRLTYPE: an I/O controller
  // OACS at 256 stays 0: no Format NVM, no firmware commands, no namespace management.
  out[258] = 3; // ACL
  out[259] = NVME_EVENT_REQUESTS - 1; // AERL
  out[260] = 0x03; // FRMW: one slot, which is read-only
  out[261] = 0x04; // LPA: offsets and long lengths of log pages
  out[262] = NVME_ERROR_ENTRIES - 1; // ELPE
  view.setUint16(266, 343, true); // WCTEMP
  view.setUint16(268, 353, true); // CCTEMP
  out[512] = 0x66; // SQES
  out[513] = 0x44; // CQES
  view.setUint32(516, limits.maxNamespaces, true);
  view.setUint16(520, NVME_ONCS, true);
  out[525] = 0x07; // VWC: there is one, and Flush takes all namespaces
  view.setUint32(536, NVME_SGLS, true);
  out.set(ENCODER.encode(`nqn.2026-11.vsim:nvme:${limits.serial}`), 768);
  view.setUint16(2048, 2500, true); // power state 0: 25 W
  return out;
}

/** CNS 00h: a namespace; zeros for one that is not active. */
export function identifyNamespace(namespace: Namespace | undefined): Uint8Array {
  const out = new Uint8Array(NVME_IDENTIFY_SIZE);
  if (namespace === undefined) return out;
  const view = new DataView(out.buffer);
  const { blocks } = namespace;
  for (const at of [0, 8, 16]) {
    view.setUint32(at, blocks % 2 ** 32, true);
    view.setUint32(at + 4, Math.floor(blocks / 2 ** 32), true);
  }
  // DLFEAT: deallocated blocks read zero, and Write Zeroes may deallocate, where the store can.
  out[33] = namespace.store.discard === undefined ? 0 : 0x09;
  out.set(namespace.guid, 104);
  out[130] = Math.log2(namespace.blockSize); // LBA format 0, the only one
  return out;
}

/** CNS 02h: ids above `above`, in their order. @param above a namespace id */
export function activeNamespaces(namespaces: readonly (Namespace | undefined)[], above: number): Uint8Array {
  const out = new Uint8Array(NVME_IDENTIFY_SIZE);
  const view = new DataView(out.buffer);
  let at = 0;
  for (const namespace of namespaces) {
    if (namespace === undefined || namespace.id <= above || at === NVME_IDENTIFY_SIZE) continue;
    view.setUint32(at, namespace.id, true);
    at += 4;
  }
  return out;
}

/** CNS 03h: the identifiers of one namespace: its NGUID. */
export function namespaceDescriptors(namespace: Namespace): Uint8Array {
  const out = new Uint8Array(NVME_IDENTIFY_SIZE);
  out[0] = 2; // NIDT: NGUID
  out[1] = 16;
  out.set(namespace.guid, 4);
  return out;
}
