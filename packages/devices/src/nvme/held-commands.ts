/** Commands in flight: fetched, and not completed. */
import type { CompletionQueue } from './queues.ts';
import { NVME_SQ_ENTRY } from './registers.ts';

/** Commands that are in flight at most; others stay in their queues. */
export const NVME_MAX_HELD = 1024;
/** No status yet: it is to be executed. */
export const TO_EXECUTE = -1;

/** One command in flight. @internal */
export interface HeldCommand {
  /** The submission queue that it came from. */
  readonly queue: number;
  /** Where its completion goes. */
  readonly completions: CompletionQueue;
  /** The submission queue's head behind it: what its completion says if the queue is gone. */
  readonly head: number;
  readonly bytes: Uint8Array;
  /** With what it ends without being executed, or TO_EXECUTE. */
  status: number;
}

/** All commands in flight, oldest first. @internal */
export class HeldCommands {
  readonly list: HeldCommand[] = [];
  /** How many of them have a status, and wait for room in their completion queue only. */
  settled = 0;

  get isFull(): boolean {
    return this.list.length >= NVME_MAX_HELD;
  }

  /** Takes one over. @param queue id of its submission queue @param head of that queue, behind it @param status with what it ends */
  add(queue: number, completions: CompletionQueue, head: number, bytes: Uint8Array, status: number = TO_EXECUTE): void {
    this.list.push({ queue, completions, head, bytes: bytes.slice(0, NVME_SQ_ENTRY), status });
    if (status !== TO_EXECUTE) this.settled += 1;
  }

  /** Ends one early, where it is not ended already. @param queue id of its submission queue @param id its command identifier @param status of NVME_STATUS @returns false where there is none */
  abort(queue: number, id: number, status: number): boolean {
    const found = this.list.find((each) => each.queue === queue && each.status === TO_EXECUTE && idOf(each) === id);
    if (found === undefined) return false;
    this.#settle(found, status);
    return true;
  }

  /** Ends all of a queue. @param queue id of the submission queue @param status of NVME_STATUS */
  abortQueue(queue: number, status: number): void {
    for (const each of this.list) if (each.queue === queue && each.status === TO_EXECUTE) this.#settle(each, status);
  }

  /** Takes one out. @param at its place in the list */
  take(at: number): HeldCommand | undefined {
    const [taken] = this.list.splice(at, 1);
    if (taken !== undefined && taken.status !== TO_EXECUTE) this.settled -= 1;
    return taken;
  }

  /** Forgets those whose completions would go to a queue that is gone. */
  forget(completions: CompletionQueue): void {
    for (let at = this.list.length - 1; at >= 0; at -= 1) if (this.list[at]?.completions === completions) this.take(at);
  }

  clear(): void {
    this.list.length = 0;
    this.settled = 0;
  }

  #settle(command: HeldCommand, status: number): void {
    command.status = status;
    this.settled += 1;
  }
}

/** Its command identifier. */
export function idOf({ bytes }: HeldCommand): number {
  return bytes[2]! | (bytes[3]! << 8);
}
