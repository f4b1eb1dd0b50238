import { ENODEV, EINVAL } from '@vsim/vfio-core';
import { describe, expect, it } from 'vitest';
import { JoinedChannel } from './joined.ts';
import { EventFile, MemoryFile } from './memory-files.ts';

describe('joined channels', () => {
  it('carry copies of messages in their order, with duplicates of descriptors', () => {
    const [one, two] = JoinedChannel.pair();
    const file = new EventFile();
    const eventfd = file.descriptor();
    const message = Uint8Array.of(1);
    one.send(message, [eventfd]);
    message[0] = 9;
    one.send(message);
    eventfd.close();
    expect([two.waiting, file.open]).toEqual([2, 1]);
    const received = two.receive()!;
    expect([...received.bytes]).toEqual([1]);
    received.descriptors[0]!.close();
    expect(file.open).toBe(0);
    expect([...two.receive()!.bytes]).toEqual([9]);
    expect(two.receive()).toBeUndefined();
  });

  it('tell of signals when the holder looks, not before, and not once that is ended', () => {
    const [one, two] = JoinedChannel.pair();
    const file = new EventFile();
    one.send(Uint8Array.of(1), [file.descriptor()]);
    const eventfd = two.receive()!.descriptors[0]!;
    let told = 0;
    const end = eventfd.listen(() => (told += 1))!;
    file.signal();
    expect(told).toBe(0);
    two.receive();
    expect(told).toBe(1);
    file.signal();
    end();
    two.receive();
    expect([told, file.listeners]).toEqual([1, 0]);
  });

  it('deliver what was sent before the end, and nothing after', () => {
    const [one, two] = JoinedChannel.pair();
    const file = new EventFile();
    two.send(Uint8Array.of(1), [file.descriptor()]);
    one.send(Uint8Array.of(2));
    one.close();
    one.close();
    two.send(Uint8Array.of(3), [file.descriptor()]);
    one.send(Uint8Array.of(4));
    expect([...two.receive()!.bytes]).toEqual([2]);
    expect([two.receive(), one.receive()]).toEqual([undefined, undefined]);
    expect(file.open).toBe(2);
  });

  it('let the other side run while one waits, once', () => {
    const [one, two] = JoinedChannel.pair();
    two.attend({
      queued: 0,
      step: () => {
        const asked = two.receive()!;
        expect(two.receive()).toBeUndefined();
        two.send(asked.bytes);
        return true;
      },
    });
    one.send(Uint8Array.of(5));
    expect([...one.receive()!.bytes]).toEqual([5]);
  });
});

describe('files in memory', () => {
  it('are mapped in pages, as far as they go', () => {
    const file = new MemoryFile(0x3000);
    const memory = file.descriptor();
    expect([memory.map(8, 4096, true), memory.map(0, 8, true), memory.map(0x1000, 0x3000, true)]).toEqual([-EINVAL, -EINVAL, -EINVAL]);
    const mapping = memory.map(0x1000, 0x2000, true);
    if (typeof mapping === 'number') throw new Error(String(mapping));
    memory.close();
    memory.close();
    mapping.write(0x10, Uint8Array.of(1, 2));
    expect([...file.bytes.subarray(0x1010, 0x1012)]).toEqual([1, 2]);
    const into = new Uint8Array(2);
    mapping.read(0x1fff, into);
    expect([...into]).toEqual([255, 255]);
    mapping.write(0x1fff, into);
    expect(file.bytes[0x2fff]).toBe(0);
    expect([file.open, file.mapped]).toEqual([0, 1]);
    mapping.unmap();
    mapping.unmap();
    mapping.read(0, into);
    expect([...into, file.mapped]).toEqual([255, 255, 0]);
    expect([memory.signal(), memory.listen(() => undefined)]).toEqual([false, undefined]);
  });

  it('are no memory where they are eventfds', () => {
    const file = new EventFile();
    const eventfd = file.descriptor();
    expect(eventfd.map(0, 4096, true)).toBe(-ENODEV);
    expect([eventfd.signal(), eventfd.duplicate().signal(), file.take(), file.take()]).toEqual([true, true, 2, 0]);
    expect(file.open).toBe(2);
  });
});
