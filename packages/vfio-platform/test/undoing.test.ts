/** What an interrupt of a platform device leaves behind when its eventfd goes. */
import { setIrqs, setIrqTriggers, VFIO_IRQ_SET_ACTION_MASK, VFIO_IRQ_SET_ACTION_TRIGGER, type ProfileName } from '@vsim/vfio-core';
import { describe, expect, it } from 'vitest';
import { IrqLine } from '../src/index.ts';
import { setUp } from './set-up.ts';

function opened(trigger: 'edge-rising' | 'level-high', profile: ProfileName = 'linux-6.1') {
  const made = setUp({ trigger, profile });
  made.bind();
  const fds = made.open();
  const eventfd = made.root.eventfd();
  setIrqTriggers(made.root, fds.device, 0, 0, [eventfd]);
  return { made, ...fds, eventfd, count: () => made.root.readEventfd(eventfd) };
}

describe.each(['edge-rising', 'level-high'] as const)('an eventfd that was taken away, %s', (trigger) => {
  it.each([['linux-5.13', 1], ['linux-6.1', 0]] as const)('hears neither the line nor user space’s own trigger, which finds nobody: %s', (profile, bugs) => {
    const { made, device, count } = opened(trigger, profile);
    const { root, irq, events } = made;
    setIrqTriggers(root, device, 0, 0, [-1]);
    irq.set(true);
    setIrqs(root, device, 0, VFIO_IRQ_SET_ACTION_TRIGGER, 0, 1);
    expect([count(), events.filter(({ severity }) => severity === 'bug').length]).toEqual([0n, bugs]);
  });

  it('leaves the line to the next open, which nobody has masked', () => {
    const { made, device, group, container, count } = opened(trigger);
    const { root, irq, open } = made;
    if (trigger === 'level-high') setIrqs(root, device, 0, VFIO_IRQ_SET_ACTION_MASK, 0, 1);
    for (const fd of [device, group, container]) root.close(fd);
    const again = root.eventfd();
    setIrqTriggers(root, open().device, 0, 0, [again]);
    irq.set(true);
    expect([count(), root.readEventfd(again)]).toEqual([0n, 1n]);
  });
});

it('an edge that came while the line was disabled fires once when it is enabled, and not at the next enabling', () => {
  const line = new IrqLine(1, 'edge-rising');
  let fired = 0;
  line.request(() => (fired += 1));
  line.set(true);
  line.enable();
  expect(fired).toBe(1);
  line.disable();
  line.enable();
  expect(fired).toBe(1);
});
