/**
 * Random programs of a user of VFIO: configuration, BARs, interrupts, resets. Whatever they do, nothing is thrown, and who opens the device
 * after the last close finds what a first opener finds.
 */
import {
  VFIO_DEVICE_RESET,
  VFIO_DEVICE_SET_IRQS,
  type Process,
  type ProfileName,
} from '@vsim/vfio-core';
import { describe, expect, it } from 'vitest';
import { forSeeds } from '../../../testing/random.ts';
import { PCI_CAP_ID_PM, PCI_PM_CTRL, REGION_SPAN, createRingNic, findCapability, type PciFunction } from '../src/index.ts';
import { CONFIG, EDU_NAME, bind, eduHost, open } from './edu-host.ts';

const NIC = '0000:00:05.0';
const STEPS = 40;
const PROFILES: readonly ProfileName[] = ['linux-5.10', 'linux-5.13', 'linux-6.1', 'linux-6.12'];

/** Numbers in [0, below), by a linear congruence. */
function numbers(seed: number): (below: number) => number {
  let state = (seed * 2_654_435_761 + 1) >>> 0;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 0x1_0000_0000) * below);
  };
}

function host(profile: ProfileName) {
  const made = eduHost({ profile });
  const nic = createRingNic(made.host, NIC);
  made.bus.plug(nic, { group: 9 });
  bind(made.process, EDU_NAME);
  bind(made.process, NIC);
  return made;
}

/** The whole configuration space as the user sees it, but for PMCSR's upper bits: no reset of QEMU's devices clears them, nor of ours. */
function config(process: Process, device: number, fn: PciFunction): string {
  const bytes = new Uint8Array(fn.config.size);
  expect(process.tryPread(device, bytes, CONFIG)).toBe(bytes.length);
  const pm = findCapability(fn.config.bytes, PCI_CAP_ID_PM);
  if (pm !== 0) bytes[pm + PCI_PM_CTRL + 1] = 0;
  return bytes.join();
}

function step(process: Process, device: number, size: number, next: (below: number) => number): void {
  const bytes = Uint8Array.from({ length: 1 + next(8) }, () => next(256));
  const at = next(4) === 0 ? next(size + 8) : next(0x100);
  switch (next(7)) {
    case 0:
      process.tryPread(device, bytes, CONFIG + at);
      return;
    case 1:
    case 2:
      process.tryPwrite(device, bytes, CONFIG + at);
      return;
    case 3:
      process.tryPread(device, bytes, next(9) * REGION_SPAN + next(0x5000));
      return;
    case 4:
      process.tryPwrite(device, bytes, next(7) * REGION_SPAN + next(0x5000));
      return;
    case 5: {
      const count = next(4);
      const set = new Uint8Array(20 + 4 * count);
      const view = new DataView(set.buffer);
      [set.length, (1 << next(4)) | (8 << next(4)), next(6), next(4), count].forEach((word, i) => view.setUint32(4 * i, word, true));
      for (let i = 0; i < count; i += 1) view.setInt32(20 + 4 * i, next(6) - 1, true);
      process.tryIoctl(device, VFIO_DEVICE_SET_IRQS, set);
      return;
    }
    default:
      if (next(4) === 0) process.tryIoctl(device, VFIO_DEVICE_RESET, 0);
  }
}

describe.each(PROFILES)('%s: programs of configuration, BARs and SET_IRQS', (profile) => {
  it.each([
    [EDU_NAME, 0],
    [NIC, 9],
  ] as const)('%s: nothing thrown; a new open is a fresh one', (name, group) => {
    forSeeds((seed) => {
      const next = numbers(seed);
      const { process, bus, events } = host(profile);
      const fn = bus.function(name);
      if (fn === undefined) throw new Error('no function');
      const first = open(process, name, group);
      const fresh = config(process, first.device, fn);
      for (let i = 0; i < 3; i += 1) process.eventfd();
      for (let i = 0; i < STEPS; i += 1) step(process, first.device, fn.config.size, next);
      for (const fd of [first.device, first.group, first.container]) process.close(fd);
      const second = open(process, name, group);
      expect(config(process, second.device, fn), `seed ${seed}`).toBe(fresh);
      expect(events.filter(({ severity }) => severity === 'bug')).toEqual([]);
    });
  });
});
