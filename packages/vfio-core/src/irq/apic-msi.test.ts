import { describe, expect, it } from 'vitest';
import { Host } from '../host/host.ts';
import { ApicMsi } from './apic-msi.ts';
import { EventFdContext } from './event-fd.ts';
import { Virqfd } from './virqfd.ts';

const NIC = 0x0010;

function apic(init = {}) {
  const host = new Host();
  const events = host.trace.record();
  const msi = new ApicMsi(host, init);
  const raise = (message: { address: number; data: number } | undefined, requester = NIC): void =>
    host.memory.write32(message?.address ?? 0, message?.data ?? 0, requester);
  return { msi, raise, events };
}

describe('ApicMsi', () => {
  it('delivers a message to the handler of its entry', () => {
    const { msi, raise } = apic();
    const [first, second] = msi.allocate(NIC, 2, false);
    const taken: number[] = [];
    first?.setHandler(() => taken.push(first.number));
    second?.setHandler(() => taken.push(second.number));
    raise(second?.message);
    raise(first?.message);
    expect(taken).toEqual([25, 24]);
    expect(first?.message.address).not.toBe(second?.message.address);
  });

  it('gives plain MSI consecutive data behind one address, aligned to the block', () => {
    const { msi } = apic();
    msi.allocate(NIC, 1, false);
    const block = msi.allocate(NIC, 4, true);
    expect(block.map(({ message }) => message.data)).toEqual([0, 1, 2, 3]);
    expect(new Set(block.map(({ message }) => message.address)).size).toBe(1);
  });

  it('answers an entry to its own requester only, when remapping', () => {
    const { msi, raise, events } = apic();
    const [irq] = msi.allocate(NIC, 1, false);
    let count = 0;
    irq?.setHandler(() => (count += 1));
    raise(irq?.message, 0x0018);
    expect(count).toBe(0);
    expect(events).toMatchObject([{ id: 'irq/msi-refused', fields: { why: 'foreign requester', requester: 0x0018 } }]);
  });

  it('lets anyone raise a vector without remapping, and has few of them', () => {
    const { msi, raise } = apic({ remapping: false });
    expect(msi.isolated).toBe(false);
    const irqs = msi.allocate(NIC, 1000, false);
    expect(irqs).toHaveLength(208);
    let count = 0;
    irqs[0]?.setHandler(() => (count += 1));
    raise(irqs[0]?.message, 0x0018);
    expect(count).toBe(1);
  });

  it('keeps one masked interrupt', () => {
    const { msi, raise } = apic();
    const [irq] = msi.allocate(NIC, 1, false);
    let count = 0;
    irq?.setHandler(() => (count += 1));
    irq?.mask();
    raise(irq?.message);
    raise(irq?.message);
    expect(count).toBe(0);
    irq?.unmask();
    expect(count).toBe(1);
  });

  it('takes entries back', () => {
    const { msi, raise, events } = apic({ entries: 2 });
    const irqs = msi.allocate(NIC, 3, false);
    expect(irqs).toHaveLength(2);
    expect(msi.allocate(NIC, 1, false)).toEqual([]);
    msi.release(NIC, irqs);
    raise(irqs[0]?.message);
    expect(events).toMatchObject([{ id: 'irq/msi-refused', fields: { why: 'no entry' } }]);
    expect(msi.allocate(NIC, 2, false)).toHaveLength(2);
  });

  it('refuses a table that the format cannot index', () => {
    expect(() => apic({ entries: 0x1_0001 })).toThrow('"entries" expected an integer in [1, 65536], got 65537');
  });
});

describe('Virqfd', () => {
  const owner = (host: Host) => ({ device: { host }, enter: () => undefined });

  it.each([
    [true, 0n, 'linux-6.1'],
    [false, 2n, 'linux-5.10'],
  ] as const)('acts at once if it was signalled, and drains: %s', (_drains, left, profile) => {
    const context = new EventFdContext('e', 1);
    let acted = 0;
    const virqfd = new Virqfd(
      owner(new Host({ profile })),
      context,
      () => (acted += 1),
      () => undefined,
    );
    expect(acted).toBe(1);
    context.signal();
    expect([acted, context.count]).toEqual([2, left]);
    virqfd.disable();
    context.signal();
    expect(acted).toBe(2);
  });

  it('lets go when the eventfd is closed', () => {
    const context = new EventFdContext('e');
    let gone = false;
    new Virqfd(
      owner(new Host()),
      context,
      () => undefined,
      () => (gone = true),
    );
    context.close();
    expect(gone).toBe(true);
  });
});
