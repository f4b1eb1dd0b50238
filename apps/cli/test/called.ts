/** Calls the command as tests do: everything is given, and what it says is kept. */
import * as recordings from '@vsim/conformance';
import type { Io } from '../src/io.ts';
import { main } from '../src/main.ts';

export interface Told {
  readonly code: number;
  readonly out: readonly string[];
  readonly err: readonly string[];
}

export function called(args: readonly string[], world: Partial<Omit<Io, 'out' | 'err'>> = {}): Told {
  const out: string[] = [];
  const err: string[] = [];
  const io: Io = {
    progress: () => undefined,
    write: () => undefined,
    now: () => 0,
    cwd: '/',
    piped: false,
    columns: undefined,
    colors: false,
    ...world,
    out: (line) => void out.push(line),
    err: (line) => void err.push(line),
  };
  const code = main(args, io, recordings);
  if (typeof code !== 'number') throw new TypeError(`vsim ${args.join(' ')} goes on`);
  return { code, out, err };
}
