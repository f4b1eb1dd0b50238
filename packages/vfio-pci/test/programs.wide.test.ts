/**
 * Random programs of a user of VFIO: configuration, BARs, interrupts, ioeventfds, resets. Whatever they do, nothing is thrown; a reset
 * leaves what the recordings show (golden vfio/reset: the user's header is as it was, on three kernels); and who opens the device after
 * the last close finds what a first opener finds.
 */
import {
  Random,
  VFIO_DEVICE_GET_INFO,
  VFIO_DEVICE_GET_IRQ_INFO,
  VFIO_DEVICE_GET_REGION_INFO,
  VFIO_DEVICE_IOEVENTFD,
  VFIO_DEVICE_RESET,
  VFIO_DEVICE_SET_IRQS,
  VFIO_IRQ_SET_ACTION_TRIGGER,
  VFIO_IRQ_SET_DATA_NONE,
  type Process,
  type ProfileName,
} from '@vsim/vfio-core';
import { describe, expect, it } from 'vitest';
import { forSeeds } from '../../../testing/random.ts';
import { INTX_WITHOUT_TRIGGER, PCI_CAP_ID_PM, PCI_PM_CTRL, REGION_SPAN, createRingNic, findCapability, type PciFunction } from '../src/index.ts';
import { CONFIG, EDU_NAME, bind, eduHost, open } from './edu-host.ts';

const NIC = '0000:00:05.0';
const STEPS = 24;
/** Eight kinds of program, 1,000 of a kind for each of weight 1 in the long run: 100,000 there, 2,000 in a short one. */
const WEIGHT = 4;
const PROFILES: readonly ProfileName[] = ['linux-5.10', 'linux-5.13', 'linux-6.1', 'linux-6.12'];
const HEADER = 64;
const STATUS = 6;
const INTERRUPT_STATUS = 0x08;
/** COMMAND and the cache line size. */
const LOST_IN_D3HOT = [4, 5, 0x0c];

function host(profile: ProfileName, name: string) {
  const made = eduHost({ profile });
  if (name === NIC) made.bus.plug(createRingNic(made.host, NIC), { group: 9 });
  bind(made.process, name);
  const fn = made.bus.function(name);
  if (fn === undefined) throw new Error('no function');
  return { ...made, fn };
}

/** A request of 32-bit words, and what came back. */
function ask(process: Process, device: number, request: number, ...words: readonly number[]): string {
  const bytes = new Uint8Array(new Uint32Array(words).buffer);
  const result = process.tryIoctl(device, request, bytes);
  return `${result}: ${bytes.join()}`;
}

/**
 * The whole configuration space as the user sees it, but for what is the hardware's to keep where no reset reaches it: PMCSR's upper bits, which
 * no reset of QEMU's devices clears, nor of ours, and an interrupt that edu holds up.
 */
function config(process: Process, device: number, fn: PciFunction): Uint8Array {
  const bytes = new Uint8Array(fn.config.size);
  expect(process.tryPread(device, bytes, CONFIG)).toBe(bytes.length);
  bytes[STATUS] = bytes[STATUS]! & ~INTERRUPT_STATUS;
  const pm = findCapability(fn.config.bytes, PCI_CAP_ID_PM);
  if (pm !== 0) bytes[pm + PCI_PM_CTRL + 1] = 0;
  return bytes;
}

function ioeventfd(at: number, data: number, fd: number): readonly number[] {
  return [32, 4, at, 0, data, 0, fd, 0];
}

/** All that a user can find out: configuration, regions, interrupts and whether any is in use, ioeventfds. */
function virtualState(process: Process, device: number, fn: PciFunction): readonly string[] {
  const each = (count: number, tell: (index: number) => string): string[] => Array.from({ length: count }, (_, index) => tell(index));
  const trigger = VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER;
  return [
    config(process, device, fn).join(),
    ask(process, device, VFIO_DEVICE_GET_INFO, 20, 0, 0, 0, 0, 0),
    ...each(10, (index) => ask(process, device, VFIO_DEVICE_GET_REGION_INFO, 32, 0, index, 0, 0, 0, 0, 0)),
    ...each(5, (index) => ask(process, device, VFIO_DEVICE_GET_IRQ_INFO, 16, 0, index, 0)),
    ...each(5, (index) => ask(process, device, VFIO_DEVICE_SET_IRQS, 20, trigger, index, 0, 1)),
    ...each(4, (data) => ask(process, device, VFIO_DEVICE_IOEVENTFD, ...ioeventfd(8, data, -1))),
  ];
}

/**
 * RESET: the header that the user sees is the same after it, but for an interrupt that was up. From D3hot the way to D0 resets the function:
 * what was written to hardware since it went to sleep is lost, on 5.13 also what it had before (D61-33).
 */
function reset(process: Process, device: number, fn: PciFunction): void {
  const loses = fn.powerState === 3;
  const header = (): string => {
    const bytes = new Uint8Array(HEADER);
    expect(process.tryPread(device, bytes, CONFIG)).toBe(HEADER);
    bytes[STATUS] = bytes[STATUS]! & ~INTERRUPT_STATUS;
    if (loses) for (const at of LOST_IN_D3HOT) bytes[at] = 0;
    return bytes.join();
  };
  const before = header();
  if (process.tryIoctl(device, VFIO_DEVICE_RESET, 0) === 0) expect(header(), 'after RESET').toBe(before);
}

function step(process: Process, device: number, fn: PciFunction, random: Random): void {
  const next = (below: number): number => random.below(below);
  const bytes = random.bytes(1 + next(8));
  const at = next(4) === 0 ? next(fn.config.size + 8) : next(0x100);
  switch (next(9)) {
    case 0:
      process.tryPread(device, bytes, CONFIG + at);
      return;
    case 1:
    case 2:
      process.tryPwrite(device, bytes, CONFIG + at);
      return;
    case 3:
      process.tryPread(device, bytes, next(10) * REGION_SPAN + next(0x5000));
      return;
    case 4:
      process.tryPwrite(device, bytes, next(7) * REGION_SPAN + next(0x5000));
      return;
    case 5:
    case 6: {
      const count = next(4);
      const set = new Uint8Array(20 + 4 * count);
      const view = new DataView(set.buffer);
      [set.length, (1 << next(4)) | (8 << next(4)), next(6), next(4), count].forEach((word, i) => view.setUint32(4 * i, word, true));
      for (let i = 0; i < count; i += 1) view.setInt32(20 + 4 * i, next(6) - 1, true);
      process.tryIoctl(device, VFIO_DEVICE_SET_IRQS, set);
      return;
    }
    case 7:
      ask(process, device, VFIO_DEVICE_IOEVENTFD, ...ioeventfd(8, next(4), next(6) - 1));
      return;
    default:
      if (next(3) === 0) reset(process, device, fn);
  }
}

describe.each(PROFILES)('%s: programs of configuration, BARs and SET_IRQS', (profile) => {
  it.each([
    [EDU_NAME, 0],
    [NIC, 9],
  ] as const)('%s: nothing thrown; a reset leaves the header; a new open is a fresh one', (name, group) => {
    forSeeds((seed) => {
      const random = new Random(seed);
      const { process, fn, events } = host(profile, name);
      const first = open(process, name, group);
      const fresh = virtualState(process, first.device, fn);
      for (let i = 0; i < 3; i += 1) process.eventfd();
      for (let i = 0; i < STEPS; i += 1) step(process, first.device, fn, random);
      for (const fd of [first.device, first.group, first.container]) process.close(fd);
      const second = open(process, name, group);
      expect(virtualState(process, second.device, fn)).toEqual(fresh);
      // INTx without an eventfd is the oops that 5.13 had.
      const bugs = events.filter(({ id, severity }) => severity === 'bug' && (id !== INTX_WITHOUT_TRIGGER.id || profile !== 'linux-5.13'));
      expect(bugs).toEqual([]);
    }, WEIGHT);
  });
});
