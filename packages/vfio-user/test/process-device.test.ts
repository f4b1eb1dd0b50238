import { describe, expect, it } from 'vitest';
import {
  EEXIST,
  EINTR,
  EINVAL,
  EMFILE,
  ENOMEM,
  ENOTTY,
  MIG_STATE,
  Process,
  set,
  VFIO_DEVICE_FEATURE,
  VFIO_DEVICE_FEATURE_DMA_BUF,
  VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT,
  VFIO_DEVICE_FEATURE_DMA_LOGGING_START,
  VFIO_DEVICE_FEATURE_GET,
  VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY_WITH_WAKEUP,
  VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE,
  VFIO_DEVICE_FEATURE_PROBE,
  VFIO_DEVICE_FEATURE_SET,
  VFIO_DEVICE_GET_INFO,
  VFIO_DEVICE_GET_REGION_INFO,
  VFIO_DEVICE_RESET,
  VFIO_DEVICE_SET_IRQS,
  VFIO_IRQ_SET_ACTION_TRIGGER,
  VFIO_IRQ_SET_ACTION_UNMASK,
  VFIO_IRQ_SET_DATA_BOOL,
  VFIO_IRQ_SET_DATA_EVENTFD,
  VFIO_IRQ_SET_DATA_NONE,
  openDevice,
} from '@vsim/vfio-core';
import { servedDevice, type ClientMemory, type Descriptor, type SharedMemory } from '../src/index.ts';
import { REGISTERS, toyHost } from './toy-host.ts';

const PAGE = 4096;
const TRIGGER = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER;

function setUp() {
  const { host, root, toy } = toyHost();
  const fds = openDevice(root, 'toy');
  return { host, root, toy, fds, device: servedDevice(root, fds) };
}

/** An eventfd of a client, as whatever carries it has it. */
class Eventfd implements Descriptor {
  count = 0;
  closed = 0;
  readonly listeners = new Set<() => void>();
  readonly map = (): number => -EINVAL;
  readonly duplicate = (): Descriptor => this;
  readonly signal = (): boolean => {
    this.count += 1;
    return true;
  };

  listen(told: () => void): (() => void) | undefined {
    const listener = (): void => { told(); };
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  close(): void {
    this.closed += 1;
  }
}

/** Memory of a client. */
class Memory implements SharedMemory {
  readonly bytes: Uint8Array;
  readonly size: number;
  unmapped = 0;

  constructor(size: number) {
    this.size = size;
    this.bytes = new Uint8Array(size);
  }

  read(offset: number, into: Uint8Array): void {
    into.set(this.bytes.subarray(offset, offset + into.length));
  }

  write(offset: number, from: Uint8Array): void {
    this.bytes.set(from, offset);
  }

  unmap(): void {
    this.unmapped += 1;
  }
}

function range(iova: bigint, memory: Memory, write = true): ClientMemory {
  return { iova, size: memory.size, read: true, write, memory };
}

function irqSet(flags: number, start: number, count: number, data: readonly number[] = []): Uint8Array {
  const bytes = new Uint8Array(20 + data.length);
  [bytes.length, flags, 0, start, count].forEach((value, i) => { set(bytes, [4 * i, 'u32'], value); });
  bytes.set(data, 20);
  return bytes;
}

function feature(flags: number, ...data: readonly (bigint | Uint8Array)[]): Uint8Array {
  const parts = data.flatMap((part) => (typeof part === 'bigint' ? [...new Uint8Array(BigUint64Array.of(part).buffer)] : [...part]));
  const bytes = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, ...parts);
  set(bytes, [0, 'u32'], bytes.length);
  set(bytes, [4, 'u32'], flags);
  return bytes;
}

/** A move of `length` bytes. */
function move(device: Pick<ReturnType<typeof servedDevice>, 'write'>, from: bigint, to: bigint, length: number): void {
  const bytes = new Uint8Array(20);
  set(bytes, [0, 'u64'], from);
  set(bytes, [8, 'u64'], to);
  set(bytes, [16, 'u32'], length);
  device.write(0, 0, bytes);
  device.write(0, 20, Uint8Array.of(1, 0, 0, 0));
}

describe('the fd of a served device', () => {
  it('answers what is asked of devices, and nothing else', () => {
    const { device } = setUp();
    const info = new Uint8Array(16);
    set(info, [0, 'u32'], 16);
    expect([device.ioctl(VFIO_DEVICE_GET_INFO, info), ...new Uint32Array(info.buffer)]).toEqual([0, 16, 1, 2, 1]);
    expect(device.ioctl(VFIO_DEVICE_SET_IRQS, irqSet(VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER, 0, 1))).toBe(-ENOTTY);
    expect(device.regionMemory(0)).toBeUndefined();
  });

  it('is read and written by regions', () => {
    const { device, toy } = setUp();
    expect(device.write(1, 12, Uint8Array.of(1, 2, 3, 4))).toBe(4);
    expect([...toy.registers.subarray(REGISTERS + 12)]).toEqual([1, 2, 3, 4]);
    toy.registers[REGISTERS - 1] = 9;
    const into = new Uint8Array(4);
    expect([device.read(0, REGISTERS - 1, into.subarray(0, 1)), [...into]]).toEqual([1, [9, 0, 0, 0]]);
    const info = new Uint8Array(32);
    set(info, [0, 'u32'], 32);
    set(info, [8, 'u32'], 2);
    expect([device.read(2, 0, into), device.write(2, 0, into), device.ioctl(VFIO_DEVICE_GET_REGION_INFO, info)]).toEqual([-EINVAL, -EINVAL, -EINVAL]);
  });

  it('waits for a reset on the host’s clock, and gives up one that takes more than 10 s', () => {
    const { host, device, toy } = setUp();
    toy.registers.fill(1);
    expect([device.ioctl(VFIO_DEVICE_RESET, new Uint8Array(0)), toy.registers[0]]).toEqual([0, 0]);
    expect(host.scheduler.now).toBe(50_000_000);
    toy.resetTime = 11_000_000_000;
    expect(device.ioctl(VFIO_DEVICE_RESET, new Uint8Array(0))).toBe(-EINTR);
  });
});

describe('interrupts of a served device', () => {
  it('signal the client’s eventfds, and leave nothing in those of the process', () => {
    const { device, root, toy } = setUp();
    const [one, two] = [new Eventfd(), new Eventfd()];
    expect(device.setIrqs(irqSet(TRIGGER, 0, 3), [one, undefined, two])).toBe(0);
    toy.triggers[0]?.signal();
    toy.triggers[2]?.signal();
    toy.triggers[2]?.signal();
    expect([one.count, toy.triggers[1], two.count, toy.triggers[2]?.isZero]).toEqual([1, undefined, 2, true]);
    expect(device.setIrqs(irqSet(VFIO_IRQ_SET_DATA_BOOL | VFIO_IRQ_SET_ACTION_TRIGGER, 0, 3, [1, 1, 0]), [])).toBe(0);
    expect([one.count, two.count, one.listeners.size, root.fds.length]).toEqual([2, 2, 0, 5]);
  });

  it('let go of an eventfd when another takes its place, or none, or the index is disabled', () => {
    const { device, root, toy } = setUp();
    const fds = root.fds.length;
    const [one, two, three] = [new Eventfd(), new Eventfd(), new Eventfd()];
    device.setIrqs(irqSet(TRIGGER, 0, 2), [one, two]);
    device.setIrqs(irqSet(TRIGGER, 0, 1), [three]);
    expect([one.closed, two.closed]).toEqual([1, 0]);
    device.setIrqs(irqSet(TRIGGER, 1, 1), [undefined]);
    expect([two.closed, three.closed, root.fds.length]).toEqual([1, 0, fds + 1]);
    expect(device.setIrqs(irqSet(VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER, 0, 0), [])).toBe(0);
    expect([one.closed, two.closed, three.closed, root.fds.length, toy.triggers[0]]).toEqual([1, 1, 1, fds, undefined]);
  });

  it('are unmasked by eventfds of the client', () => {
    const { device, root, toy } = setUp();
    const fds = root.fds.length;
    const unmask = new Eventfd();
    expect(device.setIrqs(irqSet(VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_UNMASK, 2, 1), [unmask])).toBe(0);
    for (const told of unmask.listeners) told();
    for (const told of unmask.listeners) told();
    expect([toy.unmasked, unmask.listeners.size]).toEqual([[2, 2], 1]);
    expect(device.setIrqs(irqSet(VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_UNMASK, 2, 1), [undefined])).toBe(0);
    expect([unmask.listeners.size, unmask.closed, root.fds.length]).toEqual([0, 1, fds]);
  });

  it('are unmasked by the eventfd that was named last: the one before needs no taking away', () => {
    const { device, root, toy } = setUp();
    const [one, two] = [new Eventfd(), new Eventfd()];
    const give = (eventfd: Eventfd): number => device.setIrqs(irqSet(VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_UNMASK, 0, 1), [eventfd]);
    const fds = root.fds.length;
    expect([give(one), give(two), one.closed, one.listeners.size, two.closed, root.fds.length]).toEqual([0, 0, 1, 0, 0, fds + 1]);
    for (const told of two.listeners) told();
    expect(toy.unmasked).toEqual([0]);
  });

  it('stay as they are when eventfds are refused, which are closed, each once', () => {
    const { device, root, toy } = setUp();
    const one = new Eventfd();
    device.setIrqs(irqSet(TRIGGER, 0, 1), [one]);
    const fds = root.fds;
    const memfd = Object.assign(new Eventfd(), { listen: () => undefined });
    const [two, three] = [new Eventfd(), new Eventfd()];
    expect(device.setIrqs(irqSet(TRIGGER, 0, 3), [two, memfd, three])).toBe(-EINVAL);
    expect([two.closed, memfd.closed, three.closed]).toEqual([1, 1, 1]);
    const beyond = [new Eventfd(), new Eventfd()];
    expect(device.setIrqs(irqSet(TRIGGER, 2, 2), beyond)).toBe(-EINVAL);
    expect(device.setIrqs(irqSet(TRIGGER, 0, 2), [new Eventfd()])).toBe(-EINVAL);
    expect(device.setIrqs(new Uint8Array(19), [])).toBe(-EINVAL);
    expect([beyond.map(({ closed }) => closed), root.fds, one.closed]).toEqual([[1, 1], fds, 0]);
    toy.triggers[0]?.signal();
    expect(one.count).toBe(1);
  });

  it('are refused where the process has no fds left', () => {
    const { host } = toyHost();
    const server = new Process(host, { maxFiles: 8 });
    const device = servedDevice(server, openDevice(server, 'toy'));
    const given = [new Eventfd(), new Eventfd(), new Eventfd()];
    expect(device.setIrqs(irqSet(TRIGGER, 0, 3), given)).toBe(-EMFILE);
    expect(given.map(({ closed }) => closed)).toEqual([1, 1, 1]);
    expect(device.setIrqs(irqSet(TRIGGER, 0, 2), [new Eventfd(), new Eventfd()])).toBe(0);
  });
});

describe('memory of a client', () => {
  it('is what the device reads and writes, where it may', () => {
    const { device, toy } = setUp();
    const [source, target] = [new Memory(PAGE), new Memory(2 * PAGE)];
    source.bytes.fill(7);
    const irq = new Eventfd();
    device.setIrqs(irqSet(TRIGGER, 1, 1), [irq]);
    expect([device.mapDma(range(0x1000n, source, false)), device.mapDma(range(0xffff_f000n, target))]).toEqual([0, 0]);
    move(device, 0x1000n, 0xffff_fff0n, PAGE);
    expect([target.bytes[0xff0 - 1], target.bytes[0xff0], target.bytes[0x1fef], target.bytes[0x1ff0], irq.count]).toEqual([0, 8, 8, 0, 1]);
    expect(toy.dma.write(0x1000, Uint8Array.of(1))).toBe(false);
  });

  it('is refused over other memory, at odd addresses and beyond the last one, and stays the caller’s', () => {
    const { root, device } = setUp();
    const memory = new Memory(2 * PAGE);
    device.mapDma(range(0x2000n, memory));
    const more = new Memory(2 * PAGE);
    for (const iova of [0x1000n, 0x2000n, 0x3000n]) expect(device.mapDma(range(iova, more))).toBe(-EEXIST);
    for (const iova of [1n, -0x1000n, (1n << 64n) - 0x1000n, 1n << 64n]) expect(device.mapDma(range(iova, more))).toBe(-EINVAL);
    for (const size of [0, -PAGE, 1, NaN, Infinity]) expect(device.mapDma({ ...range(0n, more), size })).toBe(-EINVAL);
    // The window of interrupts, and more addresses than a process has.
    expect([device.mapDma(range(0xfee0_0000n, more)), device.mapDma({ ...range(0x10_0000n, more), size: 2 ** 47 })]).toEqual([-EINVAL, -ENOMEM]);
    expect([more.unmapped, root.host.memory.foreign.count]).toEqual([0, 1]);
  });

  it('goes with each range that lies inside of what is unmapped: many, one, none, all', () => {
    const { root, device } = setUp();
    const memories = [0n, 1n, 2n, 8n].map((page) => {
      const memory = new Memory(PAGE);
      device.mapDma(range(page * 0x1000n, memory));
      return memory;
    });
    const wide = new Memory(4 * PAGE);
    device.mapDma(range(0x1_0000n, wide));
    const gone = (): number[] => [...memories, wide].map(({ unmapped }) => unmapped);
    expect([device.unmapDma(0x1000n, 0x3000n), gone()]).toEqual([2 * PAGE, [0, 1, 1, 0, 0]]);
    expect([device.unmapDma(0x1000n, 0x3000n), device.unmapDma(0x1_1000n, 0x1000n), device.unmapDma(0x8001n, 0xfffn), gone()]).toEqual([0, 0, 0, [0, 1, 1, 0, 0]]);
    expect(device.unmapDma(0x8000n, 0xa000n)).toBe(PAGE);
    expect([device.unmapDma(0n, 1n << 64n), gone(), root.host.memory.foreign.count, root.mm.lockedPages]).toEqual([5 * PAGE, [1, 1, 1, 1, 1], 0, 0]);
  });

  it('and the interrupts go when the client does, and the registers stay', () => {
    const { root, device, toy } = setUp();
    const fds = root.fds;
    const [memory, irq, unmask] = [new Memory(PAGE), new Eventfd(), new Eventfd()];
    device.mapDma(range(0n, memory));
    device.setIrqs(irqSet(TRIGGER, 0, 1), [irq]);
    device.setIrqs(irqSet(VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_UNMASK, 0, 1), [unmask]);
    device.write(0, 40, Uint8Array.of(3));
    device.disconnect();
    expect([memory.unmapped, irq.closed, unmask.closed, unmask.listeners.size, toy.triggers[0], root.fds, toy.registers[40]]).toEqual([1, 1, 1, 0, undefined, fds, 3]);
    device.disconnect();
    expect([memory.unmapped, irq.closed]).toEqual([1, 1]);
  });
});

describe('features of a served device', () => {
  it('log DMA by ranges and bitmaps in the argument', () => {
    const { device, root, toy } = setUp();
    device.mapDma(range(0n, new Memory(16 * PAGE)));
    const start = feature(VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_DMA_LOGGING_START, 4096n, 2n, 0x4000n, 0x4000n, 0x8000n, 0x1000n);
    expect([device.ioctl(VFIO_DEVICE_FEATURE, start), start]).toEqual([0, feature(VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_DMA_LOGGING_START, 4096n, 2n, 0x4000n, 0x4000n, 0x8000n, 0x1000n)]);
    for (const page of [3, 5, 7, 8, 9]) toy.dma.write(page * PAGE, Uint8Array.of(1));
    const report = feature(VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT, 0x4000n, 0x8000n, 4096n, 0n);
    expect(device.ioctl(VFIO_DEVICE_FEATURE, report)).toBe(0);
    expect([...report.subarray(32)]).toEqual([0b1_1010, 0, 0, 0, 0, 0, 0, 0]);
    expect([...root.fds, root.mm.lockedPages]).toEqual([3, 4, 5, 16]);
  });

  it('are refused where the argument ends before what it counts', () => {
    const { device } = setUp();
    const ask = (...args: Parameters<typeof feature>): number => device.ioctl(VFIO_DEVICE_FEATURE, feature(...args));
    const [start, report] = [VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_DMA_LOGGING_START, VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT];
    expect([ask(start, 4096n, 2n, 0n, 4096n), ask(start, 4096n), ask(report, 0n, 4096n), ask(report, 0n, 0x41_000n, 4096n, 0n), ask(report, 0n, 0n, 0n, 0n)]).toEqual(Array(5).fill(-EINVAL));
    expect([ask(VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE), device.ioctl(VFIO_DEVICE_FEATURE, new Uint8Array(7))]).toEqual([-EINVAL, -EINVAL]);
    expect([ask(VFIO_DEVICE_FEATURE_PROBE | start), ask(VFIO_DEVICE_FEATURE_PROBE | report), ask(VFIO_DEVICE_FEATURE_PROBE | VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE)]).toEqual([0, 0, 0]);
  });

  it('hand no fds about', () => {
    const { device } = setUp();
    for (const number of [VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY_WITH_WAKEUP, VFIO_DEVICE_FEATURE_DMA_BUF]) {
      expect(device.ioctl(VFIO_DEVICE_FEATURE, feature(VFIO_DEVICE_FEATURE_SET | number, 3n))).toBe(-ENOTTY);
    }
  });

  it('carry the state of one device to another, by a stream that the client does not see', () => {
    const [source, target] = [setUp(), setUp()];
    const state = (device: (typeof source)['device'], to: number): unknown => {
      const argument = feature(VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE, BigInt(to));
      const result = device.ioctl(VFIO_DEVICE_FEATURE, argument);
      return [result, ...new Int32Array(argument.buffer, 8)];
    };
    expect([source.device.readState(new Uint8Array(8)), source.device.writeState(new Uint8Array(8))]).toEqual([-EINVAL, -EINVAL]);
    source.toy.registers.set([1, 2, 3]);
    expect(state(source.device, MIG_STATE.STOP_COPY)).toEqual([0, MIG_STATE.STOP_COPY, -1]);
    expect(state(target.device, MIG_STATE.RESUMING)).toEqual([0, MIG_STATE.RESUMING, -1]);
    const bytes = new Uint8Array(40);
    for (let count = source.device.readState(bytes); count > 0; count = source.device.readState(bytes)) {
      expect(target.device.writeState(bytes.subarray(0, count))).toBe(count);
    }
    expect(state(target.device, MIG_STATE.RUNNING)).toEqual([0, MIG_STATE.RUNNING, -1]);
    expect([...target.toy.registers.subarray(0, 4)]).toEqual([1, 2, 3, 0]);
    const fds = source.root.fds.length;
    state(source.device, MIG_STATE.RUNNING);
    state(source.device, MIG_STATE.STOP_COPY);
    expect(source.root.fds.length).toBe(fds);
  });
});
