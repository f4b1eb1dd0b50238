/** The codec of @vsim/vfio-user on every message that QEMU and its servers have sent. */
import { commandName, decodeCommand, decodeHeader, decodeReply, encodeCommand, encodeReply, type CommandName, type Header } from '@vsim/vfio-user';
import { readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { parseLines } from '../json.ts';
import { findRecordings, RECORDINGS } from '../replay.ts';
import { isReply, messageOf, type CapturedMessage } from './captured.ts';

const CAPTURES = findRecordings(join(RECORDINGS, 'vfio-user'));

function messages(path: string): CapturedMessage[] {
  return parseLines(path, gunzipSync(readFileSync(path)).toString('utf8')).map(messageOf).filter((message) => message !== undefined);
}

describe('captured messages', () => {
  it.each(CAPTURES.map((path) => ({ path, name: basename(path) })))('$name decode, and encode to the same bytes', ({ path }) => {
    for (const message of messages(path)) {
      const header = decodeHeader(message.bytes)!;
      expect(header.size).toBe(message.bytes.length);
      const name = commandName(header.command)!;
      const again = isReply(message) ? replyAgain(name, header.id, message.bytes) : commandAgain(header, message.bytes);
      expect(again).toEqual(message.bytes);
    }
  });

  it('are 31257', () => {
    expect(CAPTURES.reduce((sum, path) => sum + messages(path).length, 0)).toBe(31_257);
  });
});

function commandAgain(header: Header, bytes: Uint8Array): Uint8Array {
  const command = decodeCommand(header, bytes);
  if ('errno' in command) throw new Error(command.reason);
  return encodeCommand(header.id, command, header.flags);
}

function replyAgain(name: CommandName, id: number, bytes: Uint8Array): Uint8Array {
  const reply = decodeReply(name, bytes);
  if ('errno' in reply) throw new Error(reply.reason);
  return encodeReply(id, name, reply);
}
