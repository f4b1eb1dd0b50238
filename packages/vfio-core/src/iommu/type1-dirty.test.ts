import { expect, it } from 'vitest';
import { fc, parameters } from '../../../../testing/random.ts';
import { DirtyBitmap, dirtyBitmapBytes } from './dirty-bitmap.ts';

/** User memory of a bitmap. */
function userMemory(bytes: number) {
  const memory = new Uint8Array(bytes);
  return {
    memory,
    read: (offset: number, into: Uint8Array) => (into.set(memory.subarray(offset, offset + into.length)), offset + into.length <= bytes),
    write: (offset: number, from: Uint8Array) => {
      if (offset + from.length > bytes) return false;
      memory.set(from, offset);
      return true;
    },
  };
}

const bit = (memory: Uint8Array, i: number) => (memory[i >> 3]! >> (i & 7)) & 1;

it('sets exactly the pages of a mapping in a bitmap of zeros, the first time', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 200 }), fc.nat(150), (pages, at) => {
      const bitmap = new DirtyBitmap(pages);
      bitmap.setAll();
      const user = userMemory(dirtyBitmapBytes(pages + at) + 8);
      expect(bitmap.copyTo(user, at)).toBe(true);
      for (let i = 0; i < pages + at + 8; i += 1) expect(bit(user.memory, i)).toBe(i >= at && i < at + pages ? 1 : 0);
    }),
    parameters(5),
  );
});

it('leaves what was shifted beyond the pages, for a later answer to show', () => {
  const bitmap = new DirtyBitmap(21);
  const user = userMemory(16);
  bitmap.setAll();
  bitmap.copyTo(user, 43);
  bitmap.clear();
  user.memory.fill(0);
  bitmap.copyTo(user, 0);
  // Of 21 pages none is dirty now, but bits 21 to 63 of the word are still what the shift left there.
  expect([...user.memory.subarray(0, 8)]).toEqual([0, 0, 0, 0, 0, 0xf8, 0xff, 0xff]);
});

it('tells a fault of user memory', () => {
  const bitmap = new DirtyBitmap(64);
  expect(bitmap.copyTo(userMemory(4), 0)).toBe(false);
  expect(bitmap.copyTo({ read: () => false, write: () => true }, 1)).toBe(false);
});
