/** What the hardware, KVM and eventfds still call in a device whose driver freed it without taking its handlers away. */
import { ENOMEM, GROUP_ALLOCATION, IrqBypassManager, REQUEST_INTERVAL, setIrqTriggers, USE_AFTER_FREE, VFIO_PCI_INTX_IRQ_INDEX, VFIO_PCI_MSI_IRQ_INDEX, type ProfileName } from '@vsim/vfio-core';
import { describe, expect, it } from 'vitest';
import { EDU, STEP_UNDONE, VfioPciDriver, type PciDevice, type VfioPciDevice, type VfioPciDeviceInit } from '../src/index.ts';
import { CONFIG, EDU_NAME, eduHost, ioeventfd, openEdu, write16, write32 } from './edu-host.ts';

function freed(index?: number) {
  const bypass = new IrqBypassManager();
  const made = openEdu({ bypass });
  const { process, device, driver, bus, events } = made;
  const eventfd = process.eventfd();
  if (index !== undefined) setIrqTriggers(process, device, index, 0, [eventfd]);
  const vfioDevice = driver.vfioDevice(bus.device(EDU_NAME)!)!;
  const entered = () => events.filter(({ id }) => id === USE_AFTER_FREE.id).map(({ fields }) => ({ operation: undefined, ...fields }).operation);
  return { ...made, bypass, eventfd, vfioDevice, entered };
}

describe('a freed function', () => {
  it.each([['INTx', VFIO_PCI_INTX_IRQ_INDEX], ['MSI', VFIO_PCI_MSI_IRQ_INDEX]] as const)('is told by its %s', (_, index) => {
    const { edu, process, device, vfioDevice, entered } = freed(index);
    write16(process, device, CONFIG + 4, 6); // memory and bus mastering
    write32(process, device, EDU.INTERRUPT_RAISE, 1);
    expect(entered()).toEqual([]);
    write32(process, device, EDU.INTERRUPT_ACKNOWLEDGE, 1);
    if (index === VFIO_PCI_INTX_IRQ_INDEX) vfioDevice.irqs.intx.unmask();
    vfioDevice.free();
    edu.writeBar(0, EDU.INTERRUPT_RAISE, 4, 1);
    expect(entered()).toEqual(['interrupt']);
  });

  it('is told by an ioeventfd', () => {
    const { process, device, eventfd, vfioDevice, entered } = freed();
    expect(ioeventfd(process, device, EDU.INTERRUPT_ACKNOWLEDGE, 4, 1n, eventfd)).toBe(0);
    vfioDevice.free();
    process.writeEventfd(eventfd, 1n);
    expect(entered()).toEqual(['eventfd']);
  });

  it('is told by KVM, which takes its interrupt over', () => {
    const { process, bypass, eventfd, vfioDevice, entered } = freed(VFIO_PCI_MSI_IRQ_INDEX);
    const token = process.eventFdContext(eventfd);
    if (typeof token === 'number') throw new Error('no eventfd');
    vfioDevice.free();
    bypass.registerConsumer({ token, addProducer: () => 0, delProducer: () => undefined });
    expect(entered()).toEqual(['irq bypass']);
  });

  it('is told by an error that the hardware reports', () => {
    const { vfioDevice, entered } = freed();
    vfioDevice.free();
    vfioDevice.errorDetected();
    expect(entered()).toEqual(['error handler']);
  });
});

describe.each<ProfileName>(['linux-5.10', 'linux-5.13', 'linux-6.1', 'linux-6.12', 'linux-7.3'])('the structure of a function, %s', (profile) => {
  it('[vfio 1/7] [vfio D61-12] is freed by remove once unregister has returned, and not before the last user is gone', () => {
    const { host, process, device, group, driver, bus, events } = openEdu({ profile });
    const vfioDevice = driver.vfioDevice(bus.device(EDU_NAME)!)!;
    host.scheduler.stopAt(STEP_UNDONE.register);
    const unbind = process.start('unbind', process.sys.writeFile('/sys/bus/pci/drivers/vfio-pci/unbind', EDU_NAME));
    expect([unbind.outcome.state, vfioDevice.state, vfioDevice.freed]).toEqual(['asleep', 'dying', false]);
    process.close(device);
    process.close(group);
    host.scheduler.advance(REQUEST_INTERVAL);
    expect([unbind.outcome.state, vfioDevice.state, vfioDevice.freed]).toEqual(['held', 'gone', false]);
    host.scheduler.release(STEP_UNDONE.register);
    expect([unbind.finished, vfioDevice.freed, events.filter(({ id }) => id === USE_AFTER_FREE.id)]).toEqual([true, true, []]);
  });

  it('[vfio 1/7] [vfio D61-12] is freed by a probe that fails to register it', () => {
    const made: VfioPciDevice[] = [];
    const { host, bus, vfio } = eduHost({ profile });
    class Watched extends VfioPciDriver {
      override readonly name: string = 'watched';
      protected override createDevice(device: PciDevice, init: VfioPciDeviceInit): VfioPciDevice {
        const vfioDevice = super.createDevice(device, init);
        made.push(vfioDevice);
        return vfioDevice;
      }
    }
    const driver = new Watched(vfio);
    host.scheduler.call('modprobe', bus.addDriver(driver));
    host.faults.failNext(GROUP_ALLOCATION);
    const device = bus.device(EDU_NAME)!;
    device.driverOverride = 'watched';
    expect([host.scheduler.call('bind', bus.attach(driver, device)), made.map(({ freed }) => freed)]).toEqual([-ENOMEM, [true]]);
  });
});
