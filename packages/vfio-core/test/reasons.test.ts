/** Refusals of the core that other tests know by their errno alone: each says which rule it was [M14]. */
import type { Host } from '@vsim/vfio-core';
import {
  DRIVER_GOING,
  GROUP_ALLOCATION,
  INJECTED_FAULT,
  IommuDomain,
  MIG_STATE,
  Process,
  SyscallError,
  VFIO_DEVICE_FEATURE,
  VFIO_MIG_GET_PRECOPY_INFO,
  VFIO_SET_IOMMU,
  VFIO_TYPE1v2_IOMMU,
  VtdIommu,
  getDeviceFd,
  mapDma,
  pinPages,
  setContainer,
  setMigrationState,
  unmapDma,
  DmaLog,
} from '@vsim/vfio-core';
import { describe, expect, it } from 'vitest';
import { why } from '../../../testing/why.ts';
import { MigratingDevice } from './migrating-device.ts';
import { addEmulated, openGroup, sampleHost, SampleDevice } from './sample-device.ts';

function refusedIn(host: Host) {
  const events = host.trace.record();
  /** Ids of the reasons that calls were refused for. */
  return (...calls: readonly (() => unknown)[]): readonly string[] => {
    const seen = events.length;
    for (const call of calls) {
      try {
        call();
      } catch (error) {
        if (!(error instanceof SyscallError)) throw error;
      }
    }
    return events.slice(seen).filter(({ severity }) => severity === 'info').map(({ id }) => id);
  };
}

describe('a process', () => {
  it('is told of paths, offsets, memory and eventfds', () => {
    const { host, root, bind } = sampleHost(['a']);
    bind('a');
    const refused = refusedIn(host);
    expect(refused(() => root.open('/dev/vfio'))).toEqual(['process/is-folder']);
    expect(refused(() => root.open('/sys/bus/sample/drivers_probe'), () => root.readFile('/dev/vfio/vfio'))).toEqual(['process/not-attribute', 'process/not-attribute']);
    const container = root.open('/dev/vfio/vfio');
    expect(refused(() => root.pread(container, new Uint8Array(1), -2))).toEqual(['process/bad-offset']);
    expect(refused(() => root.mmap(-1, 2 ** 40))).toEqual(['process/no-memory']);
    const eventfd = root.eventfd();
    expect(refused(() => root.read(eventfd, new Uint8Array(4)), () => root.writeEventfd(eventfd, 2n ** 64n - 1n))).toEqual(['eventfd/buffer', 'eventfd/buffer']);
  });
});

describe('an eventfd', () => {
  it('that is not ready says what it counts, with fields that are made once for one that is empty', () => {
    const { host, root } = sampleHost(['a']);
    const events = host.trace.record();
    const fd = root.eventfd();
    const read = () => root.read(fd, new Uint8Array(8));
    expect(why(events, read)).toBe('EAGAIN eventfd/not-ready: root eventfd 3 counts 0');
    expect(why(events, read)).toBe('EAGAIN eventfd/not-ready: root eventfd 3 counts 0');
    expect(events[0]?.fields).toBe(events[1]?.fields);
    root.writeEventfd(fd, 2n ** 64n - 2n);
    expect(why(events, () => { root.writeEventfd(fd, 1n); })).toBe('EAGAIN eventfd/not-ready: root eventfd 3 counts 18446744073709551614, and has no room for 1');
  });
});

describe('a device', () => {
  it('whose driver is about to go, or is used, says so', () => {
    const sample = sampleHost(['a']);
    const { host, bus, driver, root } = sample;
    sample.bind('a');
    const { group } = openGroup(sample, 0);
    const refused = refusedIn(host);
    driver.going = true;
    expect(refused(() => getDeviceFd(root, group, 'a'))).toEqual([DRIVER_GOING.id]);
    driver.going = false;
    getDeviceFd(root, group, 'a');
    expect(refused(() => host.scheduler.call('rmmod', bus.unloadDriver(driver)))).toEqual(['sysfs/module-used']);
  });

  it('whose registration a test makes fail says so', () => {
    const { host, bind } = sampleHost(['a']);
    const refused = refusedIn(host);
    host.faults.failNext(GROUP_ALLOCATION);
    expect(refused(() => { bind('a'); })).toEqual([INJECTED_FAULT.id]);
  });
});

describe('a group', () => {
  it('without isolated interrupts, or with a domain of somebody else, does not join', () => {
    class Unsafe extends VtdIommu {
      override readonly isolatesMsi: boolean = false;
    }
    const { host, vfio, root, bind, bus, iommu } = sampleHost(['a', 'b']);
    bind('a');
    bind('b');
    const refused = refusedIn(host);
    const container = root.open('/dev/vfio/vfio');
    setContainer(root, root.open('/dev/vfio/0'), container);
    vfio.groups[0]!.iommuGroup.attachDomain(new IommuDomain(iommu));
    expect(refused(() => root.ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU))).toEqual(['type1/attach-domain']);
    const unsafe = new SampleDevice(host, 'u');
    bus.announce(unsafe);
    new Unsafe(host).addGroup([unsafe]);
    bind('u');
    const second = root.open('/dev/vfio/vfio');
    setContainer(root, root.open(`/dev/vfio/${unsafe.iommuGroup!.id}`), second);
    expect(refused(() => root.ioctl(second, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU))).toEqual(['type1/unsafe-interrupts']);
  });
});

describe('a group without IOMMU', () => {
  it('is for those who may do anything, and for itself', () => {
    const sample = sampleHost(['a']);
    const { host, vfio, bus, root, bind } = sample;
    bus.announce(new SampleDevice(host, 'n'));
    vfio.noiommu = true;
    bind('n');
    bind('a');
    const refused = refusedIn(host);
    const weak = new Process(host, { capabilities: [] });
    expect(refused(() => weak.open('/dev/vfio/noiommu-1'))).toEqual(['vfio/noiommu-rights']);
    const { container } = openGroup(sample, 0);
    const group = root.open('/dev/vfio/noiommu-1');
    expect(refused(() => { setContainer(root, group, container); })).toEqual(['vfio/noiommu-alone']);
  });
});

describe('an emulated device', () => {
  it('keeps a container from giving up a vaddr, and is told what it cannot pin', () => {
    const sample = sampleHost(['a']);
    const { host, root } = sample;
    const { group, device } = addEmulated(sample, 'm');
    const { container, group: groupFd } = openGroup(sample, group);
    getDeviceFd(root, groupFd, 'm');
    const memory = root.mmap(-1, 0x1000);
    mapDma(root, container, { iova: 0, vaddr: memory.address, size: 0x1000, flags: 3 });
    const refused = refusedIn(host);
    expect(refused(() => unmapDma(root, container, 0, 0x1000, 4))).toEqual(['type1/vaddr-emulated']);
    expect(refused(() => host.scheduler.call('pin', pinPages(device, [5], 1)))).toEqual(['type1/pin']);
  });
});

describe('a device that migrates', () => {
  it('says which way there is not, and what becomes of its streams', () => {
    const sample = sampleHost(['a'], { profile: 'linux-6.12' });
    const { host, root, bus, vfio } = sample;
    const device = new MigratingDevice(vfio, bus.device('a')!);
    device.logger = new DmaLog();
    host.scheduler.call('register', device.register());
    const { group } = openGroup(sample, 0);
    const fd = getDeviceFd(root, group, 'a');
    const refused = refusedIn(host);
    const to = (state: number) => () => setMigrationState(root, fd, state);
    expect(refused(to(MIG_STATE.ERROR))).toEqual(['migration/state']);
    expect(to(MIG_STATE.ERROR)).toThrow('a does not get from RUNNING to ERROR');
    const pre = to(MIG_STATE.PRE_COPY)();
    root.read(pre, new Uint8Array(8));
    expect(refused(() => root.read(pre, new Uint8Array(8)), () => root.pread(pre, new Uint8Array(8), 0))).toEqual(['migration/stream-empty', 'migration/stream-offset']);
    to(MIG_STATE.STOP_COPY)();
    const info = new Uint8Array([32, ...new Array<number>(31).fill(0)]);
    expect(refused(() => root.ioctl(pre, VFIO_MIG_GET_PRECOPY_INFO, info))).toEqual(['migration/precopy-state']);
    to(MIG_STATE.STOP)();
    expect(refused(() => root.read(pre, new Uint8Array(8)))).toEqual(['migration/stream-over']);
    const resume = to(MIG_STATE.RESUMING)();
    expect(refused(() => root.write(resume, new Uint8Array(9)))).toEqual(['migration/stream-full']);
  });

  it('says what is wrong with a log', () => {
    const sample = sampleHost(['a']);
    const { host, root, bus, vfio } = sample;
    const device = new MigratingDevice(vfio, bus.device('a')!);
    device.logger = new DmaLog();
    host.scheduler.call('register', device.register());
    const { group } = openGroup(sample, 0);
    const fd = getDeviceFd(root, group, 'a');
    const refused = refusedIn(host);
    const memory = root.mmap(-1, 0x1000);
    const request = (feature: number, ...words: readonly (readonly [at: number, value: bigint])[]) => () => {
      const bytes = new Uint8Array(8 + 40);
      const view = new DataView(bytes.buffer);
      view.setUint32(0, bytes.length, true);
      view.setUint32(4, feature, true);
      for (const [at, value] of words) view.setBigUint64(8 + at, value, true);
      return root.ioctl(fd, VFIO_DEVICE_FEATURE, bytes);
    };
    const START = 0x2_0006;
    const REPORT = 0x1_0008;
    memory.write(0, 4, 0x800); // a range whose iova is not aligned
    expect(refused(request(START, [0, 4096n]))).toEqual(['dma-logging/ranges']);
    expect(refused(request(START, [0, 4096n], [8, 1n], [16, BigInt(memory.address)]))).toEqual(['dma-logging/range']);
    expect(refused(request(REPORT, [0, 0n], [8, 4096n], [16, 4096n]))).toEqual(['dma-logging/state']);
  });
});
