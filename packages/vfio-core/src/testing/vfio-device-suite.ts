import type { Thread } from '../host/scheduler.ts';
import { vfioDeviceOfFile } from '../vfio/file-api.ts';
import { LIFE_CYCLE_BROKEN, USE_AFTER_FREE } from '../vfio/life-events.ts';
import { REQUEST_INTERVAL } from '../vfio/vfio-device.ts';
import { O_RDWR } from '../process/flags.ts';
import type { Process } from '../process/process.ts';
import { getDeviceFd, getDeviceInfo, getGroupStatus, getIrqInfo, getRegionInfo, setContainer } from '../uapi/requests/index.ts';
import {
  VFIO_DEVICE_GET_INFO,
  VFIO_GROUP_FLAGS_CONTAINER_SET,
  VFIO_GROUP_FLAGS_VIABLE,
  VFIO_GROUP_UNSET_CONTAINER,
  VFIO_SET_IOMMU,
  VFIO_TYPE1v2_IOMMU,
} from '../uapi/vfio.ts';
import { expectSame, outcomeOf, type ComplianceCase } from './suite.ts';

/** A fresh host with one device bound to its VFIO driver, for each case. */
export interface VfioDeviceSubject {
  /** A process of root on that host. */
  readonly process: Process;
  /** The name that VFIO_GROUP_GET_DEVICE_FD takes. */
  readonly device: string;
  /** The number of its IOMMU group. */
  readonly group: number;
  /** Starts to unbind the device from its driver, in a thread of its own. */
  unbind(): Thread<unknown>;
}

interface Opened {
  readonly container: number;
  readonly group: number;
  readonly device: number;
}

function open({ process, device, group }: VfioDeviceSubject): Opened {
  const container = process.open('/dev/vfio/vfio', O_RDWR);
  const groupFd = process.open(`/dev/vfio/${group}`, O_RDWR);
  setContainer(process, groupFd, container);
  process.ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU);
  return { container, group: groupFd, device: getDeviceFd(process, groupFd, device) };
}

/**
 * What every VFIO device has to answer, whatever its bus: opening, sharing, closing and giving back. `setup` is called once for each case.
 */
export function vfioDeviceSuite(setup: () => VfioDeviceSubject): readonly ComplianceCase[] {
  const one = (name: string, check: (subject: VfioDeviceSubject) => void): ComplianceCase => ({
    name,
    run: () => {
      const subject = setup();
      const broken: string[] = [];
      subject.process.host.trace.listen((event) => {
        if (event.id === LIFE_CYCLE_BROKEN.id || event.id === USE_AFTER_FREE.id) broken.push(event.text);
      });
      check(subject);
      expectSame('broken life cycle rules', broken.join('; '), '');
    },
  });
  return [
    one('a group is viable and takes one opener', ({ process, group }) => {
      const fd = process.open(`/dev/vfio/${group}`);
      expectSame('status', getGroupStatus(process, fd), VFIO_GROUP_FLAGS_VIABLE);
      expectSame('second open', outcomeOf(() => process.open(`/dev/vfio/${group}`)), 'EBUSY');
      process.close(fd);
      process.close(process.open(`/dev/vfio/${group}`));
    }),
    one('a device cannot be had before its group has a container with an IOMMU', ({ process, device, group }) => {
      const fd = process.open(`/dev/vfio/${group}`);
      expectSame('without container', outcomeOf(() => getDeviceFd(process, fd, device)), 'EINVAL');
      const container = process.open('/dev/vfio/vfio');
      setContainer(process, fd, container);
      expectSame('without IOMMU', outcomeOf(() => getDeviceFd(process, fd, device)), 'EINVAL');
      process.ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU);
      expectSame('wrong name', outcomeOf(() => getDeviceFd(process, fd, `${device}x`)), 'ENODEV');
      process.close(getDeviceFd(process, fd, device));
    }),
    one('info, regions and interrupts are consistent', (subject) => {
      const { process } = subject;
      const { device } = open(subject);
      expectSame('argsz 15', outcomeOf(() => process.ioctl(device, VFIO_DEVICE_GET_INFO, new Uint8Array([15, ...new Array<number>(19).fill(0)]))), 'EINVAL');
      expectSame('null pointer', outcomeOf(() => process.ioctl(device, VFIO_DEVICE_GET_INFO, 0)), 'EFAULT');
      const info = getDeviceInfo(process, device);
      expectSame('region past the end', outcomeOf(() => getRegionInfo(process, device, info.numRegions)), 'EINVAL');
      expectSame('irq index past the end', outcomeOf(() => getIrqInfo(process, device, info.numIrqs)), 'EINVAL');
      for (let index = 0; index < info.numRegions; index += 1) {
        const answer = outcomeOf(() => getRegionInfo(process, device, index));
        if (answer !== 'success') expectSame(`region ${index}`, answer, 'EINVAL');
      }
    }),
    one('the device holds group and container open, in any order of closing', (subject) => {
      const { process } = subject;
      const fds = open(subject);
      process.close(fds.group);
      process.close(fds.container);
      getDeviceInfo(process, fds.device);
      expectSame('group while the device is open', outcomeOf(() => process.open(`/dev/vfio/${subject.group}`)), 'EBUSY');
      process.close(fds.device);
      process.close(process.open(`/dev/vfio/${subject.group}`));
    }),
    one('the container stays while a device is open', (subject) => {
      const { process } = subject;
      const fds = open(subject);
      expectSame('unset', outcomeOf(() => process.ioctl(fds.group, VFIO_GROUP_UNSET_CONTAINER)), 'EBUSY');
      process.close(fds.device);
      process.ioctl(fds.group, VFIO_GROUP_UNSET_CONTAINER);
      expectSame('status', getGroupStatus(process, fds.group) & VFIO_GROUP_FLAGS_CONTAINER_SET, 0);
    }),
    one('the structure is freed when its unbind returns, and not while anybody can enter it', (subject) => {
      const { process } = subject;
      const fds = open(subject);
      const file = process.file(fds.device);
      const device = file === undefined ? undefined : vfioDeviceOfFile(file);
      const unbind = subject.unbind();
      process.host.scheduler.advance(REQUEST_INTERVAL);
      expectSame('while it is open', device?.freed, false);
      process.close(fds.device);
      process.close(fds.group);
      expectSame('unbind', unbind.outcome.state, 'done');
      expectSame('after that', device?.freed, true);
    }),
    one('an unbind waits for the last close and the device works until then', (subject) => {
      const { process } = subject;
      const fds = open(subject);
      const second = getDeviceFd(process, fds.group, subject.device);
      const unbind = subject.unbind();
      expectSame('unbind', unbind.outcome.state, 'asleep');
      process.host.scheduler.advance(3 * REQUEST_INTERVAL);
      getDeviceInfo(process, fds.device);
      process.close(fds.device);
      expectSame('unbind with one fd left', unbind.outcome.state, 'asleep');
      process.close(second);
      if (process.host.profile.forcedDetach) expectSame('unbind after the last close', unbind.outcome.state, 'done');
      process.close(fds.group);
      expectSame('unbind after the group is closed', unbind.outcome.state, 'done');
      expectSame('the node', outcomeOf(() => process.open(`/dev/vfio/${subject.group}`)), 'ENOENT');
    }),
  ];
}
