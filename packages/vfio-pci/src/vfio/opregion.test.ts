import { Host } from '@vsim/vfio-core';
import { describe, expect, it } from 'vitest';
import { placeOpRegion } from './opregion.ts';

const AT = 0x61a5_8018;
const KIB_8 = 0x2000;

function graphics(asls: number, vendor = 0x8086, classCode = 0x03_0000): Uint8Array {
  const config = new Uint8Array(256);
  const view = new DataView(config.buffer);
  view.setUint16(0, vendor, true);
  view.setUint32(8, classCode * 0x100, true);
  view.setUint32(0xfc, asls, true);
  return config;
}

function text(host: Host, at: number, length: number): string {
  const bytes = new Uint8Array(length);
  host.memory.readBytes(at, bytes);
  return String.fromCharCode(...bytes);
}

describe('placeOpRegion', () => {
  it('signature, size, version and video BIOS table, where the configuration space says', () => {
    const host = new Host();
    expect(placeOpRegion(host, graphics(AT))).toBe(true);
    expect(text(host, AT, 16)).toBe('IntelGraphicsMem');
    expect(host.memory.read32(AT + 16)).toBe(8);
    expect(host.memory.read16(AT + 22)).toBe(0x0200);
    // No table beyond the region.
    expect([host.memory.read32(AT + 0x3ba), host.memory.read32(AT + 0x3be), host.memory.read32(AT + 0x3c2)]).toEqual([0, 0, 0]);
    expect(text(host, AT + 0x400, 5)).toBe('$VBT ');
    const [header, size] = [host.memory.read16(AT + 0x400 + 22), host.memory.read16(AT + 0x400 + 24)];
    expect(text(host, AT + 0x400 + header, 16)).toBe('BIOS_DATA_BLOCK ');
    const table = new Uint8Array(size);
    host.memory.readBytes(AT + 0x400, table);
    expect(table.reduce((sum, byte) => (sum + byte) & 0xff, 0)).toBe(0);
    expect(text(host, AT + 0x400, 70)).not.toContain('\xff');
    expect(host.memory.read32(AT + KIB_8 - 1)).toBe(0);
    expect(host.memory.read8(AT + KIB_8)).toBe(0xff);
  });

  it('is memory: what a driver writes stays there', () => {
    const host = new Host();
    placeOpRegion(host, graphics(AT));
    host.memory.write8(AT + 0x300, 0x12);
    host.memory.write16(AT + 0x302, 0x3456);
    host.memory.write32(AT + 0x304, 0x789a_bcde);
    expect([host.memory.read8(AT + 0x300), host.memory.read16(AT + 0x302), host.memory.read32(AT + 0x304)]).toEqual([0x12, 0x3456, 0x789a_bcde]);
  });

  it('in RAM, where the address is one', () => {
    const host = new Host({ ram: [{ base: 0, size: 0x8000_0000 }] });
    expect(placeOpRegion(host, graphics(AT))).toBe(true);
    expect(text(host, AT, 16)).toBe('IntelGraphicsMem');
    expect(host.memory.isRam(AT, KIB_8)).toBe(true);
  });

  it.each([
    ['no address', graphics(0)],
    ['an address of ones', graphics(0xffff_ffff)],
    ['another vendor', graphics(AT, 0x1002)],
    ['no graphics', graphics(AT, 0x8086, 0x04_0300)],
  ])('nothing for %s', (_name, config) => {
    const host = new Host();
    expect(placeOpRegion(host, config)).toBe(false);
    expect(host.memory.read8(AT)).toBe(0xff);
  });

  it('nothing where something else is', () => {
    const host = new Host();
    expect(placeOpRegion(host, graphics(AT))).toBe(true);
    expect(placeOpRegion(host, graphics(AT + 0x1000))).toBe(false);
    expect(placeOpRegion(host, graphics(0xffff_ff00))).toBe(false);
  });
});
