/** What the samples mtty and mdpy do and a device would not, as Linux 6.1 was recorded. */
import { describe, expect, it } from 'vitest';
import { EFAULT, getDeviceInfo, getIrqInfo, getRegionInfo, setIrqs, setIrqTriggers, VFIO_DEVICE_GET_INFO, VFIO_DEVICE_RESET, VFIO_IRQ_SET_ACTION_TRIGGER, VFIO_IRQ_SET_DATA_NONE } from '@vsim/vfio-core';
import { outcomeOf } from '@vsim/vfio-core/testing';
import { EVENTFD_LOST, UART } from '../src/index.ts';
import { setUp, UUID, uuidOf, type MdevHost } from './set-up.ts';

const CONFIG = 7 * 2 ** 40;
const NONE = VFIO_IRQ_SET_ACTION_TRIGGER | VFIO_IRQ_SET_DATA_NONE;
const INTX = 0;
const MSI = 1;

/** A serial card that is open, with access to its first port and its configuration space. */
function serial(made: MdevHost = setUp()) {
  made.create('mtty-1');
  const { device, group } = made.open();
  const { root, events } = made;
  getDeviceInfo(root, device);
  const write = (at: number, value: number) => root.pwrite(device, Uint8Array.of(value), at);
  const read = (at: number) => {
    const into = new Uint8Array(1);
    root.pread(device, into, at);
    return into[0]!;
  };
  const lost = () => events.filter(({ id }) => id === EVENTFD_LOST.id).length;
  const none = (index: number) => { setIrqs(root, device, index, NONE, 0, 1); };
  return { root, device, group, write, read, lost, none };
}

describe('mtty', () => {
  it('[mdev 21] has trigger level 0 until FCR is written: no receive interrupt, and data in IIR though there is none', () => {
    const { root, device, write, read } = serial();
    const eventfd = root.eventfd();
    setIrqTriggers(root, device, INTX, 0, [eventfd]);
    write(UART.IER, 1);
    write(UART.TX, 0x41);
    expect([root.readEventfd(eventfd), read(UART.IIR), read(UART.RX), read(UART.IIR)]).toEqual([0n, 0xc4, 0x41, 0xc4]);
    write(UART.FCR, 0);
    expect(read(UART.IIR)).toBe(0xc1);
    write(UART.TX, 0x42);
    expect([root.readEventfd(eventfd), read(UART.IIR)]).toEqual([1n, 0xc4]);
  });

  it('[mdev 22] forgets an overrun with the next byte that it takes, and not for LSR or FCR', () => {
    const { write, read } = serial();
    write(UART.FCR, 0); // room for one
    write(UART.TX, 1);
    write(UART.TX, 2);
    expect([read(UART.LSR), read(UART.LSR)]).toEqual([3, 3]);
    write(UART.FCR, 6);
    expect(read(UART.LSR)).toBe(0x62);
    write(UART.TX, 3);
    expect([read(UART.LSR), read(UART.RX), read(UART.LSR)]).toEqual([1, 3, 0x60]);
  });

  it('[mdev 23] counts offsets of BARs modulo 64 K, and of writes to configuration space, not of reads', () => {
    const { root, device, write, read } = serial();
    write(0x1_0000, 0x41);
    expect([read(0x1_0005), read(UART.LSR), read(0x2_0000)]).toEqual([1, 1, 0x41]);
    write(CONFIG + 0x1_003c, 9);
    expect(read(CONFIG + 0x3c)).toBe(9);
    root.pwrite(device, new Uint8Array(4).fill(0xff), CONFIG + 0x1_0010);
    const bar = new Uint8Array(4);
    root.pread(device, bar, CONFIG + 0x10);
    expect([...bar]).toEqual([0xf9, 0xff, 0xff, 0xff]);
  });

  it('[mdev 24] signals an INTx eventfd that was taken away, as long as it is open; what is freed is an event', () => {
    const { root, device, write, lost, none } = serial();
    const eventfd = root.eventfd();
    setIrqTriggers(root, device, INTX, 0, [eventfd]);
    none(INTX);
    write(UART.IER, 2);
    expect([root.readEventfd(eventfd), lost()]).toEqual([1n, 0]);
    none(INTX); // a second put of one reference
    expect(lost()).toBe(1);
    root.close(eventfd);
    write(UART.IER, 2);
    expect(lost()).toBe(2);
  });

  it('[mdev 24] goes back to INTx without MSI, and takes no other MSI eventfd for good', () => {
    const { root, device, write, none } = serial();
    const [intx, msi, later] = [root.eventfd(), root.eventfd(), root.eventfd()];
    setIrqTriggers(root, device, INTX, 0, [intx]);
    setIrqTriggers(root, device, MSI, 0, [msi]);
    none(MSI);
    setIrqTriggers(root, device, MSI, 0, [later]);
    write(UART.IER, 2);
    expect([intx, msi, later].map((fd) => root.readEventfd(fd))).toEqual([1n, 0n, 0n]);
  });

  it('[mdev 25] drops an interrupt without eventfd, and before it has heard of any it is lost in the kernel: an event', () => {
    const { write, lost, none } = serial();
    write(UART.IER, 2);
    expect(lost()).toBe(1);
    none(MSI);
    write(UART.IER, 2);
    expect(lost()).toBe(1);
  });

  it('[mdev 26] keeps its port over RESET, close and open', () => {
    const { root, device, write, read } = serial();
    write(UART.SCR, 0x5a);
    write(CONFIG + 0x3c, 7);
    root.ioctl(device, VFIO_DEVICE_RESET);
    expect([read(UART.SCR), read(CONFIG + 0x3c)]).toEqual([0x5a, 7]);
  });
});

describe('mdpy', () => {
  it('[mdev 28] knows of no interrupts until GET_INFO has succeeded once; mbochs does at once', () => {
    const { root, create, open } = setUp();
    create('mdpy-vga');
    const { device } = open();
    const irqs = () => [0, 4].map((index) => outcomeOf(() => getIrqInfo(root, device, index)));
    const short = new Uint8Array(16);
    short[0] = 15;
    expect([irqs(), outcomeOf(() => root.ioctl(device, VFIO_DEVICE_GET_INFO, short)), irqs()]).toEqual([['EINVAL', 'EINVAL'], 'EINVAL', ['EINVAL', 'EINVAL']]);
    getDeviceInfo(root, device);
    expect(irqs()).toEqual(['success', 'success']);
    create('mbochs-small', uuidOf(1));
    expect(outcomeOf(() => getIrqInfo(root, open(uuidOf(1)).device, 0))).toBe('success');
  });

  it.each(['mdpy-vga', 'mbochs-small'])('[mdev 29] an access that begins in configuration space may end behind it: %s', (type) => {
    const { root, create, open } = setUp();
    create(type);
    const { device } = open();
    const into = new Uint8Array(4).fill(0xee);
    expect([root.pread(device, into, 0xfc), [...into], root.pwrite(device, into, 0xfc)]).toEqual([4, [0, 0, 0, 0], 4]);
    expect([outcomeOf(() => root.pread(device, into, 0xff)), outcomeOf(() => root.pread(device, into, 0x100))]).toEqual(['EFAULT', 'EFAULT']);
  });

  it('[mdev 30] paints at creation and RESET, and keeps what is behind its picture', () => {
    const { root, create, open } = setUp();
    create('mdpy-vga');
    const { device } = open();
    const bytes = Number(getRegionInfo(root, device, 0).size);
    const screen = root.mmap(device, bytes, 4096);
    expect([screen.read(240 * 2560, 4), screen.read(bytes - 4, 4)]).toEqual([0x7f7f_7f7f, 0]);
    screen.write(240 * 2560, 4, 1);
    screen.write(bytes - 4, 4, 2);
    root.ioctl(device, VFIO_DEVICE_RESET);
    expect([screen.read(240 * 2560, 4), screen.read(bytes - 4, 4)]).toEqual([0x7f7f_7f7f, 2]);
  });
});

it('[mdev 16] [mdev 20] an fd has a position of its own from 0, which nobody sets; what was moved before a refusal is done', () => {
  const { root, create, open } = setUp();
  create('mdpy-vga');
  const { device } = open();
  const word = () => {
    const into = new Uint8Array(4);
    root.read(device, into);
    return [...into];
  };
  expect([word(), word()]).toEqual([[0x36, 0x1b, 0x0f, 0], [3, 0, 0x10, 0]]);
  expect([outcomeOf(() => root.lseek(device, 0, 0)), outcomeOf(() => root.pread(device, new Uint8Array(4), -4096)), root.poll([{ fd: device, events: 5 }])]).toEqual(['ESPIPE', 'EINVAL', [5]]);
  // A byte is taken from the port before the kernel finds that nobody can have it.
  const card = serial();
  card.write(UART.TX, 0x41);
  expect([card.read(UART.LSR), card.root.tryPreadTo(card.device, 16, 1, UART.RX), card.read(UART.LSR)]).toEqual([1, -EFAULT, 0x60]);
});

it.each(['mdpy-vga', 'mbochs-small'])('[mdev 17] a mapping holds the device: its removal waits until it is unmapped, and contents stay: %s', (type) => {
  const { root, create, open } = setUp();
  create(type);
  const { device } = open();
  const screen = root.mmap(device, 4096, Number(getRegionInfo(root, device, 0).offset));
  screen.write(8, 4, 0x1234_5678);
  root.close(device);
  const remove = root.start('remove', root.sys.writeFile(`/sys/bus/mdev/devices/${UUID}/remove`, '1'));
  expect([remove.outcome.state, screen.read(8, 4)]).toEqual(['asleep', 0x1234_5678]);
  screen.unmap();
  expect(remove.result()).toBe(1);
});
