/**
 * Effects of commands that a SYNC or VSYNC waits for, while ImplementationChoices.completion is 'sync'.
 *
 * Reference: Arm IHI 0069, "SYNC", "VSYNC". What a command writes to tables, and pending state that it moves, is there when the command
 * is taken; what is kept in caches about the old state goes only with the synchronisation for its redistributor or
 * vPE. An ITS completes in its own time too: here, the oldest when there are too many. Effects are numbers, so that a command makes no object.
 */

/** No redistributor, or no vPE. */
export const NONE = -1;
const MOST = 64;

/** What is done, and the numbers that it takes. */
export const EFFECT = {
  /** DeviceID, EventID. */
  FORGET_EVENT: 0,
  /** ICID. */
  FORGET_COLLECTION: 1,
  /** vPEID. */
  FORGET_VPE: 2,
  /** Redistributor, INTID. */
  INVALIDATE_LPI: 3,
  /** Redistributor. */
  INVALIDATE_LPIS: 4,
  /** vPEID, INTID or 0 for all, redistributor, address of the VPT. */
  INVALIDATE_VLPI: 5,
  /** INTID, on all redistributors. */
  INVALIDATE_DOORBELL: 6,
} as const;

export type Effect = (typeof EFFECT)[keyof typeof EFFECT];

/** Does what is due. */
export type Complete = (effect: number, a: number, b: number, c: number, d: number) => void;

/** Redistributor, vPE, effect and its four numbers. */
const FIELDS = 7;

export class OutstandingEffects {
  /** What is added is done at once. */
  readonly atOnce: boolean;
  readonly #complete: Complete;
  /** The oldest first. */
  readonly #effects = new Float64Array((MOST + 1) * FIELDS);
  readonly #due = new Float64Array((MOST + 1) * FIELDS);
  #count = 0;

  constructor(atOnce: boolean, complete: Complete) {
    this.atOnce = atOnce;
    this.#complete = complete;
  }

  /**
   * An effect that a command has had or will have.
   *
   * @param rdbase SYNC for this redistributor completes it
   * @param vpeid VSYNC for this vPE does
   * @param a first operand of the effect
   * @param b second operand
   * @param c third operand
   * @param d fourth operand
   */
  add(rdbase: number, vpeid: number, effect: Effect, a: number, b = 0, c = 0, d = 0): void {
    if (this.atOnce) {
      this.#complete(effect, a, b, c, d);
      return;
    }
    const at = this.#count * FIELDS;
    const effects = this.#effects;
    effects[at] = rdbase;
    effects[at + 1] = vpeid;
    effects[at + 2] = effect;
    effects[at + 3] = a;
    effects[at + 4] = b;
    effects[at + 5] = c;
    effects[at + 6] = d;
    this.#count += 1;
    if (this.#count > MOST) this.#completeFirst();
  }

  sync(rdbase: number): void {
    if (this.#count > 0) this.#completeIf(0, rdbase);
  }

  vsync(vpeid: number): void {
    if (this.#count > 0) this.#completeIf(1, vpeid);
  }

  /** A reset: nothing is waited for. */
  reset(): void {
    this.#count = 0;
  }

  /** The ITS is disabled: everything is completed. */
  all(): void {
    while (this.#count > 0) this.#completeFirst();
  }

  #completeFirst(): void {
    const effects = this.#effects;
    const due = this.#due;
    for (let i = 0; i < FIELDS; i += 1) due[i] = effects[i]!;
    effects.copyWithin(0, FIELDS, this.#count * FIELDS);
    this.#count -= 1;
    this.#complete(due[2]!, due[3]!, due[4]!, due[5]!, due[6]!);
  }

  /** Those of which a field has a value, in order, once all of them are out of the list. */
  #completeIf(field: number, value: number): void {
    const effects = this.#effects;
    const due = this.#due;
    let taken = 0;
    let kept = 0;
    for (let n = 0; n < this.#count; n += 1) {
      const from = n * FIELDS;
      const into = effects[from + field] === value ? due : effects;
      const to = (into === due ? taken++ : kept++) * FIELDS;
      for (let i = 0; i < FIELDS; i += 1) into[to + i] = effects[from + i]!;
    }
    this.#count = kept;
    for (let at = 0; at < taken * FIELDS; at += FIELDS) this.#complete(due[at + 2]!, due[at + 3]!, due[at + 4]!, due[at + 5]!, due[at + 6]!);
  }
}
