/** The main thread of a command that waits at sockets: it starts the worker, shows what it does, and ends it. */
import { rmSync, watch, writeSync, type FSWatcher } from 'node:fs';
import { dirname, join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { EXIT, UsageError, type Io } from '../io.ts';
import { Control, type CaptureOrder, type Report, type ServeOrder } from './control.ts';
import type { Counts } from './counts.ts';
import { loadSockets } from './sockets.ts';

const SHOWN_EVERY_MS = 250;
/** An editor writes a file in several steps. */
const SETTLED_MS = 60;
/** A device that does not come back from its own code ends with its thread. */
const PATIENCE_MS = 2000;
const ONE = new Uint8Array(new BigUint64Array([1n]).buffer);

/**
 * Runs a worker to its end.
 *
 * @param counts what it counts, shown while it runs
 * @returns the exit code, once a signal or its one client has ended it
 * @throws UsageError where it cannot be done
 */
export async function runWorker(asked: Omit<CaptureOrder, 'control'> | Omit<ServeOrder, 'control'>, io: Io, counts?: Counts): Promise<number> {
  if (io.bin === undefined) throw new TypeError('"io.bin" expected the module of this command, got nothing');
  const { shutDown } = await loadSockets();
  const control = new Control();
  const worker = new Worker(io.bin, { workerData: { ...asked, control: control.buffer }, trackUnmanagedFds: false });
  const changes = new Changes();
  const state: { listening: boolean; refused?: string } = { listening: false };
  const view = setInterval(() => { if (state.listening && counts !== undefined) io.progress(`${control.connected ? 'client connected' : 'no client'}: ${counts.line}`); }, SHOWN_EVERY_MS);
  const stop = (): void => {
    for (const fd of control.stop()) shutDown(fd);
    setTimeout(() => void worker.terminate(), PATIENCE_MS).unref();
  };
  const line = (text: string): void => {
    io.progress('');
    io.err(text);
  };
  for (const signal of SIGNALS) process.on(signal, stop);
  worker.on('message', (report: Report) => {
    switch (report.kind) {
      case 'line':
        line(report.text);
        return;
      case 'write':
        io.write(report.text);
        return;
      case 'listening':
        state.listening = true;
        line(`listening on ${asked.shownAt}`);
        return;
      case 'loaded':
        changes.watch(report.files, () => { writeSync(report.wake, ONE); });
        return;
      case 'refused':
        state.refused = report.why;
    }
  });
  try {
    await new Promise<void>((ended, failed) => {
      worker.on('error', failed);
      worker.on('exit', () => { ended(); });
    });
  } finally {
    clearInterval(view);
    changes.end();
    for (const signal of SIGNALS) process.off(signal, stop);
    io.progress('');
    // Where the worker was ended in the middle of something, it could not.
    if (state.listening && typeof asked.at === 'string') rmSync(asked.at, { force: true });
  }
  if (state.refused !== undefined) throw new UsageError(state.refused);
  if (counts !== undefined) io.err(counts.line);
  return EXIT.ok;
}

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** Files that are watched. Folders are what is looked at: an editor puts another file in the place of the first. */
class Changes {
  #watchers: FSWatcher[] = [];
  #settled: NodeJS.Timeout | undefined;

  /** These, and no others from now on. */
  watch(files: readonly string[], changed: () => void): void {
    this.end();
    const names = new Set(files);
    for (const folder of new Set(files.map((file) => dirname(file)))) {
      this.#watchers.push(watch(folder, (_, name) => {
        if (name === null || !names.has(join(folder, name))) return;
        clearTimeout(this.#settled);
        this.#settled = setTimeout(changed, SETTLED_MS);
      }));
    }
  }

  end(): void {
    for (const each of this.#watchers.splice(0)) each.close();
  }
}
