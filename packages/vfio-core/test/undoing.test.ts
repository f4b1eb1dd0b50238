/** What a step that fails halfway leaves behind: nothing. */
import { describe, expect, it } from 'vitest';
import { Driver, EIO, getDeviceFd, mapDma, set, setContainer, VFIO_GROUP_UNSET_CONTAINER, VFIO_IOMMU_DIRTY_PAGES, VFIO_IOMMU_DIRTY_PAGES_FLAG_START, vfio_iommu_type1_dirty_bitmap, type Sleeps } from '@vsim/vfio-core';
import { outcomeOf } from '@vsim/vfio-core/testing';
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
