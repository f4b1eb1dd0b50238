import { EINVAL, Random } from '@vsim/vfio-core';
import { describe, expect, it } from 'vitest';
import { forSeeds } from '../../../../testing/random.ts';
import { randomCommand, randomReply } from '../../test/random-messages.ts';
import { commandName, commandNames, COMMANDS } from './commands.ts';
import { decodeCommand, decodeReply } from './decode.ts';
import { encodeCommand, encodeError, encodeReply } from './encode.ts';
import { decodeHeader, FLAG_NO_REPLY, HEADER_SIZE } from './header.ts';
import type { Command } from './messages.ts';

describe('messages', () => {
  it.each(commandNames())('%s with random fields comes back from its bytes, both ways', (name) => {
    forSeeds((seed) => {
      const random = new Random(seed);
      const id = random.below(65_536);
      const command = randomCommand(random, name);
      const bytes = encodeCommand(id, command, FLAG_NO_REPLY);
      const header = decodeHeader(bytes)!;
      expect(header).toEqual({ id, command: COMMANDS[name], size: bytes.length, flags: FLAG_NO_REPLY, error: 0 });
      expect(decodeCommand(header, bytes)).toEqual(command);
      const reply = randomReply(random, name);
      const answer = encodeReply(id, name, reply);
      expect(decodeHeader(answer)).toEqual({ id, command: COMMANDS[name], size: answer.length, flags: 1, error: 0 });
      expect(decodeReply(name, answer)).toEqual(reply);
    });
  });

  it.each(commandNames())('%s with a byte less or more is refused, both ways, where its size is told by its fields', (name) => {
    forSeeds((seed) => {
      const random = new Random(seed);
      const command = encodeCommand(1, randomCommand(random, name));
      const reply = encodeReply(1, name, randomReply(random, name));
      const open = name === 'DEVICE_FEATURE' || name === 'DEVICE_GET_REGION_INFO';
      for (const bytes of [new Uint8Array(command.length + 1), command.slice(0, -1)]) {
        if (bytes.length < HEADER_SIZE) continue;
        bytes.set(command.subarray(0, bytes.length));
        if (name === 'VERSION' && bytes.length >= command.length - 1) continue;
        if (!open) expect(decodeCommand(decodeHeader(command)!, bytes)).toMatchObject({ errno: EINVAL });
      }
      for (const bytes of [new Uint8Array(reply.length + 1), reply.slice(0, -1)]) {
        if (bytes.length < HEADER_SIZE || open || name === 'VERSION') continue;
        bytes.set(reply.subarray(0, bytes.length));
        expect(decodeReply(name, bytes)).toMatchObject({ errno: EINVAL });
      }
    });
  });

  it('VERSION’s text needs its NUL, and UTF-8', () => {
    const bytes = encodeCommand(1, { name: 'VERSION', major: 0, minor: 0, text: '{}' });
    expect(decodeCommand(decodeHeader(bytes)!, bytes.slice(0, -1))).toMatchObject({ errno: EINVAL, reason: 'the text of VERSION does not end with a NUL' });
    bytes[HEADER_SIZE + 4] = 0xff;
    expect(decodeCommand(decodeHeader(bytes)!, bytes)).toMatchObject({ errno: EINVAL, reason: 'the text of VERSION is not UTF-8' });
    expect(decodeCommand(decodeHeader(bytes)!, bytes.slice(0, HEADER_SIZE + 3))).toMatchObject({ errno: EINVAL });
  });

  it('DMA_WRITE’s reply may have a count of 4 bytes, as the specification’s table says', () => {
    const bytes = encodeReply(1, 'DMA_WRITE', { name: 'DMA_WRITE', iova: 0x1000n, count: 7n, data: new Uint8Array(0) });
    expect(decodeReply('DMA_WRITE', bytes.slice(0, -4))).toEqual(decodeReply('DMA_WRITE', bytes));
  });

  it('a count of 64 bits does not make a list of so many', () => {
    const empty: Command = { name: 'REGION_WRITE_MULTI', count: (1n << 64n) - 1n, writes: [] };
    const bytes = encodeCommand(1, empty);
    expect(decodeCommand(decodeHeader(bytes)!, bytes)).toMatchObject({ errno: EINVAL });
  });

  it('a write of REGION_WRITE_MULTI has 8 bytes at most', () => {
    const bytes = encodeCommand(1, { name: 'REGION_WRITE_MULTI', count: 1n, writes: [{ offset: 0n, region: 0, data: new Uint8Array(8) }] });
    bytes[HEADER_SIZE + 8 + 12] = 9;
    expect(decodeCommand(decodeHeader(bytes)!, bytes)).toMatchObject({ errno: EINVAL });
  });

  it('an error is a header alone', () => {
    expect(decodeHeader(encodeError(3, 99, 25))).toEqual({ id: 3, command: 99, size: 16, flags: 0x21, error: 25 });
  });

  it('names are those of numbers', () => {
    expect(commandNames().map((name) => commandName(COMMANDS[name]))).toEqual(commandNames());
    expect(commandNames()).toHaveLength(Object.keys(COMMANDS).length);
    expect(commandName(14)).toBeUndefined();
  });
});
