import { describe, expect, it } from 'vitest';
import { getDeviceFd, getRegionInfo, Host, Process, setContainer, Vfio, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU, type ProfileName } from '@vsim/vfio-core';
import { outcomeOf, vfioDeviceSuite } from '@vsim/vfio-core/testing';
import { MdevBus } from '@vsim/mdev';
import { CounterParent } from './counter.ts';

const TYPE = '/sys/class/mdev_bus/counter/mdev_supported_types/counter-reads';
const uuid = (n: number) => `00000000-0000-0000-0000-00000000000${n}`;

function setUp(profile: ProfileName = 'linux-6.1') {
  const host = new Host({ profile });
  const vfio = new Vfio(host);
  const bus = new MdevBus(host);
  host.scheduler.call('modprobe counter', new CounterParent(bus, vfio).register());
  const root = new Process(host, { name: 'root' });
  const create = (n: number) => {
    root.writeFile(`${TYPE}/create`, uuid(n));
    return Number(root.readlink(`/sys/bus/mdev/devices/${uuid(n)}/iommu_group`).split('/').at(-1));
  };
  return { root, create };
}

it('an author’s parent makes devices by UUID, until none is left', () => {
  const { root, create } = setUp();
  const group = root.open(`/dev/vfio/${create(1)}`);
  for (const n of [2, 3, 4]) create(n);
  expect([root.readFile(`${TYPE}/available_instances`), root.readFile(`${TYPE}/name`), outcomeOf(() => create(5))]).toEqual(['0\n', 'Counts its reads\n', 'EUSERS']);
  const container = root.open('/dev/vfio/vfio');
  setContainer(root, group, container);
  root.ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU);
  const device = getDeviceFd(root, group, uuid(1));
  const read = () => {
    const into = new Uint8Array(4);
    root.pread(device, into, Number(getRegionInfo(root, device, 0).offset));
    return into[0];
  };
  expect([read(), read(), outcomeOf(() => root.pread(device, new Uint8Array(2), 0))]).toEqual([1, 2, 'EINVAL']);
});

// #region suite
describe.each<ProfileName>(['linux-5.13', 'linux-6.1'])('its device on %s', (profile) => {
  for (const { name, run } of vfioDeviceSuite(() => {
    const { root, create } = setUp(profile);
    const group = create(1);
    const driver = profile === 'linux-5.13' ? 'vfio_mdev' : 'counter';
    return { process: root, device: uuid(1), group, unbind: () => root.start('unbind', root.sys.writeFile(`/sys/bus/mdev/drivers/${driver}/unbind`, uuid(1))) };
  })) {
    it(name, run);
  }
});
// #endregion suite
