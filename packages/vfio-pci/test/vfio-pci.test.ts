/** The vfio-pci driver by its user API and sysfs. What recordings prove is replayed in apps/conformance; here is what they lack. */
import {
  DRIVER_UNBINDING,
  EBUSY,
  EINVAL,
  IrqBypassManager,
  MIG_STATE,
  MigrationDriver,
  Process,
  REGISTERED,
  SaveFile,
  VFIO_DEVICE_RESET,
  VFIO_IRQ_SET_ACTION_MASK,
  VFIO_IRQ_SET_ACTION_TRIGGER,
  VFIO_IRQ_SET_ACTION_UNMASK,
  VFIO_MIGRATION_STOP_COPY,
  VFIO_PCI_ERR_IRQ_INDEX,
  VFIO_PCI_INTX_IRQ_INDEX,
  VFIO_PCI_MSIX_IRQ_INDEX,
  VFIO_PCI_MSI_IRQ_INDEX,
  VFIO_PCI_REQ_IRQ_INDEX,
  getDeviceFd,
  getDeviceInfo,
  getIrqInfo,
  getMigrationFlags,
  getMigrationState,
  getRegionInfo,
  setIrqTriggers,
  setIrqs,
  setMigrationState,
  type Host,
  type IrqBypassConsumer,
  type IrqBypassProducer,
} from '@vsim/vfio-core';
import { describe, expect, it } from 'vitest';
import {
  EDU,
  PciFunction,
  REGION_SPAN,
  VfioPciDevice,
  VfioPciDriver,
  buildConfig,
  createEdu,
  type BarInit,
  type PciDevice,
  type VfioPciDeviceInit,
  DEVICE_LOCKED,
} from '../src/index.ts';
import { CONFIG, EDU_NAME, bind, eduHost, open, openEdu, read32, write16, write32 } from './edu-host.ts';

const NIC_NAME = '0000:00:05.0';
const NIC_BARS: readonly BarInit[] = [{ index: 0, size: 0x4000, kind: 'mem64' }];

/** An Express function of our own, with eight MSI-X vectors and FLR: a store to offset 0 raises the vector that it names. */
class Nic extends PciFunction {
  resets = 0;

  constructor(host: Host, address = NIC_NAME) {
    const config = buildConfig({ vendor: 0x1d55, device: 1, class: 0x02_0000, bars: NIC_BARS, msix: { vectors: 8, bar: 0, tableOffset: 0x1000 }, express: true, flr: true });
    super(host, { address, config, bars: NIC_BARS });
  }

  protected override barRead(_bar: number, offset: number): number {
    return offset === 0 ? 0x6e69_6321 : 0;
  }

  protected override barWrite(_bar: number, offset: number, _width: number, value: number): void {
    if (offset === 0) this.raise(value);
  }

  protected override reset(): void {
    this.resets += 1;
  }
}

function nicHost(bypass?: IrqBypassManager) {
  const made = eduHost(bypass === undefined ? {} : { bypass });
  const nic = new Nic(made.host);
  const device = made.bus.plug(nic, { group: 7 });
  return { ...made, nic, device };
}

function openNic(bypass?: IrqBypassManager) {
  const made = nicHost(bypass);
  bind(made.process, NIC_NAME);
  return { ...made, ...open(made.process, NIC_NAME, 7) };
}

describe('a function of our own', () => {
  it('has the regions and interrupts that its configuration says [vfio 3.3/1] [vfio 3.3/8]', () => {
    const { process, device } = openNic();
    expect(getDeviceInfo(process, device)).toMatchObject({ flags: 3, numRegions: 9, numIrqs: 5 });
    const bar = getRegionInfo(process, device, 0);
    expect(bar).toMatchObject({ size: 0x4000n, flags: 15, offset: 0n });
    expect(bar.capabilities.map(({ id }) => id)).toEqual([3]);
    expect(getRegionInfo(process, device, 1)).toMatchObject({ size: 0n, flags: 0, offset: BigInt(REGION_SPAN) });
    expect(getIrqInfo(process, device, VFIO_PCI_MSIX_IRQ_INDEX)).toMatchObject({ count: 8, flags: 9 });
    expect(read32(process, device, 0)).toBe(0x6e69_6321);
  });

  it('raises vectors into eventfds, and keeps pending what is masked [vfio 3.10/2]', () => {
    const { process, device, nic } = openNic();
    write16(process, device, CONFIG + 4, 6);
    const eventfds = [process.eventfd(), process.eventfd(), process.eventfd()];
    setIrqTriggers(process, device, VFIO_PCI_MSIX_IRQ_INDEX, 0, [eventfds[0]!, -1, eventfds[2]!]);
    write32(process, device, 0, 2);
    write32(process, device, 0, 1);
    expect(eventfds.map((fd) => process.readEventfd(fd))).toEqual([0n, 0n, 1n]);
    expect(nic.msix?.isPending(1)).toBe(true);
    setIrqTriggers(process, device, VFIO_PCI_MSIX_IRQ_INDEX, 1, [eventfds[1]!]);
    expect(process.readEventfd(eventfds[1]!)).toBe(1n);
    expect(nic.msix?.isPending(1)).toBe(false);
    expect(() => setIrqTriggers(process, device, VFIO_PCI_MSIX_IRQ_INDEX, 3, [eventfds[0]!])).toThrow('EINVAL');
  });

  it('offers its vectors to KVM by their eventfds', () => {
    const bypass = new IrqBypassManager();
    const taken: IrqBypassProducer[] = [];
    const { process, device } = openNic(bypass);
    const eventfd = process.eventfd();
    const context = process.eventFdContext(eventfd);
    if (typeof context === 'number') throw new Error('no eventfd');
    const consumer: IrqBypassConsumer = {
      token: context,
      addProducer: (producer) => {
        taken.push(producer);
        return 0;
      },
      delProducer: () => {
        taken.pop();
      },
    };
    bypass.registerConsumer(consumer);
    setIrqTriggers(process, device, VFIO_PCI_MSIX_IRQ_INDEX, 0, [eventfd]);
    expect(taken[0]?.irq.message.address).toBeGreaterThanOrEqual(0xfee0_0000);
    setIrqTriggers(process, device, VFIO_PCI_MSIX_IRQ_INDEX, 0, [-1]);
    expect(taken).toEqual([]);
  });

  it('takes a vector down before it sets it up again, the producer outermost [gic K-44]', () => {
    const bypass = new IrqBypassManager();
    const { process, device } = openNic(bypass);
    const order: string[] = [];
    const consume = (eventfd: number): void => {
      const token = process.eventFdContext(eventfd);
      if (typeof token === 'number') throw new Error('no eventfd');
      bypass.registerConsumer({
        token,
        addProducer: ({ irq }) => {
          order.push('add');
          const setHandler = irq.setHandler.bind(irq);
          irq.setHandler = (handler) => {
            order.push(handler === undefined ? 'free_irq' : 'request_irq');
            setHandler(handler);
          };
          return 0;
        },
        delProducer: () => void order.push('del'),
      });
    };
    const eventfds = [process.eventfd(), process.eventfd()];
    eventfds.forEach(consume);
    setIrqTriggers(process, device, VFIO_PCI_MSIX_IRQ_INDEX, 0, [eventfds[0]!]);
    expect(order.splice(0)).toEqual(['add']);
    setIrqTriggers(process, device, VFIO_PCI_MSIX_IRQ_INDEX, 0, [eventfds[1]!]);
    expect(order.splice(0)).toEqual(['del', 'free_irq', 'request_irq', 'add']);
    setIrqTriggers(process, device, VFIO_PCI_MSIX_IRQ_INDEX, 0, [-1]);
    // Wrapped twice by now: what it is told, it is told twice.
    expect(order.splice(0)).toEqual(['del', 'free_irq', 'free_irq']);
    expect(() => setIrqTriggers(process, device, VFIO_PCI_MSIX_IRQ_INDEX, 99, [eventfds[0]!])).toThrow('EINVAL');
    expect(order).toEqual([]);
  });

  it('is told of a producer that was refused, and delivers all the same [vfio 3.10/4]', () => {
    const bypass = new IrqBypassManager();
    const { process, device, events } = openNic(bypass);
    write16(process, device, CONFIG + 4, 6);
    const eventfd = process.eventfd();
    setIrqTriggers(process, device, VFIO_PCI_MSIX_IRQ_INDEX, 0, [eventfd, eventfd]);
    expect(events.find(({ id }) => id === 'vfio-pci/bypass-refused')).toMatchObject({ fields: { vector: 1, error: -EBUSY } });
    write32(process, device, 0, 1);
    expect(process.readEventfd(eventfd)).toBe(1n);
  });

  it('resets by VFIO_DEVICE_RESET and by FLR in its device control [vfio 3.13/1] [vfio 3.6/15]', () => {
    const { process, device, nic } = openNic();
    const before = nic.resets;
    write16(process, device, CONFIG + 4, 2);
    process.ioctl(device, VFIO_DEVICE_RESET);
    expect(nic.resets).toBe(before + 1);
    expect(nic.command & 2).toBe(2);
    expect(read32(process, device, 0)).toBe(0x6e69_6321);
    const express = 0x54;
    write16(process, device, CONFIG + express + 8, 0x8000);
    expect(nic.resets).toBe(before + 2);
    expect(read32(process, device, CONFIG + express + 8) & 0x8000).toBe(0);
  });

  it('sleeps in D3hot while nobody has it open [vfio P8/5]', () => {
    const { process, nic, device } = nicHost();
    bind(process, NIC_NAME);
    expect(process.readFile(`/sys/bus/pci/devices/${NIC_NAME}/power_state`)).toBe('D3hot\n');
    const opened = open(process, NIC_NAME, 7);
    expect(nic.powerState).toBe(0);
    process.close(opened.device);
    expect(nic.powerState).toBe(3);
    process.close(opened.group);
    process.writeFile('/sys/bus/pci/drivers/vfio-pci/unbind', NIC_NAME);
    expect(nic.powerState).toBe(0);
    expect(device.powerState).toBe('D0');
  });
});

describe('probe', () => {
  it('registers last: from inside register on the device can be opened [vfio P8/1]', () => {
    const { host, process } = eduHost();
    process.writeFile(`/sys/bus/pci/devices/${EDU_NAME}/driver_override`, 'vfio-pci');
    expect(process.readdir('/dev/vfio')).toEqual(['vfio']);
    host.scheduler.stopAt(REGISTERED);
    const probe = process.start('bind', process.sys.writeFile('/sys/bus/pci/drivers_probe', EDU_NAME));
    expect(probe.outcome.state).toBe('held');
    const user = new Process(host);
    const opened = open(user);
    expect(read32(user, opened.device, EDU.IDENTIFICATION)).toBe(0x0100_00ed);
    host.scheduler.release(REGISTERED);
    expect(probe.result()).toBe(EDU_NAME.length);
  });

  it('holds the device lock: an open that wants to reset is told to try again [vfio P8/5]', () => {
    const { host, process, nic } = nicHost();
    process.writeFile(`/sys/bus/pci/devices/${NIC_NAME}/driver_override`, 'vfio-pci');
    host.scheduler.stopAt(REGISTERED);
    process.start('bind', process.sys.writeFile('/sys/bus/pci/drivers_probe', NIC_NAME));
    const user = new Process(host);
    expect(() => open(user, NIC_NAME, 7)).toThrow(`EAGAIN: ${DEVICE_LOCKED.text({ device: NIC_NAME })}`);
    host.scheduler.release(REGISTERED);
    user.exit();
    open(process, NIC_NAME, 7);
    expect(nic.powerState).toBe(0);
  });

  it('refuses bridges, denied devices and devices without IOMMU [vfio 3.2/3]', () => {
    const { host, bus, process } = eduHost();
    const config = buildConfig({ vendor: 0x8086, device: 0x37c8 });
    bus.plug(new PciFunction(host, { address: '0000:00:09.0', config }));
    process.writeFile('/sys/bus/pci/devices/0000:00:09.0/driver_override', 'vfio-pci');
    expect(() => process.writeFile('/sys/bus/pci/drivers/vfio-pci/bind', '0000:00:09.0')).toThrow('EINVAL');
    const bridge = buildConfig({ vendor: 1, device: 2, class: 0x06_0400 });
    bridge[0x0e] = 1;
    bus.plug(new PciFunction(host, { address: '0000:00:0a.0', config: bridge }));
    process.writeFile('/sys/bus/pci/devices/0000:00:0a.0/driver_override', 'vfio-pci');
    expect(() => process.writeFile('/sys/bus/pci/drivers/vfio-pci/bind', '0000:00:0a.0')).toThrow('EINVAL');
  });

  it('undoes itself when register refuses, and works the next time [vfio P8/4]', () => {
    const { bus, process, nic, driver } = nicHost();
    const device = bus.device(NIC_NAME);
    const group = device?.iommuGroup;
    if (device === undefined || group === undefined) throw new Error('no device');
    device.iommuGroup = undefined;
    process.writeFile(`/sys/bus/pci/devices/${NIC_NAME}/driver_override`, 'vfio-pci');
    expect(() => process.writeFile('/sys/bus/pci/drivers/vfio-pci/bind', NIC_NAME)).toThrow('EINVAL');
    expect(driver.vfioDevice(device)).toBeUndefined();
    expect(nic.powerState).toBe(0);
    device.iommuGroup = group;
    process.writeFile('/sys/bus/pci/drivers/vfio-pci/bind', NIC_NAME);
    expect(driver.vfioDevice(device)?.state).toBe('live');
  });
});

describe('remove', () => {
  it('waits for the user, asks for the device, and keeps its data until then [vfio P9/1]', () => {
    const { host, bus, process, device, driver } = openEdu();
    const request = process.eventfd();
    setIrqTriggers(process, device, VFIO_PCI_REQ_IRQ_INDEX, 0, [request]);
    const unbind = new Process(host).start('unbind', new Process(host).sys.writeFile('/sys/bus/pci/drivers/vfio-pci/unbind', EDU_NAME));
    expect(unbind.outcome.state).toBe('asleep');
    expect(process.readEventfd(request)).toBe(1n);
    host.scheduler.advance(10_000_000_000);
    expect(process.readEventfd(request)).toBe(1n);
    const pciDevice = bus.device(EDU_NAME);
    expect(pciDevice === undefined ? undefined : driver.vfioDevice(pciDevice)?.state).toBe('dying');
    expect(read32(process, device, EDU.IDENTIFICATION)).toBe(0x0100_00ed);
    process.close(device);
    expect(unbind.result()).toBe(EDU_NAME.length);
    expect(pciDevice === undefined ? undefined : driver.vfioDevice(pciDevice)).toBeUndefined();
  });

  it('has a device that goes listed on its bus, with its attributes, until the driver has let it go', () => {
    const { process, device } = openEdu();
    const folder = `/sys/bus/pci/devices/${EDU_NAME}`;
    const remove = process.start('remove', process.sys.writeFile(`${folder}/remove`, '1'));
    expect([remove.outcome.state, process.readFile(`${folder}/vendor`), process.readdir(folder).includes('driver')]).toEqual(['asleep', '0x1234\n', false]);
    process.close(device);
    expect([remove.result(), process.readdir('/sys/bus/pci/devices')]).toEqual([1, []]);
  });

  it('without an eventfd warns once', () => {
    const { host, process, events } = openEdu();
    process.start('unbind', new Process(host).sys.writeFile('/sys/bus/pci/drivers/vfio-pci/unbind', EDU_NAME));
    host.scheduler.advance(25_000_000_000);
    expect(events.filter(({ id }) => id === 'vfio-pci/no-request-eventfd')).toHaveLength(1);
  });

  it('is held where the driver link is gone already', () => {
    const { host, process } = eduHost();
    bind(process, EDU_NAME);
    host.scheduler.stopAt(DRIVER_UNBINDING);
    const unbind = process.start('unbind', process.sys.writeFile('/sys/bus/pci/drivers/vfio-pci/unbind', EDU_NAME));
    expect(() => process.readlink(`/sys/bus/pci/devices/${EDU_NAME}/driver`)).toThrow('ENOENT');
    expect(process.readdir('/dev/vfio')).toEqual(['0', 'vfio']);
    host.scheduler.release(DRIVER_UNBINDING);
    unbind.result();
    expect(process.readdir('/dev/vfio')).toEqual(['vfio']);
  });
});

describe('INTx', () => {
  it('works without a way to mask it in the device [vfio 3.9/1]', () => {
    const { process, device } = openEdu({ parameters: { nointxmask: true } });
    const eventfd = process.eventfd();
    setIrqTriggers(process, device, VFIO_PCI_INTX_IRQ_INDEX, 0, [eventfd]);
    write32(process, device, EDU.INTERRUPT_RAISE, 1);
    expect(process.readEventfd(eventfd)).toBe(1n);
    // Unmasking opens the line, which is still up.
    setIrqs(process, device, VFIO_PCI_INTX_IRQ_INDEX, VFIO_IRQ_SET_ACTION_UNMASK, 0, 1);
    expect(process.readEventfd(eventfd)).toBe(1n);
  });

  it('is refused the line by another that will not share it [vfio 3.9/1]', () => {
    const { host, bus, process, device } = openEdu({ parameters: { nointxmask: true } });
    const other = createEdu(host, '0000:00:06.0');
    bus.plug(other, { group: 9 });
    expect(other.line).toBe(bus.function(EDU_NAME)?.line);
    bind(process, '0000:00:06.0');
    const second = open(process, '0000:00:06.0', 9);
    const eventfd = process.eventfd();
    setIrqTriggers(process, device, VFIO_PCI_INTX_IRQ_INDEX, 0, [eventfd]);
    expect(() => setIrqTriggers(process, second.device, VFIO_PCI_INTX_IRQ_INDEX, 0, [eventfd])).toThrow('EBUSY');
  });

  it('is shared by functions that tell whose it is', () => {
    const { host, bus, process, device } = openEdu();
    bus.plug(createEdu(host, '0000:00:06.0'), { group: 9 });
    bind(process, '0000:00:06.0');
    const second = open(process, '0000:00:06.0', 9);
    const eventfds = [process.eventfd(), process.eventfd()];
    setIrqTriggers(process, device, VFIO_PCI_INTX_IRQ_INDEX, 0, [eventfds[0]!]);
    setIrqTriggers(process, second.device, VFIO_PCI_INTX_IRQ_INDEX, 0, [eventfds[1]!]);
    write32(process, second.device, EDU.INTERRUPT_RAISE, 1);
    expect(eventfds.map((fd) => process.readEventfd(fd))).toEqual([0n, 1n]);
  });

  it('[vfio 3.9/6] masks by the DisINTx bit, and [vfio 3.9/4] loops back', () => {
    const { process, device, edu } = openEdu();
    const eventfd = process.eventfd();
    setIrqTriggers(process, device, VFIO_PCI_INTX_IRQ_INDEX, 0, [eventfd]);
    setIrqs(process, device, VFIO_PCI_INTX_IRQ_INDEX, VFIO_IRQ_SET_ACTION_MASK, 0, 1);
    expect(edu.command & 0x400).toBe(0x400);
    write32(process, device, EDU.INTERRUPT_RAISE, 1);
    expect(process.readEventfd(eventfd)).toBe(0n);
    setIrqs(process, device, VFIO_PCI_INTX_IRQ_INDEX, VFIO_IRQ_SET_ACTION_TRIGGER, 0, 1);
    expect(process.readEventfd(eventfd)).toBe(1n);
  });

  it.each([
    ['linux-5.13', 0n],
    ['linux-6.1', 1n],
  ] as const)('%s: a bad eventfd [vfio 3.9/7]', (profile, left) => {
    const { process, device } = openEdu({ profile });
    const eventfd = process.eventfd();
    setIrqTriggers(process, device, VFIO_PCI_INTX_IRQ_INDEX, 0, [eventfd]);
    expect(() => setIrqTriggers(process, device, VFIO_PCI_INTX_IRQ_INDEX, 0, [777])).toThrow('EBADF');
    setIrqs(process, device, VFIO_PCI_INTX_IRQ_INDEX, VFIO_IRQ_SET_ACTION_TRIGGER, 0, 1);
    expect(process.readEventfd(eventfd)).toBe(left);
  });
});

describe('MSI', () => {
  it('[vfio 3.10/3] refuses INTx while it is on', () => {
    const { process, device } = openEdu();
    const eventfd = process.eventfd();
    setIrqTriggers(process, device, VFIO_PCI_MSI_IRQ_INDEX, 0, [eventfd]);
    expect(() => setIrqTriggers(process, device, VFIO_PCI_INTX_IRQ_INDEX, 0, [eventfd])).toThrow('EINVAL');
  });

  it('cannot raise another device\'s interrupt', () => {
    const { host, bus, process, device, events } = openEdu();
    const eventfd = process.eventfd();
    setIrqTriggers(process, device, VFIO_PCI_MSI_IRQ_INDEX, 0, [eventfd]);
    const message = bus.device(EDU_NAME)?.irqVectors[0]?.message;
    host.memory.write32(message?.address ?? 0, message?.data ?? 0, 0x1234);
    expect(process.readEventfd(eventfd)).toBe(0n);
    expect(events.at(-1)).toMatchObject({ id: 'irq/msi-refused', fields: { why: 'foreign requester' } });
  });
});

/** A driver of our own: matched by driver_override alone, with devices that can migrate. */
class MigratableNic extends VfioPciDevice {
  readonly #migration = new MigrationDriver(VFIO_MIGRATION_STOP_COPY, {
    *arc(_from, to) {
      return to === MIG_STATE.STOP_COPY ? new SaveFile(Uint8Array.of(1, 2, 3)) : 0;
    },
  });

  override get migration(): MigrationDriver {
    return this.#migration;
  }
}

class NicDriver extends VfioPciDriver {
  override readonly name = 'nic-vfio-pci';

  protected override createDevice(device: PciDevice, init: VfioPciDeviceInit): VfioPciDevice {
    return new MigratableNic(this.vfio, device, init);
  }
}

describe('a driver of our own', () => {
  it('binds by driver_override, and migrates its devices; vfio-pci does not', () => {
    const { host, bus, vfio, process } = nicHost();
    host.scheduler.call('modprobe', bus.addDriver(new NicDriver(vfio)));
    expect(() => process.writeFile('/sys/bus/pci/drivers/nic-vfio-pci/bind', NIC_NAME)).toThrow('ENODEV');
    bind(process, NIC_NAME, 'nic-vfio-pci');
    expect(process.readlink(`/sys/bus/pci/devices/${NIC_NAME}/driver`)).toBe('/sys/bus/pci/drivers/nic-vfio-pci');
    const { device } = open(process, NIC_NAME, 7);
    expect(getMigrationFlags(process, device)).toBe(BigInt(VFIO_MIGRATION_STOP_COPY));
    const data = setMigrationState(process, device, MIG_STATE.STOP_COPY);
    const into = new Uint8Array(8);
    expect(process.read(data, into)).toBe(3);
    expect(getMigrationState(process, device)).toBe(MIG_STATE.STOP_COPY);

    bind(process, EDU_NAME);
    const edu = open(process, EDU_NAME, 0);
    expect(() => getMigrationFlags(process, edu.device)).toThrow('ENOTTY');
  });
});

describe('what is past the end', () => {
  it('mmap of more than a BAR is EINVAL; the BAR itself is mapped', () => {
    const { process, device } = openNic();
    expect(process.tryMmap(device, 0x5000, 0, 3, 1)).toBe(-EINVAL);
    expect(process.tryMmap(device, 0x4000, 0x1000, 3, 1)).toBe(-EINVAL);
    expect(typeof process.tryMmap(device, 0x4000, 0, 3, 1)).toBe('object');
  });

  it('enabling no vectors by eventfds is ERANGE: MSI goes off by DATA_NONE with count 0 alone', () => {
    const { process, device, nic } = openNic();
    expect(() => setIrqTriggers(process, device, VFIO_PCI_MSIX_IRQ_INDEX, 0, [])).toThrow('ERANGE');
    setIrqTriggers(process, device, VFIO_PCI_MSIX_IRQ_INDEX, 0, [process.eventfd()]);
    setIrqTriggers(process, device, VFIO_PCI_MSIX_IRQ_INDEX, 0, []);
    expect(nic.msix?.enabled).toBe(true);
  });
});

describe('an uncorrectable error', () => {
  it('is told to user space, and without a device answered by disconnect [vfio 3.10/7]', () => {
    const { process, driver, device, bus } = openNic();
    const eventfd = process.eventfd();
    setIrqTriggers(process, device, VFIO_PCI_ERR_IRQ_INDEX, 0, [eventfd]);
    const nic = bus.device(NIC_NAME);
    const edu = bus.device(EDU_NAME);
    if (nic === undefined || edu === undefined) throw new Error('no devices');
    expect(driver.errorDetected(nic)).toBe('can-recover');
    expect(process.readEventfd(eventfd)).toBe(1n);
    expect(driver.errorDetected(edu)).toBe('disconnect');
  });
});

describe('module parameters', () => {
  it('are files; when they are read is the kernel\'s (parameters.test.ts)', () => {
    const { process } = nicHost();
    const folder = '/sys/module/vfio_pci/parameters';
    expect(process.readFile(`${folder}/disable_idle_d3`)).toBe('N\n');
    expect(() => process.writeFile(`${folder}/disable_idle_d3`, 'maybe')).toThrow('EINVAL');
    process.writeFile(`${folder}/disable_idle_d3`, 'Y');
    expect(process.readFile(`${folder}/disable_idle_d3`)).toBe('Y\n');
  });
});

describe('the name of GET_DEVICE_FD', () => {
  it.each([
    [EDU_NAME, undefined],
    [`${EDU_NAME}  `, undefined],
    [`${EDU_NAME}x`, 'ENODEV'],
    [`${EDU_NAME}\n`, 'ENODEV'],
    [`${EDU_NAME} color=red`, 'EINVAL'],
    [`${EDU_NAME} vf_token=83a7b1b2-1c62-4b0c-8d0f-4d3f5a6b7c8d`, 'EINVAL'],
  ])('%j [vfio 3.12/1]', (name, error) => {
    const { process, group } = openEdu();
    const call = (): number => getDeviceFd(process, group, name);
    if (error === undefined) expect(call()).toBeGreaterThan(0);
    else expect(call).toThrow(error);
  });
});
