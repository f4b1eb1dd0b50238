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

/** The fd of a group, `/dev/vfio/N`, which is opened once at a time. Kernel: vfio_group_fops. */
export class GroupFile extends File {
  /** `/dev/vfio/N`, as /proc/PID/fd shows it. */
  override readonly label: string;
  /** The group whose fd it is. */
  readonly group: VfioGroup;
  /** Who opened it: the process and the group, for whoever waits. */
  readonly holder: string;

  /** Made by an open of the group's node. `opener` is the name of the process. */
  constructor(group: VfioGroup, opener: string) {
    super();
    this.group = group;
    this.holder = `${opener} (group ${group.id})`;
    this.label = `/dev/vfio/${group.name}`;
  }

  /** The names VFIO_GROUP_*. @param request the number, of 32 bits */
  override requestName(request: number): string | undefined {
    return requestName(request, 'VFIO_GROUP_');
  }

  /**
   * vfio_group_fops_unl_ioctl().
   *
   * @param request one of VFIO_GROUP_*
   * @returns as VfioGroup answers it, -ENOTTY for another request; WOULD_SLEEP for GET_DEVICE_FD, and where the group's lock is taken
   */
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

  /** vfio_group_fops_unl_ioctl() in a thread. @param request one of VFIO_GROUP_* @returns 0 or more, or a negative errno */
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

  /** vfio_group_fops_release(): the group leaves its container, and can be opened again. */
  protected override *release(): Sleeps<void> {
    this.group.fileReleased();
  }
}
