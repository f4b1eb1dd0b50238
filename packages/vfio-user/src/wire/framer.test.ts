import { Random } from '@vsim/vfio-core';
import { describe, expect, it } from 'vitest';
import { forSeeds } from '../../../../testing/random.ts';
import { pick } from '../../../../testing/fuzz.ts';
import { randomCommand } from '../../test/random-messages.ts';
import { commandNames } from './commands.ts';
import { encodeCommand } from './encode.ts';
import { Framer } from './framer.ts';
import { encodeHeader } from './header.ts';
import { EventFile } from './memory-files.ts';

const LIMITS = { messageSize: 4096, descriptors: 4 };

describe('Framer', () => {
  it('cuts a stream that comes in pieces of any size, and gives descriptors to the message that a piece ends with', () => {
    forSeeds((seed) => {
      const random = new Random(seed);
      const framer = new Framer(LIMITS);
      const messages = Array.from({ length: 10 }, () => encodeCommand(random.below(100), randomCommand(random, pick(random, commandNames()))));
      const stream = Uint8Array.from(messages.flatMap((bytes) => [...bytes]));
      const file = new EventFile();
      const owners: number[] = [];
      for (let at = 0; at < stream.length; ) {
        const end = Math.min(stream.length, at + 1 + random.below(60));
        let owner = 0;
        for (let passed = 0; passed + messages[owner]!.length < end; owner += 1) passed += messages[owner]!.length;
        const carries = random.below(4) === 0 && !owners.includes(owner);
        if (carries) owners.push(owner);
        framer.feed(stream.subarray(at, end), carries ? [file.descriptor()] : []);
        at = end;
      }
      messages.forEach((bytes, index) => {
        const received = framer.next();
        expect(received?.bytes).toEqual(bytes);
        expect(received?.descriptors).toHaveLength(owners.includes(index) ? 1 : 0);
        for (const descriptor of received!.descriptors) descriptor.close();
      });
      expect(framer.next()).toBeUndefined();
      expect(framer.broken).toBeUndefined();
      expect(file.open).toBe(0);
    });
  });

  it('says how many bytes it wants next', () => {
    const framer = new Framer(LIMITS);
    const bytes = header(20);
    expect(framer.missing).toBe(16);
    framer.feed(bytes.subarray(0, 10));
    expect(framer.missing).toBe(6);
    framer.feed(bytes.subarray(10, 16));
    expect(framer.missing).toBe(4);
    framer.feed(bytes.subarray(16));
    expect(framer.missing).toBe(16);
  });

  it.each([0, 15, 4097, 0xffff_ffff])('is broken by a message of %i bytes, and closes what it has', (size) => {
    const framer = new Framer(LIMITS);
    const file = new EventFile();
    framer.feed(header(16), [file.descriptor()]);
    framer.feed(header(size, 16).subarray(0, 8), [file.descriptor()]);
    framer.feed(header(size, 16).subarray(8), [file.descriptor()]);
    expect(framer.broken).toBe(`a message of ${size} bytes`);
    expect(file.open).toBe(1);
    framer.feed(header(16), [file.descriptor()]);
    expect(framer.next()?.descriptors).toHaveLength(1);
    expect(framer.next()).toBeUndefined();
    expect(file.open).toBe(1);
  });

  it('takes a message of exactly the limit', () => {
    const framer = new Framer(LIMITS);
    framer.feed(header(4096));
    expect(framer.next()?.bytes).toHaveLength(4096);
  });

  it('is broken by more descriptors than the limit, however they come', () => {
    const framer = new Framer(LIMITS);
    const file = new EventFile();
    for (let at = 0; at < 5; at += 1) framer.feed(header(16).subarray(at, at + 1), [file.descriptor()]);
    expect(framer.broken).toBe('a message with 5 descriptors');
    expect(file.open).toBe(0);
  });

  it('closes descriptors that come with no byte', () => {
    const framer = new Framer(LIMITS);
    const file = new EventFile();
    framer.feed(new Uint8Array(0), [file.descriptor()]);
    expect(file.open).toBe(0);
  });

  it('at its end closes what half messages and whole ones have', () => {
    const framer = new Framer(LIMITS);
    const file = new EventFile();
    framer.feed(header(16), [file.descriptor()]);
    framer.feed(header(16).subarray(0, 3), [file.descriptor()]);
    framer.end();
    expect(file.open).toBe(0);
    expect(framer.next()).toBeUndefined();
  });
});

function header(size: number, length = size): Uint8Array {
  const bytes = new Uint8Array(length);
  encodeHeader(bytes, { id: 0, command: 13, size, flags: 0, error: 0 });
  return bytes;
}
