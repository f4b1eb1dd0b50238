/** What a board's author may get wrong: each is refused as it is said. */
import { expect, it } from 'vitest';
import { Bus, Host, Vfio } from '@vsim/vfio-core';
import { IrqLine, Pl011, PlatformDevice, VfioPlatformDriver, type Trigger } from '../src/index.ts';

it.each(['high'])('the trigger %s, which there is not', (trigger: string) => {
  expect(() => new IrqLine(33, trigger as Trigger)).toThrow(new RangeError('"trigger" expected one of edge-rising, edge-falling, level-high, level-low, none, got high'));
});

it('more hardware than ranges', () => {
  const hardware = [new Pl011(new IrqLine(33, 'level-high'))];
  expect(() => new PlatformDevice(new Host(), { name: 'uart', resources: [], irqs: [], hardware })).toThrow(new RangeError('"hardware" expected at most 0 devices, got 1'));
});

it('a device, or a driver, of another host', () => {
  const [here, there] = [new Host(), new Host()];
  const bus = new Bus<PlatformDevice>(here, 'platform');
  const refused = (parameter: string, part: string) => new TypeError(`"${parameter}" expected a part of the host that the bus platform is of, got ${part} of another host`);
  expect(() => bus.announce(new PlatformDevice(there, { name: 'uart', resources: [], irqs: [] }))).toThrow(refused('device', 'uart'));
  expect(() => bus.addDriver(new VfioPlatformDriver(new Vfio(there)))).toThrow(refused('driver', 'vfio-platform'));
});
