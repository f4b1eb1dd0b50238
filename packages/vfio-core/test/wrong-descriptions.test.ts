/** What a host's author may get wrong with the hub's parts: each is refused as it is said, with what was expected and what came. */
import { expect, it } from 'vitest';
import { Bus, Device, Host, VfioDevice, Vfio, VtdIommu, constant, type ProfileName, type Sleeps } from '../src/index.ts';

class Thing extends Device {}

class VfioThing extends VfioDevice {
  protected override openDevice(): Sleeps<number> {
    return constant(0);
  }

  protected override closeDevice(): Sleeps<void> {
    return constant(undefined);
  }
}

it.each([-1, 1.5, Number.NaN, 2 ** 32])('the seed %d is none', (seed) => {
  expect(() => new Host({ seed })).toThrow(new RangeError(`"seed" expected a whole number in [0, 2^32), got ${seed}`));
});

it.each([0, 2 ** 32 - 1])('the seed %d is one', (seed) => {
  expect(() => new Host({ seed })).not.toThrow();
});

it.each(['linux-4.4'])('%s, which there is not, is named with those that there are', (profile: string) => {
  expect(() => new Host({ profile: profile as ProfileName })).toThrow(/^"profile" expected one of linux-5\.10, .*, got linux-4\.4$/);
});

it.each([
  ['overlaps another', [{ base: 0, size: 0x2_0000 }, { base: 0x1_0000, size: 0x1_0000 }]],
  ['is empty', [{ base: 0, size: 0 }]],
  ['begins anywhere', [{ base: 1, size: 0x1_0000 }]],
])('RAM that %s is refused', (_, ram) => {
  expect(() => new Host({ ram })).toThrow(/^"ram" expected /);
});

it('a device of another host goes onto no bus, into no group, and under no VFIO', () => {
  const [here, there] = [new Host(), new Host()];
  const thing = new Thing(there, 'thing0', '/sys/devices/thing0');
  expect(() => new Bus<Thing>(here, 'things').announce(thing)).toThrow(new TypeError('"device" expected a part of the host that the bus things is of, got thing0 of another host'));
  expect(() => new VtdIommu(here).addGroup([thing])).toThrow(new TypeError('"device" expected a part of the host that the IOMMU group is of, got thing0 of another host'));
  expect(() => new VfioThing(new Vfio(here), thing)).toThrow(new TypeError('"device" expected a part of the host that its Vfio is of, got thing0 of another host'));
});

it('a range that is taken is told with what is there', () => {
  const { memory } = new Host();
  const device = { read: () => 0, write: () => undefined, read64: () => undefined, write64: () => undefined };
  memory.map(0x1000, 0x1000, device);
  expect(() => memory.map(0x1800, 0x1000, device)).toThrow(new RangeError('"base" expected a free range, got 0x1800 size 0x1000, which overlaps a device at 0x1000 size 0x1000'));
  expect(() => memory.map(0x1_0000_0000, 0x1000, device)).toThrow(new RangeError('"base" expected a free range, got 0x100000000 size 0x1000, which overlaps RAM at 0x100000000 size 0x100000000'));
});
