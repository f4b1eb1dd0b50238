import { describe, expect, it } from 'vitest';
import {
  BlockedError,
  constant,
  ETIMEDOUT,
  SmmuV3Iommu,
  VFIO_DEVICE_RESET,
  VFIO_GROUP_GET_DEVICE_FD,
  type MmioDevice,
} from '@vsim/vfio-core';
import { outcomeOf } from '@vsim/vfio-core/testing';
import { CHIP_RESETS, PlatformDevice, RESET_WITHOUT_REGION, ResetModules, XGBE_TIMEOUT } from '../src/index.ts';
import { openGroup, setUp, type PlatformHost } from './set-up.ts';

const MS = 1_000_000;

/** Registers that keep what is written, and tell it. */
class Registers implements MmioDevice {
  readonly values: Map<number, number>;
  readonly writes: (readonly [offset: number, value: number])[] = [];
  readonly #written: (offset: number, value: number) => void;

  constructor(values: readonly (readonly [number, number])[], written: (offset: number, value: number) => void = () => undefined) {
    this.values = new Map(values);
    this.#written = written;
  }

  read(offset: number): number {
    return this.values.get(offset) ?? 0;
  }

  write(offset: number, _width: number, value: number): void {
    this.writes.push([offset, value]);
    this.values.set(offset, value);
    this.#written(offset, value);
  }
}

/** A bound device of this kind whose memory regions are `hardware`. */
function chip(compatible: string, hardware: readonly MmioDevice[], size: number): PlatformHost {
  const start = 0x1000_0000;
  const made = setUp({
    resets: new ResetModules(CHIP_RESETS),
    firmware: { compatible: [compatible] },
    resources: hardware.map((_, i) => ({ kind: 'mem', start: start + i * size, size })),
  });
  hardware.forEach((registers, i) => made.host.memory.map(start + i * size, size, registers));
  made.bind();
  return made;
}

it('[vfio 4.7/1] calxedaxgmac turns off interrupts, DMA and MAC, and leaves the other bits', () => {
  const registers = new Registers([[0xf1c, 0x1_a0e7], [0xf18, 0xffff_ffff], [0, 0xffff_ffff]]);
  chip('calxeda,hb-xgmac', [registers], 0x1000).open();
  expect(registers.writes).toEqual([[0xf1c, 0], [0xf18, 0xffff_dffd], [0, 0xffff_fff3]]);
});

describe('[vfio 4.7/2] amdxgbe', () => {
  /** The MDIO registers behind the window, by (mmd << 16 | register), and the accesses to them. */
  function xgbe(stuck: { readonly phy?: boolean; readonly mac?: boolean }) {
    const mdio = new Map([[0x3_0000, 0x2040], [0x7_0000, 0x3000], [0x7_8001, 7], [0x7_8002, 7]]);
    const log: string[] = [];
    let page = 0;
    const pcs: MmioDevice = {
      read: (offset) => mdio.get((page << 8) | (offset >>> 2)) ?? 0,
      write: (offset, _width, value) => {
        if (offset === 0x3fc) {
          page = value;
          return;
        }
        const register = (page << 8) | (offset >>> 2);
        log.push(`${register.toString(16)} := ${value.toString(16)}`);
        // The reset bit of the PHY clears itself.
        mdio.set(register, register === 0x3_0000 && stuck.phy !== true ? value & ~0x8000 : value);
      },
    };
    const mac: Registers = new Registers([[0x3000, 0x100]], (offset, value) => {
      log.push(`mac ${offset.toString(16)} := ${value.toString(16)}`);
      if (stuck.mac !== true) mac.values.set(offset, value & ~1);
    });
    return { made: chip('amd,xgbe-seattle-v1a', [mac, pcs], 0x1_0000), log };
  }
  const steps = ['30000 := a040', '70000 := 2000', '78001 := 0', '78002 := 0', 'mac 3000 := 101'];

  it('resets the PHY, stops auto-negotiation and its interrupt, resets the MAC', () => {
    const { made: { open, host }, log } = xgbe({});
    open();
    expect([log, host.scheduler.now]).toEqual([steps, 0]);
  });

  it('waits 50 times 20 ms for the PHY and 2000 times 500 us for the MAC, tells it, and has succeeded [platform 47]', () => {
    const { made: { open, host, root, events }, log } = xgbe({ phy: true, mac: true });
    expect(open).toThrow(BlockedError);
    host.scheduler.advance(1000 * MS - 1);
    expect(log).toEqual(steps.slice(0, 1));
    host.scheduler.advance(1);
    expect(log).toEqual(steps);
    expect(host.scheduler.threads.length).toBe(1);
    host.scheduler.advance(1000 * MS);
    expect([host.scheduler.threads, root.fds.length]).toEqual([[], 3]);
    expect(events.map(({ id, text }) => [id, text.split(' ')[1]])).toEqual([[XGBE_TIMEOUT.id, 'phy'], [XGBE_TIMEOUT.id, 'mac']]);
  });
});

describe('[vfio 4.7/3] bcmflexrm', () => {
  const RING = 0x1_0000;
  const MAGIC = 0x7630_3031;

  /** Four rings, of which the second is none; those in `stuck` never flush, those in `stays` say for ever that they have. */
  function flexrm({ stuck = [], stays = [] }: { readonly stuck?: readonly number[]; readonly stays?: readonly number[] }) {
    const versions = [0, 2, 3].map((ring) => [ring * RING, MAGIC] as const);
    const registers: Registers = new Registers(versions, (offset, value) => {
      const ring = Math.floor(offset / RING);
      if (offset % RING !== 0x34 || stuck.includes(ring)) return;
      if (value === 0x20) registers.values.set(ring * RING + 0x38, 1);
      else if (!stays.includes(ring)) registers.values.set(ring * RING + 0x38, 0);
    });
    return { made: chip('brcm,iproc-flexrm-mbox', [registers], 4 * RING), registers };
  }
  const stopped = (ring: number) => [[ring * RING + 0x34, 0], [ring * RING + 0x34, 0x20], [ring * RING + 0x34, 0]] as const;

  it('flushes every ring that is one', () => {
    const { made, registers } = flexrm({});
    made.open();
    expect(registers.writes).toEqual([...stopped(0), ...stopped(2), ...stopped(3)]);
  });

  it.each([[{ stuck: [0] }], [{ stays: [2] }], [{ stuck: [0], stays: [3] }]])('waits 1000 times 1 ms, goes on with the next ring, and fails: %o', (broken: { readonly stuck?: readonly number[]; readonly stays?: readonly number[] }) => {
    const { made: { host, root, open, vfio }, registers } = flexrm(broken);
    const failures = (broken.stuck ?? []).length + (broken.stays ?? []).length;
    expect(open).toThrow(BlockedError);
    const [opening] = host.scheduler.threads;
    host.scheduler.advance(failures * 1000 * MS - 1);
    expect(host.scheduler.threads).toEqual([opening]);
    host.scheduler.advance(1);
    // A reset is required, and so the open fails: the fds of container and group are all that is left.
    expect([opening?.result(), root.fds.length, vfio.groups[0]?.devices[0]?.openCount]).toEqual([-ETIMEDOUT, 2, 0]);
    expect(registers.writes.filter(([offset]) => Math.floor(offset / RING) === 3).length).toBe(3);
  });
});

it('amdxgbe on memory that clears nothing leaves its reset bits set, and the interrupt of auto-negotiation off [platform 47]', () => {
  const [mac, pcs] = [new Registers([]), new Registers([[4, 7], [8, 7]])];
  const { open, host, root, events } = chip('amd,xgbe-seattle-v1a', [mac, pcs], 0x4000);
  expect(open).toThrow(BlockedError);
  host.scheduler.advance(2000 * MS);
  expect([root.fds.length, events.map(({ id }) => id)]).toEqual([3, [XGBE_TIMEOUT.id, XGBE_TIMEOUT.id]]);
  expect([mac.values.get(0x3000), pcs.values.get(0), pcs.values.get(4), pcs.values.get(8), pcs.values.get(0x3fc)]).toEqual([1, 0x8000, 0, 0, 0x780]);
});

describe('bcmflexrm on memory', () => {
  it.each<readonly [string, Record<number, number>, number, readonly number[]]>([
    ['without a ring is left alone', {}, 0, []],
    ['that never flushes keeps its flush bit', { 0: 0x7630_3031 }, -ETIMEDOUT, [0, 0x20]],
    ['that says for ever that it has flushed', { 0: 0x7630_3031, 0x38: 1 }, -ETIMEDOUT, [0, 0x20, 0]],
    ['with two rings that fail gives both errors as one', { 0: 0x7630_3031, 0x1_0000: 0x7630_3031 }, -ETIMEDOUT, [0, 0x20, 0, 0x20]],
  ])('%s [platform 48]', (_name, values, answer, writes) => {
    const registers = new Registers(Object.entries(values).map(([at, value]) => [Number(at), value]));
    const { host, device } = chip('brcm,iproc-flexrm-mbox', [registers], 0x2_0000);
    const reset = host.scheduler.spawn('reset', CHIP_RESETS.get('brcm,iproc-flexrm-mbox')!(device));
    host.scheduler.advance(2000 * MS);
    expect([reset.result(), registers.writes.map(([, value]) => value)]).toEqual([answer, writes]);
  });
});

it('VFIO_DEVICE_RESET waits for the chip, and gives its answer', () => {
  const versions = [[0, 0x7630_3031]] as const;
  let flushes = true;
  const registers: Registers = new Registers(versions, (offset, value) => {
    if (offset === 0x34 && flushes) registers.values.set(0x38, value === 0x20 ? 1 : 0);
  });
  const { open, host, root } = chip('brcm,iproc-flexrm-mbox', [registers], 0x1_0000);
  const { device } = open();
  expect(root.ioctl(device, VFIO_DEVICE_RESET)).toBe(0);
  flushes = false;
  const reset = root.start('reset', root.sys.ioctl(device, VFIO_DEVICE_RESET, 0));
  expect(reset.outcome.state).toBe('asleep');
  host.scheduler.advance(1000 * MS);
  expect(reset.result()).toBe(-ETIMEDOUT);
});

it('a chip without the region that its reset needs fails the open, which is told [platform 21]', () => {
  for (const compatible of CHIP_RESETS.keys()) {
    const { open, events } = chip(compatible, [], 0x1000);
    expect([outcomeOf(open), events.map(({ id, severity }) => `${id} ${severity}`)]).toEqual(['ENOMEM', [`${RESET_WITHOUT_REGION.id} bug`]]);
  }
});

it('an XGBE without its second region is told as well, and goes on [platform 21]', () => {
  const { open, events } = chip('amd,xgbe-seattle-v1a', [new Registers([])], 0x1_0000);
  expect([outcomeOf(open), events.map(({ fields }) => fields)]).toEqual(['ENOMEM', [{ device: '9000000.uart', region: 1 }]]);
});

it('a node without reg and interrupts is opened where its reset touches no region [platform 21]', () => {
  const { bind, open, events } = setUp({ resources: [], irqs: [] });
  bind();
  expect([outcomeOf(open), events]).toEqual(['success', []]);
});

/** A Calxeda XGMAC in 0x200 bytes of one page. */
function smallXgmac(start: number, pages: number) {
  const made = setUp({ resets: new ResetModules(CHIP_RESETS), firmware: { compatible: ['calxeda,hb-xgmac'] }, resources: [{ kind: 'mem', start, size: 0x200 }] });
  const registers = new Registers([[0xf18, 0xffff_ffff]]);
  made.host.memory.map(0x1000_0000, pages * 0x1000, registers);
  made.bind();
  made.open();
  return { writes: registers.writes, told: made.events.map(({ fields }) => fields) };
}

it('calxedaxgmac writes behind the end of a small region, in its page, which is told [platform 46]', () => {
  const told = (offset: number) => ({ device: '9000000.uart', region: 0, offset, mapped: true });
  expect(smallXgmac(0x1000_0000, 1)).toEqual({ writes: [[0xf1c, 0], [0xf18, 0xffff_dffd], [0, 0]], told: [0xf1c, 0xf18, 0xf18].map(told) });
});

it('and does not reach the page behind, where the kernel faults [platform 46]', () => {
  const { writes, told } = smallXgmac(0x1000_0800, 2);
  expect([writes, told]).toEqual([[[0x800, 0]], [0xf1c, 0xf18, 0xf18].map((offset) => ({ device: '9000000.uart', region: 0, offset, mapped: false }))]);
});

it.each(['linux-5.13', 'linux-6.1'] as const)('while a chip is waited for, 5.13 opens no other device, and 6.1 does, %s', (profile) => {
  const { host, root, vfio, bus, bind, open, device, driver, answers } = setUp({ profile, slowReset: 1000 * MS });
  bind();
  const other = new PlatformDevice(host, { name: 'other', resources: [], firmware: { compatible: ['other'] } });
  driver.resets.register('other', () => constant(answers.reset));
  bus.announce(other);
  new SmmuV3Iommu(host).addGroup([other]);
  other.driverOverride = driver.name;
  root.writeFile('/sys/bus/platform/drivers_probe', 'other');
  expect(open).toThrow(BlockedError);
  const { group } = openGroup(root, 1);
  const opening = root.start('open', root.sys.ioctl(group, VFIO_GROUP_GET_DEVICE_FD, new TextEncoder().encode('other\0')));
  expect(opening.outcome.state).toBe(profile === 'linux-5.13' ? 'asleep' : 'done');
  host.scheduler.advance(1000 * MS);
  expect([opening.outcome.state, device.runtimePm.enabled, vfio.groups.map(({ devices }) => devices[0]?.openCount)]).toEqual(['done', true, [1, 1]]);
});
