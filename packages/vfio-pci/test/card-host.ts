/**
 * A machine with a graphics card that has everything a probe of vfio-pci looks at: VGA, VFs, power management, a bridge above it.
 * Its vendor is ATI, so that it has no reset by power management, and an open during its probe is not refused for the lock.
 */
import { ApicMsi, Host, Process, Vfio, VtdIommu, type ProfileName, type SeriesPatch, type TraceEvent } from '@vsim/vfio-core';
import {
  PROBE_STEP,
  PROBE_STEP_UNDONE,
  PciBus,
  PciFunction,
  VfioPciDriver,
  buildConfig,
  registryOf,
  virtualFunctionConfig,
  type BarInit,
  type PciDevice,
  type ProbeStep,
  type VfioPciDriverInit,
} from '../src/index.ts';

export const CARD = '0000:01:00.0';
export const CARD_VF = '0000:01:01.0';
export const SIBLING = '0000:01:02.0';
const PORT = '0000:00:01.0';
const BARS: readonly BarInit[] = [{ index: 0, size: 0x1000 }];

export interface CardHostInit extends VfioPciDriverInit {
  readonly profile?: ProfileName | undefined;
  /** Patches of the series that the kernel lacks. */
  readonly without?: readonly SeriesPatch[] | undefined;
  /** The driver's class. @default vfio-pci itself */
  readonly driver?: ((vfio: Vfio, init: VfioPciDriverInit) => VfioPciDriver) | undefined;
  /** Called before the card is plugged. */
  readonly before?: ((host: Host) => void) | undefined;
}

export interface CardHost {
  readonly host: Host;
  readonly vfio: Vfio;
  readonly bus: PciBus;
  readonly card: PciFunction;
  readonly device: PciDevice;
  readonly driver: VfioPciDriver;
  readonly process: Process;
  readonly events: readonly TraceEvent[];
}

export function bridge(host: Host, address: string, secondary: number): PciFunction {
  const config = buildConfig({ vendor: 0x1b36, device: 0xc, class: 0x06_0400 });
  config[0x0e] = 1;
  config.set([0, secondary, secondary], 0x18);
  return new PciFunction(host, { address, config });
}

export function vga(host: Host, address: string): PciFunction {
  return new PciFunction(host, { address, config: buildConfig({ vendor: 0x1234, device: 0x1111, class: 0x03_0000, bars: BARS }), bars: BARS });
}

function cardFunction(host: Host): PciFunction {
  const sriov = { totalVfs: 2, vfDevice: 3 };
  const config = buildConfig({ vendor: 0x1002, device: 2, class: 0x03_0000, bars: BARS, express: true, sriov });
  return new PciFunction(host, { address: CARD, config, bars: BARS, virtualFunctions: { ...virtualFunctionConfig(config), bars: BARS } });
}

export function cardHost(init: CardHostInit = {}): CardHost {
  const host = new Host({ profile: init.profile, without: init.without });
  const events = host.trace.record();
  const vfio = new Vfio(host);
  const bus = new PciBus(host, { msi: new ApicMsi(host), iommu: new VtdIommu(host) });
  bus.plug(bridge(host, PORT, 1), { group: 0 });
  // The card is not alone on its bus, which cannot be reset for it.
  bus.plug(new PciFunction(host, { address: SIBLING, config: buildConfig({ vendor: 1, device: 1 }) }), { group: 2 });
  const card = cardFunction(host);
  init.before?.(host);
  const device = bus.plug(card, { group: 1 });
  const make = init.driver ?? ((v, i) => new VfioPciDriver(v, i));
  const driver = make(vfio, { ...init, parameters: { enableSriov: true, ...init.parameters } });
  host.scheduler.call('modprobe', bus.addDriver(driver));
  const process = new Process(host);
  for (const name of [CARD, SIBLING]) process.writeFile(`/sys/bus/pci/devices/${name}/driver_override`, driver.name);
  return { host, vfio, bus, card, device, driver, process, events };
}

/** device_driver_attach(): the probe's own errno, whatever the kernel's sysfs makes of it. */
export function attach({ host, bus, driver }: CardHost, device: PciDevice): number {
  return host.scheduler.call('bind', bus.attach(driver, device));
}

/** Everything that a probe could leave behind. */
export function traces({ host, vfio, bus, driver, process }: CardHost, device: PciDevice): object {
  const { iommuGroup, function: fn } = device;
  const registry = registryOf(vfio);
  return {
    nodes: process.readdir('/dev/vfio'),
    driver: process.readdir('/sys/bus/pci/drivers/vfio-pci'),
    folder: process.readdir(device.sysfs),
    groups: vfio.groups.length,
    group: iommuGroup === undefined ? 'none' : [iommuGroup.references, iommuGroup.devices.length, iommuGroup.dmaInUse],
    listeners: bus.listeners,
    client: bus.vga.hasClient(device),
    legacy: (bus.vga.decodes(device) ?? 0) & 3,
    power: fn.powerState,
    config: fn.config.bytes.join(),
    enabled: device.enableCount,
    structure: registry.get(device)?.name,
    data: driver.vfioDevice(device)?.name,
    sets: registry.sets,
    bound: device.driverName,
    users: driver.users,
    threads: host.scheduler.threads.length,
  };
}

/** The steps of probes and removes, in order: `+` done, `!` failed, `-` undone. */
export function stepLog(events: readonly TraceEvent[], name: string = CARD): readonly string[] {
  return events.flatMap(({ id, fields }) => {
    const entry: { readonly device?: string; readonly step?: ProbeStep; readonly error?: number } = fields;
    if (entry.device !== name || entry.step === undefined) return [];
    if (id === PROBE_STEP.id) return [`${entry.error === 0 ? '+' : '!'}${entry.step}`];
    return id === PROBE_STEP_UNDONE.id ? [`-${entry.step}`] : [];
  });
}
