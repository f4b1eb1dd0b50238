/** Regions: what GET_REGION_INFO says of them, BARs as registers, and accesses to them. Catalogue: vfio 3.3, 3.7. */
import {
  EINVAL,
  EIO,
  ENOMEM,
  VFIO_PCI_CONFIG_REGION_INDEX,
  VFIO_PCI_ROM_REGION_INDEX,
  VFIO_PCI_VGA_REGION_INDEX,
  getDeviceInfo,
  getIrqInfo,
  getRegionInfo,
  type Host,
  type ProfileName,
} from '@vsim/vfio-core';
import { describe, expect, it } from 'vitest';
import { PciFunction, REGION_SPAN, buildConfig, type BarInit } from '../src/index.ts';
import { NAME, configAccess, openLayout } from './config-host.ts';
import { CONFIG, bind, eduHost, open } from './edu-host.ts';

const ROM: number = VFIO_PCI_ROM_REGION_INDEX * REGION_SPAN;
const VGA: number = VFIO_PCI_VGA_REGION_INDEX * REGION_SPAN;

/** Two images of 512 and 1024 bytes; the second says that it is the last. */
function romImage(): Uint8Array {
  const image = new Uint8Array(1536);
  for (const [at, sectors, last] of [[0, 1, 0], [512, 2, 0x80]] as const) {
    image.set([0x55, 0xaa, sectors], at);
    image[at + 0x18] = 0x1c;
    image.set([0x50, 0x43, 0x49, 0x52], at + 0x1c);
    image[at + 0x1c + 0x10] = sectors;
    image[at + 0x1c + 0x15] = last;
  }
  image.fill(0x77, 0x100, 0x110);
  return image;
}

/** Memory, ports and a ROM; keeps the accesses that reach it. */
class Ports extends PciFunction {
  readonly seen: string[] = [];
  readonly #rom: Uint8Array;

  constructor(host: Host, bars: readonly BarInit[], rom: Uint8Array, vga = false) {
    const config = buildConfig({ vendor: 0x1d55, device: 9, class: vga ? 0x03_0000 : 0xff_0000, bars, express: true });
    super(host, { address: NAME, config, bars });
    this.#rom = rom;
  }

  protected override barRead(bar: number, offset: number, width: number): number {
    this.seen.push(`r${bar}:${offset.toString(16)}/${width}`);
    return 0;
  }

  protected override barWrite(bar: number, offset: number, width: number): void {
    this.seen.push(`w${bar}:${offset.toString(16)}/${width}`);
  }

  protected override romRead(offset: number): number {
    return this.#rom[offset] ?? 0x11;
  }
}

const BARS: readonly BarInit[] = [
  { index: 0, size: 0x1000 },
  { index: 1, size: 0x20, kind: 'io' },
  { index: 2, size: 0x2_0000, kind: 'mem64', prefetchable: true },
  { index: 6, size: 0x1000 },
];

function openPorts(init: { readonly bars?: readonly BarInit[]; readonly rom?: Uint8Array; readonly vga?: boolean; readonly profile?: ProfileName } = {}) {
  const made = eduHost({ profile: init.profile });
  const fn = new Ports(made.host, init.bars ?? BARS, init.rom ?? romImage(), init.vga);
  made.bus.plug(fn, { group: 5 });
  bind(made.process, NAME);
  const opened = open(made.process, NAME, 5);
  return { ...made, ...opened, fn, ...configAccess(made.process, opened.device) };
}

describe('GET_REGION_INFO', () => {
  it('of the ROM: its BAR, or nothing where there is no image to map [vfio 3.3/2]', () => {
    const { process, device } = openPorts();
    expect(getRegionInfo(process, device, VFIO_PCI_ROM_REGION_INDEX)).toMatchObject({ size: 0x1000n, flags: 1, offset: BigInt(ROM) });
    const blank = openPorts({ rom: new Uint8Array(0x1000) });
    expect(getRegionInfo(blank.process, blank.device, VFIO_PCI_ROM_REGION_INDEX)).toMatchObject({ size: 0n, flags: 0 });
    expect(blank.process.tryPread(blank.device, new Uint8Array(4), ROM)).toBe(-ENOMEM);
    const none = openPorts({ bars: [] });
    expect(getRegionInfo(none.process, none.device, VFIO_PCI_ROM_REGION_INDEX)).toMatchObject({ size: 0n, flags: 0, offset: BigInt(ROM) });
    const shadow = openPorts({ bars: [{ index: 6, size: 0x2_0000, address: 0xc_0000, shadow: true }] });
    expect(getRegionInfo(shadow.process, shadow.device, VFIO_PCI_ROM_REGION_INDEX)).toMatchObject({ size: 0x2_0000n, flags: 1 });
  });

  it('of configuration space: 256 or 4096 bytes [vfio 3.3/3]', () => {
    const { process, device } = openPorts();
    expect(getRegionInfo(process, device, VFIO_PCI_CONFIG_REGION_INDEX)).toMatchObject({ size: 4096n, flags: 3, offset: BigInt(CONFIG) });
    const small = openLayout({});
    expect(getRegionInfo(small.process, small.device, VFIO_PCI_CONFIG_REGION_INDEX)).toMatchObject({ size: 256n, flags: 3 });
  });

  it('of VGA: the legacy ranges of a display, EINVAL for another device [vfio 3.3/4]', () => {
    const { process, device } = openPorts({ vga: true });
    expect(getRegionInfo(process, device, VFIO_PCI_VGA_REGION_INDEX)).toMatchObject({ size: 0xc_0000n, flags: 3, offset: BigInt(VGA) });
    const other = openPorts();
    expect(() => getRegionInfo(other.process, other.device, VFIO_PCI_VGA_REGION_INDEX)).toThrow('EINVAL');
    expect(() => getRegionInfo(other.process, other.device, 9)).toThrow('EINVAL');
  });
});

describe('GET_IRQ_INFO', () => {
  it.each([
    [0x00, 1],
    [0x06, 8],
    [0x0a, 32],
  ])('of MSI with control %i: %i vectors, not to be resized [vfio 3.3/7]', (control, count) => {
    const { process, device } = openLayout({ structures: [[0x05, 0x40, 0x80 | control]] });
    expect(getIrqInfo(process, device, 1)).toMatchObject({ flags: 9, count });
    const none = openLayout({});
    expect(getIrqInfo(none.process, none.device, 1)).toMatchObject({ flags: 9, count: 0 });
  });

  it('of errors: Express devices alone; of requests: every one [vfio 3.3/9] [vfio 3.3/10]', () => {
    const express = openPorts();
    expect(getIrqInfo(express.process, express.device, 3)).toMatchObject({ flags: 9, count: 1 });
    expect(getIrqInfo(express.process, express.device, 4)).toMatchObject({ flags: 9, count: 1 });
    const { process, device } = openLayout({});
    expect(() => getIrqInfo(process, device, 3)).toThrow('EINVAL');
    expect(getIrqInfo(process, device, 4)).toMatchObject({ flags: 9, count: 1 });
    expect(() => getIrqInfo(process, device, 5)).toThrow('EINVAL');
    expect(getDeviceInfo(process, device)).toMatchObject({ numIrqs: 5, numRegions: 9 });
  });
});

describe('BARs as registers', () => {
  it('show their size after a write, with their type; what is nowhere shows 0 [vfio 3.7/1]', () => {
    const { get, put, process, device, fn } = openPorts();
    const real = [0x10, 0x14, 0x18, 0x1c, 0x30].map((at) => fn.config.read(at, 4));
    for (const at of [0x10, 0x14, 0x18, 0x1c, 0x20, 0x24, 0x30]) put(at, 4, 0xffff_ffff);
    expect([0x10, 0x14, 0x18, 0x1c, 0x20, 0x24, 0x30].map((at) => get(at, 4))).toEqual([0xffff_f000, 0xffff_ffe1, 0xfffe_000c, 0xffff_ffff, 0, 0, 0xffff_f001]);
    put(0x10, 4, 0x1234_5678);
    expect(get(0x10, 4)).toBe(0x1234_5000);
    expect([0x10, 0x14, 0x18, 0x1c, 0x30].map((at) => fn.config.read(at, 4))).toEqual(real);
    // A reset leaves them, the last close takes them.
    process.ioctl(device, 0x3b6f);
    expect(get(0x10, 4)).toBe(0x1234_5000);
  });

  it('of more than 4 GiB have their mask in the second register; a device without address is unimplemented [vfio 3.7/1]', () => {
    const { get, put } = openPorts({ bars: [{ index: 0, size: 0x2_0000_0000, kind: 'mem64', address: 0x10_0000_0000 }] });
    put(0x10, 4, 0xffff_ffff);
    put(0x14, 4, 0xffff_ffff);
    expect([get(0x10, 4), get(0x14, 4)]).toEqual([0x0000_0004, 0xffff_fffe]);
    const nowhere = openPorts();
    const bar = nowhere.fn.bar(0);
    if (bar === undefined) throw new Error('no BAR');
    bar.address = 0;
    nowhere.put(0x10, 4, 0xffff_ffff);
    expect(nowhere.get(0x10, 4)).toBe(0);
  });

  it.each(['memory', 'ports', 'a BAR'] as const)('a reset behind the user\'s back that cost %s is mended before COMMAND is written [vfio 3.7/2]', (lost) => {
    const { put, fn } = openPorts();
    put(0x04, 2, 3);
    const bars = [0x10, 0x14, 0x18, 0x1c, 0x30].map((at) => fn.config.read(at, 4));
    const wipe = (): void => {
      for (const [at, type] of [[0x10, 0], [0x14, 1], [0x18, 0xc], [0x1c, 0], [0x30, 0]] as const) fn.config.set(at, 4, type);
    };
    wipe();
    if (lost === 'memory') fn.config.set(0x04, 2, 1);
    if (lost === 'ports') fn.config.set(0x04, 2, 2);
    put(0x04, 2, 3);
    expect([0x10, 0x14, 0x18, 0x1c, 0x30].map((at) => fn.config.read(at, 4))).toEqual(bars);
    expect(fn.command & 3).toBe(3);
  });
});

describe('accesses to BARs', () => {
  it('are cut at the end and into aligned pieces; beyond it and without a BAR EINVAL [vfio 3.7/3]', () => {
    const { process, device, put, fn } = openPorts();
    put(0x04, 2, 3);
    const at = (bar: number, offset: number): number => bar * REGION_SPAN + offset;
    expect(process.tryPread(device, new Uint8Array(4), at(3, 0))).toBe(-EINVAL);
    expect(process.tryPread(device, new Uint8Array(4), at(0, 0x1000))).toBe(-EINVAL);
    expect(process.tryPwrite(device, new Uint8Array(4), at(5, 0))).toBe(-EINVAL);
    fn.seen.length = 0;
    expect(process.tryPread(device, new Uint8Array(8), at(0, 0xffd))).toBe(3);
    expect(process.tryPwrite(device, new Uint8Array(8), at(0, 0x10))).toBe(8);
    expect(process.tryPread(device, new Uint8Array(5), at(1, 1))).toBe(5);
    expect(fn.seen).toEqual(['r0:ffd/1', 'r0:ffe/2', 'w0:10/4', 'w0:14/4', 'r1:1/1', 'r1:2/2', 'r1:4/2']);
    // Memory needs decoding, ports do not.
    put(0x04, 2, 0);
    fn.seen.length = 0;
    expect(process.tryPread(device, new Uint8Array(4), at(0, 0))).toBe(-EIO);
    expect(process.tryPwrite(device, new Uint8Array(4), at(0, 0))).toBe(-EIO);
    const into = new Uint8Array(4);
    expect(process.tryPread(device, into, at(1, 0))).toBe(4);
    expect([...into]).toEqual([0xff, 0xff, 0xff, 0xff]);
    expect(fn.seen).toEqual([]);
  });

  it('keep the MSI-X table from the user, and cut at its edges; a mapping shows it [vfio 3.7/3]', () => {
    // Two entries at 0x1008.
    const { process, device, put, fn } = openLayout({ bars: [{ index: 0, size: 0x4000 }], structures: [[0x11, 0x40, 1, 0, 0x08, 0x10, 0, 0, 0, 0x20]] });
    put(0x04, 2, 2);
    fn.msix?.setMessage(0, 0xfee0_0000, 0x42);
    const into = new Uint8Array(16);
    expect(process.tryPread(device, into, 0x1004)).toBe(16);
    expect([...into.subarray(4)]).toEqual(new Array(12).fill(0xff));
    expect(process.tryPwrite(device, new Uint8Array(16), 0x1004)).toBe(16);
    expect(fn.readBar(0, 0x1008, 4)).toBe(0xfee0_0000);
    const mapping = process.mmap(device, 0x1000, 0x1000, 3, 1);
    expect(process.mm.read32(mapping.address + 8)).toBe(0xfee0_0000);
  });

  it('go to the ROM as reads alone, with ones behind its images, while memory is decoded [vfio 3.7/4]', () => {
    const { process, device, put } = openPorts();
    const into = new Uint8Array(4);
    put(0x04, 2, 0);
    expect(process.tryPread(device, into, ROM)).toBe(-EIO);
    put(0x04, 2, 2);
    put(0x30, 4, 0); // the enable bit of the virtual register plays no part
    expect(process.tryPread(device, into, ROM + 0x100)).toBe(4);
    expect([...into]).toEqual([0x77, 0x77, 0x77, 0x77]);
    // Images end at 0x600; hardware has 0x11 there, the region ones.
    expect(process.tryPread(device, into, ROM + 0x5fe)).toBe(4);
    expect([...into]).toEqual([0, 0, 0xff, 0xff]);
    expect(process.tryPread(device, into, ROM + 0xffe)).toBe(2);
    expect(process.tryPread(device, into, ROM + 0x1000)).toBe(-EINVAL);
    expect(process.tryPwrite(device, into, ROM)).toBe(-EINVAL);
    expect(process.tryMmap(device, 0x1000, ROM, 1, 1)).toBe(-EINVAL);
  });

  it('go to VGA in its three ranges, cut at their ends, whatever COMMAND says [vfio 3.7/5]', () => {
    const { process, device, put } = openPorts({ vga: true });
    put(0x04, 2, 0);
    const count = (at: number, length = 4): number => process.tryPread(device, new Uint8Array(length), VGA + at);
    expect([0xa_0000, 0xb_fffe, 0x3b0, 0x3ba, 0x3c0, 0x3de].map((at) => count(at))).toEqual([4, 2, 4, 2, 4, 2]);
    expect([0x0, 0x9_ffff, 0xc_0000, 0x3af, 0x3bc, 0x3bf, 0x3e0].map((at) => count(at, 1))).toEqual(new Array(7).fill(-EINVAL));
    expect(process.tryPwrite(device, new Uint8Array(8), VGA + 0x3b8)).toBe(4);
    const other = openPorts();
    expect(other.process.tryPread(other.device, new Uint8Array(4), VGA + 0xa_0000)).toBe(-EINVAL);
  });
});
