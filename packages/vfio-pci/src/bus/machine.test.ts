/** A machine from a description, and its sysfs. */
import { ApicMsi, Host, Process, VtdIommu } from '@vsim/vfio-core';
import { describe, expect, it } from 'vitest';
import { buildConfig } from '../pci/config-builder.ts';
import { PciFunction } from '../pci/pci-function.ts';
import { importPciMachine, type PciMachineDescription, type RecordedDevice } from './machine.ts';
import { NativeDriver } from './native-driver.ts';
import { pciId } from './pci-driver.ts';

const NONE = ['0x0', '0x0', '0x0'];

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

function recorded(config: Uint8Array, first: readonly string[] = NONE, group = '1'): RecordedDevice {
  return { config: hex(config), resource: [first, NONE, NONE, NONE, NONE, NONE, NONE], iommu_group: group, irq: 11 };
}

/** A root port with an endpoint below it. */
function description(): PciMachineDescription {
  const port = buildConfig({ vendor: 0x1b36, device: 0xc, class: 0x06_0400, express: true });
  port[0x0e] = 1;
  port.set([0, 1, 1], 0x18);
  const nic = buildConfig({ vendor: 0x8086, device: 0x10d3, class: 0x02_0000, express: true, interruptPin: 1 });
  nic.set([0, 0, 0x10, 0xfe], 0x10);
  return {
    devices: {
      '0000:00:01.0': recorded(port),
      '0000:01:00.0': recorded(nic, ['0xfe100000', '0xfe10ffff', '0x40200'], '2'),
    },
  };
}

/** A bridge whose bus below it is `below`. */
function bridgeTo(below: number): RecordedDevice {
  const config = buildConfig({ vendor: 0x1b36, device: 0xe, class: 0x06_0400 });
  config[0x0e] = 1;
  config.set([0, below, 0xff], 0x18);
  return recorded(config);
}

function machine(text: PciMachineDescription = description()) {
  const host = new Host();
  const bus = importPciMachine(host, text, { msi: new ApicMsi(host), iommu: new VtdIommu(host) });
  return { host, bus, process: new Process(host) };
}

describe('importPciMachine', () => {
  it('has devices where they were, with their groups', () => {
    const { bus, process } = machine();
    const nic = bus.device('0000:01:00.0');
    expect(nic?.sysfs).toBe('/sys/devices/pci0000:00/0000:00:01.0/0000:01:00.0');
    expect(nic === undefined ? undefined : bus.bridgeOf(nic)?.name).toBe('0000:00:01.0');
    expect(process.readFile('/sys/bus/pci/devices/0000:01:00.0/vendor')).toBe('0x8086\n');
    expect(process.readFile('/sys/bus/pci/devices/0000:01:00.0/class')).toBe('0x020000\n');
    expect(process.readFile('/sys/bus/pci/devices/0000:01:00.0/resource').split('\n')[0]).toBe('0xfe100000 0xfe10ffff 0x40200');
    expect(process.readlink('/sys/bus/pci/devices/0000:01:00.0/iommu_group')).toBe('/sys/kernel/iommu_groups/2');
  });

  it('keeps what is written to registers that it does not know', () => {
    const { host, bus } = machine();
    bus.function('0000:01:00.0')?.configWrite(4, 2, 2);
    host.memory.write32(0xfe10_0ffe, 0x1234_5678);
    expect(host.memory.read32(0xfe10_0ffe)).toBe(0x1234_5678);
    expect(host.memory.read16(0xfe10_1000)).toBe(0x1234);
  });

  it('takes models of the caller', () => {
    const host = new Host();
    class Model extends PciFunction {}
    const bus = importPciMachine(host, description(), { msi: new ApicMsi(host), models: { '8086:10d3': (h, init) => new Model(h, init) } });
    expect(bus.function('0000:01:00.0')).toBeInstanceOf(Model);
  });

  it('refuses a description that is none', () => {
    const text = { devices: { '0000:00:01.0': { ...recorded(new Uint8Array(256)), config: '12x4' } } };
    expect(() => machine(text)).toThrow('"config of 0000:00:01.0" expected an even number of hex digits, got 12x4');
  });
});

describe('sysfs', () => {
  it('removes a device and finds it again, with its override forgotten', () => {
    const { bus, process } = machine();
    process.writeFile('/sys/bus/pci/devices/0000:01:00.0/driver_override', 'nothing');
    process.writeFile('/sys/bus/pci/devices/0000:00:01.0/remove', '1');
    expect(bus.devices).toEqual([]);
    expect(() => process.readdir('/sys/kernel/iommu_groups/2')).toThrow('ENOENT');
    process.writeFile('/sys/bus/pci/rescan', '1');
    expect(bus.devices.map(({ name }) => name)).toEqual(['0000:00:01.0', '0000:01:00.0']);
    expect(process.readFile('/sys/bus/pci/devices/0000:01:00.0/driver_override')).toBe('(null)\n');
    expect(bus.function('0000:01:00.0')?.iommuGroup?.id).toBe(2);
  });

  it('resets a function, and knows how', () => {
    const { process } = machine();
    expect(process.readFile('/sys/bus/pci/devices/0000:01:00.0/reset_method')).toBe('pm bus\n');
    expect(process.writeFile('/sys/bus/pci/devices/0000:01:00.0/reset', '1')).toBe(1);
    expect(() => process.writeFile('/sys/bus/pci/devices/0000:01:00.0/reset', '2')).toThrow('EINVAL');
    expect(() => process.readFile('/sys/bus/pci/devices/0000:00:01.0/reset')).toThrow('EACCES');
  });

  it('writes the configuration space', () => {
    const { process } = machine();
    process.writeFile('/sys/bus/pci/devices/0000:01:00.0/config', Uint8Array.of(0xff, 0xff, 0xff, 0xff, 7, 0));
    const content = process.host.scheduler.call('read', process.sys.readFile('/sys/bus/pci/devices/0000:01:00.0/config'));
    expect(content instanceof Uint8Array ? [...content.subarray(0, 6)] : content).toEqual([0x86, 0x80, 0xd3, 0x10, 7, 0]);
  });

  it('new_id binds what it matches, remove_id leaves it bound [vfio 3.2/2]', () => {
    const { host, bus, process } = machine();
    host.scheduler.call('modprobe', bus.addDriver(new NativeDriver('nic')));
    const folder = '/sys/bus/pci/drivers/nic';
    expect(() => process.writeFile(`${folder}/new_id`, '8086')).toThrow('EINVAL');
    process.writeFile(`${folder}/new_id`, '8086 10d3');
    expect(bus.device('0000:01:00.0')?.driverName).toBe('nic');
    expect(bus.function('0000:01:00.0')?.isMaster).toBe(true);
    expect(() => process.writeFile(`${folder}/new_id`, '8086 10d3')).toThrow('EEXIST');
    process.writeFile(`${folder}/remove_id`, '8086 10d3');
    expect(() => process.writeFile(`${folder}/remove_id`, '8086 10d3')).toThrow('ENODEV');
    expect(bus.device('0000:01:00.0')?.driverName).toBe('nic');
  });

  it('binds by class', () => {
    const { host, bus } = machine();
    host.scheduler.call('modprobe', bus.addDriver(new NativeDriver('net', { ids: [pciId(0xffff_ffff, 0xffff_ffff, 0x02_0000, 0xff_0000)] })));
    expect(bus.devices.map(({ driverName }) => driverName)).toEqual([undefined, 'net']);
  });
});

describe('what is below a bridge', () => {
  it('is each function once, and not the bridge, where registers lead in a circle', () => {
    const { bus } = machine({ devices: { '0000:01:00.0': bridgeTo(2), '0000:02:00.0': bridgeTo(1), '0000:02:01.0': bridgeTo(2) } });
    const below = (address: string): readonly string[] => bus.below(bus.device(address)!).map(({ name }) => name);
    expect(below('0000:01:00.0')).toEqual(['0000:02:00.0', '0000:02:01.0']);
    expect(below('0000:02:01.0')).toEqual(['0000:02:00.0', '0000:01:00.0']);
  });
});
