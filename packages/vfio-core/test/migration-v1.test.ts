import { describe, expect, it } from 'vitest';
import { EINVAL, EIO, MigrationRegionV1, V1_STATE, type MigrationRegionV1Init, type MigrationV1Device } from '@vsim/vfio-core';

const { STOP, RUNNING, SAVING, PRE_COPY, RESUMING, ERROR } = V1_STATE;
const DATA = 0x1000;

/** A device with a state of `bytes`, handed out in chunks of three. */
function setUp(bytes: readonly number[] = [1, 2, 3, 4, 5, 6, 7], init: MigrationRegionV1Init = { dataSize: 16 }) {
  const log: string[] = [];
  let left = [...bytes];
  const loaded: number[] = [];
  let refuse = false;
  const device: MigrationV1Device = {
    transition: (from, to) => {
      if (refuse) return -EIO;
      log.push(`${from}>${to}`);
      if (to === SAVING || to === PRE_COPY) left = [...bytes];
      return 0;
    },
    pendingBytes: () => left.length,
    nextChunk: () => new Uint8Array(left.splice(0, 3)),
    load: (chunk) => (loaded.push(...chunk), 0),
  };
  const region = new MigrationRegionV1(device, init);
  const read = (offset: number, length: number) => {
    const into = new Uint8Array(length);
    const told = region.read(into, offset);
    return told < 0 ? told : length === 4 ? new DataView(into.buffer).getUint32(0, true) : length === 8 ? Number(new DataView(into.buffer).getBigUint64(0, true)) : [...into];
  };
  const write = (offset: number, value: number, length = 4) => {
    const from = new Uint8Array(length);
    if (length === 8) new DataView(from.buffer).setBigUint64(0, BigInt(value), true);
    else new DataView(from.buffer).setUint32(0, value, true);
    return region.write(from, offset);
  };
  const go = (state: number) => write(0, state);
  return { region, log, loaded, read, write, go, refuse: (on: boolean) => (refuse = on) };
}

describe('device_state', () => {
  it('[vfio 7.1/1] [vfio 7.1/2] [vfio 7.1/3] [vfio 7.1/4] [vfio 7.1/5] goes the documented ways, and back again', () => {
    const { read, go, log } = setUp([], { transitions: 'documented' });
    expect(read(0, 4)).toBe(RUNNING);
    for (const state of [STOP]) expect(go(state)).toBe(4);
    expect([go(RUNNING), go(SAVING), go(RESUMING)]).toEqual([-EINVAL, -EINVAL, -EINVAL]);
    const saving = setUp([], { transitions: 'documented' });
    expect([saving.go(PRE_COPY), saving.read(0, 4), saving.go(RUNNING), saving.go(SAVING), saving.go(STOP), saving.read(0, 4)]).toEqual([4, PRE_COPY, -EINVAL, 4, 4, STOP]);
    const resuming = setUp([], { transitions: 'documented' });
    expect([resuming.go(RESUMING), resuming.read(0, 4), resuming.go(RUNNING), resuming.go(SAVING), resuming.read(0, 4)]).toEqual([4, RESUMING, 4, 4, SAVING]);
    expect(log).toEqual(['1>0']);
  });

  it('also goes the ways that QEMU goes', () => {
    const { go } = setUp([]);
    expect([go(PRE_COPY), go(RUNNING), go(SAVING), go(RUNNING), go(STOP), go(RUNNING), go(STOP), go(RESUMING)]).toEqual(Array(8).fill(4));
  });

  it('[vfio 7.1/6] [vfio 7.1/7] refuses states that are none and stays, ERROR is left by a reset alone', () => {
    const { go, read, region, refuse } = setUp();
    expect([go(5), go(7), go(ERROR), read(0, 4)]).toEqual([-EINVAL, -EINVAL, -EINVAL, RUNNING]);
    refuse(true);
    expect([go(STOP), read(0, 4)]).toEqual([-EIO, RUNNING]);
    refuse(false);
    region.fail();
    expect([read(0, 4), go(RUNNING), go(STOP), go(ERROR)]).toEqual([ERROR, -EINVAL, -EINVAL, -EINVAL]);
    region.reset();
    expect([read(0, 4), go(STOP)]).toEqual([RUNNING, 4]);
  });

  it('keeps nothing of the bits above, and takes the same state again', () => {
    const { go, read, log } = setUp();
    expect([go(0xffff_fff8), read(0, 4), go(STOP), log]).toEqual([4, STOP, 4, ['1>0']]);
  });
});

describe('the registers of the data', () => {
  it('[vfio 7.1/8] [vfio 7.1/9] [vfio 7.1/10] save in turns: pending, offset, size, data', () => {
    const { go, read } = setUp();
    expect(read(8, 8)).toBe(0);
    go(SAVING);
    const saved: number[] = [];
    const turns: unknown[] = [];
    while (Number(read(8, 8)) > 0) {
      turns.push(read(8, 8));
      expect([read(16, 8), read(16, 8)]).toEqual([DATA, DATA]);
      const size = Number(read(24, 8));
      expect(read(24, 8)).toBe(size);
      saved.push(...[...Array(size).keys()].map((i) => (read(DATA + i, 1) as number[])[0]!));
    }
    expect([saved, turns]).toEqual([[1, 2, 3, 4, 5, 6, 7], [7, 4, 1]]);
    expect(read(8, 8)).toBe(0);
  });

  it('may leave pre-copy with data left, and begins anew when it stops', () => {
    const { go, read } = setUp();
    go(PRE_COPY);
    read(8, 8);
    read(16, 8);
    expect(read(24, 8)).toBe(3);
    expect(go(SAVING)).toBe(4);
    expect([read(24, 8), read(8, 8)]).toEqual([0, 7]);
  });

  it('[vfio 7.1/10] resume by the size that is written', () => {
    const { go, read, region, write, loaded } = setUp();
    expect(write(24, 1, 8)).toBe(-EINVAL);
    go(RESUMING);
    expect(read(16, 8)).toBe(DATA);
    region.write(new Uint8Array([9, 8]), DATA);
    expect(write(24, 2, 8)).toBe(8);
    region.write(new Uint8Array([7]), DATA);
    expect([write(24, 1, 8), write(24, 17, 8), loaded]).toEqual([8, -EINVAL, [9, 8, 7]]);
  });

  it('[vfio 7.1/11] are read and written whole, aligned, and as far as the region goes', () => {
    const { read, write, region } = setUp();
    expect([read(4, 4), write(4, 77), read(4, 4)]).toEqual([0, 4, 0]);
    expect([read(0, 8), read(0, 2), read(2, 4), read(8, 4), read(12, 4), read(32, 4), write(8, 1, 8), write(16, 1, 8), write(0, 0, 8)]).toEqual(Array(9).fill(-EINVAL));
    expect([region.size, read(DATA + 12, 4), read(DATA + 13, 4)]).toEqual([0x1010, 0, -EINVAL]);
  });
});
