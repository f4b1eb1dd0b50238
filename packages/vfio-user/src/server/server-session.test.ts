import {
  EBUSY,
  EEXIST,
  EINVAL,
  ENODEV,
  ENOSPC,
  ENOTTY,
  VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT,
  VFIO_DEVICE_FEATURE_DMA_LOGGING_START,
  VFIO_DEVICE_FEATURE_GET,
  VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE,
  VFIO_DEVICE_FEATURE_MIGRATION,
  VFIO_DEVICE_FEATURE_PROBE,
  VFIO_DEVICE_FEATURE_SET,
} from '@vsim/vfio-core';
import { describe, expect, it } from 'vitest';
import { BUSY, FakeDevice, REGISTERS } from '../../test/fake-device.ts';
import { RawClient } from '../../test/raw-client.ts';
import type { Received } from '../wire/channel.ts';
import { regionCapabilities, sparseAreas } from '../wire/capabilities.ts';
import { encodeCommand, encodeError, encodeReply } from '../wire/encode.ts';
import { decodeHeader, encodeHeader, FLAG_NO_REPLY, type Header } from '../wire/header.ts';
import { EventFile, MemoryFile } from '../wire/memory-files.ts';
import type { Command, DmaMapMessage, RegionInfoMessage, SetIrqsMessage } from '../wire/messages.ts';
import { decodeCommand } from '../wire/decode.ts';

const NONE = new Uint8Array(0);
const PAGE = 4096n;
const INFO: Command = { name: 'DEVICE_GET_INFO', argsz: 16, flags: 0, regions: 0, irqs: 0 };

function dmaMap(iova: bigint, length: bigint, parts: Partial<DmaMapMessage> = {}): DmaMapMessage {
  return { name: 'DMA_MAP', argsz: 32, flags: 3, offset: 0n, iova, length, ...parts };
}

function unmap(iova: bigint, length: bigint, flags = 0): Command {
  return { name: 'DMA_UNMAP', argsz: 24, flags, iova, length };
}

function setIrqs(parts: Partial<SetIrqsMessage>): SetIrqsMessage {
  return { name: 'DEVICE_SET_IRQS', argsz: 20 + (parts.data?.length ?? 0), flags: 0x24, index: 2, start: 0, count: 1, data: NONE, ...parts };
}

function regionInfo(index: number, argsz = 32): RegionInfoMessage {
  return { name: 'DEVICE_GET_REGION_INFO', argsz, flags: 0, index, capOffset: 0, length: 0n, offset: 0n, capabilities: NONE };
}

function write(offset: number, ...data: readonly number[]): Command {
  return { name: 'REGION_WRITE', offset: BigInt(offset), region: 0, count: data.length, data: Uint8Array.from(data) };
}

function read(region: number, offset: bigint, count: number): Command {
  return { name: 'REGION_READ', offset, region, count, data: NONE };
}

/** Registers of the fake device's DMA. */
function aim(client: RawClient, iova: number, length: number): void {
  client.answer(write(REGISTERS.IOVA, iova & 0xff, (iova >> 8) & 0xff, (iova >> 16) & 0xff, 0, 0, 0, 0, 0));
  client.answer(write(REGISTERS.LENGTH, length & 0xff, (length >> 8) & 0xff, (length >> 16) & 0xff, 0));
}

/** The end of a connection: the device is told once, and nothing of the client's is open. */
function expectOver(client: RawClient): void {
  expect(client.session.over).toBeDefined();
  expect(client.device.disconnects).toBe(1);
  expect(client.session.handle({ bytes: encodeCommand(1, INFO), descriptors: [] })).toBe(false);
  expect(client.channel.receive()).toBeUndefined();
  expect(client.device.disconnects).toBe(1);
}

describe('the beginning', () => {
  it('answers VERSION with what both can, in the order that QEMU’s servers have', () => {
    const client = new RawClient();
    expect(client.answer({ name: 'VERSION', major: 0, minor: 0, text: '{"capabilities":{"write_multiple":true}}' })).toMatchObject({
      text: '{"capabilities":{"max_msg_fds":16,"max_data_xfer_size":1048576,"pgsizes":4096,"write_multiple":true}}',
    });
  });

  it('does not answer what the client has not proposed', () => {
    const client = new RawClient({ migration: { pageSize: 4096, maxBitmapSize: 100 } });
    expect(client.answer({ name: 'VERSION', major: 0, minor: 0, text: undefined })).toMatchObject({ text: '{"capabilities":{"max_msg_fds":16,"max_data_xfer_size":1048576,"pgsizes":4096}}' });
    expect(client.answer({ name: 'REGION_WRITE_MULTI', count: 0n, writes: [] })).toBe(EINVAL);
  });

  it('refuses any other command, and ends the connection', () => {
    const client = new RawClient();
    expect(client.answer(INFO)).toBe(EINVAL);
    expectOver(client);
    expect(client.device.calls.get('ioctl 15207')).toBeUndefined();
  });

  it.each(['{', '[]', '{"capabilities":1}', '{"capabilities":{"max_msg_fds":"8"}}'])('refuses the text %s, and ends the connection', (text) => {
    const client = new RawClient();
    expect(client.answer({ name: 'VERSION', major: 0, minor: 0, text })).toBe(EINVAL);
    expectOver(client);
  });

  it('refuses another major version, and takes a newer minor one', () => {
    const client = new RawClient();
    expect(client.answer({ name: 'VERSION', major: 0, minor: 3, text: undefined })).toMatchObject({ major: 0, minor: 0 });
    const other = new RawClient();
    expect(other.answer({ name: 'VERSION', major: 1, minor: 0, text: undefined })).toBe(EINVAL);
    expectOver(other);
  });

  it('refuses a second VERSION, and goes on', () => {
    const client = new RawClient().negotiate();
    expect(client.answer({ name: 'VERSION', major: 0, minor: 0, text: undefined })).toBe(EINVAL);
    expect(client.answer(INFO)).toMatchObject({ regions: 9 });
  });
});

describe('messages that are none', () => {
  const bad: readonly (readonly [string, (client: RawClient) => Uint8Array])[] = [
    ['half a header', () => new Uint8Array(15)],
    ['less than its size says', () => encodeCommand(1, INFO).subarray(0, 20)],
    ['more than its size says', () => Uint8Array.of(...encodeCommand(1, INFO), 0)],
    ['a size below the header', () => header({ id: 1, command: 4, size: 15, flags: 0, error: 0 })],
    ['a giant size', () => header({ id: 1, command: 4, size: 0xffff_ffff, flags: 0, error: 0 })],
    ['a message larger than any', () => sized(1_048_576 + 49)],
    ['a reply to nothing', () => encodeReply(7, 'DEVICE_RESET', { name: 'DONE' })],
    ['an error to nothing', () => encodeError(7, 11, EINVAL)],
    ['a type that is none', () => header({ id: 1, command: 13, size: 16, flags: 2, error: 0 })],
  ];

  it.each(bad)('%s ends the connection without an answer', (_name, make) => {
    const client = new RawClient().negotiate();
    const eventfd = new EventFile();
    expect(client.raw(make(client), [eventfd.descriptor()])).toBeUndefined();
    expectOver(client);
    expect(eventfd.open).toBe(0);
  });

  it('the largest message is one', () => {
    const client = new RawClient().negotiate();
    const received = client.raw(sized(1_048_576 + 48));
    expect(decodeHeader(received!.bytes)?.error).toBe(EINVAL);
    expect(client.session.over).toBeUndefined();
  });

  function header(fields: Header): Uint8Array {
    const bytes = new Uint8Array(16);
    encodeHeader(bytes, fields);
    return bytes;
  }

  function sized(size: number): Uint8Array {
    const bytes = new Uint8Array(size);
    encodeHeader(bytes, { id: 1, command: 4, size, flags: 0, error: 0 });
    return bytes;
  }
});

describe('commands', () => {
  it.each([0, 14, 19, 0xffff])('command %i is not known, and the connection goes on', (command) => {
    const client = new RawClient().negotiate();
    const bytes = new Uint8Array(16);
    encodeHeader(bytes, { id: 9, command, size: 16, flags: 0, error: 0 });
    expect(decodeHeader(client.raw(bytes)!.bytes)).toEqual({ id: 9, command, size: 16, flags: 0x21, error: ENOTTY });
    expect(client.session.over).toBeUndefined();
  });

  it.each(['DMA_READ', 'DMA_WRITE'] as const)('%s is no command of clients', (name) => {
    const client = new RawClient().negotiate();
    expect(client.answer({ name, iova: 0n, count: 0n, data: NONE })).toBe(EINVAL);
  });

  it('a command with NO_REPLY is done without an answer, and refused without one', () => {
    const client = new RawClient().negotiate();
    expect(client.send(write(0x40, 7), [], FLAG_NO_REPLY)).toBeUndefined();
    expect(client.device.regions[0]![0x40]).toBe(7);
    expect(client.send(write(0x1000, 7), [], FLAG_NO_REPLY)).toBeUndefined();
    expect(client.send(regionInfo(2, 200), [], FLAG_NO_REPLY)).toBeUndefined();
    expect(client.device.memory.open).toBe(0);
    expect(client.answer(read(0, 0x40n, 1))).toMatchObject({ data: Uint8Array.of(7) });
  });

  it('tells who listens why a command is refused', () => {
    const told: string[] = [];
    const client = new RawClient({ refused: (command, { errno, reason }) => told.push(`${command} ${errno} ${reason}`) }).negotiate();
    client.answer(read(0, 0x1000n, 1));
    expect(told).toEqual(['9 22 an access behind the end of region 0']);
  });

  it('DEVICE_GET_INFO leaves out capabilities, which the protocol has not', () => {
    expect(new RawClient().negotiate().answer(INFO)).toEqual({ name: 'DEVICE_GET_INFO', argsz: 16, flags: 3, regions: 9, irqs: 5 });
  });

  it('DEVICE_GET_IRQ_INFO is the device’s', () => {
    const client = new RawClient().negotiate();
    const asked: Command = { name: 'DEVICE_GET_IRQ_INFO', argsz: 16, flags: 0, index: 2, count: 0 };
    expect(client.answer(asked)).toEqual({ ...asked, flags: 9, count: 4 });
    expect(client.answer({ ...asked, index: 5 })).toBe(EINVAL);
  });

  it('DEVICE_RESET resets', () => {
    const client = new RawClient().negotiate();
    expect(client.answer({ name: 'DEVICE_RESET' })).toEqual({ name: 'DONE' });
    expect(client.device.resets).toBe(1);
  });

  it('DEVICE_GET_REGION_IO_FDS has no parts, of regions that there are', () => {
    const client = new RawClient().negotiate();
    const asked: Command = { name: 'DEVICE_GET_REGION_IO_FDS', argsz: 100, flags: 0, index: 0, count: 0, ioFds: [] };
    expect(client.answer(asked)).toEqual({ ...asked, argsz: 16 });
    expect(client.answer({ ...asked, index: 9 })).toBe(EINVAL);
    expect(client.answer({ ...asked, count: 1 })).toBe(EINVAL);
  });
});

describe('DEVICE_GET_REGION_INFO', () => {
  it('gives the descriptor and the areas of a region that may be mapped', () => {
    const client = new RawClient().negotiate();
    const received = client.send(regionInfo(2, 80))!;
    expect(received.descriptors).toHaveLength(1);
    expect(received.bytes).toHaveLength(16 + 80);
    const info = client.answer(regionInfo(2, 80)) as RegionInfoMessage;
    expect(info).toMatchObject({ argsz: 80, flags: 15, capOffset: 32, length: 0x4000n, offset: 0n });
    const capabilities = regionCapabilities(info)!;
    expect(capabilities.map(({ id }) => id)).toEqual([99, 1]);
    expect(sparseAreas(capabilities)).toEqual([{ offset: 0x1000n, length: 0x3000n }]);
    received.descriptors[0]!.close();
    expect(client.device.memory.open).toBe(0);
  });

  it('without room gives what it takes, where it would be, and no descriptor', () => {
    const client = new RawClient().negotiate();
    const received = client.send(regionInfo(2, 79))!;
    expect(received.descriptors).toHaveLength(0);
    expect(client.answer(regionInfo(2, 79))).toMatchObject({ argsz: 80, flags: 15, capOffset: 32, length: 0x4000n, capabilities: NONE });
    expect(client.device.memory.open).toBe(0);
  });

  it.each([
    ['has no memory', 16, false],
    ['goes to a client that takes no descriptors', 0, true],
  ])('leaves out what speaks of mappings where the region %s', (_name, fds, mappable) => {
    const client = new RawClient().negotiate(`{"capabilities":{"max_msg_fds":${fds}}}`);
    client.device.mappable = mappable;
    const info = client.answer(regionInfo(2, 80)) as RegionInfoMessage;
    expect(info).toMatchObject({ argsz: 48, flags: 11, capOffset: 32 });
    expect(regionCapabilities(info)?.map(({ id }) => id)).toEqual([99]);
    expect(client.device.memory.open).toBe(0);
  });

  it('of a plain region is its struct, with its offset taken away', () => {
    const client = new RawClient().negotiate();
    expect(client.answer(regionInfo(7))).toEqual({ ...regionInfo(7), flags: 3, length: 256n });
    expect(client.answer(regionInfo(9))).toBe(EINVAL);
    expect(client.answer(regionInfo(7, 31))).toBe(EINVAL);
    expect(client.answer({ ...regionInfo(7), capabilities: new Uint8Array(8) })).toBe(EINVAL);
  });
});

describe('accesses', () => {
  it('read and write regions', () => {
    const client = new RawClient().negotiate();
    expect(client.answer(write(0x80, 1, 2, 3))).toEqual({ name: 'REGION_WRITE', offset: 0x80n, region: 0, count: 3, data: NONE });
    expect(client.answer(read(0, 0x81n, 2))).toMatchObject({ count: 2, data: Uint8Array.of(2, 3) });
    expect(client.answer(read(7, 0n, 256))).toMatchObject({ count: 256 });
  });

  it.each([
    ['behind the end', read(7, 0xffn, 2)],
    ['far behind the end', read(7, 0xffff_ffff_ffff_ffffn, 1)],
    ['in a region without bytes', read(1, 0n, 1)],
    ['in a region that there is not', read(9, 0n, 1)],
    ['of more than a message may have', read(2, 0n, 1_048_577)],
  ])('%s are refused before the device sees them', (_name, command) => {
    const client = new RawClient().negotiate();
    expect(client.answer(command)).toBe(EINVAL);
    expect(client.device.calls.get('read')).toBeUndefined();
  });

  it('of more than the server’s own limit are refused', () => {
    const client = new RawClient({ maxDataXferSize: 8 }).negotiate();
    expect(client.answer(read(0, 0n, 8))).toMatchObject({ count: 8 });
    expect(client.answer(read(0, 0n, 9))).toBe(EINVAL);
    expect(client.answer(write(0, ...new Uint8Array(9)))).toBe(EINVAL);
  });

  it('that the device refuses have its errno', () => {
    const client = new RawClient().negotiate();
    client.device.refuse = BUSY;
    expect(client.answer(write(0, 1))).toBe(EBUSY);
  });

  it('REGION_WRITE_MULTI does all of its writes', () => {
    const client = new RawClient().negotiate();
    const writes = [1, 2, 3].map((value) => ({ offset: BigInt(0x100 + value), region: 0, data: Uint8Array.of(value) }));
    expect(client.answer({ name: 'REGION_WRITE_MULTI', count: 3n, writes })).toEqual({ name: 'REGION_WRITE_MULTI', count: 3n, writes: [] });
    expect(client.answer(read(0, 0x101n, 3))).toMatchObject({ data: Uint8Array.of(1, 2, 3) });
  });

  it('REGION_WRITE_MULTI does none where one cannot be', () => {
    const client = new RawClient().negotiate();
    const writes = [0x100n, 0x1000n].map((offset) => ({ offset, region: 0, data: Uint8Array.of(1) }));
    expect(client.answer({ name: 'REGION_WRITE_MULTI', count: 2n, writes })).toBe(EINVAL);
    expect(client.device.calls.get('write')).toBeUndefined();
  });

  it('REGION_WRITE_MULTI counts those before one that the device refuses', () => {
    class Full extends FakeDevice {
      override write(region: number, offset: number, from: Uint8Array): number {
        return offset >= 0x102 ? -EBUSY : super.write(region, offset, from);
      }
    }
    const client = new RawClient({}, new Full()).negotiate();
    const at = (offset: bigint) => ({ offset, region: 0, data: Uint8Array.of(1) });
    expect(client.answer({ name: 'REGION_WRITE_MULTI', count: 3n, writes: [at(0x100n), at(0x102n), at(0x101n)] })).toMatchObject({ count: 1n });
    expect(client.answer({ name: 'REGION_WRITE_MULTI', count: 1n, writes: [at(0x102n)] })).toBe(EBUSY);
  });
});

describe('memory', () => {
  it('is mapped from its descriptor, which is closed', () => {
    const client = new RawClient().negotiate();
    const ram = new MemoryFile(0x4000);
    expect(client.answer(dmaMap(0x10000n, 0x2000n, { offset: 0x1000n }), [ram.descriptor()])).toEqual({ name: 'DONE' });
    expect([ram.open, ram.mapped]).toEqual([0, 1]);
    ram.bytes.set([1, 2, 3, 4], 0x1010);
    aim(client, 0x10010, 4);
    client.answer(write(REGISTERS.GO, 1));
    expect([...client.device.memory.bytes.subarray(0, 4)]).toEqual([1, 2, 3, 4]);
    expect(client.device.maps).toMatchObject([{ iova: 0x10000n, size: 0x2000, read: true, write: true }]);
    expect(client.answer(unmap(0x10000n, 0x2000n))).toEqual(unmap(0x10000n, 0x2000n));
    expect(ram.mapped).toBe(0);
  });

  it('that is for reading alone is mapped so', () => {
    const client = new RawClient().negotiate();
    const ram = new MemoryFile(0x1000);
    client.answer(dmaMap(0n, PAGE, { flags: 1 }), [ram.descriptor()]);
    client.device.maps[0]!.memory.write(0, Uint8Array.of(9));
    expect(ram.bytes[0]).toBe(0);
    expect(client.device.maps[0]).toMatchObject({ read: true, write: false });
  });

  it.each([
    ['no flags', dmaMap(0n, PAGE, { flags: 0 })],
    ['flags that are none', dmaMap(0n, PAGE, { flags: 7 })],
    ['no bytes', dmaMap(0n, 0n)],
    ['half a page', dmaMap(0n, 2048n)],
    ['an address within a page', dmaMap(8n, PAGE)],
    ['an offset within a page', dmaMap(0n, PAGE, { offset: 8n })],
    ['an end behind the last address', dmaMap((1n << 64n) - PAGE, 2n * PAGE)],
    ['more bytes than can be counted', dmaMap(0n, 1n << 63n)],
    ['an offset that cannot be counted', dmaMap(0n, PAGE, { offset: 1n << 63n })],
    ['more than its file has', dmaMap(0n, 3n * PAGE)],
    ['a small argsz', dmaMap(0n, PAGE, { argsz: 31 })],
  ])('with %s is refused, and nothing of it is kept', (_name, command) => {
    const client = new RawClient().negotiate();
    const ram = new MemoryFile(0x2000);
    expect(client.answer(command, [ram.descriptor()])).toBe(EINVAL);
    expect([ram.open, ram.mapped, client.device.maps.length]).toEqual([0, 0, 0]);
    expect(client.answer(dmaMap(0n, PAGE), [ram.descriptor()])).toEqual({ name: 'DONE' });
  });

  it('may end with the last address', () => {
    const client = new RawClient().negotiate();
    expect(client.answer(dmaMap((1n << 64n) - PAGE, PAGE))).toEqual({ name: 'DONE' });
    expect(client.answer(dmaMap((1n << 64n) - PAGE, PAGE))).toBe(EEXIST);
    expect(client.answer(unmap(1n << 63n, 1n << 63n))).toMatchObject({ length: 1n << 63n });
    expect(client.device.maps).toHaveLength(0);
  });

  it('of what is no memory, or with two descriptors, is refused', () => {
    const client = new RawClient().negotiate();
    const eventfd = new EventFile();
    expect(client.answer(dmaMap(0n, PAGE), [eventfd.descriptor()])).toBe(ENODEV);
    expect(client.answer(dmaMap(0n, PAGE), [eventfd.descriptor(), eventfd.descriptor()])).toBe(EINVAL);
    expect(client.answer(dmaMap(0n, PAGE), Array.from({ length: 17 }, () => eventfd.descriptor()))).toBe(EINVAL);
    expect(eventfd.open).toBe(0);
  });

  it('over other memory is EEXIST, from below, inside and above', () => {
    const client = new RawClient().negotiate();
    const ram = new MemoryFile(0x4000);
    client.answer(dmaMap(4n * PAGE, 2n * PAGE), [ram.descriptor()]);
    for (const [iova, length] of [[3n, 2n], [4n, 1n], [5n, 3n], [0n, 9n]] as const) {
      expect(client.answer(dmaMap(iova * PAGE, length * PAGE), [ram.descriptor()])).toBe(EEXIST);
    }
    expect(client.answer(dmaMap(3n * PAGE, PAGE), [ram.descriptor()])).toEqual({ name: 'DONE' });
    expect(client.answer(dmaMap(6n * PAGE, PAGE), [ram.descriptor()])).toEqual({ name: 'DONE' });
    expect([ram.open, ram.mapped]).toEqual([0, 3]);
  });

  it('beyond the agreed number of ranges is ENOSPC', () => {
    const client = new RawClient({ maxDmaMaps: 9 }).negotiate('{"capabilities":{"max_dma_maps":2}}');
    expect(client.answer(dmaMap(0n, PAGE))).toEqual({ name: 'DONE' });
    expect(client.answer(dmaMap(PAGE, PAGE))).toEqual({ name: 'DONE' });
    expect(client.answer(dmaMap(2n * PAGE, PAGE))).toBe(ENOSPC);
    client.answer(unmap(0n, PAGE));
    expect(client.answer(dmaMap(2n * PAGE, PAGE))).toEqual({ name: 'DONE' });
  });

  it('that the device refuses is unmapped', () => {
    const client = new RawClient().negotiate();
    const ram = new MemoryFile(0x1000);
    client.device.refuse = BUSY;
    expect(client.answer(dmaMap(0n, PAGE), [ram.descriptor()])).toBe(EBUSY);
    expect([ram.open, ram.mapped]).toEqual([0, 0]);
    expect(client.answer(dmaMap(0n, PAGE), [ram.descriptor()])).toEqual({ name: 'DONE' });
  });

  it('goes by ranges that hold many maps, or none, and stays where it sticks out', () => {
    const client = new RawClient().negotiate();
    for (const page of [1n, 2n, 5n]) client.answer(dmaMap(page * PAGE, PAGE));
    client.answer(dmaMap(8n * PAGE, 2n * PAGE));
    expect(client.answer(unmap(0n, 9n * PAGE))).toEqual(unmap(0n, 9n * PAGE));
    expect(client.device.maps.map(({ iova }) => iova)).toEqual([8n * PAGE]);
    expect(client.answer(unmap(0n, 8n * PAGE))).toEqual(unmap(0n, 8n * PAGE));
    expect(client.answer(unmap(9n * PAGE, 4n * PAGE))).toMatchObject({ name: 'DMA_UNMAP' });
    expect(client.answer(dmaMap(9n * PAGE, PAGE))).toBe(EEXIST);
    expect(client.answer(dmaMap(2n * PAGE, PAGE))).toEqual({ name: 'DONE' });
  });

  it('goes all at once', () => {
    const client = new RawClient().negotiate();
    client.answer(dmaMap(0n, PAGE));
    client.answer(dmaMap((1n << 64n) - PAGE, PAGE));
    expect(client.answer(unmap(PAGE, 0n, 2))).toBe(EINVAL);
    expect(client.answer(unmap(0n, 0n, 2))).toEqual(unmap(0n, 0n, 2));
    expect(client.device.maps).toHaveLength(0);
    expect(client.answer(dmaMap(0n, PAGE))).toEqual({ name: 'DONE' });
  });

  it.each([
    ['no bytes', unmap(0n, 0n)],
    ['half a page', unmap(0n, 2048n)],
    ['an end behind the last address', unmap(PAGE, (1n << 64n) - PAGE + PAGE)],
    ['a dirty bitmap, which drafts had', unmap(0n, PAGE, 1)],
  ])('does not go with %s', (_name, command) => {
    const client = new RawClient().negotiate();
    client.answer(dmaMap(0n, PAGE));
    expect(client.answer(command)).toBe(EINVAL);
    expect(client.device.maps).toHaveLength(1);
  });
});

describe('memory that is not shared', () => {
  /** A client that answers DMA with bytes of its own; what else comes is kept. */
  function withMemory(text?: string, options = {}): { client: RawClient; ram: Uint8Array; asked: string[]; others: Received[] } {
    const client = new RawClient(options).negotiate(text);
    const ram = new Uint8Array(0x4000);
    const asked: string[] = [];
    const others: Received[] = [];
    client.channel.attend({
      queued: 0,
      step: () => {
        const received = client.channel.receive()!;
        const header = decodeHeader(received.bytes)!;
        const command = decodeCommand(header, received.bytes);
        if (command.name !== 'DMA_READ' && command.name !== 'DMA_WRITE') {
          others.push(received);
          return true;
        }
        const at = Number(command.iova);
        asked.push(`${command.name} ${header.id} ${at} ${command.count}`);
        if (command.name === 'DMA_WRITE') ram.set(command.data, at);
        const data = command.name === 'DMA_READ' ? ram.slice(at, at + Number(command.count)) : NONE;
        client.channel.send(at >= 0x3000 ? encodeError(header.id, header.command, EINVAL) : encodeReply(header.id, command.name, { ...command, data }));
        return true;
      },
    });
    client.answer(dmaMap(0n, 0x4000n));
    return { client, ram, asked, others };
  }

  it('moves by messages, while the write that asked for it waits', () => {
    const { client, ram, asked } = withMemory();
    ram.set([5, 6, 7], 0x20);
    aim(client, 0x20, 3);
    expect(client.answer(write(REGISTERS.GO, 1))).toMatchObject({ name: 'REGION_WRITE' });
    expect([...client.device.memory.bytes.subarray(0, 3)]).toEqual([5, 6, 7]);
    aim(client, 0x40, 3);
    client.answer(write(REGISTERS.GO, 2));
    expect([...ram.subarray(0x40, 0x43)]).toEqual([5, 6, 7]);
    expect(asked).toEqual(['DMA_READ 1 32 3', 'DMA_WRITE 2 64 3']);
  });

  it('moves in pieces that the client takes', () => {
    const { client, ram, asked } = withMemory('{"capabilities":{"max_data_xfer_size":4}}');
    ram.set([1, 2, 3, 4, 5, 6, 7, 8, 9], 0x20);
    aim(client, 0x20, 9);
    client.answer(write(REGISTERS.GO, 1));
    expect([...client.device.memory.bytes.subarray(0, 9)]).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect(asked).toEqual(['DMA_READ 1 32 4', 'DMA_READ 2 36 4', 'DMA_READ 3 40 1']);
  });

  it('reads ones where the client refuses, and the connection goes on', () => {
    const { client } = withMemory();
    aim(client, 0x3000, 4);
    client.answer(write(REGISTERS.GO, 1));
    expect([...client.device.memory.bytes.subarray(0, 5)]).toEqual([255, 255, 255, 255, 0]);
    expect(client.answer(INFO)).toMatchObject({ regions: 9 });
  });

  it('reads ones behind its end, and asks nobody', () => {
    const { client, asked } = withMemory();
    aim(client, 0x3ffc, 8);
    client.answer(write(REGISTERS.GO, 1));
    client.answer(write(REGISTERS.GO, 2));
    expect([...client.device.memory.bytes.subarray(0, 9)]).toEqual([255, 255, 255, 255, 255, 255, 255, 255, 0]);
    expect(asked).toEqual([]);
  });

  it('lets commands wait that come in between, and does them in their order', () => {
    const { client, ram } = withMemory();
    ram.set([1], 0x20);
    aim(client, 0x20, 1);
    client.channel.send(encodeCommand(100, write(REGISTERS.GO, 1)));
    client.channel.send(encodeCommand(101, { name: 'REGION_READ', offset: 0n, region: 2, count: 1, data: NONE }));
    client.channel.send(encodeCommand(102, INFO));
    const ids = [0, 0, 0].map(() => decodeHeader(client.channel.receive()!.bytes)!.id);
    expect(ids).toEqual([100, 101, 102]);
    expect(client.device.memory.bytes[0]).toBe(1);
  });

  it.each([
    ['another id', (id: number) => encodeReply(id + 1, 'DMA_READ', { name: 'DMA_READ', iova: 0x20n, count: 1n, data: Uint8Array.of(1) })],
    ['another command', (id: number) => encodeReply(id, 'DMA_WRITE', { name: 'DMA_WRITE', iova: 0x20n, count: 1n, data: NONE })],
    ['other bytes', (id: number) => encodeReply(id, 'DMA_READ', { name: 'DMA_READ', iova: 0x21n, count: 1n, data: Uint8Array.of(1) })],
    ['fewer bytes', (id: number) => encodeReply(id, 'DMA_READ', { name: 'DMA_READ', iova: 0x20n, count: 0n, data: NONE })],
    ['half a message', (id: number) => encodeReply(id, 'DMA_READ', { name: 'DMA_READ', iova: 0x20n, count: 1n, data: Uint8Array.of(1) }).subarray(0, 20)],
  ])('reads ones where the reply is of %s, and that is the end', (_name, reply) => {
    const { client } = withMemory();
    aim(client, 0x20, 1);
    const ids: number[] = [];
    client.channel.attend({
      queued: 0,
      step: () => {
        const { id } = decodeHeader(client.channel.receive()!.bytes)!;
        ids.push(id);
        client.channel.send(reply(id));
        return true;
      },
    });
    expect(client.send(write(REGISTERS.GO, 1))).toBeUndefined();
    expect(ids).toEqual([1]);
    expect(client.device.memory.bytes[0]).toBe(255);
    expectOver(client);
  });

  it('reads ones where the client is gone in the middle, and the device is told once, after its access', () => {
    class Late extends FakeDevice {
      during: number | undefined;
      override write(region: number, offset: number, from: Uint8Array): number {
        const count = super.write(region, offset, from);
        if (offset === REGISTERS.GO) this.during = this.disconnects;
        return count;
      }
    }
    const device = new Late();
    const client = new RawClient({}, device).negotiate();
    const eventfd = new EventFile();
    client.answer(dmaMap(0n, PAGE));
    client.answer(setIrqs({}), [eventfd.descriptor()]);
    aim(client, 0, 4);
    client.channel.send(encodeCommand(7, write(REGISTERS.GO, 1)));
    client.channel.send(encodeCommand(8, setIrqs({})), [eventfd.descriptor()]);
    expect(client.session.step()).toBe(false);
    expect([...device.memory.bytes.subarray(0, 4)]).toEqual([255, 255, 255, 255]);
    expect(device.during).toBe(0);
    expect(decodeHeader(client.channel.receive()!.bytes)).toMatchObject({ command: 11 });
    expectOver(client);
    expect(eventfd.open).toBe(1); // the one that this test has not closed
  });

  it('ends a connection that floods it while it waits', () => {
    const client = new RawClient().negotiate();
    client.answer(dmaMap(0n, PAGE));
    aim(client, 0, 4);
    client.channel.send(encodeCommand(7, write(REGISTERS.GO, 1)));
    for (let i = 0; i < 1025; i += 1) client.channel.send(encodeCommand(8, INFO));
    expect(client.session.step()).toBe(false);
    expect(client.session.over).toBe('too many commands before an answer');
  });
});

describe('DEVICE_SET_IRQS', () => {
  it('gives eventfds to the device, and takes them away without any', () => {
    const client = new RawClient().negotiate();
    const files = [new EventFile(), new EventFile()];
    expect(client.answer(setIrqs({ start: 1, count: 2 }), files.map((file) => file.descriptor()))).toEqual({ name: 'DONE' });
    client.answer(write(REGISTERS.RAISE, 2));
    expect(files.map((file) => file.take())).toEqual([0, 1]);
    expect(client.answer(setIrqs({ start: 1, count: 1 }))).toEqual({ name: 'DONE' });
    expect(files.map(({ open }) => open)).toEqual([0, 1]);
    expect(client.answer(setIrqs({ flags: 0x21, count: 0 }))).toEqual({ name: 'DONE' });
    expect(files.map(({ open }) => open)).toEqual([0, 0]);
  });

  it.each([
    ['more descriptors than interrupts', setIrqs({ count: 1 }), 2],
    ['fewer descriptors than interrupts', setIrqs({ count: 3 }), 2],
    ['descriptors without eventfds', setIrqs({ flags: 0x21 }), 1],
    ['descriptors for booleans', setIrqs({ flags: 0x22, count: 1, data: Uint8Array.of(1) }), 1],
    ['interrupts behind the last', setIrqs({ start: 4, count: 1 }), 1],
    ['very many interrupts', setIrqs({ count: 0xffff_ffff }), 0],
    ['a kind that there is not', setIrqs({ index: 5 }), 1],
    ['two kinds of data', setIrqs({ flags: 0x25 }), 1],
    ['no action', setIrqs({ flags: 0x04 }), 1],
    ['two actions', setIrqs({ flags: 0x34 }), 1],
    ['a flag that is none', setIrqs({ flags: 0x64 }), 1],
    ['a small argsz', setIrqs({ argsz: 19 }), 1],
  ])('with %s is refused, and the descriptors are closed', (_name, command, count) => {
    const client = new RawClient().negotiate();
    const file = new EventFile();
    expect(client.answer(command, Array.from({ length: count }, () => file.descriptor()))).toBe(EINVAL);
    expect(file.open).toBe(0);
    expect(client.device.calls.get('setIrqs')).toBeUndefined();
  });

  it('that the device refuses closes the eventfds', () => {
    const client = new RawClient().negotiate();
    const file = new EventFile();
    client.device.refuse = BUSY;
    expect(client.answer(setIrqs({}), [file.descriptor()])).toBe(EBUSY);
    expect(file.open).toBe(0);
  });

  it('has a byte for each interrupt of booleans', () => {
    const client = new RawClient().negotiate();
    expect(client.answer(setIrqs({ flags: 0x22, count: 2, data: Uint8Array.of(1, 0) }))).toEqual({ name: 'DONE' });
    expect(client.answer(setIrqs({ flags: 0x22, count: 2, data: Uint8Array.of(1) }))).toBe(EINVAL);
  });

  it.each(['DEVICE_GET_INFO', 'VERSION'] as const)('%s with descriptors is refused, and they are closed', (name) => {
    const client = new RawClient();
    if (name === 'DEVICE_GET_INFO') client.negotiate();
    const file = new EventFile();
    expect(client.answer(name === 'VERSION' ? { name, major: 0, minor: 0, text: undefined } : INFO, [file.descriptor()])).toBe(EINVAL);
    expect(file.open).toBe(0);
  });
});

describe('features and states', () => {
  const feature = (flags: number, argsz: number, data: Uint8Array = NONE): Command => ({ name: 'DEVICE_FEATURE', argsz, flags, data });

  it('GET adds the data, whose size the protocol knows', () => {
    const client = new RawClient().negotiate();
    expect(client.answer(feature(VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_MIGRATION, 100))).toEqual(
      feature(VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_MIGRATION, 16, Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0)),
    );
  });

  it('GET without room says what it takes, and the device is not asked', () => {
    const client = new RawClient().negotiate();
    expect(client.answer(feature(VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_MIGRATION, 15))).toEqual(feature(VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_MIGRATION, 16));
    expect(client.device.calls.get('ioctl 15221')).toBeUndefined();
  });

  it('SET answers what was set, PROBE what was asked', () => {
    const client = new RawClient().negotiate();
    const set = feature(VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE, 16, Uint8Array.of(3, 0, 0, 0, 0, 0, 0, 0));
    expect(client.answer(set)).toMatchObject({ argsz: 16, data: Uint8Array.of(3, 0, 0, 0, 255, 255, 255, 255) });
    expect(client.device.migrationState).toBe(3);
    const probe = feature(VFIO_DEVICE_FEATURE_PROBE | VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE, 8);
    expect(client.answer(probe)).toEqual(probe);
    expect(client.answer(feature(VFIO_DEVICE_FEATURE_PROBE | VFIO_DEVICE_FEATURE_DMA_LOGGING_START, 8))).toBe(ENOTTY);
  });

  it.each([
    ['no method', VFIO_DEVICE_FEATURE_MIGRATION],
    ['two methods', VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_MIGRATION],
    ['a bit that is none', VFIO_DEVICE_FEATURE_GET | 0x8_0000 | VFIO_DEVICE_FEATURE_MIGRATION],
  ])('with %s is refused', (_name, flags) => {
    const client = new RawClient().negotiate();
    expect(client.answer(feature(flags, 16))).toBe(EINVAL);
    expect(client.device.calls.get('ioctl 15221')).toBeUndefined();
  });

  it('reports dirty pages behind the range, as large as the range asks for', () => {
    const client = new RawClient({ migration: { pageSize: 4096, maxBitmapSize: 16 } }).negotiate();
    const flags = VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT;
    const report = (pages: number, pageSize: number, argsz: number): ReturnType<RawClient['answer']> => {
      const data = new Uint8Array(24);
      new DataView(data.buffer).setBigUint64(8, BigInt(pages * 4096), true);
      new DataView(data.buffer).setBigUint64(16, BigInt(pageSize), true);
      return client.answer(feature(flags, argsz, data));
    };
    expect(report(65, 4096, 100)).toMatchObject({ argsz: 48, data: { length: 40 } });
    expect(report(64, 4096, 40)).toMatchObject({ argsz: 40, data: { length: 32 } });
    expect(report(65, 4096, 47)).toMatchObject({ argsz: 48, data: NONE });
    expect(report(129, 4096, 100)).toBe(EINVAL);
    expect(report(1, 0, 100)).toBe(EINVAL);
    expect(report(1, 4095, 100)).toBe(EINVAL);
    expect(client.answer(feature(flags, 100, new Uint8Array(23)))).toBe(EINVAL);
    expect(client.device.calls.get('ioctl 15221')).toBe(2);
  });

  it('MIG_DATA_READ gathers what the device gives, until there is no more', () => {
    const client = new RawClient().negotiate();
    client.device.migrationState = 3;
    client.device.state = Array.from({ length: 25 }, (_, i) => i);
    const ask: Command = { name: 'MIG_DATA_READ', argsz: 28, length: 20, data: NONE };
    expect(client.answer(ask)).toEqual({ name: 'MIG_DATA_READ', argsz: 28, length: 20, data: Uint8Array.from({ length: 20 }, (_, i) => i) });
    expect(client.answer(ask)).toMatchObject({ argsz: 13, length: 5 });
    expect(client.answer(ask)).toMatchObject({ argsz: 8, length: 0 });
  });

  it('MIG_DATA_READ takes nothing from the device that it has no room for', () => {
    const client = new RawClient({ maxDataXferSize: 64 }).negotiate();
    client.device.migrationState = 3;
    client.device.state = [1, 2, 3];
    expect(client.answer({ name: 'MIG_DATA_READ', argsz: 27, length: 20, data: NONE })).toBe(EINVAL);
    expect(client.answer({ name: 'MIG_DATA_READ', argsz: 1000, length: 65, data: NONE })).toBe(EINVAL);
    expect(client.device.state).toEqual([1, 2, 3]);
    client.device.migrationState = 2;
    expect(client.answer({ name: 'MIG_DATA_READ', argsz: 28, length: 20, data: NONE })).toBe(EINVAL);
  });

  it('MIG_DATA_WRITE gives all of it, in as many calls as the device wants', () => {
    const client = new RawClient({ maxDataXferSize: 64 }).negotiate();
    client.device.migrationState = 4;
    const data = Uint8Array.from({ length: 13 }, (_, i) => i);
    expect(client.answer({ name: 'MIG_DATA_WRITE', argsz: 21, length: 13, data })).toEqual({ name: 'DONE' });
    expect(client.device.taken).toEqual([...data]);
    expect(client.answer({ name: 'MIG_DATA_WRITE', argsz: 8, length: 65, data: new Uint8Array(65) })).toBe(EINVAL);
    expect(client.device.taken).toHaveLength(13);
  });
});

describe('the end', () => {
  it('within a command waits until that is done', () => {
    const client = new RawClient().negotiate();
    const closed: string[] = [];
    client.serverChannel.close = () => { closed.push('channel'); };
    client.device.write = () => {
      client.session.end();
      closed.push('written');
      return 1;
    };
    client.send({ name: 'REGION_WRITE', offset: 0n, region: 0, count: 1, data: Uint8Array.of(1) });
    expect([closed, client.device.disconnects, client.session.over]).toEqual([['written', 'channel'], 1, 'the server ended it']);
  });

  it('comes when the client closes, after all that it had sent', () => {
    const client = new RawClient().negotiate();
    const file = new EventFile();
    client.answer(setIrqs({}), [file.descriptor()]);
    const ram = new MemoryFile(0x1000);
    client.answer(dmaMap(0n, PAGE), [ram.descriptor()]);
    client.session.serve();
    expectOver(client);
    expect([file.open, ram.mapped]).toEqual([0, 0]);
  });

  it('is one, however often it is said', () => {
    const client = new RawClient().negotiate();
    client.session.end();
    client.session.end();
    expect(client.session.step()).toBe(false);
    expectOver(client);
  });
});
