/** An instance that its parent frees too early: vfio_mdev of 5.13 goes on to call it, and each way in tells. */
import { getDeviceFd, getDeviceInfo, MIG_STATE, setMigrationState, USE_AFTER_FREE, VFIO_MIG_GET_PRECOPY_INFO } from '@vsim/vfio-core';
import { outcomeOf } from '@vsim/vfio-core/testing';
import { describe, expect, it } from 'vitest';
import { setUp, UUID, type MdevHost, type Opened } from './set-up.ts';

function opened(): MdevHost & Opened & { readonly told: () => readonly string[] } {
  const made = setUp('linux-5.13');
  made.create('mtty-1');
  const fds = made.open();
  const told = () => made.events.filter(({ id }) => id === USE_AFTER_FREE.id).map(({ text }) => text);
  return Object.assign(made, fds, { told });
}

describe('the instance behind vfio_mdev of 5.13, freed while its device is open', () => {
  it.each(['read', 'write', 'mmap', 'ioctl', 'close'] as const)('is told by %s, which is handed on to it', (operation) => {
    const { root, device, bus, told } = opened();
    const act = {
      read: () => root.pread(device, new Uint8Array(1), 0),
      write: () => root.pwrite(device, new Uint8Array(1), 0),
      mmap: () => outcomeOf(() => root.mmap(device, 4096)),
      ioctl: () => getDeviceInfo(root, device),
      close: () => root.close(device),
    };
    bus.device(UUID)!.instance!.free();
    act[operation]();
    expect(told()).toEqual([`${UUID}: ${operation} after its structure was freed`]);
  });

  it('is told by the first open', () => {
    const { root, device, group, bus, told } = opened();
    root.close(device);
    bus.device(UUID)!.instance!.free();
    getDeviceFd(root, group, UUID);
    expect(told()).toEqual([`${UUID}: open after its structure was freed`]);
  });

  it('is told by nobody in a whole life', () => {
    const { root, device, group, remove, told } = opened();
    getDeviceInfo(root, device);
    root.close(device);
    root.close(group);
    remove();
    expect(told()).toEqual([]);
  });
});

it('an mtty that is freed is told by the data file of its migration, which asks for its state', () => {
  const { root, create, open, bus, events } = setUp('linux-6.12', true);
  create('mtty-1');
  const pre = setMigrationState(root, open().device, MIG_STATE.PRE_COPY);
  const info = Uint8Array.from({ length: 24 }, (_, i) => (i === 0 ? 24 : 0));
  root.ioctl(pre, VFIO_MIG_GET_PRECOPY_INFO, info);
  bus.device(UUID)!.instance!.free();
  root.ioctl(pre, VFIO_MIG_GET_PRECOPY_INFO, info);
  expect(events.filter(({ id }) => id === USE_AFTER_FREE.id).map(({ text }) => text)).toEqual([`${UUID}: migration data after its structure was freed`]);
});
