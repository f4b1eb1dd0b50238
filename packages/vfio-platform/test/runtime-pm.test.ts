/** Runtime power management of platform devices: awake from the first open to the last close, and put back by an open that fails. */
import { EACCES, EINVAL, EIO, getDeviceFd, REGISTERED, type ProfileName } from '@vsim/vfio-core';
import { outcomeOf } from '@vsim/vfio-core/testing';
import { describe, expect, it } from 'vitest';
import { RuntimePm } from '../src/index.ts';
import { NAME, setUp, type SetUp } from './set-up.ts';

const PROFILES: readonly ProfileName[] = ['linux-5.10', 'linux-5.13', 'linux-6.1', 'linux-6.12', 'linux-7.3'];

function machine(init: SetUp = {}) {
  const made = setUp(init);
  const { device, root, calls } = made;
  const pm = device.runtimePm;
  const status = () => root.readFile(`/sys/bus/${made.bus.name}/devices/${NAME}/power/runtime_status`).trim();
  pm.resume = () => {
    calls.push('resume');
    return 0;
  };
  pm.suspend = () => { calls.push('suspend'); };
  return { made, device, root, calls, pm, status, state: () => [status(), pm.usage] };
}

describe.each(PROFILES)('a platform device on %s', (profile) => {
  it('wakes up for its first open, before its reset, and sleeps after its last close, behind its reset', () => {
    const { made, root, calls, state } = machine({ profile });
    expect(state()).toEqual(['unsupported', 0]);
    made.bind();
    expect(state()).toEqual(['suspended', 0]);
    const fds = made.open();
    const second = getDeviceFd(root, fds.group, NAME);
    expect(state()).toEqual(['active', 1]);
    root.close(fds.device);
    expect(state()).toEqual(['active', 1]);
    root.close(second);
    expect(state()).toEqual(['suspended', 0]);
    const reset = `reset ${NAME}`;
    expect(calls).toEqual(['resume', reset, reset, 'suspend']);
  });

  it('is put back by an open whose reset fails', () => {
    const { made, root, state } = machine({ profile });
    made.bind();
    made.answers.reset = -EIO;
    expect(outcomeOf(made.open)).toBe('EIO');
    expect(state()).toEqual(['suspended', 0]);
    root.exit();
    made.answers.reset = 0;
    expect([outcomeOf(made.open), state()]).toEqual(['success', ['active', 1]]);
  });

  it('is put back by an open for which it does not wake up, and stays in error', () => {
    const { made, root, pm, state } = machine({ profile });
    made.bind();
    pm.resume = () => -110;
    expect([outcomeOf(made.open), state()]).toEqual(['ETIMEDOUT', ['error', 0]]);
    root.exit();
    pm.resume = () => 0;
    expect([outcomeOf(made.open), state()]).toEqual(['EINVAL', ['error', 0]]);
  });

  it('is put back by an open before the probe has enabled it', () => {
    const { made, root, device, state } = machine({ profile });
    device.driverOverride = 'vfio-platform';
    made.host.scheduler.stopAt(REGISTERED);
    root.start('bind', root.sys.writeFile('/sys/bus/platform/drivers/vfio-platform/bind', NAME));
    expect([outcomeOf(made.open), state()]).toEqual(['EACCES', ['unsupported', 0]]);
    made.host.scheduler.release(REGISTERED);
    expect(state()).toEqual(['suspended', 0]);
  });

  it('cannot be woken once it is unbound', () => {
    const { made, state } = machine({ profile });
    made.bind();
    made.unbind();
    expect(state()).toEqual(['unsupported', 0]);
  });
});

describe('RuntimePm', () => {
  it('counts users that it could not serve, until they put', () => {
    const pm = new RuntimePm();
    expect([pm.getSync(), pm.usage]).toEqual([-EACCES, 1]);
    pm.enable();
    pm.put();
    expect([pm.usage, pm.status]).toEqual([0, 'suspended']);
  });

  it('does not keep EACCES of a device as an error: it is EIO', () => {
    const pm = new RuntimePm();
    pm.enable();
    pm.resume = () => -EACCES;
    expect([pm.getSync(), pm.status]).toEqual([-EIO, 'suspended']);
    pm.resume = () => -EINVAL;
    expect([pm.getSync(), pm.status]).toEqual([-EINVAL, 'error']);
  });
});
