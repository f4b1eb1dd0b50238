/** A platform device that was freed with its line requested, and with eventfds that mask it. */
import { set, USE_AFTER_FREE, VFIO_DEVICE_SET_IRQS, VFIO_IRQ_SET_ACTION_MASK, VFIO_IRQ_SET_ACTION_TRIGGER, VFIO_IRQ_SET_DATA_EVENTFD, vfio_irq_set } from '@vsim/vfio-core';
import { describe, expect, it } from 'vitest';
import { setUp } from './set-up.ts';

describe.each([['platform', false], ['amba', true]] as const)('a freed %s device', (_, amba) => {
  it.each([['interrupt', VFIO_IRQ_SET_ACTION_TRIGGER], ['eventfd', VFIO_IRQ_SET_ACTION_MASK]] as const)('is told by its %s', (operation, action) => {
    const made = setUp({ amba, trigger: 'level-high' });
    const { root, bind, open, driver, device, irq, events } = made;
    bind();
    const fds = open();
    const eventfd = root.eventfd();
    const request = new Uint8Array(vfio_irq_set.size + 4);
    set(request, vfio_irq_set.argsz, request.length);
    set(request, vfio_irq_set.flags, VFIO_IRQ_SET_DATA_EVENTFD | action);
    set(request, vfio_irq_set.count, 1);
    set(request, [vfio_irq_set.size, 's32'], eventfd);
    expect(root.ioctl(fds.device, VFIO_DEVICE_SET_IRQS, request)).toBe(0);
    driver.vfioDevice(device)?.free();
    if (operation === 'interrupt') irq.set(true);
    else root.writeEventfd(eventfd, 1n);
    expect(events.filter(({ id }) => id === USE_AFTER_FREE.id).map(({ text }) => text)).toEqual([`${driver.vfioDevice(device)!.name}: ${operation} after its structure was freed`]);
  });
});
