/** The state of a controller as one record: what a migration carries. Namespaces' contents stay in their stores. */
import { AsyncEvents } from './async-events.ts';
import type { AdoptedParts, NvmeCore } from './core.ts';
import { ErrorLog } from './error-log.ts';
import { Features } from './features.ts';
import { Health } from './health.ts';
import { NVME_MAX_HELD, TO_EXECUTE, type HeldCommand } from './held-commands.ts';
import { NVME_CC_EN, NVME_CC_WRITABLE, NVME_CSTS_CFS, NVME_CSTS_RDY, NVME_CSTS_SHST, NVME_MPSMAX, NVME_PAGE, NVME_SQ_ENTRY } from './registers.ts';
import { loadQueues, saveQueues, type LoadedQueues } from './state-queues.ts';
import { StateReader, StateWriter } from './state-record.ts';
import { NVME_STATUS } from './status.ts';

/** "NVMe", and the version of the record. */
const MAGIC = 0x654d_564e;
const VERSION = 1;
/** A few besides NVME_MAX_HELD: requests that were withdrawn and wait for room. */
const HELD_LIMIT = NVME_MAX_HELD + 8;
/** Bytes of what has one length, generously: registers, features, events, health, the error log. */
const FIXED = 4096;

/** Registers that a state has besides the core's parts. @internal */
export interface NvmeRegisters {
  cc: number;
  csts: number;
  aqa: number;
  asqLo: number;
  asqHi: number;
  acqLo: number;
  acqHi: number;
}

/** A state that was read and is whole. @internal */
export interface LoadedState extends AdoptedParts {
  readonly registers: NvmeRegisters;
  /** INTMS. */
  readonly mask: number;
  /** Vectors that wait for it. */
  readonly pending: number;
}

/** The most bytes that a state of such a controller has. */
export function stateLimit({ limits }: NvmeCore): number {
  return FIXED + limits.vectors + 64 * limits.maxNamespaces + 64 * (limits.ioQueues + 1) + HELD_LIMIT * (NVME_SQ_ENTRY + 16);
}

/** The record. @param mask INTMS @param pending vectors that wait for it */
export function saveState(core: NvmeCore, registers: NvmeRegisters, mask: number, pending: number): Uint8Array {
  const into = new StateWriter();
  into.run(identity(core));
  const { cc, csts, aqa, asqLo, asqHi, acqLo, acqHi } = registers;
  into.words([cc, csts, aqa, asqLo, asqHi, acqLo, acqHi, mask, pending]);
  core.features.save(into);
  core.events.save(into);
  core.errors.save(into);
  core.health.save(into);
  into.word(core.changedNamespaces.size);
  into.words(core.changedNamespaces);
  saveQueues(core.queues, into);
  into.word(core.held.list.length);
  for (const { queue, completions, head, status, bytes } of core.held.list) {
    into.words([queue, completions.id, head, status]);
    into.run(bytes);
  }
  return into.record;
}

/** Reads a record. @returns why it is none of this controller, with nothing changed */
export function loadState(core: NvmeCore, bytes: Uint8Array): LoadedState | string {
  const own = identity(core);
  const from = new StateReader(bytes);
  const other = from.run(own.length);
  if (own.some((byte, at) => byte !== other[at])) return 'it is of a controller with other limits, names or namespaces';
  const [cc, csts, aqa, asqLo, asqHi, acqLo, acqHi] = [from.word(), from.word(), from.word(), from.word(), from.word(), from.word(), from.word()];
  const [mask, pending] = [from.word(), from.word()];
  const registers = { cc, csts, aqa, asqLo, asqHi, acqLo, acqHi };
  if (!areRegisters(registers)) return 'its registers contradict each other';
  const features = Features.load(from, core.features);
  const events = AsyncEvents.load(from);
  const errors = ErrorLog.load(from);
  const health = Health.load(from);
  if (features === undefined || events === undefined || errors === undefined || health === undefined) return 'a feature, an event or a counter is out of range';
  const changed = loadChanged(core, from);
  const queues = loadQueues(core, from);
  if (changed === undefined || queues === undefined) return 'a queue is none';
  const ready = (csts & NVME_CSTS_RDY) !== 0;
  if (ready !== (queues.submissions[0] !== undefined)) return 'its queues contradict its registers';
  if (!ready && events.requests > 0) return 'events are asked for without a queue';
  const held = loadHeld(core, from, queues);
  if (held === undefined || !from.whole) return 'a command in flight is none';
  return { registers, mask, pending, features, events, errors, health, changed, queues, held };
}

/** What source and destination must have in common: what the driver was told. */
function identity({ limits, namespaces }: NvmeCore): Uint8Array {
  const into = new StateWriter();
  into.words([MAGIC, VERSION, limits.ioQueues, limits.vectors, limits.maxEntries, limits.doorbellStride, limits.maxTransfer, limits.maxNamespaces]);
  into.run(new TextEncoder().encode(limits.serial.padEnd(20) + limits.model.padEnd(40) + limits.firmware.padEnd(8)));
  for (const namespace of namespaces) {
    if (namespace === undefined) continue;
    into.words([namespace.id, namespace.blockSize]);
    into.count(namespace.blocks);
    into.run(namespace.guid);
  }
  into.word(0);
  return into.record;
}

function areRegisters({ cc, csts, aqa }: NvmeRegisters): boolean {
  if ((cc & ~NVME_CC_WRITABLE) !== 0 || (csts & ~(NVME_CSTS_RDY | NVME_CSTS_CFS | NVME_CSTS_SHST)) !== 0 || (aqa & 0xf000_f000) !== 0) return false;
  return (csts & NVME_CSTS_RDY) === 0 || ((cc & NVME_CC_EN) !== 0 && pageOf(cc) <= NVME_PAGE << NVME_MPSMAX);
}

/** Bytes of a memory page. @param cc the CC register */
export function pageOf(cc: number): number {
  return NVME_PAGE << ((cc >>> 7) & 0xf);
}

function loadChanged(core: NvmeCore, from: StateReader): readonly number[] | undefined {
  const count = from.word();
  if (count > core.limits.maxNamespaces) return undefined;
  const ids = Array.from({ length: count }, () => from.word());
  return ids.every((id) => id >= 1 && id <= core.limits.maxNamespaces) ? ids : undefined;
}

function loadHeld(core: NvmeCore, from: StateReader, queues: LoadedQueues): readonly HeldCommand[] | undefined {
  const count = from.word();
  if (count > HELD_LIMIT) return undefined;
  const found: HeldCommand[] = [];
  for (let n = 0; n < count; n += 1) {
    const [queue, completionId, head, word] = [from.word(), from.word(), from.word(), from.word()];
    const bytes = from.run(NVME_SQ_ENTRY);
    const completions = queues.completions[completionId];
    const status = word === 0xffff_ffff ? TO_EXECUTE : word;
    if (queue > core.limits.ioQueues || completions === undefined || head > 0xffff) return undefined;
    if (![TO_EXECUTE, NVME_STATUS.ABORT_REQUESTED, NVME_STATUS.SQ_DELETED].includes(status)) return undefined;
    // What is to be executed belongs to a queue that is there.
    if (status === TO_EXECUTE && (queue === 0 || queues.submissions[queue]?.completions !== completions)) return undefined;
    found.push({ queue, completions, head, bytes, status });
  }
  return found;
}
