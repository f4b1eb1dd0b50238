/** The typed layer over requests that only mediated devices of this package answer. */
import { expect, it } from 'vitest';
import { getGfxDmabuf, getPrecopyInfo, MIG_STATE, queryGfxPlane, setMigrationState, VFIO_GFX_PLANE_TYPE_DMABUF, VFIO_GFX_PLANE_TYPE_PROBE, VFIO_GFX_PLANE_TYPE_REGION } from '@vsim/vfio-core';
import { outcomeOf } from '@vsim/vfio-core/testing';
import { XRGB8888 } from '../src/index.ts';
import { setUp, uuidOf } from './set-up.ts';

it('the plane of an mdpy is a region', () => {
  const { root, create, open } = setUp();
  create('mdpy-vga', uuidOf(1));
  const { device } = open(uuidOf(1));
  expect(queryGfxPlane(root, device, VFIO_GFX_PLANE_TYPE_REGION)).toMatchObject({ format: XRGB8888, width: 640, height: 480, stride: 2560, size: 0x20_0000, x: 0, y: 0, region: 16 });
  expect(outcomeOf(() => queryGfxPlane(root, device, VFIO_GFX_PLANE_TYPE_PROBE | VFIO_GFX_PLANE_TYPE_DMABUF))).toBe('EINVAL');
  expect(outcomeOf(() => getGfxDmabuf(root, device, 0))).toBe('ENOTTY');
});

it('pre-copy of an mtty has its header to read, and then nothing', () => {
  const { root, create, open } = setUp('linux-6.12', true);
  create('mtty-1');
  const data = setMigrationState(root, open().device, MIG_STATE.PRE_COPY);
  expect(getPrecopyInfo(root, data)).toEqual({ flags: 0, initialBytes: 16n, dirtyBytes: 0n });
  root.read(data, new Uint8Array(4096));
  expect(getPrecopyInfo(root, data)).toEqual({ flags: 0, initialBytes: 0n, dirtyBytes: 0n });
});
