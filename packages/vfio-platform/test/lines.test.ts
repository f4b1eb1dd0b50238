/** An interrupt line of a platform device: what it remembers, who gets it, and what its eventfds do. */
import { EBUSY, EINVAL, Host, setIrqs, setIrqTriggers, VFIO_DEVICE_SET_IRQS, VFIO_IRQ_SET_ACTION_MASK, VFIO_IRQ_SET_ACTION_TRIGGER, VFIO_IRQ_SET_ACTION_UNMASK, VFIO_IRQ_SET_DATA_EVENTFD } from '@vsim/vfio-core';
import { outcomeOf } from '@vsim/vfio-core/testing';
import { describe, expect, it } from 'vitest';
import { INTERRUPT_STORM, IrqLine, type Trigger } from '../src/index.ts';
import { NAME, setUp, type PlatformHost } from './set-up.ts';

/** Gives an eventfd to one action of interrupt 0. */
function give({ root }: PlatformHost, device: number, action: number, fd: number): void {
  root.ioctl(device, VFIO_DEVICE_SET_IRQS, new Uint8Array(Int32Array.of(24, VFIO_IRQ_SET_DATA_EVENTFD | action, 0, 0, 1, fd).buffer));
}

function bound(trigger: 'edge-rising' | 'level-high') {
  const made = setUp({ trigger });
  made.bind();
  const { root, irq } = made;
  const eventfd = root.eventfd();
  return {
    made,
    root,
    irq,
    eventfd,
    count: () => Number(root.readEventfd(eventfd)),
    arm: (device: number, fd = eventfd) => { setIrqTriggers(root, device, 0, 0, [fd]); },
    unmask: (device: number) => { setIrqs(root, device, 0, VFIO_IRQ_SET_ACTION_UNMASK, 0, 1); },
    close: (fds: object) => { for (const fd of Object.values<unknown>({ ...fds })) root.close(Number(fd)); },
  };
}

describe('an edge [platform 35]', () => {
  it('before the open, and before the first eventfd, is one event when there is one', () => {
    const { made, irq, arm, count } = bound('edge-rising');
    irq.setPending();
    irq.setPending();
    const { device } = made.open();
    irq.setPending();
    expect(irq.pending).toBe(true);
    arm(device);
    expect([count(), irq.pending]).toEqual([1, false]);
  });

  it('while the eventfd is taken away, the device closed or unbound, is one event at the next eventfd', () => {
    const { made, irq, arm, count, close } = bound('edge-rising');
    const fds = made.open();
    arm(fds.device);
    arm(fds.device, -1);
    irq.setPending();
    irq.setPending();
    close(fds);
    irq.setPending();
    made.unbind();
    made.bind();
    const { device } = made.open();
    expect(count()).toBe(0);
    arm(device);
    expect(count()).toBe(1);
  });
});

it('one edge that came while its eventfd was taken away is kept by the kernel, over close and unbind [platform 35]', () => {
  const { made, irq, arm, count, close } = bound('edge-rising');
  const fds = made.open();
  arm(fds.device);
  arm(fds.device, -1);
  irq.setPending();
  expect(irq.pending).toBe(false);
  close(fds);
  made.unbind();
  made.bind();
  arm(made.open().device);
  expect(count()).toBe(1);
});

describe('a level', () => {
  it('that is up fires each time it is enabled or unmasked, and not when it has gone meanwhile [platform 36]', () => {
    const { made, irq, arm, count, unmask } = bound('level-high');
    const { device } = made.open();
    irq.set(true);
    arm(device);
    expect(count()).toBe(1);
    unmask(device);
    expect(count()).toBe(1);
    irq.set(false);
    unmask(device);
    expect(count()).toBe(0);
  });

  it('that is only a pending bit stays so before the first enabling, and is swallowed while masked after it [platform 37]', () => {
    const { made, irq, arm, count, unmask } = bound('level-high');
    const { device } = made.open();
    irq.setPending();
    arm(device);
    expect(count()).toBe(1);
    irq.setPending();
    expect(irq.pending).toBe(false);
    unmask(device);
    expect(count()).toBe(0);
  });

  it('is masked over replacing and taking away of its eventfd, once, until the last close [platform 39]', () => {
    const { made, root, irq, arm, count, unmask, close } = bound('level-high');
    const fds = made.open();
    for (let i = 0; i < 2; i += 1) setIrqs(root, fds.device, 0, VFIO_IRQ_SET_ACTION_MASK, 0, 1);
    arm(fds.device);
    arm(fds.device, -1);
    arm(fds.device);
    irq.set(true);
    expect(count()).toBe(0);
    unmask(fds.device);
    expect(count()).toBe(1);
    close(fds);
    arm(made.open().device);
    expect(count()).toBe(1);
  });
});

it('interrupts are requested from the first open to the last close, eventfd or not [platform 17] [platform 31]', () => {
  const { made, root, close } = bound('level-high');
  const listed = (): string => root.readFile('/proc/interrupts').trim();
  expect(listed()).toBe('');
  const fds = made.open();
  expect(listed()).toMatch(/^\d+: GICv3 33 Level vfio-irq\[\d+\]\(9000000\.uart\)$/);
  close(fds);
  expect(listed()).toBe('');
  expect(setUp({ amba: true }).root.readFile('/proc/interrupts')).toBe('');
});

describe('a request that fails', () => {
  it.each<readonly [Trigger, number]>([['level-low', -EINVAL], ['edge-falling', -EINVAL], ['none', 0], ['edge-rising', 0], ['level-high', 0]])('is that of a trigger that no SPI knows: %s [platform 32]', (trigger, answer) => {
    expect(new IrqLine(1, trigger).request(() => undefined)).toBe(answer);
  });

  it('is that of a line which somebody has, or which is another controller’s parent [platform 32] [platform 45]', () => {
    const line = new IrqLine(1, 'level-high');
    expect([line.request(() => undefined), line.request(() => undefined)]).toEqual([0, -EBUSY]);
    line.free();
    line.chain();
    expect(line.request(() => undefined)).toBe(-EINVAL);
  });

  it('does not fail the open, and GET_IRQ_INFO knows nothing of it [platform 32]', () => {
    const made = setUp({ irqs: [new IrqLine(33, 'level-low')] });
    made.bind();
    const { device } = made.open();
    for (const action of [0, VFIO_IRQ_SET_ACTION_TRIGGER, VFIO_IRQ_SET_ACTION_MASK]) expect(outcomeOf(() => { setIrqs(made.root, device, 0, action, 0, 1); })).toBe('EINVAL');
    // What the checks of ranges refuse comes first.
    expect(outcomeOf(() => { setIrqs(made.root, device, 1, VFIO_IRQ_SET_ACTION_TRIGGER, 0, 1); })).toBe('EINVAL');
  });
});

it('a bad fd takes the eventfd that there was away [platform 34]', () => {
  const { made, root, irq, arm, count } = bound('edge-rising');
  const { device } = made.open();
  arm(device);
  expect([outcomeOf(() => { arm(device, 1000); }), outcomeOf(() => { arm(device, device); })]).toEqual(['EBADF', 'EINVAL']);
  irq.set(true);
  expect([count(), root.fds.length > 0]).toEqual([0, true]);
});

describe('an eventfd that masks or unmasks', () => {
  it('and is signalled already acts at once, and keeps its count; later writes are drained [platform 40]', () => {
    const { made, root, irq, arm, count } = bound('level-high');
    const { device } = made.open();
    arm(device);
    irq.setPending();
    expect(count()).toBe(1);
    const unmask = root.eventfd(1);
    give(made, device, VFIO_IRQ_SET_ACTION_UNMASK, unmask);
    expect(Number(root.readEventfd(unmask))).toBe(1);
    irq.setPending();
    expect(count()).toBe(1);
    root.writeEventfd(unmask, 1n);
    irq.setPending();
    expect([count(), Number(root.readEventfd(unmask))]).toEqual([1, 0]);
  });

  it('is taken away by any negative fd, and leaves its place when it is closed [platform 41]', () => {
    const { made, root } = bound('level-high');
    const { device } = made.open();
    const [first, second] = [root.eventfd(), root.eventfd()];
    const outcome = (fd: number): string => outcomeOf(() => { give(made, device, VFIO_IRQ_SET_ACTION_MASK, fd); });
    expect([outcome(first), outcome(second), outcome(-5), outcome(second)]).toEqual(['success', 'EBUSY', 'success', 'success']);
    root.close(second);
    expect(outcome(first)).toBe('success');
  });

  it('may be the trigger, too: the kernel drains it; of a level that stays up it keeps the CPU for ever [platform 42]', () => {
    const { made, root, irq, eventfd, arm, count } = bound('level-high');
    const { device } = made.open();
    arm(device);
    give(made, device, VFIO_IRQ_SET_ACTION_UNMASK, eventfd);
    irq.setPending();
    expect([count(), made.events.map(({ id }) => id)]).toEqual([0, []]);
    irq.set(true);
    expect(made.events.map(({ id }) => id)).toContain(INTERRUPT_STORM.id);
    irq.set(false);
    root.exit();
    expect(made.host.scheduler.threads).toEqual([]);
  });

  it('that does both, last unmasking, leaves the line masked: its interrupt comes behind them [platform 42]', () => {
    const { made, root, irq, arm, count } = bound('level-high');
    const { device } = made.open();
    const both = root.eventfd();
    give(made, device, VFIO_IRQ_SET_ACTION_MASK, both);
    arm(device);
    irq.set(true);
    expect(count()).toBe(1);
    give(made, device, VFIO_IRQ_SET_ACTION_UNMASK, both);
    root.writeEventfd(both, 1n);
    expect(count()).toBe(0);
  });

  it('is none for an edge, whatever the fd [platform 43]', () => {
    const { made } = bound('edge-rising');
    const { device } = made.open();
    for (const fd of [-1, 1000, made.root.eventfd()]) expect(outcomeOf(() => { give(made, device, VFIO_IRQ_SET_ACTION_MASK, fd); })).toBe('EINVAL');
  });
});

it('all fds of a device share its interrupts [platform 44]', () => {
  const { made, root, irq, arm, count } = bound('edge-rising');
  const { group, device } = made.open();
  const other = root.ioctl(group, 0x3b6a, new TextEncoder().encode(`${NAME}\0`));
  arm(other);
  root.close(device);
  irq.set(true);
  expect(count()).toBe(1);
});

it('a line has a Linux irq number once a node with it was looked at', () => {
  const host = new Host();
  const [first, second] = [new IrqLine(40, 'none'), new IrqLine(41, 'none')];
  expect(first.irq).toBeUndefined();
  expect([second.map('edge-rising', host), first.map('level-high', host), first.map('edge-rising', host), first.map('level-high', host)]).toEqual([true, true, false, true]);
  expect((first.irq ?? 0) - (second.irq ?? 0)).toBe(1);
});
