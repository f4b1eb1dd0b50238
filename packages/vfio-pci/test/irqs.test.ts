/** VFIO_DEVICE_SET_IRQS on vfio-pci, row by row. Catalogue: vfio 3.9, 3.10. The user's whole matrix is replayed in apps/conformance. */
import {
  EBADF,
  EBUSY,
  EEXIST,
  EINVAL,
  ENODEV,
  ENOTTY,
  ERANGE,
  VFIO_DEVICE_SET_IRQS,
  VFIO_IRQ_SET_ACTION_MASK,
  VFIO_IRQ_SET_ACTION_TRIGGER,
  VFIO_IRQ_SET_ACTION_UNMASK,
  VFIO_IRQ_SET_DATA_BOOL,
  VFIO_IRQ_SET_DATA_EVENTFD,
  VFIO_IRQ_SET_DATA_NONE,
  getDeviceFd,
  getIrqInfo,
  set,
  vfio_irq_set,
  type ProfileName,
} from '@vsim/vfio-core';
import { describe, expect, it } from 'vitest';
import { EDU, NO_INTX } from '../src/index.ts';
import { NAME, openLayout } from './config-host.ts';
import { CONFIG, EDU_NAME, ioeventfd, openEdu, read32, write16, write32, type EduHost, type EduHostInit, type OpenDevice } from './edu-host.ts';

const [INTX, MSI, MSIX, ERR, REQ] = [0, 1, 2, 3, 4];
const TRIGGER = VFIO_IRQ_SET_ACTION_TRIGGER;
const MASK = VFIO_IRQ_SET_ACTION_MASK;
const UNMASK = VFIO_IRQ_SET_ACTION_UNMASK;

type Data = { readonly none: number } | { readonly bool: readonly number[] } | { readonly fds: readonly number[] };

/** SET_IRQS by its fields. @returns 0, an errno, or what the kernel gives */
function irqs({ process, device }: Pick<EduHost & OpenDevice, 'process' | 'device'>, index: number, action: number, data: Data, start = 0): number {
  const [type, count, bytes] =
    'none' in data
      ? ([VFIO_IRQ_SET_DATA_NONE, data.none, new Uint8Array(0)] as const)
      : 'bool' in data
        ? ([VFIO_IRQ_SET_DATA_BOOL, data.bool.length, Uint8Array.from(data.bool)] as const)
        : ([VFIO_IRQ_SET_DATA_EVENTFD, data.fds.length, new Uint8Array(Int32Array.from(data.fds).buffer)] as const);
  const argument = new Uint8Array(vfio_irq_set.size + bytes.length);
  set(argument, vfio_irq_set.argsz, argument.length);
  set(argument, vfio_irq_set.flags, type | action);
  set(argument, vfio_irq_set.index, index);
  set(argument, vfio_irq_set.start, start);
  set(argument, vfio_irq_set.count, count);
  argument.set(bytes, vfio_irq_set.size);
  return process.tryIoctl(device, VFIO_DEVICE_SET_IRQS, argument);
}

/** edu, with counters of its own for eventfds. */
function edu(init: EduHostInit = {}) {
  const made = openEdu(init);
  const { process, device } = made;
  return {
    ...made,
    raise: () => write32(process, device, EDU.INTERRUPT_RAISE, 1),
    acknowledge: () => write32(process, device, EDU.INTERRUPT_ACKNOWLEDGE, 1),
    count: (fd: number) => Number(process.readEventfd(fd)),
  };
}

const PROFILES = ['linux-5.10', 'linux-5.13', 'linux-6.1', 'linux-6.12'] satisfies ProfileName[];

describe('INTx in use', () => {
  it.each(PROFILES)('%s: an eventfd takes the place of another; -1 takes it away and leaves INTx in use [vfio 3.9/2]', (profile) => {
    const host = edu({ profile });
    const [first, second] = [host.process.eventfd(), host.process.eventfd()];
    expect(irqs(host, INTX, TRIGGER, { fds: [first] })).toBe(0);
    expect(irqs(host, INTX, TRIGGER, { fds: [second] })).toBe(0);
    host.raise();
    expect([host.count(first), host.count(second)]).toEqual([0, 1]);
    host.acknowledge();
    expect(irqs(host, INTX, UNMASK, { none: 1 })).toBe(0);
    expect(irqs(host, INTX, TRIGGER, { fds: [-1] })).toBe(0);
    // Still INTx: MSI is refused, and an eventfd may come back.
    expect(irqs(host, MSI, TRIGGER, { fds: [first] })).toBe(-EINVAL);
    expect(irqs(host, INTX, TRIGGER, { fds: [first] })).toBe(0);
    host.raise();
    expect([host.count(first), host.count(second)]).toEqual([1, 0]);
  });

  it('goes by NONE with count 0, and then MSI may come [vfio 3.9/3]', () => {
    const host = edu();
    const eventfd = host.process.eventfd();
    expect(irqs(host, INTX, TRIGGER, { fds: [eventfd] })).toBe(0);
    expect(irqs(host, INTX, TRIGGER, { none: 0 })).toBe(0);
    host.raise();
    expect(host.count(eventfd)).toBe(0);
    expect(irqs(host, INTX, TRIGGER, { none: 1 })).toBe(-EINVAL);
    expect(irqs(host, MSI, TRIGGER, { fds: [eventfd] })).toBe(0);
  });

  it('is refused while MSI is in use, whatever is asked [vfio 3.9/5]', () => {
    const host = edu();
    const eventfd = host.process.eventfd();
    expect(irqs(host, MSI, TRIGGER, { fds: [eventfd] })).toBe(0);
    for (const action of [TRIGGER, MASK, UNMASK]) {
      for (const data of [{ none: 1 }, { none: 0 }, { bool: [1] }, { fds: [eventfd] }] as const) {
        expect(irqs(host, INTX, action, data)).toBe(-EINVAL);
      }
    }
    expect(irqs(host, MSI, TRIGGER, { none: 1 })).toBe(0);
    expect(host.count(eventfd)).toBe(1);
  });

  it('is unmasked by NONE, by BOOL, and by an eventfd, of which there is one [vfio 3.9/8]', () => {
    const host = edu();
    const { process } = host;
    const [eventfd, unmask] = [process.eventfd(), process.eventfd()];
    irqs(host, INTX, TRIGGER, { fds: [eventfd] });
    const masked = (): boolean => (host.edu.command & 0x400) !== 0;
    for (const data of [{ none: 1 }, { bool: [1] }] as const) {
      host.raise();
      host.acknowledge();
      expect(masked()).toBe(true);
      expect(irqs(host, INTX, UNMASK, { bool: [0] })).toBe(0);
      expect(masked()).toBe(true);
      expect(irqs(host, INTX, UNMASK, data)).toBe(0);
      expect(masked()).toBe(false);
    }
    expect(irqs(host, INTX, UNMASK, { fds: [unmask] })).toBe(0);
    expect(irqs(host, INTX, UNMASK, { fds: [unmask] })).toBe(-EBUSY);
    expect(irqs(host, INTX, UNMASK, { fds: [process.eventfd()] })).toBe(-EBUSY);
    host.raise();
    host.acknowledge();
    process.writeEventfd(unmask, 1n);
    expect(masked()).toBe(false);
    expect(irqs(host, INTX, UNMASK, { fds: [-1] })).toBe(0);
    host.raise();
    host.acknowledge();
    process.writeEventfd(unmask, 1n);
    expect(masked()).toBe(true);
    expect(irqs(host, INTX, UNMASK, { fds: [unmask] })).toBe(0);
  });

  it('does not exist for a device without a pin [vfio 3.9/1]', () => {
    const host = openLayout({});
    expect(irqs(host, INTX, TRIGGER, { fds: [host.process.eventfd()] })).toBe(-EINVAL);
    expect(getIrqInfo(host.process, host.device, INTX)).toMatchObject({ count: 0 });
  });

  it('of a pin without a line is ENODEV [vfio 3.9/1]', () => {
    const host = openLayout({ interruptPin: 1 });
    host.fn.line = undefined;
    const events = host.fn.host.trace.record();
    expect(irqs(host, INTX, TRIGGER, { fds: [host.process.eventfd()] })).toBe(-ENODEV);
    expect(events.map(({ id }) => id)).toEqual([NO_INTX.id]);
  });

  it('of a device that ignores DisINTx begins masked where the user has it disabled [vfio 3.9/1]', () => {
    const host = openLayout({ interruptPin: 1, writable: { 0x04: 0x0007 } });
    const eventfd = host.process.eventfd();
    host.put(0x04, 2, 0x0400);
    expect(irqs(host, INTX, TRIGGER, { fds: [eventfd] })).toBe(0);
    host.fn.setIntx(true);
    expect(Number(host.process.readEventfd(eventfd))).toBe(0);
    host.put(0x04, 2, 0);
    expect(Number(host.process.readEventfd(eventfd))).toBe(1);
  });

  it('of a device that ignores DisINTx is masked at its line [vfio 3.9/1]', () => {
    const host = openLayout({ interruptPin: 1, writable: { 0x04: 0x0007 } });
    const eventfd = host.process.eventfd();
    expect(irqs(host, INTX, TRIGGER, { fds: [eventfd] })).toBe(0);
    // Its line is its own: nobody could tell whose an interrupt is.
    expect(host.fn.line?.request(() => false, false)).toBe(false);
    host.fn.setIntx(true);
    expect(Number(host.process.readEventfd(eventfd))).toBe(1);
    expect(host.fn.command & 0x400).toBe(0);
    // The line is closed: up again it is not heard, and opened it is.
    host.fn.setIntx(false);
    host.fn.setIntx(true);
    expect(Number(host.process.readEventfd(eventfd))).toBe(0);
    expect(irqs(host, INTX, UNMASK, { none: 1 })).toBe(0);
    expect(Number(host.process.readEventfd(eventfd))).toBe(1);
  });
});

/** MSI with 8 messages, MSI-X with 4 vectors. */
function messages(profile: ProfileName = 'linux-6.1') {
  const host = openLayout({ bars: [{ index: 0, size: 0x4000 }], structures: [[0x05, 0x40, 0x86], [0x11, 0x60, 3, 0, 0, 0, 0, 0, 0, 0x20]] }, { profile });
  write16(host.process, host.device, CONFIG + 4, 6);
  return host;
}

describe('MSI and MSI-X', () => {
  it('are enabled with start + count vectors; none is ERANGE [vfio 3.10/1]', () => {
    const host = messages();
    const { process, fn } = host;
    const eventfd = process.eventfd();
    expect(irqs(host, MSIX, TRIGGER, { fds: [] })).toBe(-ERANGE);
    expect(irqs(host, MSIX, TRIGGER, { fds: [eventfd] }, 2)).toBe(0);
    fn.raise(2);
    expect(Number(process.readEventfd(eventfd))).toBe(1);
    // Vectors 0 and 1 are there, without an eventfd; 3 is not.
    expect(irqs(host, MSIX, TRIGGER, { fds: [eventfd] }, 1)).toBe(0);
    expect(irqs(host, MSIX, TRIGGER, { fds: [eventfd] }, 3)).toBe(-EINVAL);
    expect(irqs(host, MSIX, TRIGGER, { none: 0 })).toBe(0);
    // MSI comes as a block: three vectors are a queue of four.
    expect(irqs(host, MSI, TRIGGER, { fds: [eventfd, eventfd, eventfd] })).toBe(0);
    expect((fn.config.read(0x42, 2) >> 4) & 7).toBe(2);
  });

  it('of which the machine has fewer give their number, and nothing is enabled [vfio 3.10/1]', () => {
    const host = messages();
    const { process, fn, bus } = host;
    const eventfd = process.eventfd();
    const { msi } = bus;
    const allocate = msi.allocate.bind(msi);
    msi.allocate = (requester, count, block) => allocate(requester, Math.min(count, 2), block);
    expect(irqs(host, MSIX, TRIGGER, { fds: [eventfd, eventfd, eventfd] })).toBe(2);
    expect([fn.msix?.enabled, fn.msi?.enabled]).toEqual([false, false]);
    expect(irqs(host, MSIX, TRIGGER, { none: 1 })).toBe(-EINVAL);
    expect(irqs(host, MSIX, TRIGGER, { fds: [eventfd, eventfd] })).toBe(0);
  });

  it('are enabled with memory decoding off: it is on for that long [vfio 3.10/1]', () => {
    const host = messages();
    write16(host.process, host.device, CONFIG + 4, 0);
    expect(irqs(host, MSIX, TRIGGER, { fds: [host.process.eventfd()] })).toBe(0);
    // Nor is DisINTx, which the PCI core sets for MSI, left in COMMAND.
    expect(host.fn.command & 0x402).toBe(0);
    expect(host.fn.config.read(0x62, 2)).toBe(0x8003);
  });

  it('new MSI-X vectors while enabled: 6.12 adds them, before that EINVAL [vfio 3.10/5] [vfio 3.3/8]', () => {
    for (const [profile, error, flags] of [['linux-6.1', -EINVAL, 9], ['linux-6.12', 0, 1]] as const) {
      const host = messages(profile);
      const eventfd = host.process.eventfd();
      expect(getIrqInfo(host.process, host.device, MSIX)).toMatchObject({ flags, count: 4 });
      expect(irqs(host, MSIX, TRIGGER, { fds: [eventfd] })).toBe(0);
      expect(irqs(host, MSIX, TRIGGER, { fds: [eventfd] }, 3)).toBe(error);
      host.fn.raise(3);
      expect(Number(host.process.readEventfd(eventfd))).toBe(error === 0 ? 1 : 0);
      expect(irqs(host, MSIX, TRIGGER, { fds: [eventfd] }, 4)).toBe(-EINVAL);
    }
  });
});

describe('MSI-X where the interrupt controller cannot add vectors, as an ITS', () => {
  const behindIts = (profile: ProfileName) => {
    const host = messages(profile);
    Object.assign(host.bus.msi, { allocatesLater: false });
    return { ...host, eventfd: host.process.eventfd() };
  };

  it.each(['linux-6.1', 'linux-6.12', 'linux-7.3'] as const)('[M8] IRQ_INFO has NORESIZE, and a vector beyond those enabled is EINVAL: %s', (profile) => {
    const host = behindIts(profile);
    expect(getIrqInfo(host.process, host.device, MSIX)).toMatchObject({ flags: 9, count: 4 });
    expect(irqs(host, MSIX, TRIGGER, { fds: [host.eventfd] })).toBe(0);
    expect(irqs(host, MSIX, TRIGGER, { fds: [host.eventfd] }, 1)).toBe(-EINVAL);
    host.fn.raise(0);
    expect(Number(host.process.readEventfd(host.eventfd))).toBe(1);
  });

  it('[M8] a vector inside those enabled can be taken away and given again', () => {
    const host = behindIts('linux-6.12');
    expect(irqs(host, MSIX, TRIGGER, { fds: [host.eventfd, host.eventfd] })).toBe(0);
    expect(irqs(host, MSIX, TRIGGER, { fds: [-1] }, 1)).toBe(0);
    expect(irqs(host, MSIX, TRIGGER, { fds: [host.eventfd] }, 1)).toBe(0);
    host.fn.raise(1);
    expect(Number(host.process.readEventfd(host.eventfd))).toBe(1);
  });

  it('[M8] more vectors after all were disabled', () => {
    const host = behindIts('linux-6.12');
    expect(irqs(host, MSIX, TRIGGER, { fds: [host.eventfd] })).toBe(0);
    expect(irqs(host, MSIX, TRIGGER, { none: 0 })).toBe(0);
    expect(irqs(host, MSIX, TRIGGER, { fds: [host.eventfd, host.eventfd, host.eventfd] })).toBe(0);
  });

  it('[M8] plain MSI has NORESIZE on every host', () => {
    const host = messages('linux-6.12');
    expect(getIrqInfo(host.process, host.device, MSI).flags).toBe(9);
  });
});

describe('the error and the request interrupt', () => {
  const express = { structures: [[0x10, 0x40, 2]] } as const;

  it.each([ERR, REQ])('%i: triggers alone, one, from 0 [vfio 3.10/6]', (index) => {
    const host = openLayout(express);
    const eventfd = host.process.eventfd();
    for (const action of [MASK, UNMASK]) expect(irqs(host, index, action, { none: 1 })).toBe(-ENOTTY);
    expect(irqs(host, index, TRIGGER, { fds: [eventfd] }, 1)).toBe(-EINVAL);
    expect(irqs(host, index, TRIGGER, { none: 2 })).toBe(-EINVAL);
    expect(irqs(host, index, TRIGGER, { fds: [] })).toBe(-EINVAL);
  });

  it.each([ERR, REQ])('%i: an eventfd is set, replaced, signalled and cleared [vfio 3.10/6]', (index) => {
    const host = openLayout(express);
    const { process } = host;
    const count = (fd: number): number => Number(process.readEventfd(fd));
    const [first, second] = [process.eventfd(), process.eventfd()];
    expect(irqs(host, index, TRIGGER, { none: 1 })).toBe(-EINVAL);
    expect(irqs(host, index, TRIGGER, { none: 0 })).toBe(-EINVAL);
    expect(irqs(host, index, TRIGGER, { bool: [1] })).toBe(0);
    expect(irqs(host, index, TRIGGER, { bool: [] })).toBe(-EINVAL);
    expect(irqs(host, index, TRIGGER, { fds: [first] })).toBe(0);
    expect(irqs(host, index, TRIGGER, { fds: [second] })).toBe(0);
    expect(irqs(host, index, TRIGGER, { fds: [999] })).toBe(-EBADF);
    expect(irqs(host, index, TRIGGER, { none: 1 })).toBe(0);
    expect(irqs(host, index, TRIGGER, { bool: [1] })).toBe(0);
    expect(irqs(host, index, TRIGGER, { bool: [0] })).toBe(0);
    expect([count(first), count(second)]).toEqual([0, 2]);
    expect(irqs(host, index, TRIGGER, { fds: [-1] })).toBe(0);
    expect(irqs(host, index, TRIGGER, { none: 1 })).toBe(-EINVAL);
    expect(irqs(host, index, TRIGGER, { fds: [first] })).toBe(0);
    expect(irqs(host, index, TRIGGER, { none: 0 })).toBe(0);
    expect(irqs(host, index, TRIGGER, { none: 1 })).toBe(-EINVAL);
  });

  it('of errors does not exist on a conventional device [vfio 3.10/6]', () => {
    const host = openLayout({});
    expect(irqs(host, ERR, TRIGGER, { fds: [host.process.eventfd()] })).toBe(-EINVAL);
    expect(irqs(host, REQ, TRIGGER, { fds: [host.process.eventfd()] })).toBe(0);
  });
});

describe('the last close', () => {
  const express = { structures: [[0x10, 0x40, 2]] } as const;

  it.each(PROFILES.flatMap((profile) => [[ERR, profile], [REQ, profile]] as const))('takes the eventfd of %i away: the next open has none to trigger, on %s', (index, profile) => {
    const host = openLayout(express, { profile });
    const { process, group } = host;
    const eventfd = process.eventfd();
    expect(irqs(host, index, TRIGGER, { fds: [eventfd] })).toBe(0);
    process.close(host.device);
    const again = { process, device: getDeviceFd(process, group, NAME) };
    expect([irqs(again, index, TRIGGER, { none: 1 }), process.readEventfd(eventfd)]).toEqual([-EINVAL, 0n]);
  });

  it('takes the eventfd of ERR away: an error tells the next user alone', () => {
    const host = openLayout(express);
    const { process, group, driver, bus } = host;
    const eventfds = [process.eventfd(), process.eventfd()] as const;
    irqs(host, ERR, TRIGGER, { fds: [eventfds[0]] });
    process.close(host.device);
    const again = { process, device: getDeviceFd(process, group, NAME) };
    const error = () => driver.vfioDevice(bus.device(NAME)!)?.errorDetected();
    error();
    irqs(again, ERR, TRIGGER, { fds: [eventfds[1]] });
    error();
    expect(eventfds.map((fd) => process.readEventfd(fd))).toEqual([0n, 1n]);
  });

  it('takes ioeventfds away: the eventfd writes nothing any more, and the next user may have the place', () => {
    const host = edu();
    const { process, group, device } = host;
    const eventfd = process.eventfd();
    const at = (fd: number) => ioeventfd(process, fd, EDU.LIVENESS, 4, 0x55n, eventfd);
    expect([at(device), at(device)]).toEqual([0, -EEXIST]);
    process.close(device);
    const again = getDeviceFd(process, group, EDU_NAME);
    write16(process, again, CONFIG + 4, 6);
    write32(process, again, EDU.LIVENESS, 1);
    process.writeEventfd(eventfd, 1n);
    expect([read32(process, again, EDU.LIVENESS), at(again)]).toEqual([~1 >>> 0, 0]);
    process.writeEventfd(eventfd, 1n);
    expect(read32(process, again, EDU.LIVENESS)).toBe(~0x55 >>> 0);
  });
});
