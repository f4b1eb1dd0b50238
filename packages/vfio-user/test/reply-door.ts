/** The door `vfio-user-replies`: what a server sends to a client, mutated: replies, in any order, and questions about its memory. */
import type { Random } from '@vsim/vfio-core';
import { pick, same, type Depth, type Door, type Figures, type Report, type World } from '../../../testing/fuzz.ts';
import { ClientSession } from '../src/client/client-session.ts';
import { commandNames, type CommandName } from '../src/wire/commands.ts';
import { decodeReply } from '../src/wire/decode.ts';
import { encodeCommand, encodeError, encodeReply } from '../src/wire/encode.ts';
import { decodeHeader, FLAG_ERROR } from '../src/wire/header.ts';
import { JoinedChannel } from '../src/wire/joined.ts';
import { MemoryFile } from '../src/wire/memory-files.ts';
import type { Command, Reply } from '../src/wire/messages.ts';
import { mutated, plausibleCommand } from './plausible-messages.ts';
import { randomReply } from './random-messages.ts';

interface Said {
  /** What the client asks first. */
  readonly command: Command;
  /** What the server says, to the command before where that is undefined. */
  readonly reply: Reply | 'error' | 'question' | undefined;
  readonly descriptors: number;
  /** Random bytes that a mutation is made of. */
  readonly seed: Random;
}

interface Open {
  readonly client: ClientSession;
  readonly server: JoinedChannel;
  readonly waiting: { readonly id: number; readonly command: Command }[];
}

class Asked implements World<Said> {
  readonly counts = new Map<string, number>();
  readonly #file = new MemoryFile(4096);
  #open = connect();

  generate(random: Random): Said {
    const command = plausibleCommand(random, pick(random, commandNames()));
    const reply = pick(random, ['error', 'question', undefined, echo(random, command), echo(random, command), echo(random, command)] as const);
    return { command, reply, descriptors: pick(random, [0, 0, 0, 0, 1, 2]), seed: random };
  }

  check({ command, reply, descriptors, seed }: Said): Depth {
    const { client, server, waiting } = this.#open;
    waiting.push({ id: client.post(command), command });
    while (server.waiting > 0) server.receive();
    const at = reply === undefined ? seed.below(waiting.length) : waiting.length - 1;
    const { id, command: asked } = waiting[at]!;
    const mapped = reply !== undefined && typeof reply !== 'string' && reply.name === 'DEVICE_GET_REGION_INFO' && (reply.flags & 4) !== 0 && reply.argsz <= 32;
    const bytes = mutated(seed, said(seed, id, asked, reply));
    const own = Array.from({ length: mapped ? 1 : descriptors }, () => this.#file.descriptor());
    server.send(bytes, own);
    for (const descriptor of own) descriptor.close();
    const lives = client.step();
    let depth: Depth = 'refused';
    if (lives && server.waiting > 0) {
      const answer = server.receive()!;
      const header = decodeHeader(answer.bytes)!;
      same('what answers a question', header.flags & 0xf, 1);
      depth = (header.flags & FLAG_ERROR) === 0 ? 'succeeded' : 'past';
      this.#count(`question ${depth}`);
    } else if (lives && (decodeHeader(bytes)?.flags ?? 0) !== 0x10) {
      // A reply that was taken is that of the command it names.
      const taken = waiting.findIndex((one) => one.id === decodeHeader(bytes)!.id);
      if (taken >= 0) {
        const outcome = client.await(waiting[taken]!.id);
        waiting.splice(taken, 1);
        depth = 'errno' in outcome ? 'past' : 'succeeded';
        if (!('errno' in outcome)) {
          same('the reply', outcome.reply, decodeReply(asked.name, bytes));
          for (const descriptor of outcome.descriptors) descriptor.close();
        }
        this.#count(`${asked.name} ${depth}`);
      }
    }
    if (!lives) {
      this.#count('ended');
      for (const one of waiting) if (!('errno' in client.await(one.id))) throw new Error('an answer after the end');
      this.#open = connect();
    }
    same('descriptors that are open', this.#file.open, 0);
    return depth;
  }

  end(): void {
    this.#open.client.close();
    same('descriptors that are open', this.#file.open, 0);
  }

  #count(name: string): void {
    this.counts.set(name, (this.counts.get(name) ?? 0) + 1);
  }
}

function said(random: Random, id: number, asked: Command, reply: Said['reply']): Uint8Array {
  if (reply === 'error') return encodeError(id, decodeHeader(encodeCommand(0, asked))!.command, random.below(40));
  if (reply === 'question') return encodeCommand(random.below(4), plausibleCommand(random, pick(random, ['DMA_READ', 'DMA_WRITE', pick(random, commandNames())])));
  return encodeReply(id, asked.name, reply ?? echo(random, asked));
}

/** A reply that mostly fits the command. */
function echo(random: Random, command: Command): Reply {
  const reply = randomReply(random, command.name);
  if (random.below(8) === 0 || reply.name !== command.name) return reply;
  switch (command.name) {
    case 'DEVICE_GET_REGION_INFO':
      return { ...command, argsz: 32, flags: pick(random, [3, 7]) };
    case 'DEVICE_GET_REGION_IO_FDS':
      return { ...command, argsz: 16 };
    case 'REGION_READ':
      return { ...command, count: Math.min(command.count, 64), data: random.bytes(Math.min(command.count, 64)) };
    case 'REGION_WRITE':
      return { ...command, data: new Uint8Array(0) };
    case 'REGION_WRITE_MULTI':
      return { ...command, writes: [] };
    case 'DEVICE_FEATURE':
      return { ...command, data: random.bytes(random.below(Math.max(1, command.argsz - 7))) };
    case 'MIG_DATA_READ':
      return { ...command, length: Math.min(command.length, 8), data: random.bytes(Math.min(command.length, 8)) };
    case 'DMA_UNMAP':
    case 'DEVICE_GET_INFO':
    case 'DEVICE_GET_IRQ_INFO':
      return command;
    case 'VERSION':
    case 'DMA_READ':
    case 'DMA_WRITE':
    case 'MIG_DATA_WRITE':
      return reply;
  }
}

function connect(): Open {
  const [clientSide, server] = JoinedChannel.pair();
  const client = new ClientSession(clientSide, { read: (iova) => (iova < 0x10_0000n ? 0 : -14), write: (iova) => (iova < 0x10_0000n ? 0 : -14) });
  server.send(encodeReply(0, 'VERSION', { name: 'VERSION', major: 0, minor: 0, text: undefined }));
  client.negotiate();
  return { client, server, waiting: [] };
}

/** Commands of clients, whose replies a client decodes. */
const ANSWERED: readonly CommandName[] = commandNames().filter((name) => name !== 'DMA_READ' && name !== 'DMA_WRITE');

function report({ counts, inputs }: Figures): Report {
  const told = (name: string): number => counts.get(name) ?? 0;
  const lines = [...ANSWERED, 'question'].map((name) => `${name}: ${told(`${name} succeeded`)} taken, ${told(`${name} past`)} refused`);
  lines.push(`ended: ${told('ended')}`);
  if (inputs < 1000) return { lines, unmet: [] };
  return { lines, unmet: [...ANSWERED, 'question'].filter((name) => told(`${name} succeeded`) === 0).map((name) => `no answer to ${name} was taken`) };
}

export const REPLIES_DOOR: Door<Said> = { name: 'vfio-user-replies', length: 200, open: () => new Asked(), report };
