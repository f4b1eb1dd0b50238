/** What the hardware, KVM and eventfds still call in a device whose driver freed it without taking its handlers away. */
import { IrqBypassManager, setIrqTriggers, USE_AFTER_FREE, VFIO_PCI_INTX_IRQ_INDEX, VFIO_PCI_MSI_IRQ_INDEX } from '@vsim/vfio-core';
import { describe, expect, it } from 'vitest';
import { EDU } from '../src/index.ts';
import { CONFIG, EDU_NAME, ioeventfd, openEdu, write16, write32 } from './edu-host.ts';

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
