/** Mediated devices in sysfs, and the modules of their parents, as Linux 6.1 was recorded. */
import { describe, expect, it } from 'vitest';
import { getDeviceFd, getGroupStatus, getIommuInfo, MODULE_USED, NO_AUTOSUSPEND, VFIO_DEVICE_GET_GFX_DMABUF, VFIO_DEVICE_QUERY_GFX_PLANE } from '@vsim/vfio-core';
import { outcomeOf } from '@vsim/vfio-core/testing';
import { why } from '../../../testing/why.ts';
import { Mbochs, Mdpy } from '../src/index.ts';
import { setUp, UUID, uuidOf } from './set-up.ts';

const BUS = '/sys/bus/mdev';
const DEVICE = `${BUS}/devices/${UUID}`;
const OWN = `/sys/devices/virtual/mtty/mtty/${UUID}`;

describe('create', () => {
  it('[mdev 1] takes 36 bytes of a UUID, and one more of any kind', () => {
    const { create, remove } = setUp();
    const behind = ['', '\n', '\0', '}', ' ', 'x'].map((end) => {
      const length = create('mtty-1', UUID + end);
      remove();
      return length;
    });
    expect(behind).toEqual([36, 37, 37, 37, 37, 37]);
    const none = UUID.slice(0, 8) + UUID.slice(8).replaceAll('-', '');
    expect([` ${UUID.slice(1)}`, `\n${UUID}`, `{${UUID}`, UUID.replace('-', '_'), none, `${UUID}xx`].map((text) => outcomeOf(() => create('mtty-1', text)))).toEqual(Array(6).fill('EINVAL'));
    expect([create('mtty-1', '00000000-0000-0000-0000-000000000000'), create('mtty-1', 'ffffffff-ffff-ffff-ffff-ffffffffffff'), create('mtty-1', '')]).toEqual([36, 36, 0]);
  });

  it('[mdev 2] looks at the form, then for the UUID anywhere, then whether anything is left', () => {
    const { create } = setUp();
    for (let n = 0; n < 4; n += 1) create('mdpy-vga', uuidOf(n));
    expect([create('mtty-1'), outcomeOf(() => create('mdpy-hd', 'x')), outcomeOf(() => create('mdpy-hd')), outcomeOf(() => create('mdpy-hd', uuidOf(9)))]).toEqual([36, 'EINVAL', 'EEXIST', 'EUSERS']);
  });

  it('[mdev 3] gives what is left, whatever went before: ENOSPC by mtty and mbochs, EUSERS by mdpy', () => {
    const { create, remove, left } = setUp();
    for (let n = 0; n < 11; n += 1) create('mtty-2', uuidOf(n));
    create('mtty-1', uuidOf(11));
    expect([outcomeOf(() => create('mtty-2', uuidOf(12))), create('mtty-1', uuidOf(12)), outcomeOf(() => create('mtty-1', uuidOf(13)))]).toEqual(['ENOSPC', 36, 'ENOSPC']);
    for (const n of [3, 12, 0]) remove(uuidOf(n));
    expect([left('mtty-1'), left('mtty-2')]).toEqual([5, 2]);
  });
});

describe('remove', () => {
  it('[mdev 4] takes a number of 64 bits with base 0, and one newline', () => {
    const { create, root, bus } = setUp();
    const write = (text: string) => {
      if (bus.device(UUID) === undefined) create('mtty-1');
      const outcome = outcomeOf(() => root.writeFile(`${DEVICE}/remove`, text));
      return outcome === 'success' ? `removed: ${bus.device(UUID) === undefined}` : outcome;
    };
    expect(['08', '0x', '18446744073709551616', '-1', ' 1', '1 ', '1\n\n', '\n'].map(write)).toEqual(Array(8).fill('EINVAL'));
    expect(['07', '0x10', '+1', '2', '18446744073709551615', '1\n'].map(write)).toEqual(Array(6).fill('removed: true'));
    expect(['0', '00', '0x0', ''].map(write)).toEqual(Array(4).fill('removed: false'));
  });

  it('[mdev 5] that waits for its user has taken the device off its bus, and left the group and vfio-dev', () => {
    const { create, root, open, host, groupOf } = setUp();
    create('mtty-1');
    const group = groupOf(UUID);
    const fds = open();
    const remove = root.start('remove', root.sys.writeFile(`${DEVICE}/remove`, '1'));
    expect([root.readdir(`${BUS}/devices`), outcomeOf(() => root.readFile(`${DEVICE}/uevent`)), root.readdir(OWN)]).toEqual([[], 'ENOENT', ['iommu_group', 'vfio-dev']]);
    expect([root.readdir(`${BUS}/drivers/mtty`), host.files.lookup(`/dev/vfio/${group}`)?.kind]).toEqual([['bind', 'module', 'uevent', 'unbind'], 'device']);
    const second = getDeviceFd(root, fds.group, UUID);
    root.close(fds.device);
    expect([outcomeOf(() => create('mtty-1')), create('mtty-1', uuidOf(2)), remove.outcome.state]).toEqual(['EEXIST', 36, 'asleep']);
    root.close(second);
    expect([remove.result(), outcomeOf(() => root.readdir(OWN))]).toEqual([1, 'ENOENT']);
  });

  it('[mdev 8] does not wait for an open group: its fd answers ENODEV, the container has lost its IOMMU', () => {
    const { create, remove, root, open, groupOf } = setUp();
    create('mtty-1');
    const fds = open();
    root.close(fds.device);
    expect([remove(), outcomeOf(() => getGroupStatus(root, fds.group)), outcomeOf(() => getIommuInfo(root, fds.container))]).toEqual([1, 'ENODEV', 'EINVAL']);
    create('mtty-1');
    const number = groupOf(UUID);
    const other = root.open(`/dev/vfio/${number}`);
    expect(getGroupStatus(root, other)).toBe(1);
  });
});

describe('unbind', () => {
  it('[mdev 6] that waits takes driver and vendor; a remove meanwhile waits as well, and the last close ends both', () => {
    const { create, root, open, bus } = setUp();
    create('mtty-1');
    const fds = open();
    const unbind = root.start('unbind', root.sys.writeFile(`${BUS}/drivers/mtty/unbind`, UUID));
    expect(root.readdir(DEVICE)).toEqual(['iommu_group', 'mdev_type', 'power', 'remove', 'subsystem', 'uevent', 'vfio-dev']);
    const remove = root.start('remove', root.sys.writeFile(`${DEVICE}/remove`, '1'));
    expect([unbind.outcome.state, remove.outcome.state]).toEqual(['asleep', 'asleep']);
    root.close(fds.device);
    expect([unbind.result(), remove.result(), bus.device(UUID)]).toEqual([36, 1, undefined]);
  });

  it('[mdev 7] gives back what the device had, but mdpy’s instance, which the core counts; nothing binds it again', () => {
    const { create, remove, root, left } = setUp();
    for (const [n, type] of ['mtty-2', 'mbochs-large', 'mdpy-vga'].entries()) create(type, uuidOf(n));
    for (const [n, parent] of ['mtty', 'mbochs', 'mdpy'].entries()) root.writeFile(`${BUS}/drivers/${parent}/unbind`, uuidOf(n));
    expect([left('mtty-2'), left('mbochs-large'), left('mdpy-vga')]).toEqual([12, 4, 3]);
    const device = `${BUS}/devices/${uuidOf(2)}`;
    expect([outcomeOf(() => root.writeFile(`${BUS}/drivers/mdpy/bind`, uuidOf(2))), root.writeFile(`${BUS}/drivers_probe`, uuidOf(2)), root.readdir(device)]).toEqual(['ENODEV', 36, ['mdev_type', 'power', 'remove', 'subsystem', 'uevent']]);
    remove(uuidOf(2));
    expect(left('mdpy-vga')).toBe(4);
  });
});

it('[mdev 9] a device is named by its UUID in lower case alone', () => {
  const { create, root, open } = setUp();
  create('mtty-1');
  const { group, device } = open();
  root.close(device);
  const names = [UUID, UUID.toUpperCase(), `${UUID} `, ` ${UUID}`, `${UUID} vf_token=${UUID}`, UUID.slice(0, 35)];
  expect(names.map((name) => outcomeOf(() => getDeviceFd(root, group, name)))).toEqual(['success', ...Array<string>(5).fill('ENODEV')]);
});

describe('sysfs', () => {
  it('[mdev 10] has the bus with its drivers, each with the module that it is in', () => {
    const { root } = setUp();
    expect([root.readdir(BUS), root.readdir(`${BUS}/drivers/mdpy`), root.readlink(`${BUS}/drivers/mdpy/module`)]).toEqual([
      ['devices', 'drivers', 'drivers_autoprobe', 'drivers_probe', 'uevent'], ['bind', 'module', 'uevent', 'unbind'], '/sys/module/mdpy',
    ]);
    expect(root.readdir('/sys/module/mdpy')).toEqual(['parameters']);
  });

  it('[mdev 11] takes actions in uevent, and with them a UUID and pairs for whoever listens', () => {
    const { create, root } = setUp();
    create('mtty-1');
    const write = (text: string) => outcomeOf(() => root.writeFile(`${DEVICE}/uevent`, text));
    expect(['add', 'change', 'remove', 'bind', 'add\n', `add ${UUID}`, `add ${UUID} A=1 B=2`].map(write)).toEqual(Array(7).fill('success'));
    expect(['junk', 'ADD', 'add ', 'addition', 'add x', `add ${UUID} A`].map(write)).toEqual(Array(6).fill('EINVAL'));
    expect([root.readFile(`${DEVICE}/uevent`), outcomeOf(() => root.readFile(`${BUS}/uevent`)), root.writeFile(`${BUS}/drivers/mtty/uevent`, 'add')]).toEqual(['DRIVER=mtty\n', 'EACCES', 3]);
  });

  it('[mdev 12] has power without runtime management, and a group that VFIO has named', () => {
    const { create, root, groupOf, events } = setUp();
    create('mtty-1');
    const power = `${DEVICE}/power`;
    expect([root.readdir(power), root.readFile(`${power}/runtime_status`), root.readFile(`${power}/control`)]).toEqual([
      ['async', 'autosuspend_delay_ms', 'control', 'runtime_active_kids', 'runtime_active_time', 'runtime_enabled', 'runtime_status', 'runtime_suspended_time', 'runtime_usage'], 'unsupported\n', 'auto\n',
    ]);
    expect([outcomeOf(() => root.writeFile(`${power}/control`, 'off')), root.writeFile(`${power}/control`, 'on\n'), root.readFile(`${power}/control`)]).toEqual(['EINVAL', 3, 'on\n']);
    expect(why(events, () => root.readFile(`${power}/autosuspend_delay_ms`))).toBe(`EIO ${NO_AUTOSUSPEND.id}: ${OWN} is suspended at once, or never`);
    expect(root.readdir(`${DEVICE}/vfio-dev/vfio0`)).toEqual(['device', 'power', 'subsystem', 'uevent']);
    const group = `/sys/kernel/iommu_groups/${groupOf(UUID)}`;
    expect([root.readdir(group), root.readFile(`${group}/name`), root.readFile(`${group}/type`), root.readFile(`${group}/reserved_regions`)]).toEqual([
      ['devices', 'name', 'reserved_regions', 'type'], 'vfio-noiommu\n', 'unknown\n', '',
    ]);
  });

  it('[mdev 13] lets nobody write what a type tells, or read what makes and removes', () => {
    const { create, root } = setUp();
    create('mtty-1');
    const type = '/sys/class/mdev_bus/mtty/mdev_supported_types/mtty-1';
    expect(['name', 'device_api', 'available_instances'].map((name) => outcomeOf(() => root.writeFile(`${type}/${name}`, '1')))).toEqual(['EACCES', 'EACCES', 'EACCES']);
    expect([`${type}/create`, `${DEVICE}/remove`].map((path) => outcomeOf(() => root.readFile(path)))).toEqual(['EACCES', 'EACCES']);
  });
});

describe('a module', () => {
  it('[mdev 14] is used by open devices, one for each GET_DEVICE_FD, and goes with those that nobody has open', () => {
    const { create, root, open, host, mtty, bus, events } = setUp();
    create('mtty-1');
    const fds = open();
    const unload = () => host.scheduler.call('rmmod', mtty.unload());
    const second = getDeviceFd(root, fds.group, UUID);
    const dup = root.dup(second);
    expect([mtty.driver.users, why(events, unload)]).toEqual([2, `EAGAIN ${MODULE_USED.id}: mtty has 2 users`]);
    for (const fd of [dup, second, fds.device]) root.close(fd);
    expect([mtty.driver.users, unload(), bus.device(UUID), root.readdir('/sys/class/mdev_bus'), outcomeOf(() => getGroupStatus(root, fds.group))]).toEqual([0, 0, undefined, ['mbochs', 'mdpy'], 'ENODEV']);
    expect([host.scheduler.call('modprobe', mtty.register()), create('mtty-1')]).toEqual([0, 36]);
  });

  it('[mdev 33] is used by a dmabuf of its, also when the device is closed', () => {
    const { create, root, open, mbochs } = setUp();
    create('mbochs-small');
    const { device } = open();
    const vbe = (index: number, value: number) => root.pwrite(device, Uint8Array.of(value & 0xff, value >> 8), 0x1500 + 2 * index);
    for (const [index, value] of [[1, 64], [2, 64], [3, 32], [4, 1]] as const) vbe(index, value);
    const plane = new Uint8Array(Uint32Array.from([60, 2, 1, ...Array<number>(13).fill(0)]).buffer);
    outcomeOf(() => root.ioctl(device, VFIO_DEVICE_QUERY_GFX_PLANE, plane));
    const dmabuf = root.ioctl(device, VFIO_DEVICE_GET_GFX_DMABUF, Uint8Array.of(1, 0, 0, 0));
    const both = mbochs.driver.users;
    root.close(device);
    const one = mbochs.driver.users;
    root.close(dmabuf);
    expect([both, one, mbochs.driver.users]).toEqual([2, 1, 0]);
  });

  /** The sample loaded with a parameter: what it says is left of each type, and what comes of making one. */
  function loaded(parent: 'mdpy' | 'mbochs', count: number) {
    const made = setUp();
    const { host, bus, vfio, root, create, left } = made;
    host.scheduler.call('rmmod', made[parent].unload());
    host.scheduler.call('modprobe', (parent === 'mdpy' ? new Mdpy(bus, vfio, count) : new Mbochs(bus, vfio, count)).register());
    return { create, left, shown: () => root.readFile(`/sys/module/${parent}/parameters/count`) };
  }

  it('[mdev 15] mdpy makes as many as its parameter says: none, or any number below 0', () => {
    const none = loaded('mdpy', 0);
    expect([none.shown(), none.left('mdpy-vga'), outcomeOf(() => none.create('mdpy-vga'))]).toEqual(['0\n', 0, 'EUSERS']);
    const any = loaded('mdpy', -1);
    expect([any.shown(), any.left('mdpy-vga'), any.create('mdpy-vga'), any.left('mdpy-vga')]).toEqual(['-1\n', 0xffff_ffff, 36, 0xffff_fffe]);
  });

  it('[mdev 15] mbochs has as many MB as its parameter says, without a sign', () => {
    const few = loaded('mbochs', 20);
    expect([few.left('mbochs-medium'), few.left('mbochs-small'), outcomeOf(() => few.create('mbochs-large'))]).toEqual([1, 5, 'ENOSPC']);
    const any = loaded('mbochs', -1);
    expect([any.shown(), any.left('mbochs-large'), any.left('mbochs-small'), any.create('mbochs-large')]).toEqual(['-1\n', 67_108_863, 1_073_741_823, 36]);
  });
});
