/** Platform and AMBA devices without IOMMU. Recorded: golden/vfio-platform, noiommu. */
import { getDeviceFd, setContainer, VFIO_NOIOMMU_IOMMU, VFIO_SET_IOMMU, type ProfileName } from '@vsim/vfio-core';
import { noIommuSuite, outcomeOf } from '@vsim/vfio-core/testing';
import { describe, expect, it } from 'vitest';
import { NAME, setUp } from './set-up.ts';

const PROFILES: readonly ProfileName[] = ['linux-6.1', 'linux-6.12', 'linux-7.3'];
/** The item that each case holds. */
const ITEMS = ['[platform 53]', '[platform 53]', '[platform 54] [platform 55]', '[platform 56]', '[platform 58]', '[platform 57]'];

describe.each(PROFILES.flatMap((profile) => [false, true].map((amba) => ({ profile, amba }))))('a device without IOMMU, $profile, AMBA: $amba', ({ profile, amba }) => {
  const cases = noIommuSuite(() => {
    const { root, device, bus, bind, unbind } = setUp({ profile, amba, group: false });
    return { process: root, sysfs: `/sys/bus/${bus.name}/devices/${NAME}`, device: device.name, bind, unbind };
  });
  for (const [n, { name, run }] of cases.entries()) it(`${ITEMS[n]!} ${name}`, run);

  it('a further fd asks for the right as well on 6.1 alone [platform 67]', () => {
    const { root, vfio, bind } = setUp({ profile, amba, group: false });
    vfio.noiommu = true;
    bind();
    const [container, group] = [root.open('/dev/vfio/vfio'), root.open('/dev/vfio/noiommu-0')];
    setContainer(root, group, container);
    root.ioctl(container, VFIO_SET_IOMMU, VFIO_NOIOMMU_IOMMU);
    getDeviceFd(root, group, NAME);
    root.setCapability('CAP_SYS_RAWIO', false);
    expect(outcomeOf(() => getDeviceFd(root, group, NAME))).toBe(profile === 'linux-6.1' ? 'EPERM' : 'success');
  });
});
