/** What moves commands: from submission queues, into flight, into completion queues. Reference: NVM Express Base 1.4, 4.1, 4.13 and 7.2. */
import { NO_COMPLETION, executeAdmin, type AdminContext } from './admin-commands.ts';
import type { NvmeCore } from './core.ts';
import { TO_EXECUTE } from './held-commands.ts';
import type { Interrupts } from './interrupts.ts';
import { executeIo } from './io-commands.ts';
import { NVME_FEATURE } from './opcodes.ts';
import type { CompletionQueue } from './queues.ts';
import { NVME_CQ_ENTRY, NVME_SQ_ENTRY } from './registers.ts';
import { NVME_STATUS, statusField } from './status.ts';

/** Commands of one call, after which it ends whatever waits: more than fit into all queues of most controllers. */
const MAX_COMMANDS = 2 ** 20;

/** The controller, as far as its engine knows it. @internal */
export interface EngineOwner extends AdminContext {
  /** Whether commands are fetched and done. */
  readonly running: boolean;
  /** A queue cannot be reached. */
  fatal(why: string): void;
  /** One call did MAX_COMMANDS. @param commands how many it did */
  busy(commands: number): void;
  /** A command failed. @param queue id of its submission queue @param field its status field, 15 bits */
  failed(queue: number, field: number): void;
}

/** The engine of one controller. @internal */
export class Engine {
  /** I/O commands wait for serve(). */
  holding: boolean;
  readonly #core: NvmeCore;
  readonly #interrupts: Interrupts;
  readonly #owner: EngineOwner;
  readonly #entry = new Uint8Array(NVME_CQ_ENTRY);
  readonly #view = new DataView(this.#entry.buffer);
  readonly #kept = new Uint8Array(NVME_SQ_ENTRY);
  #working = false;
  /** The queue whose turn it is, and how many commands are left of its turn; 0 is a turn that did not begin. */
  #turn = 0;
  #left = 0;
  /** Commands in flight that may be executed now. */
  #credit = 0;

  constructor(core: NvmeCore, interrupts: Interrupts, owner: EngineOwner, holding: boolean) {
    this.#core = core;
    this.#interrupts = interrupts;
    this.#owner = owner;
    this.holding = holding;
  }

  /** Does all that can be done now. Who is called back by an interrupt and rings a doorbell finds it done when this returns. */
  work(): void {
    if (this.#working || !this.#owner.running) return;
    this.#working = true;
    try {
      this.#run();
    } finally {
      this.#working = false;
    }
  }

  /** Executes commands in flight, oldest first, and goes on. @param count how many at most @returns how many it executed */
  serve(count: number): number {
    if (this.#working || !this.#owner.running) return 0;
    this.#credit = count;
    try {
      this.work();
      return count - this.#credit;
    } finally {
      this.#credit = 0;
    }
  }

  /** Round robin: of each queue as many as the arbitration burst says, also where room in a completion queue comes bit by bit. */
  #run(): void {
    const { held } = this.#core;
    let done = 0;
    for (let before = -1; before !== done && this.#owner.running; ) {
      before = done;
      if (held.list.length > 0) done += this.#settle(undefined);
      done += this.#deliver();
      done += this.#round();
      if (done < MAX_COMMANDS) continue;
      this.#owner.busy(done);
      return;
    }
  }

  /** Each queue once, from the one whose turn it is. @returns how many commands were taken */
  #round(): number {
    const count = this.#core.queues.submissions.length;
    const first = this.#turn;
    let done = 0;
    for (let visited = 0; visited < count; visited += 1) {
      const id = (first + visited) % count;
      const allowed = visited === 0 && this.#left > 0 ? this.#left : this.#burst;
      let taken = 0;
      while (taken < allowed && this.#step(id)) taken += 1;
      if (taken === 0) continue;
      done += taken;
      const queue = this.#core.queues.submissions[id];
      // A queue that has to wait for room goes on where it was.
      const waits = taken < allowed && queue !== undefined && queue.used > 0;
      this.#turn = waits ? id : (id + 1) % count;
      this.#left = waits ? allowed - taken : 0;
    }
    return done;
  }

  /** Commands of a queue in one turn. */
  get #burst(): number {
    const burst = this.#core.features.current(NVME_FEATURE.ARBITRATION) & 7;
    return burst === 7 ? MAX_COMMANDS : 1 << burst;
  }

  /** One command of a queue. @returns false where there is none, or it has to wait */
  #step(id: number): boolean {
    const core = this.#core;
    const queue = core.queues.submissions[id];
    if (queue === undefined || queue.head === queue.tail || !this.#owner.running) return false;
    const { completions } = queue;
    const holds = this.holding && id > 0;
    if (holds ? core.held.isFull : completions.isFull) return false;
    const { command } = core;
    if (!core.memory.read(queue.lo, queue.hi, command.bytes, queue.head * NVME_SQ_ENTRY)) {
      this.#owner.fatal(`submission queue ${id} cannot be read`);
      return false;
    }
    queue.advance();
    if (holds) {
      core.held.add(id, completions, queue.head, command.bytes);
      return true;
    }
    core.result = 0;
    const status = id === 0 ? executeAdmin(core, this.#owner) : executeIo(core);
    if (status === NO_COMPLETION) return true;
    if (core.held.settled > 0) this.#settleBefore(completions);
    this.#complete(completions, id, queue.head, status);
    return true;
  }

  /** What a command ended is completed before it, but where it would take the command's own room. */
  #settleBefore(own: CompletionQueue): void {
    const { command, result } = this.#core;
    this.#kept.set(command.bytes);
    this.#settle(own);
    command.bytes.set(this.#kept);
    this.#core.result = result;
  }

  /** Completes commands in flight that can be. @param spared with `spared`, only ended ones of other completion queues @returns how many there were */
  #settle(spared: CompletionQueue | undefined): number {
    const core = this.#core;
    const { held, queues } = core;
    let count = 0;
    for (let at = 0; at < held.list.length && this.#owner.running; ) {
      const next = held.list[at]!;
      const executes = next.status === TO_EXECUTE;
      const allowed = executes ? spared === undefined && (!this.holding || this.#credit > 0) : next.completions !== spared;
      if (!allowed || next.completions.isFull) {
        at += 1;
        continue;
      }
      held.take(at);
      if (executes && this.holding) this.#credit -= 1;
      core.command.bytes.set(next.bytes);
      core.result = 0;
      const status = executes ? executeIo(core) : next.status;
      this.#complete(next.completions, next.queue, queues.submissions[next.queue]?.head ?? next.head, status);
      count += 1;
    }
    return count;
  }

  /** Completes requests that events wait for. */
  #deliver(): number {
    const { events, queues } = this.#core;
    const [completions, submissions] = [queues.completions[0], queues.submissions[0]];
    let count = 0;
    while (this.#owner.running && completions !== undefined && submissions !== undefined && events.isReady && !completions.isFull) {
      const taken = events.take();
      if (taken === undefined) break;
      this.#post(completions, 0, submissions.head, taken.id, 0, taken.event);
      count += 1;
    }
    return count;
  }

  /** The command at work ends. */
  #complete(completions: CompletionQueue, queue: number, head: number, status: number): void {
    const field = statusField(status);
    if (status !== NVME_STATUS.SUCCESS) this.#owner.failed(queue, field);
    this.#post(completions, queue, head, this.#core.command.id, field, this.#core.result);
  }

  #post(completions: CompletionQueue, queue: number, head: number, id: number, field: number, result: number): void {
    const view = this.#view;
    view.setUint32(0, result, true);
    view.setUint16(8, head, true);
    view.setUint16(10, queue, true);
    view.setUint16(12, id, true);
    view.setUint16(14, (field << 1) | completions.phase, true);
    if (!this.#core.memory.write(completions.lo, completions.hi, this.#entry, completions.tail * NVME_CQ_ENTRY)) {
      this.#owner.fatal(`completion queue ${completions.id} cannot be written`);
      return;
    }
    completions.advance();
    this.#interrupts.posted(completions, this.#core.queues);
  }
}
