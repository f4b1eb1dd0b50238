import { expect, it } from 'vitest';
import { getDeviceInfo, getRegionInfo, Random, REQUESTS, VFIO_DEVICE_GET_GFX_DMABUF, VFIO_DEVICE_QUERY_GFX_PLANE } from '@vsim/vfio-core';
import { nonsense } from '../../../testing/nonsense.ts';
import { RUNS, SEED } from '../../../testing/random.ts';
import { VBE } from '../src/index.ts';
import { setUp, uuidOf } from './set-up.ts';

it.each(['linux-5.10', 'linux-5.13', 'linux-6.1', 'linux-6.12'] as const)('random calls on mtty, mdpy, mbochs and a dmabuf, on %s: an errno or success, and nothing is left', (profile) => {
  const { host, root, create, open, remove, bus, events } = setUp(profile, profile !== 'linux-5.13' && profile !== 'linux-5.10');
  const pages = host.pages.used;
  ['mtty-2', 'mdpy-vga', 'mbochs-small'].forEach((type, n) => create(type, uuidOf(n)));
  const opened = [0, 1, 2].map((n) => open(uuidOf(n)));
  const [mtty, , mbochs] = opened.map(({ device }) => device);
  getDeviceInfo(root, mtty!);
  const vbe = Number(getRegionInfo(root, mbochs!, 2).offset) + 0x500;
  for (const [register, value] of [[VBE.XRES, 640], [VBE.YRES, 480], [VBE.BPP, 32], [VBE.ENABLE, 1]] as const) root.pwrite(mbochs!, Uint8Array.of(value & 0xff, value >> 8), vbe + 2 * register);
  const plane = new Uint8Array(64);
  plane.set([60, 0, 0, 0, 2, 0, 0, 0, 1]);
  root.tryIoctl(mbochs!, VFIO_DEVICE_QUERY_GFX_PLANE, plane);
  const fds = [...opened.map(({ device }) => device), root.ioctl(mbochs!, VFIO_DEVICE_GET_GFX_DMABUF, Uint8Array.of(1, 0, 0, 0)), root.eventfd()];
  const kept = [...fds, ...opened.flatMap(({ group, container }) => [group, container])];
  expect(root.fds.length).toBe(kept.length);
  nonsense(root, fds, Object.values(REQUESTS), new Random(SEED), RUNS * 100, kept);
  for (const fd of kept) root.close(fd);
  for (const n of [0, 1, 2]) remove(uuidOf(n));
  expect([bus.devices, host.scheduler.threads, host.pages.used - pages, root.mm.lockedPages, events.filter(({ id }) => id === 'vfio/life-cycle-broken')]).toEqual([[], [], 0, 0, []]);
});
