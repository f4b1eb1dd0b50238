/** Queues in a state. */
import type { NvmeCore } from './core.ts';
import { CompletionQueue, SubmissionQueue, type Queues } from './queues.ts';
import { NVME_PAGE } from './registers.ts';
import type { StateReader, StateWriter } from './state-record.ts';

/** Entries of an admin queue at most: AQA has 12 bits. */
const ADMIN_ENTRIES = 4096;

/** Queues that were read, by their ids. @internal */
export type LoadedQueues = Pick<Queues, 'submissions' | 'completions'>;

/** Writes all queues: a 0 where there is none. */
export function saveQueues(queues: Queues, into: StateWriter): void {
  for (const queue of queues.completions) {
    into.word(queue === undefined ? 0 : 1);
    if (queue !== undefined) into.words([queue.lo, queue.hi, queue.size, queue.head, queue.tail, queue.vector, queue.interrupts ? 1 : 0, queue.phase]);
  }
  for (const queue of queues.submissions) {
    into.word(queue === undefined ? 0 : 1);
    if (queue !== undefined) into.words([queue.lo, queue.hi, queue.size, queue.head, queue.tail, queue.completions.id]);
  }
}

/** Reads all queues. @returns undefined where one is none, or an admin queue is missing while there are others */
export function loadQueues(core: NvmeCore, from: StateReader): LoadedQueues | undefined {
  const count = core.limits.ioQueues + 1;
  const completions: (CompletionQueue | undefined)[] = [];
  const submissions: (SubmissionQueue | undefined)[] = [];
  for (let id = 0; id < count; id += 1) {
    const queue = loadCompletion(core, from, id);
    if (queue === 'wrong') return undefined;
    completions.push(queue);
  }
  for (let id = 0; id < count; id += 1) {
    const queue = loadSubmission(core, from, id, completions);
    if (queue === 'wrong') return undefined;
    submissions.push(queue);
  }
  const all = [...completions, ...submissions].filter((queue) => queue !== undefined);
  if (all.length > 0 && (completions[0] === undefined || submissions[0] === undefined)) return undefined;
  return { completions, submissions };
}

function loadCompletion(core: NvmeCore, from: StateReader, id: number): CompletionQueue | undefined | 'wrong' {
  const there = from.word();
  if (there === 0) return undefined;
  const [lo, hi, size, head, tail, vector, interrupts, phase] = [from.word(), from.word(), from.word(), from.word(), from.word(), from.word(), from.word(), from.word()];
  if (there !== 1 || !isQueue(core, id, lo, size, head, tail) || vector >= core.limits.vectors || interrupts > 1 || phase > 1) return 'wrong';
  const queue = new CompletionQueue(id, lo, hi, size, vector, interrupts === 1);
  queue.head = head;
  queue.tail = tail;
  queue.phase = phase;
  return queue;
}

function loadSubmission(core: NvmeCore, from: StateReader, id: number, completions: readonly (CompletionQueue | undefined)[]): SubmissionQueue | undefined | 'wrong' {
  const there = from.word();
  if (there === 0) return undefined;
  const [lo, hi, size, head, tail, completionId] = [from.word(), from.word(), from.word(), from.word(), from.word(), from.word()];
  const to = completions[completionId];
  if (there !== 1 || !isQueue(core, id, lo, size, head, tail) || to === undefined || (id === 0) !== (completionId === 0)) return 'wrong';
  const queue = new SubmissionQueue(id, lo, hi, size, to);
  queue.head = head;
  queue.tail = tail;
  return queue;
}

function isQueue(core: NvmeCore, id: number, lo: number, size: number, head: number, tail: number): boolean {
  const most = id === 0 ? ADMIN_ENTRIES : core.limits.maxEntries;
  return lo % NVME_PAGE === 0 && size >= 2 && size <= most && head < size && tail < size;
}
