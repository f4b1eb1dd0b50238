/** A device of one simulated host used by a process of another one. */
import {
  EINVAL,
  EIO,
  get,
  getDeviceInfo,
  getRegionInfo,
  Host,
  mapDma,
  MIG_STATE,
  openDevice,
  Process,
  set,
  setIrqTriggers,
  Vfio,
  VFIO_DEVICE_FEATURE,
  VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE,
  VFIO_DEVICE_FEATURE_SET,
  VFIO_DEVICE_RESET,
  VFIO_DMA_MAP_FLAG_READ,
  VFIO_DMA_MAP_FLAG_WRITE,
} from '@vsim/vfio-core';
import { describe, expect, it } from 'vitest';
import { CONNECTION_LOST, decodeHeader, encodeCommand, JoinedChannel, servedDevice, ServerSession, VfioUserBus, type ServedDevice } from '../src/index.ts';
import { FakeDevice } from './fake-device.ts';
import { toyHost } from './toy-host.ts';

/** A host whose bus has the device of a server. */
function connect(served: ServedDevice, host: Host = new Host({ profile: 'linux-6.12' })) {
  const [clientSide, serverSide] = JoinedChannel.pair();
  const server = new ServerSession(serverSide, served, { migration: { pageSize: 4096, maxBitmapSize: 4096 } });
  serverSide.attend(server);
  const events = host.trace.record();
  const bus = new VfioUserBus(host, new Vfio(host));
  const device = host.scheduler.call('connect', bus.connect('remote', clientSide));
  if (typeof device === 'number') throw new Error(`connect: ${device}`);
  clientSide.attend(device.session);
  return { host, bus, device, server, serverSide, events, user: new Process(host, { name: 'user' }) };
}

function toy() {
  const far = toyHost();
  return { ...far, ...connect(servedDevice(far.root, openDevice(far.root, 'toy'))), toy: far.toy };
}

/** Moves bytes by the toy's DMA. */
function move(user: Process, fd: number, from: number, to: number, length: number): void {
  const bytes = new Uint8Array(20);
  set(bytes, [0, 'u64'], from);
  set(bytes, [8, 'u64'], to);
  set(bytes, [16, 'u32'], length);
  user.pwrite(fd, bytes, 0);
  user.pwrite(fd, Uint8Array.of(1, 0, 0, 0), 20);
}

function pread(user: Process, fd: number, count: number, offset: number): Uint8Array {
  const bytes = new Uint8Array(count);
  user.pread(fd, bytes, offset);
  return bytes;
}

function migrate(user: Process, fd: number, state: number): number {
  const bytes = new Uint8Array(16);
  set(bytes, [0, 'u32'], 16);
  set(bytes, [4, 'u32'], VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE);
  set(bytes, [8, 'u32'], state);
  user.ioctl(fd, VFIO_DEVICE_FEATURE, bytes);
  return get(bytes, [12, 's32']);
}

describe('a served device of another host', () => {
  it('tells of itself as its server does', () => {
    const { user } = toy();
    const { device } = openDevice(user, 'remote');
    expect(getDeviceInfo(user, device)).toMatchObject({ flags: 1, numRegions: 2, numIrqs: 1 });
    expect(getRegionInfo(user, device, 1)).toMatchObject({ flags: 3, size: 16n });
  });

  it('reads and writes regions', () => {
    const { user, toy: { registers } } = toy();
    const { device } = openDevice(user, 'remote');
    user.pwrite(device, Uint8Array.of(7, 8), 2 ** 40 + 2);
    expect(registers.slice(66, 68)).toEqual(Uint8Array.of(7, 8));
    expect(pread(user, device, 4, 2 ** 40)).toEqual(Uint8Array.of(0, 0, 7, 8));
    expect(user.tryPread(device, new Uint8Array(4), 2 ** 41)).toBe(-EINVAL);
  });

  it('moves memory of the process by messages, and signals its eventfd', () => {
    const { user } = toy();
    const { container, device } = openDevice(user, 'remote');
    const memory = user.mmap(-1, 0x3000);
    mapDma(user, container, { vaddr: memory.address, iova: 0x10000, size: 0x3000, flags: VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE });
    const eventfd = user.eventfd();
    setIrqTriggers(user, device, 0, 0, [-1, eventfd]);
    memory.writeBytes(0xff0, Uint8Array.from({ length: 32 }, (_, i) => i));
    move(user, device, 0x10ff0, 0x12000, 32);
    expect(memory.readBytes(0x2000, 32)).toEqual(Uint8Array.from({ length: 32 }, (_, i) => i + 1));
    expect(user.readEventfd(eventfd)).toBe(1n);
  });

  it('reaches nothing once its container is closed', () => {
    const { user, toy: { dma } } = toy();
    const { container, device, close } = openDevice(user, 'remote');
    const memory = user.mmap(-1, 0x1000);
    mapDma(user, container, { vaddr: memory.address, iova: 0x10000, size: 0x1000, flags: VFIO_DMA_MAP_FLAG_READ });
    expect(dma.read(0x10000, new Uint8Array(4))).toBe(true);
    expect(device).toBeGreaterThan(0);
    close();
    expect(dma.read(0x10000, new Uint8Array(4))).toBe(false);
  });

  it('does not let its server ask for memory while nobody has its group', () => {
    const { serverSide } = toy();
    serverSide.send(encodeCommand(1, { name: 'DMA_READ', iova: 0n, count: 4n, data: new Uint8Array(0) }));
    expect(decodeHeader(serverSide.receive()!.bytes)?.error).toBe(EINVAL);
  });

  it('is reset', () => {
    const { user, toy: { registers } } = toy();
    const { device } = openDevice(user, 'remote');
    user.pwrite(device, Uint8Array.of(9), 0);
    user.ioctl(device, VFIO_DEVICE_RESET, 0);
    expect(registers[0]).toBe(0);
  });

  it('migrates to the device of another server', () => {
    const [source, destination] = [toy(), toy()];
    const [from, to] = [openDevice(source.user, 'remote').device, openDevice(destination.user, 'remote').device];
    source.user.pwrite(from, Uint8Array.of(1, 2, 3), 4);
    const save = migrate(source.user, from, MIG_STATE.STOP_COPY);
    const bytes = new Uint8Array(4096);
    const state = bytes.subarray(0, source.user.read(save, bytes));
    const resume = migrate(destination.user, to, MIG_STATE.RESUMING);
    destination.user.write(resume, state);
    migrate(destination.user, to, MIG_STATE.RUNNING);
    expect(pread(destination.user, to, 3, 4)).toEqual(Uint8Array.of(1, 2, 3));
  });
});

describe('a connection', () => {
  it('that breaks makes every access EIO, and is told once', () => {
    const { user, serverSide, events } = toy();
    const { device, close } = openDevice(user, 'remote');
    serverSide.close();
    expect(user.tryPread(device, new Uint8Array(4), 0)).toBe(-EIO);
    expect(user.tryPwrite(device, new Uint8Array(4), 0)).toBe(-EIO);
    expect(user.tryIoctl(device, VFIO_DEVICE_RESET, 0)).toBe(-EIO);
    expect(events.filter(({ id }) => id === CONNECTION_LOST.id)).toHaveLength(1);
    close();
    expect(() => openDevice(user, 'remote')).toThrow('EIO');
  });

  it('ends with its device', () => {
    const { host, bus, device, server } = toy();
    host.scheduler.call('disconnect', bus.disconnect(device));
    expect(bus.devices).toEqual([]);
    server.step();
    expect(server.over).toBe('the client is gone');
  });

  it('to nobody is no device', () => {
    const host = new Host();
    const bus = new VfioUserBus(host, new Vfio(host));
    expect(host.scheduler.call('connect', bus.connect('remote', JoinedChannel.pair()[0]))).toBe(-EIO);
    expect(bus.devices).toEqual([]);
  });
});

describe('memory of a region', () => {
  it('is mapped where the server gives it, with its areas, and given back', () => {
    const fake = new FakeDevice();
    const { user, host, bus, device } = connect(fake);
    const { device: fd, close } = openDevice(user, 'remote');
    const info = getRegionInfo(user, fd, 2);
    expect(info.flags & 15).toBe(15);
    const mapping = user.mmap(fd, 0x3000, Number(info.offset) + 0x1000);
    mapping.write(0, 4, 0x11223344);
    expect(fake.memory.bytes.slice(0x1000, 0x1004)).toEqual(Uint8Array.of(0x44, 0x33, 0x22, 0x11));
    mapping.unmap();
    close();
    host.scheduler.call('disconnect', bus.disconnect(device));
    expect([fake.memory.open, fake.memory.mapped]).toEqual([0, 0]);
  });
});
