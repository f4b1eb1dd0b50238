import { describe, expect, it } from 'vitest';
import { EBUSY, EINVAL } from '../uapi/errno.ts';
import { EventFdContext } from './event-fd.ts';
import { IrqBypassManager, type IrqBypassConsumer, type IrqBypassProducer } from './irq-bypass.ts';
import type { HostIrq } from './msi.ts';

describe('EventFdContext', () => {
  it('counts signals, gives them at once or one by one, and saturates', () => {
    const plain = new EventFdContext('plain', 2);
    plain.signal();
    expect(plain.take()).toBe(3n);
    expect(plain.take()).toBeUndefined();
    const semaphore = new EventFdContext('semaphore', 2, true);
    expect([semaphore.take(), semaphore.take(), semaphore.take()]).toEqual([1n, 1n, undefined]);
    expect(plain.write(0xffff_ffff_ffff_fffen)).toBe(0);
    expect(plain.write(1n)).toBeLessThan(0);
    plain.signal();
    expect(plain.count).toBe(0xffff_ffff_ffff_ffffn);
    plain.signal();
    expect(plain.count).toBe(0xffff_ffff_ffff_ffffn);
    plain.drain();
    expect(plain.isZero).toBe(true);
  });

  it('tells the last listener first, also one that leaves while it is told, and those that come late', () => {
    const context = new EventFdContext('e');
    const log: string[] = [];
    const once = {
      signalled: () => {
        log.push('once');
        context.unlisten(once);
      },
    };
    const always = { signalled: () => log.push('always'), closed: () => log.push('closed') };
    context.listen(once);
    context.listen(always);
    context.signal();
    context.signal();
    expect(log).toEqual(['always', 'once', 'always']);
    context.listen({ signalled: () => log.push('late') });
    context.close();
    expect(log.slice(3)).toEqual(['late', 'closed']);
    expect(context.closed).toBe(true);
  });

  it('tells the one with priority that came first, alone; without any all of them, the last first, and acts when all have been told', () => {
    const context = new EventFdContext('e');
    const log: string[] = [];
    const listener = (name: string, priority: boolean) => ({ priority, signalled: () => log.push(name), allTold: () => log.push(`${name} acts`) });
    const [first, second] = [listener('first', true), listener('second', true)];
    for (const each of [listener('plain', false), first, second, listener('last', false)]) context.listen(each);
    context.signal();
    context.unlisten(first);
    context.signal();
    expect(log.splice(0)).toEqual(['first', 'second']);
    context.unlisten(second);
    context.listen(listener('latest', false));
    log.length = 0;
    context.signal();
    expect(log).toEqual(['latest', 'last', 'plain', 'latest acts', 'last acts', 'plain acts']);
  });
});

describe('IrqBypassManager', () => {
  const irq: HostIrq = {
    number: 30,
    message: { address: 0xfee0_0000, data: 0x31 },
    setHandler: () => undefined,
    mask: () => undefined,
    unmask: () => undefined,
  };
  function pair(token: EventFdContext, refuse = { producer: 0, consumer: 0 }) {
    const log: string[] = [];
    const producer: IrqBypassProducer = {
      token,
      irq,
      addConsumer: () => (log.push('producer add'), refuse.producer),
      delConsumer: () => log.push('producer del'),
      stop: () => log.push('producer stop'),
      start: () => log.push('producer start'),
    };
    const consumer: IrqBypassConsumer = {
      token,
      addProducer: () => (log.push('consumer add'), refuse.consumer),
      delProducer: () => log.push('consumer del'),
      stop: () => log.push('consumer stop'),
      start: () => log.push('consumer start'),
    };
    return { log, producer, consumer };
  }

  it('connects by token, whichever side came first, each side stopped meanwhile', () => {
    for (const producerFirst of [true, false]) {
      const manager = new IrqBypassManager();
      const { log, producer, consumer } = pair(new EventFdContext('token'));
      if (producerFirst) manager.registerProducer(producer);
      manager.registerConsumer(consumer);
      if (!producerFirst) manager.registerProducer(producer);
      expect(log).toEqual(['producer stop', 'consumer stop', 'producer add', 'consumer add', 'consumer start', 'producer start']);
      log.length = 0;
      if (producerFirst) manager.unregisterProducer(producer);
      else manager.unregisterConsumer(consumer);
      expect(log).toEqual(['producer stop', 'consumer stop', 'consumer del', 'producer del', 'consumer start', 'producer start']);
      log.length = 0;
      manager.unregisterProducer(producer);
      manager.unregisterConsumer(consumer);
      expect(log).toEqual([]);
    }
  });

  it('leaves tokens that differ alone, and takes one of each side to a token', () => {
    const manager = new IrqBypassManager();
    const one = pair(new EventFdContext('one'));
    const other = pair(new EventFdContext('other'));
    expect(manager.registerProducer(one.producer)).toBe(0);
    expect(manager.registerConsumer(other.consumer)).toBe(0);
    expect([...one.log, ...other.log]).toEqual([]);
    expect(manager.registerProducer({ token: one.producer.token, irq })).toBe(-EBUSY);
    expect(manager.registerConsumer({ ...other.consumer })).toBe(-EBUSY);
  });

  it('takes a refused connection back, and forgets the side that came (V60)', () => {
    const manager = new IrqBypassManager();
    const { log, producer, consumer } = pair(new EventFdContext('token'), { producer: 0, consumer: -EINVAL });
    manager.registerConsumer(consumer);
    expect(manager.registerProducer(producer)).toBe(-EINVAL);
    expect(log.slice(2)).toEqual(['producer add', 'consumer add', 'producer del', 'consumer start', 'producer start']);
    // The producer is gone: it may come again, and is refused for the same reason.
    expect(manager.registerProducer(producer)).toBe(-EINVAL);
    log.length = 0;
    manager.unregisterConsumer(consumer);
    expect(log).toEqual([]);
  });

  it('[R11] looks at the token of whom it is asked for, and at no other', () => {
    let looks = 0;
    const manager = new IrqBypassManager();
    const n = 500;
    const sides = Array.from({ length: n }, (_, i) => {
      const { producer, consumer } = pair(new EventFdContext(`token ${i}`));
      const { token } = producer;
      const counted = { get: () => ((looks += 1), token) };
      return { producer: Object.defineProperty(producer, 'token', counted), consumer: Object.defineProperty(consumer, 'token', counted) };
    });
    for (const { producer, consumer } of sides) expect([manager.registerProducer(producer), manager.registerConsumer(consumer)]).toEqual([0, 0]);
    for (const { producer, consumer } of sides.toReversed()) {
      manager.unregisterConsumer(consumer);
      manager.unregisterProducer(producer);
    }
    expect(looks).toBeLessThan(20 * n);
  });
});
