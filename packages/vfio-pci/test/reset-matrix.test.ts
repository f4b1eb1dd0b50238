/** Each cell of the table of resets, on each kernel that has it. */
import {
  EINVAL,
  MIG_STATE,
  VFIO_DEVICE_FEATURE,
  VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY,
  VFIO_DEVICE_FEATURE_LOW_POWER_EXIT,
  VFIO_DEVICE_FEATURE_SET,
  VFIO_DEVICE_PCI_HOT_RESET,
  VFIO_DEVICE_RESET,
  VFIO_IRQ_SET_ACTION_UNMASK,
  VFIO_PCI_INTX_IRQ_INDEX,
  VFIO_PCI_MSIX_IRQ_INDEX,
  VFIO_PCI_MSI_IRQ_INDEX,
  VFIO_PCI_REQ_IRQ_INDEX,
  getMigrationState,
  setIrqs,
  setIrqTriggers,
  setMigrationState,
} from '@vsim/vfio-core';
import { describe, expect, it } from 'vitest';
import { resetSession, type ResetSession } from './reset-session.ts';
import { armNotifiers } from './slot-host.ts';
import { CONFIG, ioeventfd, read32, write16, write32 } from './edu-host.ts';
import { KINDS, MATRIX, SINCE, STATE_NAMES, document, type Kernel, type ResetKind, type StateName } from './reset-matrix.ts';
import { RING_NIC, RING_NIC_ID, barAddress } from '../src/index.ts';

const KERNELS = ['linux-5.10', 'linux-5.13', 'linux-6.1', 'linux-6.12', 'linux-7.3'] satisfies Kernel[];
/** A register of the ring NIC that its user can write. */
const REGISTER = RING_NIC.QUEUES + RING_NIC.BASE;

function lowPower({ process, device }: ResetSession, feature: number): number {
  const request = new Uint8Array(8);
  const view = new DataView(request.buffer);
  view.setUint32(0, 8, true);
  view.setUint32(4, VFIO_DEVICE_FEATURE_SET | feature, true);
  return process.tryIoctl(device, VFIO_DEVICE_FEATURE, request);
}

/** The ways to be reset. */
const ACTS: Readonly<Record<ResetKind, (session: ResetSession) => void>> = {
  flr: vfioReset,
  'af-flr': vfioReset,
  pm: vfioReset,
  'device-specific': vfioReset,
  bus: vfioReset,
  slot: vfioReset,
  'hot-reset': ({ process, device, group }) => {
    const words = Int32Array.of(16, 0, 1, group);
    expect(process.tryIoctl(device, VFIO_DEVICE_PCI_HOT_RESET, new Uint8Array(words.buffer))).toBe(0);
  },
  d3hot: ({ process, device, pm }) => {
    write16(process, device, CONFIG + pm + 4, 3);
    write16(process, device, CONFIG + pm + 4, 0);
  },
  d3cold: (session) => {
    lowPower(session, VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY); // EINVAL where it was entered before
    expect(session.nic.absence).toBe('no power');
    expect(lowPower(session, VFIO_DEVICE_FEATURE_LOW_POWER_EXIT)).toBe(0);
  },
  'guest-flr': ({ process, device, express }) => process.pwrite(device, Uint8Array.of(0x80), CONFIG + express + 9),
  'guest-af-flr': ({ process, device, af }) => process.pwrite(device, Uint8Array.of(1), CONFIG + af + 4),
  sysfs: ({ process, name }) => process.writeFile(`/sys/bus/pci/devices/${name}/reset`, '1'),
};

function vfioReset({ process, device }: ResetSession): void {
  expect(process.tryIoctl(device, VFIO_DEVICE_RESET)).toBe(0);
}

/** Brings about a state; what it gives says afterwards what has become of it. */
const STATES: Readonly<Record<StateName, (session: ResetSession) => () => string>> = {
  msi: ({ process, device, nic }) => {
    const [eventfd] = arm(process, device, VFIO_PCI_MSI_IRQ_INDEX, 1);
    return () => {
      nic.raise(0);
      return process.readEventfd(eventfd!) === 1n ? 'delivered' : 'lost';
    };
  },
  msix: ({ process, device, nic }) => {
    const eventfds = arm(process, device, VFIO_PCI_MSIX_IRQ_INDEX, 2);
    return () => {
      nic.raise(1);
      return eventfds.map((fd) => process.readEventfd(fd)).join() === '0,1' ? 'delivered' : 'lost';
    };
  },
  msixMask: ({ process, device, nic }) => {
    const eventfd = process.eventfd();
    setIrqTriggers(process, device, VFIO_PCI_MSIX_IRQ_INDEX, 0, [eventfd, -1]);
    return () => {
      nic.raise(1);
      return nic.msix?.isPending(1) === true ? 'waits' : 'sent';
    };
  },
  msixPending: ({ process, device, nic }) => {
    setIrqTriggers(process, device, VFIO_PCI_MSIX_IRQ_INDEX, 0, [process.eventfd(), -1]);
    nic.raise(1);
    expect(nic.msix?.isPending(1)).toBe(true);
    return () => (nic.msix?.isPending(1) === true ? 'kept' : 'lost');
  },
  intx: ({ process, device, nic }) => {
    const [eventfd] = arm(process, device, VFIO_PCI_INTX_IRQ_INDEX, 1);
    return () => {
      nic.setIntx(true);
      return process.readEventfd(eventfd!) === 1n ? 'delivered' : 'lost';
    };
  },
  intxMask: ({ process, device, nic }) => {
    const [eventfd] = arm(process, device, VFIO_PCI_INTX_IRQ_INDEX, 1);
    nic.setIntx(true);
    expect(process.readEventfd(eventfd!)).toBe(1n);
    return () => {
      nic.setIntx(false);
      nic.setIntx(true);
      const masked = process.readEventfd(eventfd!) === 0n;
      setIrqs(process, device, VFIO_PCI_INTX_IRQ_INDEX, VFIO_IRQ_SET_ACTION_UNMASK, 0, 1);
      const after = process.readEventfd(eventfd!) === 1n;
      return masked && after ? 'masked until the user unmasks' : `masked ${masked}, after ${after}`;
    };
  },
  command: ({ process, device, nic }) => () => {
    const virtual = read32(process, device, CONFIG + 4) & 0xffff;
    return virtual === (nic.command & 7) ? virtual.toString(16).padStart(4, '0') : `virtual ${virtual}, hardware ${nic.command}`;
  },
  userBar: ({ process, device }) => {
    write32(process, device, CONFIG + 0x10, 0xd000_0000);
    // Its low bits are the type.
    return () => ((read32(process, device, CONFIG + 0x10) & ~0xf) >>> 0).toString(16);
  },
  bar: ({ nic }) => () => (barAddress(nic.config.bytes, nic.bars[1]!) === nic.bars[1]!.address ? 'has its address' : 'is nowhere'),
  registers: ({ process, device }) => {
    write32(process, device, REGISTER, 0x1000);
    return () => (read32(process, device, REGISTER) === 0 ? 'lost' : 'kept');
  },
  migration: ({ process, device }) => {
    setMigrationState(process, device, MIG_STATE.STOP);
    return () => Object.entries(MIG_STATE).find(([, state]) => state === getMigrationState(process, device))?.[0] ?? 'none';
  },
  dmaLog: ({ nic }) => {
    nic.dmaLog.start([{ iova: 0n, length: 0x10000n }], 4096n);
    return () => {
      nic.dmaLog.wrote(0x3000, 4);
      const pages: bigint[] = [];
      nic.dmaLog.readAndClear({ iova: 0n, length: 0x10000n }, (iova) => pages.push(iova));
      return pages.join() === '12288' ? 'logged' : `pages ${pages.join()}`;
    };
  },
  lowPower: (session) => {
    expect(lowPower(session, VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY)).toBe(0);
    return () => (lowPower(session, VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY) === -EINVAL ? 'entered' : 'left');
  },
  ioeventfd: ({ process, device }) => {
    const eventfd = process.eventfd();
    expect(ioeventfd(process, device, REGISTER, 4, 0x55n, eventfd)).toBe(0);
    return () => {
      process.writeEventfd(eventfd, 1n);
      return read32(process, device, REGISTER) === 0x55 ? 'writes' : 'does nothing';
    };
  },
  notifiers: ({ process, device, vfioDevice, express }) => {
    const [err, req] = express === 0 ? [process.eventfd(), arm(process, device, VFIO_PCI_REQ_IRQ_INDEX, 1)[0]!] : Object.values(armNotifiers(process, device));
    return () => {
      vfioDevice.errorDetected();
      vfioDevice.request(0);
      const counts = [err, req].map((fd) => process.readEventfd(fd!)).join();
      return counts === '1,1' ? 'both signal' : counts === '0,1' ? 'REQ signals' : `ERR and REQ: ${counts}`;
    };
  },
  mapping: ({ process, device }) => {
    const mapping = process.mmap(device, 0x1000);
    return () => (mapping.read(RING_NIC.ID, 4) === RING_NIC_ID ? 'reads the device' : 'reads ones');
  },
};

function arm(process: ResetSession['process'], device: number, index: number, count: number): readonly number[] {
  const eventfds = Array.from({ length: count }, () => process.eventfd());
  setIrqTriggers(process, device, index, 0, eventfds);
  return eventfds;
}

const NEW = ['linux-6.1', 'linux-6.12', 'linux-7.3'];

describe.each(KINDS)('a reset by %s', (kind) => {
  it.each(STATE_NAMES)('and %s', (name) => {
    const { cells, since } = MATRIX[name];
    const kernels = KERNELS.filter((kernel) => (since === undefined && SINCE[kind] === undefined) || NEW.includes(kernel));
    for (const profile of kernels) {
      const session = resetSession(profile, kind);
      const after = STATES[name](session);
      ACTS[kind](session);
      expect(after(), profile).toBe(cells[kind]);
    }
  });
});

describe('the table', () => {
  it('says why where a row has one value, and only there', () => {
    for (const row of Object.values(MATRIX)) expect(new Set(Object.values(row.cells)).size === 1).toBe(row.throughout !== undefined);
  });

  it('is docs/resets.md', async () => {
    await expect(document()).toMatchFileSnapshot('../../../docs/resets.md');
  });
});

describe('MSI-X over a reset [M1]', () => {
  it.each(['flr', 'sysfs', 'hot-reset', 'd3hot'] as const)('by %s: an armed vector that the function raises counts 1', (kind) => {
    const session = resetSession('linux-6.1', kind);
    const [eventfd] = arm(session.process, session.device, VFIO_PCI_MSIX_IRQ_INDEX, 1);
    ACTS[kind](session);
    session.nic.raise(0);
    expect(session.process.readEventfd(eventfd!)).toBe(1n);
  });

  it('a vector that was disarmed before stays masked, and one that is armed after it is not', () => {
    const { process, device, nic } = resetSession('linux-6.1', 'flr');
    const [first, second] = arm(process, device, VFIO_PCI_MSIX_IRQ_INDEX, 2);
    setIrqTriggers(process, device, VFIO_PCI_MSIX_IRQ_INDEX, 0, [-1]);
    process.ioctl(device, VFIO_DEVICE_RESET);
    nic.raise(0);
    expect(nic.msix?.isPending(0)).toBe(true);
    setIrqTriggers(process, device, VFIO_PCI_MSIX_IRQ_INDEX, 0, [first!]);
    // What waited is sent as soon as the vector is unmasked.
    expect(process.readEventfd(first!)).toBe(1n);
    nic.raise(1);
    expect(process.readEventfd(second!)).toBe(1n);
  });
});

describe('a vector that waits in its pending bit', () => {
  it('is an event, and none where it is sent [M1]', () => {
    const { process, device, nic, events } = resetSession('linux-6.1', 'flr');
    setIrqTriggers(process, device, VFIO_PCI_MSIX_IRQ_INDEX, 0, [process.eventfd(), -1]);
    nic.raise(0);
    expect(events.filter(({ id }) => id === 'pci/interrupt-pending')).toEqual([]);
    nic.raise(1);
    expect(events.filter(({ id }) => id === 'pci/interrupt-pending').map(({ text }) => text)).toEqual([`${nic.name}: vector 1 is masked: it waits in its pending bit`]);
  });
});
