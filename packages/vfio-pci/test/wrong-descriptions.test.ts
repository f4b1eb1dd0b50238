/** What a host's author may get wrong: each is refused as it is said, with what was expected and what came. */
import { describe, expect, it } from 'vitest';
import { ApicMsi, Host, Process, Vfio, VtdIommu } from '@vsim/vfio-core';
import { buildConfig, PciBus, PciFunction, VfioPciDriver, type BarInit, type ConfigInit } from '../src/index.ts';

const BARS: readonly BarInit[] = [{ index: 0, size: 0x1000 }];
const ADDRESS = '0000:00:01.0';
const config = (init: Partial<ConfigInit> = {}): Uint8Array => buildConfig({ vendor: 1, device: 2, bars: BARS, ...init });
const fn = (host: Host, bars: readonly BarInit[] = BARS): PciFunction => new PciFunction(host, { address: ADDRESS, config: config({ bars }), bars });
const busOf = (host: Host): PciBus => new PciBus(host, { msi: new ApicMsi(host), iommu: new VtdIommu(host) });

describe('buildConfig()', () => {
  it.each<[string, Partial<ConfigInit>, string]>([
    ['MSI-X in a BAR that is not there', { msix: { vectors: 1, bar: 3 } }, '"msix.bar" expected one of the BARs 0, got 3'],
    ['MSI-X without a BAR', { bars: [], msix: { vectors: 1, bar: 0 } }, '"msix.bar" expected one of the BARs (none), got 0'],
    ['MSI-X in I/O ports', { bars: [{ index: 0, kind: 'io', size: 0x100 }], msix: { vectors: 1, bar: 0, pbaOffset: 0x80 } }, '"msix.bar" expected a memory BAR, got BAR 0, which is I/O ports'],
    ['an MSI-X table past the end of its BAR', { msix: { vectors: 2048, bar: 0 } }, '"msix.tableOffset" expected a multiple of 8 with 32768 bytes behind it in BAR 0 of 4096 bytes, got 0'],
    ['a PBA past the end of its BAR', { msix: { vectors: 1, bar: 0, pbaOffset: 0x1000 } }, '"msix.pbaOffset" expected a multiple of 8 with 8 bytes behind it in BAR 0 of 4096 bytes, got 4096'],
    ['a PBA over the table', { msix: { vectors: 16, bar: 0, pbaOffset: 0x80 } }, '"msix.pbaOffset" expected a place beside the table of 256 bytes at 0, got 128'],
    ['a table at an odd place', { msix: { vectors: 1, bar: 0, tableOffset: 3, pbaOffset: 0x800 } }, '"msix.tableOffset" expected a multiple of 8 with 16 bytes behind it in BAR 0 of 4096 bytes, got 3'],
    ['FLR without Express', { flr: true }, '"flr" expected "express", which has it, got a conventional function'],
    ['AER without Express', { aer: true }, '"aer" expected "express", which has it, got a conventional function'],
    ['ACS without Express', { acs: { capability: 1, control: 1 } }, '"acs" expected "express", which has it, got a conventional function'],
    ['SR-IOV without Express', { sriov: { totalVfs: 1, vfDevice: 3 } }, '"sriov" expected "express", which has it, got a conventional function'],
    ['a vendor of 17 bits', { vendor: 0x1_0000 }, '"vendor" expected 16 bits, got 65536'],
    ['a device below zero', { device: -1 }, '"device" expected 16 bits, got -1'],
    ['half a device', { device: 1.5 }, '"device" expected 16 bits, got 1.5'],
    ['a subsystem vendor of 17 bits', { subsystemVendor: 0x1_0000 }, '"subsystemVendor" expected 16 bits, got 65536'],
    ['a subsystem of 17 bits', { subsystem: 0x1_0000 }, '"subsystem" expected 16 bits, got 65536'],
    ['a class of 25 bits', { class: 0x100_0000 }, '"class" expected 24 bits, got 16777216'],
    ['a revision of 9 bits', { revision: 256 }, '"revision" expected 8 bits, got 256'],
    ['a fifth pin', { interruptPin: 5 }, '"interruptPin" expected 0, or 1 to 4 for INTA to INTD, got 5'],
    ['a VF device of 17 bits', { express: true, sriov: { totalVfs: 1, vfDevice: 0x1_0000 } }, '"sriov.vfDevice" expected 16 bits, got 65536'],
    ['a VF stride of 17 bits', { express: true, sriov: { totalVfs: 1, vfDevice: 1, stride: 0x1_0000 } }, '"sriov.stride" expected 16 bits, got 65536'],
    ['ACS of 17 bits', { express: true, acs: { capability: 0x1_0000, control: 0 } }, '"acs.capability" expected 16 bits, got 65536'],
    ['a BAR twice', { bars: [...BARS, ...BARS] }, '"bars" expected each BAR once, got BAR 0 twice'],
    ['a BAR in the second half of another', { bars: [{ index: 0, kind: 'mem64', size: 0x1000 }, { index: 1, size: 0x1000 }] }, '"bars" expected nothing at 1, the second register of the 64-bit BAR 0, got BAR 1'],
    ['a 64-bit BAR at the end', { bars: [{ index: 5, kind: 'mem64', size: 0x1000 }] }, '"bars" expected a 64-bit BAR below 5, which takes two registers, got BAR 5'],
  ])('refuses %s', (_, init, message) => {
    expect(() => config(init)).toThrow(new RangeError(message));
  });

  it('takes the last place of each', () => {
    expect(config({ vendor: 0xffff, class: 0xff_ffff, revision: 0xff, interruptPin: 4, msix: { vectors: 128, bar: 0, pbaOffset: 0xff0 } })).toHaveLength(256);
    expect(config({ bars: [{ index: 4, kind: 'mem64', size: 0x1000 }] })).toHaveLength(256);
  });
});

describe('a function', () => {
  it.each<[string, BarInit, BarInit, string]>([
    ['of 64 bits', { index: 0, kind: 'mem64', size: 0x1000 }, { index: 0, size: 0x1000 }, 'memory of 64 bits, got memory of 32 bits'],
    ['prefetchable', { index: 0, prefetchable: true, size: 0x1000 }, { index: 0, size: 0x1000 }, 'prefetchable memory of 32 bits, got memory of 32 bits'],
    ['of I/O ports', { index: 0, kind: 'io', size: 0x100 }, { index: 0, size: 0x1000 }, 'I/O ports, got memory of 32 bits'],
    ['of memory', { index: 0, size: 0x100 }, { index: 0, kind: 'io', size: 0x100 }, 'memory of 32 bits, got I/O ports'],
  ])('is refused with another BAR than its register, which is %s', (_, told, given, message) => {
    const init = { address: ADDRESS, config: config({ bars: [told] }), bars: [given] };
    expect(() => new PciFunction(new Host(), init)).toThrow(new RangeError(`"bars" expected BAR 0 as its register says, ${message}`));
  });

  it('is refused with a BAR twice', () => {
    expect(() => new PciFunction(new Host(), { address: ADDRESS, config: config(), bars: [...BARS, ...BARS] })).toThrow(new RangeError('"bars" expected each BAR once, got BAR 0 twice'));
  });

  it('is refused with VFs, or VPD, that its configuration has no capability for', () => {
    const init = { address: ADDRESS, config: config(), bars: BARS };
    const virtualFunctions = { bars: [], config: config() };
    expect(() => new PciFunction(new Host(), { ...init, virtualFunctions })).toThrow(new RangeError('"virtualFunctions" expected a configuration with the SR-IOV capability, got that of 0000:00:01.0 without'));
    expect(() => new PciFunction(new Host(), { ...init, vpd: new Uint8Array(4) })).toThrow(new RangeError('"vpd" expected a configuration with the VPD capability, got that of 0000:00:01.0 without'));
  });
});

describe('a bus', () => {
  it('is refused where its window is over RAM, with both', () => {
    const host = new Host({ ram: [{ base: 0, size: 0xc000_0000 }] });
    const init = { msi: new ApicMsi(host), window: { base: 0xb000_0000, size: 0x1000_0000 } };
    expect(() => new PciBus(host, init)).toThrow(new RangeError('"window" expected addresses without RAM, got 0xb0000000 size 0x10000000, over the RAM at 0x0 size 0xc0000000'));
  });

  it('names what lies where a BAR is to be', () => {
    const host = new Host();
    expect(() => busOf(host).plug(fn(host, [{ index: 0, size: 0x1000, address: 0x1_0000_0000 }]))).toThrow(
      new RangeError('"base" expected a free range, got 0x100000000 size 0x1000, which overlaps RAM at 0x100000000 size 0x100000000'),
    );
  });

  it('takes no part of another host', () => {
    const [here, there] = [new Host(), new Host()];
    const refused = (parameter: string, part: string) => new TypeError(`"${parameter}" expected a part of the host that the PCI bus is of, got ${part} of another host`);
    expect(() => new PciBus(here, { msi: new ApicMsi(there) })).toThrow(refused('msi', 'an MSI controller'));
    expect(() => new PciBus(here, { msi: new ApicMsi(here), iommu: new VtdIommu(there) })).toThrow(refused('iommu', 'dmar0'));
    const bus = new PciBus(here, { msi: { isolated: false, allocate: () => [], release: () => undefined } });
    expect(() => bus.plug(fn(there))).toThrow(refused('fn', ADDRESS));
    expect(() => bus.addDriver(new VfioPciDriver(new Vfio(there)))).toThrow(new TypeError('"driver" expected a part of the host that the bus pci is of, got vfio-pci of another host'));
  });

  it('tells of a driver that nobody ran, as somebody begins to use the host', () => {
    const host = new Host();
    const added = busOf(host).addDriver(new VfioPciDriver(new Vfio(host)));
    expect(() => new Process(host)).toThrow(new TypeError('"bus.addDriver(vfio-pci)" expected to be run, as host.scheduler.call(\'boot\', bus.addDriver(vfio-pci)), got a generator that nobody ran'));
    host.scheduler.call('modprobe vfio-pci', added);
    expect(() => new Process(host)).not.toThrow();
  });

  it('does not run on the scheduler of another host', () => {
    const host = new Host();
    const added = busOf(host).addDriver(new VfioPciDriver(new Vfio(host)));
    expect(() => new Host().scheduler.call('modprobe vfio-pci', added)).toThrow(new TypeError('"bus.addDriver(vfio-pci)" expected to be run by the scheduler of its own host, got another host\'s'));
  });
});
