/** `vsim serve`: real sockets, a worker that waits at them, and what a person is told. */
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { EDU } from '@vsim/vfio-pci';
import { NVME_REGISTER } from '@vsim/devices';
import { VFIO_IRQ_SET_ACTION_TRIGGER, VFIO_IRQ_SET_DATA_EVENTFD, VFIO_PCI_CONFIG_REGION_INDEX, VFIO_PCI_MSI_IRQ_INDEX } from '@vsim/vfio-core';
import { connectTo, ListeningSocket, makeEventfd, RealDescriptor, SocketChannel } from '@vsim/vfio-user/node';
import { describe, expect, it, onTestFinished } from 'vitest';
import { readSync } from 'node:fs';
import { called } from './called.ts';
import { clientOf, folderFor, register, Running, setRegister } from './served.ts';

const CONFIG = VFIO_PCI_CONFIG_REGION_INDEX;

/** A device file of somebody. */
function deviceFile(folder: string, body: string, name = 'mine.ts'): void {
  writeFileSync(join(folder, name), `
import { buildConfig, ones, PciFunction } from '@vsim/vfio-pci';
const BARS = [{ index: 0, size: 0x1000 }];
const CONFIG = buildConfig({ vendor: 0x1234, device: 0x1ed, class: 0xff0000, bars: BARS });
${body}
`);
}

const THROWS = `
class Mine extends PciFunction {
  barRead(bar, offset, width) { console.log('read', offset); return 7; }
  barWrite(bar, offset, width, value) { throw new RangeError('unlucky ' + value); }
}
export function createDevice(host, address) { return new Mine(host, { address, bars: BARS, config: CONFIG }); }`;

describe('vsim serve', () => {
  it('serves a device that nobody has configured, to one client after another, and keeps its state', async () => {
    const folder = folderFor('serve');
    const serving = new Running(['serve', 'edu', '--socket', 'edu.sock'], folder);
    expect(await serving.line('listening')).toBe('listening on edu.sock');
    const path = join(folder, 'edu.sock');
    expect(statSync(path).mode & 0o777).toBe(0o600);
    const first = clientOf(path);
    expect([register(first.device, 4, CONFIG) & 0xffff, register(first.device, 0x10, CONFIG)]).toEqual([0, 0]);
    setRegister(first.device, 4, 6, CONFIG);
    setRegister(first.device, EDU.LIVENESS, 0x1234);
    const msi = new RealDescriptor(makeEventfd(), first.channel);
    expect(first.device.setIrqs({ flags: VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER, index: VFIO_PCI_MSI_IRQ_INDEX, start: 0, count: 1 }, [msi])).toBe(0);
    setRegister(first.device, EDU.INTERRUPT_RAISE, 1);
    register(first.device, EDU.INTERRUPT_STATUS);
    const count = new Uint8Array(8);
    expect([readSync(msi.fd, count), count[0]]).toEqual([8, 1]);
    msi.close();
    first.session.close();
    expect(await serving.line('client gone')).toBe('client gone: the client is gone');
    const second = clientOf(path);
    expect([register(second.device, EDU.LIVENESS), register(second.device, EDU.INTERRUPT_STATUS)]).toEqual([~0x1234 >>> 0, 1]);
    expect(second.device.reset()).toBe(0);
    expect([register(second.device, 4, CONFIG) & 0xffff, register(second.device, 0x10, CONFIG)]).toEqual([0, 0]);
    expect(await serving.end()).toBe(0);
    expect(existsSync(path)).toBe(false);
    expect(serving.lines.slice(1)).toEqual([
      'client connected', 'client gone: the client is gone', 'client connected', 'client gone: the server ends',
      'BAR 0 3r 2w, config 4r 1w, irqs 1, DMA 0 B read 0 B written, resets 1, clients 2',
    ]);
    expect(serving.out).toBe('');
  });

  it('moves memory of the client, by descriptors or by messages, and counts the bytes', async () => {
    const folder = folderFor('serve');
    const serving = new Running(['serve', 'edu', '--socket', 'edu.sock', '--once'], folder);
    await serving.line('listening');
    const ram = new Uint8Array(0x3000).fill(0x5a);
    const { device, session } = clientOf(join(folder, 'edu.sock'), {
      read: (iova, into) => (into.set(ram.subarray(Number(iova), Number(iova) + into.length)), 0),
      write: (iova, from) => (ram.set(from, Number(iova)), 0),
    });
    setRegister(device, 4, 6, CONFIG);
    expect(device.mapDma(0n, 0x3000n, 3)).toBe(0);
    const move = (from: number, to: number, command: number): void => {
      for (const [offset, value] of [[EDU.DMA_SOURCE, from], [EDU.DMA_DESTINATION, to], [EDU.DMA_COUNT, 0x1000], [EDU.DMA_COMMAND, command]] as const) setRegister(device, offset, value);
    };
    move(0, 0x4_0000, 1);
    move(0x4_0000, 0x2000, 3);
    expect(ram.subarray(0x2000).every((byte) => byte === 0x5a)).toBe(true);
    session.close();
    expect([await serving.code, serving.lines.at(-1)]).toEqual([0, expect.stringContaining('DMA 4.0 KiB read 4.0 KiB written')]);
  });

  it('has nvme with a disk in memory, or in a file, which it makes', async () => {
    const folder = folderFor('serve');
    for (const args of [['--size', '1M'], ['--file', 'disk.img', '--size', '1M'], ['--file', 'disk.img']]) {
      const serving = new Running(['serve', 'nvme', ...args, '--socket', 'nvme.sock', '--once'], folder);
      await serving.line('listening');
      const { device, session } = clientOf(join(folder, 'nvme.sock'));
      setRegister(device, 4, 6, CONFIG);
      expect(register(device, NVME_REGISTER.VS)).toBe(0x1_0400);
      session.close();
      expect(await serving.code).toBe(0);
    }
    expect(statSync(join(folder, 'disk.img')).size).toBe(2 ** 20);
  });

  it.each(['SIGINT', 'SIGTERM'] as const)('ends at %s, with a client that says nothing or without one, and takes its path away', async (signal) => {
    const folder = folderFor('serve');
    for (const connect of [false, true]) {
      const serving = new Running(['serve', 'edu', '--socket', 's'], folder);
      await serving.line('listening');
      if (connect) {
        clientOf(join(folder, 's'));
        await serving.line('client connected');
      }
      expect([await serving.end(signal), existsSync(join(folder, 's'))]).toEqual([0, false]);
    }
  });

  it('takes over what a dead server left, and leaves alone what another listens at', async () => {
    const folder = folderFor('serve');
    const path = join(folder, 's');
    const dead = new ListeningSocket(path);
    dead.shutdown();
    const serving = new Running(['serve', 'edu', '--socket', 's'], folder);
    await serving.line('listening');
    const late = new Running(['serve', 'edu', '--socket', 's'], folder);
    expect([await late.code, late.lines]).toEqual([2, ['vsim serve: s is in use: another server listens there, or it is no socket']]);
    new SocketChannel(connectTo(path)).close();
    await serving.line('client gone');
    expect(await serving.end()).toBe(0);
  });

  it('listens at a socket that was passed, and refuses a number that is none', async () => {
    const folder = folderFor('serve');
    const listening = new ListeningSocket(join(folder, 's'));
    const serving = new Running(['serve', 'edu', '--socket', 'fd:3', '--once'], folder, listening.fd);
    await serving.line('listening on fd:3');
    clientOf(join(folder, 's')).session.close();
    expect([await serving.code, existsSync(join(folder, 's'))]).toEqual([0, true]);
    listening.close();
    const none = new Running(['serve', 'edu', '--socket', 'fd:77'], folder);
    expect([await none.code, none.lines]).toEqual([2, ['vsim serve: fd:77: no socket was passed under this number']]);
  });

  it('goes on where a device of somebody throws, and tells where; what it prints comes at once', async () => {
    const folder = folderFor('serve');
    deviceFile(folder, THROWS);
    const serving = new Running(['serve', './mine.ts', '--socket', 's'], folder);
    await serving.line('listening');
    const { device } = clientOf(join(folder, 's'));
    setRegister(device, 4, 2, CONFIG);
    expect([setRegister(device, 0, 13), register(device, 8)]).toEqual([-5, 7]);
    expect([await serving.line('unlucky'), await serving.line('read 8')]).toEqual(['./mine.ts: RangeError: unlucky 13 (line 8)', 'read 8']);
    expect(await serving.end()).toBe(0);
  });

  it("serves the example's device, which has 60 lines at most", async () => {
    const file = join(import.meta.dirname, '../../../examples/served-device/device.ts');
    expect(readFileSync(file, 'utf8').split('\n').length - 1).toBeLessThanOrEqual(60);
    const folder = folderFor('serve');
    const serving = new Running(['serve', file, '--socket', 's'], folder);
    await serving.line('listening');
    const { device } = clientOf(join(folder, 's'));
    setRegister(device, 4, 6, CONFIG);
    expect([register(device, 0), await serving.end()]).toEqual([0xca95_0001, 0]);
  });

  it('needs no package beside a device file, whatever its kind', async () => {
    const folder = folderFor('serve');
    deviceFile(folder, THROWS, 'mine.mjs');
    const serving = new Running(['serve', 'mine.mjs', '--socket', 's', '--once'], folder);
    await serving.line('listening');
    const { device, session } = clientOf(join(folder, 's'));
    setRegister(device, 4, 2, CONFIG);
    expect(register(device, 0)).toBe(7);
    session.close();
    expect(await serving.code).toBe(0);
  });

  it.each([
    ['export const x = 1, y = 2;', './mine.ts: exports no function createDevice(host, address), but x, y'],
    ['', './mine.ts: exports no function createDevice(host, address)'],
    ["throw new RangeError('no\\nway');", './mine.ts: RangeError: no (line 5)'],
    ['const = 3;', /^\.\/mine\.ts: SyntaxError: .* \(line 5\)$/],
    ["import './nowhere.ts';", /^\.\/mine\.ts: Error: Cannot find module/],
    ['export const createDevice = () => 3;', './mine.ts: createDevice() returns 3; expected a PciFunction of @vsim/vfio-pci'],
    ['export const createDevice = () => { throw new TypeError("odd"); };', './mine.ts: createDevice() throws TypeError: odd (line 5)'],
    ['export const createDevice = (host, address) => new PciFunction(host, { address: "here", bars: BARS, config: CONFIG });', /^\.\/mine\.ts: createDevice\(\) throws RangeError: /],
  ])('refuses the file %j in one line', async (body, why) => {
    const folder = folderFor('serve');
    deviceFile(folder, body);
    const serving = new Running(['serve', './mine.ts', '--socket', 's'], folder);
    expect([await serving.code, serving.lines]).toEqual([2, [typeof why === 'string' ? `vsim serve: ${why}` : expect.stringMatching(new RegExp(why.source.replace('^', '^vsim serve: ')))]]);
    expect(existsSync(join(folder, 's'))).toBe(false);
  });

  it.each<readonly [readonly string[], string]>([
    [['x'.repeat(5000), '--socket', 's'], `no device is called '${'x'.repeat(5000)}'; there are edu and nvme, or a file of yours as ./${'x'.repeat(5000)}.ts`],
    [['nvem', '--socket', 's'], "no device is called 'nvem' (Did you mean nvme?); there are edu and nvme, or a file of yours as ./nvem.ts"],
    [['frob', '--socket', 's'], "no device is called 'frob'; there are edu and nvme, or a file of yours as ./frob.ts"],
    [['./none.ts', '--socket', 's'], './none.ts: no such file or folder'],
    [['edu'], "required option '--socket <path>' not specified; see vsim help serve"],
    [['edu', '--size', '1G', '--socket', 's'], '--size is for nvme, not for edu'],
    [['edu', '--file', 'x', '--socket', 's'], '--file is for nvme, not for edu'],
    [['edu', '--watch', '--socket', 's'], '--watch is for a file of yours, not for edu'],
    [['nvme', '--size', '100', '--socket', 's'], "option '--size <bytes>' argument '100' is invalid. Expected 512 bytes at least, as 512M or 4G; see vsim help serve"],
  ])('answers %j with one line', (args, why) => {
    expect(called(['serve', ...args])).toEqual({ code: 2, out: [], err: [`vsim serve: ${why}`] });
  });

  it('says which path it cannot have', async () => {
    const folder = folderFor('serve');
    const long = 'x'.repeat(120);
    const refused: readonly (readonly [string, RegExp])[] = [[long, /: the path of a socket has at most 107 bytes, and this one has \d+$/], ['none/s', /^vsim serve: none\/s: no such folder$/]];
    for (const [path, why] of refused) {
      const serving = new Running(['serve', 'edu', '--socket', path], folder);
      expect([await serving.code, serving.lines]).toEqual([2, [expect.stringMatching(why)]]);
    }
    const other = createServer().listen(join(folder, 'other'));
    onTestFinished(() => void other.close());
    const disk = new Running(['serve', 'nvme', '--file', 'none.img', '--socket', 's'], folder);
    expect([await disk.code, disk.lines[0]]).toEqual([2, expect.stringContaining('none.img: no such file or folder')]);
  });

  it('writes its trace as it goes: whole lines while it runs, and after Ctrl-C both formats to their end', async () => {
    for (const name of ['t.jsonl', 't.pftrace']) {
      const folder = folderFor('serve');
      const serving = new Running(['serve', 'edu', '--socket', 's', '--trace', name], folder);
      await serving.line('listening');
      const { device } = clientOf(join(folder, 's'));
      setRegister(device, 4, 6, CONFIG);
      setRegister(device, EDU.DMA_COUNT, 16);
      setRegister(device, EDU.DMA_COMMAND, 1);
      register(device, EDU.STATUS);
      const text = (): string => readFileSync(join(folder, name), 'latin1');
      if (name === 't.jsonl') for (const line of text().split('\n').slice(0, -1)) JSON.parse(line);
      if (name === 't.jsonl') expect(text()).toContain('pci/edu-dma-out-of-bounds');
      expect([await serving.end(), await serving.line('dma of 0x10 bytes'), text().includes('pci/edu-dma-out-of-bounds')]).toEqual([0, expect.stringContaining('0000:01:00.0'), true]);
    }
  });
});
