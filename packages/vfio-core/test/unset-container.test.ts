/** GET_DEVICE_FD and UNSET_CONTAINER at the same time: 5.10 and 5.13 lose the container under the device, later kernels do not. */
import {
  CONTAINER_LOST,
  DEVICE_FOUND,
  DEVICE_OPENED,
  getDeviceFd,
  VFIO_GROUP_GET_DEVICE_FD,
  VFIO_GROUP_UNSET_CONTAINER,
  type Point,
  type ProfileName,
} from '@vsim/vfio-core';
import { outcomeOf } from '@vsim/vfio-core/testing';
import { describe, expect, it } from 'vitest';
import { openGroup, sampleHost } from './sample-device.ts';

const OLD: readonly ProfileName[] = ['linux-5.10', 'linux-5.13'];
const NEW: readonly ProfileName[] = ['linux-6.1', 'linux-6.12', 'linux-7.3'];

/** A thread that opens the device is held at `point`; what UNSET_CONTAINER then says, and what comes of the open. */
function race(profile: ProfileName, point: Point, release = true) {
  const sample = sampleHost(['a'], { profile });
  const { host, root, vfio } = sample;
  sample.bind('a');
  const events = host.trace.record();
  const { group, container } = openGroup(sample, 0);
  host.scheduler.stopAt(point);
  const opening = root.start('open', root.sys.ioctl(group, VFIO_GROUP_GET_DEVICE_FD, new TextEncoder().encode('a\0')));
  const held = opening.outcome.state === 'held';
  const unset = () => outcomeOf(() => root.ioctl(group, VFIO_GROUP_UNSET_CONTAINER));
  const first = held ? unset() : 'not reached';
  if (release) host.scheduler.release(point);
  const lost = () => events.filter(({ id }) => id === CONTAINER_LOST.id).map(({ text }) => text);
  return { ...sample, group, container, opening, first, unset, lost, vfioGroup: vfio.groups[0]! };
}

describe.each(OLD)('on %s', (profile) => {
  it.each([DEVICE_FOUND, DEVICE_OPENED])('a container that is unset at $point is gone under the device, which is open all the same', (point) => {
    const { opening, first, lost, vfioGroup } = race(profile, point);
    expect([first, opening.result() >= 0, lost()]).toEqual(['success', true, ['group 0: a is open, and its container was unset meanwhile']]);
    expect([vfioGroup.container, vfioGroup.containerUsers]).toEqual([undefined, 1]);
  });

  it('the close of that device follows a NULL pointer', () => {
    const { root, opening, lost, vfioGroup } = race(profile, DEVICE_OPENED);
    root.close(opening.result());
    expect(lost()[1]).toBe('group 0: leaves a container that it is not in: NULL dereference');
    expect(vfioGroup.containerUsers).toBe(0);
  });

  it('so does a second open, and a second UNSET_CONTAINER, which finds one user', () => {
    const { root, group, unset, lost } = race(profile, DEVICE_OPENED);
    expect([outcomeOf(() => getDeviceFd(root, group, 'a')), lost()[1]]).toEqual(['EINVAL', 'group 0: a device is opened without a container: NULL dereference']);
    expect([unset(), lost()[2], unset()]).toEqual(['success', 'group 0: leaves a container that it is not in: NULL dereference', 'EINVAL']);
  });

  it('nothing is lost where nobody unsets it in between, nor behind the open', () => {
    const sample = sampleHost(['a'], { profile });
    sample.bind('a');
    const events = sample.host.trace.record();
    const { group } = openGroup(sample, 0);
    const fd = getDeviceFd(sample.root, group, 'a');
    expect(outcomeOf(() => sample.root.ioctl(group, VFIO_GROUP_UNSET_CONTAINER))).toBe('EBUSY');
    sample.root.close(fd);
    expect(outcomeOf(() => sample.root.ioctl(group, VFIO_GROUP_UNSET_CONTAINER))).toBe('success');
    expect(events.filter(({ id }) => id === CONTAINER_LOST.id)).toEqual([]);
  });
});

describe.each(NEW)('on %s', (profile) => {
  it('a container that is unset first is missed by the open', () => {
    const { opening, first, lost } = race(profile, DEVICE_FOUND);
    expect([first, opening.result(), lost()]).toEqual(['success', -22, []]);
  });

  it('an open that has looked at it counts: there is no point between', () => {
    const { opening, first, unset, lost } = race(profile, DEVICE_OPENED);
    expect([first, opening.result() >= 0, unset(), lost()]).toEqual(['not reached', true, 'EBUSY', []]);
  });
});
