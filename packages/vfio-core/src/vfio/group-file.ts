/** The fd of a group, `/dev/vfio/N`. Kernel: vfio_group_fops. */
import type { Sleeps } from '../host/scheduler.ts';
import { File, WOULD_SLEEP } from '../process/file.ts';
import type { Process } from '../process/process.ts';
import type { UserArgument } from '../process/user-argument.ts';
import {
  VFIO_GROUP_GET_DEVICE_FD,
  VFIO_GROUP_GET_STATUS,
  VFIO_GROUP_SET_CONTAINER,
  VFIO_GROUP_UNSET_CONTAINER,
  requestName,
} from '../uapi/vfio.ts';
import type { VfioGroup } from './vfio-group.ts';

export class GroupFile extends File {
  override readonly label: string;
  readonly group: VfioGroup;
  /** Who opened it. */
  readonly holder: string;

  constructor(group: VfioGroup, opener: string) {
    super();
    this.group = group;
    this.holder = `${opener} (group ${group.id})`;
    this.label = `/dev/vfio/${group.name}`;
  }

  override requestName(request: number): string | undefined {
    return requestName(request, 'VFIO_GROUP_');
  }

  override ioctl(process: Process, request: number, argument: UserArgument): number {
    switch (request) {
      case VFIO_GROUP_GET_STATUS:
      case VFIO_GROUP_SET_CONTAINER:
      case VFIO_GROUP_UNSET_CONTAINER:
        return this.group.locked ? WOULD_SLEEP : this.#locked(process, request, argument);
      case VFIO_GROUP_GET_DEVICE_FD:
        return WOULD_SLEEP;
      default:
        return argument.unknown();
    }
  }

  override *ioctlSleeps(process: Process, request: number, argument: UserArgument): Sleeps<number> {
    if (request === VFIO_GROUP_GET_DEVICE_FD) return yield* this.group.getDeviceFd(process, this, argument);
    return yield* this.group.underLock(this.#lockedSleeps(process, request, argument));
  }

  /** What wants the group's lock, once it is held. */
  #locked(process: Process, request: number, argument: UserArgument): number {
    if (request === VFIO_GROUP_GET_STATUS) return this.group.status(argument);
    return request === VFIO_GROUP_SET_CONTAINER ? this.group.setContainer(process, argument) : this.group.unsetContainer();
  }

  *#lockedSleeps(process: Process, request: number, argument: UserArgument): Sleeps<number> {
    return request === VFIO_GROUP_SET_CONTAINER ? yield* this.group.setContainerSleeps(process, argument) : this.#locked(process, request, argument);
  }

  protected override *release(): Sleeps<void> {
    this.group.fileReleased();
  }
}
