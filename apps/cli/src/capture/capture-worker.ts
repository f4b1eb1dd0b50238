/** `vsim capture`'s worker: a proxy between clients and a server, which writes down what they say. */
import { closeSync, openSync, writeSync } from 'node:fs';
import { reading, UnreadableText } from '@vsim/conformance/read-text';
import { SyscallError } from '@vsim/vfio-core';
import { commandName, decodeHeader, HEADER_SIZE, type Received } from '@vsim/vfio-user';
import { UsageError } from '../io.ts';
import { Control, type CaptureOrder, type Report } from '../serve/control.ts';
import { loadSockets, type Sockets } from '../serve/sockets.ts';
import { listenAt } from '../serve/listen-at.ts';

/** The largest message that a channel takes: a reply with a bitmap may be larger than any command. */
const LARGEST = 0x40_0000;

/** Captures until it is stopped. */
export async function captureInWorker(order: CaptureOrder, report: (what: Report) => void): Promise<void> {
  try {
    const sockets = await loadSockets();
    const file = new CaptureFile(order);
    try {
      capture(order, sockets, file, report);
    } finally {
      file.close();
    }
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    report({ kind: 'refused', why: error.message });
  }
}

function capture({ at, control: words, shownAt, to, shownTo }: CaptureOrder, sockets: typeof Sockets, file: CaptureFile, report: (what: Report) => void): void {
  const control = new Control(words);
  const listening = listenAt(sockets, at, shownAt);
  try {
    control.at(listening.fd);
    report({ kind: 'listening' });
    for (;;) {
      const accepted = listening.accept();
      if (accepted === undefined) return;
      control.at(listening.fd, accepted);
      const client = new sockets.SocketChannel(accepted, { largest: LARGEST });
      if (control.stopped) client.shutdown();
      try {
        const server = new sockets.SocketChannel(connected(sockets, to, shownTo), { largest: LARGEST });
        file.event('connect');
        report({ kind: 'line', text: 'client connected' });
        const gone = passOn(sockets, client, server, file);
        file.event(`${gone} closed`);
        server.close();
        report({ kind: 'line', text: `${gone} gone: ${file.count} messages` });
      } catch (error) {
        // The client learns of it as of any server that is gone.
        if (!(error instanceof UsageError)) throw error;
        report({ kind: 'line', text: error.message });
      }
      control.at(listening.fd);
      client.close();
    }
  } finally {
    control.at(-1);
    listening.close();
  }
}

/** @throws UsageError where no server is */
function connected(sockets: typeof Sockets, to: string, shownTo: string): number {
  try {
    return sockets.connectTo(to);
  } catch (error) {
    if (error instanceof SyscallError) throw new UsageError(`${shownTo}: ${error.code === 'ENOENT' || error.code === 'ECONNREFUSED' ? 'no server listens there' : error.code}`);
    if (error instanceof RangeError) throw new UsageError(`${shownTo}: the path of a socket has at most 107 bytes`);
    throw error;
  }
}

/** Hands on what either says. @returns who is gone */
function passOn({ waitFor }: typeof Sockets, client: Sockets.SocketChannel, server: Sockets.SocketChannel, file: CaptureFile): 'client' | 'server' {
  for (;;) {
    const [fromClient, fromServer] = waitFor([client.fd, server.fd]);
    if (fromServer !== 0 && !handOn(server, client, 's2c', file)) return 'server';
    if (fromClient !== 0 && !handOn(client, server, 'c2s', file)) return 'client';
  }
}

function handOn(from: Sockets.SocketChannel, to: Sockets.SocketChannel, dir: 'c2s' | 's2c', file: CaptureFile): boolean {
  do {
    const received = from.receive();
    if (received === undefined) return false;
    // Before the other side can answer.
    file.message(dir, received);
    to.send(received.bytes, received.descriptors);
    for (const descriptor of received.descriptors) descriptor.close();
  } while (from.ready);
  return true;
}

/** A file of messages as JSON Lines: each line is written at once, so that the file is whole whenever the program ends. */
class CaptureFile {
  readonly #fd: number;
  readonly #name: string;
  readonly #start = performance.now();
  #n = 0;
  #connection = 0;
  count = 0;

  /** @throws UsageError where it cannot be made */
  constructor({ file, shownFile }: CaptureOrder) {
    this.#name = shownFile;
    this.#fd = this.#writing(() => openSync(file, 'w'));
  }

  event(event: string): void {
    if (event === 'connect') {
      this.#connection += 1;
      this.count = 0;
    }
    this.#line({ dir: 'event', event });
  }

  message(dir: 'c2s' | 's2c', { bytes, descriptors }: Received): void {
    const { command = 0, error = 0, flags = 0, id = 0, size = bytes.length } = decodeHeader(bytes) ?? {};
    const fds = descriptors.map((descriptor) => ('kind' in descriptor ? String(descriptor.kind) : 'file'));
    this.count += 1;
    this.#line({ dir, id, cmd: command, name: commandName(command) ?? String(command), size, flags, error, nfds: fds.length, fds, payload: Buffer.from(bytes.subarray(HEADER_SIZE)).toString('hex') });
  }

  close(): void {
    closeSync(this.#fd);
  }

  #line(what: object): void {
    this.#n += 1;
    const line = Buffer.from(`${JSON.stringify({ n: this.#n, us: Math.round((performance.now() - this.#start) * 1000), conn: this.#connection, ...what })}\n`);
    this.#writing(() => { for (let done = 0; done < line.length; ) done += writeSync(this.#fd, line, done); });
  }

  #writing<T>(write: () => T): T {
    try {
      return reading(write);
    } catch (error) {
      throw error instanceof UnreadableText ? new UsageError(`${this.#name}: ${error.message}`) : error;
    }
  }
}
