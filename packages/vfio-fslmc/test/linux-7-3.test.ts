/** What Linux 7.3 does otherwise than 6.1. */
import {
  getDeviceFd,
  getDeviceInfo,
  MAP_SHARED,
  Process,
  PROT_EXEC,
  PROT_READ,
  setContainer,
  setIrqTriggers,
  setIrqs,
  VFIO_CHECK_EXTENSION,
  VFIO_IRQ_SET_ACTION_TRIGGER,
  VFIO_SET_IOMMU,
  VFIO_TYPE1_NESTING_IOMMU,
  VFIO_TYPE1v2_IOMMU,
} from '@vsim/vfio-core';
import { outcomeOf } from '@vsim/vfio-core/testing';
import { describe, expect, it } from 'vitest';
import { DOMAIN_LEFT, FSL_MC_SEND_MC_COMMAND, mcCommand, NULL_IRQ } from '../src/index.ts';
import { setUp, type FslMcHost, type SetUp } from './set-up.ts';

const SEVEN = { profile: 'linux-7.3' } as const satisfies SetUp;

/** Its container is user space's, on a kernel that allows it. */
function assigned(): { readonly made: FslMcHost; readonly group: number; readonly device: (name: string) => number } {
  const made = setUp(SEVEN);
  made.vfio.type1.allowUnsafeInterrupts = true;
  made.assign();
  return { made, ...made.openGroup() };
}

describe('the interrupts of a container', () => {
  it.each<readonly [SetUp['profile'], SetUp['msiProperty'], string | undefined]>([
    ['linux-6.1', 'msi-map', 'fsl_mc_dprc'],
    ['linux-7.3', 'msi-parent', 'fsl_mc_dprc'],
    ['linux-7.3', 'msi-map', undefined],
  ])('[fslmc 70] [fslmc 7] %s with %s alone in the node: the driver of containers is %s', (profile, msiProperty, driver) => {
    const { bus, names } = setUp({ profile, msiProperty });
    expect([bus.device('dprc.1')?.driverName, names().length > 1]).toEqual([driver, driver !== undefined]);
  });

  it('[fslmc 71] count from 0 in each, and begin with their domain', () => {
    const { made: { bus, driver, root }, device } = assigned();
    setIrqTriggers(root, device('dpni.0'), 0, 0, [root.eventfd()]);
    expect(driver.vfioDevice(bus.device('dpni.0')!)?.interrupts.map(({ hwirq }) => hwirq)).toEqual([0, 1]);
  });

  it('[fslmc 72] are had once for each bind: after the last close all SET_IRQS that pass the checks are ENODEV', () => {
    const { made, group, device } = assigned();
    const { root, store, bind, events } = made;
    const fd = device('dpni.0');
    const trigger = (of: number, index: number, eventfd: number): string => outcomeOf(() => { setIrqTriggers(root, of, index, 0, [eventfd]); });
    const eventfd = root.eventfd();
    expect(trigger(fd, 0, eventfd)).toBe('success');
    root.close(fd);
    const [again, other] = [device('dpni.0'), device('dpni.1')];
    expect([trigger(again, 0, eventfd), trigger(other, 0, -1), trigger(other, 0, 999), trigger(other, 1, eventfd)]).toEqual(['ENODEV', 'ENODEV', 'ENODEV', 'EINVAL']);
    expect([getDeviceInfo(root, again).numIrqs, events.filter(({ id }) => id === DOMAIN_LEFT.id).length]).toEqual([2, 1]);
    for (const each of [again, other, group]) root.close(each);
    store('drivers/vfio-fsl-mc/unbind', 'dprc.2');
    bind();
    expect(trigger(made.openGroup().device('dpni.0'), 0, eventfd)).toBe('success');
  });

  it('[fslmc 73] that cannot be had are a NULL pointer for NONE with count 0', () => {
    const { made: { root, events }, device } = assigned();
    const first = device('dpni.0');
    setIrqTriggers(root, first, 0, 0, [root.eventfd()]);
    root.close(first);
    const fd = device('dpni.0');
    setIrqs(root, fd, 0, VFIO_IRQ_SET_ACTION_TRIGGER, 0, 0);
    expect(events.filter(({ id }) => id === NULL_IRQ.id).map(({ severity }) => severity)).toEqual(['bug']);
  });
});

describe('groups and containers', () => {
  it('[fslmc 74] want allow_unsafe_interrupts, since objects have no MSI domain', () => {
    const { assign, group, root, vfio } = setUp(SEVEN);
    assign();
    const container = root.open('/dev/vfio/vfio');
    setContainer(root, root.open(`/dev/vfio/${group()}`), container);
    const set = (): string => outcomeOf(() => root.ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU));
    expect(set()).toBe('EPERM');
    vfio.type1.allowUnsafeInterrupts = true;
    expect(set()).toBe('success');
  });

  it('[fslmc 75] of an object are there as soon as it is', () => {
    const { bus, guest } = setUp(SEVEN);
    guest.add({ type: 'dpmac', id: 5, plugged: false });
    expect(['dprc.1', 'dprc.2', 'dpni.0', 'dpmac.5'].map((name) => bus.device(name)?.iommuGroup?.id)).toEqual([0, 1, 1, 1]);
  });
});

describe('user space', () => {
  it.each([['linux-6.1', 'EACCES', 'EACCES'], ['linux-7.3', 'EBUSY', 'EACCES']] as const)('[fslmc 76] %s: DPRC_GET_MEM is %s, with a thirteenth byte %s', (profile, sent, long) => {
    const { host, mc } = setUp({ profile });
    mc.watch({ submitted: () => ({ status: 0xa }) });
    const user = new Process(host, { name: 'reader', capabilities: [] });
    const fd = user.open('/dev/dprc.1');
    const send = (at: number, token: number): string => {
      const command = mcCommand(0x16d, 1, token);
      command[at] = 1;
      return outcomeOf(() => user.ioctl(fd, FSL_MC_SEND_MC_COMMAND, command));
    };
    expect([send(11, 0x77), send(12, 0x77), send(11, 0)]).toEqual([sent, long, 'EACCES']);
  });

  it('[fslmc 77] [fslmc 78] maps nothing to be executed, has no nesting, opens nothing of an object whose unbind waits, and is told of RESET as before', () => {
    const { made: { root, start }, group, device } = assigned();
    const [dpmcp, dprc] = [device('dpmcp.0'), device('dprc.2')];
    expect(outcomeOf(() => root.mmap(dpmcp, 0x1000, 0, PROT_READ | PROT_EXEC, MAP_SHARED))).toBe('EPERM');
    expect(root.ioctl(root.open('/dev/vfio/vfio'), VFIO_CHECK_EXTENSION, VFIO_TYPE1_NESTING_IOMMU)).toBe(0);
    expect([getDeviceInfo(root, dprc).flags, getDeviceInfo(root, dpmcp).flags]).toEqual([0x41, 0x40]);
    expect(start('drivers/vfio-fsl-mc/unbind', 'dpmcp.0').finished).toBe(false);
    expect(outcomeOf(() => getDeviceFd(root, group, 'dpmcp.0'))).toBe('ENODEV');
  });
});
