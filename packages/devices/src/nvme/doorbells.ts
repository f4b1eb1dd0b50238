/** Doorbells. Reference: NVM Express Base 1.4, 3.1.24, 3.1.25 and figure 148. */
import { NVME_ERROR_EVENT, NVME_EVENT } from './async-events.ts';
import type { NvmeCore } from './core.ts';
import { NVME_REGISTER } from './registers.ts';
import { NVME_STATUS, statusField } from './status.ts';

/**
 * Rings a doorbell. A wrong one is an error event, and nothing else happens.
 *
 * @param offset bytes, from the first doorbell on
 * @param value what was written: the queue's new tail, or head
 * @returns what was wrong; undefined if nothing
 */
export function ringDoorbell(core: NvmeCore, offset: number, value: number): string | undefined {
  const index = (offset - NVME_REGISTER.DOORBELLS) / (4 << core.limits.doorbellStride);
  const id = Math.floor(index / 2);
  const submissions = index % 2 === 0 ? core.queues.submissions[id] : undefined;
  const completions = index % 2 === 1 ? core.queues.completions[id] : undefined;
  const queue = submissions ?? completions;
  const error = (info: number, why: string): string => {
    core.errors.addDoorbell(Math.min(id, 0xffff), statusField(NVME_STATUS.INVALID_FIELD));
    core.events.add(NVME_EVENT.ERROR, info);
    return why;
  };
  if (!Number.isInteger(index) || queue === undefined) return error(NVME_ERROR_EVENT.INVALID_REGISTER, 'there is no such queue');
  const moved = submissions === undefined ? completions?.moveHead(value) : submissions.moveTail(value);
  return moved === true ? undefined : error(NVME_ERROR_EVENT.INVALID_VALUE, `the queue of ${queue.size} entries cannot have this`);
}
