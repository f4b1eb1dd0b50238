/** What mdev and its samples refuse beyond creation and removal: each says which rule it was, and what decided [M14]. */
import { getDeviceInfo, setIrqTriggers, setIrqs, VFIO_DEVICE_GET_GFX_DMABUF, VFIO_DEVICE_QUERY_GFX_PLANE, VFIO_IRQ_SET_ACTION_MASK, VFIO_IRQ_SET_ACTION_TRIGGER, type ProfileName } from '@vsim/vfio-core';
import { describe, expect, it } from 'vitest';
import { why } from '../../../testing/why.ts';
import { GFX_PLANE, MDEV_CREATED } from '../src/index.ts';
import { setUp, UUID, uuidOf } from './set-up.ts';

const INTX = 0;
const MSI = 1;

/** A device of a type, open. */
function opened(type: string, profile?: ProfileName) {
  const { root, create, open, host, events } = setUp(profile);
  create(type);
  const { device } = open();
  return { root, device, host, events };
}

function plane(flags: number): Uint8Array {
  const bytes = new Uint8Array(64);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, bytes.length, true);
  view.setUint32(4, flags, true);
  return bytes;
}

describe('a parent that leaves', () => {
  it('takes no creation and no removal any more, while it waits for those under way', () => {
    const { host, root, create, remove, mtty } = setUp();
    const path = '/sys/devices/virtual/mtty/mtty/mdev_supported_types/mtty-1/create';
    create('mtty-1');
    host.scheduler.stopAt(MDEV_CREATED);
    root.start('create', root.sys.writeFile(path, uuidOf(1)));
    host.scheduler.spawn('rmmod', mtty.unregister());
    const events = host.trace.record();
    expect(why(events, () => root.writeFile(path, uuidOf(2)))).toBe('ENODEV mdev/parent-leaves: mtty is being unregistered');
    expect(why(events, remove)).toBe('ENODEV mdev/parent-leaves: mtty is being unregistered');
    host.scheduler.release(MDEV_CREATED);
  });
});

describe('a mediated device', () => {
  it('has one instance of its parent', () => {
    const { host, create, bus } = setUp();
    create('mtty-1');
    const events = host.trace.record();
    expect(why(events, () => bus.device(UUID)!.instantiate())).toBe(`ENODEV mdev/no-instance: ${UUID} has no instance, or has one already`);
  });

  it('without one is not bound (5.13)', () => {
    const { host, root, create, bus } = setUp('linux-5.13');
    create('mtty-1');
    root.writeFile('/sys/bus/mdev/drivers/vfio_mdev/unbind', UUID);
    bus.device(UUID)!.dispose();
    const events = host.trace.record();
    expect(why(events, () => host.scheduler.call('bind', bus.attach(bus.driver('vfio_mdev')!, bus.device(UUID)!)))).toBe(`EINVAL mdev/no-instance: ${UUID} has no instance, or has one already`);
  });
});

describe('mtty', () => {
  it('says what is wrong with a request for interrupts', () => {
    const { root, device, events } = opened('mtty-1', 'linux-6.12');
    getDeviceInfo(root, device); // 6.7 knows no interrupts before that
    const give = (index: number) => () => setIrqTriggers(root, device, index, 0, [root.eventfd()]);
    expect(why(events, () => setIrqs(root, device, MSI, VFIO_IRQ_SET_ACTION_MASK, 0, 1))).toBe(`ENOTTY mdev/sample-irq: action ${VFIO_IRQ_SET_ACTION_MASK} on index 1, and none is set up`);
    expect(why(events, () => setIrqs(root, device, INTX, VFIO_IRQ_SET_ACTION_TRIGGER, 0, 1))).toBe(`EINVAL mdev/sample-irq: action ${VFIO_IRQ_SET_ACTION_TRIGGER} on index 0, and none is set up`);
    give(INTX)();
    expect(why(events, give(MSI))).toBe(`EINVAL mdev/sample-irq: action ${VFIO_IRQ_SET_ACTION_TRIGGER} on index 1, and index 0 is set up`);
  });
});

describe('mdpy and mbochs', () => {
  it('have no interrupts, and say in which way they give a plane', () => {
    const { root, device, events } = opened('mdpy-vga');
    expect(why(events, () => setIrqs(root, device, MSI, VFIO_IRQ_SET_ACTION_TRIGGER, 0, 1))).toBe('EINVAL mdev/sample-irq: action 0 on index 0, and none is set up');
    expect(why(events, () => root.ioctl(device, VFIO_DEVICE_QUERY_GFX_PLANE, plane(GFX_PLANE.DMABUF)))).toBe('EINVAL mdev/plane: flags 2, and the device has 4');
  });

  it('have no dmabuf of an id that nobody gave', () => {
    const { root, device, events } = opened('mbochs-small');
    expect(why(events, () => root.ioctl(device, VFIO_DEVICE_GET_GFX_DMABUF, new Uint8Array(Uint32Array.of(77).buffer)))).toBe('ENOENT mdev/plane: no dmabuf has id 77');
  });
});
