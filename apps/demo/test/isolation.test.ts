import { ApicMsi, getDeviceFd, Host, IOMMU_FAULT, Process, setContainer, Vfio, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU, VtdIommu } from '@vsim/vfio-core';
import { PciBus, REGION_SPAN } from '@vsim/vfio-pci';
import { expect, it } from 'vitest';
import { REG, TickerFunction, VfioTickerDriver } from '../src/index.ts';

it.each([
  [0xffff_ffff, 0xffff_f800],
  [0x0100_0000, 0],
  [0x0020_0000, 4],
])('[R1] a ticker whose ring is at 0x%x%x, where nothing is mapped, ticks into a fault and not into the host’s memory', (high, low) => {
  const host = new Host({ ram: [{ base: 0, size: 0x100_0000 }] });
  const vfio = new Vfio(host);
  const bus = new PciBus(host, { msi: new ApicMsi(host), iommu: new VtdIommu(host) });
  const ticker = new TickerFunction(host, '0000:00:02.0');
  bus.plug(ticker);
  host.scheduler.call('modprobe', bus.addDriver(new VfioTickerDriver(vfio)));
  const user = new Process(host);
  user.writeFile('/sys/bus/pci/devices/0000:00:02.0/driver_override', 'vfio-ticker');
  user.writeFile('/sys/bus/pci/drivers_probe', '0000:00:02.0');
  const container = user.open('/dev/vfio/vfio');
  const group = user.open('/dev/vfio/0');
  setContainer(user, group, container);
  user.ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU);
  const device = getDeviceFd(user, group, '0000:00:02.0');
  user.pwrite(device, Uint8Array.of(6, 0), 7 * REGION_SPAN + 4);
  const store = (offset: number, value: number): void => {
    const bytes = new Uint8Array(4);
    new DataView(bytes.buffer).setUint32(0, value, true);
    user.pwrite(device, bytes, offset);
  };
  host.memory.writeBytes(0, new TextEncoder().encode('host kernel!'));
  store(REG.RING_HIGH, high);
  store(REG.RING_LOW, low);
  store(REG.CONTROL, 1);
  const events = host.trace.record();
  ticker.tick(0);
  const now = new Uint8Array(12);
  host.memory.readBytes(0, now);
  expect([new TextDecoder().decode(now), events.filter(({ id }) => id === IOMMU_FAULT.id).length]).toEqual(['host kernel!', 1]);
});
