/** What a replay found, and the small recorder with which a format's runner builds it. */

import type { Fields } from './json.ts';

/** One value in which the model and the recording differ, or a step that the model did not execute. */
export interface Divergence {
  readonly case: string;
  /** The step's number as the recording has it, else its index in the case. */
  readonly step: number;
  readonly field: string;
  readonly expected: string;
  readonly actual: string;
}

export interface CaseReport {
  readonly name: string;
  readonly steps: number;
  /** Values compared strictly. */
  readonly compared: number;
  /** Values that a golden README lets one compare less strictly, by rule. */
  readonly relaxed: ReadonlyMap<string, number>;
  readonly divergences: readonly Divergence[];
  /** Steps that failed as recorded. */
  readonly refused: number;
  /** Those for which the model did not tell exactly one reason, by `call errno: reasons`. */
  readonly untold: ReadonlyMap<string, number>;
  /** The ids of the reasons that it told. */
  readonly reasons: ReadonlySet<string>;
}

/** Counts and compares while a case runs. */
export class CaseRecorder implements CaseReport {
  readonly name: string;
  readonly relaxed: Map<string, number> = new Map();
  readonly divergences: Divergence[] = [];
  readonly untold: Map<string, number> = new Map();
  readonly reasons: Set<string> = new Set();
  refused = 0;
  steps = 0;
  compared = 0;
  #step = 0;

  constructor(name: string) {
    this.name = name;
  }

  /** A step begins. */
  begin(step: number): void {
    this.#step = step;
    this.steps += 1;
  }

  /** Compares one value; true if equal. */
  compare(field: string, expected: string | number | bigint | boolean | null, actual: string | number | bigint | boolean | null): boolean {
    this.compared += 1;
    if (expected === actual) return true;
    this.diverge(field, show(expected), show(actual));
    return false;
  }

  /** A value that is not compared strictly, by a rule of the recording's README. */
  relax(rule: string): void {
    this.relaxed.set(rule, (this.relaxed.get(rule) ?? 0) + 1);
  }

  /** A step failed: `told` are the reasons that the model gave meanwhile. @param expected which one it has to be, if that is known */
  failed(what: string, told: readonly string[], expected?: string): void {
    this.refused += 1;
    for (const id of told) this.reasons.add(id);
    const [only = ''] = told;
    if (told.length === 1 && !only.includes(' ') && (expected === undefined || only === expected)) return;
    this.#wrong(expected === undefined ? what : `${what} for ${expected}`, told);
  }

  /** A step did not fail: no reason was to be given. */
  passed(what: string, told: readonly string[]): void {
    if (told.length > 0) this.#wrong(what, told);
  }

  #wrong(what: string, told: readonly string[]): void {
    const row = `${what}: ${told.join(' ') || 'none'}`;
    this.untold.set(row, (this.untold.get(row) ?? 0) + 1);
  }

  /** Keys that nobody looks at say something that is not replayed: each is a divergence. */
  unknown(fields: Fields, known: readonly string[]): void {
    for (const key of fields.keys) if (!known.includes(key)) this.diverge(key, 'a key that the replayer knows', 'unknown');
  }

  diverge(field: string, expected: string, actual: string): void {
    this.divergences.push({ case: this.name, step: this.#step, field, expected, actual });
  }

  /** The model could not run this step: that is a divergence. */
  notExecuted(what: string): void {
    this.diverge('step', what, 'not executed');
  }
}

function show(value: string | number | bigint | boolean | null): string {
  return typeof value === 'bigint' ? `0x${value.toString(16)}` : String(value);
}
