/** Steps that are told to who follows the trace: threads, processes, devices, messages. */
import { describe, expect, it } from 'vitest';
import { ApicMsi, Bus, Device, DmaPort, Driver, Host, Mutex, Process, Scheduler, type Point, type Sleeps } from '../src/index.ts';

const MIDDLE: Point = { point: 'test/middle' };

class Thing extends Device {}

class ThingDriver extends Driver<Device> {
  override readonly name = 'taker';

  override match(): boolean {
    return true;
  }

  override *probe(): Sleeps<number> {
    return 0;
  }

  override *remove(): Sleeps<void> {
    // Nothing to let go of.
  }
}

/** The steps of a host that is followed, as `id text`. */
function followed(host: Host): readonly string[] {
  const told: string[] = [];
  host.trace.follow(({ id, text }) => told.push(`${id} ${text}`));
  return told;
}

describe('steps of threads', () => {
  it('are told: made, waits for what and whom, woken, ended', () => {
    const host = new Host();
    const told = followed(host);
    const lock = new Mutex(host.scheduler, 'the lock');
    const holds = function* (): Sleeps<void> {
      yield* lock.lock();
      yield* host.scheduler.sleep(5);
      lock.unlock();
    };
    const takes = function* (): Sleeps<void> {
      yield* lock.lock();
    };
    host.scheduler.spawn('holder', holds());
    host.scheduler.spawn('waiter', takes());
    host.scheduler.advance(5);
    expect(told).toEqual([
      'host/thread-started holder: started',
      'host/thread-asleep holder: waits for 5 ns',
      'host/thread-started waiter: started',
      'host/thread-asleep waiter: waits for the lock, held by holder',
      'host/thread-woken holder: woken',
      'host/thread-woken waiter: woken',
      'host/thread-ended holder: ended',
      'host/thread-ended waiter: ended',
    ]);
  });

  it('are told of one that is held, and of one that throws', () => {
    const host = new Host();
    const told = followed(host);
    const fails = function* (): Sleeps<void> {
      yield MIDDLE;
      throw new RangeError('no');
    };
    host.scheduler.stopAt(MIDDLE);
    host.scheduler.spawn('one', fails());
    host.scheduler.release(MIDDLE);
    expect(told.slice(1)).toEqual(['host/thread-held one: held at test/middle', 'host/thread-woken one: woken', 'host/thread-ended one: ended by no']);
  });

  it('name a number that no other thread has, and when it wakes by itself', () => {
    const host = new Host();
    const fields: object[] = [];
    host.trace.follow((event) => fields.push(event.fields));
    host.scheduler.spawn('same', host.scheduler.sleep(7));
    host.scheduler.spawn('same', host.scheduler.sleep(8));
    expect(fields).toMatchObject([{ serial: 1 }, { thread: 'same', serial: 1, until: 7 }, { serial: 2 }, { thread: 'same', serial: 2, until: 8 }]);
  });

  it('are nobody\'s where the scheduler is no host\'s', () => {
    expect(new Scheduler().traced).toBe(false);
  });
});

describe('other steps', () => {
  it('a process that starts and exits', () => {
    const host = new Host();
    const told = followed(host);
    new Process(host, { name: 'vmm' }).exit();
    expect(told).toEqual(['process/started vmm: started', 'host/thread-started vmm exit: started', 'process/exited vmm: exited', 'host/thread-ended vmm exit: ended']);
  });

  it('a message that a device writes', () => {
    const host = new Host();
    const told: object[] = [];
    host.trace.follow(({ id, fields }) => told.push({ id, fields }));
    new DmaPort(host, '0000:00:02.0', 0x10, () => undefined).raiseMsi(0x1_0000_0000, 5);
    expect(told).toEqual([{ id: 'irq/msi-sent', fields: { device: '0000:00:02.0', requester: 0x10, address: 0x1_0000_0000, data: 5 } }]);
    expect(host.memory.read32(0x1_0000_0000)).toBe(5);
  });

  it('the host runs the handler of a message; one that waits for a mask is told', () => {
    const host = new Host();
    const msi = new ApicMsi(host);
    const [irq] = msi.allocate(0x10, 1, false);
    irq!.setHandler(() => undefined);
    const told = followed(host);
    const raise = (): void => { host.memory.write32(irq!.message.address, irq!.message.data, 0x10); };
    raise();
    irq!.mask();
    raise();
    raise();
    irq!.unmask();
    irq!.setHandler(undefined);
    raise();
    expect(told).toEqual(['irq/msi-taken irq 24: handled by the host', 'irq/msi-pending irq 24: pending, masked', 'irq/msi-pending irq 24: pending, masked', 'irq/msi-taken irq 24: handled by the host']);
  });

  it('a device comes, is bound, loses its driver, and goes', () => {
    const host = new Host();
    const bus = new Bus<Device>(host, 'things');
    const driver = new ThingDriver();
    host.scheduler.call('modprobe', bus.addDriver(driver));
    const told = followed(host);
    const device = new Thing(host, 'one', '/sys/devices/one');
    host.scheduler.call('add', bus.add(device));
    host.scheduler.call('unbind', bus.release(device));
    host.scheduler.call('bind', bus.attach(driver, device));
    host.scheduler.call('remove', bus.remove(device));
    expect(told.filter((line) => line.startsWith('model/'))).toEqual([
      'model/device-added one: added to bus things',
      'model/device-bound one: bound to taker',
      'model/device-unbinding one: taker is about to go',
      'model/device-unbound one: unbound',
      'model/device-bound one: bound to taker',
      'model/device-removed one: leaves bus things',
      'model/device-unbinding one: taker is about to go',
      'model/device-unbound one: unbound',
    ]);
  });
});
