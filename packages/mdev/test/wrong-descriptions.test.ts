/** What a parent's author may get wrong: each is refused as it is said. */
import { expect, it } from 'vitest';
import { Host, Process, Vfio } from '@vsim/vfio-core';
import { MdevBus, Mtty } from '../src/index.ts';

it('a parent that nobody registered', () => {
  const host = new Host();
  const register = new Mtty(new MdevBus(host), new Vfio(host)).register();
  expect(() => new Process(host)).toThrow(new TypeError('"parent.register()" expected to be run, as host.scheduler.call(\'boot\', parent.register()), got a generator that nobody ran'));
  host.scheduler.call('modprobe mtty', register);
  expect(() => new Process(host)).not.toThrow();
});

it('a parent on the scheduler of another host', () => {
  const host = new Host();
  const register = new Mtty(new MdevBus(host), new Vfio(host)).register();
  expect(() => new Host().scheduler.call('modprobe mtty', register)).toThrow(new TypeError('"parent.register()" expected to be run by the scheduler of its own host, got another host\'s'));
});
