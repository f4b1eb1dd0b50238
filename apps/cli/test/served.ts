/** `vsim serve` as a program of its own, and clients of it. */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ClientSession, RemoteDevice, type DmaTarget } from '@vsim/vfio-user';
import { connectTo, SocketChannel } from '@vsim/vfio-user/node';
import { expect, onTestFinished } from 'vitest';

const BIN = join(import.meta.dirname, '../src/bin.ts');
const PATIENCE_MS = 20_000;
const NO_MEMORY: DmaTarget = { read: () => -14, write: () => -14 };

/** A call of the command that goes on. */
export class Running {
  readonly #child: ChildProcess;
  #err = '';
  #out = '';
  #told: () => void = () => undefined;
  readonly #ended: Promise<number | null>;

  /** @param cwd where it is called @param passed number of a descriptor that it gets as its 3 */
  constructor(args: readonly string[], cwd: string, passed?: number) {
    this.#child = spawn(process.execPath, ['--conditions=@vsim/source', '--no-warnings', BIN, ...args], { cwd, stdio: ['ignore', 'pipe', 'pipe', ...(passed === undefined ? [] : [passed])] });
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => { this.#err += text; this.#told(); });
    this.#child.stdout?.setEncoding('utf8').on('data', (text: string) => { this.#out += text; });
    this.#ended = new Promise((resolve) => { this.#child.on('close', (code) => { resolve(code); this.#told(); }); });
    onTestFinished(() => void this.#child.kill('SIGKILL'));
  }

  /** Lines that it has told. */
  get lines(): readonly string[] {
    return this.#err.split('\n').slice(0, -1);
  }

  get out(): string {
    return this.#out;
  }

  /** Waits for its nth line that has `text` in it. */
  async line(text: string, nth = 1): Promise<string> {
    const until = Date.now() + PATIENCE_MS;
    for (;;) {
      const found = this.lines.filter((line) => line.includes(text))[nth - 1];
      if (found !== undefined) return found;
      if (Date.now() > until || this.#child.exitCode !== null) throw new Error(`no line ${nth} with "${text}" in ${JSON.stringify(this.lines)}`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, 100);
        this.#told = () => { clearTimeout(timer); resolve(); };
      });
    }
  }

  /** Ends it. @returns its exit code */
  async end(signal: NodeJS.Signals = 'SIGINT'): Promise<number | null> {
    this.#child.kill(signal);
    return this.#ended;
  }

  /** Its exit code, once it ends by itself. */
  get code(): Promise<number | null> {
    return this.#ended;
  }
}

/** A folder for one test. */
export function folderFor(name: string): string {
  return mkdtempSync(join(tmpdir(), `vsim-${name}-`));
}

/** A client that has agreed on the version. */
export function clientOf(path: string, memory: DmaTarget = NO_MEMORY): { readonly session: ClientSession; readonly device: RemoteDevice; readonly channel: SocketChannel } {
  const channel = new SocketChannel(connectTo(path));
  const session = new ClientSession(channel, memory);
  expect(session.negotiate()).not.toHaveProperty('errno');
  onTestFinished(() => { channel.close(); });
  return { session, device: new RemoteDevice(session), channel };
}

/** A register of 32 bits. */
export function register(device: RemoteDevice, offset: number, region = 0): number {
  const into = new Uint8Array(4);
  expect(device.read(region, BigInt(offset), into)).toBe(4);
  return new DataView(into.buffer).getUint32(0, true);
}

export function setRegister(device: RemoteDevice, offset: number, value: number, region = 0): number {
  return device.write(region, BigInt(offset), new Uint8Array(Uint32Array.of(value).buffer));
}
