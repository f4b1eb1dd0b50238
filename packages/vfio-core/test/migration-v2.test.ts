/** Migration, version 2, through the fd of a device: features, states, data fds, DMA logging. */
import { describe, expect, it } from 'vitest';
import {
  DmaLog,
  EINVAL,
  getDeviceFd,
  getMigrationFlags,
  getMigrationState,
  MIG_STATE,
  MigrationDriver,
  Process,
  setMigrationState,
  VFIO_DEVICE_FEATURE,
  VFIO_DEVICE_FEATURE_GET,
  VFIO_DEVICE_FEATURE_PROBE,
  VFIO_DEVICE_FEATURE_SET,
  VFIO_MIG_GET_PRECOPY_INFO,
  type File,
  type MigState,
  type ProfileName,
  type Sleeps,
} from '@vsim/vfio-core';
import { outcomeOf } from '@vsim/vfio-core/testing';
import { MigratingDevice } from './migrating-device.ts';
import { openGroup, sampleHost } from './sample-device.ts';

const { STOP, RUNNING, STOP_COPY, RESUMING, RUNNING_P2P, PRE_COPY, PRE_COPY_P2P, ERROR } = MIG_STATE;
const ALL: readonly MigState[] = [STOP, RUNNING, STOP_COPY, RESUMING, RUNNING_P2P, PRE_COPY, PRE_COPY_P2P];

/** The first step from each state (row) to each of ALL, and 0 where there is none. */
const TABLE: readonly (readonly [row: number, from: MigState, to: readonly number[]])[] = [
  [1, STOP, [1, 5, 3, 4, 5, 5, 5]],
  [2, RUNNING, [5, 2, 5, 5, 5, 6, 5]],
  [3, STOP_COPY, [1, 1, 3, 1, 1, 0, 0]],
  [4, RESUMING, [1, 1, 1, 4, 1, 1, 1]],
  [5, RUNNING_P2P, [1, 2, 1, 1, 5, 2, 7]],
  [6, PRE_COPY, [2, 2, 7, 2, 2, 6, 7]],
  [7, PRE_COPY_P2P, [5, 5, 3, 5, 5, 6, 7]],
];

describe('the state machine', () => {
  /** A machine that stands in `state`, by whatever way leads there. */
  function at(state: MigState, flags = 7) {
    const { host } = sampleHost([]);
    const machine = new MigrationDriver(flags, {
      *arc(): Sleeps<File | number> {
        return 0;
      },
    });
    if (state === ERROR) machine.fail();
    else expect(host.scheduler.call('go', machine.setState(state))).toBe(0);
    return machine;
  }

  it.each(TABLE)('[vfio 7.2/%i] from %i', (_row, from, steps) => {
    // The state itself is no step: a request for it is answered at once.
    expect(ALL.map((to) => at(from).next(to) ?? 0)).toEqual(steps);
  });

  it('[vfio 7.2/8] nothing leads out of ERROR but a reset, and nothing into it', () => {
    const machine = at(ERROR);
    expect(ALL.map((to) => machine.next(to))).toEqual(ALL.map(() => undefined));
    machine.reset();
    expect([machine.state, machine.next(ERROR)]).toEqual([RUNNING, undefined]);
  });

  it('from every state to every state it comes to an end, through states that the driver has, whatever they are (V59)', () => {
    for (const flags of [1, 3, 5, 7]) {
      for (const from of ALL) {
        for (const to of ALL) {
          if (!at(RUNNING, flags).supports(from)) continue;
          const machine = at(from, flags);
          const { host } = sampleHost([]);
          const result = host.scheduler.call('go', machine.setState(to));
          const possible = machine.supports(to) && !(from === STOP_COPY && (to === PRE_COPY || to === PRE_COPY_P2P));
          expect([flags, from, to, result, machine.state]).toEqual([flags, from, to, possible ? 0 : -EINVAL, possible ? to : from]);
        }
      }
    }
  });
});

function setUp(profile: ProfileName = 'linux-6.12') {
  const sample = sampleHost(['a', 'b'], { profile });
  const device = new MigratingDevice(sample.vfio, sample.bus.device('b')!);
  sample.host.scheduler.call('register', device.register());
  const { root } = sample;
  const { group } = openGroup(sample, 1);
  const fd = getDeviceFd(root, group, 'b');
  const feature = (flags: number, words: readonly (number | bigint)[], argsz = 8 + 8 * words.length) => {
    const bytes = new Uint8Array(8 + 8 * words.length);
    const view = new DataView(bytes.buffer);
    view.setUint32(0, argsz, true);
    view.setUint32(4, flags, true);
    words.forEach((word, i) => view.setBigUint64(8 + 8 * i, BigInt(word), true));
    const outcome = outcomeOf(() => root.ioctl(fd, VFIO_DEVICE_FEATURE, bytes));
    return { outcome, word: (i: number) => view.getBigUint64(8 + 8 * i, true) };
  };
  return { ...sample, device, group, fd, feature };
}

describe('the features', () => {
  const GET = VFIO_DEVICE_FEATURE_GET;
  const SET = VFIO_DEVICE_FEATURE_SET;
  const PROBE = VFIO_DEVICE_FEATURE_PROBE;

  it('check the operation, a probe, then the length', () => {
    const { feature } = setUp();
    const one = [0n];
    expect([feature(1 | SET, one), feature(1 | SET | PROBE, one), feature(1 | GET | PROBE, one), feature(1, one), feature(1 | GET, one, 15)].map(({ outcome }) => outcome)).toEqual(['EINVAL', 'EINVAL', 'success', 'EINVAL', 'EINVAL']);
    expect([feature(2 | GET | SET | PROBE, one), feature(2 | GET | SET, one), feature(2 | GET, one, 12)].map(({ outcome }) => outcome)).toEqual(['success', 'EINVAL', 'EINVAL']);
    expect([feature(9 | GET, one).word(0), feature(9 | SET, one).outcome]).toEqual([4n, 'EINVAL']);
  });

  it('are those that the kernel knows: PRE_COPY and the data size since 6.2', () => {
    const old = setUp('linux-6.1');
    const now = setUp();
    expect([getMigrationFlags(old.root, old.fd), getMigrationFlags(now.root, now.fd)]).toEqual([3n, 7n]);
    expect(outcomeOf(() => setMigrationState(old.root, old.fd, PRE_COPY))).toBe('EINVAL');
    expect(old.feature(9 | GET, [0]).outcome).toBe('ENOTTY');
    expect(setMigrationState(old.root, old.fd, STOP_COPY)).toBeGreaterThan(0);
  });

  it('SET tells the state that was asked for and no fd when it fails half way; GET tells where the device stands', () => {
    const { root, fd, device, feature } = setUp();
    device.refuse = STOP_COPY;
    const failed = feature(2 | SET, [STOP_COPY]);
    expect([failed.outcome, failed.word(0)]).toEqual(['EIO', 0xffff_ffff_0000_0003n]);
    expect([getMigrationState(root, fd), device.arcs]).toEqual([STOP, ['2>5', '5>1']]);
    const none = feature(2 | SET, [9]);
    expect([none.outcome, none.word(0)]).toEqual(['EINVAL', 0xffff_ffff_0000_0009n]);
    expect(setMigrationState(root, fd, STOP)).toBe(-1);
  });

  it('[vfio V53] a stream that finds no fd number is dropped, once', () => {
    const sample = setUp();
    const small = new Process(sample.host, { maxFiles: 4 });
    const file = sample.root.file(sample.fd)!;
    file.get();
    const fd = small.install(file, 2);
    expect(outcomeOf(() => setMigrationState(small, fd, STOP_COPY))).toBe('EMFILE');
    expect(sample.device.files.save!.references).toBe(0);
    small.exit();
  });
});

describe('the data fds', () => {
  it('save and restore a device, a byte at a time or all at once', () => {
    const { root, fd, device } = setUp();
    device.memory.set([4, 3, 2, 1]);
    const save = setMigrationState(root, fd, STOP_COPY);
    const state: number[] = [];
    const byte = new Uint8Array(1);
    while (root.read(save, byte) > 0) state.push(byte[0]!);
    expect(state).toEqual([4, 3, 2, 1]);
    expect(outcomeOf(() => root.pread(save, byte, 0))).toBe('ESPIPE');
    setMigrationState(root, fd, STOP);
    expect(outcomeOf(() => root.read(save, byte))).toBe('ENODEV');
    device.memory.fill(0);
    const resume = setMigrationState(root, fd, RESUMING);
    root.write(resume, new Uint8Array(state.slice(0, 3)));
    // Short: refused when it is looked at, and the state stays.
    expect([outcomeOf(() => setMigrationState(root, fd, RUNNING)), getMigrationState(root, fd)]).toEqual(['EINVAL', RESUMING]);
    root.write(resume, new Uint8Array(state.slice(3)));
    expect(outcomeOf(() => root.write(resume, new Uint8Array(5)))).toBe('ENOMEM');
    expect([setMigrationState(root, fd, RUNNING), [...device.memory]]).toEqual([-1, [4, 3, 2, 1]]);
  });

  it('PRE_COPY: a stream while the device runs, told of by PRECOPY_INFO, that STOP_COPY goes on with', () => {
    const { root, fd, device } = setUp();
    const pre = setMigrationState(root, fd, PRE_COPY);
    const ask = (argsz = 24) => {
      const bytes = new Uint8Array(24);
      const view = new DataView(bytes.buffer);
      view.setUint32(0, argsz, true);
      const outcome = outcomeOf(() => root.ioctl(pre, VFIO_MIG_GET_PRECOPY_INFO, bytes));
      return outcome === 'success' ? [view.getBigUint64(8, true), view.getBigUint64(16, true)] : outcome;
    };
    expect([ask(), ask(23), outcomeOf(() => root.ioctl(pre, VFIO_MIG_GET_PRECOPY_INFO, 0)), outcomeOf(() => root.ioctl(pre, 0x3b64, 0))]).toEqual([[2n, 0n], 'EINVAL', 'EFAULT', 'ENOTTY']);
    const two = new Uint8Array(2);
    device.files.pre!.append(new Uint8Array([9]));
    expect([ask(), root.read(pre, two), ask(), root.read(pre, two)]).toEqual([[2n, 1n], 2, [0n, 1n], 1]);
    expect([outcomeOf(() => root.read(pre, two)), ask()]).toEqual(['ENOMSG', [0n, 0n]]);
    expect(setMigrationState(root, fd, STOP_COPY)).toBe(-1);
    expect([device.arcs, ask()]).toEqual([['2>6', '6>7', '7>3'], 'EINVAL']);
    expect([root.read(pre, new Uint8Array(9)), root.read(pre, two)]).toEqual([4, 0]);
    expect(outcomeOf(() => root.pread(pre, two, 0))).toBe('ESPIPE');
    setMigrationState(root, fd, RUNNING);
    expect([outcomeOf(() => root.read(pre, two)), ask()]).toEqual(['ENODEV', 'EINVAL']);
    // Another stream is the one of this state.
    setMigrationState(root, fd, PRE_COPY);
    expect([outcomeOf(() => root.read(pre, two)), ask(), ask(23)]).toEqual(['ENODEV', 'ENODEV', 'EINVAL']);
  });

  describe('PRECOPY_INFO [D16]', () => {
    const FEATURE = 12;

    function preCopy(profile?: ProfileName) {
      const sample = setUp(profile);
      const { root } = sample;
      let { fd } = sample;
      const info = () => {
        const bytes = new Uint8Array(24);
        const view = new DataView(bytes.buffer);
        view.setUint32(0, 24, true);
        view.setUint32(4, 0x5a, true);
        root.ioctl(stream, VFIO_MIG_GET_PRECOPY_INFO, bytes);
        return [view.getUint32(4, true), view.getBigUint64(8, true), view.getBigUint64(16, true)];
      };
      const optIn = (flags: number = VFIO_DEVICE_FEATURE_SET): string => sample.feature(FEATURE | flags, []).outcome;
      let stream = -1;
      const reopen = (): void => {
        root.close(fd);
        fd = getDeviceFd(root, sample.group, 'b');
      };
      return { ...sample, info, optIn, reopen, begin: () => (stream = setMigrationState(root, fd, PRE_COPY)) };
    }

    it('leaves the flags as the user had them', () => {
      const { info, begin } = preCopy();
      begin();
      expect(info()).toEqual([0x5a, 2n, 0n]);
    });

    it('tells new initial data as a change without MIG_PRECOPY_INFOv2', () => {
      const { info, begin, device } = preCopy('linux-7.3');
      begin();
      device.files.pre!.restart(new Uint8Array(3));
      expect(info()).toEqual([0x5a, 2n, 3n]);
    });

    it('tells it once as REINIT with it, and all that is left as initial', () => {
      const { info, begin, optIn, device } = preCopy('linux-7.3');
      expect(optIn()).toBe('success');
      begin();
      expect(info()).toEqual([0, 2n, 0n]);
      device.files.pre!.append(new Uint8Array(1));
      device.files.pre!.restart(new Uint8Array(3));
      expect(info()).toEqual([1, 6n, 0n]);
      expect(info()).toEqual([0, 6n, 0n]);
    });

    it('forgets MIG_PRECOPY_INFOv2 at the last close', () => {
      const { info, begin, optIn, reopen } = preCopy('linux-7.3');
      optIn();
      reopen();
      begin();
      expect(info()).toEqual([0x5a, 2n, 0n]);
    });

    it('knows MIG_PRECOPY_INFOv2 in 7.3 alone, and SET and PROBE of it', () => {
      expect(preCopy().optIn()).toBe('ENOTTY');
      const { optIn } = preCopy('linux-7.3');
      expect(optIn(VFIO_DEVICE_FEATURE_GET)).toBe('EINVAL');
      expect(optIn(VFIO_DEVICE_FEATURE_PROBE | VFIO_DEVICE_FEATURE_SET)).toBe('success');
    });
  });
});

describe('DMA logging', () => {
  const START = 6 | VFIO_DEVICE_FEATURE_SET;
  const STOP_IT = 7 | VFIO_DEVICE_FEATURE_SET;
  const REPORT = 8 | VFIO_DEVICE_FEATURE_GET;

  function logging() {
    const sample = setUp();
    const log = new DmaLog();
    sample.device.logger = log;
    const ranges = sample.root.mmap(-1, 8192);
    const put = (list: readonly (readonly [number | bigint, number | bigint])[]) => {
      const bytes = new Uint8Array(16 * list.length);
      list.forEach(([iova, length], i) => {
        new DataView(bytes.buffer).setBigUint64(16 * i, BigInt(iova), true);
        new DataView(bytes.buffer).setBigUint64(16 * i + 8, BigInt(length), true);
      });
      ranges.writeBytes(0, bytes);
    };
    const start = (list: readonly (readonly [number | bigint, number | bigint])[], pageSize = 4096, count = list.length) => {
      put(list);
      return sample.feature(START, [pageSize, count, ranges.address]);
    };
    const bitmap = sample.root.mmap(-1, 4096);
    const report = (iova: number | bigint, length: number | bigint, pageSize = 4096, at = bitmap.address) => sample.feature(REPORT, [iova, length, pageSize, at]).outcome;
    return { ...sample, log, start, report, bitmap };
  }

  it('is the affair of devices that have a log', () => {
    const { feature } = setUp();
    expect([feature(START, [0, 0, 0]), feature(STOP_IT, []), feature(REPORT, [0, 0, 0, 0])].map(({ outcome }) => outcome)).toEqual(['ENOTTY', 'ENOTTY', 'ENOTTY']);
  });

  it('START: ranges that are there, few, aligned, inside the space and apart', () => {
    const { start, feature } = logging();
    expect(start([]).outcome).toBe('EINVAL');
    expect(start([[0, 4096]], 4096, 257).outcome).toBe('E2BIG');
    expect([start([[1, 4096]]).outcome, start([[0, 4097]]).outcome]).toEqual(['EINVAL', 'EINVAL']);
    expect(start([[(1n << 64n) - 4096n, 8192]]).outcome).toBe('EOVERFLOW');
    expect(start([[0, 8192], [4096, 4096]]).outcome).toBe('EINVAL');
    expect([feature(START, [4096, 1, 0]).outcome, feature(START, [4096, 1]).outcome]).toEqual(['EFAULT', 'EINVAL']);
    const told = start([[0, 8192], [8192, 4096]], 2048);
    expect([told.outcome, told.word(0)]).toEqual(['success', 4096n]);
    expect(start([[0, 4096]]).outcome).toBe('EBUSY');
    expect([feature(STOP_IT, []).outcome, start([[0, 4096]]).outcome]).toEqual(['success', 'success']);
  });

  it('REPORT: sets the bits of what was written, once, and clears none of the caller’s', () => {
    const { start, report, log, bitmap } = logging();
    expect([report(0, 4096, 2048), report(0, 4096, 6144), report((1n << 64n) - 4096n, 8192), report(0, 4096)]).toEqual(['EINVAL', 'EINVAL', 'EOVERFLOW', 'EINVAL']);
    start([[0, 64 * 4096]]);
    log.wrote(4096 * 3 + 4095, 2);
    log.wrote(4096 * 20, 1);
    log.wrote(4096 * 100, 1);
    bitmap.write(0, 1, 1);
    expect([report(0, 8 * 4096), bitmap.read(0, 4)]).toEqual(['success', 0b1_1001]);
    bitmap.write(0, 4, 0);
    expect([report(0, 64 * 4096), bitmap.read(0, 4)]).toEqual(['success', 1 << 20]);
    bitmap.write(0, 4, 0);
    expect([report(0, 64 * 4096), bitmap.read(0, 4)]).toEqual(['success', 0]);
    log.wrote(0, 1);
    expect(report(0, 4096, 4096, 0)).toBe('EFAULT');
  });
});
