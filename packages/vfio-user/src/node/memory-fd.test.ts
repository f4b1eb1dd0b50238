import { readdirSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { FakeDevice } from '../../test/fake-device.ts';
import { ClientSession } from '../client/client-session.ts';
import { mappable } from '../process/mappable.ts';
import { ServerSession } from '../server/server-session.ts';
import { regionCapabilities, sparseAreas } from '../wire/capabilities.ts';
import { MemoryFd } from './memory-fd.ts';
import { SocketChannel } from './socket-channel.ts';
import { connectedPair } from './unix-socket.ts';

describe('memory that clients map', () => {
  it('is shared between the device and a client at the other end of a socket', () => {
    const before = readdirSync('/proc/self/fd').length;
    const memory = new MemoryFd(0x1_0000);
    const [near, far] = connectedPair();
    const [clientSide, serverSide] = [new SocketChannel(near), new SocketChannel(far)];
    const device = mappable(new FakeDevice(), new Map([[2, { areas: [{ offset: 0x1000n, length: 0x2000n }], memory }]]));
    const server = new ServerSession(serverSide, device);
    const client = new ClientSession(clientSide, { read: () => -14, write: () => -14 });
    const version = client.post({ name: 'VERSION', major: 0, minor: 0, text: '{"capabilities":{"max_msg_fds":16}}' });
    server.step();
    client.await(version);
    const asked = client.post({ name: 'DEVICE_GET_REGION_INFO', argsz: 256, flags: 0, index: 2, capOffset: 0, length: 0n, offset: 0n, capabilities: new Uint8Array(0) });
    server.step();
    const outcome = client.await(asked);
    if ('errno' in outcome || outcome.reply.name !== 'DEVICE_GET_REGION_INFO') throw new Error('no region');
    expect(sparseAreas(regionCapabilities(outcome.reply) ?? [])).toEqual([{ offset: 0x1000n, length: 0x2000n }]);
    const [descriptor] = outcome.descriptors;
    const mapped = descriptor?.map(0x1000, 0x2000, true);
    if (mapped === undefined || typeof mapped === 'number') throw new Error('no mapping');
    mapped.write(4, Uint8Array.of(1, 2, 3));
    const there = new Uint8Array(3);
    memory.memory.read(0x1004, there);
    memory.memory.write(0x1010, Uint8Array.of(9));
    const here = new Uint8Array(1);
    mapped.read(0x10, here);
    expect([[...there], [...here]]).toEqual([[1, 2, 3], [9]]);
    mapped.unmap();
    descriptor?.close();
    clientSide.close();
    server.end();
    serverSide.close();
    memory.close();
    expect(readdirSync('/proc/self/fd')).toHaveLength(before);
  });

  it.each([0, -4096, 100, Number.NaN])('has no size of %d bytes', (size) => {
    expect(() => new MemoryFd(size)).toThrow(`"size" expected a multiple of 4096 above 0, got ${size}`);
  });
});
