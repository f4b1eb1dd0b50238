/**
 * An Arm host, wired in one place: four CPUs, a GIC with an ITS, an SMMUv3, a PCI bus with tickers and, if given, a recorded
 * machine's functions, the vfio-pci driver and the tickers' own. Copy this to make a host of your own.
 */
import { Host, IrqBypassManager, Process, SmmuV3Iommu, Vfio } from '@vsim/vfio-core';
import { Gic, ItsDriver, type GicVersion, type ImplementationChoices, type MigrationSwitches } from '@vsim/gic-its';
import { importPciMachine, VfioPciDriver, type PciBus, type PciMachineDescription } from '@vsim/vfio-pci';
import { TickerFunction } from '../devices/ticker.ts';
import { VfioTickerDriver } from '../devices/vfio-ticker.ts';

/** The PCI bus of the tickers, which recorded machines leave free. */
const TICKER_BUS = '0000:40';
const DEVICES_PER_BUS = 32;
/** Tickers on one host at most: every function of their bus. */
export const MAX_TICKERS = 256;
const CPUS = 4;

export interface ArmHostInit {
  /** @default 1 */
  readonly seed?: number | undefined;
  /** Functions besides the tickers. @default none */
  readonly machine?: PciMachineDescription | undefined;
  /** How many tickers there are, at most MAX_TICKERS. @default 2 */
  readonly tickers?: number | undefined;
  /** Makes a ticker: one that counts or fails, say. @default a TickerFunction */
  readonly makeTicker?: ((host: Host, address: string) => TickerFunction) | undefined;
  /** @default 'gicv4.1' */
  readonly gic?: GicVersion | undefined;
  readonly choices?: Partial<ImplementationChoices> | undefined;
  /** Hears of the host before anything is in it. */
  readonly made?: ((host: Host) => void) | undefined;
  /** What the host kernel's patches do. @default all of them */
  readonly switches?: Partial<MigrationSwitches> | undefined;
}

export interface ArmHost {
  readonly host: Host;
  readonly gic: Gic;
  readonly its: ItsDriver;
  readonly iommu: SmmuV3Iommu;
  readonly pci: PciBus;
  readonly vfio: Vfio;
  readonly irqBypass: IrqBypassManager;
  readonly tickers: readonly TickerFunction[];
  /** The administrator, who binds drivers. */
  readonly root: Process;
  /** The IOMMU group of a device. */
  groupOf(device: string): number;
  /** Binds a device to a VFIO driver, as driverctl does. */
  bind(device: string, driver: string): void;
}

export function armHost(init: ArmHostInit = {}): ArmHost {
  const host = new Host({ seed: init.seed });
  init.made?.(host);
  const gic = new Gic(host, { version: init.gic ?? 'gicv4.1', cpus: CPUS, choices: init.choices });
  const its = new ItsDriver(host, gic, { switches: init.switches });
  const iommu = new SmmuV3Iommu(host);
  const pci = importPciMachine(host, init.machine ?? { devices: {} }, { msi: its, iommu });
  const makeTicker = init.makeTicker ?? ((...made) => new TickerFunction(...made));
  const tickers = Array.from({ length: init.tickers ?? 2 }, (_, n) => makeTicker(host, tickerAddress(n)));
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
    iommu,
    pci,
    vfio,
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

function tickerAddress(n: number): string {
  const device = (n % DEVICES_PER_BUS).toString(16).padStart(2, '0');
  return `${TICKER_BUS}:${device}.${Math.floor(n / DEVICES_PER_BUS)}`;
}
