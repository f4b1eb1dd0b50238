/** A device taken out of its slot, open and not, and one put in: what a kernel was recorded to answer (iommufd's c:life:hot-unplug). */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { Fields, type Json } from '../json.ts';
import { parseHost } from '../recorded-machine.ts';
import { RECORDINGS } from '../replay.ts';
import { vfioFormat } from './format.ts';

type Step = Readonly<Record<string, Json>>;

const DEVICE = '0000:06:00.0';
const SYSFS = `/sys/bus/pci/devices/${DEVICE}`;
const EMPTY = { return: {} };

const HEADER: Step = { scenario: 'unplug', kernel: '6.1.0', group: 'life', native_modules: ['vfio-pci'], cmdline: '', devices: [], vfio_nodes: ['vfio'], state: {} };
/** Bound to vfio-pci and opened, with an eventfd for REQ. */
const OPEN: readonly Step[] = [
  { call: 'sysfs_write', path: `${SYSFS}/driver_override`, text: 'vfio-pci', ret: 8 },
  { call: 'sysfs_write', path: `${SYSFS}/driver/unbind`, text: DEVICE, ret: 12 },
  { call: 'sysfs_write', path: '/sys/bus/pci/drivers_probe', text: DEVICE, ret: 12 },
  { call: 'open', path: '/dev/vfio/vfio', flags: 2, as: 'c', ret: 'fd' },
  { call: 'open', path: '/dev/vfio/31', flags: 2, as: 'g', ret: 'fd' },
  { call: 'ioctl', fd: 'g', req: 'VFIO_GROUP_SET_CONTAINER', in: '00000000', refs: [{ off: 0, fd: 'c' }], ret: 0 },
  { call: 'ioctl', fd: 'c', req: 'VFIO_SET_IOMMU', arg: 3, ret: 0 },
  { call: 'ioctl', fd: 'g', req: 'VFIO_GROUP_GET_DEVICE_FD', str: DEVICE, ret: 'fd', as: 'd' },
  { call: 'eventfd', as: 'req', init: 0, ret: 'fd' },
  { call: 'ioctl', fd: 'd', req: 'VFIO_DEVICE_SET_IRQS', in: '180000002400000004000000000000000100000000000000', refs: [{ off: 20, fd: 'req' }], ret: 0 },
];
const UNPLUG: readonly Step[] = [
  { call: 'host', execute: 'device_del', arguments: { id: 'hp0' }, result: EMPTY, timing: true },
  { call: 'sleep', ms: 7000, timing: true },
  { call: 'eventfd_wait', fd: 'req', timeout_ms: 4000, ret: 8, count: 1, timing: true },
  { call: 'device_present', device: DEVICE, present: true },
  { call: 'pread', fd: 'd', off: '0x70000000000', len: 4, ret: 4, region: 'CONFIG', at: 0, out: 'f41a4110' },
  { call: 'close', fd: 'd', ret: 0 },
  { call: 'device_present', device: DEVICE, present: false, timing: true },
  { call: 'host', execute: 'x-events', result: { events: [{ event: 'DEVICE_DELETED', data: { path: '/machine/peripheral/hp0/virtio-backend' } }, { event: 'DEVICE_DELETED', data: { device: 'hp0', path: '/machine/peripheral/hp0' } }] }, timing: true },
  { call: 'ls', path: '/dev/vfio', names: ['vfio'] },
  { call: 'ioctl', fd: 'g', req: 'VFIO_GROUP_GET_STATUS', in: '08000000cccccccc', room: 16, ret: -1, errno: 'ENODEV' },
  { call: 'close', fd: 'req', ret: 0 },
  { call: 'close', fd: 'g', ret: 0 },
  { call: 'close', fd: 'c', ret: 0 },
];
const PLUG: readonly Step[] = [
  { call: 'host', execute: 'device_add', arguments: { driver: 'virtio-net-pci', id: 'hp0', bus: 'rp5', mac: '52:54:00:00:0c:00' }, result: EMPTY, timing: true },
  { call: 'sleep', ms: 3000, timing: true },
  { call: 'device_present', device: DEVICE, present: true, timing: true },
  { call: 'sysfs_link', path: `${SYSFS}/iommu_group`, to: '31' },
  { call: 'raw_config', device: DEVICE, at: 0, out: 'f41a4110060010000100000200000000000000000000a4f900000000000000000c00c0fd0000000000000000f41a001100000000dc0000000000000000010000' },
];

function replay(steps: readonly Step[]): readonly string[] {
  const text = gunzipSync(readFileSync(join(RECORDINGS, 'vfio', 'host.json.gz'))).toString();
  const host = parseHost('host.json', text);
  const numbered: readonly Step[] = [HEADER, ...[...steps, { call: 'end' }].map((step, n) => ({ n, ...step }))];
  const lines = numbered.map((line, at) => new Fields('test', at + 1, line));
  return [...vfioFormat.run(lines, { hosts: () => host })].flatMap(({ divergences }) => divergences.map(({ step, field, expected, actual }) => `${step} ${field}: ${expected}, got ${actual}`));
}

describe('steps done to the machine', () => {
  it('take an open device out of its slot when its user has closed it, and put another in', () => {
    expect(replay([...OPEN, ...UNPLUG, ...PLUG])).toEqual([]);
  });

  it('take out a device that nobody has open at once', () => {
    const closed = [...OPEN.slice(0, 3), UNPLUG[0]!, { call: 'device_present', device: DEVICE, present: false }];
    expect(replay(closed)).toEqual([]);
  });

  it.each<[string, readonly Step[], string]>([
    ['a device that is not there', [...OPEN.slice(0, 3), UNPLUG[0]!, UNPLUG[0]!], '4 arguments: a device hp0, got none'],
    ['a slot that is taken', [PLUG[0]!], '0 arguments: a free slot at rp5, got 0000:06:00.0'],
    ['a command that nobody knows', [{ call: 'host', execute: 'quit', arguments: {}, result: EMPTY, timing: true }], '0 execute: quit, got not known'],
    ['a result that is none', [{ ...UNPLUG[0]!, result: { error: {} } }], '0 result: error, got return'],
  ])('notice %s', (_name, steps, divergence) => {
    expect(replay(steps)).toContain(divergence);
  });
});
