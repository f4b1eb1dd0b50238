/** Creation and deletion of I/O queues. Reference: NVM Express Base 1.4, 5.3 to 5.6. */
import type { NvmeCore } from './core.ts';
import { CompletionQueue, SubmissionQueue } from './queues.ts';
import { NVME_CC_IOCQES, NVME_CC_IOSQES } from './registers.ts';
import { NVME_STATUS } from './status.ts';

/** Dword 11, bit 0: physically contiguous. CAP.CQR demands it. */
const CONTIGUOUS = 1;
/** Create I/O Completion Queue, dword 11, bit 1: interrupts enabled. */
const INTERRUPTS = 2;

/** Create I/O Completion Queue, 5.3. @param cc the CC register @param vectors that there are @returns a status */
export function createCompletionQueue(core: NvmeCore, cc: number, vectors: number): number {
  const { command, queues } = core;
  const id = command.dword(10) & 0xffff;
  const entries = (command.dword(10) >>> 16) + 1;
  const flags = command.dword(11);
  if (id === 0 || id > core.features.allotted(true) || queues.completions[id] !== undefined) return NVME_STATUS.INVALID_QUEUE_ID;
  const refused = refusalOf(core, entries, (cc & NVME_CC_IOCQES) >>> 20 === 4, flags);
  if (refused !== NVME_STATUS.SUCCESS) return refused;
  const vector = flags >>> 16;
  if (vector >= vectors) return NVME_STATUS.INVALID_INTERRUPT_VECTOR;
  queues.completions[id] = new CompletionQueue(id, command.dword(6), command.dword(7), entries, vector, (flags & INTERRUPTS) !== 0);
  return NVME_STATUS.SUCCESS;
}

/** Create I/O Submission Queue, 5.4. @param cc the CC register @returns a status */
export function createSubmissionQueue(core: NvmeCore, cc: number): number {
  const { command, queues } = core;
  const id = command.dword(10) & 0xffff;
  const entries = (command.dword(10) >>> 16) + 1;
  const flags = command.dword(11);
  const completionId = flags >>> 16;
  if (id === 0 || id > core.features.allotted(false) || queues.submissions[id] !== undefined) return NVME_STATUS.INVALID_QUEUE_ID;
  if (completionId === 0 || completionId > core.features.allotted(true)) return NVME_STATUS.INVALID_QUEUE_ID;
  const completions = queues.completions[completionId];
  if (completions === undefined) return NVME_STATUS.COMPLETION_QUEUE_INVALID;
  const refused = refusalOf(core, entries, (cc & NVME_CC_IOSQES) >>> 16 === 6, flags);
  if (refused !== NVME_STATUS.SUCCESS) return refused;
  queues.submissions[id] = new SubmissionQueue(id, command.dword(6), command.dword(7), entries, completions);
  return NVME_STATUS.SUCCESS;
}

/** Delete I/O Submission Queue, 5.6: its commands in flight end with a status of their own, those in the queue with none. @returns a status */
export function deleteSubmissionQueue(core: NvmeCore): number {
  const id = core.command.dword(10) & 0xffff;
  if (id === 0 || core.queues.submissions[id] === undefined) return NVME_STATUS.INVALID_QUEUE_ID;
  core.queues.submissions[id] = undefined;
  core.held.abortQueue(id, NVME_STATUS.SQ_DELETED);
  return NVME_STATUS.SUCCESS;
}

/** Delete I/O Completion Queue, 5.5: its submission queues go first. @returns a status */
export function deleteCompletionQueue(core: NvmeCore): number {
  const { queues, held, command } = core;
  const id = command.dword(10) & 0xffff;
  const queue = id === 0 ? undefined : queues.completions[id];
  if (queue === undefined) return NVME_STATUS.INVALID_QUEUE_ID;
  if (queues.isUsed(queue)) return NVME_STATUS.INVALID_QUEUE_DELETION;
  queues.completions[id] = undefined;
  held.forget(queue);
  return NVME_STATUS.SUCCESS;
}

/** What both kinds must have. @param sized whether CC has the size of an entry */
function refusalOf(core: NvmeCore, entries: number, sized: boolean, flags: number): number {
  if (!sized || entries < 2 || entries > core.limits.maxEntries) return NVME_STATUS.INVALID_QUEUE_SIZE;
  if ((flags & CONTIGUOUS) === 0) return NVME_STATUS.INVALID_FIELD;
  return core.command.dword(6) % core.page === 0 ? NVME_STATUS.SUCCESS : NVME_STATUS.INVALID_PRP_OFFSET;
}
