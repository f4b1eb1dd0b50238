/** `vsim capture`, and `vsim replay --device` of what it wrote. */
import { readFileSync, readSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { EDU } from '@vsim/vfio-pci';
import { VFIO_IRQ_SET_ACTION_TRIGGER, VFIO_IRQ_SET_DATA_EVENTFD, VFIO_PCI_CONFIG_REGION_INDEX, VFIO_PCI_MSI_IRQ_INDEX } from '@vsim/vfio-core';
import { decodeHeader, encodeCommand } from '@vsim/vfio-user';
import { makeEventfd, RealDescriptor, waitFor } from '@vsim/vfio-user/node';
import { describe, expect, it } from 'vitest';
import { clientOf, folderFor, register, Running, setRegister } from './served.ts';

const CONFIG = VFIO_PCI_CONFIG_REGION_INDEX;
/** A message that has not come by then does not come. */
const PATIENCE_MS = 2000;

/** A conversation with edu through the proxy: registers, an interrupt, DMA by messages, a reset; then another client. @returns the folder with talk.jsonl */
async function captured(): Promise<string> {
  const folder = folderFor('capture');
  const server = new Running(['serve', 'edu', '--socket', 'server'], folder);
  await server.line('listening');
  const proxy = new Running(['capture', 'talk.jsonl', '--socket', 'between', '--to', 'server'], folder);
  await proxy.line('listening');
  const ram = new Uint8Array(0x3000).fill(0x5a);
  const { device, session, channel } = clientOf(join(folder, 'between'), {
    read: (iova, into) => (into.set(ram.subarray(Number(iova), Number(iova) + into.length)), 0),
    write: (iova, from) => (ram.set(from, Number(iova)), 0),
  });
  setRegister(device, 4, 6, CONFIG);
  const msi = new RealDescriptor(makeEventfd(), channel);
  expect(device.setIrqs({ flags: VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER, index: VFIO_PCI_MSI_IRQ_INDEX, start: 0, count: 1 }, [msi])).toBe(0);
  expect(device.mapDma(0n, 0x3000n, 3)).toBe(0);
  for (const [from, to, command] of [[0, 0x4_0000, 1], [0x4_0000, 0x2000, 7]] as const) {
    for (const [offset, value] of [[EDU.DMA_SOURCE, from], [EDU.DMA_DESTINATION, to], [EDU.DMA_COUNT, 64], [EDU.DMA_COMMAND, command]] as const) setRegister(device, offset, value);
  }
  setRegister(device, EDU.LIVENESS, 77);
  expect([register(device, EDU.LIVENESS), register(device, EDU.INTERRUPT_STATUS), ram[0x2000]]).toEqual([~77 >>> 0, 0x100, 0x5a]);
  const count = new Uint8Array(8);
  expect([readSync(msi.fd, count), count[0]]).toEqual([8, 1]);
  session.close();
  await proxy.line('client gone');
  const second = clientOf(join(folder, 'between'));
  expect([register(second.device, EDU.LIVENESS), second.device.reset()]).toEqual([~77 >>> 0, 0]);
  second.session.close();
  await proxy.line('client gone', 2);
  expect([await proxy.end(), await server.end()]).toEqual([0, 0]);
  return folder;
}

async function replayed(folder: string, ...args: readonly string[]): Promise<{ readonly code: number | null; readonly out: string; readonly lines: readonly string[] }> {
  const running = new Running(['replay', 'talk.jsonl', ...args], folder);
  return { code: await running.code, out: running.out, lines: running.lines };
}

describe('vsim capture', () => {
  it('passes on all of what comes at once', async () => {
    const folder = folderFor('capture');
    await new Running(['serve', 'edu', '--socket', 'server'], folder).line('listening');
    await new Running(['capture', 'talk.jsonl', '--socket', 'between', '--to', 'server'], folder).line('listening');
    const { channel } = clientOf(join(folder, 'between'));
    const commands = [7, 8, 9].map((id) => encodeCommand(id, { name: 'DEVICE_GET_INFO', argsz: 16, flags: 0, regions: 0, irqs: 0 }));
    channel.send(Uint8Array.of(...commands[0]!, ...commands[1]!, ...commands[2]!));
    const next = (): number | undefined => (channel.ready || waitFor([channel.fd], PATIENCE_MS)[0] !== 0 ? decodeHeader(channel.receive()!.bytes)?.id : undefined);
    expect(commands.map(next)).toEqual([7, 8, 9]);
  });

  it('passes on what both say, with descriptors, and writes it down; said again to such a device, every reply is the same', async () => {
    const folder = await captured();
    const lines = readFileSync(join(folder, 'talk.jsonl'), 'utf8').trimEnd().split('\n').map((line) => JSON.parse(line) as Readonly<Record<string, unknown>>);
    expect(lines.map(({ n }) => n)).toEqual(lines.map((_, i) => i + 1));
    expect(lines.filter(({ dir }) => dir === 'event').map(({ conn, event }) => [conn, event])).toEqual([[1, 'connect'], [1, 'client closed'], [2, 'connect'], [2, 'client closed']]);
    expect(lines.find(({ name, dir }) => name === 'DEVICE_SET_IRQS' && dir === 'c2s')).toMatchObject({ cmd: 8, flags: 0, error: 0, nfds: 1, fds: ['eventfd'] });
    expect(lines.filter(({ name, dir }) => name === 'DMA_READ' && dir === 's2c')).toHaveLength(1);
    const { code, out } = await replayed(folder, '--device', 'edu', '--json');
    const { total } = JSON.parse(out) as { readonly total: { readonly divergences: number; readonly compared: number } };
    expect([code, total.divergences, total.compared > 40]).toEqual([0, 0, true]);
  });

  it('shows where a device of somebody answers otherwise', async () => {
    const folder = await captured();
    writeFileSync(join(folder, 'mine.mjs'), `
import { createEdu } from '@vsim/vfio-pci';
export function createDevice(host, address) {
  const edu = createEdu(host, address);
  const read = edu.barRead.bind(edu);
  edu.barRead = (bar, offset, width) => (offset === ${EDU.LIVENESS} ? 1 : read(bar, offset, width));
  return edu;
}`);
    const { code, out } = await replayed(folder, '--device', './mine.mjs', '--first', '1');
    expect([code, out]).toEqual([1, expect.stringContaining('reply to REGION_READ')]);
    expect(await replayed(folder, '--device', 'nvem')).toMatchObject({ code: 2, lines: ["vsim replay: no device is called 'nvem' (Did you mean nvme?); there are edu and nvme, or a file of yours as ./nvem.ts"] });
  });

  it('tells of a server that is not there, and ends its client', async () => {
    const folder = folderFor('capture');
    const proxy = new Running(['capture', 'talk.jsonl', '--socket', 'between', '--to', 'none'], folder);
    await proxy.line('listening');
    expect(() => clientOf(join(folder, 'between'))).toThrow();
    expect([await proxy.line('none:'), await proxy.end()]).toEqual(['none: no server listens there', 0]);
    const unwritten = new Running(['capture', 'no/talk.jsonl', '--socket', 'between', '--to', 'none'], folder);
    expect([await unwritten.code, unwritten.lines]).toEqual([2, ['vsim capture: no/talk.jsonl: no such file or folder']]);
  });
});
