/** Which device is a group's last: since 6.1 the count of drivers says it, before that the list. */
import { getDeviceFd, getGroupStatus, LAST_PUT, REGISTERED, UNLISTED, UNREGISTERING, type Point, type ProfileName, type Sleeps } from '@vsim/vfio-core';
import { outcomeOf } from '@vsim/vfio-core/testing';
import { describe, expect, it } from 'vitest';
import { openGroup, SampleVfioDevice, sampleHost } from './sample-device.ts';

const OLD: readonly ProfileName[] = ['linux-5.10', 'linux-5.13'];
const NEW: readonly ProfileName[] = ['linux-6.1', 'linux-6.12', 'linux-7.3'];

/** Steps a thread by hand, up to a point or to its end: another one passes the same points meanwhile. */
function goTo(thread: Sleeps<unknown>, point?: Point): void {
  for (let next = thread.next(); next.done !== true; next = thread.next()) if (next.value === point) return;
}

/** Two devices in one group; a is on its way out, up to `point`. */
function leaving(profile: ProfileName, point: Point) {
  const sample = sampleHost(['a', 'b'], { profile }, true);
  sample.bind('a');
  sample.bind('b');
  const { root, vfio } = sample;
  const first = sample.device('a').unregister();
  goTo(first, point);
  const there = () => ({ node: root.readdir('/dev/vfio').includes('0'), groups: vfio.groups.length });
  return { ...sample, first, there };
}

const HERE = { node: true, groups: 1 };
const GONE = { node: false, groups: 0 };

describe.each(NEW)('the group on %s', (profile) => {
  it.each([UNREGISTERING, LAST_PUT, UNLISTED])('stays while one device is at $point, though the other has gone meanwhile [M20]', (point) => {
    const { first, there, unbind } = leaving(profile, point);
    expect([unbind('b').finished, there()]).toEqual([true, HERE]);
    goTo(first);
    expect(there()).toEqual(GONE);
  });

  it('keeps its container so long, and what its file says [M20]', () => {
    const made = leaving(profile, UNLISTED);
    const { group } = openGroup(made, 0);
    expect(made.unbind('b').finished).toBe(true);
    expect([made.vfio.groups[0]?.container !== undefined, outcomeOf(() => getGroupStatus(made.root, group))]).toEqual([true, 'success']);
    goTo(made.first);
    expect(outcomeOf(() => getGroupStatus(made.root, group))).toBe('ENODEV');
  });

  it('takes in a device that comes while the last of the others is on its way out [M20]', () => {
    const made = leaving(profile, UNLISTED);
    made.unbind('b');
    const late = new SampleVfioDevice(made.vfio, made.bus.device('b')!);
    goTo(late.register(), REGISTERED);
    goTo(made.first);
    expect(made.there()).toEqual(HERE);
    expect(outcomeOf(() => getDeviceFd(made.root, openGroup(made, 0).group, 'b'))).toBe('success');
  });
});

describe.each(OLD)('the group on %s', (profile) => {
  it('waits for its container with the device that empties its list [M20]', () => {
    const made = leaving(profile, UNLISTED);
    const { group } = openGroup(made, 0);
    const second = made.unbind('b');
    expect([second.outcome.state, made.there()]).toEqual(['asleep', HERE]);
    made.root.close(group);
    expect([second.finished, made.there()]).toEqual([true, HERE]);
    goTo(made.first);
    expect(made.there()).toEqual(GONE);
  });
});
