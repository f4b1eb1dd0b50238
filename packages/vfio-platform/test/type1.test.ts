/** Type 1 over an SMMUv3, and what VFIO's core answers, as recorded of platform devices. Recorded: golden/vfio-platform*, type1, info, life. */
import {
  get,
  getDeviceFd,
  getIommuInfo,
  getRegionInfo,
  mapDma,
  VFIO_CHECK_EXTENSION,
  VFIO_DMA_CC_IOMMU,
  VFIO_GROUP_SET_CONTAINER,
  VFIO_GROUP_UNSET_CONTAINER,
  VFIO_IOMMU_GET_INFO,
  vfio_iommu_type1_info,
  type ProfileName,
} from '@vsim/vfio-core';
import { outcomeOf } from '@vsim/vfio-core/testing';
import { describe, expect, it } from 'vitest';
import { NAME, openGroup, setUp } from './set-up.ts';

const PROFILES: readonly ProfileName[] = ['linux-6.1', 'linux-6.12', 'linux-7.3'];

/** The argsz that GET_INFO asks for. */
function wanted(profile: ProfileName): number {
  const made = setUp({ profile });
  made.bind();
  const { container } = made.open();
  const info = new Uint8Array(24);
  info[0] = 24;
  made.root.ioctl(container, VFIO_IOMMU_GET_INFO, info);
  return get(info, vfio_iommu_type1_info.argsz);
}

describe.each(PROFILES)('a container behind an SMMUv3, %s', (profile) => {
  it('has three page sizes and 48 bits without the window of messages, where nothing is mapped [platform 49]', () => {
    const made = setUp({ profile });
    made.bind();
    const { container } = made.open();
    expect(getIommuInfo(made.root, container)).toEqual({ pageSizes: 0x4020_1000n, iovaRanges: [{ start: 0n, end: 0x7ff_ffffn }, { start: 0x810_0000n, end: 0xffff_ffff_ffffn }] });
    const { address } = made.root.mmap(-1, 0x1000);
    const map = (iova: number) => outcomeOf(() => { mapDma(made.root, container, { vaddr: address, iova, size: 0x1000, flags: 3 }); });
    expect([0x7ff_f000, 0x800_0000, 0x80f_f000, 0x810_0000].map(map)).toEqual(['success', 'EINVAL', 'EINVAL', 'success']);
  });

  it('never says that DMA is coherent [platform 51]', () => {
    const made = setUp({ profile });
    made.bind();
    const before = made.root.open('/dev/vfio/vfio');
    const { container } = made.open();
    expect([before, container].map((fd) => made.root.ioctl(fd, VFIO_CHECK_EXTENSION, VFIO_DMA_CC_IOMMU))).toEqual([0, 0]);
  });

  it('maps the registers of a device that are mapped [platform 52]', () => {
    const made = setUp({ profile });
    made.bind();
    const { container, device } = made.open();
    const registers = made.root.mmap(device, 0x1000, Number(getRegionInfo(made.root, device, 0).offset));
    expect(outcomeOf(() => { mapDma(made.root, container, { vaddr: registers.address, iova: 0x10_0000, size: 0x1000, flags: 3 }); })).toBe('success');
  });
});

it('GET_INFO’s capabilities are aligned to 8 from 6.12 on [platform 64]', () => {
  expect(PROFILES.map(wanted)).toEqual([0x74, 0x78, 0x78]);
});

it.each<readonly [ProfileName, string]>([['linux-6.1', 'success'], ['linux-6.12', 'ENODEV'], ['linux-7.3', 'ENODEV']])('while an unbind waits, GET_DEVICE_FD on %s is %s [platform 64]', (profile, outcome) => {
  const { bind, open, unbind, root } = setUp({ profile });
  bind();
  const { group } = open();
  const unbound = unbind();
  expect([unbound.outcome.state, outcomeOf(() => getDeviceFd(root, group, NAME))]).toEqual(['asleep', outcome]);
});

it.each<readonly [ProfileName, string]>([['linux-6.1', 'EINVAL'], ['linux-6.12', 'EBADFD'], ['linux-7.3', 'EBADFD']])('SET_CONTAINER on %s with an fd that is no container is %s [platform 75]', (profile, outcome) => {
  const { bind, root } = setUp({ profile });
  bind();
  const { group } = openGroup(root, 0);
  root.ioctl(group, VFIO_GROUP_UNSET_CONTAINER);
  const fd = new Uint8Array(Int32Array.of(root.eventfd()).buffer);
  expect(outcomeOf(() => root.ioctl(group, VFIO_GROUP_SET_CONTAINER, fd))).toBe(outcome);
});
