/** A machine with one NVMe controller behind an IOMMU, and a driver in user space. */
import { ApicMsi, Host, Process, Vfio, VtdIommu, type TraceEvent } from '@vsim/vfio-core';
import { PciBus } from '@vsim/vfio-pci';
import { MemoryStore, VfioNvmeDriver, createNvme, type NvmeController, type NvmeInit } from '../src/index.ts';
import { NvmeDriver, type DriverInit } from './nvme-driver.ts';

export const ADDRESS = '0000:00:04.0';
/** Blocks of the namespace that machines of tests have. */
export const BLOCKS = 4096;
export const BLOCK = 512;

export interface NvmeHost {
  readonly host: Host;
  readonly bus: PciBus;
  readonly disk: NvmeController;
  readonly process: Process;
  readonly events: readonly TraceEvent[];
}

/** The machine. */
export function nvmeHost(init: NvmeInit = {}): NvmeHost {
  const host = new Host();
  const events = host.trace.record();
  const bus = new PciBus(host, { msi: new ApicMsi(host), iommu: new VtdIommu(host) });
  const disk = createNvme(host, ADDRESS, { serial: 'TEST', namespaces: [{ store: new MemoryStore(BLOCKS * BLOCK) }], ...init });
  bus.plug(disk);
  host.scheduler.call('modprobe', bus.addDriver(new VfioNvmeDriver(new Vfio(host))));
  return { host, bus, disk, process: new Process(host, { name: 'driver' }), events };
}

/** The machine with the controller up and I/O queues made. */
export function runningNvme(init: NvmeInit = {}, driverInit: DriverInit = {}): NvmeHost & { readonly driver: NvmeDriver } {
  const made = nvmeHost(init);
  const driver = new NvmeDriver(made.process, ADDRESS, driverInit);
  driver.bringUp();
  return { ...made, driver };
}
