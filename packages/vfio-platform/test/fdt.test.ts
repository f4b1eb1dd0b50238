import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { fc, parameters } from '../../../testing/random.ts';
import { describeDevices, FdtError, FdtNode, parseFdt } from '../src/index.ts';

const data = (name: string) => gunzipSync(readFileSync(new URL(`data/${name}`, import.meta.url)));
const blob = new Uint8Array(data('qemu-virt.dtb.gz'));

/** Nodes and properties as dtc's text has them: `path/property` to its text. */
function properties(dts: string): Map<string, string> {
  const found = new Map<string, string>();
  const path: string[] = [];
  for (const line of dts.split('\n').map((text) => text.trim())) {
    const node = /^(\S+) \{$/.exec(line);
    const property = /^([^\s=]+)(?: = (.*))?;$/.exec(line);
    if (node !== null) path.push(node[1] === '/' ? '' : node[1]!);
    else if (line === '};') path.pop();
    else if (property !== null && path.length > 0) found.set(`${path.join('/')}/${property[1]!}`, property[2] ?? '');
  }
  return found;
}

function asText(bytes: Uint8Array, like: string): string {
  if (like === '') return '';
  if (like.startsWith('"')) return `"${new TextDecoder().decode(bytes).replace(/\0$/, '').replaceAll('\0', '\\0')}"`;
  if (like.startsWith('[')) return `[${[...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join(' ')}]`;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const cells = Array.from({ length: bytes.length / 4 }, (_, i) => `0x${view.getUint32(4 * i).toString(16).padStart(2, '0')}`);
  return `<${cells.join(' ')}>`;
}

describe('a real device tree', () => {
  it('has every node and property that dtc prints, and no other', () => {
    const expected = properties(new TextDecoder().decode(data('qemu-virt.dts.gz')));
    const actual = new Map<string, string>();
    for (const node of parseFdt(blob)) {
      const prefix = node.path === '/' ? '' : node.path;
      for (const [name, bytes] of node.properties) actual.set(`${prefix}/${name}`, asText(bytes, expected.get(`${prefix}/${name}`) ?? 'missing'));
    }
    expect(actual.size).toBeGreaterThan(200);
    expect(Object.fromEntries(actual)).toEqual(Object.fromEntries(expected));
  });

  it('gives devices with their addresses, interrupts and compatible strings', () => {
    const devices = describeDevices(parseFdt(blob));
    const find = (name: string) => devices.find((device) => device.name === name);
    expect(find('9010000.pl031')).toEqual({
      name: '9010000.pl031',
      path: '/pl031@9010000',
      compatible: ['arm,pl031', 'arm,primecell'],
      ranges: [{ start: 0x901_0000, size: 0x1000 }],
      interrupts: [{ intid: 34, trigger: 'level-high' }],
    });
    expect(find('a000200.virtio_mmio')).toMatchObject({ ranges: [{ start: 0xa00_0200, size: 0x200 }], interrupts: [{ intid: 49, trigger: 'edge-rising' }] });
    expect(find('8000000.intc')?.ranges).toEqual([{ start: 0x800_0000, size: 0x1_0000 }, { start: 0x80a_0000, size: 0xf6_0000 }]);
    expect(find('timer')?.interrupts.map(({ intid }) => intid)).toEqual([29, 30, 27, 26]);
    expect(devices.filter(({ compatible }) => compatible.includes('virtio,mmio'))).toHaveLength(32);
  });
});

describe('addresses', () => {
  const cells = (...values: number[]) => {
    const view = new DataView(new ArrayBuffer(4 * values.length));
    values.forEach((value, i) => { view.setUint32(4 * i, value); });
    return new Uint8Array(view.buffer);
  };
  const text = (value: string) => new TextEncoder().encode(`${value}\0`);
  function node(name: string, parent: FdtNode | undefined, properties_: Record<string, Uint8Array>): FdtNode {
    const made = new FdtNode(name, parent);
    parent?.children.push(made);
    for (const [key, value] of Object.entries(properties_)) made.properties.set(key, value);
    return made;
  }

  it('are translated through buses, and a bus that does not map one hides it', () => {
    const root = node('', undefined, { '#address-cells': cells(2), '#size-cells': cells(2) });
    const bus = node('soc', root, { compatible: text('simple-bus'), '#address-cells': cells(1), '#size-cells': cells(1), ranges: cells(0x1000, 1, 0x8000_0000, 0x100) });
    node('a@1010', bus, { compatible: text('a'), reg: cells(0x1010, 0x10, 0x2000, 0x10) });
    // A bus without `ranges`: its addresses are not the CPU's.
    const i2c = node('i2c', root, { compatible: text('simple-bus'), '#address-cells': cells(1), '#size-cells': cells(1) });
    node('eeprom@50', i2c, { compatible: text('e'), reg: cells(0x50, 1) });
    node('off@0', bus, { compatible: text('b'), status: text('disabled') });
    expect(describeDevices(root).map(({ name, ranges }) => [name, ranges])).toEqual([
      ['soc', []],
      ['180000010.a', [{ start: 0x1_8000_0010, size: 0x10 }]],
      ['i2c', []],
      ['eeprom', []],
    ]);
  });

  it('that do not fit are refused by name', () => {
    const root = node('', undefined, { '#address-cells': cells(2), '#size-cells': cells(2) });
    const device = node('x', root, { compatible: text('x'), reg: cells(1, 2, 3) });
    expect(() => describeDevices(root)).toThrow(/\/x: reg: 3 cells/);
    device.properties.set('reg', cells(0xffff_ffff, 0, 0, 1));
    expect(() => describeDevices(root)).toThrow(/beyond 2\^53/);
    device.properties.set('reg', new Uint8Array(3));
    expect(() => describeDevices(root)).toThrow(/3 bytes are not a list of cells/);
    device.properties.set('reg', cells(0, 0, 0, 1));
    device.properties.set('interrupts', cells(7, 1, 4));
    expect(() => describeDevices(root)).toThrow(/neither SPI nor PPI/);
    device.properties.set('interrupts', cells(0, 1));
    expect(() => describeDevices(root)).toThrow(/interrupts: 2 cells/);
  });
});

describe('broken trees', () => {
  it('are refused with one error, whatever is cut or changed', () => {
    fc.assert(
      fc.property(fc.array(fc.record({ at: fc.nat(blob.length - 1), byte: fc.nat(255) }), { minLength: 1, maxLength: 4 }), fc.option(fc.nat(blob.length)), (changes, cut) => {
        const broken = blob.slice(0, cut ?? blob.length);
        for (const { at, byte } of changes) if (at < broken.length) broken[at] = byte;
        try {
          describeDevices(parseFdt(broken));
        } catch (error) {
          expect(error).toBeInstanceOf(FdtError);
        }
      }),
      parameters(100),
    );
  });

  it('say what is wrong', () => {
    expect(() => parseFdt(new Uint8Array(10))).toThrow(/not a flattened device tree/);
    expect(() => parseFdt(blob.subarray(0, 100))).toThrow(/the blob 100/);
    const deep = blob.slice();
    new DataView(deep.buffer).setUint32(24, 99);
    expect(() => parseFdt(deep)).toThrow(/version 99/);
  });
});
