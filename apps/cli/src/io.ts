/** What a command has of the world: tests give their own. */
export interface Io {
  /** One line of results, on stdout. */
  out(line: string): void;
  /** Text on stdout at once: what is too much to be kept until the end. */
  write(text: string): void;
  /** One line for the person, on stderr. */
  err(line: string): void;
  /** Shows how far it is, in place; nothing where nobody watches. */
  progress(text: string): void;
  /** Milliseconds of a clock that only goes forward: for a rate that the person is told, and for nothing that decides. */
  now(): number;
  /** What relative paths start from. */
  readonly cwd: string;
  /** Whether a pipe or a file is standard input, so that a machine may come from there. */
  readonly piped: boolean;
  /** The width of the terminal, where stdout is one. */
  readonly columns: number | undefined;
  /** Whether stdout takes colours: a terminal, and NO_COLOR is not set. */
  readonly colors: boolean;
  /** The module that a worker of this command starts from. Without one, what needs workers is not to be had. */
  readonly bin?: URL;
}

/** The exit codes of every command. */
export const EXIT = { ok: 0, failed: 1, usage: 2 } as const;

/** A call that cannot be served: one line, exit code 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}
