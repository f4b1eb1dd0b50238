import { PhysicalMemory, type Memory } from '@vsim/vfio-core';
import { describe, expect, it } from 'vitest';
import { Machine } from '../../test/machine.ts';
import { GuestBus } from './guest-bus.ts';
import { GuestMemory } from './guest-memory.ts';
import { Ioeventfds } from './ioeventfds.ts';

function memory(): GuestMemory {
  const ram = new PhysicalMemory([{ base: 0x10_0000, size: 0x2_0000 }]);
  const guest = new GuestMemory();
  // Two slots that touch in the guest and are swapped in the host, and one that is read-only.
  guest.addSlot({ gpa: 0x1000, size: 0x1000, memory: ram, offset: 0x10_2000 });
  guest.addSlot({ gpa: 0x2000, size: 0x1000, memory: ram, offset: 0x10_0000 });
  guest.addSlot({ gpa: 0x8000, size: 0x1000, memory: ram, offset: 0x10_4000, readOnly: true });
  return guest;
}

describe('memory slots', () => {
  it('bytes and words cross from one slot to the next', () => {
    const guest = memory();
    guest.logDirty(true);
    guest.writeBytes(0x1ffc, Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8));
    expect(guest.takeDirty()).toEqual([1, 2]);
    expect(guest.read32(0x1ffe)).toBe(0x0605_0403);
    const back = new Uint8Array(8);
    guest.readBytes(0x1ffc, back);
    expect([...back]).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    guest.write32(0x1ffe, 0x1122_3344);
    expect(guest.read32(0x1ffe)).toBe(0x1122_3344);
    expect(guest.takeDirty()).toEqual([1, 2]);
  });

  it('outside them reads give ones, and a read-only slot takes no writes', () => {
    const guest = memory();
    guest.logDirty(true);
    const bytes = new Uint8Array(4);
    guest.readBytes(0x2ffe, bytes);
    expect([...bytes]).toEqual([0, 0, 0xff, 0xff]);
    guest.writeBytes(0x8000, Uint8Array.of(1));
    guest.write8(0x8000, 1);
    expect([guest.read8(0x8000), guest.takeDirty()]).toEqual([0, []]);
    expect([guest.accessible(0x1ffc, 8, true), guest.accessible(0x2ffc, 8), guest.accessible(0x8000, 8, true)]).toEqual([true, false, false]);
  });

  it('must not overlap', () => {
    const guest = memory();
    expect(() => guest.addSlot({ gpa: 0x2800, size: 0x1000, memory: guest, offset: 0 })).toThrow(RangeError);
  });

  it('an access in one slot is one access of what is behind it, as registers want', () => {
    const made: string[] = [];
    const load = (name: string) => (at: number): number => {
      made.push(`${name} ${at}`);
      return 0x88;
    };
    const store = (name: string) => (at: number, value: number): void => { made.push(`${name} ${at} ${value.toString(16)}`); };
    const registers: Memory = {
      accessible: () => true,
      read8: load('r8'),
      read16: load('r16'),
      read32: load('r32'),
      write8: store('w8'),
      write16: store('w16'),
      write32: store('w32'),
      readBytes: () => undefined,
      writeBytes: () => undefined,
    };
    const guest = new GuestMemory();
    guest.addSlot({ gpa: 0x9000, size: 0x1000, memory: registers, offset: 0 });
    const bus = new GuestBus(guest, new Ioeventfds());
    const vcpu = new Machine({ version: 'gicv3', vcpus: 1 }).vcpu(0);
    const read = [1, 2, 4, 8].map((width) => {
      bus.store(vcpu, 0x9008, width, 0x1122_3344_5566_7788n);
      return bus.load(vcpu, 0x9008, width);
    });
    expect(read).toEqual([0x88n, 0x88n, 0x88n, 0x88_0000_0088n]);
    expect(made).toEqual(['w8 8 88', 'r8 8', 'w16 8 7788', 'r16 8', 'w32 8 55667788', 'r32 8', 'w32 8 55667788', 'w32 12 11223344', 'r32 8', 'r32 12']);
  });
});
