import { ftruncateSync, fstatSync, readSync, writeSync, readdirSync, openSync } from 'node:fs';
import { EINVAL, ENODEV } from '@vsim/vfio-core';
import { afterEach, describe, expect, it } from 'vitest';
import { FakeDevice } from '../../test/fake-device.ts';
import { ServerSession } from '../server/server-session.ts';
import { encodeCommand } from '../wire/encode.ts';
import { decodeHeader } from '../wire/header.ts';
import { eventfd, EFD_FLAGS, memfdCreate, MFD_CLOEXEC } from './libc.ts';
import { RealDescriptor } from './real-descriptor.ts';
import { SocketChannel } from './socket-channel.ts';
import { connectedPair } from './unix-socket.ts';

const PAGE = 4096;
const QUIET = { listen: () => () => undefined };
const opened: SocketChannel[] = [];

function pair(largest?: number): readonly [SocketChannel, SocketChannel] {
  const channels = connectedPair().map((fd) => new SocketChannel(fd, largest === undefined ? {} : { largest }));
  opened.push(...channels);
  return [channels[0]!, channels[1]!];
}

function descriptorsOpen(): number {
  return readdirSync('/proc/self/fd').length;
}

function memfd(size: number): number {
  const fd = memfdCreate('test', MFD_CLOEXEC);
  ftruncateSync(fd, size);
  return fd;
}

afterEach(() => {
  for (const channel of opened.splice(0)) channel.close();
});

describe('a socket as a channel', () => {
  it('keeps messages whole, in order, and of any size up to its limit', () => {
    const [a, b] = pair();
    const messages = [16, 17, 4096, 100_000].map((size, id) => {
      const bytes = new Uint8Array(size).fill(id + 1);
      new DataView(bytes.buffer).setUint32(4, size, true);
      return bytes;
    });
    for (const message of messages) a.send(message);
    expect(messages.map(() => b.receive()?.bytes)).toEqual(messages);
  });

  it('brings descriptors with the message that they were sent with, closed on exec', () => {
    const [a, b] = pair();
    const message = (id: number): Uint8Array => encodeCommand(id, { name: 'DEVICE_RESET' });
    const event = new RealDescriptor(eventfd(0, EFD_FLAGS), QUIET);
    a.send(message(1));
    a.send(message(2), [event, event]);
    a.send(message(3));
    const got = [b.receive()!, b.receive()!, b.receive()!];
    expect(got.map(({ bytes, descriptors }) => [decodeHeader(bytes)?.id, descriptors.length])).toEqual([[1, 0], [2, 2], [3, 0]]);
    expect(got[1]!.descriptors[0]?.signal()).toBe(true);
    const count = new BigUint64Array(1);
    readSync(event.fd, new Uint8Array(count.buffer));
    expect(count[0]).toBe(1n);
    for (const descriptor of [event, ...got[1]!.descriptors]) descriptor.close();
  });

  it('ends at a message that is longer than its limit, or shorter than a header, or half, and keeps none of its descriptors', () => {
    const before = descriptorsOpen();
    for (const size of [15, 0, 4097, 0xffff_ffff, 100]) {
      const [a, b] = pair(PAGE);
      const bytes = new Uint8Array(16);
      new DataView(bytes.buffer).setUint32(4, size, true);
      const event = new RealDescriptor(eventfd(0, EFD_FLAGS), QUIET);
      a.send(bytes, [event]);
      event.close();
      a.close();
      expect([size, b.receive()]).toEqual([size, undefined]);
      b.close();
    }
    expect(descriptorsOpen()).toBe(before);
  });

  it('takes a message as long as its limit, and none that is longer', () => {
    const taken = [PAGE, PAGE + 1].map((size) => {
      const [a, b] = pair(PAGE);
      const message = new Uint8Array(size);
      new DataView(message.buffer).setUint32(4, size, true);
      a.send(message);
      return b.receive()?.bytes.length;
    });
    expect(taken).toEqual([PAGE, undefined]);
  });

  it('says nothing where the other side is gone, and nothing is received', () => {
    const [a, b] = pair();
    b.close();
    a.send(encodeCommand(1, { name: 'DEVICE_RESET' }));
    expect(a.receive()).toBeUndefined();
  });

  it('lends each message until the next, in one view for all of a size, and what comes meanwhile leaves it alone', () => {
    const [a, b] = pair();
    const message = (id: number): Uint8Array => encodeCommand(id, { name: 'DEVICE_GET_INFO', argsz: 16, flags: 0, regions: 0, irqs: 0 });
    a.send(message(1));
    const lent = b.borrow()!.bytes;
    a.send(message(2));
    const kept = b.receive()!.bytes;
    expect([lent, kept]).toEqual([message(1), message(2)]);
    a.send(message(3));
    expect(b.borrow()!.bytes).toBe(lent);
    expect([lent, kept]).toEqual([message(3), message(2)]);
  });

  it('takes several messages that came at once, a half one too, in their order and with their descriptors', () => {
    const [a, b] = pair();
    const event = new RealDescriptor(eventfd(0, EFD_FLAGS), QUIET);
    const [one, two, three] = [1, 2, 3].map((id) => encodeCommand(id, { name: 'DEVICE_RESET' }));
    const bytes = Uint8Array.of(...one!, ...two!, ...three!);
    a.send(bytes.subarray(0, 37));
    a.send(bytes.subarray(37), [event]);
    a.send(one!, [event]);
    const got = [b.borrow()!, b.borrow()!, b.borrow()!, b.borrow()!];
    expect(got.map(({ bytes: each, descriptors }) => [decodeHeader(each)?.id, descriptors.length])).toEqual([[1, 0], [2, 0], [3, 1], [1, 1]]);
    for (const descriptor of [event, ...got.flatMap(({ descriptors }) => descriptors)]) descriptor.close();
  });

  it('tells who listens to an eventfd before it looks at a message that came with the last one, and does not wait', () => {
    const [a, b] = pair();
    const event = new RealDescriptor(eventfd(0, EFD_FLAGS), QUIET);
    a.send(encodeCommand(1, { name: 'DEVICE_RESET' }), [event]);
    const [mine] = b.receive()!.descriptors;
    let told = 0;
    const end = mine!.listen(() => (told += 1));
    a.send(Uint8Array.of(...encodeCommand(2, { name: 'DEVICE_RESET' }), ...encodeCommand(3, { name: 'DEVICE_RESET' })));
    expect([decodeHeader(b.receive()!.bytes)?.id, told]).toEqual([2, 0]);
    event.signal();
    expect([decodeHeader(b.receive()!.bytes)?.id, told]).toEqual([3, 1]);
    end?.();
    for (const descriptor of [event, mine!]) descriptor.close();
  });

  it('tells who listens to an eventfd before it looks at the next message', () => {
    const [a, b] = pair();
    const event = new RealDescriptor(eventfd(0, EFD_FLAGS), QUIET);
    a.send(encodeCommand(1, { name: 'DEVICE_RESET' }), [event]);
    const [mine] = b.receive()!.descriptors;
    let told = 0;
    const end = mine!.listen(() => (told += 1));
    event.signal();
    a.send(encodeCommand(2, { name: 'DEVICE_RESET' }));
    b.receive();
    expect(told).toBe(1);
    end?.();
    event.signal();
    a.send(encodeCommand(3, { name: 'DEVICE_RESET' }));
    b.receive();
    expect(told).toBe(1);
    for (const descriptor of [event, mine!]) descriptor.close();
  });
});

describe('a descriptor of this process', () => {
  it('that is a memfd is memory, shared with who has it, also once it is closed', () => {
    const fd = memfd(4 * PAGE);
    const descriptor = new RealDescriptor(fd, QUIET);
    const memory = descriptor.map(PAGE, 2 * PAGE);
    if (typeof memory === 'number') throw new Error(`errno ${memory}`);
    const other = descriptor.duplicate();
    descriptor.close();
    writeSync(other.fd, Uint8Array.of(1, 2, 3), 0, 3, PAGE + 10);
    const bytes = new Uint8Array(4);
    memory.read(10, bytes);
    expect([...bytes]).toEqual([1, 2, 3, 0]);
    memory.write(2 * PAGE - 2, Uint8Array.of(8, 9));
    readSync(other.fd, bytes, 0, 2, 3 * PAGE - 2);
    expect([...bytes.subarray(0, 2)]).toEqual([8, 9]);
    memory.unmap();
    other.close();
  });

  it('is no memory where it is an eventfd, or ends before', () => {
    const event = new RealDescriptor(eventfd(0, EFD_FLAGS), QUIET);
    const short = new RealDescriptor(memfd(PAGE), QUIET);
    expect([event.map(0, PAGE), short.map(PAGE, PAGE), short.map(0, 2 * PAGE)]).toEqual([-ENODEV, -EINVAL, -EINVAL]);
    for (const descriptor of [event, short]) descriptor.close();
  });

  it('reads ones where the other side has cut its file, behind its end, and after unmap(); and stores nothing there', () => {
    const fd = memfd(2 * PAGE);
    const descriptor = new RealDescriptor(fd, QUIET);
    const memory = descriptor.map(0, 2 * PAGE);
    if (typeof memory === 'number') throw new Error(`errno ${memory}`);
    ftruncateSync(fd, PAGE);
    const bytes = new Uint8Array(4);
    memory.read(PAGE - 2, bytes);
    expect([...bytes]).toEqual([0, 0, 0xff, 0xff]);
    memory.read(2 * PAGE - 2, bytes.fill(0));
    expect([...bytes]).toEqual([0xff, 0xff, 0xff, 0xff]);
    memory.unmap();
    memory.write(0, Uint8Array.of(5));
    memory.read(0, bytes.fill(0));
    expect([...bytes]).toEqual([0xff, 0xff, 0xff, 0xff]);
    expect(fstatSync(fd).size).toBe(PAGE);
    descriptor.close();
  });

  it('has one number for all mappings of a file, given back with the last', () => {
    const before = descriptorsOpen();
    const descriptor = new RealDescriptor(memfd(100 * PAGE), QUIET);
    const memories = Array.from({ length: 100 }, (_, page) => descriptor.map(page * PAGE, PAGE));
    expect(descriptorsOpen()).toBe(before + 2);
    descriptor.close();
    for (const memory of memories) if (typeof memory !== 'number') memory.unmap();
    expect(descriptorsOpen()).toBe(before);
  });

  it('that can only be read does not keep a later one of the same file from being written', () => {
    const fd = memfd(PAGE);
    const descriptors = [openSync(`/proc/self/fd/${fd}`, 'r'), fd].map((each) => new RealDescriptor(each, QUIET));
    const [readOnly, both] = descriptors.map((descriptor) => descriptor.map(0, PAGE));
    if (typeof readOnly !== 'object' || typeof both !== 'object') throw new Error('a memfd was not mapped');
    const bytes = new Uint8Array(2);
    readOnly.write(0, Uint8Array.of(7));
    both.write(1, Uint8Array.of(8));
    both.read(0, bytes);
    expect([...bytes]).toEqual([0, 8]);
    for (const each of [readOnly, both]) each.unmap();
    for (const descriptor of descriptors) descriptor.close();
  });

  it('does not wait for room in an eventfd that is full', () => {
    const descriptor = new RealDescriptor(eventfd(0, 0), QUIET);
    writeSync(descriptor.fd, new Uint8Array(new BigUint64Array([0xffff_ffff_ffff_fffen]).buffer));
    expect(descriptor.signal()).toBe(true);
    descriptor.close();
  });

  it('that is a file of the disk is no eventfd', () => {
    const descriptor = new RealDescriptor(openSync('/proc/self/status', 'r'), QUIET);
    expect([descriptor.signal(), descriptor.listen(() => undefined)]).toEqual([false, undefined]);
    descriptor.close();
  });
});

it('a server over a socket answers as it does in memory, and gives every descriptor back', () => {
  const before = descriptorsOpen();
  const [client, server] = pair();
  const session = new ServerSession(server, new FakeDevice());
  const ask = (bytes: Uint8Array, descriptors: readonly RealDescriptor[] = []): number => {
    client.send(bytes, descriptors);
    expect(session.step()).toBe(true);
    return decodeHeader(client.receive()!.bytes)?.error ?? -1;
  };
  const memory = new RealDescriptor(memfd(16 * PAGE), QUIET);
  expect(ask(encodeCommand(1, { name: 'VERSION', major: 0, minor: 0, text: '{}' }))).toBe(0);
  expect(ask(encodeCommand(2, { name: 'DMA_MAP', argsz: 32, flags: 3, offset: 0n, iova: 0n, length: BigInt(16 * PAGE) }), [memory])).toBe(0);
  expect(ask(encodeCommand(3, { name: 'DMA_MAP', argsz: 32, flags: 3, offset: BigInt(16 * PAGE), iova: BigInt(32 * PAGE), length: BigInt(PAGE) }), [memory])).toBe(EINVAL);
  client.close();
  expect(session.step()).toBe(false);
  memory.close();
  expect(descriptorsOpen()).toBe(before);
});
