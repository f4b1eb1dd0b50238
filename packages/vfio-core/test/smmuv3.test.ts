/** SMMUv3: when groups come, who has a stream id, what containers get of it. */
import {
  Bus,
  Driver,
  Host,
  Mmu500Iommu,
  Process,
  setContainer,
  SmmuV3Iommu,
  STREAM_TAKEN,
  Vfio,
  VFIO_CHECK_EXTENSION,
  VFIO_SET_IOMMU,
  VFIO_TYPE1_NESTING_IOMMU,
  VFIO_TYPE1v2_IOMMU,
  type ProfileName,
  type Sleeps,
  type SmmuV3Init,
} from '@vsim/vfio-core';
import { outcomeOf } from '@vsim/vfio-core/testing';
import { describe, expect, it } from 'vitest';
import { SampleDevice, SampleDriver } from './sample-device.ts';

class WiredDevice extends SampleDevice {
  override readonly hasMsiDomain: boolean = false;
}

class Refusing extends Driver<SampleDevice> {
  override readonly name: string = 'refusing';

  override match(): boolean {
    return true;
  }

  override *probe(): Sleeps<number> {
    return -22;
  }

  override *remove(): Sleeps<void> {
    // It never binds.
  }
}

/** Devices a and b, which have one stream id, and c and w, which sends no messages. */
function setUp(profile: ProfileName = 'linux-6.1', init: SmmuV3Init = {}) {
  const host = new Host({ profile });
  const vfio = new Vfio(host);
  const bus = new Bus<SampleDevice>(host, 'sample');
  const smmu = new SmmuV3Iommu(host, init);
  const events = host.trace.record('warn');
  const streams: readonly (readonly [SampleDevice, number])[] = [
    [new SampleDevice(host, 'a'), 1],
    [new SampleDevice(host, 'b'), 1],
    [new SampleDevice(host, 'c'), 2],
    [new WiredDevice(host, 'w'), 3],
  ];
  for (const [device, stream] of streams) {
    smmu.addMaster(device, stream);
    bus.announce(device);
  }
  host.scheduler.call('modprobe', bus.addDriver(new SampleDriver(vfio)));
  const root = new Process(host, { name: 'root' });
  const folder = (name: string): string => `/sys/bus/sample/devices/${name}`;
  const bind = (name: string): string => {
    root.writeFile(`${folder(name)}/driver_override`, 'vfio-sample');
    return outcomeOf(() => root.writeFile('/sys/bus/sample/drivers/vfio-sample/bind', name));
  };
  const group = (name: string): number | undefined => bus.device(name)?.iommuGroup?.id;
  const open = (name: string, type: number): string => {
    const container = root.open('/dev/vfio/vfio');
    const fd = root.open(`/dev/vfio/${group(name)}`);
    setContainer(root, fd, container);
    const outcome = outcomeOf(() => root.ioctl(container, VFIO_SET_IOMMU, type));
    root.close(fd);
    root.close(container);
    return outcome;
  };
  return { host, vfio, bus, events, root, bind, group, open };
}

it('an MMU-500 has devices of one stream id in one group, which show what they are behind [fslmc 4]', () => {
  const host = new Host();
  const smmu = new Mmu500Iommu(host, { device: '5000000.iommu' });
  const devices = ['a', 'b', 'c'].map((name) => new SampleDevice(host, name));
  for (const [i, device] of devices.entries()) {
    smmu.addMaster(device, i === 2 ? 2 : 1);
    device.configureDma?.();
  }
  expect(devices.map(({ iommuGroup }) => iommuGroup?.id)).toEqual([0, 0, 1]);
  const [a] = devices;
  const shown = (): unknown => ['iommu', 'iommu_group', 'supplier:platform:5000000.iommu'].filter((name) => host.files.lookup(`${a!.sysfs}/${name}`, true) !== undefined);
  expect(shown()).toEqual(['iommu', 'iommu_group', 'supplier:platform:5000000.iommu']);
  for (const device of devices.slice(0, 2)) device.iommuGroup?.removeDevice(device);
  a?.configureDma?.();
  // The group went with its last device.
  expect(devices.map(({ iommuGroup }) => iommuGroup?.id)).toEqual([0, undefined, 1]);
  a?.iommuGroup?.removeDevice(a);
  expect(shown()).toEqual([]);
});

describe('the group of a device behind an SMMU', () => {
  it('comes when its first driver is tried, in that order, and stays when the driver refuses [platform 6] [platform 14]', () => {
    const { host, bus, bind, group } = setUp();
    expect([group('a'), group('c')]).toEqual([undefined, undefined]);
    bind('c');
    bus.device('a')!.driverOverride = undefined;
    host.scheduler.call('modprobe', bus.addDriver(new Refusing()));
    host.scheduler.call('probe', bus.probe(bus.device('a')!));
    expect([group('c'), group('a'), bus.device('a')?.driverName]).toEqual([0, 1, undefined]);
  });

  it('is that of whoever is tried first where two have one stream id; the other has none [platform 6]', () => {
    const { bind, group, events } = setUp();
    expect([bind('b'), bind('a'), group('b'), group('a')]).toEqual(['success', 'EINVAL', 0, undefined]);
    expect(events.map(({ id, fields }) => [id, fields])).toEqual([[STREAM_TAKEN.id, { device: 'a', stream: 1, owner: 'b' }]]);
  });

  it('comes with the device on 7.3: the first in the tree has the stream id for good [platform 70] [platform 71] [platform 78]', () => {
    const { bind, group } = setUp('linux-7.3');
    expect(['a', 'b', 'c', 'w'].map(group)).toEqual([0, undefined, 1, 2]);
    expect([bind('b'), bind('a')]).toEqual(['EINVAL', 'success']);
  });

  it('says DMA, and has no name; identity is a choice [platform 13]', () => {
    const { root, bind } = setUp();
    bind('c');
    expect([root.readFile('/sys/kernel/iommu_groups/0/type'), outcomeOf(() => root.readFile('/sys/kernel/iommu_groups/0/name'))]).toEqual(['DMA\n', 'ENOENT']);
    const passthrough = setUp('linux-6.1', { defaultDomain: 'identity' });
    passthrough.bind('c');
    expect(passthrough.root.readFile('/sys/kernel/iommu_groups/0/type')).toBe('identity\n');
  });

  it('is there, and VFIO takes no device of it, where the SMMU is not coherent, also with no-IOMMU on [platform 7]', () => {
    const { vfio, bind, group } = setUp('linux-6.1', { coherent: false });
    vfio.noiommu = true;
    expect([bind('c'), group('c')]).toEqual(['EINVAL', 0]);
  });
});

it.each<readonly [ProfileName, number, string]>([['linux-6.1', 1, 'success'], ['linux-6.12', 1, 'EPERM'], ['linux-7.3', 0, 'ENODEV']])('nesting on %s: CHECK_EXTENSION %i, SET_IOMMU %s [platform 50] [platform 68] [platform 73]', (profile, extension, outcome) => {
  const { root, bind, open } = setUp(profile);
  bind('c');
  expect(root.ioctl(root.open('/dev/vfio/vfio'), VFIO_CHECK_EXTENSION, VFIO_TYPE1_NESTING_IOMMU)).toBe(extension);
  expect(open('c', VFIO_TYPE1_NESTING_IOMMU)).toBe(outcome);
  expect(open('c', VFIO_TYPE1v2_IOMMU)).toBe('success');
});

it.each<readonly [ProfileName, string]>([['linux-6.1', 'success'], ['linux-6.12', 'EPERM'], ['linux-7.3', 'EPERM']])('a device without MSI controller: on %s its container is %s, unless unsafe interrupts are allowed [platform 63]', (profile, outcome) => {
  const { vfio, bind, open } = setUp(profile);
  bind('w');
  bind('c');
  expect([open('w', VFIO_TYPE1v2_IOMMU), open('c', VFIO_TYPE1v2_IOMMU)]).toEqual([outcome, 'success']);
  vfio.type1.allowUnsafeInterrupts = true;
  expect(open('w', VFIO_TYPE1v2_IOMMU)).toBe('success');
});
