import { describe, expect, expectTypeOf, it } from 'vitest';
import {
  Device,
  GROUP_ALLOCATION,
  getDeviceFd,
  getDeviceInfo,
  getRegionInfo,
  set,
  VFIO_DEVICE_FEATURE,
  VFIO_DEVICE_FEATURE_GET,
  VFIO_DEVICE_FEATURE_MIGRATION,
  VFIO_DEVICE_GET_GFX_DMABUF,
  VFIO_DEVICE_GET_PCI_HOT_RESET_INFO,
  VFIO_DEVICE_QUERY_GFX_PLANE,
  vfio_device_gfx_plane_info,
  VfioDevice,
  get,
  type ProfileName,
} from '@vsim/vfio-core';
import { outcomeOf } from '@vsim/vfio-core/testing';
import {
  EXHAUSTED,
  GFX_PLANE,
  MDEV_ALLOCATION,
  MDEV_CREATED,
  MDEV_STATE,
  mdevFromDevice,
  MdevParent,
  Mtty,
  NO_REQUEST,
  NOT_ASKED,
  PARENT_REFUSED,
  VFIO_DEVICE_ALLOCATION,
  XRGB8888,
  type MdevBus,
  type MdevDevice,
  type MdevType,
  type MttyDevice,
} from '../src/index.ts';
import { setUp, TYPES, UUID, uuidOf } from './set-up.ts';

/** A parent without types, whose devices are none. */
class Empty extends MdevParent {
  constructor(bus: MdevBus) {
    super(bus, 'empty', []);
  }

  override available(): number {
    return 0;
  }

  override createDevice(): number {
    return -1;
  }
}

describe('parents', () => {
  it('[vfio 6.9/1] [vfio D61-42] are checked and listed by 5.13 alone; each of 6.1 has a driver of its own', () => {
    const old = setUp('linux-5.13');
    const now = setUp();
    const registered = ({ host, bus, mtty }: typeof old) => [host.scheduler.call('again', mtty.register()), host.scheduler.call('empty', new Empty(bus).register())];
    // Twice: 5.13 finds it in its list; 6.1 stumbles over the folder that is there.
    expect([registered(old), registered(now)]).toEqual([[-17, -22], [-12, 0]]);
    expect([old.root.readdir('/sys/bus/mdev/drivers'), now.root.readdir('/sys/bus/mdev/drivers')]).toEqual([['vfio_mdev'], ['empty', 'mbochs', 'mdpy', 'mtty']]);
    expect(now.left('mtty-1')).toBe(24);
    // One that failed to register leaves nothing to unregister (V28).
    const failed = new Empty(old.bus);
    expect(old.host.scheduler.call('modprobe', failed.register())).toBe(-22);
    old.host.scheduler.call('rmmod', failed.unregister());
    expect([old.events.filter(({ id, text }) => text.includes('empty') && id !== PARENT_REFUSED.id), old.root.readdir('/sys/class/mdev_bus')]).toEqual([[], ['mbochs', 'mdpy', 'mtty']]);
    // One that is none is left alone, and one that has left can come again.
    now.host.scheduler.call('rmmod', new Empty(now.bus).unregister());
    now.host.scheduler.call('rmmod', now.mtty.unregister());
    now.host.scheduler.call('rmmod', now.mtty.unregister());
    expect(now.host.scheduler.call('modprobe', now.mtty.register())).toBe(0);
    now.create('mtty-1');
    expect(now.events.filter(({ id }) => id === MDEV_STATE.id).map(({ text }) => text).slice(-4)).toEqual(['mbochs: MDEV_STATE=registered', 'empty: MDEV_STATE=registered', 'mtty: MDEV_STATE=unregistered', 'mtty: MDEV_STATE=registered']);
  });

  it('[vfio 6.9/1] register emulated devices: a group for each, without DMA ownership or a look at coherency', () => {
    const { create, vfio, bus } = setUp();
    create('mtty-1');
    create('mtty-1', uuidOf(1));
    expect(vfio.groups.map(({ iommuGroup, devices }) => [iommuGroup.kind, iommuGroup.dmaOwnerClaimed, devices.length])).toEqual([['emulated', false, 1], ['emulated', false, 1]]);
    expect(bus.devices.map(({ vfioDevice }) => vfioDevice?.state)).toEqual(['live', 'live']);
  });

  it('[vfio 6.9/2] show types and devices in sysfs: attributes, links, what cannot be read', () => {
    const { create, root } = setUp();
    create('mdpy-hd');
    create('mtty-1', uuidOf(1));
    const type = '/sys/class/mdev_bus/mdpy/mdev_supported_types/mdpy-hd';
    expect([root.readdir(type), root.readFile(`${type}/description`), root.readFile(`${type}/name`), root.readFile(`${type}/device_api`), root.readdir(`${type}/devices`)]).toEqual([
      ['available_instances', 'create', 'description', 'device_api', 'devices', 'name'],
      'virtual display, 1920x1080 framebuffer\n',
      'mdpy-hd\n',
      'vfio-pci\n',
      [UUID],
    ]);
    expect([outcomeOf(() => root.readFile(`${TYPES}/mtty-1/description`)), outcomeOf(() => root.readFile(`${TYPES}/mtty-1/create`))]).toEqual(['ENOENT', 'EACCES']);
    const mdev = `/sys/bus/mdev/devices/${UUID}`;
    expect(['driver', 'iommu_group', 'mdev_type', 'remove', 'vendor', 'vfio-dev'].filter((name) => !root.readdir(mdev).includes(name))).toEqual([]);
    expect([outcomeOf(() => root.readFile(`${mdev}/remove`)), root.readFile(`${mdev}/vendor/resolution`), root.readlink(`${mdev}/driver`), root.readlink(`${mdev}/mdev_type`)]).toEqual([
      'EACCES', '1920x1080\n', '/sys/bus/mdev/drivers/mdpy', '/sys/devices/virtual/mdpy/mdpy/mdev_supported_types/mdpy-hd',
    ]);
    expect([root.readdir(`${mdev}/vfio-dev`), root.readdir(`/sys/bus/mdev/devices/${uuidOf(1)}/vfio-dev`)]).toEqual([['vfio0'], ['vfio1']]);
  });

  it('[vfio 6.9/3] are counted by the core, which says EUSERS after a look at the UUID, or count for themselves', () => {
    const { create, remove, left, host } = setUp();
    for (let n = 0; n < 4; n += 1) create('mdpy-vga', uuidOf(n));
    expect([left('mdpy-vga'), left('mdpy-hd')]).toEqual([0, 0]);
    // The UUID first, then the count, then memory.
    host.faults.failNext(MDEV_ALLOCATION);
    expect([outcomeOf(() => create('mdpy-vga', uuidOf(0))), outcomeOf(() => create('mdpy-hd', uuidOf(9))), host.faults.isArmed(MDEV_ALLOCATION)]).toEqual(['EEXIST', 'EUSERS', true]);
    remove(uuidOf(1));
    expect([outcomeOf(() => create('mdpy-hd', uuidOf(9))), outcomeOf(() => create('mdpy-hd', uuidOf(9)))]).toEqual(['ENOMEM', 'success']);
    for (let n = 0; n < 24; n += 1) create('mtty-1', uuidOf(100 + n));
    expect([left('mtty-1'), outcomeOf(() => create('mtty-1', uuidOf(99)))]).toEqual([0, 'ENOSPC']);
  });
});

describe('creation', () => {
  it('says what is left, and who has the rest, when there is no more', () => {
    const { create, events, host } = setUp();
    for (let n = 0; n < 12; n += 1) create('mtty-2', uuidOf(n));
    outcomeOf(() => create('mtty-1', uuidOf(99)));
    for (let n = 0; n < 4; n += 1) create('mdpy-vga', uuidOf(100 + n));
    outcomeOf(() => create('mdpy-hd', uuidOf(99)));
    // What fails for another reason is not for want of instances.
    host.faults.failNext(MDEV_ALLOCATION);
    outcomeOf(() => create('mbochs-small', uuidOf(99)));
    expect(events.filter(({ id }) => id === EXHAUSTED.id).map(({ text }) => text)).toEqual([
      `mtty-1: 0 left; in use: ${Array.from({ length: 12 }, (_, n) => `${uuidOf(n)} (mtty-2)`).join(', ')}`,
      `mdpy-hd: 0 left; in use: ${Array.from({ length: 4 }, (_, n) => `${uuidOf(100 + n)} (mdpy-vga)`).join(', ')}`,
    ]);
  });

  it('[vfio 6.9/4] attaches the parent’s driver, and fails with it; 5.13 probes, and does not look', () => {
    for (const profile of ['linux-6.1', 'linux-5.13'] as const) {
      for (const point of [VFIO_DEVICE_ALLOCATION, GROUP_ALLOCATION]) {
        const { create, host, bus, left, vfio, root, remove } = setUp(profile);
        host.faults.failNext(point);
        const modern = profile === 'linux-6.1';
        expect([outcomeOf(() => create('mtty-1')), bus.device(UUID) === undefined, left('mtty-1')]).toEqual(modern ? ['ENOMEM', true, 24] : ['success', false, 23]);
        expect([vfio.groups.length, root.readdir('/dev/vfio'), bus.device(UUID)?.iommuGroup, bus.device(UUID)?.driverName]).toEqual([0, ['vfio'], undefined, undefined]);
        if (!modern) remove();
        create('mtty-1');
        expect([vfio.groups.length, left('mtty-1')]).toEqual([1, 23]);
      }
    }
  });

  it('[vfio 6.9/4] is final: what was unbound binds no more, has no group, and can only be removed', () => {
    const { create, root, remove, bus, left } = setUp();
    create('mtty-1');
    root.writeFile('/sys/bus/mdev/drivers/mtty/unbind', UUID);
    for (const driver of ['mtty', 'mdpy']) expect(outcomeOf(() => root.writeFile(`/sys/bus/mdev/drivers/${driver}/bind`, UUID))).toBe('ENODEV');
    expect([outcomeOf(() => root.readlink(`/sys/bus/mdev/devices/${UUID}/iommu_group`)), bus.device(UUID)?.driverName]).toEqual(['ENOENT', undefined]);
    remove();
    create('mtty-1');
    expect([root.readdir('/sys/bus/mdev/devices'), left('mtty-1')]).toEqual([[UUID], 23]);
  });

  it('[vfio 6.9/5] removal while open waits as an unbind: new fds are given out, and nobody is told', () => {
    const { create, root, open, events, host, bus } = setUp();
    create('mtty-1');
    const { device, group } = open();
    const before = events.length;
    const removing = root.start('remove', root.sys.writeFile(`/sys/bus/mdev/devices/${UUID}/remove`, '1'));
    const second = getDeviceFd(root, group, UUID);
    host.scheduler.advance(60_000_000_000);
    root.close(device);
    expect([removing.outcome.state, events.length - before, bus.device(UUID)?.vfioDevice?.openCount]).toEqual(['asleep', 0, 1]);
    getDeviceInfo(root, second);
    root.close(second);
    expect([removing.result(), bus.devices]).toEqual([1, []]);
  });
});

it('[vfio 6.9/8] [mdev 27] a sample has no features, no hot reset and no dmabuf; mdpy’s plane is region 16, all of it', () => {
  const { create, root, open } = setUp();
  create('mtty-1');
  create('mdpy-vga', uuidOf(1));
  const [mtty, mdpy] = [open().device, open(uuidOf(1)).device];
  const sized = (size: number, ...words: readonly number[]) => {
    const bytes = new Uint8Array(size);
    [size, ...words].forEach((word, i) => { set(bytes, [4 * i, 'u32'], word); });
    return bytes;
  };
  const feature = sized(16, VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_MIGRATION);
  expect([mtty, mdpy].map((fd) => [outcomeOf(() => root.ioctl(fd, VFIO_DEVICE_FEATURE, feature)), outcomeOf(() => root.ioctl(fd, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, sized(12))), outcomeOf(() => root.ioctl(fd, VFIO_DEVICE_GET_GFX_DMABUF, sized(4)))])).toEqual(Array.from({ length: 2 }, () => ['ENOTTY', 'ENOTTY', 'ENOTTY']));
  const plane = sized(60, GFX_PLANE.REGION);
  plane.fill(0xee, 8);
  root.ioctl(mdpy, VFIO_DEVICE_QUERY_GFX_PLANE, plane);
  const { drm_format, width, height, stride, plane_size, x_pos, x_hot, y_hot, region_index } = vfio_device_gfx_plane_info;
  expect([drm_format, width, height, stride, plane_size, x_pos, x_hot, y_hot, region_index].map((field) => get(plane, field))).toEqual([XRGB8888, 640, 480, 2560, 0x20_0000, 0, 0, 0, 16]);
  expect(getRegionInfo(root, mdpy, 16).size).toBe(0x20_0000n);
  expect([GFX_PLANE.PROBE | GFX_PLANE.REGION, GFX_PLANE.PROBE | GFX_PLANE.DMABUF, GFX_PLANE.DMABUF].map((flags) => outcomeOf(() => root.ioctl(mdpy, VFIO_DEVICE_QUERY_GFX_PLANE, sized(60, flags))))).toEqual(['success', 'EINVAL', 'EINVAL']);
});

describe('an mdev and its VFIO device', () => {
  it.each<ProfileName>(['linux-5.13', 'linux-6.1'])('[vfio P10/1] [vfio Cross-patch-acceptance-t/11] are two objects: one lives from create to remove, the other is live while its driver is bound, %s', (profile) => {
    const { host, root, create, bus, vfio, remove } = setUp(profile);
    const driver = profile === 'linux-5.13' ? 'vfio_mdev' : 'mtty';
    host.scheduler.stopAt(MDEV_CREATED);
    const creating = root.start('create', root.sys.writeFile(`${TYPES}/mtty-1/create`, UUID));
    const mdev = bus.device(UUID)!;
    const vfioDevice = mdev.vfioDevice!;
    // drvdata is the VFIO device, which knows the mdev as the device that it is embedded beside.
    expect([vfioDevice instanceof VfioDevice, vfioDevice.device, vfioDevice.state, vfio.groups.map(({ devices }) => devices)]).toEqual([true, mdev, 'live', [[vfioDevice]]]);
    host.scheduler.release(MDEV_CREATED);
    expect(creating.result()).toBe(UUID.length);
    const { instance } = mdev;
    root.writeFile(`/sys/bus/mdev/drivers/${driver}/unbind`, UUID);
    expect([vfioDevice.state, vfio.groups, bus.device(UUID), mdev.active, mdev.vfioDevice]).toEqual(['gone', [], mdev, true, undefined]);
    if (profile === 'linux-5.13') {
      // What the parent made stays, and each bind allocates another device before it.
      expect([instance === vfioDevice, mdev.instance === instance]).toEqual([false, true]);
      root.writeFile(`/sys/bus/mdev/drivers/${driver}/bind`, UUID);
      expect([mdev.vfioDevice?.state, mdev.vfioDevice === vfioDevice, mdev.instance === instance, vfioDevice.state]).toEqual(['live', false, true, 'gone']);
    } else {
      expect([instance === vfioDevice, mdev.instance]).toEqual([true, undefined]);
    }
    remove();
    expect([bus.devices, mdev.vfioDevice, mdev.instance]).toEqual([[], undefined, undefined]);
    create('mtty-1');
    expect([bus.device(UUID) === mdev, bus.device(UUID)?.vfioDevice === vfioDevice]).toEqual([false, false]);
  });

  it('5.13 hands every operation on to what the parent made', () => {
    const { create, open, root, host } = setUp('linux-5.13');
    create('mbochs-small');
    const { device } = open();
    const mapping = root.mmap(device, 0x1000, 3 * 4096);
    expect([getDeviceInfo(root, device).numRegions, mapping.length]).toEqual([10, 0x1000]);
    root.pwrite(device, Uint8Array.of(0x20, 3), 4096 + 0x502);
    const into = new Uint8Array(2);
    root.pread(device, into, 4096 + 0x502);
    expect([...into]).toEqual([0x20, 3]);
    const used = host.pages.used;
    root.close(device);
    expect(used - host.pages.used).toBe(0); // the mapping keeps it open
    mapping.unmap();
    expect(used - host.pages.used).toBe(1024); // its close dropped the framebuffer
  });

  it('[vfio P10/3] ask their user through the parent, every ten seconds; 5.13 says once that the parent cannot', () => {
    class Asking extends Mtty {
      override readonly asksUser: boolean = true;
      readonly asked: number[] = [];

      override createDevice(mdev: MdevDevice): MttyDevice | number {
        const device = super.createDevice(mdev);
        if (typeof device !== 'number') device.request = (count) => { this.asked.push(count); };
        return device;
      }
    }
    const blocked = (profile: ProfileName, asks: boolean) => {
      const { host, bus, vfio, root, mtty, create, open, events } = setUp(profile);
      let asking: Asking | undefined;
      if (asks) {
        host.scheduler.call('rmmod', mtty.unregister());
        asking = new Asking(bus, vfio);
        host.scheduler.call('modprobe', asking.register());
      }
      create('mtty-1');
      const { device, group } = open();
      const seen = events.length;
      const driver = profile === 'linux-5.13' ? 'vfio_mdev' : 'mtty';
      const unbind = root.start('unbind', root.sys.writeFile(`/sys/bus/mdev/drivers/${driver}/unbind`, UUID));
      host.scheduler.advance(25_000_000_000);
      root.close(device);
      root.close(group);
      const told = events.slice(seen).map(({ id }) => id);
      return [unbind.result(), asking?.asked ?? [], told, events.filter(({ id, text }) => id === NO_REQUEST.id && text.startsWith('mtty')).length];
    };
    expect(blocked('linux-5.13', false)).toEqual([UUID.length, [], [NOT_ASKED.id], 1]);
    expect(blocked('linux-5.13', true)).toEqual([UUID.length, [0, 1, 2], [], 1]);
    expect(blocked('linux-6.1', false)).toEqual([UUID.length, [], [], 0]);
    expect(blocked('linux-6.1', true)).toEqual([UUID.length, [0, 1, 2], [], 0]);
  });

  it('[vfio P11/1] [vfio P11/2] [vfio Cross-patch-acceptance-t/12] convert by type: any name will do, and only what is a device is taken', () => {
    const { create, bus, host } = setUp();
    create('mtty-1');
    const whateverTheName = bus.device(UUID)!;
    const { vfioDevice } = whateverTheName;
    // From the device that a VFIO device has, back to the mdev.
    const embedded: Device = vfioDevice!.device;
    expect([mdevFromDevice(embedded), mdevFromDevice(whateverTheName)]).toEqual([whateverTheName, whateverTheName]);
    class Other extends Device {}
    expect(mdevFromDevice(new Other(host, 'other', '/sys/devices/other'))).toBeUndefined();
    expectTypeOf(mdevFromDevice).parameters.toEqualTypeOf<[Device]>();
    expectTypeOf(mdevFromDevice(embedded)).toEqualTypeOf<MdevDevice | undefined>();
    type Taken = Parameters<typeof mdevFromDevice>[0];
    expectTypeOf<MdevDevice>().toExtend<Taken>();
    // A VFIO device is beside the mdev, not in it; a type, a parent and a name are no devices at all.
    expectTypeOf<VfioDevice>().not.toExtend<Taken>();
    expectTypeOf<MdevType>().not.toExtend<Taken>();
    expectTypeOf<MdevParent>().not.toExtend<Taken>();
    expectTypeOf<string>().not.toExtend<Taken>();
    // A parent's operations take an mdev, and no other device.
    type Made = Parameters<MdevParent['createDevice']>[0];
    expectTypeOf<MdevDevice>().toExtend<Made>();
    expectTypeOf<Device>().not.toExtend<Made>();
  });
});

describe('UUIDs', () => {
  it('that are malformed leave nothing: the right length, hex digits, dashes in their places', () => {
    const { create, bus, left } = setUp();
    const bad = [
      UUID.replaceAll('-', ''),
      UUID.replaceAll('-', ':'),
      `${UUID.slice(0, 8)}0${UUID.slice(8, -1)}`,
      ` ${UUID.slice(1)}`,
      UUID.replace('83', '0x'),
      `{${UUID.slice(1, -1)}}`,
      UUID.slice(0, -1),
      `${UUID}\n\n`,
      `${UUID.slice(0, -1)}\n`,
      `${UUID.slice(0, -1)}ü`,
      '\0'.repeat(36),
      '-'.repeat(36),
    ];
    for (const text of bad) expect([text, outcomeOf(() => create('mtty-1', text))]).toEqual([text, 'EINVAL']);
    expect([create('mtty-1', ''), bus.devices, left('mtty-1')]).toEqual([0, [], 24]);
  });

  it('that are taken are refused: in another case, by another type or parent, while created, and while removed', () => {
    const { create, root, open, host, bus } = setUp();
    host.scheduler.stopAt(MDEV_CREATED);
    const creating = root.start('create', root.sys.writeFile(`${TYPES}/mtty-1/create`, UUID));
    expect(outcomeOf(() => create('mdpy-vga'))).toBe('EEXIST');
    host.scheduler.release(MDEV_CREATED);
    creating.result();
    for (const type of ['mtty-1', 'mtty-2', 'mdpy-vga', 'mbochs-small']) expect(outcomeOf(() => create(type, UUID.toUpperCase()))).toBe('EEXIST');
    const { device, group } = open();
    const removing = root.start('remove', root.sys.writeFile(`/sys/bus/mdev/devices/${UUID}/remove`, '1'));
    expect([removing.outcome.state, outcomeOf(() => create('mdpy-vga'))]).toEqual(['asleep', 'EEXIST']);
    root.close(device);
    root.close(group);
    create('mdpy-vga', `${UUID.toUpperCase()}\n`);
    expect(bus.devices.map(({ name, parent }) => [name, parent.driverName])).toEqual([[UUID, 'mdpy']]);
  });
});
