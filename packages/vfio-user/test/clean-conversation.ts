/** A conversation that reaches every handler, byte by byte: the same on any device that was reset. */
import { VFIO_DEVICE_FEATURE_GET, VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE, VFIO_DEVICE_FEATURE_MIGRATION, VFIO_DEVICE_FEATURE_SET } from '@vsim/vfio-core';
import { EventFile, MemoryFile } from '../src/wire/memory-files.ts';
import type { Command } from '../src/wire/messages.ts';
import { REGISTERS, type FakeDevice } from './fake-device.ts';
import { RawClient } from './raw-client.ts';

const NONE = new Uint8Array(0);

/** What the server answers, in hexadecimal, and what it leaves in memory and eventfds. The device has no client before and after. */
export function cleanConversation(device: FakeDevice): string {
  const client = new RawClient({}, device);
  const ram = new MemoryFile(0x2000);
  const file = new EventFile();
  const said: string[] = [];
  const say = (command: Command, ...descriptors: readonly (MemoryFile | EventFile)[]): void => {
    const received = client.send(command, descriptors.map((one) => one.descriptor()));
    for (const descriptor of received?.descriptors ?? []) descriptor.close();
    said.push(`${[...(received?.bytes ?? [])].map((byte) => byte.toString(16).padStart(2, '0')).join('')} ${received?.descriptors.length ?? 'none'}`);
  };
  const write = (offset: number, ...data: readonly number[]): void => say({ name: 'REGION_WRITE', offset: BigInt(offset), region: 0, count: data.length, data: Uint8Array.from(data) });
  const feature = (flags: number, data: Uint8Array): void => say({ name: 'DEVICE_FEATURE', argsz: 16, flags, data });
  say({ name: 'VERSION', major: 0, minor: 0, text: '{"capabilities":{"max_msg_fds":16,"write_multiple":true}}' });
  say({ name: 'DEVICE_RESET' });
  say({ name: 'DEVICE_GET_INFO', argsz: 16, flags: 0, regions: 0, irqs: 0 });
  for (let index = 0; index < 9; index += 1) {
    for (const argsz of [32, 200]) say({ name: 'DEVICE_GET_REGION_INFO', argsz, flags: 0, index, capOffset: 0, length: 0n, offset: 0n, capabilities: NONE });
    say({ name: 'DEVICE_GET_REGION_IO_FDS', argsz: 16, flags: 0, index, count: 0, ioFds: [] });
    say({ name: 'DEVICE_GET_IRQ_INFO', argsz: 16, flags: 0, index, count: 0 });
  }
  say({ name: 'DMA_MAP', argsz: 32, flags: 3, offset: 0n, iova: 0x10000n, length: 0x2000n }, ram);
  say({ name: 'DMA_MAP', argsz: 32, flags: 3, offset: 0n, iova: 0x11000n, length: 0x1000n });
  say({ name: 'DEVICE_SET_IRQS', argsz: 20, flags: 0x24, index: 2, start: 0, count: 2, data: NONE }, file, file);
  say({ name: 'REGION_WRITE_MULTI', count: 1n, writes: [{ offset: 4n, region: 2, data: Uint8Array.of(1, 2, 3) }] });
  write(REGISTERS.IOVA, 0x10, 0, 1, 0, 0, 0, 0, 0, 8, 0, 0, 0);
  write(REGISTERS.GO, 2);
  write(REGISTERS.RAISE, 1);
  say({ name: 'REGION_READ', offset: 0n, region: 2, count: 16, data: NONE });
  feature(VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_MIGRATION, NONE);
  feature(VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE, Uint8Array.of(3, 0, 0, 0, 0, 0, 0, 0));
  device.state = [1, 2, 3, 4, 5, 6, 7, 8, 9];
  say({ name: 'MIG_DATA_READ', argsz: 20, length: 12, data: NONE });
  feature(VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE, Uint8Array.of(4, 0, 0, 0, 0, 0, 0, 0));
  say({ name: 'MIG_DATA_WRITE', argsz: 8, length: 7, data: new Uint8Array(7) });
  say({ name: 'DMA_UNMAP', argsz: 24, flags: 0, iova: 0n, length: 0x20000n });
  said.push(`${file.take()} ${[...ram.bytes.subarray(0x10, 0x20)].join(' ')}`);
  client.session.end();
  said.push(`${ram.open} ${ram.mapped} ${file.open} ${device.maps.length}`);
  return said.join('\n');
}
