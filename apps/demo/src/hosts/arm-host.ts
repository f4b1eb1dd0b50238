/**
 * An Arm host, wired in one place: four CPUs, a GICv4.1 with an ITS, an SMMUv3, a PCI bus with a recorded machine's functions and
 * two tickers, the vfio-pci driver and the tickers' own. Copy this to make a host of your own.
 */
import { Host, IrqBypassManager, Process, SmmuV3Iommu, Vfio } from '@vsim/vfio-core';
import { Gic, ItsDriver } from '@vsim/gic-its';
import { importPciMachine, VfioPciDriver, type PciBus, type PciMachineDescription } from '@vsim/vfio-pci';
import { TickerFunction } from '../devices/ticker.ts';
import { VfioTickerDriver } from '../devices/vfio-ticker.ts';

/** Where the tickers are: on a slot that recorded machines leave free. */
export const TICKERS = ['0000:00:1c.0', '0000:00:1d.0'] as const;
const CPUS = 4;

export interface ArmHost {
  readonly host: Host;
  readonly gic: Gic;
  readonly its: ItsDriver;
  readonly pci: PciBus;
  readonly irqBypass: IrqBypassManager;
  readonly tickers: readonly TickerFunction[];
  /** The administrator, who binds drivers. */
  readonly root: Process;
  /** The IOMMU group of a device. */
  groupOf(device: string): number;
  /** Binds a device to a VFIO driver, as driverctl does. */
  bind(device: string, driver: string): void;
}

export function armHost(seed: number, machine: PciMachineDescription): ArmHost {
  const host = new Host({ seed });
  const gic = new Gic(host, { version: 'gicv4.1', cpus: CPUS });
  const its = new ItsDriver(host, gic);
  const iommu = new SmmuV3Iommu(host);
  const pci = importPciMachine(host, machine, { msi: its, iommu });
  const tickers = TICKERS.map((address) => new TickerFunction(host, address));
  for (const ticker of tickers) pci.plug(ticker);

  const vfio = new Vfio(host);
  const irqBypass = new IrqBypassManager();
  host.scheduler.call('modprobe vfio-pci', pci.addDriver(new VfioPciDriver(vfio, { bypass: irqBypass })));
  host.scheduler.call('modprobe vfio-ticker', pci.addDriver(new VfioTickerDriver(vfio, { bypass: irqBypass })));

  const root = new Process(host, { name: 'root' });
  return {
    host,
    gic,
    its,
    pci,
    irqBypass,
    tickers,
    root,
    groupOf: (device) => Number(root.readlink(`/sys/bus/pci/devices/${device}/iommu_group`).split('/').at(-1)),
    bind: (device, driver) => {
      root.writeFile(`/sys/bus/pci/devices/${device}/driver_override`, driver);
      root.writeFile('/sys/bus/pci/drivers_probe', device);
    },
  };
}
