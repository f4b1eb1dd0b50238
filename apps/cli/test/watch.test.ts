/** `vsim serve --watch`: new code under a client that stays. */
import { readSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { VFIO_IRQ_SET_ACTION_TRIGGER, VFIO_IRQ_SET_DATA_EVENTFD, VFIO_PCI_CONFIG_REGION_INDEX, VFIO_PCI_MSI_IRQ_INDEX } from '@vsim/vfio-core';
import { makeEventfd, RealDescriptor, type SocketChannel } from '@vsim/vfio-user/node';
import type { RemoteDevice } from '@vsim/vfio-user';
import { describe, expect, it } from 'vitest';
import { clientOf, folderFor, register, Running, setRegister } from './served.ts';

const CONFIG = VFIO_PCI_CONFIG_REGION_INDEX;
/** Registers of the device file: what is kept, the version of the code, and one whose write moves a byte to memory and sends MSI. */
const [KEPT, VERSION, GO] = [0, 4, 8];

const STATE = `
  stateLimit = 4;
  stop() {}
  start() {}
  save() { return Uint8Array.of(this.kept, 0, 0, 0); }
  load(bytes) { if (bytes.length !== 4 || !TAKES) return false; this.kept = bytes[0]; return true; }`;

function device(version: number, { state = STATE, takes = true, size = 0x1000 } = {}): string {
  return `
import { buildConfig, ones, PciFunction } from '@vsim/vfio-pci';
import { version } from './version.ts';
const TAKES = ${takes};
const BARS = [{ index: 0, size: ${size} }];
class Mine extends PciFunction {
  kept = 0;${state}
  barRead(bar, offset, width) { return offset === 0 ? this.kept : offset === 4 ? ${version} + version : ones(width); }
  barWrite(bar, offset, width, value) {
    if (offset === 0) this.kept = value;
    if (offset === 8) { this.dmaWrite(value, Uint8Array.of(${version})); this.raise(); }
  }
}
export function createDevice(host, address) {
  return new Mine(host, { address, bars: BARS, config: buildConfig({ vendor: 0x1234, device: 0x1ed, class: 0xff0000, bars: BARS, msi: 1 }) });
}`;
}

interface Watched {
  readonly serving: Running;
  readonly device: RemoteDevice;
  readonly channel: SocketChannel;
  readonly ram: Uint8Array;
  readonly msi: RealDescriptor;
  write(text: string, name?: string): void;
}

/** A guest uses the device: it is configured, has memory and an interrupt, and keeps 42. */
async function watched(first: string): Promise<Watched> {
  const folder = folderFor('watch');
  const write = (text: string, name = 'mine.ts'): void => { writeFileSync(join(folder, name), text); };
  write('export const version: number = 0;', 'version.ts');
  write(first);
  const serving = new Running(['serve', './mine.ts', '--socket', 's', '--watch'], folder);
  await serving.line('listening');
  const ram = new Uint8Array(0x1000);
  const { device: remote, channel } = clientOf(join(folder, 's'), { read: () => -14, write: (iova, from) => (ram.set(from, Number(iova) - 0x1_0000), 0) });
  setRegister(remote, 4, 6, CONFIG);
  setRegister(remote, 0x10, 0xe000_0000, CONFIG);
  expect(remote.mapDma(0x1_0000n, 0x1000n, 3)).toBe(0);
  const msi = new RealDescriptor(makeEventfd(), channel);
  expect(remote.setIrqs({ flags: VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER, index: VFIO_PCI_MSI_IRQ_INDEX, start: 0, count: 1 }, [msi])).toBe(0);
  setRegister(remote, KEPT, 42);
  return { serving, device: remote, channel, ram, msi, write };
}

function go({ device: remote, ram, msi }: Watched): readonly number[] {
  setRegister(remote, GO, 0x1_0010);
  const count = new Uint8Array(8);
  readSync(msi.fd, count);
  return [ram[0x10]!, count[0]!];
}

describe('vsim serve --watch', () => {
  it('puts new code in the place of the old, with its state, memory, interrupts and configuration, also of a file that it imports', async () => {
    const guest = await watched(device(1));
    expect([register(guest.device, VERSION), go(guest)]).toEqual([1, [1, 1]]);
    guest.write(device(2));
    expect(await guest.serving.line('new code')).toBe('./mine.ts: new code: state kept (4 bytes)');
    expect([register(guest.device, VERSION), register(guest.device, KEPT), go(guest)]).toEqual([2, 42, [2, 1]]);
    expect([register(guest.device, 4, CONFIG) & 0xffff, register(guest.device, 0x10, CONFIG)]).toEqual([6, 0xe000_0000]);
    guest.write('export const version: number = 10;', 'version.ts');
    await guest.serving.line('new code', 2);
    expect([register(guest.device, VERSION), register(guest.device, KEPT), go(guest)]).toEqual([12, 42, [2, 1]]);
    expect([guest.device.unmapDma(0x1_0000n, 0x1000n), await guest.serving.end()]).toEqual([0, 0]);
    expect(guest.serving.lines.filter((line) => line.includes('refused'))).toEqual([]);
  });

  it('starts afresh a device without a state, and tells so; the guest keeps its memory and interrupts', async () => {
    const guest = await watched(device(1, { state: '' }));
    guest.write(device(2, { state: '' }));
    expect(await guest.serving.line('new code')).toBe('./mine.ts: new code: starts afresh: it has no state to migrate');
    expect([register(guest.device, KEPT), go(guest)]).toEqual([0, [2, 1]]);
    expect(await guest.serving.end()).toBe(0);
  });

  it.each([
    ['does not parse', 'const = 3;', /^\.\/mine\.ts: SyntaxError: .*; the device goes on as it was$/],
    ['throws', "throw new RangeError('no');", './mine.ts: RangeError: no (line 1); the device goes on as it was'],
    ['exports something else', 'export const x = 1;', './mine.ts: exports no function createDevice(host, address), but x; the device goes on as it was'],
    ['refuses the state', device(2, { takes: false }), /^\.\/mine\.ts: the new device does not take the old one's state: E\w+; the device goes on as it was$/],
    ['has another BAR', device(2, { size: 0x2000 }), './mine.ts: its ids, regions or interrupts are others than its client knows; end and serve it anew; the device goes on as it was'],
  ])('lets the old device go on where the new file %s', async (_, text, why) => {
    const guest = await watched(device(1));
    guest.write(text);
    expect(await guest.serving.line('goes on')).toEqual(typeof why === 'string' ? why : expect.stringMatching(why));
    expect([register(guest.device, VERSION), register(guest.device, KEPT), go(guest)]).toEqual([1, 42, [1, 1]]);
    guest.write(device(3));
    await guest.serving.line('state kept');
    expect([register(guest.device, VERSION), register(guest.device, KEPT), go(guest)]).toEqual([3, 42, [3, 1]]);
    expect(await guest.serving.end()).toBe(0);
  });

  it('reads the file also while no client is there, which then may be of another shape', async () => {
    const folder = folderFor('watch');
    const write = (text: string): void => { writeFileSync(join(folder, 'mine.ts'), text); };
    writeFileSync(join(folder, 'version.ts'), 'export const version = 0;');
    write(device(1));
    const serving = new Running(['serve', './mine.ts', '--socket', 's', '--watch'], folder);
    await serving.line('listening');
    write(device(2, { size: 0x2000 }));
    expect(await serving.line('new code')).toBe('./mine.ts: new code: another shape, which starts afresh');
    const { device: remote } = clientOf(join(folder, 's'));
    setRegister(remote, 4, 2, CONFIG);
    expect([register(remote, VERSION), await serving.end()]).toEqual([2, 0]);
  });
});
