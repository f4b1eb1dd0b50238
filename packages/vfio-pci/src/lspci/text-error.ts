/** A text that is none of lspci's forms, with the place where it stops being one. */
export class LspciSyntaxError extends Error {
  /** `LspciSyntaxError`, as error messages show it. */
  override readonly name = 'LspciSyntaxError';
  /** In the text, from 1. */
  readonly line: number;
  /** In its line, from 1. */
  readonly column: number;

  /**
   * @param line from 1
   * @param column from 1
   * @param what is wrong, as the message has it after the place
   */
  constructor(line: number, column: number, what: string) {
    super(`line ${line}, column ${column}: ${what}`);
    this.line = line;
    this.column = column;
  }
}
