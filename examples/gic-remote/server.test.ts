import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, describe, expect, it } from 'vitest';

const HOOKS = new URL('../../scripts/workspace-packages.mjs', import.meta.url).href;
const RAM = 0x8000_0000;
const ITS = 0x0808_0000;
const REDISTRIBUTOR = 0x080a_0000;
const folder = mkdtempSync(join(tmpdir(), 'vsim-gic-'));
const children: ChildProcess[] = [];
const sockets: Socket[] = [];
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy();
  for (const child of children) child.kill();
});
afterAll(() => rmSync(folder, { recursive: true }));

interface Answer {
  readonly outcome: number;
  readonly value: number;
  readonly word: number;
  /** What the GIC asked for, or told, before it answered. */
  readonly meanwhile: readonly string[];
}

/** A connection to a server of its own, which may not be there yet. */
async function connected(): Promise<Socket> {
  const path = join(folder, `${children.length}.sock`);
  const server = spawn(process.execPath, ['--conditions=@vsim/source', '--import', HOOKS, fileURLToPath(new URL('server.ts', import.meta.url)), path], { stdio: 'inherit' });
  children.push(server);
  for (;;) {
    const socket = connect({ path });
    const there = await new Promise((resolve) => socket.on('connect', () => resolve(true)).on('error', () => resolve(false)));
    if (there !== true) {
      await new Promise((resolve) => setTimeout(resolve, 20));
      continue;
    }
    sockets.push(socket);
    return socket;
  }
}

/** RAM holds zeros, but a MAPC in the queue. */
class Client {
  readonly #socket: Socket;
  #bytes = Buffer.alloc(0);

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  async hello(): Promise<unknown> {
    const machine = Buffer.from(JSON.stringify({ version: 'gicv3', cpus: 1, ram: { base: RAM, size: 0x10_0000 } }));
    const { word } = await this.ask('H', { word: machine.length }, machine);
    return JSON.parse((await this.#take(word)).toString());
  }

  async ask(kind: string, { size = 0, word = 0, address = 0, value = 0 }, more = Buffer.alloc(0)): Promise<Answer> {
    const head = Buffer.alloc(24);
    head.write(kind);
    head.writeUInt8(size, 1);
    head.writeUInt32LE(word, 4);
    head.writeUInt32LE(address, 8);
    head.writeUInt32LE(value, 16);
    this.#socket.write(Buffer.concat([head, more]));
    const meanwhile: string[] = [];
    for (;;) {
      const got = await this.#take(24);
      const what = String.fromCharCode(got[0]!);
      const length = got.readUInt32LE(4);
      if (what === 'A') return { outcome: got[1]!, value: got.readUInt32LE(16), word: length, meanwhile };
      meanwhile.push(what === 'l' ? `lines ${length}` : `${what} ${(got.readUInt32LE(8) - RAM).toString(16)} ${length}`);
      if (what === 'w') await this.#take(length);
      if (what !== 'r') continue;
      const bytes = Buffer.alloc(length);
      if (got.readUInt32LE(8) === RAM) bytes[0] = 0x09;
      this.#socket.write(bytes);
    }
  }

  async #take(length: number): Promise<Buffer> {
    while (this.#bytes.length < length) {
      const more = await new Promise<Buffer>((resolve) => this.#socket.once('data', resolve));
      this.#bytes = Buffer.concat([this.#bytes, more]);
    }
    const taken = this.#bytes.subarray(0, length);
    this.#bytes = this.#bytes.subarray(length);
    return taken;
  }
}

describe('the GIC behind a socket', () => {
  it('says where it is, answers accesses, traps, and tells of lines', async () => {
    const client = new Client(await connected());
    expect(await client.hello()).toEqual([
      { base: 0x0800_0000, size: 0x1_0000 },
      { base: REDISTRIBUTOR, size: 0x2_0000 },
      { base: ITS, size: 0x2_0000 },
    ]);
    expect(await client.ask('L', { size: 4, address: 0x0800_0000 + 0xffe8 })).toMatchObject({ value: 0x3b });
    expect(await client.ask('L', { size: 8, address: REDISTRIBUTOR + 8 })).toMatchObject({ value: 0x0100_0011 });
    // ICC_PMR_EL1 = 0xf0, ICC_IGRPEN1_EL1 = 1, then PPI 27.
    expect(await client.ask('W', { size: 2, word: 0xc230, value: 0xf0 })).toMatchObject({ outcome: 0 });
    expect(await client.ask('W', { size: 2, word: 0xc667, value: 1 })).toMatchObject({ outcome: 0 });
    expect(await client.ask('R', { size: 1, word: 0xe658 })).toMatchObject({ outcome: 1 });
    expect(await client.ask('W', { size: 13, word: 0xc65d })).toMatchObject({ outcome: 2 });
    await client.ask('S', { size: 4, address: 0x0800_0000, value: 2 });
    await client.ask('S', { size: 4, address: REDISTRIBUTOR + 0x1_0080, value: 0xffff_ffff });
    await client.ask('S', { size: 4, address: REDISTRIBUTOR + 0x1_0100, value: 0xffff_ffff });
    expect((await client.ask('P', { word: 27, value: 1 })).meanwhile).toEqual(['lines 1']);
    expect(await client.ask('R', { size: 2, word: 0xc660 })).toMatchObject({ value: 27, meanwhile: ['lines 0'] });
  });

  it('takes commands from the RAM of its client, and writes its tables there', async () => {
    const client = new Client(await connected());
    await client.hello();
    const halves = async (offset: number, lo: number): Promise<void> => {
      await client.ask('S', { size: 4, address: ITS + offset, value: lo });
      await client.ask('S', { size: 4, address: ITS + offset + 4, value: 0x8000_0000 });
    };
    await halves(0x108, RAM + 0x2_0200);
    await halves(0x80, RAM);
    await client.ask('S', { size: 4, address: ITS, value: 1 });
    const { meanwhile } = await client.ask('S', { size: 8, address: ITS + 0x88, value: 32 });
    expect(meanwhile.some((asked) => asked.startsWith('r 0 '))).toBe(true);
    expect(meanwhile.filter((asked) => asked.startsWith('w')).every((asked) => asked.startsWith('w 2000'))).toBe(true);
    expect(meanwhile.filter((asked) => asked.startsWith('w'))).not.toEqual([]);
    expect(await client.ask('L', { size: 4, address: ITS + 0x90 })).toMatchObject({ value: 32 });
    await client.ask('X', {});
    expect(await client.ask('L', { size: 4, address: ITS + 0x90 })).toMatchObject({ value: 0 });
  });
});
