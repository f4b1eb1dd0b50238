/** A text that is none of lspci's forms, with the place where it stops being one. */

export class LspciSyntaxError extends Error {
  override readonly name = 'LspciSyntaxError';
  /** From 1. */
  readonly line: number;
  /** From 1. */
  readonly column: number;

  constructor(line: number, column: number, what: string) {
    super(`line ${line}, column ${column}: ${what}`);
    this.line = line;
    this.column = column;
  }
}
