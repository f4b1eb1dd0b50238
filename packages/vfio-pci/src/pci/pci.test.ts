/** The hardware by itself: configuration space, BARs, messages. */
import { Host } from '@vsim/vfio-core';
import { describe, expect, it } from 'vitest';
import { PciAddress } from './address.ts';
import { barMask, type Bar, type BarInit } from './bars.ts';
import { capabilities, extendedCapabilities, read32 } from './capabilities.ts';
import { buildConfig } from './config-builder.ts';
import { ConfigSpace } from './config-space.ts';
import { IntxLine } from './intx-line.ts';
import { Msi, Msix } from './msi.ts';
import { PciFunction } from './pci-function.ts';
import { setWriteMasks } from './write-masks.ts';

const BARS: readonly BarInit[] = [
  { index: 0, size: 0x2000 },
  { index: 2, size: 0x1_0000_0000, kind: 'mem64', prefetchable: true },
  { index: 4, size: 32, kind: 'io' },
];

function config(): Uint8Array {
  return buildConfig({ vendor: 0x1d55, device: 2, bars: BARS, msi: 4, msix: { vectors: 64, bar: 0 }, express: true });
}

describe('PciAddress', () => {
  it('knows its parts', () => {
    const address = new PciAddress('0001:a5:1f.7');
    expect([address.domain, address.bus, address.device, address.function, address.requester]).toEqual([1, 0xa5, 0x1f, 7, 0xa5ff]);
  });

  it.each(['00:02.0', '0000:00:20.0', '0000:00:02.8', 'x'])('refuses %s', (text) => {
    expect(() => new PciAddress(text)).toThrow(RangeError);
  });
});

describe('buildConfig', () => {
  it('chains the capabilities', () => {
    expect(capabilities(config()).map(({ id }) => id)).toEqual([1, 5, 0x11, 0x10]);
    expect(extendedCapabilities(config())).toEqual([{ id: 0, version: 0, at: 0x100, next: 0 }]);
  });

  it('refuses counts that the registers cannot hold', () => {
    expect(() => buildConfig({ vendor: 1, device: 1, msi: 3 })).toThrow('"msi" expected a power of two in [1, 32], got 3');
    expect(() => buildConfig({ vendor: 1, device: 1, msix: { vectors: 2049, bar: 0 } })).toThrow(RangeError);
  });
});

describe('capability lists', () => {
  it('ends a list that loops', () => {
    const bytes = new Uint8Array(256);
    bytes[6] = 0x10;
    bytes[0x34] = 0x40;
    bytes[0x40] = 9;
    bytes[0x41] = 0x40;
    expect(capabilities(bytes).length).toBeLessThan(100);
  });
});

describe('ConfigSpace', () => {
  it('takes what is writable, and clears what is cleared by ones', () => {
    const space = new ConfigSpace(config());
    setWriteMasks(space, [], 'read-only');
    space.set(6, 2, 0xf910);
    space.write(4, 4, 0x8000_ffff);
    expect(space.read(4, 4)).toBe(0x7910_0507);
    expect(space.read(0xffe, 4)).toBe(0xffff_0000);
  });

  it('has 256 or 4096 bytes', () => {
    expect(() => new ConfigSpace(new Uint8Array(64))).toThrow('"config" expected 256 or 4096 bytes, got 64');
  });
});

describe('base address registers', () => {
  it('show their size', () => {
    const fn = new PciFunction(new Host(), { address: '0000:00:01.0', config: config(), bars: BARS });
    for (let at = 0x10; at < 0x28; at += 4) fn.configWrite(at, 4, 0xffff_ffff);
    const shown = Array.from({ length: 6 }, (_, i) => fn.configRead(0x10 + 4 * i, 4));
    expect(shown).toEqual([0xffff_e000, 0, 0x0000_000c, 0xffff_ffff, 0xffff_ffe1, 0]);
  });

  it('have no bits above their size', () => {
    const bar: Bar = { index: 0, kind: 'mem32', prefetchable: false, size: 0x8000_0000, address: 0, shadow: false, slice: false };
    expect(barMask(bar)).toBe(0x8000_0000);
  });

  it('are powers of two', () => {
    expect(() => new PciFunction(new Host(), { address: '0000:00:01.0', config: config(), bars: [{ index: 0, size: 0x3000 }] })).toThrow(
      '"size" expected a power of two for BAR 0, got 12288',
    );
  });
});

describe('MSI', () => {
  function msi() {
    const space = new ConfigSpace(buildConfig({ vendor: 1, device: 1, msi: 4 }));
    const sent: [number, number][] = [];
    const made = new Msi(space, 0x40, (address, data) => sent.push([address, data]));
    made.setMessage(0x1_fee0_0000, 0x40);
    return { space, made, sent };
  }

  it('puts the vector into the low bits of the data, as many as were given', () => {
    const { space, made, sent } = msi();
    space.set(0x42, 2, made.flags | 0x11); // two vectors, enabled
    made.raise(1);
    made.raise(3);
    expect(sent).toEqual([
      [0x1_fee0_0000, 0x41],
      [0x1_fee0_0000, 0x40],
    ]);
  });
});

describe('MSI-X', () => {
  function msix() {
    const space = new ConfigSpace(buildConfig({ vendor: 1, device: 1, bars: BARS, msix: { vectors: 64, bar: 0 } }));
    const sent: number[] = [];
    const made = new Msix(space, 0x40, (_, data) => sent.push(data));
    space.set(0x42, 2, 0x803f);
    return { space, made, sent };
  }

  it('keeps a masked vector pending, once, and sends it when it is unmasked', () => {
    const { made, sent } = msix();
    made.setMessage(63, 0xfee0_0000, 7);
    made.raise(63);
    made.raise(63);
    expect(made.readPending(4, 4)).toBe(0x8000_0000);
    expect(made.readPending(7, 1)).toBe(0x80);
    made.writeTable(63 * 16 + 12, 1, 0);
    expect(sent).toEqual([7]);
    expect(made.readPending(4, 4)).toBe(0);
  });

  it('holds everything under the function mask', () => {
    const { space, made, sent } = msix();
    made.setMessage(0, 0xfee0_0000, 1);
    made.setMask(0, false);
    space.set(0x42, 2, 0xc03f);
    made.raise(0);
    expect(sent).toEqual([]);
    space.set(0x42, 2, 0x803f);
    made.update();
    expect(sent).toEqual([1]);
  });

  it('has a table that software reads back', () => {
    const { made } = msix();
    made.writeTable(20, 4, 0x1234_5678);
    made.writeTable(21, 1, 0xff);
    expect(made.readTable(20, 4)).toBe(0x1234_ff78);
    expect(made.readTable(22, 2)).toBe(0x1234);
    expect(made.readTable(64 * 16 - 4, 4)).toBe(1);
  });

  it('has nothing beyond its table', () => {
    const { made, sent } = msix();
    made.raise(64);
    expect(sent).toEqual([]);
  });
});

describe('IntxLine', () => {
  const source = { name: 'a', unhandled: () => undefined };

  it('runs its handlers once for each time it goes up', () => {
    const line = new IntxLine(11);
    let count = 0;
    line.request(() => {
      count += 1;
      return true;
    });
    line.raise(source);
    line.raise(source);
    expect(count).toBe(1);
    line.lower(source);
    line.raise(source);
    expect(count).toBe(2);
  });

  it.each([
    ['fires', 1],
    ['missed', 0],
  ] as const)('a line that is up before its handler comes: %s', (choice, expected) => {
    const line = new IntxLine(11, choice);
    line.raise(source);
    let count = 0;
    line.request(() => {
      count += 1;
      return true;
    });
    expect(count).toBe(expected);
  });
});

describe('a function', () => {
  it('loses its registers from D3hot to D0, and its messages when it may not send', () => {
    const host = new Host();
    const events = host.trace.record();
    const fn = new PciFunction(host, { address: '0000:00:01.0', config: config(), bars: BARS });
    fn.configWrite(0x3c, 1, 0x55);
    fn.configWrite(0x44, 2, 3);
    expect(fn.powerState).toBe(3);
    fn.configWrite(0x44, 2, 0);
    expect(fn.configRead(0x3c, 1)).toBe(0);
    fn.raise(0);
    expect(events.map(({ id }) => id)).toEqual(['pci/interrupt-dropped']);
    expect(read32(fn.config.bytes, 0)).toBe(0x0002_1d55);
  });
});
