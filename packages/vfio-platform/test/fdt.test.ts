import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { fc, parameters } from '../../../testing/random.ts';
import {
  constant,
  getDeviceFd,
  getDeviceInfo,
  getIrqInfo,
  getRegionInfo,
  Host,
  Process,
  setContainer,
  setIrqs,
  setIrqTriggers,
  SmmuV3Iommu,
  Vfio,
  VFIO_IRQ_SET_ACTION_UNMASK,
  VFIO_SET_IOMMU,
  VFIO_TYPE1v2_IOMMU,
} from '@vsim/vfio-core';
import {
  describeDevices,
  deviceFromTree,
  FdtError,
  FdtNode,
  AmbaBus,
  IrqLine,
  parseFdt,
  PL031,
  Pl031,
  ResetModules,
  VfioAmbaDriver,
} from '../src/index.ts';

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
    expect(find('4010000000.pcie')?.ranges).toEqual([{ start: 0x40_1000_0000, size: 0x1000_0000 }]);
    expect(find('timer')?.interrupts.map(({ intid }) => intid)).toEqual([29, 30, 27, 26]);
    expect(devices.filter(({ compatible }) => compatible.includes('virtio,mmio'))).toHaveLength(32);
  });

  it('gives every device of the root what dtc’s text says, read another way', () => {
    const dts = properties(new TextDecoder().decode(data('qemu-virt.dts.gz')));
    const numbers = (text: string | undefined) => [...(text ?? '').matchAll(/0x([0-9a-f]+)/g)].map((match) => parseInt(match[1]!, 16));
    const devices = describeDevices(parseFdt(blob)).filter(({ path }) => path.split('/').length === 2);
    expect(devices.length).toBeGreaterThan(40);
    for (const { path, ranges, interrupts, compatible } of devices) {
      const reg = numbers(dts.get(`${path}/reg`));
      // Two cells of address, two of size.
      expect([path, ranges]).toEqual([path, Array.from({ length: reg.length / 4 }, (_, i) => ({ start: reg[4 * i]! * 2 ** 32 + reg[4 * i + 1]!, size: reg[4 * i + 2]! * 2 ** 32 + reg[4 * i + 3]! }))]);
      const cells = numbers(dts.get(`${path}/interrupts`));
      const triggers = new Map([[1, 'edge-rising'], [2, 'edge-falling'], [4, 'level-high'], [8, 'level-low']]);
      expect([path, interrupts]).toEqual([path, Array.from({ length: cells.length / 3 }, (_, i) => ({ intid: cells[3 * i + 1]! + (cells[3 * i] === 0 ? 32 : 16), trigger: triggers.get(cells[3 * i + 2]! & 0xf) }))]);
      expect([path, compatible.join('\\0')]).toEqual([path, (dts.get(`${path}/compatible`) ?? '').replaceAll('"', '')]);
    }
  });

  it.each(['linux-5.13', 'linux-6.1'] as const)('has a PL031 that is bound and opened, whose level interrupt comes by an eventfd, masked until it is unmasked, %s', (profile) => {
    const host = new Host({ profile });
    const vfio = new Vfio(host);
    const description = describeDevices(parseFdt(blob)).find(({ compatible }) => compatible.includes('arm,pl031'))!;
    const line = new IrqLine(description.interrupts[0]!.intid, description.interrupts[0]!.trigger);
    const clock = new Pl031(host, line);
    const device = deviceFromTree(host, description, { irq: () => line, hardware: [clock], peripheralId: 0x0004_1031 });
    const bus = new AmbaBus(host);
    bus.announce(device);
    new SmmuV3Iommu(host).addGroup([device]);
    const resets = new ResetModules();
    resets.register('arm,pl031', () => constant(0));
    host.scheduler.call('modprobe', bus.addDriver(new VfioAmbaDriver(vfio, { resets })));
    const root = new Process(host, { name: 'root' });
    root.writeFile(`/sys/bus/amba/devices/${device.name}/driver_override`, 'vfio-amba');
    root.writeFile('/sys/bus/amba/drivers_probe', device.name);
    const [container, group] = [root.open('/dev/vfio/vfio'), root.open('/dev/vfio/0')];
    setContainer(root, group, container);
    root.ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU);
    const fd = getDeviceFd(root, group, device.name);
    expect([getDeviceInfo(root, fd), getIrqInfo(root, fd, 0).flags, getRegionInfo(root, fd, 0).size]).toEqual([{ flags: 9, numRegions: 1, numIrqs: 1 }, 7, 0x1000n]);
    const eventfd = root.eventfd();
    setIrqTriggers(root, fd, 0, 0, [eventfd]);
    const registers = root.mmap(fd, 0x1000);
    const alarmIn = (seconds: number) => {
      registers.write(PL031.IMSC, 4, 1);
      registers.write(PL031.MR, 4, registers.read(PL031.DR, 4) + seconds);
      host.scheduler.advance(seconds * 1_000_000_000);
      return root.readEventfd(eventfd);
    };
    expect(alarmIn(2)).toBe(1n);
    // It is acknowledged and rings again: the kernel has masked the line until user space unmasks it.
    registers.write(PL031.ICR, 4, 1);
    expect([alarmIn(3), line.asserted]).toEqual([0n, true]);
    setIrqs(root, fd, 0, VFIO_IRQ_SET_ACTION_UNMASK, 0, 1);
    expect(root.readEventfd(eventfd)).toBe(1n);
    registers.write(PL031.ICR, 4, 1);
    setIrqs(root, fd, 0, VFIO_IRQ_SET_ACTION_UNMASK, 0, 1);
    expect([root.readEventfd(eventfd), line.asserted, alarmIn(1)]).toEqual([0n, false, 1n]);
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
      ['i2c:eeprom@50', []],
    ]);
  });

  it('name a device by the nearest that the CPU knows, and what is below it by whole names; GICs and fixed clocks are none [platform 16]', () => {
    const root = node('', undefined, { '#address-cells': cells(1), '#size-cells': cells(1) });
    const none = node('platform-bus@c000000', root, { compatible: text('simple-bus'), '#address-cells': cells(1), '#size-cells': cells(1) });
    node('leaf@3', none, { compatible: text('x') });
    const known = node('soc@d000000', root, { compatible: text('simple-bus'), reg: cells(0xd00_0000, 0x1000), '#address-cells': cells(1), '#size-cells': cells(1) });
    node('leaf@4', node('inner', known, { compatible: text('simple-bus') }), { compatible: text('x') });
    // Its first register is nowhere: the second does not name it.
    const half = node('half', root, { compatible: text('simple-bus'), '#address-cells': cells(1), '#size-cells': cells(1), ranges: cells(0x1000, 0xe000_0000, 0x1000) });
    node('two@9', half, { compatible: text('x'), reg: cells(9, 1, 0x1000, 1) });
    node('prime@f000000', root, { compatible: text('arm,primecell\0simple-bus'), reg: cells(0xf00_0000, 0x1000) }).children.push(node('below', undefined, { compatible: text('x') }));
    for (const [name, compatible] of [['intc', 'arm,gic-v3'], ['gic', 'arm,cortex-a15-gic'], ['apb-pclk', 'fixed-clock'], ['div', 'fixed-factor-clock'], ['opp', 'operating-points-v2']] as const) node(name, root, { compatible: text(compatible) });
    node('pl061', root, { compatible: text('arm,pl061'), 'interrupt-controller': cells() });
    expect(describeDevices(root).map(({ name }) => name)).toEqual([
      'platform-bus@c000000', 'platform-bus@c000000:leaf@3', 'd000000.soc', 'd000000.soc:inner', 'd000000.soc:inner:leaf@4', 'half', 'half:two@9', 'f000000.prime', 'pl061',
    ]);
  });

  it('that do not fit are refused by name', () => {
    const root = node('', undefined, { '#address-cells': cells(2), '#size-cells': cells(2) });
    node('intc', root, { phandle: cells(1), 'interrupt-controller': cells(), '#interrupt-cells': cells(3) });
    const device = node('x', root, { compatible: text('x'), reg: cells(1, 2, 3), 'interrupt-parent': cells(1) });
    expect(() => describeDevices(root)).toThrow(/\/x: reg: 3 cells/);
    device.properties.set('reg', cells(0xffff_ffff, 0, 0, 1));
    expect(() => describeDevices(root)).toThrow(/beyond 2\^53/);
    device.properties.set('reg', new Uint8Array(3));
    expect(() => describeDevices(root)).toThrow(/3 bytes are not a list of cells/);
    device.properties.set('reg', cells(0, 0, 0, 1));
    device.properties.set('interrupts', cells(0, 1));
    expect(() => describeDevices(root)).toThrow(/interrupts: 2 cells/);
  });
});

describe('broken trees', () => {
  it('are refused where interrupt-parents lead in a circle; a parent that is not there gives no interrupts', () => {
    const cell = (value: number) => Uint8Array.of(0, 0, 0, value);
    const tree = (parentOfA: number, parentOfB: number) => {
      const root = new FdtNode('', undefined);
      root.properties.set('#address-cells', cell(1)).set('#size-cells', cell(1));
      for (const [name, phandle, parent] of [['a', 1, parentOfA], ['b', 2, parentOfB]] as const) {
        const node = new FdtNode(name, root);
        root.children.push(node);
        node.properties.set('compatible', new TextEncoder().encode(`${name}\0`)).set('phandle', cell(phandle)).set('interrupt-parent', cell(parent));
        node.properties.set('interrupts', new Uint8Array([0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 4]));
      }
      return () => describeDevices(root);
    };
    // Each other's, their own, one way.
    for (const [a, b] of [[2, 1], [1, 2], [2, 2]] as const) expect(tree(a, b)).toThrow(/interrupt-parent leads in a circle/);
    expect(tree(9, 9)().map(({ interrupts }) => interrupts)).toEqual([[], []]);
  });

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
