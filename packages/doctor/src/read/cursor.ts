/** Where the reader is in the lines of a text. */
import type { Line } from './lines.ts';
import type { PasteDraft } from './paste-draft.ts';

export class Cursor {
  readonly #lines: readonly Line[];
  #at = 0;

  constructor(lines: readonly Line[]) {
    this.#lines = lines;
  }

  /** The line that is next; undefined at the end. */
  get line(): Line | undefined {
    return this.#lines[this.#at];
  }

  /** The line `distance` further on. */
  peek(distance: number): Line | undefined {
    return this.#lines[this.#at + distance];
  }

  /** The place, for {@link back}. */
  get place(): number {
    return this.#at;
  }

  next(count = 1): void {
    this.#at += count;
  }

  back(place: number): void {
    this.#at = place;
  }
}

/** Reads what it knows at the cursor and moves on; false, with the cursor where it was: it knows nothing there. */
export type Recogniser = (cursor: Cursor, line: Line, paste: PasteDraft) => boolean;
