/** Why a group is not user space's to have. Catalogue: vfio 2.7. */
import { eventKind, type EventKind } from '../host/trace.ts';
import type { VfioGroup } from './vfio-group.ts';

/** User space is refused a group: its DMA is somebody else's. `devices` are those whose drivers have it; none: another user has, or (5.13) a probe is not done. */
export const GROUP_NOT_VIABLE: EventKind<{ readonly group: string; readonly devices: readonly string[] }> = eventKind(
  'vfio/group-not-viable',
  'fault',
  ({ group, devices }) =>
    devices.length === 0
      ? `group ${group} is not viable: another user owns its DMA, or one of its devices is being bound`
      : `group ${group} is not viable: unbind ${devices.join(', ')}, or bind to vfio-pci or pci-stub what the user does not need`,
);

/** Emits the event, with each device and the driver that stands in the way. */
export function tellNotViable(group: VfioGroup): void {
  const { trace } = group.vfio.host;
  if (!trace.on) return;
  const devices = group.iommuGroup.devices.flatMap(({ name, driverName, module, isBridge }) =>
    driverName === undefined || module?.managesDma === true || isBridge ? [] : [`${name} from ${driverName}`],
  );
  trace.emit(GROUP_NOT_VIABLE, { group: group.name, devices });
}
