/** What a host's author may get wrong with a GIC and KVM: each is refused as it is said. */
import { expect, it } from 'vitest';
import { Host } from '@vsim/vfio-core';
import { Gic, ItsDriver, Kvm, KvmVm, type GicVersion } from '../src/index.ts';

const driverOf = (host: Host): ItsDriver => new ItsDriver(host, new Gic(host, { version: 'gicv4.1', cpus: 1 }));

it.each(['gicv5'])('the GIC %s, which there is not', (version: string) => {
  expect(() => new Gic(new Host(), { version: version as GicVersion, cpus: 1 })).toThrow(new RangeError('"version" expected one of gicv3, gicv4, gicv4.1, got gicv5'));
});

it('a GIC of another host', () => {
  expect(() => new ItsDriver(new Host(), new Gic(new Host(), { version: 'gicv3', cpus: 1 }))).toThrow(new TypeError('"gic" expected a Gic that was made with the same host, got one of another'));
});

it('an ITS driver of another host', () => {
  const driver = driverOf(new Host());
  expect(() => new Kvm(new Host(), { driver })).toThrow(new TypeError('"driver" expected a part of the host that KVM is of, got the ITS driver of another host'));
  expect(() => new KvmVm(new Host(), { driver })).toThrow(new TypeError('"driver" expected a part of the host that the VM is of, got the ITS driver of another host'));
});

it('frames over RAM, with both', () => {
  const host = new Host({ ram: [{ base: 0, size: 0x4000_0000 }] });
  expect(() => new Gic(host, { version: 'gicv3', cpus: 1 })).toThrow(new RangeError('"base" expected a free range, got 0x8000000 size 0x10000, which overlaps RAM at 0x0 size 0x40000000'));
});
