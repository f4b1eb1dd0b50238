/** What else vfio-pci and the PCI core refuse: each says which rule it was, and what decided [M14]. */
import {
  ENODEV,
  VFIO_DEVICE_FEATURE,
  VFIO_DEVICE_FEATURE_DMA_BUF,
  VFIO_PCI_INTX_IRQ_INDEX,
  VFIO_PCI_ROM_REGION_INDEX,
  setIrqTriggers,
} from '@vsim/vfio-core';
import { describe, expect, it } from 'vitest';
import { PciFunction, PciePort, REGION_SPAN, VGA_ARBITER, VGA_ARBITER_ALLOCATION, buildConfig, createEdu } from '../src/index.ts';
import { why } from '../../../testing/why.ts';
import { CARD, attach, bridge, cardHost } from './card-host.ts';
import { openLayout } from './config-host.ts';
import { EDU_NAME, bind, eduHost, ioeventfd, open, openEdu } from './edu-host.ts';
import { slotHost } from './slot-host.ts';

const OTHER = '0000:00:05.0';

describe('vfio-pci and the PCI core', () => {
  it('say what is wrong with a dma-buf', () => {
    const { host, process, device } = openLayout({ bars: [{ index: 0, size: 0x4000 }, { index: 1, kind: 'io', size: 0x40 }] }, { profile: 'linux-7.3' });
    const events = host.trace.record();
    const make = (region: number, ...ranges: readonly (readonly [offset: number, length: number])[]) => () => {
      const words = [24 + 16 * ranges.length, 0x1_0000 | VFIO_DEVICE_FEATURE_DMA_BUF, region, 2, 0, ranges.length, ...ranges.flatMap(([offset, length]) => [offset, 0, length, 0])];
      return process.ioctl(device, VFIO_DEVICE_FEATURE, new Uint8Array(Uint32Array.from(words).buffer));
    };
    expect(why(events, make(0))).toBe(`EINVAL vfio-pci/dma-buf-request: ${OTHER}: region 0, 0 ranges, flags 0x0`);
    expect(why(events, make(2, [0, 0x1000]))).toBe(`ENODEV vfio-pci/dma-buf-request: ${OTHER}: region 2, 1 ranges, flags 0x0`);
    expect(why(events, make(0, [0, 0x800]))).toBe(`EINVAL vfio-pci/dma-buf-range: ${OTHER}: offset 0x0, length 0x800 of a BAR of 0x4000 bytes`);
    expect(why(events, make(0, [0x3000, 0x2000]))).toBe(`EINVAL vfio-pci/dma-buf-range: ${OTHER}: offset 0x3000, length 0x2000 of a BAR of 0x4000 bytes`);
    const fd = make(0, [0, 0x1000])();
    expect(why(events, () => process.pread(fd, new Uint8Array(4), 0))).toBe('ESPIPE vfio-pci/dma-buf-call: read is not for a dma-buf');
    expect(why(events, () => process.lseek(fd, 1, 0))).toBe('EINVAL vfio-pci/dma-buf-call: lseek elsewhere is not for a dma-buf');
    expect(why(events, () => process.mmap(fd, 0x1000))).toBe('EINVAL vfio-pci/dma-buf-call: mmap is not for a dma-buf');
  });

  it('say that the line of an INTx is taken, where the device cannot mask its own', () => {
    const { host, bus, process, device, events } = openEdu({ parameters: { nointxmask: true } });
    bus.plug(createEdu(host, '0000:00:06.0'), { group: 9 });
    bind(process, '0000:00:06.0');
    const second = open(process, '0000:00:06.0', 9).device;
    setIrqTriggers(process, device, VFIO_PCI_INTX_IRQ_INDEX, 0, [process.eventfd()]);
    expect(why(events, () => setIrqTriggers(process, second, VFIO_PCI_INTX_IRQ_INDEX, 0, [process.eventfd()]))).toBe("EBUSY vfio-pci/intx-shared: the line of 0000:00:06.0 is somebody else's, too");
  });

  it('say that a ROM holds no image', () => {
    const { host, process, device } = openLayout({ bars: [{ index: 6, size: 0x1000 }], bytes: { 4: 2 } });
    const events = host.trace.record();
    expect(why(events, () => process.pread(device, new Uint8Array(4), VFIO_PCI_ROM_REGION_INDEX * REGION_SPAN))).toBe(`ENOMEM vfio-pci/no-rom: ${OTHER} has no ROM image`);
  });

  it('say that the VGA arbiter does not know a device', () => {
    const made = cardHost({ before: (host) => { host.faults.failNext(VGA_ARBITER_ALLOCATION); } });
    expect(attach(made, made.device)).toBe(-ENODEV);
    expect(made.events.filter(({ id }) => id === VGA_ARBITER.id).map(({ text }) => text)).toEqual([`the VGA arbiter does not know ${CARD}`]);
  });

  it('say that the hardware makes no VFs', () => {
    const { host, bus, process, events } = eduHost({ parameters: { enableSriov: true } });
    const config = buildConfig({ vendor: 0x1d55, device: 1, express: true, sriov: { totalVfs: 2, vfDevice: 3 } });
    const { sysfs } = bus.plug(new PciFunction(host, { address: OTHER, config }), { group: 5 });
    bind(process, OTHER);
    expect(why(events, () => process.writeFile(`${sysfs}/sriov_numvfs`, '1'))).toBe(`ENOTTY pci/numvfs-hardware: ${OTHER} does not make 1 VFs`);
  });

  it('say which methods of reset did not work', () => {
    const { host, bus, process, events } = eduHost();
    const config = buildConfig({ vendor: 0x1d55, device: 1, express: true });
    const fn = new PciFunction(host, { address: OTHER, config });
    const device = bus.plug(fn, { group: 5 });
    fn.setAbsence('no power');
    expect(why(events, () => process.writeFile(`${device.sysfs}/reset`, '1'))).toBe(`ENOTTY pci/reset-failed: ${OTHER}: ${device.resetMethods.join(', ')} did not work`);
  });

  it('say how many ioeventfds a device may have', () => {
    const { process, device, events } = openEdu();
    const one = process.eventfd();
    for (let n = 0; n < 1000; n += 1) expect(ioeventfd(process, device, 0x20, 4, BigInt(n), one)).toBe(0);
    expect(why(events, () => ioeventfd(process, device, 0x20, 4, 1000n, one))).toBe(`ENOSPC vfio-pci/ioeventfd-limit: ${EDU_NAME} has its 1000 ioeventfds`);
  });

  it('say that a device is no port', () => {
    const { host, bus, process, events } = eduHost();
    host.scheduler.call('modprobe', bus.addDriver(new PciePort()));
    bus.plug(bridge(host, '0000:00:1e.0', 1), { group: 19 });
    bus.plug(new PciFunction(host, { address: OTHER, config: buildConfig({ vendor: 1, device: 2, class: 0x06_0400, express: true }) }), { group: 5 });
    const bindTo = (name: string) => () => process.writeFile('/sys/bus/pci/drivers/pcieport/bind', name);
    expect(why(events, bindTo('0000:00:1e.0'))).toBe('EINVAL pci/not-port: 0000:00:1e.0 has no PCI Express capability');
    expect(why(events, bindTo(OTHER))).toBe(`EINVAL pci/not-port: ${OTHER} is of PCI Express type 0`);
  });

  it('say in which state a slot is', () => {
    const { process, events } = slotHost();
    expect(why(events, () => process.writeFile('/sys/bus/pci/slots/7/power', '1'))).toBe('EINVAL pci/slot-state: /sys/bus/pci/slots/7 is on, and 1 is written');
  });
});
