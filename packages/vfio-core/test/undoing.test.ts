/** What a step that fails halfway leaves behind: nothing. */
import { describe, expect, it } from 'vitest';
import {
  DmaLog,
  Driver,
  EIO,
  getDeviceFd,
  getExternalUser,
  getExternalUserFromDevice,
  getMigrationState,
  mapDma,
  MIG_STATE,
  Process,
  putExternalUser,
  set,
  setContainer,
  setMigrationState,
  VFIO_DEVICE_FEATURE,
  VFIO_DEVICE_FEATURE_DMA_LOGGING_START,
  VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE,
  VFIO_DEVICE_FEATURE_SET,
  VFIO_GROUP_UNSET_CONTAINER,
  VFIO_IOMMU_DIRTY_PAGES,
  VFIO_IOMMU_DIRTY_PAGES_FLAG_START,
  vfio_iommu_type1_dirty_bitmap,
  type Sleeps,
} from '@vsim/vfio-core';
import { outcomeOf } from '@vsim/vfio-core/testing';
import { MigratingDevice } from './migrating-device.ts';
import { addEmulated, openGroup, sampleHost, type SampleDevice } from './sample-device.ts';

/** A driver of the kernel's own that finds its device broken. */
class BrokenDriver extends Driver<SampleDevice> {
  override readonly name: string = 'broken';

  override match(device: SampleDevice): boolean {
    return device.driverOverride === this.name;
  }

  override *probe(): Sleeps<number> {
    return -EIO;
  }

  override *remove(): Sleeps<void> {
    // It is never bound.
  }
}

describe('a failure halfway', () => {
  it.each(['linux-5.13', 'linux-6.1', 'linux-7.3'] as const)('of GET_DEVICE_FD gives the fd’s number back, the device and the container: %s', (profile) => {
    const sample = sampleHost(['a'], { profile });
    const { root } = sample;
    sample.bind('a');
    const vfioDevice = sample.device('a');
    const { group } = openGroup(sample, 0);
    const next = () => {
      const fd = root.open('/dev/vfio/vfio');
      root.close(fd);
      return fd;
    };
    const before = [next(), vfioDevice.references];
    vfioDevice.openResult = -EIO;
    expect(outcomeOf(() => getDeviceFd(root, group, 'a'))).toBe('EIO');
    expect([next(), vfioDevice.references]).toEqual(before);
    expect(outcomeOf(() => root.ioctl(group, VFIO_GROUP_UNSET_CONTAINER))).toBe('success');
  });

  it('of the START of dirty tracking turns it off: the next fails as well', () => {
    const sample = sampleHost([]);
    const { root } = sample;
    const { container } = openGroup(sample, addEmulated(sample, 'm').group);
    mapDma(root, container, { iova: 0, size: 2 ** 44, vaddr: 0, flags: 3 });
    const start = new Uint8Array(vfio_iommu_type1_dirty_bitmap.size);
    set(start, vfio_iommu_type1_dirty_bitmap.argsz, start.length);
    set(start, vfio_iommu_type1_dirty_bitmap.flags, VFIO_IOMMU_DIRTY_PAGES_FLAG_START);
    const outcome = () => outcomeOf(() => root.ioctl(container, VFIO_IOMMU_DIRTY_PAGES, start));
    expect([outcome(), outcome()]).toEqual(['EINVAL', 'EINVAL']);
  });

  it.each(['linux-6.1', 'linux-6.12', 'linux-7.3'] as const)('of a probe gives the group’s DMA back, which user space may then have: %s', (profile) => {
    const sample = sampleHost(['a', 'b'], { profile }, true);
    const { host, bus, root } = sample;
    host.scheduler.call('modprobe', bus.addDriver(new BrokenDriver()));
    sample.bind('a');
    root.writeFile('/sys/bus/sample/devices/b/driver_override', 'broken');
    expect(outcomeOf(() => root.writeFile('/sys/bus/sample/drivers/broken/bind', 'b'))).toBe('EIO');
    const group = root.open('/dev/vfio/0');
    expect(outcomeOf(() => { setContainer(root, group, root.open('/dev/vfio/vfio')); })).toBe('success');
  });
});

describe('an answer that cannot be written to user memory', () => {
  /** A device that migrates and keeps a log, open; and a request in memory that can be read, not written. */
  function setUp() {
    const sample = sampleHost(['a'], { profile: 'linux-6.12' });
    const { host, root, bus, vfio } = sample;
    const device = new MigratingDevice(vfio, bus.device('a')!);
    device.logger = new DmaLog();
    host.scheduler.call('register', device.register());
    const fd = getDeviceFd(root, openGroup(sample, 0).group, 'a');
    const ask = (writable: boolean, words: readonly number[], ranges: readonly number[] = []) => {
      const memory = root.mmap(-1, 4096);
      const bytes = new Uint8Array(4096);
      const view = new DataView(bytes.buffer);
      words.forEach((word, i) => view.setUint32(4 * i, word, true));
      ranges.forEach((word, i) => view.setBigUint64(0x100 + 8 * i, BigInt(word), true));
      if (ranges.length > 0) view.setBigUint64(24, BigInt(memory.address) + 0x100n, true);
      memory.writeBytes(0, bytes);
      if (!writable) root.mm.protect(memory.address, 4096, true, false);
      return outcomeOf(() => root.ioctl(fd, VFIO_DEVICE_FEATURE, memory.address));
    };
    return { ...sample, device, fd, ask };
  }

  it('takes the fd of a migration’s stream back, and its number', () => {
    const { root, device, fd, ask } = setUp();
    const { STOP_COPY } = MIG_STATE;
    const before = root.nextFd();
    expect(ask(false, [16, VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE, STOP_COPY, 0])).toBe('EFAULT');
    expect([root.nextFd(), device.files.save?.references, getMigrationState(root, fd)]).toEqual([before, 0, STOP_COPY]);
  });

  it('takes the stream back where no number is left for it', () => {
    const sample = setUp();
    const { root, host, device, fd } = sample;
    const full = new Process(host, { name: 'full', maxFiles: 4 });
    const theirs = root.send(fd, full);
    expect(outcomeOf(() => setMigrationState(full, theirs, MIG_STATE.STOP_COPY))).toBe('EMFILE');
    expect([device.files.save?.references, full.fds]).toEqual([0, [theirs]]);
  });

  it('turns the log of DMA off again: the next START is no second one', () => {
    const { ask } = setUp();
    const words = [32, VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_DMA_LOGGING_START, 4096, 0, 1, 0];
    expect([ask(false, words, [0, 4096]), ask(true, words, [0, 4096]), ask(true, words, [0, 4096])]).toEqual(['EFAULT', 'success', 'EBUSY']);
  });
});

it('memory for which a process has no addresses is given back', () => {
  const { root, host } = sampleHost([]);
  // mmap() gives addresses from 0x7e00_0000_0000 to 2^47; those of a device cost no memory.
  expect(typeof root.mm.mapDevice(2 ** 41 - 2 ** 22, { physical: 0, live: () => true }, true, true)).toBe('object');
  const before = host.pages.used;
  expect([outcomeOf(() => root.mmap(-1, 2 ** 23)), host.pages.used]).toEqual(['ENOMEM', before]);
});

it('a user of a group inside the kernel of 5.13 leaves it as it was, and may come from its device or its file', () => {
  const sample = sampleHost(['a'], { profile: 'linux-5.13' });
  const { root, vfio, bus } = sample;
  sample.bind('a');
  const { group } = openGroup(sample, 0);
  const vfioGroup = vfio.groups[0]!;
  const before = [vfioGroup.references, vfioGroup.containerUsers];
  for (const hold of [() => getExternalUser(root.file(group)!), () => getExternalUserFromDevice(vfio, bus.device('a')!)]) {
    const held = hold();
    if (typeof held === 'number') throw new Error(`no user: ${held}`);
    expect([vfioGroup.references, vfioGroup.containerUsers]).toEqual(before.map((count) => count + 1));
    putExternalUser(held);
    expect([vfioGroup.references, vfioGroup.containerUsers]).toEqual(before);
  }
});
