import {
  EBUSY,
  EEXIST,
  EINVAL,
  EIO,
  ENOTCONN,
  ENOTTY,
  VFIO_DEVICE_FEATURE_GET,
  VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE,
  VFIO_DEVICE_FEATURE_MIGRATION,
  VFIO_DEVICE_FEATURE_SET,
} from '@vsim/vfio-core';
import { describe, expect, it } from 'vitest';
import { BUSY, FakeDevice, REGISTERS } from '../../test/fake-device.ts';
import { ServerSession, type ServerOptions } from '../server/server-session.ts';
import type { Received } from '../wire/channel.ts';
import { commandNames, COMMANDS } from '../wire/commands.ts';
import type { Descriptor } from '../wire/descriptor.ts';
import { encodeCommand, encodeError, encodeReply } from '../wire/encode.ts';
import { decodeHeader, encodeHeader } from '../wire/header.ts';
import { JoinedChannel } from '../wire/joined.ts';
import { EventFile, MemoryFile } from '../wire/memory-files.ts';
import type { Command, Reply } from '../wire/messages.ts';
import { ClientSession, type DmaTarget } from './client-session.ts';
import { RemoteDevice } from './remote-device.ts';

const NONE = new Uint8Array(0);
const INFO: Command = { name: 'DEVICE_GET_INFO', argsz: 16, flags: 0, regions: 0, irqs: 0 };

class Ram implements DmaTarget {
  readonly bytes: Uint8Array = new Uint8Array(0x4000);
  read(iova: bigint, into: Uint8Array): number {
    if (iova + BigInt(into.length) > 0x3000n) return -EBUSY;
    into.set(this.bytes.subarray(Number(iova), Number(iova) + into.length));
    return 0;
  }
  write(iova: bigint, from: Uint8Array): number {
    if (iova + BigInt(from.length) > 0x3000n) return -EBUSY;
    this.bytes.set(from, Number(iova));
    return 0;
  }
}

/** A client and a server over a fake device. */
function connected(options: ServerOptions = {}) {
  const [clientSide, serverSide] = JoinedChannel.pair();
  const device = new FakeDevice();
  const server = new ServerSession(serverSide, device, options);
  const ram = new Ram();
  const client = new ClientSession(clientSide, ram);
  serverSide.attend(server);
  clientSide.attend(client);
  expect(client.negotiate()).toMatchObject({ peer: { maxMsgFds: 16 } });
  return { client, device, remote: new RemoteDevice(client), ram, server };
}

/** A client whose server is this test. */
function alone(answer: (received: Received, send: (bytes: Uint8Array, descriptors?: readonly Descriptor[]) => void) => void) {
  const [clientSide, serverSide] = JoinedChannel.pair();
  const ram = new Ram();
  const client = new ClientSession(clientSide, ram);
  clientSide.attend(client);
  serverSide.attend({
    queued: 0,
    step: () => {
      const received = serverSide.receive()!;
      const header = decodeHeader(received.bytes)!;
      if (header.command === COMMANDS.VERSION && client.agreement === undefined) serverSide.send(encodeReply(header.id, 'VERSION', { name: 'VERSION', major: 0, minor: 0, text: undefined }));
      else answer(received, (bytes, descriptors) => serverSide.send(bytes, descriptors));
      return true;
    },
  });
  client.negotiate();
  return { client, ram, serverSide };
}

describe('a client and a server', () => {
  it('agree on what both can', () => {
    const { client } = connected({ maxDmaMaps: 7 });
    expect(client.agreement?.peer).toEqual({ maxMsgFds: 16, maxDataXferSize: 1_048_576, maxDmaMaps: 7, pageSizes: 4096, migration: undefined, writeMultiple: true });
  });

  it('tell of the device, its regions and interrupts', () => {
    const { remote, device } = connected();
    expect(remote.info()).toMatchObject({ flags: 3, regions: 9, irqs: 5 });
    expect(remote.irq(2)).toMatchObject({ count: 4 });
    expect(remote.irq(9)).toBe(-EINVAL);
    expect(remote.region(0)).toEqual({ flags: 3, length: 4096n, offset: 0n, capabilities: [], memory: undefined });
    const region = remote.region(2);
    if (typeof region === 'number') throw new Error(String(region));
    expect(region.capabilities.map(({ id }) => id)).toEqual([99, 1]);
    expect(device.memory.open).toBe(1);
    region.memory?.close();
    expect(device.memory.open).toBe(0);
    expect(remote.regionIoFds(0, 4)).toEqual({ ioFds: [], descriptors: [] });
    expect(remote.regionIoFds(9, 4)).toBe(-EINVAL);
  });

  it('read and write, in pieces that the server takes', () => {
    const { remote, device } = connected({ maxDataXferSize: 4 });
    expect(remote.write(0, 0x40n, Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8, 9))).toBe(9);
    expect(device.calls.get('write')).toBe(3);
    const bytes = new Uint8Array(9);
    expect(remote.read(0, 0x40n, bytes)).toBe(9);
    expect([...bytes]).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect(remote.read(0, 0xffen, bytes)).toBe(-EINVAL);
    expect(remote.read(0, 0xffcn, bytes)).toBe(4);
    expect(remote.write(0, 0n, NONE)).toBe(0);
  });

  it('post writes, which are done before the next answer', () => {
    const { remote, device } = connected({ maxDataXferSize: 2 });
    remote.postWrite(0, 0x40n, Uint8Array.of(1, 2, 3));
    remote.postWrite(0, 0x1000n, Uint8Array.of(1));
    const bytes = new Uint8Array(2);
    expect(remote.read(0, 0x41n, bytes)).toBe(2);
    expect([...bytes]).toEqual([2, 3]);
    expect(device.calls.get('write')).toBe(2);
  });

  it('write many at once, where they agreed on it', () => {
    const { remote, device } = connected();
    expect(remote.writeMulti([1, 2].map((value) => ({ offset: BigInt(value), region: 0, data: Uint8Array.of(value) })))).toBe(2);
    expect([...device.regions[0]!.subarray(0, 3)]).toEqual([0, 1, 2]);
    expect(connected({ writeMultiple: false }).remote.writeMulti([])).toBe(-EINVAL);
  });

  it('map memory with many commands on their way, each with its own answer', () => {
    const { remote, device } = connected();
    const file = new MemoryFile(0x2000);
    const memory = file.descriptor();
    const ids = [0x1000n, 0x1000n, 0x3000n].map((iova) => remote.postMapDma(iova, 0x1000n, 3, memory));
    const unmapped = remote.postUnmapDma(0x1000n, 0x1000n);
    expect(device.maps).toHaveLength(0);
    expect([unmapped, ...ids.reverse()].map((id) => remote.finish(id))).toEqual([0, 0, -EEXIST, 0]);
    expect(device.maps.map(({ iova }) => iova)).toEqual([0x3000n]);
    expect(remote.mapDma(0x5000n, 0x1000n, 1, memory, 0x1000n)).toBe(0);
    expect(remote.mapDma(0x6000n, 0x1000n, 1, memory, 0x2000n)).toBe(-EINVAL);
    expect(remote.unmapDma(0n, 0n, 2)).toBe(0);
    memory.close();
    expect([file.open, file.mapped]).toEqual([0, 0]);
  });

  it('move memory that is not shared by messages, also while other commands are on their way', () => {
    const { remote, ram, device, client } = connected();
    remote.mapDma(0n, 0x4000n, 3);
    ram.bytes.set([1, 2, 3], 0x100);
    remote.write(0, BigInt(REGISTERS.IOVA), Uint8Array.of(0, 1, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0));
    const go = client.post({ name: 'REGION_WRITE', offset: BigInt(REGISTERS.GO), region: 0, count: 1, data: Uint8Array.of(1) });
    const info = client.post(INFO);
    expect(client.await(info)).toMatchObject({ reply: { regions: 9 } });
    expect(client.await(go)).toMatchObject({ reply: { count: 1 } });
    expect([...device.memory.bytes.subarray(0, 3)]).toEqual([1, 2, 3]);
    remote.write(0, BigInt(REGISTERS.IOVA), Uint8Array.of(0, 0x20));
    remote.write(0, BigInt(REGISTERS.GO), Uint8Array.of(2));
    expect([...ram.bytes.subarray(0x2000, 0x2003)]).toEqual([1, 2, 3]);
    remote.write(0, BigInt(REGISTERS.IOVA), Uint8Array.of(0, 0x30));
    remote.write(0, BigInt(REGISTERS.GO), Uint8Array.of(1));
    expect(device.memory.bytes[0]).toBe(255);
  });

  it('wire interrupts, and take them away', () => {
    const { remote } = connected();
    const file = new EventFile();
    const eventfd = file.descriptor();
    expect(remote.setIrqs({ flags: 0x24, index: 2, start: 1, count: 1 }, [eventfd])).toBe(0);
    remote.write(0, BigInt(REGISTERS.RAISE), Uint8Array.of(1));
    expect(file.take()).toBe(1);
    expect(remote.setIrqs({ flags: 0x24, index: 2, start: 1, count: 1 })).toBe(0);
    expect(remote.setIrqs({ flags: 0x22, index: 2, start: 0, count: 2, data: Uint8Array.of(0, 1) })).toBe(0);
    expect(remote.setIrqs({ flags: 0x24, index: 2, start: 9, count: 1 }, [eventfd])).toBe(-EINVAL);
    eventfd.close();
    expect(file.open).toBe(0);
  });

  it('reset, and migrate', () => {
    const { remote, device } = connected({ maxDataXferSize: 16 });
    expect(remote.reset()).toBe(0);
    expect(remote.feature(VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_MIGRATION, NONE, 8)).toEqual(Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0));
    expect(remote.feature(VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_MIGRATION, NONE, 7)).toBe(-EINVAL);
    expect(remote.feature(VFIO_DEVICE_FEATURE_GET | 40, NONE, 8)).toBe(-ENOTTY);
    remote.feature(VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE, Uint8Array.of(3, 0, 0, 0, 0, 0, 0, 0), 8);
    device.state = Array.from({ length: 40 }, (_, i) => i);
    const state = new Uint8Array(100);
    expect(remote.readState(state)).toBe(40);
    remote.feature(VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE, Uint8Array.of(4, 0, 0, 0, 0, 0, 0, 0), 8);
    expect(remote.writeState(state.subarray(0, 40))).toBe(40);
    expect(device.taken).toEqual(Array.from({ length: 40 }, (_, i) => i));
    device.migrationState = 2;
    expect(remote.writeState(state)).toBe(-EINVAL);
  });

  it('tell what the device refuses', () => {
    const { remote, device } = connected();
    device.refuse = BUSY;
    expect(remote.write(0, 0n, Uint8Array.of(1))).toBe(-EBUSY);
  });

  it('part: the server learns that the client is gone, once', () => {
    const { client, device, remote, server } = connected();
    const file = new EventFile();
    const eventfd = file.descriptor();
    remote.setIrqs({ flags: 0x24, index: 2, start: 0, count: 1 }, [eventfd]);
    eventfd.close();
    client.close();
    server.serve();
    expect([device.disconnects, file.open]).toEqual([1, 0]);
    expect(remote.info()).toBe(-ENOTCONN);
    expect(client.step()).toBe(false);
    remote.postWrite(0, 0n, Uint8Array.of(1));
  });

  it('part: the client learns that the server is gone', () => {
    const { client, remote, server } = connected();
    const info = client.post(INFO);
    server.end();
    expect(client.await(info)).toMatchObject({ errno: ENOTCONN, reason: 'the server is gone' });
    expect(remote.reset()).toBe(-ENOTCONN);
  });
});

describe('a server that is not to be trusted', () => {
  const wrong: readonly (readonly [string, (id: number) => Uint8Array])[] = [
    ['half a header', () => new Uint8Array(8)],
    ['a reply of another size than it says', (id) => encodeReply(id, 'DEVICE_GET_INFO', INFO).subarray(0, 24)],
    ['a reply of another id', (id) => encodeReply(id + 1, 'DEVICE_GET_INFO', INFO)],
    ['a reply to another command', (id) => encodeReply(id, 'DEVICE_RESET', { name: 'DONE' })],
    ['a reply without its payload', (id) => cut(encodeReply(id, 'DEVICE_GET_INFO', INFO), 16)],
    ['a reply with more than there is room for', (id) => encodeReply(id, 'DEVICE_GET_INFO', { ...INFO, argsz: 15 })],
    ['an error with a payload', (id) => flagged(encodeReply(id, 'DEVICE_GET_INFO', INFO), 0x21)],
    ['a message of another type', (id) => flagged(encodeReply(id, 'DEVICE_GET_INFO', INFO), 3)],
  ];

  it.each(wrong)('%s ends the connection', (_name, make) => {
    const { client } = alone(({ bytes }, send) => send(make(decodeHeader(bytes)!.id)));
    expect(client.ask(INFO)).toMatchObject({ errno: ENOTCONN });
    expect(client.over).toBeDefined();
    expect(client.ask(INFO)).toMatchObject({ errno: ENOTCONN });
  });

  function cut(bytes: Uint8Array, size: number): Uint8Array {
    const header = decodeHeader(bytes)!;
    const short = bytes.slice(0, size);
    encodeHeader(short, { ...header, size });
    return short;
  }

  function flagged(bytes: Uint8Array, flags: number): Uint8Array {
    encodeHeader(bytes, { ...decodeHeader(bytes)!, flags });
    return bytes;
  }

  const access: Command = { name: 'REGION_READ', offset: 8n, region: 0, count: 4, data: NONE };
  const region: Command = { name: 'DEVICE_GET_REGION_INFO', argsz: 64, flags: 0, index: 2, capOffset: 0, length: 0n, offset: 0n, capabilities: NONE };
  const other: readonly (readonly [string, Command, Reply, number])[] = [
    ['a read of another offset', access, { ...access, offset: 9n, data: new Uint8Array(4) }, 0],
    ['a read of another region', access, { ...access, region: 1, data: new Uint8Array(4) }, 0],
    ['a read of more', access, { ...access, count: 5, data: new Uint8Array(5) }, 0],
    ['a read with a descriptor', access, { ...access, data: new Uint8Array(4) }, 1],
    ['another region', region, { ...region, index: 1 }, 0],
    ['a region to map without a descriptor', region, { ...region, argsz: 32, flags: 4 }, 0],
    ['a region with a descriptor that is not to map', region, { ...region, argsz: 32, flags: 3 }, 1],
    ['a region with two descriptors', region, { ...region, argsz: 32, flags: 4 }, 2],
    ['a region that has no room, with a descriptor', region, { ...region, argsz: 128, flags: 4 }, 1],
    ['capabilities within the fixed part', region, { ...region, argsz: 40, flags: 8, capOffset: 8, capabilities: new Uint8Array(8) }, 0],
    ['more of a region than there is room for', region, { ...region, argsz: 80, flags: 0, capabilities: new Uint8Array(48) }, 0],
    ['interrupts of another kind', { name: 'DEVICE_GET_IRQ_INFO', argsz: 16, flags: 0, index: 1, count: 0 }, { name: 'DEVICE_GET_IRQ_INFO', argsz: 16, flags: 0, index: 2, count: 0 }, 0],
    ['more writes than there were', { name: 'REGION_WRITE_MULTI', count: 0n, writes: [] }, { name: 'REGION_WRITE_MULTI', count: 1n, writes: [] }, 0],
    ['another feature', { name: 'DEVICE_FEATURE', argsz: 16, flags: 1, data: NONE }, { name: 'DEVICE_FEATURE', argsz: 8, flags: 2, data: NONE }, 0],
    ['more state than was asked for', { name: 'MIG_DATA_READ', argsz: 100, length: 4, data: NONE }, { name: 'MIG_DATA_READ', argsz: 13, length: 5, data: new Uint8Array(5) }, 0],
    ['memory elsewhere', { name: 'DMA_UNMAP', argsz: 24, flags: 0, iova: 0n, length: 4096n }, { name: 'DMA_UNMAP', argsz: 24, flags: 0, iova: 4096n, length: 4096n }, 0],
    ['descriptors that are not there', { name: 'DEVICE_GET_REGION_IO_FDS', argsz: 100, flags: 0, index: 0, count: 0, ioFds: [] }, { name: 'DEVICE_GET_REGION_IO_FDS', argsz: 56, flags: 0, index: 0, count: 1, ioFds: [{ offset: 0n, length: 1n, fdIndex: 1, type: 0, flags: 0, data: 0n }] }, 1],
  ];

  it.each(other)('%s ends the connection, and descriptors are closed', (_name, command, reply, count) => {
    const file = new EventFile();
    const descriptors = Array.from({ length: count }, () => file.descriptor());
    const { client } = alone(({ bytes }, send) => send(encodeReply(decodeHeader(bytes)!.id, command.name, reply), descriptors));
    expect(client.ask(command)).toMatchObject({ errno: ENOTCONN });
    expect(client.over).toBeDefined();
    for (const descriptor of descriptors) descriptor.close();
    expect(file.open).toBe(0);
  });

  it('a refusal without an errno is EIO, and one of a command leaves the connection', () => {
    let errno = 0;
    const { client } = alone(({ bytes }, send) => {
      const { id, command } = decodeHeader(bytes)!;
      send(encodeError(id, command, errno));
      errno = ENOTTY;
    });
    expect(client.ask(INFO)).toMatchObject({ errno: EIO });
    expect(client.ask(INFO)).toMatchObject({ errno: ENOTTY });
    expect(client.over).toBeUndefined();
  });

  it('a second reply ends the connection, and the first one is kept', () => {
    const { client } = alone(({ bytes }, send) => {
      const { id } = decodeHeader(bytes)!;
      send(encodeReply(id, 'DEVICE_GET_INFO', INFO));
      send(encodeReply(id, 'DEVICE_GET_INFO', INFO));
    });
    const first = client.post(INFO);
    expect(client.step()).toBe(true);
    expect(client.step()).toBe(false);
    expect(client.over).toBe(`a reply to ${first}, which nobody waits for`);
    expect(client.await(first)).toMatchObject({ reply: INFO });
  });

  it('descriptors of an answer that nobody takes are closed with the session', () => {
    const file = new MemoryFile(4096);
    const memory = file.descriptor();
    const { client } = alone(({ bytes }, send) => send(encodeReply(decodeHeader(bytes)!.id, 'DEVICE_GET_REGION_INFO', { ...region, argsz: 32, flags: 4 }), [memory]));
    const id = client.post(region);
    client.step();
    memory.close();
    expect(file.open).toBe(1);
    client.close();
    expect(file.open).toBe(0);
    expect(client.await(id)).toMatchObject({ errno: ENOTCONN });
  });

  it('capabilities that lead nowhere are -EINVAL or -EIO, and no descriptor is left', () => {
    const file = new MemoryFile(4096);
    const memory = file.descriptor();
    let reply = { ...region, argsz: 1 << 20, flags: 3 };
    const { client } = alone(({ bytes }, send) => send(encodeReply(decodeHeader(bytes)!.id, 'DEVICE_GET_REGION_INFO', reply), (reply.flags & 4) === 0 ? [] : [memory]));
    const remote = new RemoteDevice(client);
    expect(remote.region(2)).toBe(-EINVAL);
    reply = { ...region, argsz: 32, flags: 12, capOffset: 32 };
    expect(remote.region(2)).toMatchObject({ capabilities: [] });
    memory.close();
  });

  it.each(commandNames())('%s of a server is answered, or refused, and the connection goes on', (name) => {
    const answers: number[] = [];
    const { client, serverSide, ram } = alone(({ bytes }) => answers.push(decodeHeader(bytes)!.error));
    ram.bytes[3] = 9;
    const commands: Partial<Record<string, Command>> = { DMA_READ: { name: 'DMA_READ', iova: 3n, count: 1n, data: NONE }, DMA_WRITE: { name: 'DMA_WRITE', iova: 4n, count: 1n, data: Uint8Array.of(8) } };
    const command = commands[name];
    const bytes = command === undefined ? new Uint8Array(16) : encodeCommand(5, command);
    if (command === undefined) encodeHeader(bytes, { id: 5, command: COMMANDS[name], size: 16, flags: 0, error: 0 });
    serverSide.send(bytes);
    expect(client.step()).toBe(true);
    const { error, id } = decodeHeader(serverSide.receive()!.bytes)!;
    expect(id).toBe(5);
    expect(error).toBe(command !== undefined ? 0 : name === 'DEVICE_RESET' ? ENOTTY : EINVAL);
    if (name === 'DMA_WRITE') expect(ram.bytes[4]).toBe(8);
  });

  it.each([
    ['more than a message may have', { name: 'DMA_READ', iova: 0n, count: 1_048_577n, data: NONE }, EINVAL],
    ['what the client has not', { name: 'DMA_READ', iova: 0x3000n, count: 1n, data: NONE }, EBUSY],
    ['a write to what the client has not', { name: 'DMA_WRITE', iova: 0x3000n, count: 1n, data: Uint8Array.of(1) }, EBUSY],
  ] as const)('an access to %s is refused', (_name, command, errno) => {
    const { client, serverSide } = alone(() => undefined);
    serverSide.send(encodeCommand(9, command));
    client.step();
    expect(decodeHeader(serverSide.receive()!.bytes)).toEqual({ id: 9, command: COMMANDS[command.name], size: 16, flags: 0x21, error: errno });
  });

  it('an access with descriptors is refused, and they are closed', () => {
    const { client, serverSide } = alone(() => undefined);
    const file = new EventFile();
    const eventfd = file.descriptor();
    serverSide.send(encodeCommand(9, { name: 'DMA_READ', iova: 0n, count: 1n, data: NONE }), [eventfd]);
    client.step();
    expect(decodeHeader(serverSide.receive()!.bytes)?.error).toBe(EINVAL);
    eventfd.close();
    expect(file.open).toBe(0);
  });

  it('an access before the version is agreed on is refused', () => {
    const [clientSide, serverSide] = JoinedChannel.pair();
    const client = new ClientSession(clientSide, new Ram());
    serverSide.send(encodeCommand(9, { name: 'DMA_READ', iova: 0n, count: 1n, data: NONE }));
    client.step();
    expect(decodeHeader(serverSide.receive()!.bytes)?.error).toBe(EINVAL);
  });

  it.each([
    ['another major version', { name: 'VERSION', major: 1, minor: 0, text: undefined }],
    ['a newer minor version', { name: 'VERSION', major: 0, minor: 1, text: undefined }],
    ['a text that is none', { name: 'VERSION', major: 0, minor: 0, text: '{' }],
  ] as const)('%s ends the connection', (_name, reply) => {
    const [clientSide, serverSide] = JoinedChannel.pair();
    const client = new ClientSession(clientSide, new Ram());
    serverSide.send(encodeReply(0, 'VERSION', reply));
    expect(client.negotiate()).toMatchObject({ errno: EINVAL });
    expect(client.over).toBeDefined();
    expect(client.agreement).toBeUndefined();
  });
});

describe('ids', () => {
  it('are not given twice while they wait, and can run out', () => {
    const [clientSide] = JoinedChannel.pair();
    const client = new ClientSession(clientSide, new Ram());
    const ids = new Set(Array.from({ length: 65_536 }, () => client.post(INFO)));
    expect(ids.size).toBe(65_536);
    expect(() => client.post(INFO)).toThrow(RangeError);
    client.tell(INFO);
    client.await(7);
    expect(() => client.await(7)).toThrow(RangeError);
    expect(client.post(INFO)).toBe(7);
  });
});
