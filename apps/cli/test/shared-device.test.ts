/** Two programs that share a device: `vsim serve edu`, and a process of a simulated host here, over a UNIX socket. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import {
  getRegionInfo,
  Host,
  mapDma,
  openDevice,
  Process,
  setIrqEventfds,
  setIrqTriggers,
  Vfio,
  VFIO_DMA_MAP_FLAG_READ,
  VFIO_DMA_MAP_FLAG_WRITE,
  VFIO_IRQ_SET_ACTION_UNMASK,
  VFIO_PCI_CONFIG_REGION_INDEX,
  VFIO_PCI_INTX_IRQ_INDEX,
  VFIO_PCI_MSI_IRQ_INDEX,
} from '@vsim/vfio-core';
import { VfioUserBus } from '@vsim/vfio-user';
import { connectTo, SocketChannel } from '@vsim/vfio-user/node';
import { describe, expect, it, onTestFinished } from 'vitest';
import { folderFor, Running } from './served.ts';

/** A server. @returns its socket's path */
async function served(): Promise<string> {
  const folder = folderFor('shared');
  await new Running(['serve', 'edu', '--socket', 's'], folder).line('listening');
  return join(folder, 's');
}

/** A host here whose bus has the device. */
function used(path: string) {
  const host = new Host();
  const bus = new VfioUserBus(host, new Vfio(host));
  const channel = new SocketChannel(connectTo(path));
  // The server takes the next client when this one is gone: a test that fails must not hold it.
  onTestFinished(() => { channel.close(); });
  const device = host.scheduler.call('connect', bus.connect('edu', channel));
  if (typeof device === 'number') throw new Error(`connect: ${device}`);
  const user = new Process(host, { name: 'user' });
  const opened = openDevice(user, 'edu');
  const put = (at: number, value: number): void => { user.pwrite(opened.device, new Uint8Array(Int32Array.of(value).buffer), at); };
  const get = (at: number): number => {
    const bytes = new Uint8Array(4);
    user.pread(opened.device, bytes, at);
    return new DataView(bytes.buffer).getUint32(0, true);
  };
  user.pwrite(opened.device, Uint8Array.of(6, 0), Number(getRegionInfo(user, opened.device, VFIO_PCI_CONFIG_REGION_INDEX).offset) + 4);
  return { host, bus, channel, device, user, opened, put, get };
}

describe('a device of another program', () => {
  it('computes, sends its MSI, and moves memory each way', async () => {
    const { channel, user, opened, put, get } = used(await served());
    const interrupt = user.eventfd();
    setIrqTriggers(user, opened.device, VFIO_PCI_MSI_IRQ_INDEX, 0, [interrupt]);
    put(0x20, 0x80);
    put(0x08, 10);
    channel.look();
    expect([get(0x08), Number(user.readEventfd(interrupt)), get(0x24)]).toEqual([3_628_800, 1, 1]);
    const memory = user.mmap(-1, 0x2000);
    mapDma(user, opened.container, { iova: 0x10_0000, vaddr: memory.address, size: 0x2000, flags: VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE });
    memory.writeBytes(0, Uint8Array.from({ length: 4096 }, (_, i) => i * 7));
    const move = (from: number, to: number, command: number): void => [[0x80, from], [0x88, to], [0x90, 4096], [0x98, command]].forEach(([at = 0, value = 0]) => { put(at, value); });
    move(0x10_0000, 0x4_0000, 1);
    move(0x4_0000, 0x10_1000, 3);
    expect(memory.readBytes(0x1000, 4096)).toEqual(memory.readBytes(0, 4096));
    user.exit();
    channel.close();
  });

  it('has a level interrupt that an eventfd of this side unmasks', async () => {
    const { channel, user, opened, put, get } = used(await served());
    const [interrupt, resample] = [user.eventfd(), user.eventfd()];
    setIrqTriggers(user, opened.device, VFIO_PCI_INTX_IRQ_INDEX, 0, [interrupt]);
    setIrqEventfds(user, opened.device, VFIO_PCI_INTX_IRQ_INDEX, VFIO_IRQ_SET_ACTION_UNMASK, 0, [resample]);
    const times = (): number => {
      // An answer comes behind what the server has done before it.
      get(0);
      channel.look();
      return Number(user.readEventfd(interrupt));
    };
    put(0x60, 1);
    const first = [times(), times()];
    user.writeEventfd(resample, 1n);
    const still = [times(), times()];
    put(0x64, 1);
    user.writeEventfd(resample, 1n);
    expect([first, still, times()]).toEqual([[1, 0], [1, 0], 0]);
    user.exit();
    channel.close();
  });

  it('is another client’s when one is gone, and leaves no descriptor here', async () => {
    const path = await served();
    const before = readdirSync('/proc/self/fd').length;
    for (let client = 0; client < 3; client += 1) {
      const { bus, channel, device, host, user, opened, get } = used(path);
      setIrqTriggers(user, opened.device, VFIO_PCI_MSI_IRQ_INDEX, 0, [user.eventfd()]);
      expect(get(0)).toBe(0x0100_00ed);
      user.exit();
      host.scheduler.call('disconnect', bus.disconnect(device));
      channel.close();
    }
    expect(readdirSync('/proc/self/fd')).toHaveLength(before);
  });
});
