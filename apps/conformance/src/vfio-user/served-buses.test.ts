/** Devices of every bus, served: what a client asks and gets through the protocol, with memory and eventfds of its own. */
import { describe, expect, it } from 'vitest';
import {
  ApicMsi,
  Bus,
  Host,
  Mmu500Iommu,
  openDevice,
  Process,
  SmmuV3Iommu,
  Vfio,
  VFIO_DEVICE_GET_INFO,
  VFIO_DEVICE_GET_IRQ_INFO,
  VFIO_DEVICE_RESET,
  VFIO_IRQ_SET_ACTION_TRIGGER,
  VFIO_IRQ_SET_ACTION_UNMASK,
  VFIO_IRQ_SET_DATA_EVENTFD,
} from '@vsim/vfio-core';
import { FslMcBus, ManagementComplex, VfioFslMcDriver } from '@vsim/vfio-fslmc';
import { MdevBus, Mtty, UART } from '@vsim/mdev';
import { createEdu, EDU } from '@vsim/vfio-pci';
import { IrqLine, Pl011, PL011, PlatformDevice, ResetModules, VfioPlatformDriver } from '@vsim/vfio-platform';
import { EventFile, MemoryFile, servedDevice, type Descriptor, type ServedDevice } from '@vsim/vfio-user';
import { ADDRESS, servedFunction } from './served-function.ts';

const PAGE = 4096;
const TRIGGER = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER;
const UNMASK = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_UNMASK;

function words(...values: readonly number[]): Uint8Array {
  return new Uint8Array(Uint32Array.from(values).buffer);
}

/** Flags, regions and interrupt indices, as they go out. */
function infoOf(device: ServedDevice): readonly number[] {
  const info = words(16, 0, 0, 0);
  expect(device.ioctl(VFIO_DEVICE_GET_INFO, info)).toBe(0);
  return [...new Uint32Array(info.buffer)].slice(1);
}

/** Flags and count of an interrupt index. */
function irqInfoOf(device: ServedDevice, index: number): readonly number[] {
  const info = words(16, 0, index, 0);
  expect(device.ioctl(VFIO_DEVICE_GET_IRQ_INFO, info)).toBe(0);
  return [...new Uint32Array(info.buffer)].filter((_, i) => i % 2 === 1);
}

function give(device: ServedDevice, flags: number, index: number, eventfds: readonly (Descriptor | undefined)[]): number {
  return device.setIrqs(words(20, flags, index, 0, eventfds.length), eventfds);
}

function read(device: ServedDevice, region: number, offset: number, width = 4): number {
  const into = new Uint8Array(4);
  expect(device.read(region, offset, into.subarray(0, width))).toBe(width);
  return new DataView(into.buffer).getUint32(0, true);
}

/** Gives a device memory of a client. */
function share(device: ServedDevice, iova: bigint, file: MemoryFile): number {
  const memory = file.descriptor().map(0, file.bytes.length, true);
  return typeof memory === 'number' ? memory : device.mapDma({ iova, size: file.bytes.length, read: true, write: true, memory });
}

/** What is left to a server when its client has gone. */
function leftOf(process: Process): readonly number[] {
  return [process.fds.length, process.host.memory.foreign.count, process.mm.lockedPages];
}

it('a PCI function moves memory of the client, and sends its MSI', () => {
  const { device, process } = servedFunction((host) => createEdu(host, ADDRESS));
  expect([infoOf(device).slice(1), irqInfoOf(device, 1)]).toEqual([[9, 5], [9, 1]]);
  const [file, msi] = [new MemoryFile(4 * PAGE), new EventFile()];
  expect([share(device, 0x10_0000n, file), give(device, TRIGGER, 1, [msi.descriptor()])]).toEqual([0, 0]);
  device.write(7, 4, Uint8Array.of(6, 0));
  file.bytes.fill(0xab, PAGE, PAGE + 100);
  const write = (offset: number, value: number): void => { device.write(0, offset, words(value)); };
  const move = (from: number, to: number, command: number): void => {
    write(EDU.DMA_SOURCE, from);
    write(EDU.DMA_DESTINATION, to);
    write(EDU.DMA_COUNT, 100);
    write(EDU.DMA_COMMAND, command);
  };
  move(0x10_1000, 0x4_0000, 1);
  move(0x4_0000, 0x10_2ff0, 7);
  expect([read(device, 0, EDU.IDENTIFICATION), [...file.bytes.subarray(0x2fee, 0x2ff2)], file.bytes[0x3053], file.bytes[0x3054], msi.take()]).toEqual([0x0100_00ed, [0, 0, 0xab, 0xab], 0xab, 0, 1]);
  device.disconnect();
  expect([leftOf(process), msi.open, file.mapped]).toEqual([[3, 0, 0], 0, 0]);
});

it('a platform device raises its line until the client has served it, and is unmasked by an eventfd', () => {
  const host = new Host();
  const bus = new Bus<PlatformDevice>(host, 'platform');
  const resets = new ResetModules();
  resets.register('vsim,uart', function* () { return 0; });
  host.scheduler.call('modprobe', bus.addDriver(new VfioPlatformDriver(new Vfio(host), { resets })));
  const line = new IrqLine(33, 'level-high');
  const uart = new Pl011(line);
  const hardware = new PlatformDevice(host, { name: '9000000.uart', resources: [{ kind: 'mem', start: 0x900_0000, size: 0x1000 }], irqs: [line], msiParent: true, firmware: { compatible: ['vsim,uart'] }, hardware: [uart] });
  bus.announce(hardware);
  new SmmuV3Iommu(host).addGroup([hardware]);
  const process = new Process(host);
  process.writeFile('/sys/bus/platform/devices/9000000.uart/driver_override', 'vfio-platform');
  process.writeFile('/sys/bus/platform/drivers/vfio-platform/bind', '9000000.uart');
  const device = servedDevice(process, openDevice(process, '9000000.uart'));
  expect([infoOf(device), irqInfoOf(device, 0)]).toEqual([[5, 1, 1], [7, 1]]);
  const [trigger, unmask] = [new EventFile(), new EventFile()];
  expect([give(device, TRIGGER, 0, [trigger.descriptor()]), give(device, UNMASK, 0, [unmask.descriptor()])]).toEqual([0, 0]);
  device.write(0, PL011.IMSC, words(0x10));
  uart.receive(0x41);
  uart.receive(0x42);
  expect(trigger.take()).toBe(1);
  unmask.signal();
  expect([trigger.take(), read(device, 0, PL011.DR) & 0xff, read(device, 0, PL011.DR) & 0xff]).toEqual([1, 0x41, 0x42]);
  unmask.signal();
  expect([trigger.take(), device.ioctl(VFIO_DEVICE_RESET, new Uint8Array(0)), share(device, 0n, new MemoryFile(PAGE))]).toEqual([0, 0, 0]);
  device.disconnect();
  expect([leftOf(process), trigger.open, unmask.open, unmask.listeners]).toEqual([[3, 0, 0], 0, 0, 0]);
});

it('a mediated device has interrupts, and memory of the client without an IOMMU behind it', () => {
  const host = new Host();
  const mtty = new Mtty(new MdevBus(host), new Vfio(host));
  host.scheduler.call('modprobe', mtty.register());
  const process = new Process(host);
  const uuid = '83b8f4f2-509f-382f-3c1e-e6bfe0fa1001';
  process.writeFile('/sys/class/mdev_bus/mtty/mdev_supported_types/mtty-1/create', uuid);
  const device = servedDevice(process, openDevice(process, uuid));
  expect(infoOf(device).slice(1)).toEqual([9, 5]);
  const intx = new EventFile();
  expect(give(device, TRIGGER, 0, [intx.descriptor()])).toBe(0);
  device.write(0, UART.FCR, Uint8Array.of(0));
  device.write(0, UART.IER, Uint8Array.of(1));
  device.write(0, UART.TX, Uint8Array.of(0x41));
  expect([intx.take(), read(device, 0, UART.RX, 1)]).toEqual([1, 0x41]);
  const file = new MemoryFile(2 * PAGE);
  // Also where an IOMMU of x86 has the window of its interrupts.
  expect([share(device, 0xfee0_0000n, file), device.unmapDma(0xfee0_0000n, 0x2000n), file.mapped]).toEqual([0, 2 * PAGE, 0]);
  device.disconnect();
  expect([leftOf(process), intx.open]).toEqual([[3, 0, 0], 0]);
});

describe('an object of an fsl-mc container', () => {
  it('has its regions, its interrupts and memory of the client', () => {
    const host = new Host();
    const mc = new ManagementComplex(host);
    const guest = mc.root.addContainer({ id: 2, icid: 23 });
    guest.add({ type: 'dpni', id: 0, irqs: 2 });
    guest.add({ type: 'dpmcp', id: 0 });
    const bus = new FslMcBus(host, { mc, iommu: new Mmu500Iommu(host), msi: new ApicMsi(host) });
    host.scheduler.call('boot', bus.start());
    host.scheduler.call('modprobe', bus.addDriver(new VfioFslMcDriver(bus, new Vfio(host))));
    const process = new Process(host);
    process.writeFile('/sys/bus/fsl-mc/devices/dprc.2/driver_override', 'vfio-fsl-mc');
    process.writeFile('/sys/bus/fsl-mc/drivers/fsl_mc_dprc/unbind', 'dprc.2');
    process.writeFile('/sys/bus/fsl-mc/drivers/vfio-fsl-mc/bind', 'dprc.2');
    const device = servedDevice(process, openDevice(process, 'dpni.0'));
    const [, regions, irqs] = infoOf(device);
    expect([regions, irqs, irqInfoOf(device, 0)]).toEqual([0, 2, [1, 1]]);
    const [irq, file] = [new EventFile(), new MemoryFile(PAGE)];
    expect([give(device, TRIGGER, 0, [irq.descriptor()]), share(device, 0n, file)]).toEqual([0, 0]);
    const test = words(20, VFIO_IRQ_SET_ACTION_TRIGGER | 1, 0, 0, 1);
    expect([device.setIrqs(test, []), irq.take()]).toEqual([0, 1]);
    device.disconnect();
    expect([leftOf(process), irq.open, file.mapped]).toEqual([[3, 0, 0], 0, 0]);
  });
});
