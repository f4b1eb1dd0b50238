/** What vfio-pci of 7.3 does otherwise than that of 6.12: the rows D14 to D18, B7 to B9 of the catalogue. */
import { EBADF, EINVAL, ENODEV, ENOTTY, ESPIPE, USE_AFTER_FREE, VFIO_DEVICE_FEATURE, VFIO_DEVICE_FEATURE_DMA_BUF, getIrqInfo, getRegionInfo, type Process } from '@vsim/vfio-core';
import { describe, expect, it } from 'vitest';
import { REGION_SPAN } from '../src/index.ts';
import { NAME, openLayout, type Layout } from './config-host.ts';
import { EDU_NAME, eduHost, ioeventfd } from './edu-host.ts';
import { CARD, PORT, slotHost } from './slot-host.ts';

const GET = 0x1_0000;
const ERR = 3;
const MMAP = 4;
const BARS: Layout = { bars: [{ index: 0, size: 0x4000 }, { index: 1, kind: 'io', size: 0x40 }] };
const NEW = { profile: 'linux-7.3' } as const;
const OLD = { profile: 'linux-6.12' } as const;

/** VFIO_DEVICE_FEATURE 11 with these ranges of a BAR. */
function dmaBuf(process: Process, fd: number, region: number, ...ranges: readonly (readonly [offset: number, length: number])[]): number {
  const words = [24 + 16 * ranges.length, GET | VFIO_DEVICE_FEATURE_DMA_BUF, region, 2, 0, ranges.length, ...ranges.flatMap(([offset, length]) => [offset, 0, length, 0])];
  return process.tryIoctl(fd, VFIO_DEVICE_FEATURE, new Uint8Array(Uint32Array.from(words).buffer));
}

const probe = (process: Process, fd: number, feature: number): number =>
  process.tryIoctl(fd, VFIO_DEVICE_FEATURE, new Uint8Array(Uint32Array.from([8, 0x5_0000 | feature]).buffer));

describe('linux-7.3', () => {
  it('[D14] has the ERR interrupt on a device without PCI Express', () => {
    const { process, device } = openLayout({}, NEW);
    expect(getIrqInfo(process, device, ERR)).toMatchObject({ flags: 9, count: 1 });
    const old = openLayout({}, OLD);
    expect(() => getIrqInfo(old.process, old.device, ERR)).toThrow('EINVAL');
  });

  it('[D16] answers EINVAL to feature 12 of a device without PRE_COPY, and ENOTTY to 13', () => {
    const { process, device } = openLayout({}, NEW);
    expect([probe(process, device, 12), probe(process, device, 13)]).toEqual([-EINVAL, -ENOTTY]);
    const old = openLayout({}, OLD);
    expect(probe(old.process, old.device, 12)).toBe(-ENOTTY);
  });

  it('[D15] [vfio 2.3/39] makes a dma-buf of ranges of a memory BAR', () => {
    const { process, device } = openLayout(BARS, NEW);
    const fd = dmaBuf(process, device, 0, [0x1000, 0x1000], [0, 0x2000]);
    expect(process.fdinfo(fd)).toBe('size:\t12288\ncount:\t1\nexp_name:\tvfio_pci_core\n');
    expect([process.lseek(fd, 0, 2), process.lseek(fd, 0, 0), process.tryLseek(fd, 1, 0), process.tryLseek(fd, 0, 1)]).toEqual([0x3000, 0, -EINVAL, -EINVAL]);
    expect([process.tryPread(fd, new Uint8Array(4), 0), process.tryMmap(fd, 4096, 0, 3, 1)]).toEqual([-ESPIPE, -EINVAL]);
  });

  it.each([
    ['no range', 0, [], -EINVAL],
    ['an I/O BAR', 1, [[0, 0x1000]], -EINVAL],
    ['an absent BAR', 2, [[0, 0x1000]], -ENODEV],
    ['the ROM', 6, [[0, 0x1000]], -ENODEV],
    ['half a page', 0, [[0, 0x800]], -EINVAL],
    ['the end of the BAR passed', 0, [[0x3000, 0x2000]], -EINVAL],
  ] as const)('[D15] refuses %s', (_, region, ranges, expected) => {
    const { process, device } = openLayout(BARS, NEW);
    expect(dmaBuf(process, device, region, ...ranges)).toBe(expected);
  });

  it('[D15] a dma-buf does not keep the device open', () => {
    const { process, device, vfio } = openLayout(BARS, NEW);
    const fd = dmaBuf(process, device, 0, [0, 0x1000]);
    process.close(device);
    expect(vfio.groups.flatMap(({ devices }) => devices.map(({ openCount }) => openCount))).not.toContain(1);
    expect(process.lseek(fd, 0, 2)).toBe(0x1000);
  });

  it('[D15] a dma-buf that is closed behind the last close of its device enters that no more, and one that is closed before does', () => {
    const { process, device, driver, bus, events } = openLayout(BARS, NEW);
    const vfioDevice = driver.vfioDevice(bus.device(NAME)!)!;
    const [first, second] = [dmaBuf(process, device, 0, [0, 0x1000]), dmaBuf(process, device, 0, [0, 0x1000])];
    const entered = () => events.filter(({ id }) => id === USE_AFTER_FREE.id).map(({ text }) => text);
    process.close(first);
    expect([entered(), vfioDevice.dmaBufs.size]).toEqual([[], 1]);
    const third = dmaBuf(process, device, 0, [0, 0x1000]);
    vfioDevice.free();
    process.close(second);
    expect(entered()).toEqual([`${NAME}: dma-buf after its structure was freed`]);
    process.close(device);
    const seen = entered().length;
    process.close(third);
    expect([entered().length, vfioDevice.dmaBufs.size]).toEqual([seen, 0]);
  });

  it('[D17] claims every BAR at open, and gives all back at the last close; before, each at its first use', () => {
    const claims = (process: Process): number => process.readFile('/proc/iomem').split(' : vfio').length - 1;
    const { process, device } = openLayout(BARS, NEW);
    expect([claims(process), process.readFile('/proc/ioports').includes(' : vfio')]).toEqual([1, true]);
    process.close(device);
    expect(claims(process)).toBe(0);
    const old = openLayout(BARS, OLD);
    expect(claims(old.process)).toBe(0);
    old.process.tryPread(old.device, new Uint8Array(4), 0);
    expect(claims(old.process)).toBe(1);
  });

  it('[D18] names the device in fdinfo', () => {
    const { process, device } = openLayout({}, NEW);
    expect(process.fdinfo(device)).toBe('vfio-device-syspath: /sys/devices/pci0000:00/0000:00:05.0\n');
    const old = openLayout({}, OLD);
    expect(old.process.fdinfo(old.device)).toBe('');
    expect(process.tryLseek(99, 0, 0)).toBe(-EBADF);
  });

  it('[B7] unmasks advisory errors of a function that reports by its role', () => {
    const structures = [
      [0x10, 0x40, 2, 0, 0x00, 0x80, 0x00, 0x00],
      [0x01, 0x100, ...new Array<number>(16).fill(0), 0x00, 0xe0, 0, 0],
    ] as const;
    expect(openLayout({ structures }, NEW).hardware(0x114, 4)).toBe(0xc000);
    expect(openLayout({ structures }, OLD).hardware(0x114, 4)).toBe(0xe000);
  });

  describe('[B9] can wake the machine', () => {
    const wakes = (process: Process, name: string): boolean => process.readdir(`/sys/bus/pci/devices/${name}/power`).includes('wakeup');

    it('[pcie_pme_mark_devices] what was below a root port when its driver came, and the port', () => {
      const { process } = slotHost(NEW);
      expect([PORT, CARD, EDU_NAME].map((name) => wakes(process, name))).toEqual([true, true, false]);
    });

    it('[pcie_pme_mark_devices] no device that came later, until the port is bound again', () => {
      const { process } = slotHost(NEW);
      process.writeFile(`/sys/bus/pci/devices/${CARD}/remove`, '1');
      process.writeFile('/sys/bus/pci/rescan', '1');
      expect(wakes(process, CARD)).toBe(false);
      process.writeFile('/sys/bus/pci/drivers/pcieport/unbind', PORT);
      process.writeFile('/sys/bus/pci/drivers/pcieport/bind', PORT);
      expect(wakes(process, CARD)).toBe(true);
    });

    it.each([[0xc802, true], [0x0002, false]])('[pci_pm_init] what says in PMC 0x%s that it has PME#', (pmc, expected) => {
      const { process } = openLayout({ structures: [[0x01, 0x40, pmc & 0xff, pmc >> 8, 0, 0]] }, NEW);
      expect(wakes(process, NAME)).toBe(expected);
    });
  });

  describe('a ROM from firmware', () => {
    const firmwareRom = Uint8Array.from({ length: 0x1100 }, (_, i) => i);
    const ROM = 6;

    it('[vfio_pci_ioctl_get_region_info] is the ROM region, its size a power of two', () => {
      const { process, device } = openLayout({ firmwareRom }, NEW);
      expect(getRegionInfo(process, device, ROM)).toMatchObject({ size: 0x2000n, flags: 1 });
    });

    it('[vfio_pci_bar_rw] is read with memory decoding off, and has ones behind the image', () => {
      const { process, device } = openLayout({ firmwareRom }, NEW);
      const bytes = new Uint8Array(4);
      expect(process.pread(device, bytes, ROM * REGION_SPAN + 0x10fe)).toBe(4);
      expect([...bytes]).toEqual([0xfe, 0xff, 0xff, 0xff]);
    });

    it('[vfio_pci_bar_rw] ends at the power of two, and cannot be written', () => {
      const { process, device } = openLayout({ firmwareRom }, NEW);
      expect(process.pread(device, new Uint8Array(4), ROM * REGION_SPAN + 0x1ffe)).toBe(2);
      expect(process.tryPread(device, new Uint8Array(4), ROM * REGION_SPAN + 0x2000)).toBe(-EINVAL);
      expect(process.tryPwrite(device, new Uint8Array(4), ROM * REGION_SPAN)).toBe(-EINVAL);
    });

    it('[vfio_bar_fixup] has a virtual ROM BAR of that size', () => {
      const { get, put } = openLayout({ firmwareRom }, NEW);
      put(0x30, 4, 0xffff_ffff);
      expect(get(0x30, 4)).toBe(0xffff_e001);
    });

    it('is not seen where the function has a ROM BAR with an address', () => {
      const { process, device, get, put } = openLayout({ firmwareRom, bars: [{ index: ROM, size: 0x1_0000 }] }, NEW);
      expect(getRegionInfo(process, device, ROM)).toMatchObject({ size: 0n });
      put(0x30, 4, 0xffff_ffff);
      expect(get(0x30, 4)).toBe(0xffff_0001);
    });

    it('is not seen by 6.12', () => {
      const { process, device, get, put } = openLayout({ firmwareRom }, OLD);
      expect(getRegionInfo(process, device, ROM)).toMatchObject({ size: 0n });
      expect(process.tryPread(device, new Uint8Array(4), ROM * REGION_SPAN)).toBe(-EINVAL);
      put(0x30, 4, 0xffff_ffff);
      expect(get(0x30, 4)).toBe(0);
    });
  });

  describe('[vfio_pci_probe_mmaps] BARs that cannot be mapped', () => {
    const layout: Layout = { ...BARS, nonMappableBars: true };
    const READ_WRITE = 3;

    it('have no MMAP flag, and mmap is refused', () => {
      const { process, device } = openLayout(layout, NEW);
      expect(getRegionInfo(process, device, 0)).toMatchObject({ size: 0x4000n, flags: READ_WRITE });
      expect(process.tryMmap(device, 4096, 0, 3, 1)).toBe(-EINVAL);
    });

    it('are not claimed at open, so that each access is ENODEV', () => {
      const { process, device } = openLayout(layout, NEW);
      expect(process.readFile('/proc/iomem')).not.toContain(' : vfio');
      expect(process.tryPread(device, new Uint8Array(4), 0)).toBe(-ENODEV);
      expect(process.tryPwrite(device, new Uint8Array(4), REGION_SPAN)).toBe(-ENODEV);
      expect(dmaBuf(process, device, 0, [0, 0x1000])).toBe(-ENODEV);
      expect(process.tryPread(device, new Uint8Array(4), 0x4000)).toBe(-EINVAL);
    });

    it('take no ioeventfd', () => {
      const { process, device, events } = openLayout(layout, NEW);
      expect(ioeventfd(process, device, 0, 4, 1n, process.eventfd())).toBe(-ENODEV);
      expect(events.at(-1)).toMatchObject({ id: 'vfio-pci/non-mappable-bars', fields: { device: NAME, region: 0 } });
    });

    it('are an ordinary matter for 6.12', () => {
      const { process, device } = openLayout(layout, OLD);
      expect(getRegionInfo(process, device, 0).flags & MMAP).toBe(MMAP);
    });
  });

  it('[B8] [B9] knows the power state without a PM capability, and has the new folders', () => {
    const { process } = openLayout({ structures: [[0x03, 0x100, 1, 2, 3, 4, 5, 6, 7, 8]] }, NEW);
    const folder = '/sys/bus/pci/devices/0000:00:05.0';
    expect(process.readFile(`${folder}/serial_number`)).toBe('08-07-06-05-04-03-02-01\n');
    expect(process.readdir(`${folder}/aer`)).toEqual([]);
    const [known, unknown] = [NEW, OLD].map((init) => eduHost(init).process.readFile(`/sys/bus/pci/devices/${EDU_NAME}/power_state`));
    expect([known, unknown]).toEqual(['D0\n', 'unknown\n']);
  });
});
