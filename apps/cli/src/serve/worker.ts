/** `vsim serve`'s worker: the device, and the loop that waits for its clients. Nothing else runs in its thread. */
import { Console } from 'node:console';
import { Writable } from 'node:stream';
import { commandName, ServerSession } from '@vsim/vfio-user';
import { UsageError, type Io } from '../io.ts';
import { beginTrace, type TraceInProgress } from '../trace/trace-file.ts';
import { told } from './author-file.ts';
import { Control, type Report, type ServeOrder } from './control.ts';
import { Counts } from './counts.ts';
import { Front } from './front.ts';
import { listenAt } from './listen-at.ts';
import { machineOf, type Machine, type Maker } from './machine.ts';
import { makerOf } from './maker.ts';
import { filesLoaded } from './own-packages.ts';
import { replaceDevice } from './replace.ts';
import { loadSockets, type Sockets } from './sockets.ts';

/** Serves until it is stopped, or has had its one client. */
export async function serveInWorker(order: ServeOrder, report: (what: Report) => void): Promise<void> {
  // What a device prints would wait for this thread to be idle.
  globalThis.console = new Console(new Writable({ decodeStrings: false, write: (text, _, done) => { report({ kind: 'line', text: String(text).replace(/\n$/, '') }); done(); } }));
  try {
    const trace = beginTrace(order.trace, ioOf(order, report));
    try {
      await new Server(order, report, trace, await loadSockets()).run();
    } finally {
      trace.end();
    }
    if (trace.failure !== undefined) throw new UsageError(trace.failure);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    report({ kind: 'refused', why: error.message });
  }
}

/** The world of the worker: what a trace needs of it. */
function ioOf({ cwd }: ServeOrder, report: (what: Report) => void): Io {
  const line = (text: string): void => { report({ kind: 'line', text }); };
  return { out: line, err: line, write: (text) => { report({ kind: 'write', text }); }, progress: () => undefined, now: () => performance.now(), cwd, piped: false, columns: undefined, colors: false };
}

class Server {
  readonly #order: ServeOrder;
  readonly #report: (what: Report) => void;
  readonly #trace: TraceInProgress;
  readonly #sockets: typeof Sockets;
  readonly #control: Control;
  /** The eventfd that tells of a new device file. */
  readonly #wake: number;
  #generation = 1;

  constructor(order: ServeOrder, report: (what: Report) => void, trace: TraceInProgress, sockets: typeof Sockets) {
    this.#order = order;
    this.#report = report;
    this.#trace = trace;
    this.#sockets = sockets;
    this.#control = new Control(order.control);
    this.#wake = order.watch ? sockets.makeEventfd() : -1;
  }

  async run(): Promise<void> {
    const { at, choice, counts, once, shownAt } = this.#order;
    const front = new Front(this.#machine(await makerOf(choice)).device, new Counts(counts));
    this.#loaded();
    const listening = listenAt(this.#sockets, at, shownAt);
    try {
      this.#control.at(listening.fd);
      this.#report({ kind: 'listening' });
      do {
        const fd = await this.#next(listening, front);
        if (fd === undefined) return;
        await this.#attend(fd, listening.fd, front);
      } while (!once && !this.#control.stopped);
    } finally {
      this.#control.at(-1);
      listening.close();
    }
  }

  /** @throws UsageError for a device that cannot be */
  #machine(make: Maker): Machine {
    const { name } = this.#order.choice;
    try {
      return machineOf(make, (error) => { this.#line(`${name}: ${told(error, this.#order.choice.path)}`); }, (host) => {
        this.#trace.tracing.host(this.#generation === 1 ? name : `${name}, version ${this.#generation}`, host);
        host.trace.listen(({ severity, text }) => { if (severity !== 'info') this.#line(text); });
      });
    } catch (error) {
      throw error instanceof UsageError ? error : new UsageError(`${name}: ${told(error, this.#order.choice.path)}`);
    }
  }

  /** Waits for a client. @returns undefined once it is to end */
  async #next(listening: Sockets.ListeningSocket, front: Front): Promise<number | undefined> {
    while (this.#order.watch && !this.#control.stopped && !listening.wait(this.#wake)) await this.#reload(front, false);
    return this.#control.stopped ? undefined : listening.accept();
  }

  async #attend(fd: number, listening: number, front: Front): Promise<void> {
    this.#control.at(listening, fd);
    const channel = new this.#sockets.SocketChannel(fd);
    const session = new ServerSession(channel, front, { refused: (command, { reason }) => { this.#line(`${commandName(command) ?? `command ${command}`} refused: ${reason}`); } });
    if (this.#control.stopped) channel.shutdown();
    new Counts(this.#order.counts).client();
    this.#line('client connected');
    if (this.#order.watch || this.#trace.tracing.on) await this.#steps(session, channel, front);
    else session.serve();
    this.#control.at(listening);
    this.#line(`client gone: ${this.#control.stopped ? 'the server ends' : (session.over ?? 'the connection ended')}`);
  }

  /** Step by step: in between, a new device may come, and what was traced is written. */
  async #steps(session: ServerSession, channel: Sockets.SocketChannel, front: Front): Promise<void> {
    for (;;) {
      if (this.#order.watch && session.queued === 0 && !channel.wait(this.#wake)) await this.#reload(front, true);
      else if (!session.step()) return;
      this.#trace.flush();
    }
  }

  /** Reads the device file again. */
  async #reload(front: Front, connected: boolean): Promise<void> {
    const { choice } = this.#order;
    this.#generation += 1;
    try {
      const { device } = this.#machine(await makerOf(choice, this.#generation));
      const { done, words } = replaceDevice(front, device, connected);
      this.#line(done ? `${choice.name}: new code: ${words}` : `${choice.name}: ${words}; the device goes on as it was`);
    } catch (error) {
      if (!(error instanceof UsageError)) throw error;
      this.#line(`${error.message}; the device goes on as it was`);
    }
    this.#loaded();
  }

  #loaded(): void {
    const { choice: { path }, watch } = this.#order;
    if (watch && path !== undefined) this.#report({ kind: 'loaded', files: [path, ...filesLoaded()], wake: this.#wake });
  }

  #line(text: string): void {
    this.#report({ kind: 'line', text });
  }
}
