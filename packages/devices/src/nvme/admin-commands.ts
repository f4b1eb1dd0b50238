/** The admin command set. Reference: NVM Express Base 1.4, 5. */
import { getFeatures, setFeatures } from './admin-features.ts';
import { getLogPage } from './admin-logs.ts';
import { createCompletionQueue, createSubmissionQueue, deleteCompletionQueue, deleteSubmissionQueue } from './admin-queues.ts';
import type { NvmeCore } from './core.ts';
import { activeNamespaces, identifyController, identifyNamespace, namespaceDescriptors } from './identify.ts';
import { NVME_ADMIN, NVME_ALL_NAMESPACES, NVME_CNS } from './opcodes.ts';
import { NVME_STATUS } from './status.ts';

/** No completion now: the command waits for an event. */
export const NO_COMPLETION = -1;

/** What admin commands know of the controller besides its core. @internal */
export interface AdminContext {
  /** The CC register. */
  readonly cc: number;
  /** Interrupt vectors that software has to choose from. */
  readonly vectors: number;
  /** Vendor ID and Subsystem Vendor ID of the function. */
  readonly ids: readonly [number, number];
}

/** Does the command at work, which came from the admin queue. @returns a status, or NO_COMPLETION */
export function executeAdmin(core: NvmeCore, context: AdminContext): number {
  const { command } = core;
  if (!isKnown(command.opcode)) return NVME_STATUS.INVALID_OPCODE;
  // Admin commands over PCI Express have PRPs, 4.1.
  if (command.fuse !== 0 || command.psdt !== 0) return NVME_STATUS.INVALID_FIELD;
  switch (command.opcode) {
    case NVME_ADMIN.DELETE_SQ:
      return deleteSubmissionQueue(core);
    case NVME_ADMIN.CREATE_SQ:
      return createSubmissionQueue(core, context.cc);
    case NVME_ADMIN.GET_LOG_PAGE:
      return getLogPage(core);
    case NVME_ADMIN.DELETE_CQ:
      return deleteCompletionQueue(core);
    case NVME_ADMIN.CREATE_CQ:
      return createCompletionQueue(core, context.cc, context.vectors);
    case NVME_ADMIN.IDENTIFY:
      return identify(core, context);
    case NVME_ADMIN.ABORT:
      return abort(core);
    case NVME_ADMIN.SET_FEATURES:
      return setFeatures(core);
    case NVME_ADMIN.GET_FEATURES:
      return getFeatures(core);
    default:
      return core.events.request(command.id) ? NO_COMPLETION : NVME_STATUS.AER_LIMIT_EXCEEDED;
  }
}

function isKnown(opcode: number): boolean {
  switch (opcode) {
    case NVME_ADMIN.DELETE_SQ:
    case NVME_ADMIN.CREATE_SQ:
    case NVME_ADMIN.GET_LOG_PAGE:
    case NVME_ADMIN.DELETE_CQ:
    case NVME_ADMIN.CREATE_CQ:
    case NVME_ADMIN.IDENTIFY:
    case NVME_ADMIN.ABORT:
    case NVME_ADMIN.SET_FEATURES:
    case NVME_ADMIN.GET_FEATURES:
    case NVME_ADMIN.ASYNC_EVENT_REQUEST:
      return true;
    default:
      return false;
  }
}

function identify(core: NvmeCore, { ids }: AdminContext): number {
  const { command } = core;
  const id = command.namespace;
  switch (command.dword(10) & 0xff) {
    case NVME_CNS.NAMESPACE:
      // All ones asks for what namespaces have in common, which needs namespace management.
      if (id === 0 || id > core.limits.maxNamespaces) return NVME_STATUS.INVALID_NAMESPACE;
      return core.send(identifyNamespace(core.namespace(id)));
    case NVME_CNS.CONTROLLER:
      return core.send(identifyController(core.limits, ids[0], ids[1]));
    case NVME_CNS.ACTIVE_LIST:
      if (id >= NVME_ALL_NAMESPACES - 1) return NVME_STATUS.INVALID_NAMESPACE;
      return core.send(activeNamespaces(core.namespaces, id));
    case NVME_CNS.DESCRIPTORS: {
      const namespace = core.namespace(id);
      return namespace === undefined ? core.refusalOf(id) : core.send(namespaceDescriptors(namespace));
    }
    default:
      return NVME_STATUS.INVALID_FIELD;
  }
}

/** Abort, 5.1: what is in flight ends at once; dword 0, bit 0 says that nothing was aborted. */
function abort(core: NvmeCore): number {
  const queue = core.command.dword(10) & 0xffff;
  const id = core.command.dword(10) >>> 16;
  const event = queue === 0 && core.events.abort(id);
  if (event) core.held.add(0, core.queues.completions[0]!, core.queues.submissions[0]!.head, abortedRequest(id), NVME_STATUS.ABORT_REQUESTED);
  core.result = event || core.held.abort(queue, id, NVME_STATUS.ABORT_REQUESTED) ? 0 : 1;
  return NVME_STATUS.SUCCESS;
}

/** The entry of an Asynchronous Event Request, of which only the identifier was kept. */
function abortedRequest(id: number): Uint8Array {
  const bytes = new Uint8Array(64);
  bytes[0] = NVME_ADMIN.ASYNC_EVENT_REQUEST;
  bytes[2] = id;
  bytes[3] = id >> 8;
  return bytes;
}
