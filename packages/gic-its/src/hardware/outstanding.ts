/**
 * Effects of commands that a SYNC or VSYNC waits for, while ImplementationChoices.completion is 'sync'.
 *
 * Reference: Arm IHI 0069, "SYNC", "VSYNC". What a command writes to tables, and pending state that it moves, is there when the command
 * is taken; what is kept in caches about the old state goes only with the synchronisation for its redistributor or
 * vPE. An ITS completes in its own time too: here, the oldest when there are too many.
 */

/** No redistributor, or no vPE. */
export const NONE = -1;
const MOST = 64;

interface Effect {
  readonly rdbase: number;
  readonly vpeid: number;
  readonly complete: () => void;
}

export class OutstandingEffects {
  readonly #atOnce: boolean;
  #effects: Effect[] = [];

  constructor(atOnce: boolean) {
    this.#atOnce = atOnce;
  }

  /** @param rdbase SYNC for this redistributor completes it @param vpeid VSYNC for this vPE does */
  add(rdbase: number, vpeid: number, complete: () => void): void {
    if (this.#atOnce) {
      complete();
      return;
    }
    this.#effects.push({ rdbase, vpeid, complete });
    if (this.#effects.length > MOST) this.#effects.shift()!.complete();
  }

  sync(rdbase: number): void {
    if (this.#effects.length > 0) this.#completeIf((effect) => effect.rdbase === rdbase);
  }

  vsync(vpeid: number): void {
    if (this.#effects.length > 0) this.#completeIf((effect) => effect.vpeid === vpeid);
  }

  /** A reset: nothing is waited for. */
  reset(): void {
    this.#effects = [];
  }

  /** The ITS is disabled: everything is completed. */
  all(): void {
    this.#completeIf(() => true);
  }

  #completeIf(due: (effect: Effect) => boolean): void {
    const now = this.#effects.filter(due);
    this.#effects = this.#effects.filter((effect) => !due(effect));
    for (const effect of now) effect.complete();
  }
}
