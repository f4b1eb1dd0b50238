/** The door `vfio-user-commands`: what a client sends to a server, mutated; it answers questions about its memory rightly, wrongly, or with commands first. */
import { ENODEV, type Random } from '@vsim/vfio-core';
import { pick, same, type Depth, type Door, type Figures, type Report, type World } from '../../../testing/fuzz.ts';
import { commandName, commandNames, COMMANDS, type CommandName } from '../src/wire/commands.ts';
import { decodeCommand, decodeReply } from '../src/wire/decode.ts';
import type { Descriptor } from '../src/wire/descriptor.ts';
import { encodeCommand, encodeError, encodeReply } from '../src/wire/encode.ts';
import { Framer } from '../src/wire/framer.ts';
import { decodeHeader, FLAG_ERROR, FLAG_NO_REPLY, HEADER_SIZE, type Header } from '../src/wire/header.ts';
import { commandLimit } from '../src/wire/limits.ts';
import { EventFile, MemoryFile } from '../src/wire/memory-files.ts';
import { cleanConversation } from './clean-conversation.ts';
import { FakeDevice, REGISTERS } from './fake-device.ts';
import { mutated, plausibleCommand } from './plausible-messages.ts';
import { RawClient } from './raw-client.ts';

const OPTIONS = { maxDmaMaps: 6 };
const LIMIT = commandLimit(1_048_576);
const NONE = new Uint8Array(0);

interface Sent {
  readonly bytes: Uint8Array;
  /** A letter for each descriptor: m a memfd, e an eventfd. */
  readonly descriptors: string;
  /** Where the stream is cut in two for the framer. */
  readonly cut: number;
}

class Served implements World<Sent> {
  readonly counts = new Map<string, number>();
  readonly #random: Random;
  readonly #device = new FakeDevice();
  readonly #clean = cleanConversation(new FakeDevice());
  readonly #ram = new MemoryFile(0x4000);
  readonly #eventfd = new EventFile();
  #client: RawClient;
  #connections = 0;
  /** Commands that have been sent and want an answer, in their order. */
  #wanted: string[] = [];

  constructor(random: Random) {
    this.#random = random;
    this.#client = this.#connect();
  }

  generate(random: Random): Sent {
    const name = pick(random, commandNames());
    const bytes = mutated(random, encodeCommand(random.below(4), plausibleCommand(random, name), random.below(8) === 0 ? FLAG_NO_REPLY : 0));
    const descriptors = name === 'DMA_MAP' ? pick(random, ['', 'm', 'm', 'e', 'mm']) : name === 'DEVICE_SET_IRQS' ? pick(random, ['', '', 'e', 'e', 'ee', 'm']) : pick(random, ['', '', '', '', '', '', '', 'e']);
    return { bytes, descriptors, cut: random.below(bytes.length + 1) };
  }

  check({ bytes, descriptors, cut }: Sent): Depth {
    const header = decodeHeader(bytes);
    const whole = header?.size === bytes.length && bytes.length <= LIMIT;
    this.#frame(bytes, cut, whole, header);
    const command = header === undefined || !whole || (header.flags & 0xf) !== 0 ? undefined : decodeCommand(header, bytes);
    if (command !== undefined && !('errno' in command)) this.#count(`${command.name} reached`);
    if (header !== undefined && whole && (header.flags & (0xf | FLAG_NO_REPLY)) === 0) this.#wanted.push(`${header.id} ${header.command}`);
    if (this.#device.migrationState === 3 && this.#device.state.length === 0) this.#device.state = [...this.#random.bytes(30)];
    let depth: Depth = command === undefined || 'errno' in command ? 'refused' : 'past';
    this.#client.channel.send(bytes, this.#open(descriptors));
    for (let reply = this.#client.channel.receive(); reply !== undefined; reply = this.#client.channel.receive()) {
      const answer = decodeHeader(reply.bytes)!;
      same('the answer', `${answer.id} ${answer.command}`, this.#wanted.shift());
      if ((answer.flags & FLAG_ERROR) !== 0) {
        same('the size of an error', reply.bytes.length, HEADER_SIZE);
        if (answer.error < 1 || answer.error > 4095) throw new Error(`errno ${answer.error}`);
      } else {
        const name = commandName(answer.command)!;
        const decoded = decodeReply(name, reply.bytes);
        if ('errno' in decoded) throw new Error(`a reply that is none: ${decoded.reason}`);
        this.#count(`${name} done`);
        depth = 'succeeded';
      }
      for (const descriptor of reply.descriptors) descriptor.close();
    }
    this.#leaks();
    if (this.#client.session.over === undefined) same('commands without an answer', this.#wanted, []);
    else {
      if (command !== undefined && (header!.flags & FLAG_NO_REPLY) === 0 && this.#wanted.length === 0) throw new Error('the connection ended after an answer');
      same('ends that the device was told of', this.#device.disconnects, this.#connections);
      same('what is left of a client', [this.#device.maps.length, this.#device.eventfds.size, this.#ram.mapped, this.#eventfd.open], [0, 0, 0, 0]);
      this.#count('ended');
      this.#client = this.#connect();
    }
    return depth;
  }

  end(): void {
    this.#client.session.end();
    same('what is left', [this.#ram.open, this.#ram.mapped, this.#eventfd.open, this.#device.memory.open, this.#device.maps.length], [0, 0, 0, 0, 0]);
    same('a clean conversation', cleanConversation(this.#device), this.#clean);
  }

  #connect(): RawClient {
    this.#connections += 1;
    this.#wanted = [];
    const client = new RawClient(OPTIONS, this.#device);
    client.negotiate();
    // Memory that goes by messages, and registers that point there.
    client.answer({ name: 'DMA_MAP', argsz: 32, flags: 3, offset: 0n, iova: 0x8000n, length: 0x4000n });
    client.answer({ name: 'REGION_WRITE', offset: BigInt(REGISTERS.IOVA), region: 0, count: 12, data: Uint8Array.of(0x80, 0x8f, 0, 0, 0, 0, 0, 0, this.#random.below(256), 0, 0, 0) });
    client.channel.attend({
      queued: 0,
      step: () => {
        this.#answer(client);
        return true;
      },
    });
    return client;
  }

  /** A question of the server's about memory. */
  #answer(client: RawClient): void {
    const random = this.#random;
    const { bytes } = client.channel.receive()!;
    const { id, command } = decodeHeader(bytes)!;
    const asked = decodeCommand(decodeHeader(bytes)!, bytes);
    if ('errno' in asked || (asked.name !== 'DMA_READ' && asked.name !== 'DMA_WRITE')) throw new Error(`the server asks for ${command}`);
    this.#count(`${asked.name} asked`);
    while (random.below(4) === 0) {
      client.channel.send(encodeCommand(77, { name: 'REGION_READ', offset: 0n, region: 0, count: 4, data: NONE }));
      this.#wanted.push(`77 ${COMMANDS.REGION_READ}`);
    }
    const right = encodeReply(id, asked.name, { ...asked, data: asked.name === 'DMA_READ' ? random.bytes(Number(asked.count)) : NONE });
    const kind = random.below(20);
    client.channel.send(kind === 0 ? mutated(random, right) : kind < 3 ? encodeError(id, command, ENODEV) : right);
  }

  #frame(bytes: Uint8Array, cut: number, whole: boolean, header: Header | undefined): void {
    const framer = new Framer({ messageSize: LIMIT, descriptors: 4 });
    framer.feed(bytes.subarray(0, cut), [this.#eventfd.descriptor()]);
    framer.feed(bytes.subarray(cut), [this.#eventfd.descriptor()]);
    const wrong = header !== undefined && (header.size < HEADER_SIZE || header.size > LIMIT);
    // What follows a message may break it, too.
    if (wrong || header === undefined || bytes.length <= header.size) same('the framer is broken', framer.broken !== undefined, wrong);
    const first = framer.next();
    if (whole) same('the frame', [...(first?.bytes ?? [])], [...bytes]);
    for (const descriptor of first?.descriptors ?? []) descriptor.close();
    framer.end();
  }

  #open(kinds: string): Descriptor[] {
    // The channel duplicates, and what is sent is closed here.
    const descriptors = Array.from(kinds, (kind) => (kind === 'm' ? this.#ram : this.#eventfd).descriptor());
    return descriptors.map((descriptor) => ({
      ...descriptor,
      duplicate: () => {
        descriptor.close();
        return descriptor.duplicate();
      },
    }));
  }

  #leaks(): void {
    same('memfds that are open', this.#ram.open, 0);
    same('eventfds that are open', this.#eventfd.open, this.#device.eventfds.size);
    same('the region’s memfds that are open', this.#device.memory.open, 0);
    if (this.#ram.mapped > this.#device.maps.length) throw new Error(`${this.#ram.mapped} mappings for ${this.#device.maps.length} ranges`);
  }

  #count(name: string): void {
    this.counts.set(name, (this.counts.get(name) ?? 0) + 1);
  }
}

/** Commands that only a server sends are refused before any handler. */
const HANDLED: readonly CommandName[] = commandNames().filter((name) => name !== 'DMA_READ' && name !== 'DMA_WRITE');

function report({ counts, inputs }: Figures): Report {
  const told = (name: string): number => counts.get(name) ?? 0;
  const lines = HANDLED.map((name) => `${name}: ${told(`${name} reached`)} reached, ${told(`${name} done`)} done`);
  lines.push(`asked: ${told('DMA_READ asked')} DMA_READ, ${told('DMA_WRITE asked')} DMA_WRITE; ended: ${told('ended')}`);
  if (inputs < 1000) return { lines, unmet: [] };
  const few = HANDLED.filter((name) => told(`${name} reached`) < inputs / 100);
  const asked = told('DMA_READ asked') > 0 && told('DMA_WRITE asked') > 0 && told('ended') > 0;
  return { lines, unmet: [...few.map((name) => `${name} was reached ${told(`${name} reached`)} times`), ...(asked ? [] : ['nothing was asked, or ended'])] };
}

export const COMMANDS_DOOR: Door<Sent> = { name: 'vfio-user-commands', length: 200, open: (random) => new Served(random), report };
