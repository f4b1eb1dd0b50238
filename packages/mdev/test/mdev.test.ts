import { describe, expect, it } from 'vitest';
import {
  ENODEV,
  getIrqInfo,
  getDeviceInfo,
  getMigrationFlags,
  getMigrationState,
  getRegionInfo,
  MIG_STATE,
  setIrqTriggers,
  setMigrationState,
  VFIO_DEVICE_RESET,
  type ProfileName,
} from '@vsim/vfio-core';
import { migrationSuite, outcomeOf, vfioDeviceSuite } from '@vsim/vfio-core/testing';
import { MDEV_CREATED, REMOVED_TWICE, UART } from '../src/index.ts';
import { setUp, subjectOf, TYPES, UUID, uuidOf } from './set-up.ts';

describe.each<ProfileName>(['linux-5.13', 'linux-6.1'])('an mtty on %s', (profile) => {
  for (const { name, run } of vfioDeviceSuite(() => subjectOf('mtty-1', profile))) {
    it(name, run);
  }
});

describe('an mtty that migrates', () => {
  for (const { name, run } of migrationSuite(() => {
    const { root, create, open } = setUp('linux-6.1', true);
    create('mtty-2');
    return { process: root, device: open().device };
  })) {
    it(name, run);
  }
});

describe('create and remove', () => {
  it('take a UUID of 36 characters, in any case, once', () => {
    const { create, root, left } = setUp();
    for (const text of ['x', UUID.slice(1), `${UUID}xx`, UUID.replaceAll('-', ''), UUID.replace('8', 'g')]) expect(outcomeOf(() => create('mtty-1', text))).toBe('EINVAL');
    expect(create('mtty-1', `${UUID.toUpperCase()}x`)).toBe(37);
    expect([left('mtty-1'), left('mtty-2')]).toEqual([23, 11]);
    expect(outcomeOf(() => create('mtty-2'))).toBe('EEXIST');
    expect(root.readdir('/sys/bus/mdev/devices')).toEqual([UUID]);
    const remove = `/sys/bus/mdev/devices/${UUID}/remove`;
    expect(outcomeOf(() => root.writeFile(remove, 'x'))).toBe('EINVAL');
    expect([root.writeFile(remove, '0'), root.writeFile(remove, '2')]).toEqual([1, 1]);
    expect(outcomeOf(() => root.writeFile(remove, '1'))).toBe('ENOENT');
    expect([left('mtty-1'), left('mtty-2')]).toEqual([24, 12]);
  });

  it('stop when nothing is left: mtty counts its ports, the core counts for mdpy', () => {
    const { create, bus, root } = setUp();
    for (let n = 0; n < 12; n += 1) create('mtty-2', uuidOf(n));
    expect(outcomeOf(() => create('mtty-1', uuidOf(99)))).toBe('ENOSPC');
    expect([bus.device(uuidOf(99)), outcomeOf(() => root.readdir(`/sys/bus/mdev/devices/${uuidOf(99)}`))]).toEqual([undefined, 'ENOENT']);
    for (let n = 0; n < 4; n += 1) create('mdpy-vga', uuidOf(100 + n));
    expect(outcomeOf(() => create('mdpy-hd', uuidOf(200)))).toBe('EUSERS');
    const old = setUp('linux-5.13');
    for (let n = 0; n < 4; n += 1) old.create('mdpy-vga', uuidOf(100 + n));
    expect(outcomeOf(() => old.create('mdpy-hd', uuidOf(200)))).toBe('ENOMEM');
  });

  it('wait for the user, and the UUID is taken until then', () => {
    const { root, create, open, left } = setUp();
    create('mtty-1');
    const fds = open();
    const remove = root.start('remove', root.sys.writeFile(`/sys/bus/mdev/devices/${UUID}/remove`, '1'));
    expect(remove.outcome).toMatchObject({ state: 'asleep', what: `the last reference of vfio device ${UUID}` });
    expect(outcomeOf(() => create('mtty-1'))).toBe('EEXIST');
    expect(outcomeOf(() => root.writeFile(`/sys/bus/mdev/devices/${UUID}/remove`, '1'))).toBe('ENOENT');
    expect(left('mtty-1')).toBe(23);
    root.close(fds.device);
    expect([remove.result(), left('mtty-1')]).toEqual([1, 24]);
    root.close(fds.group);
    create('mtty-1');
  });

  it.each<ProfileName>(['linux-5.13', 'linux-6.1'])('give back all that the parent gave, %s', (profile) => {
    const { root, create, left, mtty, host, bus } = setUp(profile);
    create('mtty-2');
    root.writeFile(`/sys/bus/mdev/devices/${UUID}/remove`, '1');
    expect([left('mtty-1'), bus.devices]).toEqual([24, []]);
    create('mtty-2');
    host.scheduler.call('rmmod mtty', mtty.unregister());
    expect([bus.devices, mtty.available(mtty.types[0]!)]).toEqual([[], 24]);
  });

  it('refuse a remove while the device is not complete, and the file is gone with that: the device goes with its parent alone', () => {
    const { host, root, mtty, bus } = setUp();
    const path = `/sys/bus/mdev/devices/${UUID}/remove`;
    host.scheduler.stopAt(MDEV_CREATED);
    const create = root.start('create', root.sys.writeFile(`${TYPES}/mtty-1/create`, UUID));
    expect(() => root.writeFile(path, '1')).toThrow(`EAGAIN: ${REMOVED_TWICE.text({ uuid: UUID, state: 'being made' })}`);
    expect(outcomeOf(() => root.writeFile(path, '1'))).toBe('ENOENT');
    host.scheduler.release(MDEV_CREATED);
    expect([create.result(), outcomeOf(() => root.writeFile(path, '1'))]).toEqual([36, 'ENOENT']);
    host.scheduler.call('rmmod mtty', mtty.unregister());
    expect(bus.devices).toEqual([]);
  });

  it.each<ProfileName>(['linux-5.13', 'linux-6.1'])('are not at their type any more while a removal waits for the user, nor removed twice by who has the file open, %s', (profile) => {
    const { host, root, create, open } = setUp(profile);
    create('mtty-1');
    const folder = `/sys/bus/mdev/devices/${UUID}`;
    const file = host.files.lookup(`${folder}/remove`);
    const late = () => (file?.kind === 'attribute' ? host.scheduler.call('late', file.store!(new TextEncoder().encode('1'), 0)) : undefined);
    const fds = open();
    const own = `/sys/devices/virtual/mtty/mtty/${UUID}`;
    const seen = () => [root.readdir(own).filter((name) => name === 'mdev_type' || name === 'remove'), root.readdir(`${TYPES}/mtty-1/devices`)];
    expect(seen()).toEqual([['mdev_type', 'remove'], [UUID]]);
    const remove = root.start('remove', root.sys.writeFile(`${folder}/remove`, '1'));
    expect([remove.outcome.state, ...seen()]).toEqual(['asleep', [], []]);
    expect(late()).toBe(-ENODEV);
    root.close(fds.device);
    root.close(fds.group);
    expect([remove.result(), late()]).toEqual([1, -ENODEV]);
  });

  it('end with the parent, which waits for open children and then makes no more', () => {
    const { host, root, mtty, create, open } = setUp();
    create('mtty-1');
    const fds = open();
    const rmmod = host.scheduler.spawn('rmmod mtty', mtty.unregister());
    expect(rmmod.outcome.state).toBe('asleep');
    const path = '/sys/devices/virtual/mtty/mtty/mdev_supported_types/mtty-1/create';
    expect(outcomeOf(() => root.writeFile(path, UUID.replace('8', '9')))).toBe('ENODEV');
    root.close(fds.device);
    root.close(fds.group);
    expect(rmmod.outcome.state).toBe('done');
    expect(host.files.lookup('/sys/devices/virtual/mtty/mtty')).toBeUndefined();
    expect(root.readdir('/sys/bus/mdev/drivers')).toEqual(['mbochs', 'mdpy']);
  });

  it('[vfio P10/3] leave the mdev when only its driver is unbound: 5.13 binds it again, 6.1 never', () => {
    const modern = setUp();
    modern.create('mtty-1');
    modern.root.writeFile('/sys/bus/mdev/drivers/mtty/unbind', UUID);
    expect(outcomeOf(() => modern.root.writeFile('/sys/bus/mdev/drivers/mtty/bind', UUID))).toBe('ENODEV');
    expect(outcomeOf(() => modern.groupOf(UUID))).toBe('ENOENT');
    const old = setUp('linux-5.13');
    old.create('mtty-1');
    old.root.writeFile('/sys/bus/mdev/drivers/vfio_mdev/unbind', UUID);
    expect(old.root.readdir('/sys/bus/mdev/devices')).toEqual([UUID]);
    expect(old.left('mtty-1')).toBe(23);
    old.root.writeFile('/sys/bus/mdev/drivers/vfio_mdev/bind', UUID);
    old.root.close(old.open().device);
  });
});

describe('mtty', () => {
  it('passes text through its ports, with an interrupt for the first byte and for the last that was read', () => {
    const { root, create, open } = setUp();
    create('mtty-2');
    const { device } = open();
    getDeviceInfo(root, device);
    const eventfd = root.eventfd();
    setIrqTriggers(root, device, 0, 0, [eventfd]);
    const port = Number(getRegionInfo(root, device, 1).offset);
    const write = (register: number, value: number) => root.pwrite(device, Uint8Array.of(value), port + register);
    const read = (register: number) => {
      const into = new Uint8Array(1);
      root.pread(device, into, port + register);
      return into[0]!;
    };
    write(UART.FCR, 1);
    write(UART.IER, 3);
    expect([root.readEventfd(eventfd), read(UART.IIR)]).toEqual([1n, 0xc2]);
    write(UART.TX, 0x41);
    write(UART.TX, 0x42);
    expect([root.readEventfd(eventfd), read(UART.IIR), read(UART.LSR)]).toEqual([1n, 0xc4, 1]);
    expect([read(UART.RX), read(UART.RX), read(UART.LSR), root.readEventfd(eventfd)]).toEqual([0x41, 0x42, 0x60, 1n]);
    for (let i = 0; i < 17; i += 1) write(UART.TX, i);
    // Full looks empty: what is in there cannot be read any more.
    expect([read(UART.LSR), read(UART.RX)]).toEqual([0x62, 0]);
    expect(outcomeOf(() => root.pread(device, new Uint8Array(1), 6 * 2 ** 40))).toBe('EFAULT');
    expect(root.ioctl(device, VFIO_DEVICE_RESET)).toBe(0);
  });

  it('knows of no interrupt before GET_INFO, and keeps the MSI that it has', () => {
    const { root, create, open } = setUp();
    create('mtty-1');
    const { device } = open();
    expect(outcomeOf(() => getIrqInfo(root, device, 0))).toBe('EINVAL');
    expect(outcomeOf(() => setIrqTriggers(root, device, 0, 0, [root.eventfd()]))).toBe('EINVAL');
    getDeviceInfo(root, device);
    expect([getIrqInfo(root, device, 0).flags, getIrqInfo(root, device, 1).flags]).toEqual([7, 9]);
    const [first, second] = [root.eventfd(), root.eventfd()];
    setIrqTriggers(root, device, 1, 0, [first]);
    setIrqTriggers(root, device, 1, 0, [second]);
    const port = Number(getRegionInfo(root, device, 0).offset);
    root.pwrite(device, Uint8Array.of(2), port + UART.IER);
    expect([root.readEventfd(first), root.readEventfd(second)]).toEqual([1n, 0n]);
  });

  it('migrates in the middle of a transfer, without a byte lost or doubled', () => {
    const from = setUp('linux-6.1', true);
    const to = setUp('linux-6.1', true);
    for (const host of [from, to]) host.create('mtty-1');
    const [a, b] = [from.open().device, to.open().device];
    expect(getMigrationFlags(from.root, a)).toBe(3n); // PRE_COPY came with 6.2
    const port = Number(getRegionInfo(from.root, a, 0).offset);
    const text = new TextEncoder().encode('half of it');
    from.root.pwrite(a, Uint8Array.of(1), port + UART.FCR);
    for (const byte of text) from.root.pwrite(a, Uint8Array.of(byte), port);
    const got = [0, 1, 2, 3].map(() => {
      const into = new Uint8Array(1);
      from.root.pread(a, into, port);
      return into[0]!;
    });
    const save = setMigrationState(from.root, a, MIG_STATE.STOP_COPY);
    const state = new Uint8Array(4096);
    const length = from.root.read(save, state);
    const resume = setMigrationState(to.root, b, MIG_STATE.RESUMING);
    to.root.write(resume, state.subarray(0, length));
    setMigrationState(to.root, b, MIG_STATE.RUNNING);
    for (let i = got.length; i < text.length; i += 1) {
      const into = new Uint8Array(1);
      to.root.pread(b, into, port);
      got.push(into[0]!);
    }
    expect(new TextDecoder().decode(Uint8Array.from(got))).toBe('half of it');
    const refused = setMigrationState(to.root, b, MIG_STATE.RESUMING);
    to.root.write(refused, state.subarray(0, length - 1));
    expect(outcomeOf(() => setMigrationState(to.root, b, MIG_STATE.STOP))).toBe('EINVAL');
  });
});

describe('mtty of 6.7 and later', () => {
  function open612() {
    const made = setUp('linux-6.12', true);
    made.create('mtty-2');
    return { root: made.root, device: made.open().device };
  }
  const { PRE_COPY, PRE_COPY_P2P, STOP_COPY, RUNNING, RUNNING_P2P, STOP } = MIG_STATE;

  it('has every state of the protocol', () => {
    const { root, device } = open612();
    expect(getMigrationFlags(root, device)).toBe(7n);
    for (const state of [RUNNING_P2P, STOP, RUNNING, PRE_COPY, PRE_COPY_P2P, RUNNING_P2P, RUNNING]) {
      setMigrationState(root, device, state);
      expect(getMigrationState(root, device)).toBe(state);
    }
  });

  it('sends its header in PRE_COPY, and the ports with the same stream from STOP_COPY on', () => {
    const { root, device } = open612();
    const stream = setMigrationState(root, device, PRE_COPY);
    const into = new Uint8Array(4096);
    expect(root.read(stream, into)).toBe(16);
    expect(outcomeOf(() => root.read(stream, into))).toBe('ENOMSG');
    expect(setMigrationState(root, device, STOP_COPY)).toBe(-1);
    const rest = root.read(stream, into);
    expect(rest).toBeGreaterThan(0);
    expect(root.read(stream, into)).toBe(0);
  });

  it('ends the stream with the state: back to RUNNING a read is ENODEV', () => {
    const { root, device } = open612();
    const stream = setMigrationState(root, device, PRE_COPY);
    setMigrationState(root, device, RUNNING);
    expect(outcomeOf(() => root.read(stream, new Uint8Array(1)))).toBe('ENODEV');
  });
});

describe('mdpy', () => {
  it('shows a gradient through mmap, and the start of it through pread whatever the offset', () => {
    const { root, create, open } = setUp();
    create('mdpy-vga');
    const { device } = open();
    const { offset, size } = getRegionInfo(root, device, 0);
    expect([offset, size, getRegionInfo(root, device, 16).size]).toEqual([4096n, 0x20_0000n, 0x20_0000n]);
    expect(outcomeOf(() => getRegionInfo(root, device, 9))).toBe('EINVAL');
    const screen = root.mmap(device, 0x20_0000, 4096);
    expect([screen.read(0, 4), screen.read(479 * 640 * 4, 4)]).toEqual([0, 0xfefe_fefe]);
    screen.write(0, 4, 0x1234_5678);
    const into = new Uint8Array(4);
    root.pread(device, into, 0x8000);
    expect([...into]).toEqual([0x78, 0x56, 0x34, 0x12]);
    expect(outcomeOf(() => root.mmap(device, 4096, 0))).toBe('EINVAL');
    root.ioctl(device, VFIO_DEVICE_RESET);
    expect(screen.read(0, 4)).toBe(0);
    expect(outcomeOf(() => root.pread(device, into, 0x200))).toBe('EFAULT');
  });
});
