/** `--trace FILE`: the file of that name, in the format that its ending says. */
import { closeSync, openSync, writeSync } from 'node:fs';
import { resolve } from 'node:path';
import { UnreadableText, reading } from '@vsim/conformance/read-text';
import type { Watch } from '@vsim/demo';
import { InvalidArgumentError, Option } from 'commander';
import type { Host } from '@vsim/vfio-core';
import { UsageError, type Io } from '../io.ts';
import { JsonLines } from './json-lines.ts';
import { Perfetto } from './perfetto.ts';
import type { HostGroup, Sink, TraceFormat } from './trace-format.ts';

const STDOUT = '-';
const JSON_ENDINGS = ['.jsonl'];
const PERFETTO_ENDINGS = ['.pftrace', '.perfetto-trace'];
/** Bytes, or units of text, that are written at once. */
const AT_ONCE = 0x1_0000;

/** Hosts of one time that are watched together. */
export interface GroupWatch extends Watch {
  /** They are over. */
  end(): void;
}

/** The hosts of one call, and the file that tells of them. */
export interface Tracing {
  /** The command's world: what is else on standard output is on standard error where the trace is there. */
  readonly io: Io;
  /** Begins hosts of one time. @param prefix of their names */
  readonly group: (prefix: string) => GroupWatch | undefined;
  /** A host with a time of its own. */
  host(name: string, host: Host): void;
  /** Whether hosts are wanted at all. */
  readonly on: boolean;
}

/** The option of each command that runs hosts. @param what the hosts are of */
export function traceOption(what: string): Option {
  return new Option('--trace <file>', `writes every event of ${what} to FILE.jsonl (JSON Lines; - is standard output) or FILE.pftrace (for ui.perfetto.dev)`).argParser(traceName);
}

function traceName(name: string): string {
  if (name === STDOUT || [...JSON_ENDINGS, ...PERFETTO_ENDINGS].some((ending) => name.endsWith(ending))) return name;
  throw new InvalidArgumentError('Expected FILE.jsonl or - for JSON Lines, FILE.pftrace or FILE.perfetto-trace for Perfetto.');
}

/** Runs a command with its trace, and ends the file whatever comes of it. @throws UsageError where it cannot be written */
export function traced<T>(name: string | undefined, io: Io, run: (tracing: Tracing) => T): T {
  const trace = beginTrace(name, io);
  let result: T;
  try {
    result = run(trace.tracing);
  } finally {
    trace.end();
  }
  if (trace.failure !== undefined) throw new UsageError(trace.failure);
  return result;
}

/** A trace that goes on until it is ended. */
export interface TraceInProgress {
  readonly tracing: Tracing;
  /** What kept it from being written, in a line; undefined while nothing has. */
  readonly failure: string | undefined;
  /** Writes what waits, as far as it stands alone: the program may be ended at any time. */
  flush(): void;
  /** Nothing comes any more. */
  end(): void;
}

/** Begins the trace of a command; undefined: it has none. @throws UsageError where it cannot be written */
export function beginTrace(name: string | undefined, io: Io): TraceInProgress {
  const nothing = (): void => undefined;
  if (name === undefined) return { tracing: { io, on: false, group: () => undefined, host: nothing }, failure: undefined, flush: nothing, end: nothing };
  const sink = name === STDOUT ? new Output(io) : new TraceFile(name, io);
  const tracing = new OpenTrace(PERFETTO_ENDINGS.some((ending) => name.endsWith(ending)) ? new Perfetto(sink) : new JsonLines(sink), name === STDOUT ? beside(io) : io);
  return {
    tracing,
    get failure() {
      return sink.failure === undefined ? undefined : `${name}: ${sink.failure}`;
    },
    flush: () => { sink.flush(); },
    end: () => {
      tracing.end();
      sink.close();
    },
  };
}

/** Standard output has the trace. */
function beside(io: Io): Io {
  return { ...io, out: (line) => { io.err(line); } };
}

class OpenTrace implements Tracing {
  readonly io: Io;
  readonly on = true;
  readonly #format: TraceFormat;
  readonly #groups = new Set<HostGroup>();

  constructor(format: TraceFormat, io: Io) {
    this.#format = format;
    this.io = io;
  }

  readonly group = (prefix: string): GroupWatch => {
    const group: HostGroup = { prefix };
    this.#groups.add(group);
    return {
      host: (name, host, from) => { host.trace.follow(this.#format.host(group, name, host, from)); },
      phase: (name, at) => { this.#format.phase(group, name, at); },
      end: () => { this.#end(group); },
    };
  };

  host(name: string, host: Host): void {
    const group: HostGroup = { prefix: '' };
    this.#groups.add(group);
    host.trace.follow(this.#format.host(group, name, host, 0));
  }

  end(): void {
    for (const group of this.#groups) this.#end(group);
  }

  #end(group: HostGroup): void {
    if (this.#groups.delete(group)) this.#format.endGroup(group);
  }
}

interface ClosedSink extends Sink {
  /** What kept it from being written, in a few words. */
  readonly failure: string | undefined;
  /** Writes what waits. */
  flush(): void;
  close(): void;
}

/** Pieces are put together, as events are small. */
class TraceFile implements ClosedSink {
  readonly #fd: number;
  #waiting: Buffer[] = [];
  #bytes = 0;
  failure: string | undefined;

  /** @throws UsageError where it cannot be made */
  constructor(name: string, { cwd }: Io) {
    try {
      this.#fd = reading(() => openSync(resolve(cwd, name), 'w'));
    } catch (error) {
      if (error instanceof UnreadableText) throw new UsageError(`${name}: ${error.message}`);
      throw error;
    }
  }

  write(content: string | Uint8Array): void {
    const bytes = Buffer.from(content);
    this.#waiting.push(bytes);
    this.#bytes += bytes.length;
    if (this.#bytes >= AT_ONCE) this.flush();
  }

  close(): void {
    this.flush();
    closeSync(this.#fd);
  }

  /** A file that has failed gets no more. */
  flush(): void {
    if (this.#bytes === 0) return;
    const bytes = Buffer.concat(this.#waiting);
    this.#waiting = [];
    this.#bytes = 0;
    if (this.failure !== undefined) return;
    try {
      reading(() => {
        for (let done = 0; done < bytes.length; ) done += writeSync(this.#fd, bytes, done);
      });
    } catch (error) {
      if (!(error instanceof UnreadableText)) throw error;
      this.failure = error.message;
    }
  }
}

/** Standard output, which tells of its failures itself. */
class Output implements ClosedSink {
  readonly #io: Io;
  #waiting = '';
  readonly failure = undefined;

  constructor(io: Io) {
    this.#io = io;
  }

  write(content: string | Uint8Array): void {
    this.#waiting += typeof content === 'string' ? content : Buffer.from(content).toString('utf8');
    if (this.#waiting.length >= AT_ONCE) this.flush();
  }

  close(): void {
    this.flush();
  }

  flush(): void {
    if (this.#waiting !== '') this.#io.write(this.#waiting);
    this.#waiting = '';
  }
}
