import { describe, expect, it } from 'vitest';
import { MachineSyntaxError, parsePciMachine, recordedDevice, type Json } from './machine-json.ts';

const CONFIG = '00'.repeat(256);
const D = '0000:00:02.0';

function machine(fields: Readonly<Record<string, Json>>, address = D): string {
  return JSON.stringify({ devices: { [address]: { config: CONFIG, resource: [], irq: 0, ...fields } } });
}

describe('host.json', () => {
  it('has a device for each address; missing fields and null are nothing', () => {
    const told = { resource: [['0xf0000000', '0xf0000fff', '0x40200']], irq: 11, driver: 'nvme', iommu_group: '7', vendor: '0x8086', device: 0x10d3, rom_head: '55aa' };
    expect(parsePciMachine(machine(told)).devices[D]).toEqual({ ...told, config: CONFIG, vendor: 0x8086, physfn: undefined });
    expect(recordedDevice({ config: CONFIG, driver: null }, D)).toEqual({
      config: CONFIG, resource: [], iommu_group: null, irq: 0, driver: undefined, vendor: undefined, device: undefined, rom_head: undefined, physfn: undefined,
    });
  });

  it.each<[string, string, string]>([
    ['no JSON', '{"devices"', 'not JSON'],
    ['no object', '[]', 'expected an object with "devices"'],
    ['no devices', '{}', 'expected an object with "devices"'],
    ['devices in a list', '{"devices":[]}', 'expected an object with "devices"'],
    ['another address', machine({}, 'eth0'), 'expected addresses, as 0000:00:02.0, got eth0'],
    ['what every object has', '{"devices":{"__proto__":{}}}', 'got __proto__'],
    ['a device that is none', `{"devices":{"${D}":[]}}`, `${D}: expected an object, got []`],
    ['no config', `{"devices":{"${D}":{}}}`, `${D}: config: expected 64, 128, 256, 4096 bytes, got 0`],
    ['half a byte', machine({ config: '0' }), 'config: expected an even number of hex digits, got 0'],
    ['an irq below nothing', machine({ irq: -1 }), 'irq: expected a number up to 2147483647, got -1'],
    ['an irq in words', machine({ irq: 'eleven' }), 'irq: expected a number up to 2147483647, got eleven'],
    ['a vendor of 17 bits', machine({ vendor: 0x1_0000 }), 'vendor: expected a number up to 65535, got 65536'],
    ['a driver that is a number', machine({ driver: 7 }), 'driver: expected a text, got 7'],
    ['resources that are none', machine({ resource: 'x' }), 'resource: expected rows of start, end and flags, as 0x0, got x'],
    ['a row of two', machine({ resource: [['0x1', '0x2']] }), 'resource: expected rows of start, end and flags, as 0x0, got ["0x1","0x2"]'],
    ['a physfn that is not there', machine({ physfn: '0000:00:09.0' }), `${D}: its physfn 0000:00:09.0 is no physical function here`],
    ['a physfn that is itself', machine({ physfn: D }), `${D}: its physfn ${D} is no physical function here`],
    ['a physfn that every object has', machine({ physfn: '__proto__' }), `${D}: its physfn __proto__ is no physical function here`],
  ])('is refused with %s', (_name, text, what) => {
    expect(() => parsePciMachine(text)).toThrow(MachineSyntaxError);
    expect(() => parsePciMachine(text)).toThrow(what);
  });
});
