import type { Host } from '../host/host.ts';
import { reason, type Reason } from '../host/reason.ts';
import type { IommuGroup } from '../iommu/iommu-group.ts';
import { EINVAL, EPERM } from '../uapi/errno.ts';

/** User space is refused a group: its DMA is somebody else's. `devices` are those whose drivers have it; none: another user has, or (5.13) a probe is not done. */
export const GROUP_NOT_VIABLE: Reason<{ readonly group: string; readonly devices: readonly string[] }> = reason({
  id: 'vfio/group-not-viable',
  errno: [EPERM, EINVAL],
  call: 'VFIO_GROUP_SET_CONTAINER (5.13: VFIO_GROUP_GET_DEVICE_FD)',
  rule: 'every device of the group has no driver, a VFIO driver, pci-stub or a bridge driver: what one can reach by DMA, all can',
  kernel: 'iommu_group_claim_dma_owner(); 5.13: vfio_dev_viable()',
  wayOut: 'unbind the other devices of the group, or bind to vfio-pci or pci-stub what the user does not need',
  text: ({ group, devices }) =>
    devices.length === 0
      ? `group ${group} is not viable: another user owns its DMA, or one of its devices is being bound`
      : `group ${group} is not viable: unbind ${devices.join(', ')}`,
});

/** Refuses the group, with each device and the driver that stands in the way. @param errno positive @returns the negative errno */
export function refuseNotViable(group: { readonly host: Host; readonly name: string; readonly iommuGroup: IommuGroup }, errno: number): number {
  const devices = group.iommuGroup.devices.flatMap(({ name, driverName, module, isBridge }) =>
    driverName === undefined || module?.managesDma === true || isBridge ? [] : [`${name} from ${driverName}`],
  );
  return group.host.refusals.refuse(GROUP_NOT_VIABLE, { group: group.name, devices }, errno);
}
