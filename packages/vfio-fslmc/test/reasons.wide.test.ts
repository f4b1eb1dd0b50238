/** What the fsl-mc bus and vfio-fsl-mc refuse: each says which rule it was, and what decided [M14]. */
import { getIrqInfo, getRegionInfo, MAP_PRIVATE, Process, setIrqTriggers, setIrqs, VFIO_DEVICE_RESET, VFIO_IRQ_SET_ACTION_MASK, VFIO_IRQ_SET_ACTION_TRIGGER } from '@vsim/vfio-core';
import { describe, expect, it } from 'vitest';
import { why } from '../../../testing/why.ts';
import { DPRC_GET_OBJ_COUNT, FSL_MC_SEND_MC_COMMAND, mcCommand } from '../src/index.ts';
import { openCommand, setUp, type SetUp } from './set-up.ts';

const SPAN = 2 ** 40;

describe('a bind to vfio-fsl-mc', () => {
  it('is told that there is no group, and that the device is not meant', () => {
    const { prepare, bind, reasons } = setUp({ iommu: false });
    expect(why(reasons, bind)).toBe('ENODEV sysfs/no-match: vfio-fsl-mc does not know dprc.2');
    prepare();
    expect(why(reasons, bind)).toBe('EINVAL vfio/no-iommu-group: dprc.2 has no IOMMU group');
  });

  it('is told what keeps the container from being set up', () => {
    const { prepare, bind, bus, mc, reasons } = setUp();
    prepare();
    const { start } = bus.device('dprc.2')!.regions[0]!;
    bus.takePortal(start, 0x1_0000);
    expect(why(reasons, bind)).toBe('EBUSY fsl-mc/container-set-up: dprc.2: its portal is taken');
    bus.putPortal(start);
    mc.hung = true;
    expect(why(reasons, bind)).toBe('ETIMEDOUT fsl-mc/mc-error: the MC answers open of dprc.2 with ETIMEDOUT');
  });

  it('of an object is told that its container is not bound so (5.13)', () => {
    const { store, reasons } = setUp({ profile: 'linux-5.13' });
    store('devices/dpni.0/driver_override', 'vfio-fsl-mc');
    expect(why(reasons, () => store('drivers/vfio-fsl-mc/bind', 'dpni.0'))).toBe('ENODEV vfio-fsl-mc/container-not-bound: dprc.2, which has dpni.0, is not set up by vfio-fsl-mc');
  });
});

describe('a bind to the kernel\'s own drivers', () => {
  it('is told that the object is no container, and that there is no pool for it', () => {
    const { store, reasons } = setUp();
    store('devices/dpni.0/driver_override', 'fsl_mc_dprc');
    expect(why(reasons, () => store('drivers/fsl_mc_dprc/bind', 'dpni.0'))).toBe('EINVAL fsl-mc/container-set-up: dpni.0: it is no container');
    store('devices/dpni.0/driver_override', 'fsl_mc_allocator');
    expect(why(reasons, () => store('drivers/fsl_mc_allocator/bind', 'dpni.0'))).toBe('EINVAL fsl-mc/not-allocatable: dpni.0 is a dpni, for which there is no pool');
  });

  it('is told which version of the firmware is too old', () => {
    const { host, bus } = setUp({ apiVersion: [5, 9] });
    const reasons = host.trace.record();
    expect(why(reasons, () => new Process(host).writeFile('/sys/bus/fsl-mc/drivers/fsl_mc_dprc/bind', 'dprc.1'))).toBe('ENOTSUPP fsl-mc/container-set-up: dprc.1: its API version is 5.9');
    expect(bus.root?.dprc).toBeUndefined();
  });
});

describe('the attributes of the bus', () => {
  it('take numbers', () => {
    const { store, reasons } = setUp();
    expect(why(reasons, () => store('rescan', 'x'))).toBe('EINVAL sysfs/bad-value: rescan takes a number, not "x"');
  });
});

describe('/dev/dprc.1', () => {
  const opened = () => {
    const made = setUp();
    const fd = made.root.open('/dev/dprc.1');
    const send = (command: Uint8Array, process = made.root, by = fd) => () => process.ioctl(by, FSL_MC_SEND_MC_COMMAND, command);
    return { root: made.root, host: made.host, mc: made.mc, reasons: made.reasons, fd, send };
  };

  it('says what is wrong with a command', () => {
    const { host, mc, reasons, send } = opened();
    mc.root.add({ type: 'dpmcp', id: 7 });
    const long = openCommand('dprc', 2);
    long[63] = 1;
    expect(why(reasons, send(mcCommand(0x002, 1, 0)))).toBe('EACCES fsl-mc/command-refused: command 0x21: unknown');
    expect(why(reasons, send(long))).toBe('EACCES fsl-mc/command-refused: command 0x8051: too long');
    expect(why(reasons, send(mcCommand(DPRC_GET_OBJ_COUNT, 1, 0)))).toBe('EACCES fsl-mc/command-refused: command 0x1591: token');
    expect(why(reasons, send(mcCommand(0x811, 1, 0)))).toBe('EACCES fsl-mc/command-refused: command 0x8111: module');
    const reader = new Process(host, { capabilities: [] });
    expect(why(reasons, send(mcCommand(0x901, 1, 1), reader, reader.open('/dev/dprc.1')))).toBe('EPERM fsl-mc/command-refused: command 0x9011: rights');
  });

  it('says what the MC answers, and what it does not know', () => {
    const { root, mc, reasons, fd, send } = opened();
    expect(why(reasons, send(openCommand('dpni', 9)))).toBe('ENXIO fsl-mc/mc-error: the MC answers 0x8011 of dprc.1 with ENXIO');
    expect(why(reasons, () => root.ioctl(fd, 0x5241, new Uint8Array(64)))).toBe('EINVAL process/unknown-request: fsl-mc command device does not know 0x5241');
    expect(why(reasons, send(new Uint8Array(63)))).toBe('EFAULT uapi/argument-fault: the argument of 0xc04052e0 cannot be read or written');
    mc.root.add({ type: 'dpmcp', id: 7 });
    mc.hung = true;
    expect(why(reasons, () => root.open('/dev/dprc.1'))).toBe('ETIMEDOUT fsl-mc/mc-error: the MC answers open of dpmcp.7 with ETIMEDOUT');
  });

  it('says how many portals are lent', () => {
    const { root, mc, reasons } = opened();
    expect(why(reasons, () => root.open('/dev/dprc.1'))).toBe('ENXIO fsl-mc/no-portal: 0 of the 0 dpmcp of dprc.1 are lent');
    mc.root.add({ type: 'dpmcp', id: 7 });
    root.open('/dev/dprc.1');
    expect(why(reasons, () => root.open('/dev/dprc.1'))).toBe('ENXIO fsl-mc/no-portal: 1 of the 1 dpmcp of dprc.1 are lent');
  });
});

describe('an open device', () => {
  const opened = (init: SetUp = {}) => {
    const made = setUp(init);
    made.assign();
    return { device: made.openGroup().device, root: made.root, mc: made.mc, reasons: made.reasons };
  };

  it('says which requests and indices it does not know', () => {
    const { root, device, reasons } = opened();
    const fd = device('dprc.2');
    expect(why(reasons, () => root.ioctl(fd, 0x3b99))).toBe('ENOTTY process/unknown-request: dprc.2 does not know 0x3b99');
    expect(why(reasons, () => getRegionInfo(root, fd, 1))).toBe('EINVAL vfio/no-index: VFIO_DEVICE_GET_REGION_INFO has no index 1');
    expect(why(reasons, () => getIrqInfo(root, fd, 1))).toBe('EINVAL vfio/no-index: VFIO_DEVICE_GET_IRQ_INFO has no index 1');
  });

  it('says why it is not reset', () => {
    const old = opened({ profile: 'linux-5.13' });
    const dpni = old.device('dpni.0');
    expect(why(old.reasons, () => old.root.ioctl(dpni, VFIO_DEVICE_RESET))).toBe('ENOTTY vfio-fsl-mc/no-reset: this kernel does not reset dpni.0, which is no container');
    const { root, device, mc, reasons } = opened();
    const fd = device('dprc.2');
    mc.hung = true;
    expect(why(reasons, () => root.ioctl(fd, VFIO_DEVICE_RESET))).toBe('ETIMEDOUT fsl-mc/mc-error: the MC answers reset of dprc.2 with ETIMEDOUT');
  });

  it('says what a region takes, and that the MC does not answer', () => {
    const { root, device, mc, reasons } = opened();
    const fd = device('dprc.2');
    expect(why(reasons, () => root.pwrite(fd, new Uint8Array(63), 0))).toBe('EINVAL vfio/device-offset: dprc.2 has nothing for 63 bytes at offset 0x0: a region takes whole commands of 64 bytes, at its start');
    expect(why(reasons, () => root.pread(fd, new Uint8Array(64), SPAN))).toBe('EINVAL vfio/device-offset: dprc.2 has nothing for 64 bytes at offset 0x10000000000');
    mc.hung = true;
    expect(why(reasons, () => root.pwrite(fd, openCommand('dpbp', 1), 0))).toBe('ETIMEDOUT fsl-mc/mc-error: the MC answers 0x8041 of dprc.2 with ETIMEDOUT');
  });

  it('says why a region is not mapped', () => {
    const { root, device, reasons } = opened();
    const [dprc, dpio] = [device('dprc.2'), device('dpio.0')];
    expect(why(reasons, () => root.mmap(dprc, 0x1000))).toBe('EINVAL vfio/device-offset: dprc.2 has nothing for 4096 bytes at offset 0x0: the region cannot be mapped');
    expect(why(reasons, () => root.mmap(dpio, 0x1000, 2 * SPAN))).toBe('EINVAL vfio/device-offset: dpio.0 has nothing for 4096 bytes at offset 0x20000000000');
    expect(why(reasons, () => root.mmap(dpio, 0x2_0000))).toBe('EINVAL vfio/device-offset: dpio.0 has nothing for 131072 bytes at offset 0x0: they leave the region');
    expect(why(reasons, () => root.mmap(dpio, 0x1000, 0, 3, MAP_PRIVATE))).toBe('EINVAL vfio/device-offset: dpio.0 has nothing for 4096 bytes at offset 0x0: the mapping is private');
  });

  it('says what is wrong with a request for interrupts', () => {
    const { root, device, reasons } = opened();
    const fd = device('dpni.0');
    expect(why(reasons, () => setIrqs(root, fd, 0, VFIO_IRQ_SET_ACTION_MASK, 0, 1))).toBe('EINVAL vfio/irq-action: interrupt 0 of dpni.0 does not have action 0x8');
    expect(why(reasons, () => setIrqs(root, fd, 0, VFIO_IRQ_SET_ACTION_TRIGGER, 1, 1))).toBe('EINVAL vfio/irq-alone: start 1, count 1 of interrupt 0 of dpni.0');
    expect(why(reasons, () => setIrqTriggers(root, fd, 0, 0, [fd]))).toBe(`EINVAL process/not-eventfd: fd ${fd} is dpni.0, not an eventfd`);
    expect(why(reasons, () => setIrqTriggers(root, fd, 2, 0, [root.eventfd()]))).toBe('EINVAL vfio/irq-range: index 2 has 0 interrupts, and start is 0, count 1');
  });

  it('says that there are no interrupts for it', () => {
    // The kernel's own driver takes no such container: the root, or one below it, is bound without.
    for (const [msi, name, device, told] of [['none', 'dprc.1', 'dprc.1', 'dprc.1 has 1 interrupts, and its container has no MSI domain'], [300, 'dprc.2', 'dpni.0', 'dpni.0 has 2 interrupts, and 0 are free']] as const) {
      const { root, reasons, store, bind, openGroup } = setUp({ msi });
      store(`devices/${name}/driver_override`, 'vfio-fsl-mc');
      bind(name);
      const fd = openGroup(name).device(device);
      expect(why(reasons, () => setIrqTriggers(root, fd, 0, 0, [root.eventfd()]))).toBe(`${msi === 'none' ? 'EINVAL' : 'ENOSPC'} vfio-fsl-mc/no-irqs: ${told}`);
    }
  });
});
